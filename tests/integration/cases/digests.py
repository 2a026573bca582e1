"""Digests (RFC 9530): what the server says of a file, what a sender promises of one, and transfers that are compared."""

import base64
import hashlib
import os
import select
import signal
import threading
import time

from harness import check, client, equal, files, setup, test, wait_for
from harness import peers
from harness.peers import curl_options, tool
from harness.wire import Wire

MIB = 1 << 20
BODY = bytes(range(256)) * 40
SMALL, LARGE = 10_000, 3 * MIB + 11
ATTRIBUTE = "user.sluice.digest"
SETTLED = 3.2  # seconds after which a file's digest is remembered
WANT = {"Want-Repr-Digest": "sha-256=10"}


def field(body, name="sha-256"):
    made = hashlib.new(name.replace("-", ""), body).digest()
    return f"{name}=:{base64.b64encode(made).decode()}:"


def site(t, **how):
    server = setup.server(t, **how)
    (server.root / "file").write_bytes(BODY)
    return server, Wire(t, server.port)


def bad_copies(server):
    return [name for name in files.listing(server.root) if name.startswith(".sluice-bad-")]


def attribute(path):
    try:
        return os.getxattr(path, ATTRIBUTE).decode()
    except OSError:
        return None


def has_attributes(folder):
    """Not every file system has those of users: tmpfs since Linux 6.6."""
    probe = folder / ".sluice-probe"
    probe.touch()
    try:
        os.setxattr(probe, "user.probe", b"1")
        return True
    except OSError:
        return False
    finally:
        probe.unlink()


# -- what the server says --------------------------------------------------------------------------------------------

@test("host", "guest")
def head_says_the_digest_that_is_wanted(t):
    server, wire = site(t)
    check("repr-digest" not in wire.request("HEAD", "/file").fields, "a digest that nobody wanted")
    for name in ("sha-256", "sha-512"):
        answer = wire.request("HEAD", "/file", {"Want-Repr-Digest": f"{name}=5, md5=10"})
        equal(answer.fields.get("repr-digest"), field(BODY, name), f"the digest by {name}")
        equal(answer.fields.get("content-length"), str(len(BODY)), "the length")
    equal(wire.request("HEAD", "/file", {"Want-Repr-Digest": "md5=1"}).fields.get("repr-digest"), None, "another's digest")
    equal(wire.request("HEAD", "/file", {"Want-Repr-Digest": "=,"}).status, 200, "the status with a wish in no language")


@test("host")
def an_empty_file_has_a_digest(t):
    server, wire = site(t)
    (server.root / "empty").write_bytes(b"")
    equal(wire.request("HEAD", "/empty", WANT).fields.get("repr-digest"), field(b""), "the digest of nothing")


@test("host")
def what_is_not_the_whole_file_has_none_or_that_of_the_whole(t):
    server, wire = site(t)
    first = wire.request("PUT", "/sent", {"Repr-Digest": field(BODY)}, BODY)
    part = wire.request("GET", "/sent", {**WANT, "Range": "bytes=5-9"})
    equal((part.status, part.body, part.fields.get("repr-digest")), (206, BODY[5:10], field(BODY)), "a part")
    same = wire.request("HEAD", "/sent", {**WANT, "If-None-Match": first.fields["etag"]})
    equal((same.status, same.fields.get("repr-digest")), (304, None), "what has not changed")
    other = wire.request("HEAD", "/sent", {**WANT, "If-Match": '"other"'})
    equal((other.status, other.fields.get("repr-digest")), (412, None), "what is not there any more")
    folder = wire.request("HEAD", "/", WANT)
    equal((folder.status, folder.fields.get("repr-digest")), (200, None), "a directory")


@test("host")
def get_says_it_where_it_is_known_or_the_file_is_small(t):
    server, wire = site(t)
    sizes = {"none": 0, "one": 1, "page": 16 << 10, "more": (16 << 10) + 1, "most": MIB}
    for name, size in sizes.items():
        body = files.make(server.root / name, size).read_bytes()
        for wanted in ("sha-256", "sha-512"):
            answer = wire.request("GET", f"/{name}", {"Want-Repr-Digest": f"{wanted}=1"})
            equal((answer.body == body, answer.fields.get("repr-digest")), (True, field(body, wanted)), f"{size} bytes")
    equal(wire.request("GET", "/page", {**WANT, "Range": "bytes=0-9"}).fields.get("repr-digest"), None, "a part of it")
    body = files.make(server.root / "large", MIB + 1).read_bytes()
    equal(wire.request("GET", "/large", WANT).fields.get("repr-digest"), None, "what was never computed")
    time.sleep(SETTLED)
    wire.request("HEAD", "/large", WANT)
    equal(wire.request("GET", "/large", WANT).fields.get("repr-digest"), field(body), "what HEAD has computed")
    equal(attribute(server.root / "page"), None, "an attribute on a file that others may be reading")


@test("host", "guest")
def a_file_that_changes_gets_another_digest(t):
    server, wire = site(t)
    for path in ("/file", "/sent"):
        if path == "/sent":
            wire.request("PUT", path, {"Repr-Digest": field(BODY)}, BODY)
        else:
            time.sleep(SETTLED)
        equal(wire.request("HEAD", path, WANT).fields.get("repr-digest"), field(BODY), "the digest before")
        with open(server.root / path[1:], "r+b") as file:
            file.write(b"other")
        other = b"other" + BODY[5:]
        equal(wire.request("HEAD", path, WANT).fields.get("repr-digest"), field(other), "the digest in place")
        (server.root / "new").write_bytes(BODY[::-1])
        os.rename(server.root / "new", server.root / path[1:])
        equal(wire.request("HEAD", path, WANT).fields.get("repr-digest"), field(BODY[::-1]), "the digest of another file")


@test("host")
def many_who_ask_at_once_have_it_computed_once(t):
    server, wire = site(t)
    size = 192 * MIB
    big = server.root / "big"
    with open(big, "wb") as file:
        file.truncate(size)
    expected = hashlib.sha256()
    for _ in range(size // MIB):
        expected.update(bytes(MIB))
    wanted = f"sha-256=:{base64.b64encode(expected.digest()).decode()}:"
    before = server.cpu_seconds()
    equal(wire.request("HEAD", "/big", WANT).fields.get("repr-digest"), wanted, "the digest")
    once = server.cpu_seconds() - before
    with open(big, "ab") as file:
        file.truncate(size)
    os.utime(big)
    wires = [Wire(t, server.port, timeout=60) for _ in range(12)]
    before = server.cpu_seconds()
    for one in wires:
        one.send_request("HEAD", "/big", WANT)
    for one in wires:
        equal(one.response(to_head=True).fields.get("repr-digest"), wanted, "the digest for one of many")
    check(server.cpu_seconds() - before < 4 * once + 0.5, "it was computed for each of them")


@test("host")
def a_digest_keeps_nobody_waiting(t):
    server, wire = site(t)
    with open(server.root / "endless", "wb") as file:
        file.truncate(1 << 42)
    waiting = [Wire(t, server.port) for _ in range(3)]
    for one in waiting:
        one.send_request("HEAD", "/endless", WANT)
    equal(wire.request("GET", "/file").body, BODY, "what others ask for")
    equal(wire.request("GET", "/endless", {**WANT, "Range": "bytes=0-3"}).status, 206, "the file meanwhile")
    began = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    server.process.send_signal(signal.SIGTERM)
    server.stop(20)
    check(time.monotonic() - began < 15 * t.run.patience, "the server waited for the digest of a huge file")


@test("host")
def a_file_that_changes_meanwhile_has_none(t):
    server, wire = site(t)
    with open(server.root / "big", "wb") as file:
        file.truncate(256 * MIB)
    wire.send_request("HEAD", "/big", WANT)
    time.sleep(0.05)
    with open(server.root / "big", "r+b") as file:
        file.write(b"x")
    answer = wire.response(to_head=True)
    zeros = hashlib.sha256(bytes(256 * MIB)).digest()
    check(answer.fields.get("repr-digest") in (None, f"sha-256=:{base64.b64encode(zeros).decode()}:"),
          "a digest of neither what was there nor what is there")


# -- what a sender promises ------------------------------------------------------------------------------------------

@test("host", "guest", each=["Repr-Digest", "Content-Digest"])
def what_a_put_promises_is_held_against_it(t, name):
    server, wire = site(t)
    answer = wire.request("PUT", "/sent", {name: field(BODY)}, BODY)
    equal((answer.status, answer.fields.get("repr-digest")), (201, field(BODY)), "the answer to what is right")
    if has_attributes(server.root):
        check(f"sha-256:{hashlib.sha256(BODY).hexdigest()}" in (attribute(server.root / "sent") or ""), "nothing was recorded")
    both = f"{field(BODY, 'sha-512')}, {field(BODY)}"
    equal(wire.request("PUT", "/sent", {name: both}, BODY).status, 204, "the answer to two digests")
    equal(wire.request("PUT", "/sent", {name: "md5=:AAAA:"}, BODY).status, 204, "the answer to a digest of no use")
    for wrong in (field(BODY[1:]), f"{field(BODY)}, {field(BODY[1:], 'sha-512')}"):
        wire = Wire(t, server.port)
        equal(wire.request("PUT", "/other", {name: wrong}, BODY).status, 422, "the answer to what is wrong")
    check(not (server.root / "other").exists(), "a wrong file has its name")
    equal(len(bad_copies(server)), 1, "copies kept")
    equal((server.root / bad_copies(server)[0]).read_bytes(), BODY, "what is kept for inspection")
    event = server.wait_event("T11E", path="other")
    equal(event["kept"], bad_copies(server)[0], "where the event says that it is")
    equal(wire.request("GET", "/" + bad_copies(server)[0]).status, 404, "the kept copy, asked for")


@test("host")
def a_wrong_file_leaves_the_old_one(t):
    server, wire = site(t)
    equal(wire.request("PUT", "/file", {"Repr-Digest": field(b"else")}, BODY[::-1]).status, 422, "the answer")
    equal((server.root / "file").read_bytes(), BODY, "what stood there before")


@test("host", each=["sha-256=abc", "sha-256=:AAAA:", "sha-256", ",", f"sha-256=:{'A' * 43}=: x"])
def a_promise_that_cannot_be_read_is_refused(t, value):
    server, wire = site(t)
    equal(wire.request("PUT", "/sent", {"Repr-Digest": value}, BODY).status, 400, "the answer")
    equal(files.listing(server.root), ["file"], "files in the store")


@test("host")
def chunks_are_held_against_their_promise_too(t):
    server, wire = site(t)
    chunked = f"{len(BODY):x}\r\n".encode() + BODY + b"\r\n0\r\n\r\n"
    for body, status in ((BODY, 201), (BODY[1:], 422)):
        fields = {"Transfer-Encoding": "chunked", "Repr-Digest": field(body)}
        equal(Wire(t, server.port).request("PUT", f"/{status}", fields, chunked).status, status, "the answer")
    equal((server.root / "201").read_bytes(), BODY, "what was right")
    check(not (server.root / "422").exists(), "what was wrong has its name")


# -- transfers that are compared -------------------------------------------------------------------------------------

@test("host", "guest", each=["sha-256", "sha-512"])
def put_and_get_are_verified(t, name):
    server, _ = site(t)
    ini = setup.partner(t, server.port)
    for size in (0, SMALL, LARGE):
        mine, back = files.make(t.path("mine"), size), t.path("back")
        expected = f"{name}:{hashlib.new(name.replace('-', ''), mine.read_bytes()).hexdigest()}"
        for done in (client(t, "put", "--json", "--digest", name, mine, f"there:sent-{size}", ini=ini),
                     client(t, "get", "--json", "--verify", "--digest", name, f"there:sent-{size}", back, ini=ini)):
            told = done.must_succeed().transfer
            equal((told["verified"], told["digest"], told["unverified"]), (True, expected, ""), f"what is told of {size}")
        files.same(mine, back)
    line = client(t, "put", "--digest", name, mine, "there:again", ini=ini).must_succeed().output
    check(f"; verified {name}" in line, f"the line does not say it: {line}")


@test("host")
def what_is_not_verified_says_why(t):
    server, _ = site(t)
    ini = setup.partner(t, server.port)
    mine = files.make(t.path("mine"), SMALL)
    for arguments, why in ((("put", "--no-verify", mine, "there:sent"), "--no-verify"),
                           (("get", "there:sent", t.path("back")), "not asked for")):
        told = client(t, arguments[0], "--json", *arguments[1:], ini=ini).must_succeed().transfer
        equal((told["verified"], told["unverified"]), (False, why), f"what is told of {arguments[0]}")
        (server.root / "sent" if arguments[0] == "put" else t.path("back")).unlink()
        check(f"; not verified: {why}" in client(t, *arguments, ini=ini).must_succeed().output, "the line does not say it")
    client(t, "get", "--digest", "md5", "there:sent", t.path("back"), ini=ini).must_fail(2)
    client(t, "ls", "--verify", "there:", ini=ini).must_fail(2)
    for target in ("-", "/dev/null"):
        client(t, "get", "--verify", "there:sent", target, ini=ini).must_fail(2)


@test("host", "guest", each=[SMALL, LARGE])
def a_get_of_other_bytes_does_not_get_its_name(t, size):
    server, _ = site(t)
    ini = setup.partner(t, server.port)
    sent, damaged = files.make(t.path("sent"), size, 1).read_bytes(), files.make(t.path("damaged"), size, 2).read_bytes()
    files.lie(server.root / "lie", damaged, sent)
    there = t.make_folder("there") / "file"
    there.write_bytes(b"before")
    done = client(t, "get", "-v", "--json", "--verify", "there:lie", there, ini=ini).must_fail(10)
    equal(done.transfer["result"], "digest", "the result")
    check("file.bad" in done.transfer["error"], f"the sentence does not say where it is: {done.transfer['error']}")
    equal(there.read_bytes(), b"before", "what stood there")
    equal((there.parent / "file.bad").read_bytes(), damaged, "what is kept for inspection")
    equal(files.listing(there.parent), ["file", "file.bad"], "files there")
    equal([e["id"] for e in done.events if e["id"] == "T11E"], ["T11E"], "the event")
    client(t, "get", "there:lie", there, ini=ini).must_succeed()


@test("host", "guest")
def a_file_of_another_is_verified_by_curl_by_hand(t):
    server, _ = site(t)
    mine = files.make(t.path("mine"), LARGE, 4)
    client(t, "put", mine, "there:sent", ini=setup.partner(t, server.port)).must_succeed()
    tool(t, "curl", *curl_options(t), "-H", "Want-Repr-Digest: sha-256=1", "-D", t.path("head"), "-o", t.path("got"),
         f"https://localhost:{server.port}/sent")
    files.same(mine, t.path("got"))
    head = t.path("head").read_text().lower().splitlines()
    said = [line.partition(": ")[2] for line in head if line.startswith("repr-digest: ")]
    equal(said, [field(t.path("got").read_bytes()).lower()], "what curl can compare with sha256sum")


@test("host", each=["right", "wrong"])
def curl_sends_with_a_digest(t, which):
    server, _ = site(t)
    mine = files.make(t.path("mine"), LARGE, 4)
    promised = field(mine.read_bytes() if which == "right" else b"")
    status = tool(t, "curl", *curl_options(t), "-H", f"Repr-Digest: {promised}", "-o", "/dev/null", "-w", "%{http_code}",
                  "-T", mine, f"https://localhost:{server.port}/sent").stdout.decode()
    equal(status, "201" if which == "right" else "422", "the status")
    equal((server.root / "sent").exists(), which == "right", "whether it has its name")


@test("host", each=["nginx", "apache"])
def a_server_without_digests_is_said_to_be_one(t, name):
    root = t.make_folder("root")
    root.chmod(0o777)
    port = getattr(peers, name)(t, root)
    ini = setup.partner(t, port)
    mine = files.make(t.path("mine"), SMALL)
    told = client(t, "put", "--json", mine, "there:sent", ini=ini).must_succeed().transfer
    equal((told["verified"], told["unverified"]), (False, "the server gives no digest"), "what is told of put")
    files.same(mine, root / "sent")
    client(t, "get", "--verify", "there:sent", t.path("back"), ini=ini).must_fail(7)
    check(not t.path("back").exists(), "what could not be verified has its name, although that was demanded")
    client(t, "get", "there:sent", t.path("back"), ini=ini).must_succeed()
    files.same(mine, t.path("back"))


# -- what nobody needs -------------------------------------------------------------------------------------------------


def vast(server, name="vast"):
    """A file that takes minutes to be read, and no room."""
    path = server.root / name
    path.touch()
    os.truncate(path, 1 << 40)
    return path


def rests(server):
    before = server.cpu_seconds()
    time.sleep(0.5)
    return server.cpu_seconds() - before < 0.03


@test("host")
def what_nobody_waits_for_any_more_is_not_computed(t):
    server, wire = site(t)
    vast(server)
    for patient in range(2):
        wire = Wire(t, server.port)
        before = server.cpu_seconds()
        wire.send_request("HEAD", "/vast", WANT)
        wait_for(lambda: server.cpu_seconds() > before + 0.3, "that the server computes")
        if patient:
            other = Wire(t, server.port)
            other.send_request("HEAD", "/vast", WANT)
            other.abort()
            wait_for(lambda: not rests(server), "that it goes on for the one who still waits")
        wire.abort()
        wait_for(lambda: rests(server), "that the server has left off")
    equal(Wire(t, server.port).request("HEAD", "/file", WANT).fields.get("repr-digest"), field(BODY), "another's digest")


@test("host")
def who_takes_one_byte_does_not_have_the_whole_file_read(t):
    server, wire = site(t)
    vast(server)
    for _ in range(5):
        answer = wire.request("GET", "/vast", {**WANT, "Range": "bytes=0-0"})
        equal((answer.status, answer.body), (206, b"\0"), "the answer")
    wait_for(lambda: rests(server), "that nothing is computed")


@test("host")
def one_asker_has_so_many_digests_under_way(t):
    server, wire = site(t)
    wires = [Wire(t, server.port, version="1.2") for _ in range(17)]
    for number, one in enumerate(wires):
        vast(server, f"vast{number}")
        one.send_request("HEAD", f"/vast{number}", WANT)
    sockets = {one.socket: one for one in wires}
    answered, _, _ = select.select(list(sockets), [], [], 60 * t.run.patience)
    equal([sockets[one].response(to_head=True).status for one in answered], [503], "who is refused")
    for one in wires:
        one.abort()
    wait_for(lambda: rests(server), "that the server has left off")
