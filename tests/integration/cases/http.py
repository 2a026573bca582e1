"""What a client that speaks HTTP/1.1 may expect, and what one that speaks it badly gets."""

import json
import os
import resource
import signal
import socket
import ssl
import time

from harness import check, equal, files, setup, test, wait_for
from harness.pki import Authority
from harness.run import tls_counters
from harness.wire import Wire

BODY = bytes(range(256)) * 40


def site(t, **limits):
    server = setup.server(t, **limits)
    (server.root / "file").write_bytes(BODY)
    return server, Wire(t, server.port)


@test("guest", each=("1.3", "1.2"))
def a_connection_that_rests_goes_to_the_kernel_and_goes_on_there(t, version):
    server = setup.server(t, server_profile={"offload": "auto", "min_version": "1.2"}, idle_timeout="5m")
    (server.root / "file").write_bytes(BODY)
    wire = Wire(t, server.port, version=version)
    before = tls_counters()
    equal(wire.request("GET", "/file").body, BODY, "body")
    check(server.wait_event("T01I")["rx"].startswith("user"), "it was there before")
    wait_for(lambda: all(tls_counters()[n] > before[n] for n in ("TlsCurrTxSw", "TlsCurrRxSw")), "both directions", 60)
    wire.send_request("GET", "/file")  # two at once
    wire.send_request("GET", "/file", {"Range": "bytes=5-9"})
    equal((wire.response().body, wire.response().body), (BODY, BODY[5:10]), "bodies")
    last = server.wait_event("T01I", status=206)
    equal((last["tx"], last["rx"], last["version"]), ("kernel", "kernel", f"TLSv{version}"), "what is told of it")
    check(wire.request("PUT", "/other", body=BODY[::-1]).status in (201, 204), "a PUT was refused")
    equal((server.root / "other").read_bytes(), BODY[::-1], "what was sent")
    server.stop()
    wire.end()


@test("host", "guest")
def answers_many_requests_on_one_connection(t):
    server, wire = site(t)
    for _ in range(20):
        equal(wire.request("GET", "/file").body, BODY, "body")
        equal(wire.request("PUT", "/other", body=BODY[::-1]).status in (201, 204), True, "PUT taken")
        equal(wire.request("GET", "/other").body, BODY[::-1], "body of what was sent")
    equal(len(server.find("Y14I")), 1, "sessions")


@test("host", "guest")
def answers_pipelined_requests_in_order(t):
    server, wire = site(t)
    for number in range(10):
        (server.root / f"f{number}").write_bytes(b"%d" % number * 3000)
    wire.send("".join(f"GET /f{n} HTTP/1.1\r\nHost: localhost\r\n\r\n" for n in range(10)))
    for number in range(10):
        equal(wire.response().body, b"%d" % number * 3000, f"answer {number}")


@test("host", "guest")
def an_answer_does_not_wait_for_a_request_that_is_not_whole(t):
    server, wire = site(t)
    get = "GET /file HTTP/1.1\r\nHost: localhost\r\n"
    for rest in (get[:20], "PUT /small HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\n",
                 "PUT /large HTTP/1.1\r\nHost: localhost\r\nContent-Length: 300000\r\n\r\n"):
        wire.send(get + "\r\n" + get + "\r\n" + rest)
        for number in range(2):
            equal(wire.response().body, BODY, f"answer {number}")
        wire.send(get[20:] + "\r\n" if rest.startswith("GET") else b"x" * (3 if "small" in rest else 300000))
        check(wire.response().status in (200, 201), "of the last")
    wire.send((get + "\r\n") * 400)  # more than sockets hold
    for number in range(400):
        equal(wire.response().body, BODY, f"answer {number}")


@test("host")
def takes_a_body_and_the_next_request_in_one_piece(t):
    server, wire = site(t)
    wire.send(b"PUT /new HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhelloGET /new HTTP/1.1\r\nHost: localhost\r\n\r\n")
    equal(wire.response().status, 201, "status of the PUT")
    equal(wire.response().body, b"hello", "body")


@test("host", each=["yes", "no", "rename"])
def a_small_upload_that_is_refused_leaves_the_connection_to_the_next(t, overwrite):
    root = t.make_folder("store")
    server = setup.server(t, more={"store main": {"root": root, "overwrite": overwrite}})
    (root / "file").write_bytes(BODY)
    (root / "elsewhere").symlink_to("/etc")
    (root / "passwd").symlink_to("/etc/passwd")
    wire = Wire(t, server.port)
    for number in range(3):
        if overwrite != "yes":
            answer = wire.request("PUT", "/file", body=b"x" * 16384)
            equal(answer.status, 409 if overwrite == "no" else 201, "of a name that is taken")
        equal(wire.request("PUT", "/elsewhere/passwd", body=b"x").status, 403, "of a path that leads out")
        equal(wire.request("PUT", "/passwd", body=b"x").status, 403, "of a link that leads out")
        equal(wire.request("PUT", "/file", {"If-Match": '"other"'}, b"x").status, 412, "of another file than is there")
        equal(wire.request("PUT", "/bad", {"Repr-Digest": "sha-256=:" + "A" * 43 + "=:"}, b"x").status, 422, "of other bytes")
        equal(wire.request("PUT", f"/new/{number}", body=BODY[:number + 1]).status, 201, "of a new name")
        equal(wire.request("GET", f"/new/{number}").body, BODY[:number + 1], "what it holds")
    equal(len(server.find("Y14I")), 1, "sessions")
    equal((root / "file").read_bytes(), BODY, "what was there")
    check((root / "passwd").is_symlink(), "the link is gone")
    bad = [name for name in os.listdir(root) if name.startswith(".sluice-")]
    check(len(bad) == 1 and bad[0].startswith(".sluice-bad-"), f"what was left: {bad}")
    equal(sorted(name for name in os.listdir(root) if name.startswith("file.")),
          ["file.1", "file.2", "file.3"] if overwrite == "rename" else [], "numbered ones")


@test("host")
def head_has_the_fields_of_get_and_no_body(t):
    _, wire = site(t)
    head, get = wire.request("HEAD", "/file"), wire.request("GET", "/file")
    for field in ("content-length", "etag", "last-modified", "accept-ranges"):
        check(field in get.fields, f"GET lacks {field}: {get.fields}")
        equal(head.fields.get(field), get.fields[field], field)


@test("host", each=["0-0", "5-9", "10000-", "-1", "-500", "0-99999999", "10239-10239"])
def serves_a_range(t, spec):
    _, wire = site(t)
    first, _, last = spec.partition("-")
    begin = int(first) if first else len(BODY) - int(last)
    end = min(int(last) + 1, len(BODY)) if first and last else len(BODY)
    answer = wire.request("GET", "/file", {"Range": f"bytes={spec}"})
    equal(answer.status, 206, "status")
    equal(answer.fields["content-range"], f"bytes {begin}-{end - 1}/{len(BODY)}", "Content-Range")
    equal(answer.body, BODY[begin:end], "body")


@test("host")
def says_416_and_the_size_for_a_range_beyond_the_end(t):
    _, wire = site(t)
    answer = wire.request("GET", "/file", {"Range": f"bytes={len(BODY)}-"})
    equal(answer.status, 416, "status")
    equal(answer.fields.get("content-range"), f"bytes */{len(BODY)}", "Content-Range")
    equal(wire.request("GET", "/file").status, 200, "status of the next request")


@test("host")
def ignores_a_range_it_cannot_read_and_several(t):
    _, wire = site(t)
    for value in ("bytes=", "bytes=9-1", "lines=1-2", "bytes=0-1,5-6", "bytes=a-b"):
        answer = wire.request("GET", "/file", {"Range": value})
        equal((answer.status, len(answer.body)), (200, len(BODY)), f"answer to Range: {value}")


@test("host")
def if_range_sends_the_whole_when_the_file_has_changed(t):
    _, wire = site(t)
    etag = wire.request("HEAD", "/file").fields["etag"]
    equal(wire.request("GET", "/file", {"Range": "bytes=0-3", "If-Range": etag}).status, 206, "unchanged")
    equal(wire.request("GET", "/file", {"Range": "bytes=0-3", "If-Range": '"other"'}).status, 200, "changed")


@test("host")
def conditional_requests_follow_the_etag(t):
    server, wire = site(t)
    etag = wire.request("HEAD", "/file").fields["etag"]
    equal(wire.request("GET", "/file", {"If-None-Match": etag}).status, 304, "GET of what is known")
    equal(wire.request("GET", "/file", {"If-None-Match": '"x", "y"'}).status, 200, "GET of what is not")
    equal(wire.request("PUT", "/file", {"If-Match": '"x"'}, b"new").status, 412, "PUT over another version")
    equal((server.root / "file").read_bytes(), BODY, "file after a refused PUT")
    wire = Wire(t, server.port)
    equal(wire.request("PUT", "/file", {"If-None-Match": "*"}, b"new").status, 412, "PUT where nothing may be")
    wire = Wire(t, server.port)
    equal(wire.request("PUT", "/file", {"If-Match": etag}, b"new").status, 204, "PUT over the known version")
    equal((server.root / "file").read_bytes(), b"new", "file")
    check(wire.request("HEAD", "/file").fields["etag"] != etag, "the ETag is that of the old file")


@test("host")
def last_modified_is_understood(t):
    _, wire = site(t)
    modified = wire.request("HEAD", "/file").fields["last-modified"]
    equal(wire.request("GET", "/file", {"If-Modified-Since": modified}).status, 304, "unmodified")
    long_ago = "Sat, 01 Jan 2000 00:00:00 GMT"
    equal(wire.request("GET", "/file", {"If-Modified-Since": long_ago}).status, 200, "modified")
    equal(wire.request("GET", "/file", {"If-Unmodified-Since": long_ago}).status, 412, "modified, not wanted")


@test("host", "guest")
def takes_a_chunked_upload(t):
    server, wire = site(t)
    wire.send("PUT /chunks HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
    sent = b""
    for size in (1, 2, 100, 16384, 16385, 70000):
        piece = os.urandom(size)
        wire.send(b"%x;note=x\r\n%b\r\n" % (size, piece))
        sent += piece
    wire.send("0\r\nTrailer: gone\r\n\r\nGET /chunks HTTP/1.1\r\nHost: localhost\r\n\r\n")
    equal(wire.response().status, 201, "status")
    equal(wire.response().body == sent, True, "the file is what was sent")
    equal(files.listing(server.root), ["chunks", "file"], "files in the store")


BAD_CHUNKS = {
    "size is no number": b"zz\r\nabc\r\n",
    "longer than its size": b"5\r\nabcdefgh\r\n0\r\n\r\n",
    "negative size": b"-1\r\n",
    "size above 64 bits": b"fffffffffffffffffffff\r\n",
}


@test("host", each=list(BAD_CHUNKS))
def refuses_a_malformed_chunk_and_stores_nothing(t, which):
    server, wire = site(t)
    wire.send(b"PUT /bad HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n" + BAD_CHUNKS[which])
    equal(wire.response().status, 400, "status")
    wire.gone()
    equal(files.listing(server.root), ["file"], "files in the store")


@test("host", "guest")
def says_100_continue_before_it_takes_the_body(t):
    server, wire = site(t)
    wire.send("PUT /slow HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
    equal(wire.response().status, 100, "first status")
    wire.send(b"abc")
    equal(wire.response().status, 201, "second status")
    equal((server.root / "slow").read_bytes(), b"abc", "file")


@test("host")
def refuses_at_once_what_it_would_refuse_after_the_body(t):
    server, wire = site(t, max_upload="1K")
    wire.send("PUT /big HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2048\r\nExpect: 100-continue\r\n\r\n")
    equal(wire.response().status, 413, "status")
    equal(files.listing(server.root), ["file"], "files in the store")


@test("host", each=[5, 64])
def a_chunked_upload_above_the_limit_is_refused_however_fast_it_comes(t, chunks):
    server, wire = site(t, max_upload="64K")
    wire.send("PUT /big HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
    try:
        wire.send((b"4000\r\n" + bytes(0x4000) + b"\r\n") * chunks)
        equal(wire.response().status, 413, "status")
    except ConnectionError:
        pass  # it may have closed while we were still sending
    server.wait_event("T02W", 10 * t.run.patience, status=413)
    equal(files.listing(server.root), ["file"], "files in the store")


@test("host")
def a_chunked_upload_of_just_the_limit_is_taken(t):
    server, wire = site(t, max_upload="64K")
    wire.send("PUT /fits HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
    wire.send((b"4000\r\n" + bytes(0x4000) + b"\r\n") * 4 + b"0\r\n\r\n")
    equal(wire.response().status, 201, "status")
    equal((server.root / "fits").stat().st_size, 65536, "size")


@test("host")
def a_limit_on_the_size_of_files_ends_nobody(t):
    server, wire = site(t)
    for number in range(400):
        (server.root / f"{number:0200}").write_bytes(b"")
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (1 << 16, 1 << 16))
    equal(wire.request("GET", "/").status, 500, "status of a listing that does not fit")
    equal(Wire(t, server.port).request("PUT", "/large", body=bytes(1 << 17)).status, 413, "status of a file that does not fit")
    equal(Wire(t, server.port).request("GET", "/file").body, BODY, "what others get")
    check(not (server.root / "large").exists(), "it was stored")
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (1, 1 << 16))
    server.process.send_signal(signal.SIGHUP)  # what it says of that does not fit into its log
    time.sleep(1)
    equal(Wire(t, server.port).request("GET", "/file").body, BODY, "what others get with a full log")


@test("host", each=["GET", "HEAD", "DELETE"])
def a_body_where_there_is_none_is_not_taken_for_the_next_request(t, method):
    server, wire = site(t)
    smuggled = b"PUT /smuggled HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx"
    for framing in (b"Content-Length: %d\r\n\r\n" % len(smuggled), b"Transfer-Encoding: chunked\r\n\r\n"):
        wire.send(method.encode() + b" /file HTTP/1.1\r\nHost: a\r\n" + framing + smuggled)
        answer = wire.response(to_head=method == "HEAD")
        check(answer.status in (400, 403), f"status {answer.status}")
        equal(answer.fields.get("connection"), "close", "Connection")
        wire.gone()
        wire = Wire(t, server.port)
    equal(files.listing(server.root), ["file"], "files in the store")
    equal(wire.request(method, "/file", {"Content-Length": "0"}).status, 403 if method == "DELETE" else 200, "no body")


MALFORMED = {
    "no version": (b"GET /file\r\n\r\n", 400),
    "HTTP 2": (b"GET /file HTTP/2.0\r\nHost: a\r\n\r\n", 505),
    "no host": (b"GET /file HTTP/1.1\r\n\r\n", 400),
    "two hosts": (b"GET /file HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    "folded field": (b"GET /file HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n", 400),
    "space before colon": (b"GET /file HTTP/1.1\r\nHost : a\r\n\r\n", 400),
    "no colon": (b"GET /file HTTP/1.1\r\nHost: a\r\nnonsense\r\n\r\n", 400),
    "two lengths": (b"PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400),
    "length and chunked": (b"PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "negative length": (b"PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400),
    "huge length": (b"PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999999\r\n\r\n", 400),
    "unknown coding": (b"PUT /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
    "NUL in a field": (b"GET /file HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n", 400),
    "NUL in the path": (b"GET /a%00b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "bad escape": (b"GET /a%zz HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "bare carriage return": (b"GET /file HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", 400),
    "binary": (bytes(range(1, 200)), 400),
    "another method": (b"POST /file HTTP/1.1\r\nHost: a\r\n\r\n", 405),
    "a deletion that nobody was granted": (b"DELETE /file HTTP/1.1\r\nHost: a\r\n\r\n", 403),
    "two logins": (b"GET /file HTTP/1.1\r\nHost: a\r\nAuthorization: Basic YTpi\r\nAuthorization: Basic YTpi\r\n\r\n", 400),
    "POST": (b"POST /file HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", 405),
    "unknown method": (b"BREW /file HTTP/1.1\r\nHost: a\r\n\r\n", (400, 405, 501)),
    "expectation": (b"PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nExpect: tea\r\n\r\ny", (201, 417)),
    "put without a length": (b"PUT /x HTTP/1.1\r\nHost: a\r\n\r\n", (201, 411)),
    "long head": (b"GET /file HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 20000 + b"\r\n\r\n", 431),
    "many fields": (b"GET /file HTTP/1.1\r\nHost: a\r\n" + b"".join(b"X%d: a\r\n" % n for n in range(500)) + b"\r\n", 431),
    "long target": (b"GET /" + b"a" * 20000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", (414, 431)),
}


@test("host", each=list(MALFORMED))
def refuses_with_the_right_status(t, which):
    request, wanted = MALFORMED[which]
    server, wire = site(t)
    wire.send(request)
    answer = wire.response()
    check(answer.status in (wanted if isinstance(wanted, tuple) else (wanted,)), f"status {answer.status}, not {wanted}")
    equal(Wire(t, server.port).request("GET", "/file").body, BODY, "what others get meanwhile")
    expected = ["file", "x"] if answer.status == 201 else ["file"]
    equal(files.listing(server.root), expected, "files in the store")


TRAVERSALS = [
    "/../secret", "/a/../../secret", "/%2e%2e/secret", "/..%2fsecret", "/.%2e/secret", "//secret/../../secret", "/./file",
    "/link-out/secret", "/link-to-secret", "/file/../../secret", "/link-absolute",
]


@test("host", each=TRAVERSALS)
def nothing_outside_the_store_is_reached(t, target):
    server, wire = site(t)
    secret = t.path("secret")
    secret.write_text("SECRET")
    os.symlink("..", server.root / "link-out")
    os.symlink("../secret", server.root / "link-to-secret")
    os.symlink(secret, server.root / "link-absolute")
    answer = wire.request("GET", target)
    check(answer.status in (400, 403, 404), f"GET {target}: {answer}")
    check(b"SECRET" not in answer.body, "the secret came out")
    answer = Wire(t, server.port).request("PUT", target, body=b"overwritten")
    check(answer.status in (400, 403, 404, 409), f"PUT {target}: {answer}")
    equal(secret.read_text(), "SECRET", "the file outside")


@test("host")
def private_names_are_neither_served_listed_nor_written(t):
    server, wire = site(t)
    (server.root / ".sluice-x").write_text("private")
    equal(wire.request("GET", "/.sluice-x").status, 404, "GET")
    check(b".sluice-x" not in wire.request("GET", "/", {"Accept": "application/json"}).body, "it is listed")
    check(wire.request("PUT", "/.sluice-y", body=b"x").status in (400, 403, 404), "it is written")


@test("host")
def lists_a_directory_as_html_and_as_json(t):
    server, wire = site(t)
    (server.root / "dir").mkdir()
    (server.root / "a <b>&\"'").write_text("x")
    (server.root / "ünïcode").write_text("xy")
    page = wire.request("GET", "/", {"Accept": "text/html"})
    check(page.fields["content-type"].startswith("text/html"), "not HTML")
    check(b"a &lt;b&gt;&amp;" in page.body and b"<b>" not in page.body, f"a name is not escaped: {page.body}")
    entries = wire.request("GET", "/", {"Accept": "application/json"})
    check(entries.fields["content-type"].startswith("application/json"), "not JSON")
    found = {e["name"]: e for e in json.loads(entries.body)}
    equal(sorted(found), sorted(["dir", "file", "a <b>&\"'", "ünïcode"]), "names")
    equal(found["file"]["size"], len(BODY), "size")
    equal(json.loads(wire.request("GET", "/dir/", {"Accept": "application/json"}).body), [], "an empty directory")


@test("host")
def makes_parent_directories_on_put(t):
    server, wire = site(t)
    equal(wire.request("PUT", "/a/b/c/d", body=b"deep").status, 201, "status")
    equal((server.root / "a/b/c/d").read_bytes(), b"deep", "file")
    equal(wire.request("PUT", "/a/b", body=b"x").status in (403, 405, 409), True, "PUT over a directory is refused")


@test("host")
def tells_a_missing_file_from_one_it_may_not_read(t):
    _, wire = site(t)
    equal(wire.request("GET", "/nowhere").status, 404, "status")
    equal(wire.request("GET", "/file/below").status, 404, "status below a file")
    equal(wire.request("GET", "/file").status, 200, "the connection goes on")


@test("host")
def names_with_every_kind_of_byte_are_served(t):
    server, wire = site(t)
    for name in (b"with space", b"percent%41", b"question?mark", b"hash#", b"\xff\xfe", b"new\nline", b"plus+", "ü".encode()):
        with open(os.path.join(os.fsencode(server.root), name), "wb") as out:
            out.write(name)
        target = "/" + "".join(f"%{byte:02x}" for byte in name)
        equal(wire.request("GET", target).body, name, f"the file {name!r}")


@test("host")
def anonymous_may_do_what_the_store_says(t):
    for access, get, put in ((None, 403, 403), ("none", 403, 403), ("read", 200, 403), ("write", 200, 201)):
        server = setup.server(t, anonymous=access, server_profile={"verify": "optional"}, name=f"anonymous-{access}")
        (server.root / "file").write_bytes(BODY)
        equal(Wire(t, server.port, certificate=None).request("GET", "/file").status, get, f"GET with anonymous = {access}")
        equal(Wire(t, server.port, certificate=None).request("PUT", "/new", body=b"x").status, put, f"PUT, {access}")
        equal(Wire(t, server.port).request("PUT", "/known", body=b"x").status, 201, "PUT with a certificate")


@test("host", each=["1.2", "1.3"])
def a_client_without_a_certificate_is_refused_where_one_is_required(t, version):
    server, _ = site(t)
    try:
        wire = Wire(t, server.port, certificate=None, version=version)
        wire.send("GET /file HTTP/1.1\r\nHost: a\r\n\r\n")
        answer = wire.gone()
    except OSError:
        answer = b""
    equal(answer, b"", "what was answered")
    server.wait_event("Y13E", 10 * t.run.patience)


@test("host")
def a_certificate_of_another_authority_is_refused(t):
    server, _ = site(t)
    stranger = Authority(t.path("stranger"))
    certificate, key = stranger.client()
    context = ssl.create_default_context(cafile=str(t.run.pki.certificate))
    context.load_cert_chain(certificate, key)
    with socket.create_connection(("127.0.0.1", server.port), 10) as raw:
        try:
            with context.wrap_socket(raw, server_hostname="localhost") as wire:
                wire.sendall(b"GET /file HTTP/1.1\r\nHost: a\r\n\r\n")
                equal(wire.recv(100), b"", "what was answered")
        except (ssl.SSLError, OSError):
            pass
    check("reason" in server.wait_event("Y13E", 10 * t.run.patience), "no reason is given")


@test("host")
def plain_http_on_the_tls_port_is_refused_with_an_event(t):
    server, _ = site(t)
    wire = Wire(t, server.port, tls=False)
    wire.send("GET /file HTTP/1.1\r\nHost: localhost\r\n\r\n")
    check(BODY not in wire.gone(), "the file came out in plain text")
    server.wait_event("Y32W", 10 * t.run.patience)


@test("host")
def a_head_that_never_ends_is_timed_out(t):
    server, wire = site(t, header_timeout="500ms")
    wire.send("GET /file HTTP/1.1\r\nX")
    began = time.monotonic()
    left = wire.gone()
    check(time.monotonic() - began < 10 * t.run.patience, "it was not timed out")
    check(left == b"" or left.startswith(b"HTTP/1.1 408"), f"answered with {left!r}")


@test("host")
def an_idle_connection_is_closed_in_good_order(t):
    _, wire = site(t, idle_timeout="500ms")
    wire.request("GET", "/file")
    wire.end()


@test("host")
def a_handshake_that_never_comes_is_timed_out(t):
    server, _ = site(t, handshake_timeout="500ms")
    silent = Wire(t, server.port, tls=False)
    equal(silent.gone(), b"", "what a silent client gets")
    half = Wire(t, server.port, tls=False)
    half.send(b"\x16\x03\x01\x02\x00\x01")
    half.gone()


@test("host")
def a_body_that_stops_coming_is_timed_out_and_leaves_nothing(t):
    server, wire = site(t, idle_timeout="500ms")
    wire.send("PUT /part HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n")
    wire.send(bytes(50000))
    wire.gone()
    server.wait_event("T01E", 10 * t.run.patience)
    equal(files.listing(server.root), ["file"], "files in the store")


@test("host")
def a_reader_that_stops_reading_is_timed_out(t):
    server, _ = site(t, idle_timeout="700ms")
    files.make(server.root / "large", 64 << 20)
    wire = Wire(t, server.port)
    wire.send("GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
    server.wait_event("T01E", 20 * t.run.patience)
    equal(Wire(t, server.port).request("GET", "/file").body, BODY, "what others get")


@test("host")
def closes_after_max_requests_and_says_so(t):
    _, wire = site(t, max_requests=3)
    for _ in range(2):
        check(wire.request("GET", "/file").fields.get("connection", "") != "close", "closed too early")
    equal(wire.request("GET", "/file").fields.get("connection"), "close", "Connection of the last answer")
    wire.end()


@test("host")
def connections_above_the_limit_are_closed_and_told(t):
    server, first = site(t, max_connections_per_address=2)
    second = Wire(t, server.port)
    try:
        third = Wire(t, server.port)
        third.send("GET /file HTTP/1.1\r\nHost: a\r\n\r\n")
        equal(third.gone(), b"", "what the third gets")
    except OSError:
        pass
    server.wait_event("S04W", 10 * t.run.patience)
    equal(first.request("GET", "/file").status, 200, "the first goes on")
    equal(second.request("GET", "/file").status, 200, "the second goes on")


@test("host")
def http_1_0_is_answered_and_closed(t):
    _, wire = site(t)
    wire.send("GET /file HTTP/1.0\r\n\r\n")
    equal(wire.response().body, BODY, "body")
    wire.end()


@test("host")
def no_descriptor_is_left_behind(t):
    server, first = site(t)
    first.request("GET", "/file")
    first.abort()
    before = None
    for round_number in range(3):
        for _ in range(20):
            wire = Wire(t, server.port)
            wire.request("GET", "/file")
            wire.request("PUT", "/new", body=BODY)
            wire.send("PUT /cut HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc")
            wire.abort()
        time.sleep(0.5 * t.run.patience)
        if before is None:
            before = server.descriptors()
    wait_for(lambda: server.descriptors() <= before, f"a return to {before} open descriptors", 10)
