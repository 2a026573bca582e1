"""Large files: over several streams, gone on with after whatever ended a transfer, and never mixed."""

import os
import random
import re
import resource
import shutil
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

from harness import Failure, Skip, check, client, equal, files, peers, setup, test, wait_for, write_ini
from harness.sluice import environment
from harness.wire import TlsPeer, read_head

MIB = 1 << 20
SIZE = 24 * MIB + 4321
LOCAL, CUT, INTERRUPTED = 9, 8, 130


def site(t, size=SIZE, **how):
    server = setup.server(t, **how)
    files.make(server.root / "file", size, 3)
    return server


def partner(t, *ports, **profile):
    sections = {
        "client-profile std": {**setup.profiles(t)["client-profile std"], **profile},
        "partner there": {"host": [f"localhost:{port}" for port in ports], "profile": "std"},
    }
    return write_ini(t.path("partner.ini"), sections)


def get(t, ini, name, *options, **how):
    return client(t, "get", "--json", "-v", *options, "there:file", name, ini=ini, **how)


class Running:
    """A `sluice get` under way, and whoever looks all the time at what stands under the final name."""

    def __init__(self, t, ini, name, *options, right=(), limit=None):
        self.name, self.part, self.right, self.wrong = Path(name), Path(f"{name}.part"), [Path(p).read_bytes() for p in right], None
        command = [t.run.binary, "get", "-c", ini, "--json", "-v", *options, "there:file", name]
        before = (lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))) if limit else None
        self.process = subprocess.Popen([str(c) for c in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                                        stderr=subprocess.PIPE, errors="replace", env=environment(), preexec_fn=before)
        self.ended = False
        self.watcher = threading.Thread(target=self._watch, daemon=True)
        self.watcher.start()
        t.at_end(self.end)

    def _watch(self):
        while not self.ended:
            try:
                found = self.name.read_bytes()
                if self.right and found not in self.right:
                    self.wrong = f"{len(found)} wrong bytes stood under the final name"
                    return
            except FileNotFoundError:
                pass
            time.sleep(0.01)

    def has(self, size):
        """Waits until something behind that place was written, and a little longer."""
        wait_for(lambda: self.process.poll() is not None or self.part.exists() and self.part.stat().st_size >= size,
                 "a .part", 60)
        time.sleep(0.4)
        check(self.process.poll() is None, "the transfer was over before it could be disturbed")

    def end(self, number=signal.SIGKILL):
        if self.process.poll() is None:
            self.process.send_signal(number)
        self.output, self.errors = self.process.communicate() if not self.ended else (self.output, self.errors)
        self.ended = True
        self.watcher.join()
        check(self.wrong is None, self.wrong)
        return self.process.returncode

    def wait(self):
        self.output, self.errors = self.process.communicate(timeout=240)
        self.ended = True
        self.watcher.join()
        check(self.wrong is None, self.wrong)
        return self.process.returncode


def claims(name):
    """The ranges that the journal beside `name` claims."""
    text = Path(f"{name}.part.journal").read_text()
    have = re.search(r"^have (.*)$", text, re.M).group(1)
    return [] if have == "none" else [tuple(map(int, r.split("-"))) for r in have.split(",")]


def check_claims(name, source):
    """What the journal claims is in the .part, byte by byte. Returns how much that is."""
    journal, part, total = Path(f"{name}.part.journal"), Path(f"{name}.part"), 0
    if not part.exists():
        return 0
    if not journal.exists():
        equal(part.stat().st_size, 0, "bytes in a .part without a journal")
        return 0
    with open(part, "rb") as ours, open(source, "rb") as theirs:
        for first, last in claims(name):
            ours.seek(first), theirs.seek(first)
            check(ours.read(last - first + 1) == theirs.read(last - first + 1), f"{first}-{last} is claimed, but not there")
            total += last - first + 1
    return total


def finished(name, source, left=1):
    files.same(name, source)
    equal(len(files.listing(Path(name).parent)), left, "files in the folder")


def lasting_port():
    """One that no connection of a client takes, and no client connects to itself by, while its server is away."""
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    for port in random.sample(range(first // 2, first), 50):
        with socket.socket() as one:
            try:
                one.bind(("127.0.0.1", port))
                return port
            except OSError:
                pass
    raise Skip("no port is free")


def restart(t, sections):
    """The kernel may keep a killed server's listening socket for a moment: its io_uring is taken apart behind its back."""
    for attempt in range(20):
        try:
            return setup.Server(t, sections, "again")
        except Failure as problem:
            if "another process has it" not in str(problem) or attempt == 19:
                raise
            time.sleep(0.1)


def target(t):
    return t.make_folder("local") / "file"


@test("host", "guest", each=["1 1.2", "1 1.3", "4 1.2", "4 1.3"], limit=120)
def killed_again_and_again_it_is_whole_in_the_end(t, how):
    streams, version = how.split()
    server, name = site(t), target(t)
    ini = partner(t, server.port, min_version=version, max_version=version)
    chance, killed = random.Random(7), 0
    for _ in range(4 if t.run.kernel else 8):
        run = Running(t, ini, name, "--streams", streams, "--limit-rate", "16M", right=[server.root / "file"])
        wait_for(lambda: run.part.exists() or run.process.poll() is not None, "a .part", 30 * t.run.patience)
        time.sleep(chance.uniform(0, 0.9))
        killed += run.end(chance.choice((signal.SIGKILL, signal.SIGKILL, signal.SIGTERM))) == -signal.SIGKILL
        check_claims(name, server.root / "file")
        if name.exists():
            name.unlink()
    check(killed > 0, "it was never killed in its midst")
    done = get(t, ini, name, "--streams", streams).must_succeed()
    finished(name, server.root / "file")
    equal(done.transfer["bytes"] + done.transfer["resumed_bytes"], SIZE, "bytes, of both runs together")


@test("host", limit=90)
def a_killed_one_goes_on_from_its_journal(t):
    server, name = site(t), target(t)
    ini = partner(t, server.port)
    run = Running(t, ini, name, "--streams", "3", "--limit-rate", "3M", right=[server.root / "file"])
    wait_for(lambda: Path(f"{name}.part.journal").exists() and claims(name), "a claim in the journal", 20 * t.run.patience)
    equal(run.end(), -signal.SIGKILL, "how it ended")
    there = check_claims(name, server.root / "file")
    done = get(t, ini, name).must_succeed()
    equal(done.transfer["resumed_bytes"], there, "bytes that were there")
    finished(name, server.root / "file")


@test("host", "guest", each=["1.2", "1.3"])
def an_interrupted_one_moves_only_what_is_missing(t, version):
    server, name = site(t), target(t)
    ini = partner(t, server.port, min_version=version, max_version=version)
    run = Running(t, ini, name, "--streams", "3", "--limit-rate", "8M", right=[server.root / "file"])
    run.has(6 * MIB)
    equal(run.end(signal.SIGINT), INTERRUPTED, "exit code")
    check("what came is kept in" in run.errors, f"it says: {run.errors}")
    there = check_claims(name, server.root / "file")
    check(there >= MIB, f"only {there} bytes are claimed")
    done = get(t, ini, name).must_succeed()
    equal(done.transfer["resumed_bytes"], there, "bytes that were there")
    equal(done.transfer["bytes"], SIZE - there, "bytes that were moved")
    check(done.transfer["verified"], f"what is gone on with is verified: {done.transfer['unverified']}")
    equal([e["bytes"] for e in done.events if e["id"] == "T20I"], [there], "T20I")
    finished(name, server.root / "file")


@test("host", "guest")
def streams_share_a_file_and_their_sessions(t):
    server, name = site(t), target(t)
    done = get(t, partner(t, server.port), name, "--streams", "4").must_succeed()
    finished(name, server.root / "file")
    streams = done.transfer["streams"]
    equal(len(streams), 4, "streams")
    equal(sum(s["bytes"] for s in streams), SIZE, "bytes of all streams")
    equal(done.transfer["bytes"], SIZE, "bytes")
    sessions = [e["resumed"] for e in done.events if e["id"] == "Y14I"]
    check("yes" in sessions, f"no session was resumed: {sessions}")


@test("host")
def a_source_that_changes_meanwhile_is_not_mixed(t):
    server, name = site(t), target(t)
    new = files.make(t.path("new"), SIZE + 77, 9)
    shutil.copy(server.root / "file", t.path("old"))
    run = Running(t, partner(t, server.port), name, "--streams", "3", "--limit-rate", "10M", right=[new])
    run.has(6 * MIB)
    shutil.copy(new, server.root / ".next")
    os.rename(server.root / ".next", server.root / "file")
    equal(run.wait(), 0, f"exit code ({run.errors})")
    check('"id":"T20W"' in run.errors.replace(" ", ""), f"no T20W: {run.errors}")
    check("started over" in run.output, f"the line says: {run.output}")
    finished(name, new)


@test("host")
def a_source_that_changed_since_starts_over(t):
    server, name = site(t), target(t)
    ini = partner(t, server.port)
    for number, size in enumerate((SIZE + 5, 3 * MIB, 10)):
        run = Running(t, ini, name, "--streams", "2", "--limit-rate", "8M")
        if size > 10:
            run.has(MIB)
        run.end(signal.SIGTERM)
        files.make(server.root / "file", size, 20 + number)
        done = get(t, ini, name).must_succeed()
        equal(done.transfer["resumed_bytes"], 0, "bytes gone on with")
        finished(name, server.root / "file")
        name.unlink()
        files.make(server.root / "file", SIZE, 3)


@test("host", each=[1, 4])
def a_server_that_dies_among_several_is_left(t, streams):
    first = site(t)
    root = t.make_folder("copy")
    shutil.copy2(first.root / "file", root / "file")
    second, name = setup.server(t, root, "second"), target(t)
    run = Running(t, partner(t, first.port, second.port), name, "--streams", str(streams), "--limit-rate", "12M",
                  right=[first.root / "file"])
    run.has(6 * MIB)
    first.kill()
    equal(run.wait(), 0, f"exit code ({run.errors})")
    check(f"localhost:{second.port}" in run.output, f"who served: {run.output}")
    check('"verified":true' in run.output, f"what came of two servers is compared: {run.output}")
    finished(name, root / "file")


@test("host")
def a_server_with_another_file_is_left_out(t):
    first = site(t)
    root = t.make_folder("other")
    files.make(root / "file", SIZE, 99)
    os.utime(root / "file", (1, 1))
    second, name = setup.server(t, root, "second"), target(t)
    done = get(t, partner(t, first.port, second.port), name, "--streams", "4").must_succeed()
    finished(name, first.root / "file")
    check([e for e in done.events if e["id"] == "T24W"], "no T24W")


@test("host")
def a_dead_server_leaves_what_came(t):
    port = lasting_port()
    root = t.make_folder("store")
    source = files.make(root / "file", SIZE, 3)
    sections = setup.site(t, root)
    sections["protocol main"]["listen"] = f"127.0.0.1:{port}"
    server, name = setup.Server(t, sections), target(t)
    ini = partner(t, port)
    run = Running(t, ini, name, "--streams", "2", "--retries", "1", "--limit-rate", "8M", right=[source])
    run.has(6 * MIB)
    server.kill()
    check(run.wait() in (4, CUT), f"exit code {run.process.returncode}: {run.errors}")
    there = check_claims(name, source)
    check(there > 0, "nothing is claimed")
    restart(t, sections)
    done = get(t, ini, name).must_succeed()
    equal(done.transfer["resumed_bytes"], there, "bytes that were there")
    finished(name, source)


@test("host")
def a_server_that_comes_back_is_gone_on_with(t):
    port = lasting_port()
    root = t.make_folder("store")
    source = files.make(root / "file", SIZE, 3)
    sections = setup.site(t, root)
    sections["protocol main"]["listen"] = f"127.0.0.1:{port}"
    server, name = setup.Server(t, sections), target(t)
    run = Running(t, partner(t, port), name, "--streams", "2", "--limit-rate", "8M", right=[source])
    run.has(6 * MIB)
    server.kill()
    restart(t, sections)
    equal(run.wait(), 0, f"exit code ({run.errors})")
    check('"T22W"' in run.errors, f"no T22W: {run.errors}")
    finished(name, source)


@test("host")
def a_damaged_journal_is_not_believed(t):
    server, name = site(t), target(t)
    ini = partner(t, server.port)
    for damage in ("garbage", "cut", "shorter part"):
        run = Running(t, ini, name, "--limit-rate", "8M")
        run.has(4 * MIB)
        run.end(signal.SIGTERM)
        journal, part = Path(f"{name}.part.journal"), Path(f"{name}.part")
        if damage == "garbage":
            journal.write_bytes(os.urandom(300))
        elif damage == "cut":
            journal.write_bytes(journal.read_bytes()[:-3])
        else:
            os.truncate(part, MIB)
        done = get(t, ini, name).must_succeed()
        equal(done.transfer["resumed_bytes"], 0, f"bytes gone on with ({damage})")
        check("journal" in done.transfer["note"], f"it says: {done.transfer['note']}")
        finished(name, server.root / "file")
        name.unlink()


def _claim(name, ranges):
    """Rewrites the journal as if these were on the disk."""
    journal = Path(f"{name}.part.journal")
    lines = re.sub(rb"have .*\n", b"have " + ranges.encode() + b"\n", journal.read_bytes().rpartition(b"check ")[0])
    check_of = 14695981039346656037
    for byte in lines:
        check_of = ((check_of ^ byte) * 1099511628211) & (1 << 64) - 1
    journal.write_bytes(lines + b"check %016x\n" % check_of)


@test("host", each=["the same", "changed"])
def one_that_was_killed_before_it_got_its_name_gets_it(t, source):
    server, name = site(t), target(t)
    ini = partner(t, server.port)
    run = Running(t, ini, name, "--limit-rate", "8M")
    run.has(MIB)
    run.end()
    shutil.copyfile(server.root / "file", f"{name}.part")
    _claim(name, f"0-{SIZE - 1}")
    if source == "changed":
        files.make(server.root / "file", SIZE, 77)
    done = get(t, ini, name).must_succeed()
    equal(done.transfer["resumed_bytes"], SIZE if source == "the same" else 0, "bytes that were there")
    finished(name, server.root / "file")


@test("host")
def a_part_that_rotted_does_not_get_the_name(t):
    server, name = site(t), target(t)
    ini = partner(t, server.port)
    run = Running(t, ini, name, "--limit-rate", "8M")
    run.has(4 * MIB)
    run.end(signal.SIGTERM)
    with open(f"{name}.part", "r+b") as part:
        part.seek(1000)
        byte = part.read(1)
        part.seek(1000)
        part.write(bytes([byte[0] ^ 1]))
    done = get(t, ini, name).must_fail(10)
    check(done.transfer["resumed_bytes"] > 0 and not done.transfer["verified"], f"it says: {done.output}")
    equal(files.listing(name.parent), ["file.bad"], "what is there")
    get(t, ini, name).must_succeed()
    files.same(name, server.root / "file")


@test("host")
def a_part_that_is_not_ours_is_left_alone(t):
    server, name = site(t), target(t)
    part = Path(f"{name}.part")
    part.write_text("somebody's")
    done = get(t, partner(t, server.port), name).must_fail(LOCAL)
    check("stands in the way" in done.errors, f"it says: {done.errors}")
    equal(part.read_text(), "somebody's", "what stood there")


@test("host", each=["0", "1", "1048575", "1048576", "67108864", "67108865"])
def every_size_is_one_request_or_as_many_as_it_takes(t, size):
    server, name = site(t, int(size)), target(t)
    done = get(t, partner(t, server.port), name).must_succeed()
    finished(name, server.root / "file")
    equal(done.transfer["bytes"], int(size), "bytes")
    requests = 2 if int(size) > 64 * MIB else 1
    equal(len(server.find("T01I", path="file")), requests, "requests")
    equal(server.find("T02W"), [], "refused requests")


@test("host")
def two_at_once_do_not_touch_each_other(t):
    server, name = site(t), target(t)
    ini = partner(t, server.port)
    run = Running(t, ini, name, "--limit-rate", "3M", right=[server.root / "file"])
    run.has(2 * MIB)
    second = get(t, ini, name).must_fail(LOCAL)
    check("another process is fetching this file" in second.errors, f"it says: {second.errors}")
    equal(run.wait(), 0, "exit code of the first")
    finished(name, server.root / "file")


@test("host")
def what_a_full_disk_took_is_gone_on_with(t):
    server, name = site(t), target(t)
    ini = partner(t, server.port)
    run = Running(t, ini, name, "--streams", "2", limit=5 * MIB)
    equal(run.wait(), LOCAL, f"exit code ({run.errors})")
    check(not name.exists(), "it has its name")
    check_claims(name, server.root / "file")
    get(t, ini, name).must_succeed()
    finished(name, server.root / "file")


@test("host")
def nginx_gives_ranges_and_no_digest(t):
    root, name = t.make_folder("nginx-root"), target(t)
    source = files.make(root / "file", SIZE, 3)
    ini = partner(t, peers.nginx(t, root))
    run = Running(t, ini, name, "--streams", "4", "--limit-rate", "8M", right=[source])
    run.has(6 * MIB)
    run.end(signal.SIGTERM)
    there = check_claims(name, source)
    done = get(t, ini, name, "--streams", "4").must_succeed()
    equal(done.transfer["resumed_bytes"], there, "bytes that were there")
    equal(done.transfer["verified"], False, "verified")
    check(done.transfer["unverified"], "it does not say why it was not verified")
    finished(name, source)


class Simple(TlsPeer):
    """A server of one file, each connection on a thread of its own; `answer(connection, head)` says how."""

    def __init__(self, t, answer):
        self.answer, self.heads = answer, []
        super().__init__(t, lambda connection: None)

    def _serve(self):
        while True:
            try:
                raw, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._one, args=(raw,), daemon=True).start()

    def _one(self, raw):
        raw.settimeout(60)
        try:
            with self._context.wrap_socket(raw, server_side=True) as connection:
                while True:
                    head = read_head(connection).decode("latin-1")
                    self.heads.append(head)
                    self.answer(connection, head)
        except (OSError, EOFError):
            pass
        finally:
            raw.close()


def _whole(body, fields):
    def answer(connection, head):
        connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n{fields}\r\n".encode())
        if not head.startswith("HEAD"):
            connection.sendall(body)

    return answer


@test("host", each=["no ranges", "a lie about ranges", "a range without a tag"])
def a_server_that_cannot_is_asked_for_the_whole(t, how):
    body = files.make(t.path("body"), 6 * MIB + 1, 5).read_bytes()
    fields = 'ETag: "a"\r\nAccept-Ranges: bytes\r\n' if "lie" in how else ""

    def ranges_without_a_tag(connection, head):
        found = re.search(r"bytes=(\d+)-(\d+)", head)
        if not found:
            return _whole(body, "")(connection, head)
        first, last = map(int, found.groups())
        part = body[first : last + 1]
        connection.sendall(f"HTTP/1.1 206 Partial Content\r\nContent-Length: {len(part)}\r\n"
                           f"Content-Range: bytes {first}-{first + len(part) - 1}/{len(body)}\r\n\r\n".encode() + part)

    server = Simple(t, ranges_without_a_tag if "tag" in how else _whole(body, fields))
    name = target(t)
    done = get(t, partner(t, server.port), name, "--streams", "3").must_succeed()
    finished(name, t.path("body"))
    if "lie" not in how:
        check("one stream, not to be resumed" in done.transfer["note"], f"it says: {done.transfer['note']}")


@test("host", each=["another size", "another tag", "another place", "no place"])
def a_server_that_answers_with_another_part_mixes_nothing(t, how):
    body = files.make(t.path("body"), 6 * MIB + 1, 5).read_bytes()

    def answer(connection, head):
        found = re.search(r"bytes=(\d+)-(\d+)", head)
        first, last = map(int, found.groups()) if found else (0, len(body) - 1)
        part = body[first : last + 1]
        wrong = first > 0
        size = len(body) + (1 if wrong and how == "another size" else 0)
        shown = first - 4096 if wrong and how == "another place" else first
        tag = '"b"' if wrong and how == "another tag" else '"a"'
        place = "" if wrong and how == "no place" else f"Content-Range: bytes {shown}-{shown + len(part) - 1}/{size}\r\n"
        connection.sendall(f"HTTP/1.1 206 Partial Content\r\nETag: {tag}\r\nContent-Length: {len(part)}\r\n{place}\r\n".encode())
        connection.sendall(part)

    server, name = Simple(t, answer), target(t)
    done = get(t, partner(t, server.port), name, "--streams", "2", "--retries", "1")
    check(done.code in (7, CUT), f"exit code {done.code}: {done.errors}")
    check(not name.exists(), "something has its name")
    check_claims(name, t.path("body"))
