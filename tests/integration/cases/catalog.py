"""The catalog: what was transferred is found again as it was, and nothing that happens to the file holds up a transfer."""

import os
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time
from pathlib import Path

from harness import Skip, check, client, equal, files, setup, test, wait_for
from harness import pki, rows
from harness.sluice import Server

MIB = 1 << 20


class Catalog:
    """A file, and what `sluice history` and `sluice show` say of it."""

    def __init__(self, t, name="catalog.db"):
        self.t, self.file = t, t.path(name)

    def list(self, *arguments):
        return client(self.t, "history", "-f", self.file, "--json", *arguments).must_succeed().transfers

    def wait(self, count, *arguments):
        """So many rows, the oldest first: a server writes them a moment later."""
        return wait_for(lambda: (found := self.list(*arguments)) and len(found) == count and found,
                        f"{count} rows of history {' '.join(arguments)}", 10 * self.t.run.patience)[::-1]

    def locked(self):
        lock = sqlite3.connect(self.file, isolation_level=None)
        lock.execute("BEGIN EXCLUSIVE")
        return lock


def serving(t, catalog, **how):
    server = setup.server(t, catalog=catalog.file, **how)
    files.make(server.root / "file", 300_000, 3)
    return server


def fetch(t, ini, *options):
    """The file, anew: what is there already need not be moved."""
    t.path("got").unlink(missing_ok=True)
    return client(t, "get", *options, "there:file", t.path("got"), ini=ini).must_succeed()


def recording_partner(t, server, catalog):
    ini = setup.partner(t, server.port)
    ini.write_text(f"[server]\ncatalog = {catalog.file.name}\n" + ini.read_text())
    return ini


# -- the facts --------------------------------------------------------------------------------------------------------


@test("host", "guest")
def the_server_records_what_goes_out_and_comes_in(t):
    catalog = Catalog(t)
    fingerprint = pki.fingerprint(t.run.pki.client()[0])
    server = serving(t, catalog, more={"partner node7": {"match_fingerprint": fingerprint}})
    ini = setup.partner(t, server.port)
    client(t, "get", "there:file", t.path("got"), ini=ini).must_succeed()
    mine = files.make(t.path("mine"), 20_000, 4)
    client(t, "put", mine, "there:new", ini=ini).must_succeed()
    client(t, "get", "there:missing", t.path("got"), ini=ini).must_fail(6)
    out, into, refused = [e for e in catalog.wait(3)]
    event = server.wait_event("T01I", path="file")
    equal(out["id"], event["transfer"], "the id in the event")
    for key, value in {"state": "done", "direction": "out", "kind": "file", "role": "server", "partner": "node7",
                       "user": None, "remote": "file", "local": None, "size": 300_000, "offset": 0, "bytes": 300_000,
                       "status": event["status"], "protocol": "main", "event": "T01I", "authentication": "mutual",
                       "path": event["pump"], "tx": event["tx"], "rx": event["rx"], "version": event["version"],
                       "suite": event["suite"], "subject": event["subject"], "peer": event["peer"]}.items():
        equal(out[key], value, f"{key} of what went out")
    check(out["queued"] <= out["begun"] <= out["ended"], f"its times are in order: {out}")
    for key, value in {"state": "done", "direction": "in", "remote": "new", "size": 20_000, "bytes": 20_000,
                       "status": 201, "partner": "node7"}.items():
        equal(into[key], value, f"{key} of what came in")
    for key, value in {"state": "failed", "direction": "out", "remote": "missing", "status": 404, "bytes": 0,
                       "event": "T02W", "reason": "no such file"}.items():
        equal(refused[key], value, f"{key} of what was refused")
    check(out["id"] < into["id"] < refused["id"], "ids grow with time")


@test("host", "guest")
def the_client_records_what_it_does_with_partners(t):
    catalog = Catalog(t, "ours.db")
    server = setup.server(t)
    source = files.make(server.root / "file", 300_000, 3)
    ini = recording_partner(t, server, catalog)
    told = client(t, "get", "--json", "there:file", t.path("got"), ini=ini).must_succeed().transfer
    client(t, "put", t.path("got"), "there:new", ini=ini).must_succeed()
    client(t, "get", "there:missing", t.path("other"), ini=ini).must_fail(6)
    got, put, failed = catalog.wait(3)
    for key, value in {"state": "done", "direction": "in", "role": "client", "partner": "there", "remote": "file",
                       "local": str(t.path("got")), "size": 300_000, "bytes": 300_000, "status": told["status"], "code": 0,
                       "event": "T01I", "path": told["path"], "tx": told["tx"], "rx": told["rx"],
                       "version": told["version"], "suite": told["suite"], "authentication": "mutual",
                       "peer": f"localhost:{server.port}"}.items():
        equal(got[key], value, f"{key} of what was fetched")
    check("CN=" in got["subject"], f"whose certificate it was: {got['subject']}")
    equal((put["state"], put["direction"], put["remote"], put["bytes"]), ("done", "out", "new", 300_000), "what was sent")
    equal(put["digest"], f"sha-256:{files.sha256(source)}", "the digest of what was verified")
    equal((failed["state"], failed["code"], failed["status"]), ("failed", 6, 404), "what failed")
    check("404" in failed["reason"], f"why: {failed['reason']}")
    shown = client(t, "show", "-f", catalog.file, got["id"]).must_succeed().output
    for text in (got["id"], "there", "300000 bytes (300 kB)", "TLS", "mutual", time.strftime("%z")):
        check(text in shown, f"{text} in {shown}")


@test("host")
def what_went_over_several_streams_is_one_record_at_the_client(t):
    catalog, theirs = Catalog(t), Catalog(t, "theirs.db")
    server = setup.server(t, catalog=theirs.file)
    source = files.make(server.root / "file", 8 * MIB, 3)
    ini = recording_partner(t, server, catalog)
    client(t, "get", "--streams", "3", "there:file", t.path("got"), ini=ini).must_succeed()
    client(t, "put", "--streams", "3", t.path("got"), "there:new", ini=ini).must_succeed()
    for row in catalog.wait(2):
        equal((len(row["streams"]), sum(row["streams"]), row["bytes"], row["size"]), (3, 8 * MIB, 8 * MIB, 8 * MIB),
              f"streams and bytes of {row['direction']}")
    (into,) = theirs.wait(1, "--direction", "in")
    equal((into["bytes"], into["size"], into["digest"]), (8 * MIB, 8 * MIB, f"sha-256:{files.sha256(source)}"),
          "what the server says of an upload in parts")
    ranges = theirs.list("--direction", "out")
    equal(sum(row["bytes"] for row in ranges), 8 * MIB, "the ranges that the server sent")
    check(all(row["size"] == 8 * MIB and row["offset"] + row["bytes"] <= 8 * MIB for row in ranges), f"where: {ranges}")


@test("host")
def each_file_of_a_tree_is_recorded(t):
    catalog = Catalog(t)
    server = setup.server(t)
    ini = recording_partner(t, server, catalog)
    folder = t.make_folder("tree")
    for n in range(20):
        files.make(folder / f"f{n}", 100 + n, n)
    client(t, "put", "-r", folder, "there:", ini=ini).must_succeed()
    found = catalog.wait(20)
    equal(sorted((e["remote"], e["bytes"], e["state"]) for e in found),
          sorted((f"tree/f{n}", 100 + n, "done") for n in range(20)), "what was recorded")


@test("host")
def names_are_any_bytes_and_come_out_escaped(t):
    catalog = Catalog(t)
    server = serving(t, catalog)
    name = b"a\x1b[31m\xff\n\"b"
    (server.root / os.fsdecode(name)).write_bytes(b"x")
    ini = setup.partner(t, server.port)
    done = subprocess.run([t.run.binary, "get", "-c", ini, b"there:" + name, t.path("got")], capture_output=True)
    equal(done.returncode, 0, f"the exit code ({done.stderr})")
    (row,) = catalog.wait(1)
    equal(bytes.fromhex(row["remote_hex"]), name, "the name")
    plain = client(t, "history", "-f", catalog.file).must_succeed().output
    check("a\\x1b[31m\\xff\\x0a\"b" in plain and "\x1b" not in plain, f"escaped: {plain!r}")
    shown = client(t, "show", "-f", catalog.file, row["id"]).must_succeed().output
    check("a\\x1b[31m\\xff\\x0a\"b" in shown, f"escaped: {shown!r}")


@test("host")
def strangers_who_are_refused_fill_no_file(t):
    catalog = Catalog(t)
    server = serving(t, catalog, anonymous="read", server_profile={"verify": "optional"})
    for path in ("missing", "file"):
        subprocess.run(["curl", "-s", "--cacert", t.run.pki.certificate, "-o", "/dev/null",
                        f"https://localhost:{server.port}/{path}"], check=True)
    subprocess.run(["curl", "-s", "--cacert", t.run.pki.certificate, "-I", "-o", "/dev/null",
                    f"https://localhost:{server.port}/file"], check=True)
    subprocess.run(["curl", "-s", "--cacert", t.run.pki.certificate, "-o", "/dev/null",
                    f"https://localhost:{server.port}/"], check=True)
    time.sleep(0.5)
    (row,) = catalog.wait(1)
    equal((row["remote"], row["authentication"], row["user"], row["partner"]), ("file", "server", None, None), "the row")


@test("host")
def filters_find_what_they_say(t):
    catalog = Catalog(t)
    server = serving(t, catalog)
    ini = recording_partner(t, server, catalog)  # both sides in one file
    client(t, "get", "there:file", t.path("got"), ini=ini).must_succeed()
    client(t, "get", "there:missing", t.path("got"), ini=ini).must_fail(6)
    catalog.wait(3)  # our two, the server's one: a visitor without a name is refused
    equal(len(catalog.list("--partner", "there")), 2, "with the partner")
    equal(len(catalog.list("--state", "failed")), 1, "failed")
    equal(len(catalog.list("--state", "failed", "--state", "done")), 3, "failed or done")
    equal(len(catalog.list("--direction", "out")), 1, "out")
    equal(len(catalog.list("--limit", "1")), 1, "one")
    equal(len(catalog.list("--since", "1h")), 3, "since an hour")
    equal(len(catalog.list("--since", "2199-01-01")), 0, "since the future")
    for wrong in (["--state", "gone"], ["--direction", "up"], ["--since", "soon"], ["--limit", "-1"], ["more"],
                  ["--purge", "1d", "--state", "done"]):
        client(t, "history", "-f", catalog.file, *wrong).must_fail(2)
    client(t, "show", "-f", catalog.file, "3zzzzzzzzzzzz").must_fail(1)
    client(t, "show", "-f", catalog.file, "x").must_fail(2)
    client(t, "history", "-f", t.path("none")).must_fail(9)
    client(t, "history", ini=setup.partner(t, 1)).must_fail(3)
    out = client(t, "history", "-f", catalog.file, "--purge", "2199-01-01").must_succeed().output
    check(out.startswith("3 removed"), out)
    equal(catalog.list(), [], "what is left")


@test("host")
def what_ended_longer_ago_than_is_to_be_kept_is_removed(t):
    catalog = Catalog(t)
    server = serving(t, catalog)
    fetch(t, setup.partner(t, server.port))
    catalog.wait(1)
    rows.fill(catalog.file, 3000)
    ago = 2 * 86400 * 1_000_000
    with sqlite3.connect(catalog.file, timeout=30) as file:
        file.execute(f"UPDATE transfer SET id = id - ({ago} << 11), queued = queued - {ago}, begun = begun - {ago},"
                     f" ended = ended - {ago} WHERE partner IS NOT NULL")
    file.close()
    equal(len(catalog.list("--limit", "0")), 3001, "what is there")
    server.ini.write_text(server.ini.read_text().replace("[server]", "[server]\ncatalog_keep_days = 1"))
    server.process.send_signal(signal.SIGHUP)
    server.wait_event("C05I", 20 * t.run.patience, records=3000)
    equal([row["remote"] for row in catalog.list("--limit", "0")], ["file"], "what is left")


# -- what is done to the file -----------------------------------------------------------------------------------------


@test("host")
def what_a_killed_server_was_at_has_failed(t):
    catalog = Catalog(t)
    server = serving(t, catalog)
    files.make(server.root / "large", 8 * MIB, 5)
    ini = setup.partner(t, server.port)
    fetch = subprocess.Popen([t.run.binary, "get", "-q", "-c", ini, "--limit-rate", "1M", "there:large", t.path("got")],
                             stderr=subprocess.DEVNULL)
    try:
        (row,) = catalog.wait(1, "--state", "running")
        equal((row["remote"], row["size"], row["ended"]), ("large", 8 * MIB, None), "what runs")
        server.kill()
        (row,) = catalog.wait(1)
    finally:
        fetch.kill()
        fetch.wait()
    equal((row["state"], row["event"]), ("failed", "C04W"), "what the next who opens it says")
    check("ended without a word" in row["reason"], row["reason"])


@test("host")
def a_transfer_that_is_cut_off_is_recorded_as_failed(t):
    catalog = Catalog(t)
    server = serving(t, catalog)
    files.make(server.root / "large", 8 * MIB, 5)
    ini = setup.partner(t, server.port)
    fetch = subprocess.Popen([t.run.binary, "get", "-q", "-c", ini, "--limit-rate", "1M", "there:large", t.path("got")],
                             stderr=subprocess.DEVNULL)
    catalog.wait(1, "--state", "running")
    fetch.kill()
    fetch.wait()
    row = wait_for(lambda: catalog.list("--state", "failed"), "the end of the transfer", 30)[0]
    equal((row["direction"], row["event"]), ("out", "T01E"), "the row")
    check(row["reason"] and row["bytes"] < 8 * MIB, f"why, and how far: {row}")


@test("host")
def a_locked_catalog_holds_up_no_transfer(t):
    catalog = Catalog(t)
    server = serving(t, catalog)
    ini = setup.partner(t, server.port)
    lock = catalog.locked()
    fetch(t, ini)
    event = server.wait_event("C02W")
    check("locked" in event["reason"], event["reason"])
    fetch(t, ini)
    lock.rollback()
    lock.close()
    server.wait_event("C01I", 30)
    catalog.wait(2)
    equal(server.find("C03W"), [], "what was lost")


@test("host")
def a_client_says_what_it_could_not_record(t):
    catalog = Catalog(t)
    server = setup.server(t)
    files.make(server.root / "file", 1000, 3)
    ini = recording_partner(t, server, catalog)
    fetch(t, ini)
    lock = catalog.locked()
    said = fetch(t, ini).errors
    lock.close()
    check("C02W" in said and "C03W" in said and "path=file" in said, f"it says so: {said}")
    ini.write_text(ini.read_text().replace("catalog = catalog.db", "catalog = nowhere/catalog.db"))
    began = time.monotonic()
    said = fetch(t, ini).errors
    check("make the directory" in said and "C03W" in said, f"it says so: {said}")
    quiet = fetch(t, ini, "-q")
    equal(quiet.errors, "", "what -q leaves")


@test("host")
def a_damaged_catalog_is_set_aside(t):
    catalog = Catalog(t)
    server = serving(t, catalog)
    ini = setup.partner(t, server.port)
    fetch(t, ini)
    catalog.wait(1)
    server.stop()
    size = catalog.file.stat().st_size
    check(size > 8192, "it was written")
    with open(catalog.file, "r+b") as damaged:
        damaged.write(os.urandom(size))
    server = serving(t, catalog, name="again")
    ini = setup.partner(t, server.port)
    event = server.wait_event("C02W")
    check(".damaged-" in event["aside"] and os.path.getsize(event["aside"]) == size, f"where it is: {event}")
    fetch(t, ini)
    catalog.wait(1)
    # and while it runs
    for part in ("", "-wal", "-shm"):
        os.unlink(f"{catalog.file}{part}")
    catalog.file.write_bytes(os.urandom(5000))
    fetch(t, ini)
    wait_for(lambda: len(server.find("C02W")) == 2, "the second one")
    fetch(t, ini)
    catalog.wait(2)


def small_disk(t):
    small = t.make_folder("small")
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=600k", "none", small],
                                           capture_output=True).returncode:
        raise Skip("a small file system takes root, and the right to mount one")
    t.at_end(subprocess.run, ["umount", "-l", small])
    return small


def fill(small):
    with open(small / "filler", "wb", buffering=0) as filler:
        try:
            while True:
                filler.write(b"\0" * 4096)
        except OSError:
            pass


@test("host")
def a_full_disk_holds_up_no_transfer(t):
    small = small_disk(t)
    catalog = Catalog(t, "small/catalog.db")
    server = serving(t, catalog)
    ini = setup.partner(t, server.port)
    fetch(t, ini)
    catalog.wait(1)
    fill(small)
    for _ in range(40):
        fetch(t, ini)
        if server.find("C02W"):
            break
        time.sleep(0.25)
    event = server.wait_event("C02W")
    check("make room" in event["reason"], event["reason"])
    before = len(server.find("T01I"))
    (small / "filler").unlink()
    server.wait_event("C01I", 60)
    catalog.wait(before)
    equal(server.find("C03W"), [], "what was lost")


@test("host")
def on_a_full_disk_messages_and_the_queue_say_what_they_cannot_take(t):
    small = small_disk(t)
    catalog = Catalog(t, "small/catalog.db")
    fingerprint = pki.fingerprint(t.run.pki.client()[0])
    server = serving(t, catalog, more={"partner node7": {"match_fingerprint": fingerprint}})
    ini = recording_partner(t, server, catalog)
    ini.write_text(ini.read_text().replace("catalog = catalog.db", "catalog = small/catalog.db"))
    fill(small)
    refused = queued = None
    for n in range(200):  # until the pages that SQLite has already are used up
        refused = refused or client(t, "message", "there", f"{n} " + "x" * 4000, ini=ini)
        if refused.code == 0:
            refused = None
        queued = client(t, "put", "--queue", server.root / "file", f"there:copy-{n}", ini=ini)
        if refused and queued.code:
            break
    check(refused, "a message was refused")
    equal((refused.code, queued.code), (7, 9), "the exit codes")
    check("507" in refused.errors, f"the answer to a message: {refused.errors}")
    check("make room" in queued.errors, f"what is said to who queues: {queued.errors}")
    check("make room" in server.wait_event("M02W")["reason"], "the event about the message")
    before = len(server.find("T01I", direction="out"))
    client(t, "get", "-q", "there:file", t.path("got"), ini=ini).must_succeed()
    equal(len(server.find("T01I", direction="out")), before + 1, "transfers that went on")
    (small / "filler").unlink()
    client(t, "message", "there", "at last", ini=ini).must_succeed()


@test("host", limit=120)
def a_catalog_that_somebody_locks_for_half_a_minute_holds_up_nothing_and_misses_nothing(t):
    catalog = Catalog(t)
    server = serving(t, catalog)
    ini = setup.partner(t, server.port)
    fetch(t, ini)
    catalog.wait(1)
    lock = catalog.locked()
    began, count, slowest = time.monotonic(), 1, 0
    while time.monotonic() - began < 30:
        one = time.monotonic()
        fetch(t, ini)
        slowest, count = max(slowest, time.monotonic() - one), count + 1
        time.sleep(0.5)
    lock.rollback()
    lock.close()
    check(slowest < 10 * t.run.patience, f"the slowest transfer took {slowest:.1f} s")
    check("locked" in server.wait_event("C02W")["reason"], "why nothing could be recorded")
    server.wait_event("C01I", 30 * t.run.patience)
    catalog.wait(count, "--limit", "0")
    equal(server.find("C03W"), [], "what was lost")


@test("host")
def the_queue_goes_on_with_the_new_catalog_where_the_old_one_was_damaged(t):
    catalog = Catalog(t)
    there = setup.server(t, name="there")
    sections = setup.site(t, name="here", more={
        "client-profile std": setup.profiles(t)["client-profile std"],
        "partner there": {"host": f"localhost:{there.port}", "profile": "std"},
    })
    sections["server"]["catalog"] = catalog.file
    here = Server(t, sections, "here")
    files.make(t.path("a"), 1000, 1)
    one = client(t, "put", "--queue", t.path("a"), "there:one", ini=here.ini).must_succeed().output.split()[1]
    here.wait_event("Q01I", transfer=one)
    for part in ("", "-wal", "-shm"):
        Path(f"{catalog.file}{part}").unlink(missing_ok=True)
    catalog.file.write_bytes(os.urandom(5000))
    client(t, "put", "--queue", t.path("a"), "there:lost", ini=here.ini).must_fail(9)
    fetch_from = setup.partner(t, here.port)
    files.make(sections["store main"]["root"] / "file", 1000, 2)
    client(t, "get", "there:file", t.path("got"), ini=fetch_from).must_succeed()  # whose record meets the damage
    event = here.wait_event("C02W")
    check(".damaged-" in event["aside"], f"where the old one is: {event}")
    two = wait_for(lambda: (done := client(t, "put", "--queue", t.path("a"), "there:two", ini=here.ini)).code == 0 and done,
                   "a catalog that takes it", 20 * t.run.patience).output.split()[1]
    here.wait_event("Q01I", 20 * t.run.patience, transfer=two)
    equal((there.root / "two").read_bytes(), t.path("a").read_bytes(), "the file")


@test("host")
def a_catalog_that_can_never_be_written_stops_the_start(t):
    for file, said in ((t.path("nowhere/catalog.db"), "does not exist"), (t.path("other.db"), "another program")):
        if "other" in file.name:
            other = sqlite3.connect(file)
            other.execute("CREATE TABLE t(x)")
            other.close()
        ini = setup.site_file(t, name=f"site-{file.parent.name}", catalog=file)
        done = subprocess.run([t.run.server_binary, "serve", "-c", ini], capture_output=True, text=True, timeout=30)
        equal(done.returncode, 3, f"the exit code ({done.stderr})")
        check(said in done.stderr and str(file.parent) in done.stderr, done.stderr)
    done = client(t, "check", ini=setup.site_file(t, name="checked", catalog=t.path("nowhere/catalog.db")))
    check(done.code != 0 and "does not exist" in done.output + done.errors, f"sluice check: {done.output}{done.errors}")


@test("host")
def a_reload_keeps_the_catalog(t):
    catalog = Catalog(t)
    server = serving(t, catalog)
    ini = setup.partner(t, server.port)
    fetch(t, ini)
    server.ini.write_text(server.ini.read_text().replace("catalog.db", "another.db"))
    server.process.send_signal(signal.SIGHUP)
    server.wait_event("S10I")
    server.wait_event("S11W", setting="catalog")
    fetch(t, ini)
    catalog.wait(2)
    check(not t.path("another.db").exists(), "the other is not made")


@test("host")
def the_catalog_is_the_servers_users(t):
    if os.geteuid() != 0:
        raise Skip("only root can become another user")
    place = Path(tempfile.mkdtemp(dir="/var/tmp"))  # where everybody gets
    t.at_end(shutil.rmtree, place, True)
    place.chmod(0o755)
    folder, root = place / "catalogs", place / "store"
    folder.mkdir(mode=0o700)
    root.mkdir()
    catalog = Catalog(t)
    catalog.file = folder / "catalog.db"
    server = setup.server(t, root=root, catalog=catalog.file, user="nobody")
    files.make(root / "file", 1000, 3)
    (root / "file").chmod(0o644)
    client(t, "get", "there:file", t.path("got"), ini=setup.partner(t, server.port)).must_succeed()
    catalog.wait(1)
    equal({p.name: (p.stat().st_uid == os.stat("/proc/%d" % server.process.pid).st_uid, p.stat().st_mode & 0o777)
           for p in folder.iterdir()},
          {f"catalog.db{part}": (True, 0o600) for part in ("", "-wal", "-shm", ".owners")}, "whose files, which modes")


# -- many -------------------------------------------------------------------------------------------------------------


@test("host", limit=120)
def a_million_transfers_are_answered_for_at_once(t):
    catalog = Catalog(t)
    server = setup.server(t)
    files.make(server.root / "file", 1000, 3)
    ini = recording_partner(t, server, catalog)
    fetch(t, ini)
    rows.fill(catalog.file, 1_000_000)
    (row,) = catalog.list("--partner", "partner-33", "--state", "failed", "--limit", "1") or [None]
    questions = ([], ["--limit", "1000"], ["--partner", "partner-33"], ["--state", "failed"], ["--state", "held"],
                 ["--direction", "in"], ["--since", "2h"], ["--partner", "nobody"],
                 ["--partner", "partner-33", "--state", "failed"],
                 ["--partner", "partner-33", "--direction", "in", "--since", "7d"])
    slowest = 0
    for question in questions:
        began = time.monotonic()
        found = catalog.list(*question)
        took = time.monotonic() - began
        slowest = max(slowest, took)
        check(took < 1 * t.run.patience, f"history {' '.join(question)} took {took:.2f} s for {len(found)} rows")
    began = time.monotonic()
    client(t, "show", "-f", catalog.file, row["id"]).must_succeed()
    took = time.monotonic() - began
    check(took < 1 * t.run.patience, f"show took {took:.2f} s")
    fetch(t, ini)
    equal(catalog.list("--limit", "1")[0]["partner"], "there", "the newest, which was written into the million")
