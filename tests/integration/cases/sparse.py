"""Files with holes: they keep them in both directions, and nobody moves the zeros."""

import base64
import hashlib
import os
import random
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from harness import Skip, check, client, equal, files, setup, test, wait_for
from harness.sluice import environment
from harness.wire import Wire

MIB = 1 << 20
GIB = 1 << 30
SLACK = 256 << 10  # of room: what a file system needs beside the data


def room(path):
    return os.stat(path).st_blocks * 512


def make(path, size, runs, seed=1):
    """A file with `runs` of data, each (first, length), and holes between. Returns how much data that is."""
    rng, total = random.Random(seed), 0
    with open(path, "wb") as out:
        for first, length in runs:
            out.seek(first)
            out.write(rng.randbytes(length))
            total += length
        out.truncate(size)
        os.fsync(out.fileno())
    os.utime(path, ns=(1_500_000_000_000_000_000, 1_500_000_000_000_000_000))
    if room(path) > total + SLACK:
        raise Skip("this file system keeps no holes")
    return total


def large(path, size=GIB):
    """With 3 MiB of data: at its beginning, in its midst and at its end."""
    return make(path, size, [(0, MIB), (size // 3 // 4096 * 4096, MIB), (size - MIB, MIB)])


def kept_its_holes(path, source, data):
    files.same(path, source)
    check(room(path) <= data + SLACK, f"{path} takes {room(path)} bytes of room for {data} of data")


def moved_little(report, data, size):
    check(report["bytes"] <= data + SLACK, f"{report['bytes']} bytes were moved for {data} of data")
    equal(report["bytes"] + report["resumed_bytes"] + report["hole_bytes"], size, "moved, there before and holes")


def sent(server, **which):
    return sum(event["bytes"] for event in server.find("T01I", direction="out", **which))


def options(how):
    return how.split() if how.startswith("-") else []


def on_a_disk(t):
    """A folder that is not in memory, where room is asked for beforehand and given back."""
    folder = tempfile.mkdtemp(prefix="sluice-sparse.", dir="/var/tmp")
    t.at_end(shutil.rmtree, folder, True)
    return Path(folder)


def small_disk(t, name, size):
    root = t.make_folder(name)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(root)], capture_output=True, text=True)
    if done.returncode != 0:
        raise Skip(f"no tmpfs can be mounted here: {done.stderr.strip()}")
    t.at_end(subprocess.run, ["umount", "-l", str(root)])
    return root


def begin(t, ini, *arguments):
    process = subprocess.Popen([str(a) for a in (t.run.binary, arguments[0], "-c", ini, *arguments[1:])], env=environment(),
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    def end():
        process.kill()
        process.communicate()

    t.at_end(end)
    return process


# -- get ---------------------------------------------------------------------------------------------------------------


@test("host", each=["by itself", "--streams 1", "--streams 4", "--verify"], limit=120)
def a_large_file_that_is_fetched_keeps_its_holes(t, how):
    server = setup.server(t)
    size = GIB if how == "by itself" else 256 * MIB
    data = large(server.root / "file", size)
    ini = setup.partner(t, server.port)
    done = client(t, "get", "--json", *options(how), "there:file", t.path("copy"), ini=ini).must_succeed()
    kept_its_holes(t.path("copy"), server.root / "file", data)
    moved_little(done.transfer, data, size)
    check(sent(server, path="file") <= data + SLACK, "the server sent the holes as well")


@test("host")
def what_was_fetched_of_a_file_with_holes_is_gone_on_with(t):
    """Interrupted in its midst: what comes after it is only the data that is missing."""
    server, copy = setup.server(t), t.path("copy")
    data = make(server.root / "file", 256 * MIB, [(i * 20 * MIB, 2 * MIB) for i in range(12)])
    ini = setup.partner(t, server.port)
    process = begin(t, ini, "get", "--limit-rate", "8M", "--streams", "1", "there:file", copy)
    part = Path(f"{copy}.part")
    wait_for(lambda: len(server.find("T01I", path="file")) >= 2, "that some data is there", 30)
    process.send_signal(signal.SIGINT)
    process.wait(30)
    check(part.exists(), "there is nothing to go on with")
    report = client(t, "get", "--json", "there:file", copy, ini=ini).must_succeed().transfer
    # It asked for the second run when it had the first one.
    check(report["bytes"] <= data - 2 * MIB, f"data came twice: {report}")
    equal(report["bytes"] + report["resumed_bytes"], 256 * MIB, "bytes in all, with the holes that were there")
    equal((report["hole_bytes"], report["verified"]), (0, True), "holes told again, and verified")
    kept_its_holes(copy, server.root / "file", data)
    check(not part.exists() and not Path(f"{copy}.part.journal").exists(), "something is left beside it")


@test("host")
def a_file_that_is_larger_than_the_disk_fits_without_its_holes(t):
    theirs, ours = small_disk(t, "theirs", "16m"), small_disk(t, "ours", "16m")
    server = setup.server(t, theirs)
    ini = setup.partner(t, server.port)
    data = large(ours / "file", 256 * MIB)
    client(t, "put", ours / "file", "there:file", ini=ini).must_succeed()
    os.remove(ours / "file")
    client(t, "get", "there:file", ours / "file", ini=ini).must_succeed()
    kept_its_holes(ours / "file", theirs / "file", data)
    os.remove(ours / "file")
    make(ours / "full", 64 * MIB, [(MIB, 14 * MIB)])
    refused = client(t, "put", ours / "full", "there:full", ini=ini).must_fail(7)
    check("507" in refused.errors, refused.errors)


@test("host")
def on_a_disk_no_room_is_kept_for_holes(t):
    theirs, ours = on_a_disk(t), on_a_disk(t)
    server = setup.server(t, theirs)
    ini = setup.partner(t, server.port)
    data = large(ours / "file", 128 * MIB)
    client(t, "put", ours / "file", "there:file", ini=ini).must_succeed()
    kept_its_holes(theirs / "file", ours / "file", data)
    client(t, "get", "--streams", "4", "there:file", ours / "copy", ini=ini).must_succeed()
    kept_its_holes(ours / "copy", theirs / "file", data)
    equal(files.listing(theirs) + files.listing(ours), ["file", "copy", "file"], "both folders")


@test("host", "guest", limit=180)
def files_of_many_shapes_are_the_same_in_the_end(t):
    """There and back: holes at the beginning and the end, nothing but a hole, odd sizes, many runs, and none."""
    server = setup.server(t)
    ini = setup.partner(t, server.port)
    shapes = {
        "hole-first": (8 * MIB + 1, [(4 * MIB, 5000)]),
        "hole-last": (8 * MIB - 1, [(0, 5000)]),
        "odd": (5 * MIB + 4321, [(4095, 2), (MIB - 1, 3), (4 * MIB + 17, 70001), (5 * MIB + 4320, 1)]),
        "nothing": (4 * MIB + 5, []),
        "runs": (16 * MIB, [(i * 65536, 4096) for i in range(0, 256, 2)]),
        "smallest": (MIB, [(MIB - 4096, 4096)]),
    }
    if t.run.place == "guest":  # where each command takes seconds
        shapes = {name: shapes[name] for name in ("hole-first", "odd")}
    for name, (size, runs) in shapes.items():
        data = make(t.path(name), size, runs, len(name))
        done = client(t, "put", "--json", t.path(name), f"there:{name}", ini=ini).must_succeed().transfer
        equal((done["verified"], done["note"]), (True, ""), f"{name}: verified, and what is odd")
        check(done["bytes"] < size // 2, f"{name}: {done['bytes']} bytes were sent for {data}")
        kept_its_holes(server.root / name, t.path(name), data)
        done = client(t, "get", "--json", f"there:{name}", t.path(f"{name}-back"), ini=ini).must_succeed().transfer
        check(done["bytes"] < size // 2, f"{name}: {done['bytes']} bytes came for {data}")
        kept_its_holes(t.path(f"{name}-back"), t.path(name), data)


@test("host")
def trees_keep_the_holes_of_their_files(t):
    server, tree, back = setup.server(t), t.make_folder("tree"), t.path("back")
    ini = setup.partner(t, server.port)
    (tree / "a").mkdir()
    data = {"a/large": make(tree / "a/large", 256 * MIB, [(100 * MIB, MIB)]),
            "two": make(tree / "two", 2 * MIB, [(MIB, 4096)])}
    files.make(tree / "plain", 3 * MIB)
    files.make(tree / "a/small", 5000)
    client(t, "put", "-r", tree, "there:tree", ini=ini).must_succeed()
    client(t, "get", "-r", "there:tree", back, ini=ini).must_succeed()
    for root in (server.root / "tree", Path(back)):
        equal(files.listing(root), files.listing(tree), "names")
        for name in files.listing(root):
            kept_its_holes(root / name, tree / name, data.get(name, (tree / name).stat().st_size))
    moved = [event["bytes"] for event in server.find("T14I", path="tree/a/large")]
    check(0 < sum(moved) <= MIB + SLACK, f"parts of the large one: {moved}")
    check(sent(server, path="tree/a/large") <= MIB + SLACK, "the large one was sent with its holes")


# -- put ---------------------------------------------------------------------------------------------------------------


@test("host", each=["by itself", "--streams 1", "--streams 4"], limit=120)
def a_large_file_that_is_sent_keeps_its_holes(t, how):
    server, source, size = setup.server(t), t.path("source"), GIB if how == "by itself" else 256 * MIB
    data = large(source, size)
    ini = setup.partner(t, server.port)
    done = client(t, "put", "--json", *options(how), source, "there:a/file", ini=ini).must_succeed()
    kept_its_holes(server.root / "a/file", source, data)
    moved_little(done.transfer, data, size)
    equal((done.transfer["verified"], done.transfer["note"]), (True, ""), "verified, and what is odd")
    came = sum(event["bytes"] for event in server.find("T14I", path="a/file"))
    equal(came, done.transfer["bytes"], "bytes of all parts")
    equal(files.listing(server.root), ["a/file"], "the store")


@test("host")
def what_was_sent_of_a_file_with_holes_is_gone_on_with(t):
    server, source = setup.server(t), t.path("source")
    data = make(source, 256 * MIB, [(i * 20 * MIB, 2 * MIB) for i in range(12)])
    ini = setup.partner(t, server.port)
    process = begin(t, ini, "put", "--limit-rate", "8M", "--streams", "1", source, "there:file")
    wait_for(lambda: len(server.find("T14I", path="file")) >= 2, "that some data is there", 30)
    process.kill()
    process.wait()
    report = client(t, "put", "--json", source, "there:file", ini=ini).must_succeed().transfer
    check(report["resumed_bytes"] >= 4 * MIB, f"what was there is not gone on with: {report}")
    check(report["bytes"] <= data - 4 * MIB, f"data was sent twice: {report}")
    equal(report["bytes"] + report["resumed_bytes"] + report["hole_bytes"], 256 * MIB, "bytes in all")
    kept_its_holes(server.root / "file", source, data)
    equal(files.listing(server.root), ["file"], "the store")


@test("host")
def a_server_that_was_killed_has_the_holes_or_is_told_again(t):
    server, source = setup.server(t), t.path("source")
    data = make(source, 256 * MIB, [(i * 20 * MIB, 2 * MIB) for i in range(12)])
    ini = setup.partner(t, server.port)
    process = begin(t, ini, "put", "--limit-rate", "8M", "--streams", "2", source, "there:file")
    wait_for(lambda: len(server.find("T14I", path="file")) >= 1, "that some data is there", 30)
    server.kill()
    process.kill()
    process.wait()
    again = setup.server(t, server.root, name="again")
    report = client(t, "put", "--json", source, "there:file", ini=setup.partner(t, again.port, "there")).must_succeed().transfer
    check(report["bytes"] <= data, f"holes were sent: {report}")
    kept_its_holes(server.root / "file", source, data)
    equal(files.listing(server.root), ["file"], "the store")


# -- the agreement, byte by byte ---------------------------------------------------------------------------------------

TOKEN = "one-Token_1"


def tell(wire, holes, path="/file", **fields):
    return wire.request("PUT", path, {"Sluice-Upload": TOKEN, "Sluice-Holes": holes, "Content-Length": "0", **fields})


def part(wire, body, first, size, path="/file"):
    return wire.request("PUT", path, {
        "Sluice-Upload": TOKEN, "Content-Range": f"bytes {first}-{first + len(body) - 1}/{size}"}, body)


def finish(wire, size, body=None, path="/file"):
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode() if body is not None else None
    return wire.request("PUT", path, {
        "Sluice-Upload": TOKEN, "Content-Range": f"bytes */{size}", "Content-Length": "0",
        **({"Repr-Digest": f"sha-256=:{digest}:"} if digest else {})})


def have(wire, path="/file"):
    return wire.request("HEAD", path, {"Sluice-Upload": TOKEN}).fields.get("sluice-upload-have")


@test("host")
def holes_count_as_received_and_never_take_away_what_was(t):
    server = setup.server(t)
    wire, size = Wire(t, server.port), 300_000
    body = bytes(100_000) + b"x" * 50_000 + bytes(150_000)
    equal(tell(wire, f"bytes 0-99999/{size}").status, 204, "status of the first hole")
    equal(have(wire), "0-99999", "what is there")
    equal(part(wire, body[100_000:150_000], 100_000, size).status, 204, "status of the data")
    equal(finish(wire, size, body).status, 409, "status of finishing too early")
    # Whoever says holes where data has come already: the data stays.
    equal(tell(wire, f"bytes 120000-130000,149000-299999/{size}").status, 204, "status of the others")
    equal(have(wire), "0-299999", "what is there")
    equal(finish(wire, size, body).status, 201, "status of finishing")
    equal((server.root / "file").read_bytes(), body, "the file")
    equal(files.listing(server.root), ["file"], "the store")


@test("host")
def a_hole_that_is_none_is_found_by_the_digest(t):
    server = setup.server(t)
    wire = Wire(t, server.port)
    equal(tell(wire, "bytes 0-999/2000").status, 204, "status of the hole")
    equal(part(wire, b"x" * 1000, 1000, 2000).status, 204, "status of the data")
    equal(finish(wire, 2000, b"x" * 2000).status, 422, "status of finishing")
    server.wait_event("T11E", path="file")
    check(not (server.root / "file").exists(), "it has its name")


@test("host")
def what_is_no_hole_is_refused_and_changes_nothing(t):
    server = setup.server(t, max_upload="1M")
    wire = Wire(t, server.port)
    for text in ("", "0-9/10", "bytes", "bytes ", "bytes /10", "bytes 0-9", "bytes 0-9/", "bytes 0-9/*", "bytes none/10",
                 "bytes 0-10/10", "bytes 5-4/10", "bytes 0-9,/10", "bytes 0-9/10/10", "bytes 0-9/-1", "bytes 0-9/0x10",
                 "bytes 0-9;/10", "bytes */10", "bytes 0-18446744073709551615/18446744073709551615",
                 "bytes 0-9/99999999999999999999", "bytes=0-9/10", "octets 0-9/10", "bytes 0-9/" + "1" * 100,
                 "bytes " + "1" * 5000 + "-2/10", "bytes 0-\xe49/10"):
        equal(tell(wire, text).status, 400, f"status of {text[:60]!r}")
        wire = Wire(t, server.port)
    event = server.wait_event("T02W", status=400)
    check("Sluice-Holes" in event["reason"], f"the event: {event}")
    equal(tell(wire, "bytes 0-9/10", **{"Content-Range": "bytes */10"}).status, 400, "status with a Content-Range")
    wire = Wire(t, server.port)
    equal(wire.request("PUT", "/file", {"Sluice-Upload": TOKEN, "Sluice-Holes": "bytes 0-9/10"}, b"x").status, 400,
          "status with a body")
    wire = Wire(t, server.port)
    equal(tell(wire, f"bytes 0-9/{2 * MIB}").status, 413, "status of one that is too large")
    equal(tell(wire, "bytes 0-9/10", **{"Sluice-Upload": "a b"}).status, 400, "status with a token that is none")
    equal(tell(wire, "bytes 0-9/10", **{"If-Match": '"none"'}).status, 412, "status with a condition that fails")
    equal(wire.request("PUT", "/file", {"Sluice-Holes": "bytes 0-9/10", "Content-Length": "0"}).status, 201,
          "status of an ordinary PUT that has it")
    equal(files.listing(server.root), ["file"], "the store")


@test("host")
def only_who_asks_is_told_of_holes(t):
    server = setup.server(t)
    make(server.root / "file", 4 * MIB, [(MIB, 65536), (2 * MIB, 65536)])
    make(server.root / "hole", 4 * MIB, [])
    files.make(server.root / "plain", 2 * MIB)
    files.make(server.root / "small", 1000)
    wire, data = Wire(t, server.port), "1048576-1114111,2097152-2162687"

    def ask(path, span, want="yes", method="GET"):
        fields = {**({"Range": f"bytes={span}"} if span else {}), **({"Sluice-Want-Data": want} if want else {})}
        answer = wire.request(method, path, fields)
        return answer.status, answer.fields.get("content-range"), answer.fields.get("sluice-data"), len(answer.body)

    equal(ask("/file", "0-"), (206, "bytes 1048576-1114111/4194304", data, 65536), "the first run")
    equal(ask("/file", "1048600-"), (206, "bytes 1048600-1114111/4194304", data, 65536 - 24), "the rest of a run")
    equal(ask("/file", "1048600-1048699"), (206, "bytes 1048600-1048699/4194304", data, 100), "a part of a run")
    equal(ask("/file", "1114112-"), (206, "bytes 2097152-2162687/4194304", data, 65536), "the next run")
    equal(ask("/file", "3145728-"), (206, "bytes 3145728-3145728/4194304", data, 1), "no run")
    equal(ask("/hole", "0-"), (206, "bytes 0-0/4194304", "none", 1), "nothing but a hole")
    equal(ask("/file", "0-99", None), (206, "bytes 0-99/4194304", None, 100), "who does not ask")
    equal(ask("/file", "0-99", "no"), (206, "bytes 0-99/4194304", None, 100), "who does not want it")
    equal(ask("/file", None), (200, None, None, 4 * MIB), "the whole")
    equal(ask("/plain", "0-99"), (206, "bytes 0-99/2097152", None, 100), "a file without holes")
    equal(ask("/small", "0-"), (206, "bytes 0-999/1000", None, 1000), "a small file")
    equal(ask("/file", "0-99,200-299")[0], 200, "several ranges")
