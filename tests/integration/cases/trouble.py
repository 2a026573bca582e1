"""Disks that are full, read-only or not ours, and files that change meanwhile: it is said, nothing is lost, nothing is wrong.

What stands under a name is, at every moment, either what stood there before or the whole new file: a watcher looks.
"""

import errno
import os
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path

from harness import Skip, check, client, equal, files, setup, test, wait_for
from harness.disk import Disk
from harness.sluice import environment

MIB = 1 << 20
NOBODY = 65534


def mounted(t, name, options="", kind="tmpfs", source="tmpfs"):
    folder = t.make_folder(name)
    done = subprocess.run(["mount", "-t", kind, "-o", options or "defaults", source, folder], capture_output=True, text=True)
    if done.returncode != 0:
        raise Skip(f"{kind} cannot be mounted here: {done.stderr.strip()}")
    t.at_end(subprocess.run, ["umount", "-l", folder])
    return folder


def remount(folder, options):
    subprocess.run(["mount", "-o", f"remount,{options}", folder], check=True, capture_output=True)


def fill(folder, leave):
    """Leaves that many bytes of room."""
    free = shutil.disk_usage(folder).free
    with open(folder / ".ballast", "wb", buffering=0) as ballast:
        for start in range(0, free - leave, MIB):
            try:
                ballast.write(bytes(min(MIB, free - leave - start)))
            except OSError as problem:  # who is writing beside us had the rest, which is as full
                check(problem.errno == errno.ENOSPC and leave == 0, str(problem))
                return


class Watcher:
    """Looks at a name all the time: it may hold only one of the versions that were given."""

    def __init__(self, t, path, *versions):
        self.path, self.sums, self.wrong, self.looks = path, {files.sha256(v) for v in versions}, [], 0
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._look)
        self.thread.start()
        t.at_end(self.end)

    def _look(self):
        while not self.ended.is_set():
            try:
                found = files.sha256(self.path)
            except FileNotFoundError:
                found = None
            if found and found not in self.sums:
                self.wrong.append(found)
            self.looks += 1
            time.sleep(0.01)

    def end(self):
        self.ended.set()
        self.thread.join()
        check(self.looks > 0, "the watcher saw nothing")
        equal(self.wrong, [], f"contents under {self.path} that were never whole")


def ordinary(folder):
    """Names that a user gave: neither private ones of a store nor parts."""
    return [n for n in files.listing(folder) if not Path(n).name.startswith((".sluice-", ".ballast")) and ".part" not in n]


def site(t, root=None):
    server = setup.server(t, root)
    return server, setup.partner(t, server.port)


# -- a full disk --------------------------------------------------------------------------------------------------------

@test("host", each=["small", "large"])
def a_disk_of_the_server_that_is_full_is_told_before_the_body_and_what_is_there_stays(t, size):
    root = mounted(t, "store", "size=16m")
    server, ini = site(t, root)
    old = files.make(t.path("old"), 5000, 1)
    shutil.copy(old, root / "file")
    fill(root, 100_000)
    mine = files.make(t.path("mine"), {"small": 400_000, "large": 8 * MIB}[size], 2)
    Watcher(t, root / "file", old, mine)
    result = client(t, "put", "--json", mine, "there:file", ini=ini).must_fail(7)
    check("507" in result.errors and "full" in result.errors, result.errors)
    check(any("no space" in e["reason"] for e in server.find("T02W", status=507)), f"no event says why: {server.events()[-3:]}")
    files.same(old, root / "file")
    (root / ".ballast").unlink()
    client(t, "put", mine, "there:file", ini=ini).must_succeed()
    files.same(mine, root / "file")
    equal([n for n in files.listing(root) if n != "file"], [], "what is left over")


@test("host")
def a_disk_of_the_server_that_runs_full_in_mid_body_loses_nothing_and_the_rest_goes_when_there_is_room(t):
    root = mounted(t, "store", "size=24m")
    server, ini = site(t, root)
    mine = files.make(t.path("mine"), 12 * MIB, 3)
    Watcher(t, root / "file", mine)
    sender = _start(t, "put", "--limit-rate", "4M", mine, "there:file", ini=ini)
    wait_for(lambda: _bytes_in(root) > MIB, "the first part", 20 * t.run.patience)
    fill(root, 0)
    code, said = _finish(t, sender)
    equal(code, 7, f"exit code: {said}")
    check("full" in said, said)
    equal(ordinary(root), [], "names given")
    (root / ".ballast").unlink()
    transfer = client(t, "put", "--json", mine, "there:file", ini=ini).must_succeed().transfer
    files.same(mine, root / "file")
    check(transfer["bytes"] < 12 * MIB, f"all of it was sent again: {transfer}")


@test("host", each=["small", "large"])
def a_local_disk_that_is_full_is_told_and_what_is_there_stays(t, size):
    here = mounted(t, "here", "size=16m")
    server, ini = site(t)
    old = files.make(t.path("old"), 5000, 1)
    shutil.copy(old, here / "file")
    source = files.make(server.root / "file", {"small": 400_000, "large": 8 * MIB}[size], 2)
    fill(here, 100_000)
    Watcher(t, here / "file", old, source)
    said = client(t, "get", "there:file", here / "file", ini=ini).must_fail(9).errors
    check("No space left" in said, said)
    files.same(old, here / "file")
    (here / ".ballast").unlink()
    client(t, "get", "there:file", here / "file", ini=ini).must_succeed()
    files.same(source, here / "file")
    equal(files.listing(here), ["file"], "what is left over")


@test("host")
def a_local_disk_that_runs_full_in_mid_body_keeps_what_came(t):
    here = mounted(t, "here", "size=24m")
    server, ini = site(t)
    source = files.make(server.root / "file", 12 * MIB, 3)
    Watcher(t, here / "file", source)
    reader = _start(t, "get", "--limit-rate", "4M", "there:file", here / "file", ini=ini)
    wait_for(lambda: _bytes_in(here) > MIB, "the first part", 20 * t.run.patience)
    fill(here, 0)
    code, said = _finish(t, reader)
    equal(code, 9, f"exit code: {said}")
    check("No space left" in said, said)
    equal(ordinary(here), [], "names given")
    (here / ".ballast").unlink()
    client(t, "get", "there:file", here / "file", ini=ini).must_succeed()
    files.same(source, here / "file")
    equal(files.listing(here), ["file"], "what is left over")


# -- a quota -----------------------------------------------------------------------------------------------------------

def as_nobody(t, folder):
    """Lets nobody in, and returns what makes a client's command nobody's, and its configuration for this port."""
    for place in (t.run.folder, t.folder):
        place.chmod(0o755)
    os.chown(folder, NOBODY, NOBODY)
    prefix = ["setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups"]

    def partner(port):
        key = shutil.copy(t.run.pki.client("ecdsa")[1], t.path("nobodys.key"))
        os.chown(key, NOBODY, NOBODY)
        return setup.partner(t, port, key=key)

    return prefix, partner


# tmpfs knows no quota before Linux 6.6, and a kernel may be built without any: Debian's has it, so that is where it is tried.
@test("guest", each=["small", "large"])
def a_quota_of_the_server_that_is_used_up_is_told_and_nothing_is_lost(t, size):
    disk = Disk(t, "store", quota=True)
    as_nobody(t, disk.folder)
    server = setup.server(t, disk.folder, user="nobody", group="nogroup")
    ini = setup.partner(t, server.port)
    old = files.make(t.path("old"), 5000, 1)
    shutil.copy(old, disk.folder / "file")
    ballast = files.make(disk.folder / ".ballast", 3900 << 10)
    os.chown(ballast, NOBODY, NOBODY)
    disk.limit(NOBODY, 4 * MIB)
    mine = files.make(t.path("mine"), {"small": 400_000, "large": 8 * MIB}[size], 2)
    Watcher(t, disk.folder / "file", old, mine)
    said = client(t, "put", mine, "there:file", ini=ini).must_fail(7).errors
    check("507" in said and "quota" in said, said)
    server.wait_event("T02W", status=507, reason="the quota of the store is used up")
    files.same(old, disk.folder / "file")
    disk.limit(NOBODY, 0)
    client(t, "put", mine, "there:file", ini=ini).must_succeed()
    files.same(mine, disk.folder / "file")
    equal(files.listing(disk.folder), [".ballast", "file"], "what is left over")


@test("guest")
def a_quota_of_the_user_that_is_used_up_is_told_and_nothing_is_lost(t):
    disk = Disk(t, "here", quota=True)
    prefix, partner = as_nobody(t, disk.folder)
    server = setup.server(t)
    ini = partner(server.port)
    source = files.make(server.root / "file", 8 * MIB, 2)
    old = files.make(t.path("old"), 5000, 1)
    shutil.copy(old, disk.folder / "file")
    for name, length in (("file", None), (".ballast", 3900 << 10)):
        if length:
            files.make(disk.folder / name, length)
        os.chown(disk.folder / name, NOBODY, NOBODY)
    disk.limit(NOBODY, 4 * MIB)
    Watcher(t, disk.folder / "file", old, source)
    get = [*prefix, t.run.binary, "get", "-c", str(ini), "there:file", str(disk.folder / "file")]
    done = subprocess.run(get, capture_output=True, text=True, env=environment(), timeout=60 * t.run.patience)
    equal(done.returncode, 9, f"exit code: {done.stderr}")
    check("quota" in done.stderr, done.stderr)
    files.same(old, disk.folder / "file")
    disk.limit(NOBODY, 0)
    done = subprocess.run(get, capture_output=True, text=True, env=environment(), timeout=60 * t.run.patience)
    equal(done.returncode, 0, f"exit code: {done.stderr}")
    files.same(source, disk.folder / "file")
    equal(files.listing(disk.folder), [".ballast", "file"], "what is left over")


# -- read-only, and permission lost -------------------------------------------------------------------------------------

@test("host", each=["small", "large"])
def a_store_that_becomes_read_only_is_told_and_served_on(t, size):
    root = mounted(t, "store", "size=64m")
    server, ini = site(t, root)
    old = files.make(root / "file", 5000, 1)
    mine = files.make(t.path("mine"), {"small": 400_000, "large": 8 * MIB}[size], 2)
    remount(root, "ro")
    said = client(t, "put", mine, "there:file", ini=ini).must_fail(6).errors
    check("403" in said, said)
    check(any("read-only" in e["reason"] for e in server.find("T02W", status=403)), "no event says that it is read-only")
    client(t, "get", "there:file", t.path("got"), ini=ini).must_succeed()
    files.same(old, t.path("got"))
    remount(root, "rw")
    client(t, "put", mine, "there:file", ini=ini).must_succeed()
    files.same(mine, root / "file")


@test("host", "guest", each=["small", "large"])
def a_local_folder_that_is_read_only_is_told(t, size):
    server, ini = site(t)
    files.make(server.root / "file", {"small": 400_000, "large": 8 * MIB}[size], 2)
    here = mounted(t, "here", "size=1m")
    remount(here, "ro")
    said = client(t, "get", "there:file", here / "file", ini=ini).must_fail(9).errors
    check("Read-only file system" in said, said)
    equal(files.listing(here), [], "files")


def _written(folder):
    """Bytes up to the last that was written: room that was only asked for does not count."""
    sizes = [0]
    for name in files.listing(folder):
        try:
            sizes.append(os.stat(Path(folder) / name).st_size)
        except FileNotFoundError:
            pass
    return max(sizes)


@test("host", "guest")
def a_disk_of_the_server_that_becomes_read_only_in_mid_body_is_told_and_gone_on_with(t):
    _break_the_servers_disk(t, 1)


@test("host")
def so_it_is_where_it_becomes_read_only_under_several_streams(t):
    _break_the_servers_disk(t, 3)


def _break_the_servers_disk(t, streams):
    disk = Disk(t, "store")
    server, ini = site(t, disk.folder)
    mine = files.make(t.path("mine"), 12 * MIB, 3)
    options = ["--streams", streams, "--limit-rate", "2M"]
    sender = _start(t, "put", *options, mine, "there:file", ini=ini)
    wait_for(lambda: _written(disk.folder) > MIB, "the first part", 40 * t.run.patience)
    disk.fail()
    code, said = _finish(t, sender)
    equal(code, 6, f"exit code: {said}")
    check("403" in said, said)
    check([e for e in server.events() if "read-only" in e.get("reason", "")], "no event says that it is read-only")
    equal(ordinary(disk.folder), [], "names given")
    server.stop()
    disk.repair()
    server, ini = site(t, disk.folder)
    client(t, "put", mine, "there:file", ini=ini).must_succeed()
    files.same(mine, disk.folder / "file")
    equal(files.listing(disk.folder), ["file"], "what is left over")
    server.stop()


@test("host", "guest")
def a_local_disk_that_becomes_read_only_in_mid_body_is_told_and_gone_on_with(t):
    _break_the_local_disk(t, 1)


@test("host")
def so_it_is_where_the_local_one_becomes_read_only_under_several_streams(t):
    _break_the_local_disk(t, 3)


def _break_the_local_disk(t, streams):
    disk = Disk(t, "here")
    server, ini = site(t)
    source = files.make(server.root / "file", 12 * MIB, 3)
    what = ["there:file", disk.folder / "file"]
    reader = _start(t, "get", "--streams", streams, "--limit-rate", "2M", *what, ini=ini)
    wait_for(lambda: _written(disk.folder) > MIB, "the first part", 40 * t.run.patience)
    disk.fail()
    code, said = _finish(t, reader)
    equal(code, 9, f"exit code: {said}")
    check("Read-only file system" in said, said)
    equal(ordinary(disk.folder), [], "names given")
    disk.repair()
    client(t, "get", *what, ini=ini).must_succeed()
    files.same(source, disk.folder / "file")
    equal(files.listing(disk.folder), ["file"], "what is left over")


@test("host")
def permission_lost_between_two_parts_is_told_and_nothing_is_named(t):
    """The server is nobody, and its folder stops being so while an upload is under way."""
    if os.geteuid() != 0:
        raise Skip("only root can take a folder away from the server's user")
    root = t.make_folder("store")
    for folder in (t.run.folder, t.folder, root):
        folder.chmod(0o755)
    os.chown(root, NOBODY, NOBODY)
    server = setup.server(t, root, user="nobody", group="nogroup")
    ini = setup.partner(t, server.port)
    mine = files.make(t.path("mine"), 6 * MIB, 2)
    sender = _start(t, "put", "--limit-rate", "3M", mine, "there:file", ini=ini)
    wait_for(lambda: _bytes_in(root) > 0, "the first part", 20 * t.run.patience)
    os.chown(root, 0, 0)
    code, said = _finish(t, sender)
    check(code in (6, 7) and "40" in said, f"exit code {code}: {said}")
    check(server.find("T02W", status=403), "no event says that the server may not write")
    equal(ordinary(root), [], "names given")
    os.chown(root, NOBODY, NOBODY)
    client(t, "put", mine, "there:file", ini=ini).must_succeed()
    files.same(mine, root / "file")


@test("host")
def a_file_that_may_not_be_read_any_more_is_told(t):
    if os.geteuid() != 0:
        raise Skip("only root can take a file away from the server's user")
    root = t.make_folder("store")
    for folder in (t.run.folder, t.folder, root):
        folder.chmod(0o755)
    server = setup.server(t, root, user="nobody", group="nogroup")
    ini = setup.partner(t, server.port)
    files.make(root / "file", 300_000, 2).chmod(0o600)
    said = client(t, "get", "there:file", t.path("got"), ini=ini).must_fail(6).errors
    check("403" in said, said)
    check("may not read" in server.wait_event("T02W", status=403)["reason"], "the reason is another")
    check(not t.path("got").exists(), "a file took the name")


# -- a source that changes ----------------------------------------------------------------------------------------------

def _start(t, *arguments, ini):
    command = [t.run.binary, arguments[0], "-c", ini, "--json", *arguments[1:]]
    process = subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True, errors="replace", env=environment())
    t.at_end(lambda: (process.kill(), process.wait(), process.stdout.close()))
    return process


def _finish(t, process):
    said, _ = process.communicate(timeout=50 * t.run.patience)
    return process.returncode, said


def _bytes_in(folder):
    total = 0
    for name in files.listing(folder):
        try:
            total += os.stat(Path(folder) / name).st_blocks * 512
        except FileNotFoundError:
            pass
    return total


def _change(path, how):
    if how == "truncated":
        os.truncate(path, os.stat(path).st_size // 8)
    elif how == "grown":
        with open(path, "ab") as out:
            out.write(bytes(MIB))
    elif how == "rewritten":  # the same size
        with open(path, "r+b") as out:
            out.seek(os.stat(path).st_size // 2)
            out.write(b"something else" * 1000)
    else:
        new = path.with_name("new")
        files.make(new, os.stat(path).st_size, 99)
        os.replace(new, path)


CHANGES = ["truncated", "grown", "rewritten", "replaced"]
TOUCHED_DURING = [f"{how} {streams}" for how in CHANGES for streams in (1, 3)]


@test("host", each=TOUCHED_DURING)
def a_source_that_changes_during_a_get_is_never_mixed(t, which):
    how, streams = which.split()
    server, ini = site(t)
    source = files.make(server.root / "file", 8 * MIB, 1)
    before = shutil.copy(source, t.path("before"))
    here = t.make_folder("here")
    reader = _start(t, "get", "-v", "--streams", streams, "--limit-rate", "4M", "there:file", here / "file", ini=ini)
    wait_for(lambda: _bytes_in(here) > MIB, "the first part", 20 * t.run.patience)
    _change(source, how)
    code, said = _finish(t, reader)
    wholes = {files.sha256(before), files.sha256(source)}
    if (here / "file").exists():
        check(files.sha256(here / "file") in wholes, "what took the name is neither version")
        equal(code, 0, f"exit code: {said}")
    else:
        check(code in (6, 7, 8), f"exit code {code}: {said}")
    if how == "truncated":
        check(any("shorter" in e["reason"] for e in server.find("T01E")), "no event of the server says that it became shorter")
    if code != 0:  # and it starts over by itself, or with the next call
        client(t, "get", "there:file", here / "file", ini=ini).must_succeed()
        files.same(source, here / "file")
    equal(files.listing(here), ["file"], "what is left over")


@test("host", each=TOUCHED_DURING)
def a_source_that_changes_during_a_put_is_never_mixed(t, which):
    how, streams = which.split()
    server, ini = site(t)
    mine = files.make(t.path("mine"), 8 * MIB, 1)
    before = shutil.copy(mine, t.path("before"))
    sender = _start(t, "put", "-v", "--streams", streams, "--limit-rate", "4M", mine, "there:file", ini=ini)
    wait_for(lambda: _bytes_in(server.root) > MIB, "the first part", 20 * t.run.patience)
    _change(mine, how)
    code, said = _finish(t, sender)
    target = server.root / "file"
    if target.exists():
        check(files.sha256(target) in {files.sha256(before), files.sha256(mine)}, "what took the name is neither version")
        equal(code, 0, f"exit code: {said}")
    else:
        equal(code, 9, f"exit code: {said}")
        check("chang" in said or "shorter" in said, said)
    client(t, "put", mine, "there:file", ini=ini).must_succeed()
    files.same(mine, target)
    equal(ordinary(server.root), ["file"], "names given")


@test("host", each=[1, 3])
def a_link_that_is_turned_to_another_file_during_a_put_is_never_mixed(t, streams):
    server, ini = site(t)
    one, other = files.make(t.path("one"), 8 * MIB, 1), files.make(t.path("other"), 8 * MIB, 2)
    for file in (one, other):  # nothing but the bytes tells them apart
        os.utime(file, (1500000000, 1500000000))
    link = t.path("link")
    link.symlink_to(one)
    sender = _start(t, "put", "--streams", streams, "--limit-rate", "4M", link, "there:file", ini=ini)
    wait_for(lambda: _bytes_in(server.root) > MIB, "the first part", 20 * t.run.patience)
    turned = t.path("turned")
    turned.symlink_to(other)
    os.replace(turned, link)
    code, said = _finish(t, sender)
    equal(code, 0, f"exit code: {said}")
    files.same(one, server.root / "file")  # it was open
    equal(files.listing(server.root), ["file"], "the store")


# -- times that make no sense -------------------------------------------------------------------------------------------

TIMES = {"the epoch": 0, "before it": -86400 * 365, "far ahead": 4102444800, "beyond 32 bits": 1 << 33}


@test("host", each=list(TIMES))
def a_file_from_another_time_is_moved_like_any_other(t, which):
    server, ini = site(t)
    source = files.make(server.root / "file", 3 * MIB, 1)
    os.utime(source, (TIMES[which], TIMES[which]))
    client(t, "get", "there:file", t.path("got"), ini=ini).must_succeed()
    files.same(source, t.path("got"))
    os.utime(t.path("got"), (TIMES[which], TIMES[which]))
    client(t, "put", t.path("got"), "there:back", ini=ini).must_succeed()
    files.same(source, server.root / "back")


@test("host", each=["back", "ahead"])
def a_clock_that_jumps_between_two_tries_mixes_nothing(t, way):
    """A part from "tomorrow" or "long ago", and a source whose time went the same way: what counts is that it changed."""
    server, ini = site(t)
    source = files.make(server.root / "file", 8 * MIB, 1)
    here = t.make_folder("here")
    reader = _start(t, "get", "--limit-rate", "4M", "there:file", here / "file", ini=ini)
    wait_for(lambda: _bytes_in(here) > 2 * MIB, "the first part", 20 * t.run.patience)
    reader.send_signal(signal.SIGTERM)
    _finish(t, reader)
    check(any(name.endswith(".part") for name in files.listing(here)), "nothing was kept")
    shift = -86400 if way == "back" else 86400
    now = time.time() + shift
    for name in files.listing(here):
        os.utime(here / name, (now, now))
    files.make(source, 8 * MIB, 2)
    os.utime(source, (now, now))
    client(t, "get", "there:file", here / "file", ini=ini).must_succeed()
    files.same(source, here / "file")
    equal(files.listing(here), ["file"], "what is left over")
