"""Directories and many files: manifests, pipelined lanes, times and modes, links, filters, what is skipped and what fails."""

import hashlib
import json
import os
import random
import signal
import socket
import ssl
import subprocess
import threading
import time
from pathlib import Path

from harness import check, client, equal, files, peers, setup, test
from harness.case import Skip
from harness.sluice import environment
from harness.trees import TIME, counts, plant, same, site, state, summary
from harness.wire import Wire

@test("host")
def two_thousand_small_files_go_there_and_come_back_with_their_times_and_modes(t):
    server, ini = site(t)
    mine = plant(t.make_folder("mine"))
    result = client(t, "put", "-r", "--json", mine, "there:", ini=ini).must_succeed()
    equal(counts(result), (2000, 0, 0), "what was sent")
    same(mine, server.root / "mine")
    check(all(e["verified"] for e in result.transfers if "summary" not in e), "not all was verified")
    check(len(server.find("Y14I")) <= 8, f"{len(server.find('Y14I'))} sessions for 2000 files")
    result = client(t, "get", "-r", "--json", "there:mine", t.make_folder("back"), ini=ini).must_succeed()
    equal(counts(result), (2000, 0, 0), "what came")
    same(server.root / "mine", t.path("back/mine"), directories=True)
    check(len(server.find("Y14I")) <= 16, "too many sessions")
    client(t, "get", "-r", "--streams", 1, "there:mine", t.path("slowly"), ini=ini).must_succeed()
    check(len(server.find("Y14I")) <= 17, "more sessions than --streams")
    # Again, nothing is moved; and what has changed is.
    equal(counts(client(t, "put", "-r", "--json", mine, "there:", ini=ini).must_succeed()), (0, 2000, 0), "the second time")
    equal(counts(client(t, "get", "-r", "--json", "there:mine", t.path("back"), ini=ini).must_succeed()), (0, 2000, 0),
          "the second time")
    (mine / "d0/e0/file 0").write_bytes(b"new")
    os.utime(server.root / "mine/d1/e1/file 1", ns=(TIME, TIME + 5))
    equal(counts(client(t, "put", "-r", "--json", mine, "there:", ini=ini).must_succeed()), (2, 1998, 0), "the third time")
    same(mine, server.root / "mine")


@test("guest")
def small_files_and_large_ones_go_by_the_kernel(t):
    server, ini = site(t)
    mine = plant(t.make_folder("mine"), count=60, size=16384)
    files.make(mine / "large", (3 << 20) + 5)
    os.utime(mine / "large", ns=(TIME, TIME))
    result = client(t, "put", "-r", "--json", mine, "there:", ini=ini).must_succeed()
    equal(counts(result), (61, 0, 0), "what was sent")
    same(mine, server.root / "mine")
    for entry in result.transfers:
        if "summary" not in entry:
            check(entry["tx"].startswith("kernel"), f"sent by {entry['tx']}: {entry}")
    result = client(t, "get", "-r", "--json", "there:mine", t.path("back"), ini=ini).must_succeed()
    same(mine, t.path("back"))
    check(any(e.get("rx", "").startswith("kernel") for e in result.transfers), f"{result.transfers[-2]}")


HOSTILE = [b"line\nbreak", b"\xff\xfe invalid", b"x" * 255, b"quote\"back\\slash", b" ", b"...", b"%2e%2e", b"tab\tbell\a",
           b"a?b#c&d=e;f", b"\xe2\x80\xae.txt", b"-r", b"~", b"*", b".hidden"]


@test("host")
def names_are_any_bytes(t):
    server, ini = site(t)
    mine = t.make_folder("mine")
    for number, name in enumerate(HOSTILE):
        folder = os.path.join(os.fsencode(mine), b"in " + name[:200])
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, name), "wb") as out:
            out.write(b"content %d" % number)
    client(t, "put", "-r", mine, "there:", ini=ini).must_succeed()
    same(mine, server.root / "mine")
    result = client(t, "get", "-r", "there:mine/", t.path("back"), ini=ini).must_succeed()
    same(mine, t.path("back"))
    check("\x07" not in result.output + result.errors, "a bell reached the terminal")


@test("host")
def empty_files_and_empty_directories_come(t):
    server, ini = site(t)
    (server.root / "tree/empty/inner").mkdir(parents=True)
    (server.root / "tree/nothing").touch()
    os.utime(server.root / "tree/empty", ns=(TIME, TIME))
    (server.root / "tree/empty/inner").chmod(0o500)
    client(t, "get", "-r", "there:tree", t.path("back"), ini=ini).must_succeed()
    same(server.root / "tree", t.path("back"), directories=True)


@test("host", each=["follow", "skip", "keep"])
def links_are_followed_skipped_or_kept_and_never_lead_out(t, how):
    server, ini = site(t)
    outside = t.make_folder("outside")
    (outside / "secret").write_text("secret")
    tree = server.root / "tree"
    (tree / "d").mkdir(parents=True)
    (tree / "file").write_text("file")
    (server.root / "beside").write_text("beside")
    for name, target in {"to-file": "file", "d/up": "../file", "to-folder": "d", "out": outside / "secret", "beside": "../beside",
                         "nowhere": "none", "d/climbs": "../d/../../beside"}.items():
        (tree / name).symlink_to(target)
    told = Wire(t, server.port).request("GET", "/tree/", {"Accept": "application/x-sluice-manifest"}).body
    check(b'"path":"out","type":"link","target":"/",' in told, f"nothing of the link: {told}")
    check(b"secret" not in told, f"where a link leads outside of the store is told: {told}")
    into = t.make_folder("into")
    result = client(t, "get", "-r", "--json", "--links", how, "there:tree", into, ini=ini)
    got = {os.fsdecode(name): facts[0] for name, facts in state(into / "tree").items()}
    if how == "skip":
        equal(got, {"file": b"file"}, "what came")
        equal(counts(result.must_succeed()), (1, 7, 0), "counts")
    elif how == "follow":
        # A server shows whatever lies in its store: "beside" leads out of the directory, but not out of the store.
        equal(got, {"file": b"file", "to-file": b"file", "d/up": b"file", "beside": b"beside", "d/climbs": b"beside"}, "what came")
        equal(counts(result.must_fail(12)), (5, 0, 3), "counts")
        for name in ("to-folder", "out", "nowhere"):
            check(f"tree/{name}: is not fetched" in result.errors, f"nothing about {name}: {result.errors}")
    else:
        equal(got, {"file": b"file", "to-file": b"-> file", "d/up": b"-> ../file", "to-folder": b"-> d", "nowhere": b"-> none"},
              "what came")
        equal(counts(result.must_fail(12)), (5, 0, 3), "counts")
        again = client(t, "get", "-r", "--json", "--links", how, "there:tree", into, ini=ini).must_fail(12)
        equal(counts(again), (0, 5, 3), "counts of the second time")


@test("host", each=["follow", "skip"])
def links_of_ours_are_sent_as_files_and_never_from_outside(t, how):
    server, ini = site(t)
    mine, outside = t.make_folder("mine"), t.make_folder("outside")
    (outside / "secret").write_text("secret")
    (mine / "file").write_text("file")
    (mine / "in").symlink_to("file")
    (mine / "out").symlink_to(outside / "secret")
    (mine / "away").symlink_to(outside)
    result = client(t, "put", "-r", "--json", "--links", how, mine, "there:", ini=ini)
    sent = {os.fsdecode(name): facts[0] for name, facts in state(server.root).items()}
    if how == "skip":
        equal(sent, {"mine/file": b"file"}, "what was sent")
        equal(counts(result.must_succeed()), (1, 3, 0), "counts")
    else:
        equal(sent, {"mine/file": b"file", "mine/in": b"file"}, "what was sent")
        equal(counts(result.must_fail(12)), (2, 0, 2), "counts")
        check("out is not sent" in result.errors and "away is not sent" in result.errors, result.errors)


@test("host")
def a_local_link_that_leads_out_is_not_written_through(t):
    server, ini = site(t)
    plant(server.root / "tree", count=20)
    files.make(server.root / "tree/d0/large", 3 << 20)
    outside, into = t.make_folder("outside"), t.make_folder("into")
    (into / "tree").mkdir()
    (into / "tree/d0").symlink_to(outside)
    result = client(t, "get", "-r", "--json", "there:tree/", into, ini=ini).must_fail(12)
    equal(files.listing(outside), [], "what stands outside")
    check("d0: making the directory: a symbolic link stands there" in result.errors, result.errors)
    check("large: " in result.errors and summary(result)["files"] > 10, result.errors)


FILTERS = {
    "a glob of names": (["--exclude", "*.log"], {"a.txt", "d/b.txt", "d/e/c.txt", "d/build/x.o", "build"}),
    "an include alone": (["--include", "*.txt"], {"a.txt", "d/b.txt", "d/e/c.txt"}),
    "the first that matches": (["--include", "c.*", "--exclude", "*.txt", "--include", "*"],
                               {"d/e/c.txt", "d/e/c.log", "d/build/x.o", "a.log", "build"}),
    "a directory and all in it": (["--exclude", "build/"], {"a.txt", "a.log", "d/b.txt", "d/e/c.txt", "d/e/c.log", "build"}),
    "a path": (["--exclude", "d/*/c.*"], {"a.txt", "a.log", "d/b.txt", "d/build/x.o", "build"}),
    "a path from the top": (["--exclude", "/*.txt"], {"a.log", "d/b.txt", "d/e/c.txt", "d/e/c.log", "d/build/x.o", "build"}),
}


@test("host", each=list(FILTERS))
def globs_choose_in_both_directions(t, which):
    rules, wanted = FILTERS[which]
    server, ini = site(t)
    mine = t.make_folder("mine")
    for name in ("a.txt", "a.log", "d/b.txt", "d/e/c.txt", "d/e/c.log", "d/build/x.o", "build"):
        (mine / name).parent.mkdir(parents=True, exist_ok=True)
        (mine / name).write_text(name)
    client(t, "put", "-r", *rules, mine, "there:some", ini=ini).must_succeed()
    equal(set(files.listing(server.root / "some")), wanted, "what was sent")
    client(t, "put", "-r", mine, "there:all", ini=ini).must_succeed()
    client(t, "get", "-r", *rules, "there:all", t.path("back"), ini=ini).must_succeed()
    equal(set(files.listing(t.path("back"))), wanted, "what came")


@test("host")
def a_list_of_names_chooses_and_what_is_not_there_fails(t):
    server, ini = site(t)
    mine = plant(t.make_folder("mine"), count=100)
    names = t.path("names")
    names.write_text("d1/e1/file 1\n./d2/\nnone\n\nd1/e1/file 1\n")
    result = client(t, "put", "-r", "--json", "--files-from", names, mine, "there:", ini=ini).must_fail(12)
    wanted = sorted(["d1/e1/file 1", *(f"d2/{name}" for name in files.listing(mine / "d2"))])
    equal(files.listing(server.root / "mine"), wanted, "what was sent")
    check("names none, which is not there" in result.errors, result.errors)
    (server.root / "mine/line\nbreak").write_text("x")
    done = subprocess.run([t.run.binary, "get", "-c", ini, "-r", "--files-from", "-", "there:mine", t.path("back")],
                          input=b"line\nbreak\0d1/e1/file 1\0", capture_output=True, env=environment(), timeout=60 * t.run.patience)
    equal(done.returncode, 0, f"exit code ({done.stderr!r})")
    equal(files.listing(t.path("back")), ["d1/e1/file 1", "line\nbreak"], "what came")
    client(t, "put", "-r", "--files-from", t.path("no such"), mine, "there:", ini=ini).must_fail(9)


@test("host")
def a_dry_run_moves_nothing_and_tells_what_it_would(t):
    server, ini = site(t)
    mine = plant(t.make_folder("mine"), count=30)
    client(t, "put", mine / "d0/e0/file 0", "there:mine/d0/e0/", ini=ini).must_succeed()
    before = state(server.root)
    result = client(t, "put", "-r", "--json", "--dry-run", mine, "there:", ini=ini).must_succeed()
    equal(state(server.root), before, "the store")
    equal(counts(result), (29, 1, 0), "counts")
    equal(len([e for e in result.transfers if e.get("would") == "put"]), 29, "files told of")
    text = client(t, "get", "-r", "--dry-run", "there:mine", t.path("back"), ini=ini).must_succeed().output
    check("would get mine/d0/e0/file 0" in text and "plan" in text, text)
    check(not t.path("back").exists(), "a dry run made a directory")
    client(t, "get", "--dry-run", "there:mine/d0/e0/file 0", t.path("x"), ini=ini).must_succeed()
    check(not t.path("x").exists(), "a dry run fetched a file")
    equal(client(t, "get", "--dry-run", "there:mine/d0/e0/file 0", "-", ini=ini).must_succeed().output,
          "would get mine/d0/e0/file 0\n", "what goes to standard output")


@test("host")
def a_checksum_decides_where_it_is_asked_for(t):
    server, ini = site(t)
    mine = plant(t.make_folder("mine"), count=20)
    client(t, "put", "-r", mine, "there:", ini=ini).must_succeed()
    first = mine / "d0/e0/file 0"
    for path in mine.rglob("file*"):
        os.utime(path, ns=(TIME, TIME + 77))
    facts, content = first.stat(), first.read_bytes()
    first.write_bytes(content[:-1] + b"!")  # the same size
    os.utime(first, ns=(facts.st_mtime_ns, facts.st_mtime_ns))
    result = client(t, "put", "-r", "--json", "--checksum", mine, "there:", ini=ini).must_succeed()
    equal(counts(result), (1, 19, 0), "what was sent")
    result = client(t, "get", "-r", "--json", "--checksum", "there:mine", mine.parent, ini=ini).must_succeed()
    equal(counts(result), (0, 20, 0), "what came")


@test("host")
def a_tree_is_verified_as_it_comes(t):
    server, ini = site(t)
    tree = plant(server.root / "tree", count=100)
    for size in (0, 16 << 10, 200_000, 1 << 20, (1 << 20) + 1):
        files.make(tree / f"{size} bytes", size)
    result = client(t, "get", "-r", "--json", "--verify", "there:tree", t.path("back"), ini=ini).must_succeed()
    equal(counts(result), (105, 0, 0), "what came")
    same(tree, t.path("back"))
    for entry in result.transfers:
        if "summary" not in entry:
            name = entry["remote"].removeprefix("tree/")
            digest = f"sha-256:{hashlib.sha256((tree / name).read_bytes()).hexdigest()}"
            equal((entry["verified"], entry["digest"], entry["unverified"]), (True, digest, ""), f"what is told of {name}")
    equal(len([e for e in server.find("T01I") if e["path"] != "tree/"]), 105, "files that went out")
    check(len(server.find("Y14I")) <= 9, f"{len(server.find('Y14I'))} sessions")
    result = client(t, "put", "-r", "--json", "--verify", "--digest", "sha-512", tree, "there:again", ini=ini).must_succeed()
    check(all(e["verified"] and e["digest"].startswith("sha-512:") for e in result.transfers if "summary" not in e), "not all")


@test("host")
def what_cannot_be_verified_of_a_tree_fails_and_the_rest_comes(t):
    server, ini = site(t)
    tree = plant(server.root / "tree", count=40)
    bad = tree / "d3/e3/file 3"
    files.lie(bad, bad.read_bytes(), b"what was sent once")
    result = client(t, "get", "-r", "--json", "--verify", "there:tree", t.path("back"), ini=ini).must_fail(12)
    equal(counts(result), (39, 0, 1), "counts")
    told = [e for e in result.transfers if e.get("result", "ok") != "ok"]
    equal([(e["remote"], e["result"], e["verified"]) for e in told], [("tree/d3/e3/file 3", "digest", False)], "failures")
    equal(files.listing(t.path("back/d3/e3")), ["file 3.bad"], "what is kept of it")
    ini = setup.partner(t, peers.nginx(t, tree, more="autoindex on; autoindex_format json;"))
    result = client(t, "get", "-r", "--json", "--verify", "there:", t.path("there"), ini=ini).must_fail(7)
    equal(counts(result), (0, 0, 40), "counts of a server without digests")
    check("not verified: the server gives no digest" in result.errors, result.errors)
    equal(state(t.path("there")), {}, "what was kept of it")


@test("host")
def what_fails_is_named_and_the_rest_goes_on(t):
    server, ini = site(t)
    plant(server.root / "tree", count=100)
    into = t.make_folder("into")
    (into / "tree/d3/e3/file 3").mkdir(parents=True)
    result = client(t, "get", "-r", "--json", "there:tree", into, ini=ini).must_fail(12)
    equal(counts(result), (99, 0, 1), "counts")
    check("tree/d3/e3/file 3: " in result.errors and "directory of this name" in result.errors, result.errors)
    equal([e["remote"] for e in result.transfers if e.get("result") == "local"], ["tree/d3/e3/file 3"], "failures")
    result = client(t, "get", "-r", "there:none", t.path("x"), ini=ini).must_fail(6)
    check(not t.path("x").exists(), "a directory was made for nothing")
    (server.root / "sent").write_text("a file where the directory is to be")
    mine = plant(t.make_folder("mine"), count=3)
    result = client(t, "put", "-r", mine, "there:sent", ini=ini).must_fail(6)
    check("3 failed" in result.output, result.output)


@test("host")
def a_directory_that_the_server_may_not_read_is_told_and_the_rest_comes(t):
    if os.geteuid() == 0:
        raise Skip("root may read everything")
    server, ini = site(t)
    plant(server.root / "tree", count=20)
    (server.root / "tree/d0").chmod(0)
    t.at_end((server.root / "tree/d0").chmod, 0o755)
    result = client(t, "get", "-r", "there:tree", t.path("back"), ini=ini).must_fail(12)
    check("tree/d0: the server cannot read it" in result.errors, result.errors)


@test("host", each=["authenticated", "anyone"])
def a_manifest_takes_the_right_to_list(t, who):
    store = {"root": t.make_folder("root"), "read": "anyone", "list": who}
    server, ini = site(t, server_profile={"verify": "none"}, more={"store main": store})
    plant(server.root / "tree", count=3)
    result = client(t, "get", "-r", "--json", "there:tree/", t.path("back"), ini=ini)
    if who == "anyone":
        equal(counts(result.must_succeed()), (3, 0, 0), "counts")
    else:
        check("40" in result.must_fail(6).errors and not t.path("back").exists(), result.errors)


@test("host", each=["get", "put"])
def a_server_that_closes_often_gets_only_what_is_not_answered(t, which):
    server, ini = site(t, max_requests=7)
    mine = plant(t.make_folder("mine") if which == "put" else server.root / "mine", count=200)
    if which == "put":
        result = client(t, "put", "-r", "--json", mine, "there:", ini=ini).must_succeed()
        same(mine, server.root / "mine")
    else:
        result = client(t, "get", "-r", "--json", "there:mine", t.path("back"), ini=ini).must_succeed()
        same(mine, t.path("back"))
    equal(counts(result), (200, 0, 0), "counts")
    equal(len([e for e in result.transfers if e.get("result") == "ok"]), 200, "files told of")


def cutting_relay(t, port, after):
    """Forwards to `port`; each of the first connections is reset after so many bytes from the server. Returns its port."""
    listener = socket.create_server(("127.0.0.1", 0))
    t.at_end(listener.close)
    left = list(after)

    def pump(source, sink, limit, both):
        moved = 0
        try:
            while piece := source.recv(4096):
                moved += len(piece)
                if limit is not None and moved > limit:
                    break
                sink.sendall(piece)
        except OSError:
            pass
        for end in both:
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def accept():
        while True:
            try:
                ours, _ = listener.accept()
            except OSError:
                return
            theirs = socket.create_connection(("127.0.0.1", port))
            limit = left.pop(0) if left else None
            for source, sink, most in ((ours, theirs, None), (theirs, ours, limit)):
                threading.Thread(target=pump, args=(source, sink, most, (ours, theirs)), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return listener.getsockname()[1]


@test("host", each=["get", "put"])
def a_cut_connection_costs_no_file(t, which):
    server, _ = site(t)
    mine = plant(t.make_folder("mine") if which == "put" else server.root / "mine", count=300)
    # The manifest comes first, over the first connection, which is left alone.
    cuts = [None, 9000, 20000, 5000, 30000, 12000] if which == "put" else [None, 40000, 100000, 20000, 60000, 33333]
    ini = setup.partner(t, cutting_relay(t, server.port, [10**9 if c is None else c for c in cuts]))
    if which == "put":
        result = client(t, "put", "-r", "--json", mine, "there:", ini=ini).must_succeed()
        same(mine, server.root / "mine")
    else:
        result = client(t, "get", "-r", "--json", "there:mine", t.path("back"), ini=ini).must_succeed()
        same(mine, t.path("back"))
    equal(counts(result), (300, 0, 0), "counts")


@test("host")
def a_server_that_goes_away_leaves_whole_files_only(t):
    server, ini = site(t)
    plant(server.root / "mine", count=1500, size=20000)
    process = subprocess.Popen([t.run.binary, "get", "-c", ini, "-r", "--json", "there:mine", t.path("back")],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment())
    for _ in range(100):  # files are told of as they get their names
        process.stdout.readline()
    server.kill()
    output, errors = process.communicate(timeout=60 * t.run.patience)
    check(process.returncode in (12, 8, 4), f"exit code {process.returncode}: {errors[-2000:]!r}")
    told = json.loads(output.splitlines()[-1])
    check(told["files"] >= 100 and told["failed"] > 0 and told["files"] + told["failed"] == 1500, str(told))
    theirs, ours = state(server.root / "mine"), state(t.path("back"))
    equal(len(ours), told["files"], "files that have a name")
    for name, facts in ours.items():
        check(theirs[name] == facts, f"{name!r} is not whole")


def whole_so_far(source, target):
    """Every file that has a name has all its bytes, and nothing else has one."""
    theirs, ours = state(source), state(target)
    for name, facts in ours.items():
        check(name in theirs, f"{name!r} stands there")
        check(facts[0] == theirs[name][0], f"{name!r} is not whole: {len(facts[0])} bytes of {len(theirs[name][0])}")
    return len(ours)


@test("host", each=["get", "put"])
def a_client_that_is_killed_at_any_moment_leaves_whole_files_and_the_next_one_ends_it(t, which):
    server, ini = site(t)
    source = plant(server.root / "tree" if which == "get" else t.make_folder("tree"), count=400, size=9000)
    target = t.path("into/tree") if which == "get" else server.root / "tree"
    t.make_folder("into")
    what = ["get", "-r", "there:tree", t.path("into")] if which == "get" else ["put", "-r", source, "there:"]
    moments, seen = random.Random(4), 0
    for _ in range(25):
        process = subprocess.Popen([t.run.binary, what[0], "-c", ini, *what[1:]], stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL, env=environment())
        time.sleep(moments.uniform(0.005, 0.12) * t.run.patience)
        process.kill()
        process.wait()
        seen = max(seen, whole_so_far(source, target)) if target.exists() else seen
    check(seen > 0, "every one was killed before its first file")
    client(t, *what, ini=ini).must_succeed()
    time.sleep(0.2)  # what the server was doing for the last one that was killed
    same(source, target)


@test("host")
def a_signal_ends_a_tree_with_whole_files(t):
    server, ini = site(t)
    source = plant(server.root / "tree", count=1500, size=20000)
    process = subprocess.Popen([t.run.binary, "get", "-c", ini, "-r", "--json", "there:tree", t.path("back")],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(),
                               preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=20 * t.run.patience)
    equal(process.returncode, 130, f"exit code ({errors[-1000:]!r})")
    check(b"interrupted" in errors, errors[-1000:])
    equal(whole_so_far(source, t.path("back")), json.loads(output.splitlines()[-1])["files"], "files that have a name")


@test("host", each=["get", "put"])
def a_server_that_is_killed_at_any_moment_leaves_whole_files(t, which):
    root = t.make_folder("root")
    source = plant(root / "tree" if which == "get" else t.make_folder("tree"), count=400, size=9000)
    target = t.path("into/tree") if which == "get" else root / "tree"
    t.make_folder("into")
    moments = random.Random(5)
    for number in range(6):
        server = setup.server(t, root=root, name=f"server{number}")
        ini = setup.partner(t, server.port)
        what = ["get", "-r", "there:tree", t.path("into")] if which == "get" else ["put", "-r", source, "there:"]
        process = subprocess.Popen([t.run.binary, what[0], "-c", ini, *what[1:]], stdout=subprocess.DEVNULL,
                                   stderr=subprocess.PIPE, env=environment())
        time.sleep(moments.uniform(0.02, 0.12) * t.run.patience)
        server.kill()
        _, errors = process.communicate(timeout=60 * t.run.patience)
        check(process.returncode in (0, 4, 8, 12), f"exit code {process.returncode}: {errors[-1000:]!r}")
        if target.exists():
            whole_so_far(source, target)
    server = setup.server(t, root=root)
    client(t, *what, ini=setup.partner(t, server.port)).must_succeed()
    same(source, target)


def hostile_server(t, body, kind="application/x-sluice-manifest"):
    """Answers the first request of each connection with a manifest, and all others with a file. Returns the port."""
    certificate, key = t.run.pki.server()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(str(certificate), str(key))
    listener = socket.create_server(("127.0.0.1", 0))
    t.at_end(listener.close)

    def serve(raw):
        try:
            with context.wrap_socket(raw, server_side=True) as connection:
                left = b""
                while True:
                    while b"\r\n\r\n" not in left:
                        piece = connection.recv(65536)
                        if not piece:
                            return
                        left += piece
                    head, left = left.split(b"\r\n\r\n", 1)
                    what = (kind, body) if head.split(b" ")[1].endswith(b"/") else ("application/octet-stream", b"evil")
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s"
                                       % (what[0].encode(), len(what[1]), what[1]))
        except (OSError, ssl.SSLError):
            pass

    def accept():
        while True:
            try:
                raw, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(raw,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return listener.getsockname()[1]


def manifest(*entries):
    lines = [json.dumps({"mtime": "1.000000000", "mode": "0644", **entry}) for entry in entries]
    return "\n".join([*lines, json.dumps({"end": True, "entries": len(lines)})]).encode() + b"\n"


def a_file(path, size=4):
    return {"path": path, "type": "file", "size": size}


EVIL_PATHS = ["../evil", "/tmp/evil", "a/../../evil", "%2E%2E/evil", "a//evil", "a/", "..", ".", "%2Fevil", "a/%2e%2e/%2e%2e/evil"]


@test("host", each=EVIL_PATHS)
def a_manifest_that_names_what_is_outside_is_refused_as_a_whole(t, path):
    ini = setup.partner(t, hostile_server(t, manifest(a_file("good"), a_file(path))))
    result = client(t, "get", "-r", "there:tree/", t.path("back"), ini=ini).must_fail(7)
    check("no path within the directory" in result.errors, result.errors)
    check(not t.path("evil").exists() and not t.path("back").exists(), "something was written")


EVIL_TREES = {
    "a file through a link to outside": manifest({"path": "l", "type": "link", "target": ".."}, a_file("l/evil")),
    "a link that climbs behind a link": manifest({"path": "l", "type": "link", "target": "."},
                                                 {"path": "l/m", "type": "link", "target": "../evil"},
                                                 {"path": "n", "type": "link", "target": "l/../../evil"}),
    "an absolute link": manifest({"path": "l", "type": "link", "target": "/tmp"}, a_file("l/evil")),
    "a file in place of a directory": manifest(a_file("a"), a_file("a/evil")),
    "the store's own names": manifest(a_file(".sluice-evil")),
    "a size that is not true": manifest(a_file("a", 1 << 50)),
}


@test("host", each=list(EVIL_TREES))
def whatever_a_hostile_tree_holds_stays_within_the_destination(t, which):
    into = t.make_folder("into")
    ini = setup.partner(t, hostile_server(t, EVIL_TREES[which]))
    client(t, "get", "-r", "--links", "keep", "there:tree/", into / "back/", ini=ini)
    for path in into.rglob("*"):
        if path.is_symlink():
            target = os.path.realpath(path)
            check(target.startswith(str(into.resolve())), f"{path} leads to {target}")
    equal([n for n in os.listdir(t.folder) if "evil" in n], [], "what stands outside")
    check(not Path("/tmp/evil").exists(), "/tmp/evil")
    check(not any("evil" in name for name in os.listdir(into)), "a file beside the destination")


@test("host", each=["no end", "not JSON", "a wrong count"])
def a_manifest_that_is_not_whole_begins_nothing(t, which):
    body = {"no end": manifest(a_file("a"))[:-30], "not JSON": b"<html>\n", "a wrong count": manifest(a_file("a")) + manifest()}[which]
    ini = setup.partner(t, hostile_server(t, body))
    result = client(t, "get", "-r", "there:tree/", t.path("back"), ini=ini)
    check(result.code in (7, 8), f"{result.code}: {result.errors}")
    check(not t.path("back").exists(), "something was made")


@test("host")
def requests_sent_ahead_are_answered_in_order(t):
    server, _ = site(t)
    wire = Wire(t, server.port)
    sent = b""
    for number in range(200):
        body = b"%d" % number * 20
        sent += b"PUT /f%d HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (number, len(body), body)
        sent += b"GET /f%d HTTP/1.1\r\nHost: x\r\n\r\nGET /none%d HTTP/1.1\r\nHost: x\r\n\r\n" % (number, number)
    threading.Thread(target=wire.send, args=(sent,), daemon=True).start()
    for number in range(200):
        equal(wire.response().status, 201, "status of a PUT")
        answer = wire.response()
        equal((answer.status, answer.body), (200, b"%d" % number * 20), "the answer to a GET")
        equal(wire.response().status, 404, "status of what is not there")


@test("host")
def a_tree_of_nginx_comes_by_its_listings_pipelined(t):
    root = plant(t.make_folder("www"), count=300)
    ini = setup.partner(t, peers.nginx(t, root, more="autoindex on; autoindex_format json;"))
    result = client(t, "get", "-r", "--json", "there:", t.path("back"), ini=ini).must_succeed()
    equal(counts(result), (300, 0, 0), "counts")
    one = {name: facts[0] for name, facts in state(root).items()}
    equal({name: facts[0] for name, facts in state(t.path("back")).items()}, one, "the files")
    equal(counts(client(t, "get", "-r", "--json", "there:", t.path("back"), ini=ini).must_succeed()), (0, 300, 0), "again")


@test("host")
def a_tree_goes_to_nginx(t):
    mine, root = plant(t.make_folder("mine"), count=100), t.make_folder("www")
    ini = setup.partner(t, peers.nginx(t, root))
    result = client(t, "put", "-r", "--json", mine, "there:", ini=ini).must_succeed()
    equal(counts(result), (100, 0, 0), "counts")
    equal({n: f[0] for n, f in state(root / "mine").items()}, {n: f[0] for n, f in state(mine).items()}, "the files")


@test("host")
def a_wide_and_deep_tree_takes_bounded_memory_of_the_server(t):
    server, ini = site(t)
    folder = server.root
    for number in range(70):
        folder = folder / f"d{number}"
    folder.mkdir(parents=True)
    (folder / "too deep").write_text("x")
    (server.root / "d0/file").write_text("x")
    result = client(t, "get", "-r", "--json", "there:d0", t.path("back"), ini=ini).must_fail(12)
    equal(counts(result), (1, 0, 1), "counts")
    check("directories deep" in result.errors, result.errors)


def tells_each_change(path):
    """Whether two changes within a moment get two times: kernels before 6.13 look at a clock of some milliseconds."""
    times = set()
    with open(path, "wb", buffering=0) as file:
        for _ in range(50):
            file.write(b"x")
            times.add(os.fstat(file.fileno()).st_mtime_ns)
    return len(times) > 25


@test("host")
def a_small_file_that_is_written_to_all_the_time_is_not_sent_as_a_mixture(t):
    server, ini = site(t)
    if not tells_each_change(t.path("probe")):
        raise Skip("this kernel does not tell changes apart that are some milliseconds from each other")
    mine, ended = t.make_folder("mine"), threading.Event()
    (mine / "calm").write_bytes(b"calm")
    (mine / "busy").write_bytes(bytes(1 << 20))

    def write():
        fd, number = os.open(mine / "busy", os.O_WRONLY), 0
        while not ended.is_set():
            number += 1
            os.pwrite(fd, b"x", number * 4099 % (1 << 20))
        os.close(fd)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(40):
            done = client(t, "put", "--json", mine, "there:sent/", ini=ini)
            if done.code == 12 and "changes all the time" in done.output + done.errors:
                break
        else:
            check(False, f"it was sent each time: {done.code}")
    finally:
        ended.set()
        writer.join()
    equal((server.root / "sent/mine/calm").read_bytes(), b"calm", "the other one")
    client(t, "put", mine, "there:sent/", ini=ini).must_succeed()
    files.same(mine / "busy", server.root / "sent/mine/busy")
