"""Every data path by name, on both sides: the bytes are right, and what carried them is told."""

from harness import check, client, equal, files, setup, test
from harness.disk import Disk, drop_from_page_cache, in_page_cache
from harness.peers import curl_options, tool

SIZES = (1, 100_003, (3 << 20) + 7)
SENDING = ("sendfile", "splice", "splice-hybrid", "fixed", "direct")
RECEIVING = ("recv", "direct", "splice")
FIRST, LAST = 12_345, 2_345_678
ODD_ENDS = 64 << 10  # what comes with a head, and what is no whole block


def is_told(told, path, ours):
    """It was taken; or it was asked for, and why it was not is said; or it is none of this direction."""
    if path not in ours:
        return told.split(":")[0] in (*ours, "user")
    return told == f"{path}: asked for" or f": not {path} as asked for: " in told


@test("host", "guest", each=dict.fromkeys(SENDING + RECEIVING))
def fetches_and_sends_what_it_should(t, path):
    store = t.make_folder("files")
    server = setup.server(t, more={"store main": {"root": store, "path": path}})
    ini = setup.partner(t, server.port)
    for size in SIZES:
        source = files.make(store / f"file-{size}", size, size)
        got = client(t, "get", "--json", "--path", path, f"there:file-{size}", t.path("got"), ini=ini).must_succeed()
        put = client(t, "put", "--json", "--path", path, source, f"there:sent-{size}", ini=ini).must_succeed()
        files.same(source, t.path("got"))
        files.same(source, store / f"sent-{size}")
        out, into = server.wait_event("T01I", path=f"file-{size}"), server.wait_event("T01I", path=f"sent-{size}")
        if size == 1:  # it may come with its head, and no path moves it
            continue
        for told, ours in ((got.transfer["path"], RECEIVING), (put.transfer["path"], SENDING), (out["pump"], SENDING),
                           (into["pump"], RECEIVING)):
            check(is_told(told, path, ours), f"the path that was told: {told}")
        if t.run.kernel and size == SIZES[-1]:
            equal((out["tx"], into["rx"]), ("kernel", "kernel"), "who did the cryptography")
            check(not out["pump"].startswith("user"), out["pump"])


@test("host", "guest", each=SENDING)
def a_range_that_begins_and_ends_anywhere_is_sent(t, path):
    store = t.make_folder("files")
    server = setup.server(t, more={"store main": {"root": store, "path": path}})
    source = files.make(store / "file", SIZES[-1], 7)
    tool(t, "curl", *curl_options(t), "-r", f"{FIRST}-{LAST}", "-o", t.path("got"), f"https://localhost:{server.port}/file")
    check(t.path("got").read_bytes() == source.read_bytes()[FIRST : LAST + 1], "the range differs")


@test("guest")
def direct_leaves_the_page_cache_alone_both_ways(t):
    disk = Disk(t, "disk", size=32 << 20)
    (disk.folder / "store").mkdir()
    server = setup.server(t, more={"store main": {"root": disk.folder / "store", "path": "direct"}})
    ini = setup.partner(t, server.port)
    source = files.make(disk.folder / "store" / "file", SIZES[-1], 5)
    drop_from_page_cache(source)
    equal(in_page_cache(source), 0, "bytes in the page cache before")
    got, sent = disk.folder / "got", disk.folder / "store" / "sent"
    # With digests, which either end computes beside the body.
    for done in (client(t, "get", "--json", "--path", "direct", "--verify", "there:file", got, ini=ini),
                 client(t, "put", "--json", "--path", "direct", "--verify", got, "there:sent", ini=ini)):
        check(done.must_succeed().transfer["verified"], "it was not verified")
        equal(done.transfer["path"], "direct: asked for", "the client's path")
    for file in (source, got, sent):
        held = in_page_cache(file)
        check(held <= ODD_ENDS, f"{held} bytes of {file.name} are in the page cache")
    for file in (source, sent):
        equal(server.wait_event("T01I", path=file.name)["pump"], "direct: asked for", f"the path of {file.name}")
    files.same(source, sent)
    files.same(source, got)
    check(in_page_cache(sent) >= SIZES[-1] - ODD_ENDS, "what was read is not seen in the page cache")


@test("host", "guest")
def files_of_an_immutable_store_are_told_to_the_kernel(t):
    store = t.make_folder("files")
    server = setup.server(t, more={"store main": {"root": store, "immutable": "yes"}})
    source = files.make(store / "file", SIZES[-1], 3)
    tool(t, "curl", *curl_options(t), "-o", t.path("got"), f"https://localhost:{server.port}/file")
    files.same(source, t.path("got"))
    told = server.wait_event("T01I", path="file")["tx"]
    check(told == "kernel, files immutable" if t.run.kernel else told.startswith("user: "), f"who encrypted: {told}")


@test("host")
def a_path_that_is_not_there_is_named_with_those_that_are(t):
    ini = setup.partner(t, 1)
    said = client(t, "get", "--path", "sendfil", "there:file", t.path("got"), ini=ini).must_fail(2).errors
    check("auto, sendfile, splice" in said, said)
    site = setup.site_file(t, more={"store main": {"root": t.make_folder("files"), "path": "fast"}})
    result = client(t, "check", "-c", site).must_fail(3)
    said = result.output + result.errors
    check("auto, sendfile" in said, said)


@test("host")
def a_small_body_goes_with_its_head_and_a_large_one_does_not(t):
    store = t.make_folder("files")
    server = setup.server(t, more={"store main": {"root": store}})
    small, large = files.make(store / "small", 4096, 1), files.make(store / "large", 100_000, 2)

    def fetch(name, *more):
        tool(t, "curl", *curl_options(t), *more, "-o", t.path("got"), f"https://localhost:{server.port}/{name}")
        return t.path("got").read_bytes(), server.wait_event("T01I", path=name)

    got, event = fetch("small")
    equal(got, small.read_bytes(), "the small file")
    check(event["pump"].startswith("head: "), f"the path that was told: {event['pump']}")
    got, event = fetch("large")
    equal(got, large.read_bytes(), "the large file")
    check(not event["pump"].startswith("head: "), f"the path that was told: {event['pump']}")
