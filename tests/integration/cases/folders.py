"""What a tree has beside files: directories with their times and modes, and links; there, back, and against hostile ones."""

import os
import stat

from harness import check, client, equal, files, peers, setup, test
from harness.sluice import Server
from harness.trees import TIME, counts, plant, same, site, state
from harness.wire import Wire

NAMES = [b"line\nbreak", b"\xff\xfe invalid", b"%2e%2e", b"a?b#c;d=e", b" ", b"...", b"\xe2\x80\xae", b"-r"]


def grow(root):
    """Empty directories, nested ones, files and links, odd names; each directory with a time and a mode of its own."""
    plant(root, count=60)
    (root / "empty").mkdir()
    (root / "deep/er/empty").mkdir(parents=True)
    (root / "private").mkdir()
    (root / "private/file").write_text("private")
    for number, name in enumerate(NAMES):
        folder = os.path.join(os.fsencode(root), b"odd", name)
        os.makedirs(folder)
        if number % 2:
            with open(os.path.join(folder, name), "wb") as out:
                out.write(name)
    os.symlink("empty", root / "to-folder")
    os.symlink("../private/file", root / "deep/to-file")
    os.symlink("nowhere/yet", root / "to-nothing")
    os.symlink(b"odd/\xff\xfe invalid", os.path.join(os.fsencode(root), b"odd/\xff"))
    for number, (folder, _, _) in enumerate(os.walk(os.fsencode(root), topdown=False)):
        os.chmod(folder, 0o700 if b"private" in folder else 0o755 if number % 2 else 0o750)
        os.utime(folder, ns=(TIME, TIME + number * 1_000_003))
    return root


def facts(path):
    found = os.lstat(path)
    return stat.S_IMODE(found.st_mode), found.st_mtime_ns


@test("host")
def a_tree_comes_back_as_it_was_with_its_directories_and_links(t):
    server, ini = site(t)
    mine = grow(t.make_folder("mine"))
    result = client(t, "put", "-r", "--json", "--links", "keep", mine, "there:", ini=ini).must_succeed()
    equal(counts(result), (69, 0, 0), "what was sent: 60 files, one private, four odd, four links")
    same(mine, server.root / "mine", directories=True)
    equal(facts(server.root / "mine"), facts(mine), "time and mode of the directory itself")
    client(t, "get", "-r", "--links", "keep", "there:mine", t.make_folder("back"), ini=ini).must_succeed()
    same(mine, t.path("back/mine"), directories=True)
    # Again, nothing is moved, and nothing is touched; a change shows, and the time of its directory stays.
    before = len(server.find("T25I"))
    again = client(t, "put", "-r", "--json", "--links", "keep", mine, "there:", ini=ini).must_succeed()
    equal(counts(again), (0, 69, 0), "the second time")
    equal(len(server.find("T25I")), before, "directories and links that were put again")
    (mine / "deep/er/empty/new").write_text("new")
    os.utime(mine / "deep/er/empty", ns=(TIME, TIME))
    (mine / "to-nothing").unlink()
    os.symlink("elsewhere", mine / "to-nothing")
    os.utime(mine, ns=facts(server.root / "mine")[1:] * 2)
    third = client(t, "put", "-r", "--json", "--links", "keep", mine, "there:", ini=ini).must_succeed()
    equal(counts(third), (2, 68, 0), "the third time")
    same(mine, server.root / "mine", directories=True)


@test("host")
def an_empty_directory_goes_there_by_itself_and_large_files_leave_its_time(t):
    server, ini = site(t)
    nothing, large = t.make_folder("nothing"), t.make_folder("large")
    os.utime(nothing, ns=(TIME, TIME))
    client(t, "put", "-r", nothing, "there:a/b", ini=ini).must_succeed()
    equal(facts(server.root / "a/b")[1], TIME, "time of the empty one")
    (large / "d").mkdir()
    files.make(large / "d/file", (2 << 20) + 1)
    os.utime(large / "d", ns=(TIME, TIME + 5))
    client(t, "put", "-r", large, "there:", ini=ini).must_succeed()
    same(large, server.root / "large", directories=True)
    client(t, "put", "-r", "--dry-run", "--links", "keep", grow(t.make_folder("dry")), "there:", ini=ini).must_succeed()
    check(not (server.root / "dry").exists(), "a dry run made a directory")


@test("host")
def links_that_lead_out_are_not_sent_and_others_obey_if_exists(t):
    server, ini = site(t)
    mine, outside = t.make_folder("mine"), t.make_folder("outside")
    (mine / "d").mkdir()
    for name, target in {"absolute": outside, "up": "../outside", "climbs": "d/../../outside", "d/far": "../../outside",
                         "private": ".sluice-up-1", "in": "d", "d/back": "../in"}.items():
        (mine / name).symlink_to(target)
    result = client(t, "put", "-r", "--json", "--links", "keep", mine, "there:", ini=ini).must_fail(12)
    equal(counts(result), (2, 0, 5), "counts")
    equal({os.fsdecode(k): v[0] for k, v in state(server.root / "mine").items()}, {"in": b"-> d", "d/back": b"-> ../in"}, "links there")
    for name in ("absolute", "up", "climbs", "far", "private"):
        check(f"{name} is not sent: a symbolic link that could lead out" in result.errors, f"nothing about {name}: {result.errors}")
    (server.root / "mine/in").unlink()
    (server.root / "mine/in").write_text("a file of theirs")
    only = ["--links", "keep", "--include", "in", "--exclude", "*"]
    equal(counts(client(t, "put", "-r", "--json", *only, "--if-exists", "skip", mine, "there:", ini=ini).must_succeed()), (0, 1, 0), "skip")
    client(t, "put", "-r", *only, "--if-exists", "fail", mine, "there:", ini=ini).must_fail(11)
    client(t, "put", "-r", *only, "--if-exists", "rename", mine, "there:", ini=ini).must_succeed()
    equal(os.readlink(server.root / "mine/in.1"), "d", "the link with a number")
    equal((server.root / "mine/in").read_text(), "a file of theirs", "what was there")
    client(t, "put", "-r", *only, mine, "there:", ini=ini).must_succeed()
    equal(os.readlink(server.root / "mine/in"), "d", "the link in place of the file")


HOSTILE = {
    "absolute": (b"/etc/passwd", 403), "above the root": (b"../../x", 403),
    "behind a name": (b"d/../../x", 403), "the store's own": (b".sluice-up-1", 403), "empty": (b"", 400), "a NUL": (b"a\0b", 400),
    "too long": (b"x/" * 2048, 400),
}


@test("host", each=list(HOSTILE))
def a_link_that_leads_out_is_refused_with_an_event(t, which):
    server, _ = site(t)
    target, status = HOSTILE[which]
    (server.root / "d").mkdir()
    answer = Wire(t, server.port).request("PUT", "/d/l", {"Sluice-Type": "link", "Content-Length": str(len(target))}, target)
    equal(answer.status, status, "status")
    equal(os.listdir(server.root / "d"), [], "what was made")
    equal(Wire(t, server.port).request("PUT", "/l", {"Sluice-Type": "link", "Content-Length": "4"}, b"../x").status, 403, "from the root")
    equal(os.listdir(server.root), ["d"], "what was made")
    check(server.wait_event("T02W", status=status), "no event")


@test("host")
def the_wire_form_is_strict_and_replaces_no_directory(t):
    server, _ = site(t)
    (server.root / "folder").mkdir(mode=0o750)
    (server.root / "file").write_text("file")
    (server.root / "inner").mkdir()
    os.symlink("inner", server.root / "link")

    def put(path, body=b"", **fields):
        sent = {"Content-Length": str(len(body)), **{k.replace("_", "-"): v for k, v in fields.items()}}
        return Wire(t, server.port).request("PUT", path, sent, body)

    equal(put("/folder", b"file", Sluice_Type="link").status, 409, "a link in place of a directory")
    check((server.root / "folder").is_dir() and not (server.root / "folder").is_symlink(), "the directory is gone")
    equal(put("/link", Sluice_Type="directory").status, 403, "a directory in place of a link")
    equal(put("/file", Sluice_Type="directory").status, 409, "a directory in place of a file")
    equal(put("/link/x", b"y", Sluice_Type="link").status, 403, "a link behind a link")
    equal(put("/", Sluice_Type="directory").status, 409, "the store itself")
    equal(put("/x", b"y", Sluice_Type="directory").status, 400, "a directory with a body")
    equal(put("/x", Sluice_Type="device").status, 400, "something else")
    equal(put("/x", b"y", Sluice_Type="link", Repr_Digest="sha-256=:AAAA:").status, 400, "a digest")
    equal(put("/.sluice-x", Sluice_Type="directory").status, 404, "a private name")
    made = put("/a/b/", Sluice_Type="directory", Sluice_Modified="1000000000.000000007", Sluice_Mode="0000")
    equal(made.status, 201, "a directory and those above")
    equal(facts(server.root / "a/b"), (0o700, 1_000_000_000_000_000_007), "what its owner keeps")
    equal(put("/a/b", Sluice_Type="directory", Sluice_Mode="0777").status, 204, "the same again")
    equal(put("/file", b"a", Sluice_Type="link", If_None_Match="*").status, 412, "a condition")
    equal(put("/a/l", b"b", Sluice_Type="link").status, 201, "a link")
    equal(put("/a/l", b"b", Sluice_Type="link").status, 204, "the same link")
    equal(put("/a/l", b"b", Sluice_Type="link", If_None_Match="*").status, 412, "the same link, if there was none")
    told = Wire(t, server.port).request("OPTIONS", "/a", {"Sluice-Type": "?"})
    equal((told.status, told.fields.get("sluice-type")), (204, "directory, link"), "what is taken")
    equal(Wire(t, server.port).request("OPTIONS", "/a").status, 405, "OPTIONS as such")


@test("host")
def a_store_that_keeps_what_it_has_keeps_it_from_links_too(t):
    sections = setup.site(t)
    sections["store main"]["overwrite"] = "no"
    server = Server(t, sections)
    server.root = sections["store main"]["root"]
    ini = setup.partner(t, server.port)
    mine = t.make_folder("mine")
    (mine / "d").mkdir()
    (mine / "l").symlink_to("d")
    client(t, "put", "-r", "--links", "keep", mine, "there:", ini=ini).must_succeed()
    (mine / "l").unlink()
    (mine / "l").symlink_to("e")
    result = client(t, "put", "-r", "--json", "--links", "keep", mine, "there:", ini=ini)
    equal(counts(result), (0, 0, 1), "counts")
    equal(os.readlink(server.root / "mine/l"), "d", "the link")
    check("409" in result.errors, result.errors)


@test("host")
def who_may_not_write_makes_no_directory_and_hears_nothing(t):
    server, _ = site(t, anonymous="read", server_profile={"verify": "optional"})
    wire = Wire(t, server.port, certificate=None)
    equal(wire.request("PUT", "/d", {"Sluice-Type": "directory", "Content-Length": "0"}).status, 403, "a directory")
    equal(Wire(t, server.port, certificate=None).request("OPTIONS", "/d", {"Sluice-Type": "?"}).status, 403, "the question")
    equal(os.listdir(server.root), [], "what was made")


@test("host", each=["nginx", "apache"])
def a_server_that_knows_no_links_gets_none_and_no_file_in_their_place(t, which):
    mine, root = t.make_folder("mine"), t.make_folder("www")
    (mine / "empty").mkdir()
    (mine / "file").write_text("file")
    (mine / "link").symlink_to("file")
    (mine / "other").symlink_to("empty")
    ini = setup.partner(t, peers.nginx(t, root) if which == "nginx" else peers.apache(t, root))
    if which == "apache":
        (root / "mine").mkdir()
        os.chown(root / "mine", *[os.stat(root).st_uid, os.stat(root).st_gid])
    result = client(t, "put", "-r", "--links", "keep", mine, "there:", ini=ini).must_fail(12)
    equal(files.listing(root), ["mine/file"], "what stands there")
    equal(result.errors.count("2 symbolic links were not sent: the server does not take them"), 1, result.errors)
    check("of directories, were not sent: the server does not take them" in result.output, result.output)
    told = client(t, "put", "-r", "--json", "--links", "skip", mine, "there:again/" if which == "nginx" else "there:", ini=ini).must_succeed()
    check("does not take them" in told.transfers[-1]["not_taken"], str(told.transfers[-1]))


@test("host", each=["ours", "exact"])
def permissions_that_come_are_held_to_our_umask_unless_they_shall_be_exact(t, which):
    server, ini = site(t)
    tree = server.root / "tree"
    (tree / "d").mkdir(parents=True)
    for name in ("small", "d/other"):
        (tree / name).write_text(name)
        (tree / name).chmod(0o4777)
    files.make(tree / "large", (1 << 20) + 3)
    (tree / "large").chmod(0o666)
    (tree / "d").chmod(0o2777)
    exact = ["--exact-modes"] if which == "exact" else []
    before = os.umask(0o027)
    try:
        client(t, "get", "-r", *exact, "there:tree", t.make_folder("back"), ini=ini).must_succeed()
        again = client(t, "get", "-r", "--json", *exact, "there:tree", t.path("back"), ini=ini).must_succeed()
    finally:
        os.umask(before)
    back = t.path("back/tree")
    wanted = {"small": 0o777, "d/other": 0o777, "large": 0o666, "d": 0o777}
    for name, mode in wanted.items():
        equal(oct(facts(back / name)[0]), oct(mode if exact else mode & ~0o027), f"mode of {name}")
    equal(counts(again), (0, 3, 0), "the second time")
    client(t, "put", "-r", "--exact-modes", back, "there:", ini=ini).must_fail(2)
