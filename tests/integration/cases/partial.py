"""Uploads in parts: the agreement byte by byte, then `put` with both sides killed, cut and out of room."""

import base64
import hashlib
import os
import random
import signal
import subprocess
import threading
import time
from pathlib import Path

from harness import Failure, Server, Skip, check, client, equal, files, setup, test, wait_for
from harness.peers import apache, nginx
from harness.sluice import environment
from harness.wire import Wire

MIB = 1 << 20
TOKEN = "one-Token_1"


def have(wire, path, token=TOKEN, **fields):
    """What the server says it has, or None."""
    return wire.request("HEAD", path, {"Sluice-Upload": token, **fields}).fields.get("sluice-upload-have")


def part(wire, path, body, first, size, token=TOKEN, **fields):
    return wire.request("PUT", path, {
        "Sluice-Upload": token, "Content-Range": f"bytes {first}-{first + len(body) - 1}/{size}", **fields}, body)


def finish(wire, path, size, token=TOKEN, **fields):
    return wire.request("PUT", path, {
        "Sluice-Upload": token, "Content-Range": f"bytes */{size}", "Content-Length": "0", **fields})


def digest_field(body):
    return "sha-256=:" + base64.b64encode(hashlib.sha256(body).digest()).decode() + ":"


def leftovers(root):
    return [name for name in files.listing(root) if ".sluice-" in name]


# -- the agreement -----------------------------------------------------------------------------------------------------


@test("host")
def parts_in_any_order_become_the_file_when_all_are_there(t):
    server = setup.server(t)
    body = random.Random(1).randbytes(300_000)
    one, two = Wire(t, server.port), Wire(t, server.port, version="1.2")
    equal(have(one, "/a/b/file"), "none", "what is there at first")
    equal(part(one, "/a/b/file", body[200_000:], 200_000, len(body)).status, 204, "status of the last part")
    equal(have(two, "/a/b/file"), "200000-299999", "what is there")
    equal(finish(two, "/a/b/file", len(body)).status, 409, "status of finishing too early")
    equal(part(two, "/a/b/file", body[:100_000], 0, len(body)).status, 204, "status of the first part")
    answer = finish(two, "/a/b/file", len(body))
    equal((answer.status, answer.fields["sluice-upload-have"]), (409, "0-99999,200000-299999"), "what is missing yet")
    equal(part(one, "/a/b/file", body[50_000:250_000], 50_000, len(body)).status, 204, "status of one that overlaps")
    check(not (server.root / "a/b/file").exists(), "the file has its name before it was finished")
    done = finish(one, "/a/b/file", len(body), **{
        "Repr-Digest": digest_field(body), "Sluice-Modified": "1500000000.123456789", "Sluice-Mode": "0750"})
    equal(done.status, 201, "status of finishing")
    check("etag" in done.fields, "there is no ETag")
    equal((server.root / "a/b/file").read_bytes(), body, "the file")
    facts = (server.root / "a/b/file").stat()
    equal((facts.st_mtime_ns, facts.st_mode & 0o777), (1500000000123456789, 0o750), "time and mode")
    equal(files.listing(server.root), ["a/b/file"], "the store")
    equal(have(one, "/a/b/file"), "none", "what is there of the next one")
    event = server.wait_event("T01I", path="a/b/file")
    equal((event["bytes"], event["direction"]), (len(body), "in"), "the transfer")
    equal(len(server.find("T14I", path="a/b/file")), 3, "parts")


@test("host")
def what_is_no_part_is_refused_and_changes_nothing(t):
    server = setup.server(t, max_upload="1M")
    wire = Wire(t, server.port)
    body = b"x" * 1000

    def refused(status, fields, sent=body, **how):
        nonlocal wire
        found = wire.request("PUT", how.get("path", "/file"), fields, sent)
        equal(found.status, status, f"status of {fields}")
        wire = Wire(t, server.port)

    upload = {"Sluice-Upload": TOKEN}
    refused(400, {"Content-Range": "bytes 0-999/2000"})
    refused(400, upload)
    for token in ("", "a b", "x" * 65, "../up", "\xe4"):
        refused(400, {"Sluice-Upload": token, "Content-Range": "bytes 0-999/2000"})
    for text in ("bytes 0-998/2000", "bytes 0-1000/2000", "bytes 1500-2499/2000", "bytes 999-0/2000", "bytes 0-999/*",
                 "bytes=0-999/2000", "bytes 0-999", "bytes 0-999/99999999999999999999", "bytes */1000", "bytes */0",
                 "bytes -1-999/2000", "bytes 0-999/-1"):
        refused(400, {**upload, "Content-Range": text})
    refused(413, {**upload, "Content-Range": f"bytes 0-999/{2 * MIB}"})
    refused(415, {**upload, "Content-Range": "bytes 0-999/2000", "Content-Encoding": "gzip"})
    refused(400, {**upload, "Content-Range": "bytes 0-999/2000", "Sluice-Mode": "4755"})
    refused(400, {**upload, "Content-Range": "bytes 0-999/2000", "Sluice-Modified": "yesterday"})
    refused(400, {**upload, "Content-Range": "bytes 0-999/2000", "Transfer-Encoding": "chunked"}, b"3\r\nabc\r\n0\r\n\r\n")
    refused(409, {**upload, "Content-Range": "bytes 0-999/2000"}, path="/file/")
    refused(412, {**upload, "Content-Range": "bytes 0-999/2000", "If-Match": '"none"'})
    (server.root / "folder").mkdir()
    refused(409, {**upload, "Content-Range": "bytes 0-999/2000"}, path="/folder")
    refused(409, {**upload, "Content-Range": "bytes */2000", "Content-Length": "0"}, sent=b"")
    equal(files.listing(server.root), [], "the store")


@test("host")
def an_upload_belongs_to_its_token_its_size_and_its_path(t):
    server = setup.server(t)
    wire = Wire(t, server.port)
    equal(part(wire, "/file", b"a" * 1000, 0, 3000).status, 204, "status")
    equal(have(wire, "/file", "another"), "none", "what another token has")
    equal(have(wire, "/other"), "none", "what another path has")
    equal(part(wire, "/file", b"a" * 1000, 1000, 4000).status, 409, "status of another size")
    wire = Wire(t, server.port)
    equal(finish(wire, "/file", 1000).status, 409, "status of finishing with another size")
    equal(have(wire, "/file"), "0-999", "what is there")
    equal(finish(wire, "/file", 3000, "another").status, 409, "status of finishing what was not begun")
    equal(wire.request("DELETE", "/file", {"Sluice-Upload": "another"}).status, 404, "status of giving that up")
    equal(wire.request("DELETE", "/file", {"Sluice-Upload": TOKEN}).status, 204, "status of giving up")
    equal(have(wire, "/file"), "none", "what is there")
    equal(files.listing(server.root), [], "the store")


def two_users(t, **settings):
    """A server that anyone may read, with users ann and bob, and what goes with their requests."""
    passwords, logins = t.path("passwords"), {}
    with open(passwords, "w") as out:
        for name in ("ann", "bob"):
            done = subprocess.run(["openssl", "passwd", "-6", f"{name}'s own"], capture_output=True, text=True, check=True)
            out.write(f"{name}:{done.stdout}")
            pair = base64.b64encode(f"{name}:{name}'s own".encode()).decode()
            logins[name] = {"Authorization": "Basic " + pair}
    passwords.chmod(0o600)
    sections = setup.site(t, password_file=passwords, server_profile={"verify": "optional"})
    sections["store main"].update({"read": "anyone", "write": "authenticated"})
    sections.setdefault("server", {}).update(settings)
    server = Server(t, sections)
    server.root = sections["store main"]["root"]
    return server, logins


@test("host")
def an_upload_belongs_to_who_began_it(t):
    server, logins = two_users(t)
    ann, bob, nobody = (Wire(t, server.port, certificate=None) for _ in range(3))
    equal(part(ann, "/file", b"a" * 1000, 0, 2000, **logins["ann"]).status, 204, "status for ann")
    equal(have(ann, "/file", **logins["ann"]), "0-999", "what ann has")
    equal(have(bob, "/file", **logins["bob"]), "none", "what bob has of ann's")
    equal(have(nobody, "/file"), None, "what one hears who may not write")
    equal(part(nobody, "/file", b"a" * 1000, 0, 2000).status, 401, "status for nobody")
    equal(part(bob, "/file", b"b" * 1000, 1000, 2000, **logins["bob"]).status, 204, "status for bob")
    equal(finish(bob, "/file", 2000, **logins["bob"]).status, 409, "status of finishing with ann's half")
    equal(part(ann, "/file", b"a" * 1000, 1000, 2000, **logins["ann"]).status, 204, "status for ann")
    equal(finish(ann, "/file", 2000, **logins["ann"]).status, 201, "status of ann's end")
    equal((server.root / "file").read_bytes(), b"a" * 2000, "the file")
    nobody = Wire(t, server.port, certificate=None)
    equal(nobody.request("DELETE", "/file", {"Sluice-Upload": TOKEN}).status, 401, "status of giving up as nobody")
    equal(have(bob, "/file", **logins["bob"]), "1000-1999", "what bob has")


@test("host", "guest")
def what_came_before_a_cut_counts(t):
    server = setup.server(t)
    body = random.Random(2).randbytes(4 * MIB)
    wire = Wire(t, server.port)
    wire.send(f"PUT /file HTTP/1.1\r\nHost: a\r\nSluice-Upload: {TOKEN}\r\nContent-Length: {len(body)}\r\n"
              f"Content-Range: bytes 0-{len(body) - 1}/{len(body)}\r\n\r\n")
    wire.send(body[: 3 * MIB])
    other = Wire(t, server.port)

    def arrived():
        ranges = have(other, "/file")
        return ranges != "none" and int(ranges.split("-")[1]) > MIB

    wait_for(arrived, "that some of it is there while the rest is awaited")
    wire.abort()
    server.wait_event("T14W", path="file")
    ranges = have(other, "/file")
    check(ranges.startswith("0-") and "," not in ranges, f"what is there: {ranges}")
    first = int(ranges.split("-")[1]) + 1
    equal(part(other, "/file", body[first:], first, len(body)).status, 204, "status of the rest")
    equal(finish(other, "/file", len(body), **{"Repr-Digest": digest_field(body)}).status, 201, "status of the end")
    equal((server.root / "file").read_bytes(), body, "the file")
    equal(leftovers(server.root), [], "leftovers")


@test("host")
def a_file_that_is_not_the_one_that_was_promised_gets_no_name(t):
    server = setup.server(t)
    wire = Wire(t, server.port)
    (server.root / "file").write_bytes(b"before")
    equal(part(wire, "/file", b"a" * 2000, 0, 2000).status, 204, "status")
    equal(finish(wire, "/file", 2000, **{"Repr-Digest": digest_field(b"b" * 2000)}).status, 422, "status")
    equal((server.root / "file").read_bytes(), b"before", "the file")
    server.wait_event("T11E", path="file")
    kept = leftovers(server.root)
    check(len(kept) == 1 and ".sluice-bad-" in kept[0], f"what is kept for inspection: {kept}")
    equal((server.root / kept[0]).read_bytes(), b"a" * 2000, "what came")
    equal(have(wire, "/file"), "none", "what is there")


@test("host")
def the_conditions_of_the_request_that_finishes_count(t):
    server = setup.server(t)
    wire = Wire(t, server.port)
    equal(part(wire, "/file", b"a" * 2000, 0, 2000, **{"If-None-Match": "*"}).status, 204, "status")
    (server.root / "file").write_bytes(b"somebody was faster")
    equal(finish(wire, "/file", 2000, **{"If-None-Match": "*"}).status, 412, "status of a name that is taken by now")
    equal((server.root / "file").read_bytes(), b"somebody was faster", "the file")
    equal(have(wire, "/file"), "0-1999", "what is there after a refusal")
    equal(finish(wire, "/file", 2000).status, 204, "status of replacing it")
    equal((server.root / "file").read_bytes(), b"a" * 2000, "the file")
    equal(leftovers(server.root), [], "leftovers")


@test("host")
def nobody_writes_into_a_file_that_is_being_finished(t):
    server = setup.server(t)
    body = b"a" * 4000
    slow, wire = Wire(t, server.port), Wire(t, server.port)
    equal(part(wire, "/file", body, 0, 4000).status, 204, "status")
    slow.send(f"PUT /file HTTP/1.1\r\nHost: a\r\nSluice-Upload: {TOKEN}\r\nContent-Length: 2000\r\n"
              f"Content-Range: bytes 0-1999/4000\r\n\r\n" + "b" * 10)
    wait_for(lambda: (next(server.root.glob(".sluice-up-*[0-9a-f]"), None) or Path("/dev/null")).read_bytes()[:2] == b"bb",
             "that the slow one has begun")
    equal(finish(wire, "/file", 4000).status, 201, "status of the end")
    server.wait_event("T14W", path="file")
    try:
        slow.send("b" * 1990)
        slow.response()
        raise Failure("the slow one got an answer")
    except (EOFError, OSError):
        pass
    equal((server.root / "file").read_bytes(), b"b" * 10 + body[10:], "the file")


@test("host")
def an_upload_survives_the_server_and_old_ones_are_swept(t):
    sections = setup.site(t)
    root = sections["store main"]["root"]
    server = setup.server(t, root)
    wire = Wire(t, server.port)
    equal(part(wire, "/a/file", b"a" * 1000, 0, 2000).status, 204, "status")
    server.stop()
    server = setup.server(t, root, name="second")
    wire = Wire(t, server.port)
    equal(have(wire, "/a/file"), "0-999", "what is there after an orderly end")
    equal(part(wire, "/a/file", b"a" * 900, 1000, 2000).status, 204, "status")
    server.kill()
    server = setup.server(t, root, name="third")
    found = have(Wire(t, server.port), "/a/file")
    check(found in ("0-999", "0-1899"), f"what is there after a crash: {found}")
    server.stop()
    (root / "a" / ".sluice-bad-0123").write_bytes(b"x")
    (root / ("." + "sluice-" + "0" * 32)).write_bytes(b"x")
    (root / "a" / ".keep").write_bytes(b"x")
    time.sleep(2.1)
    server = setup.server(t, root, name="fourth", upload_keep="1s")
    event = server.wait_event("S13I")
    equal((event["files"], event["store"]), (3, "main"), "what was swept")
    equal(files.listing(root), ["a/.keep"], "the store")
    equal(have(Wire(t, server.port), "/a/file"), "none", "what is there")


@test("host")
def an_upload_goes_on_across_a_reload(t):
    server = setup.server(t)
    old = Wire(t, server.port)
    equal(part(old, "/file", b"a" * 1000, 0, 3000).status, 204, "status before")
    old.send(f"PUT /file HTTP/1.1\r\nHost: a\r\nSluice-Upload: {TOKEN}\r\nContent-Length: 1000\r\n"
             f"Content-Range: bytes 1000-1999/3000\r\n\r\n" + "a" * 500)
    server.ini.write_text(server.ini.read_text().replace("events = json", "events = json\nupload_keep = 2h"))
    server.process.send_signal(signal.SIGHUP)
    server.wait_event("S10I")
    new = Wire(t, server.port)
    equal(part(new, "/file", b"a" * 1000, 2000, 3000).status, 204, "status after")
    old.send("a" * 500)
    equal(old.response().status, 204, "status of the part that was under way")
    equal(finish(new, "/file", 3000).status, 201, "status of the end")
    equal((server.root / "file").read_bytes(), b"a" * 3000, "the file")
    equal(leftovers(server.root), [], "leftovers")


@test("host")
def there_is_a_bound_on_unfinished_uploads(t):
    server = setup.server(t, max_unfinished_uploads=2)
    wire = Wire(t, server.port)
    for number in (1, 2):
        equal(part(wire, f"/file{number}", b"a", 0, 2).status, 204, "status")
    equal(part(wire, "/file3", b"a", 0, 2).status, 503, "status of one too many")
    wire = Wire(t, server.port)
    equal(part(wire, "/file1", b"a", 1, 2).status, 204, "status of going on")
    equal(finish(wire, "/file1", 2).status, 201, "status of the end")
    equal(part(wire, "/file3", b"a", 0, 2).status, 204, "status when there is room again")
    server.stop()
    server = setup.server(t, server.root, name="second", max_unfinished_uploads=2)
    wait_for(lambda: part(Wire(t, server.port), "/file4", b"a", 0, 2).status == 503, "that those on the disk count")


@test("host")
def one_sender_does_not_use_up_the_room_of_the_others(t):
    server, logins = two_users(t, max_unfinished_per_sender=2)
    ann, bob = (Wire(t, server.port, certificate=None) for _ in range(2))
    for number in (1, 2):
        equal(part(ann, f"/file{number}", b"a", 0, 2, **logins["ann"]).status, 204, "status for ann")
    refused = part(ann, "/file3", b"a", 0, 2, **logins["ann"])
    equal(refused.status, 503, "status of one too many")
    check(b"max_unfinished_per_sender" in refused.body, f"the remedy is not named: {refused.body}")
    equal(part(bob, "/file3", b"b", 0, 2, **logins["bob"]).status, 204, "status for bob")
    ann = Wire(t, server.port, certificate=None)
    equal(part(ann, "/file1", b"a", 1, 2, **logins["ann"]).status, 204, "status of going on")
    equal(ann.request("DELETE", "/file2", {"Sluice-Upload": TOKEN, **logins["ann"]}).status, 204, "status of giving up")
    equal(part(ann, "/file3", b"a", 0, 2, **logins["ann"]).status, 204, "status when there is room again")


@test("host")
def the_digest_is_of_the_bytes_that_came_last(t):
    """Computed while the parts come: in any order, overlapping, and some of them sent again with other bytes."""
    server = setup.server(t)
    rng = random.Random(12)
    want = {"Want-Repr-Digest": "sha-256=10"}
    one, two = Wire(t, server.port), Wire(t, server.port, version="1.2")
    for turn in range(3):
        size = 6 * MIB + turn
        old, new = rng.randbytes(size), rng.randbytes(size)
        for first, last, body in ((0, 3 * MIB, old), (4 * MIB, size, new), (2 * MIB, 5 * MIB, new), (0, 2 * MIB + 7, new)):
            wire = rng.choice((one, two))
            equal(part(wire, "/file", body[first:last], first, size, **want).status, 204, "status of a part")
        if turn == 1:
            equal(finish(one, "/file", size, **{"Repr-Digest": digest_field(old)}).status, 422, "status of another digest")
            continue
        status = finish(one, "/file", size, **{"Repr-Digest": digest_field(new)}).status
        check(status in (201, 204), f"status of the end: {status}")
        equal((server.root / "file").read_bytes(), new, "the file")
        told = two.request("HEAD", "/file", want).fields.get("repr-digest")
        equal(told, digest_field(new), "what is kept of it")


@test("host", each=["small", "large"])
def a_file_that_is_new_leaves_no_warning(t, size):
    server = setup.server(t)
    source = files.make(t.path("source"), 3000 if size == "small" else 3 * MIB, 3)
    ini = setup.partner(t, server.port)
    for policy in ("replace", "fail", "skip", "rename"):
        client(t, "put", "--if-exists", policy, source, f"there:{policy}", ini=ini).must_succeed()
        files.same(source, server.root / policy)
    told = [e for e in server.events() if e["id"].startswith("T") and e["severity"] != "info"]
    equal(told, [], "what an operator would look at")


@test("host")
def who_may_write_but_not_read_hears_what_is_there(t):
    sections = setup.site(t)
    sections["store main"].update({"write": "anyone", "read": "partner:other", "list": "partner:other"})
    sections["partner other"] = {"match_subject": "CN=other"}
    server = Server(t, sections)
    wire = Wire(t, server.port)
    equal(part(wire, "/file", b"a", 0, 2).status, 204, "status")
    answer = wire.request("HEAD", "/file", {"Sluice-Upload": TOKEN})
    equal((answer.status, answer.fields.get("sluice-upload-have")), (204, "0-0"), "the answer")
    equal(wire.request("HEAD", "/file").status, 403, "status without asking for an upload")


# -- put ---------------------------------------------------------------------------------------------------------------


class Watcher:
    """Looks again and again at what has the name: it must never be anything but one of `allowed` (sha256)."""

    def __init__(self, t, path, *allowed):
        self.path, self.allowed, self.bad, self.seen = Path(path), set(allowed), None, 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        t.at_end(self.end)

    def _watch(self):
        while not self._stop.is_set():
            try:
                found = files.sha256(self.path)
            except FileNotFoundError:
                found = None
            if found is not None:
                self.seen += 1
                if found not in self.allowed:
                    self.bad = self.bad or found
            time.sleep(0.005)

    def end(self):
        self._stop.set()
        self._thread.join()
        check(self.bad is None, f"wrong bytes stood under {self.path.name}")


def on_port(t, root, port, name):
    """A server on a port that another had before."""
    sections = setup.site(t, root, name=name)
    sections["protocol main"]["listen"] = f"127.0.0.1:{port}"
    return Server(t, sections, name)


def begin(t, *arguments, ini):
    """`sluice put` as a process, to be killed."""
    command = [str(part) for part in [t.run.binary, "put", "-c", ini, *arguments]]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               env=environment())
    t.at_end(process.communicate)
    t.at_end(process.kill)
    return process


@test("host", "guest")
def a_large_file_goes_over_several_streams(t):
    server = setup.server(t)
    source = files.make(t.path("source"), 20 * MIB + 5, 3)
    os.utime(source, ns=(1600000000 * 10**9, 1600000000123456789))
    source.chmod(0o640)
    done = client(t, "put", "--json", "--streams", "4", source, "there:a/file", ini=setup.partner(t, server.port))
    report = done.must_succeed().transfer
    files.same(source, server.root / "a/file")
    facts = (server.root / "a/file").stat()
    equal((facts.st_mtime_ns, facts.st_mode & 0o777), (1600000000123456789, 0o640), "time and mode")
    equal(report["bytes"], 20 * MIB + 5, "bytes")
    check(report["verified"], f"it is not verified: {report}")
    check(len(server.find("T14I")) >= 4, "there were fewer parts than streams")
    check(len({e["peer"] for e in server.find("T14I")}) >= 2, "all parts came over one connection")
    if t.run.kernel:
        for event in server.find("T14I"):
            check(event["rx"].startswith("kernel"), f"a part was not decrypted by the kernel: {event['rx']}")
    equal(files.listing(server.root), ["a/file"], "the store")


@test("host")
def a_small_file_goes_in_one_request(t):
    server = setup.server(t)
    source = files.make(t.path("source"), MIB - 1, 3)
    done = client(t, "put", "--json", source, "there:file", ini=setup.partner(t, server.port)).must_succeed()
    check(done.transfer["verified"], f"it is not verified: {done.transfer}")
    equal(server.find("T14I"), [], "parts")
    files.same(source, server.root / "file")


def kill_and_go_on(t, victim):
    rng = random.Random(f"{victim} {t.run.place}")
    root = setup.site(t)["store main"]["root"]
    source = files.make(t.path("source"), 24 * MIB, 11)
    before = files.make(root / "file", 5000, 9)
    watcher = Watcher(t, root / "file", files.sha256(source), files.sha256(before))
    port, under_way = 0, 0
    for turn in range(6):
        server = on_port(t, root, port, f"server-{turn}")
        port = server.port
        ini = setup.partner(t, port)
        process = begin(t, "--limit-rate", "4M", "--streams", rng.choice([1, 3]), source, "there:file", ini=ini)
        if victim == "server" and turn % 2:
            server.wait_event("G01I")  # before that there is nothing to be gone on with
            wait_for(lambda: leftovers(root), "that a part is there")
        time.sleep(rng.uniform(0.02, 0.6))
        under_way += process.poll() is None
        (server if victim == "server" else process).kill()
        if victim == "server" and turn % 2:
            server = on_port(t, root, port, f"server-{turn}-again")  # the client itself tries again
            _, errors = process.communicate(timeout=60 * t.run.patience)
            equal(process.returncode, 0, f"exit code after the server came back: {errors}")
            files.same(source, root / "file")
            files.make(root / "other", 5000, 9)
            os.rename(root / "other", root / "file")
        process.kill()
        process.wait()
        server.stop()
    equal(under_way, 6, "uploads that were under way when somebody was killed")
    server = on_port(t, root, port, "last")
    client(t, "put", source, "there:file", ini=setup.partner(t, server.port)).must_succeed()
    files.same(source, root / "file")
    watcher.end()
    equal(files.listing(root), ["file"], "the store")


@test("host", "guest", limit=120)
def a_client_that_was_killed_goes_on_with_the_same_command(t):
    kill_and_go_on(t, "client")


@test("host", limit=120)
def a_server_that_was_killed_is_gone_on_with_also_by_a_client_that_still_runs(t):
    kill_and_go_on(t, "server")


@test("host", limit=120)
def killed_at_random_moments_nothing_wrong_ever_has_the_name(t):
    """Many short uploads, with the killing spread over the whole of one, its end above all."""
    rng = random.Random(7)
    server = setup.server(t)
    ini = setup.partner(t, server.port)
    for turn in range(25):
        name = f"file-{turn}"
        source = files.make(t.path("source"), 2 * MIB + turn, turn)
        watcher = Watcher(t, server.root / name, files.sha256(source))
        process = begin(t, "--streams", "2", source, f"there:{name}", ini=ini)
        time.sleep(rng.uniform(0.01, 0.12))
        process.kill()
        check(process.wait() in (0, -signal.SIGKILL), f"the client failed by itself: {process.stderr.read()}")
        client(t, "put", source, f"there:{name}", ini=ini).must_succeed()
        watcher.end()
        files.same(source, server.root / name)
    equal(leftovers(server.root), [], "leftovers")


@test("host")
def only_what_is_missing_is_sent(t):
    server = setup.server(t)
    source = files.make(t.path("source"), 24 * MIB, 4)
    ini = setup.partner(t, server.port)
    process = begin(t, "--limit-rate", "8M", "--streams", "1", source, "there:file", ini=ini)

    def size():
        return sum(p.stat().st_blocks * 512 for p in server.root.glob(".sluice-up-*[0-9a-f]"))

    wait_for(lambda: size() > 6 * MIB, "that a part of it is there")
    process.kill()
    process.wait()
    server.wait_event("T14W", path="file")
    report = client(t, "put", "--json", source, "there:file", ini=ini).must_succeed().transfer
    check(report["resumed_bytes"] >= 4 * MIB, f"what was there is not told: {report}")
    equal(report["bytes"] + report["resumed_bytes"], 24 * MIB, "bytes in all")
    check(report["verified"], "what was resumed is not verified")
    files.same(source, server.root / "file")
    equal(files.listing(server.root), ["file"], "the store")


@test("host")
def a_source_that_changed_starts_over_and_leaves_nothing_behind(t):
    server = setup.server(t)
    source = files.make(t.path("source"), 12 * MIB, 5)
    ini = setup.partner(t, server.port)
    process = begin(t, "--limit-rate", "4M", "--streams", "1", source, "there:file", ini=ini)
    wait_for(lambda: leftovers(server.root), "that the upload has begun")
    time.sleep(0.5)
    process.kill()
    process.wait()
    server.wait_event("T14W", path="file")
    files.make(source, 12 * MIB, 6)
    report = client(t, "put", "--json", source, "there:file", ini=ini).must_succeed().transfer
    equal(report["bytes"], 12 * MIB, "bytes")
    files.same(source, server.root / "file")
    equal(files.listing(server.root), ["file"], "the store")


@test("host")
def a_source_that_changes_while_it_is_sent_is_noticed(t):
    server = setup.server(t)
    source = files.make(t.path("source"), 6 * MIB, 5)
    ini = setup.partner(t, server.port)
    stop = threading.Event()

    def touch():
        while not stop.is_set():
            with open(source, "r+b") as file:
                file.seek(MIB)
                file.write(os.urandom(10))
            time.sleep(0.02)

    writer = threading.Thread(target=touch)
    writer.start()
    try:
        done = client(t, "put", "--limit-rate", "6M", source, "there:file", ini=ini).must_fail(9)
    finally:
        stop.set()
        writer.join()
    check("changes while it is sent" in done.errors, done.errors)
    equal(files.listing(server.root), [], "the store")
    client(t, "put", source, "there:file", ini=ini).must_succeed()
    files.same(source, server.root / "file")


@test("host", each=["nginx", "Apache"])
def servers_that_take_no_parts_get_the_file_in_one_piece(t, which):
    root = t.make_folder("www")
    if which == "nginx":
        port = nginx(t, root, more="dav_methods PUT DELETE; create_full_put_path on; client_max_body_size 0;")
    else:
        port = apache(t, root)
    source = files.make(t.path("source"), 5 * MIB, 5)
    done = client(t, "put", "--json", source, "there:file", ini=setup.partner(t, port)).must_succeed()
    check("in one piece" in done.transfer["note"], f"nothing is said of it: {done.transfer}")
    files.same(source, root / "file")


@test("host")
def a_disk_that_is_full_is_told_and_what_came_is_kept(t):
    root = t.make_folder("small")
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(root)], capture_output=True, text=True)
    if done.returncode != 0:
        raise Skip(f"no tmpfs can be mounted here: {done.stderr.strip()}")
    t.at_end(subprocess.run, ["umount", "-l", str(root)])
    server = setup.server(t, root)
    ini = setup.partner(t, server.port)
    source = files.make(t.path("source"), 20 * MIB, 5)
    large = files.make(t.path("large"), 40 * MIB, 5)
    refused = client(t, "put", large, "there:large", ini=ini).must_fail(7)
    check("507" in refused.errors, refused.errors)
    equal(leftovers(root), [], "leftovers of what had no room from the first")
    process = begin(t, "--limit-rate", "10M", "--streams", "1", source, "there:file", ini=ini)
    wait_for(lambda: sum(p.stat().st_blocks for p in root.glob(".sluice-up-*[0-9a-f]")) * 512 > 4 * MIB, "a part of it")
    with open(root / "filler", "wb") as filler:
        try:
            while True:
                filler.write(bytes(1 << 16))
                filler.flush()
        except OSError:
            pass
    _, errors = process.communicate(timeout=60)
    equal(process.returncode, 7, f"exit code: {errors}")
    check("507" in errors, errors)
    (root / "filler").unlink(missing_ok=True)
    report = client(t, "put", "--json", source, "there:file", ini=ini).must_succeed().transfer
    check(report["resumed_bytes"] > MIB, f"it began anew: {report}")
    files.same(source, root / "file")
    equal(files.listing(root), ["file"], "the store")
