"""Peers that die, cut, lie or change their keys: the session ends as it should, the others go on, nothing wrong is kept."""

import socket
import subprocess
import time
from pathlib import Path

from harness import Failure, check, client, equal, files, peers, setup, test, tls_counters, wait_for
from harness.clients import s_client
from harness.wire import TlsPeer, Wire, read_head

MIB = 1 << 20


def site(t, **limits):
    server = setup.server(t, **limits)
    files.make(server.root / "file", MIB + 5, 3)
    return server


def still_serves(t, server):
    equal(Wire(t, server.port).request("GET", "/file").body, (server.root / "file").read_bytes(), "what others get")


def idle_cpu(server, seconds=0.5):
    """Processor seconds that the server takes while it has nothing to do."""
    before = server.cpu_seconds()
    time.sleep(seconds)
    return server.cpu_seconds() - before


@test("host", "guest", each=["1.2", "1.3"])
def a_body_cut_without_close_notify_is_not_stored(t, version):
    server = site(t)
    wire = Wire(t, server.port, version=version)
    wire.send(b"PUT /cut HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n" + bytes(300000))
    time.sleep(0.3 * t.run.patience)
    wire.abort()
    event = server.wait_event("T01E", 10 * t.run.patience, path="cut")
    check("close_notify" in event["reason"] or "reset" in event["reason"], f"the reason is: {event['reason']}")
    equal(files.listing(server.root), ["file"], "files in the store")
    still_serves(t, server)


@test("host", "guest", each=["1.2", "1.3"])
def a_body_cut_with_close_notify_is_not_stored(t, version):
    server = site(t)
    wire = Wire(t, server.port, version=version)
    wire.send(b"PUT /cut HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n" + bytes(300000))
    time.sleep(0.3 * t.run.patience)
    try:
        wire.goodbye()
    except OSError:
        pass
    server.wait_event("T01E", 10 * t.run.patience, path="cut")
    equal(files.listing(server.root), ["file"], "files in the store")
    still_serves(t, server)


@test("host", "guest")
def a_chunked_body_cut_between_two_chunks_is_not_stored(t):
    server = site(t)
    wire = Wire(t, server.port)
    wire.send(b"PUT /cut HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n40000\r\n" + bytes(0x40000) + b"\r\n")
    time.sleep(0.3 * t.run.patience)
    wire.abort()
    server.wait_event("T01E", 10 * t.run.patience, path="cut")
    equal(files.listing(server.root), ["file"], "files in the store")


@test("host", "guest")
def a_connection_reset_in_mid_download_ends_that_session_alone(t):
    server = site(t)
    files.make(server.root / "large", 64 * MIB, 4)
    wire = Wire(t, server.port)
    wire.send("GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
    wire.socket.recv(1000)
    wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    wire.abort()
    server.wait_event("T01E", 10 * t.run.patience, path="large")
    still_serves(t, server)
    check(idle_cpu(server) < 0.2, "the server is busy with nothing")


@test("host", "guest")
def a_tls_record_that_was_tampered_with_ends_the_session(t):
    server = site(t)
    wire = Wire(t, server.port)
    wire.send(b"PUT /bad HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n" + bytes(200000))
    time.sleep(0.3 * t.run.patience)
    wire.raw = socket.socket(fileno=wire.socket.detach())
    wire.socket = wire.raw
    wire.send(b"\x17\x03\x03\x00\x40" + bytes(64))
    server.wait_event("T01E", 10 * t.run.patience, path="bad")
    equal(files.listing(server.root), ["file"], "files in the store")
    still_serves(t, server)


def _upload_with_key_update(t, server, command):
    """Half a body, then a KeyUpdate, then the rest. Each must be read as a piece of its own by s_client."""
    process, log = s_client(t, server.port)
    line = b"0123456789abcde\n"
    process.stdin.write(b"PUT /updated HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % (len(line) * 2000))
    time.sleep(0.5 * min(t.run.patience, 3))
    process.stdin.write(line * 500)
    time.sleep(0.5 * min(t.run.patience, 3))
    process.stdin.write(command)
    time.sleep(0.5 * min(t.run.patience, 3))
    try:
        process.stdin.write(line * 500)
        time.sleep(0.2)
        process.stdin.write(line * 1000)
    except BrokenPipeError:
        pass
    return line * 2000, log


@test("host", each=["K", "k"])
def a_key_update_in_a_body_is_followed_by_openssl(t, command):
    server = site(t)
    body, log = _upload_with_key_update(t, server, command.encode() + b"\n")
    wait_for(lambda: b"HTTP/1.1 201" in log.read_bytes(), "the answer", 20 * t.run.patience)
    equal((server.root / "updated").read_bytes() == body, True, "the file is what was sent")


@test("guest", each=["K", "k"])
def a_key_update_in_a_body_that_the_kernel_receives_is_followed_or_ends_the_session(t, command):
    server = site(t)
    body, log = _upload_with_key_update(t, server, command.encode() + b"\n")
    stored = server.root / "updated"
    wait_for(lambda: stored.exists() or server.find("K02W") or server.find("T01E"), "the end", 20 * t.run.patience)
    if stored.exists():  # Linux 6.14 and later
        equal(stored.read_bytes() == body, True, "the file is what was sent")
    else:
        check(server.find("K02W"), f"no event says that it was the KeyUpdate: {server.find('T01E')}")
        equal(files.listing(server.root), ["file"], "files in the store")
    still_serves(t, server)
    check(idle_cpu(server) < 0.3, "the server is busy with nothing")


@test("host", "guest")
def a_key_update_between_two_requests_does_no_harm(t):
    server = site(t)
    process, log = s_client(t, server.port)
    process.stdin.write(b"HEAD /file HTTP/1.1\r\nHost: a\r\n\r\n")
    wait_for(lambda: log.read_bytes().count(b"HTTP/1.1 200") == 1, "the first answer", 20 * t.run.patience)
    process.stdin.write(b"K\n")
    time.sleep(0.5)
    process.stdin.write(b"HEAD /file HTTP/1.1\r\nHost: a\r\n\r\n")
    wait_for(lambda: log.read_bytes().count(b"HTTP/1.1 200") == 2, "the second answer", 20 * t.run.patience)
    still_serves(t, server)


def _answering(head, body=b"", goodbye=False):
    def behave(connection):
        read_head(connection)
        connection.sendall(head.replace("\n", "\r\n").encode() + body)
        time.sleep(0.3)  # a socket that its peer has closed cannot be given to kTLS any more
        if goodbye:
            connection.unwrap()

    return behave


def _fetch(t, behave, **peer):
    server = TlsPeer(t, behave, **peer)
    here = t.make_folder("here")
    result = client(t, "get", "--json", "there:file", here / "file", ini=setup.partner(t, server.port))
    return result, here / "file"


@test("host", "guest", each=["1.2", "1.3"])
def our_client_keeps_nothing_of_a_body_that_was_cut(t, version):
    head = "HTTP/1.1 200 OK\nContent-Length: 1000000\n\n"
    for goodbye in (False, True):
        result, file = _fetch(t, _answering(head, bytes(400000), goodbye), version=version)
        result.must_fail(8)
        equal(files.listing(file.parent), [], "files that the client left")


@test("host", "guest")
def our_client_believes_the_end_of_a_stream_only_with_close_notify(t):
    head, body = "HTTP/1.1 200 OK\nConnection: close\n\n", bytes(range(256)) * 1000
    result, file = _fetch(t, _answering(head, body, goodbye=False))
    result.must_fail(8)
    equal(files.listing(file.parent), [], "files that the client left")
    result, file = _fetch(t, _answering(head, body, goodbye=True))
    result.must_succeed()
    equal(file.read_bytes() == body, True, "the file is what was sent")


BAD_ANSWERS = {
    "nothing": ("", 8),
    "not HTTP": ("SSH-2.0-OpenSSH\n\n", 7),
    "half a head": ("HTTP/1.1 200 OK\nContent-Le", 8),
    "two lengths": ("HTTP/1.1 200 OK\nContent-Length: 1\nContent-Length: 2\n\nab", 7),
    "no such file": ("HTTP/1.1 404 Not Found\nContent-Length: 0\n\n", 6),
    "an error": ("HTTP/1.1 500 Internal Server Error\nContent-Length: 0\n\n", 7),
    "an endless head": ("HTTP/1.1 200 OK\n" + "X: " + "a" * 2_000_000, 7),
}


@test("host", each=list(BAD_ANSWERS))
def our_client_says_what_was_wrong_with_an_answer(t, which):
    text, code = BAD_ANSWERS[which]
    result, file = _fetch(t, _answering(text))
    check(result.code == code, f"the client ended with {result.code}, not {code}: {result.errors}{result.output}")
    check(result.errors.strip(), "it said nothing")
    equal(files.listing(file.parent), [], "files that the client left")


@test("host", "guest")
def our_client_follows_a_server_that_closes_after_each_answer_and_resumes_its_session(t):
    server = site(t, max_requests=1)
    for name in ("a", "b", "c"):
        files.make(server.root / name, 200_000, ord(name))
    here = t.make_folder("here")
    result = client(t, "get", "--json", "there:a", "there:b", "there:c", str(here) + "/",
                    ini=setup.partner(t, server.port)).must_succeed()
    for name in ("a", "b", "c"):
        files.same(server.root / name, here / name)
    equal([one["resumed"] for one in result.transfers], [False, True, True], "resumed, as the client reports")
    opened = [e["resumed"] for e in server.find("Y14I")]
    equal(opened, ["no", "yes", "yes"], "resumed, as the server reports")
    if t.run.kernel:
        equal({one["rx"] for one in result.transfers}, {"kernel"}, "who decrypted")


@test("host")
def our_client_refuses_a_server_of_another_name(t):
    server = site(t)
    ini = setup.partner(t, server.port, hostname="elsewhere.example")
    client(t, "get", "there:file", t.path("got"), ini=ini).must_fail(5)
    check(not t.path("got").exists(), "a file took the name")


@test("host")
def our_client_says_when_nobody_answers(t):
    ini = setup.partner(t, peers.free_port())
    client(t, "get", "there:file", t.path("got"), ini=ini).must_fail(4)


def _take_ktls_away(t):
    """In the guest: the module is unloaded, and cannot be loaded again until the test has ended."""
    rule = Path("/etc/modprobe.d/sluice-test.conf")
    rule.write_text("install tls /bin/false\n")
    t.at_end(rule.unlink)
    wait_for(lambda: subprocess.run(["rmmod", "tls"], stderr=subprocess.DEVNULL).returncode == 0 or not tls_counters(),
             "the end of the tls module", 20)


@test("host", "guest")
def required_offload_is_refused_before_anything_starts_where_ktls_is_missing(t):
    server = setup.server(t)
    ini = setup.partner(t, server.port, offload="required")
    files.make(server.root / "file", 100_000, 1)
    if t.run.kernel:
        _take_ktls_away(t)
    elif tls_counters():  # this host has kTLS, and nobody may take it away: then required is what it says
        transfer = client(t, "get", "--json", "there:file", t.path("got"), ini=ini).must_succeed().transfer
        equal(transfer["rx"], "kernel", "who decrypted")
        return
    said = client(t, "get", "there:file", t.path("got"), ini=ini).must_fail(3).errors
    check("modprobe tls" in said or "kTLS" in said, f"it does not say what is missing: {said}")
    equal(server.find("Y14I"), [], "sessions that the client opened")
    try:
        setup.server(t, server_profile={"offload": "required"}, name="second")
    except Failure as refusal:
        check("tls" in str(refusal).lower() and "exit code 3" in str(refusal), f"it does not say what is missing: {refusal}")
    else:
        raise Failure("the server started")


@test("guest")
def auto_offload_falls_back_where_ktls_is_missing_and_says_why(t):
    _take_ktls_away(t)
    server = setup.server(t, server_profile={"offload": "auto"})
    files.make(server.root / "file", 1_000_000, 1)
    ini = setup.partner(t, server.port, offload="auto")
    transfer = client(t, "get", "--json", "there:file", t.path("got"), ini=ini).must_succeed().transfer
    files.same(server.root / "file", t.path("got"))
    check(transfer["rx"].startswith("user: ") and "tls" in transfer["rx"].lower(), f"the client says: {transfer['rx']}")
    said = server.wait_event("T01I", 10 * t.run.patience)["tx"]
    check(said.startswith("user: ") and "tls" in said.lower(), f"the server says: {said}")
    check(server.find("K01W"), "no event says that the kernel cannot encrypt")
