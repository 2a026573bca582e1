"""Attempts to confuse and to downgrade: what each must come to, and which event tells of it."""

import base64
import socket
import struct
import subprocess
import threading

from harness import Failure, check, client, equal, files, setup, test, wait_for, write_ini
from harness.clients import gnutls, openssl
from harness.leafs import leaf
from harness.wire import Wire, client_context, visit

VERSIONS = ("1.2", "1.3")
LOGIN = "Authorization: Basic " + base64.b64encode(b"alice:correct horse").decode()
PLAIN_PUT = f"PUT /new HTTP/1.1\r\nHost: localhost\r\n{LOGIN}\r\nContent-Length: 6\r\n\r\nstored".encode()


def talk(t, port, sent):
    """What comes back for these bytes on a plain connection."""
    with socket.create_connection(("127.0.0.1", port), 20 * t.run.patience) as connection:
        connection.sendall(sent)
        got = b""
        try:
            while piece := connection.recv(65536):
                got += piece
        except ConnectionResetError:
            pass
        return got


def nothing_is_stored(server):
    equal(files.listing(server.root), [], "files in the store")


def next_client_is_served(t, server):
    equal(visit(t, server.port, leaf(t.run, "good"), request=("PUT", "/after", b"x")), 201, "the answer to the next client")


# -- plain where TLS is due, and the other way round -----------------------------------------------------------------

@test("host", each=["without a class", "with a class"])
def a_plain_connection_to_a_port_of_tls_is_refused_at_its_first_byte(t, which):
    """So before any password: of what it sends not a byte is taken as a request."""
    server = setup.server(t, more={"class all": {"tls": "required"}} if which == "with a class" else {})
    for sent in (b"P", PLAIN_PUT):
        got = talk(t, server.port, sent)
        check(got.startswith(b"HTTP/1.1 403 "), f"the answer was {got!r}")
        check(b"WWW-Authenticate" not in got, "a password was asked for")
    equal(len(server.find("Y32W") + server.find("G07W")), 2, "refusals told of")
    equal(server.find("G02W") + server.find("G01I"), [], "logins")
    nothing_is_stored(server)
    check("correct horse" not in server.log.read_text() and LOGIN[-20:] not in server.log.read_text(), "the password is in the log")
    next_client_is_served(t, server)


@test("host")
def tls_goes_to_a_port_of_both(t):
    server = setup.server(t, server_profile={"verify": "optional"}, more={"class all": {"tls": "optional"}})
    equal(visit(t, server.port, leaf(t.run, "good")), 201, "the answer over TLS")
    got = talk(t, server.port, PLAIN_PUT.replace(b"/new", b"/plain"))
    check(got.startswith(b"HTTP/1.1 403 ") and b"WWW-Authenticate" not in got, f"the answer to a plain one was {got!r}")
    equal(files.listing(server.root), ["new"], "files in the store")


@test("host")
def our_client_sends_no_file_to_a_port_that_is_plain(t):
    got = []
    listener = socket.create_server(("127.0.0.1", 0))
    t.at_end(listener.close)

    def answer():
        connection, _ = listener.accept()
        connection.settimeout(20)
        got.append(connection.recv(65536))
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        connection.close()

    threading.Thread(target=answer, daemon=True).start()
    mine = t.path("mine")
    mine.write_bytes(b"not for everyone " * 100)
    result = client(t, "put", "-v", mine, "there:new", ini=setup.partner(t, listener.getsockname()[1])).must_fail(5)
    check("TLS" in result.errors and "Y13E" in result.errors, result.errors)
    check(got[0][:1] == b"\x16" and b"not for everyone" not in got[0] and b"PUT" not in got[0], "the file was sent")


# -- old versions ------------------------------------------------------------------------------------------------------

def ssl2_hello():
    body = struct.pack(">BHHHH", 1, 0x0002, 3, 0, 16) + b"\x01\x00\x80" + bytes(16)
    return struct.pack(">H", 0x8000 | len(body)) + body


def ssl3_hello():
    body = b"\x03\x00" + bytes(32) + b"\0" + b"\0\x04\0\x0a\0\x2f" + b"\x01\0"
    handshake = b"\x01" + struct.pack(">I", len(body))[1:] + body
    return b"\x16\x03\x00" + struct.pack(">H", len(handshake)) + handshake


OLD = {
    "TLS 1.1 by OpenSSL": lambda t, port: openssl(t, port, leaf(t.run, "good"), more=["-tls1_1"]).answer,
    "TLS 1.0 by OpenSSL": lambda t, port: openssl(t, port, leaf(t.run, "good"), more=["-tls1"]).answer,
    "TLS 1.1 by GnuTLS": lambda t, port: gnutls(t, port, leaf(t.run, "good"), priority="NORMAL:-VERS-ALL:+VERS-TLS1.1").answer,
}


@test("host", each=list(OLD))
def an_old_version_is_refused(t, which):
    server = setup.server(t)
    equal(OLD[which](t, server.port), "protocol_version", "what the client saw")
    check("protocol_version" in server.wait_event("Y13E")["reason"], "the reason is another")
    nothing_is_stored(server)
    next_client_is_served(t, server)


@test("host")
def ssl_is_refused(t):
    server = setup.server(t)
    got = talk(t, server.port, ssl3_hello())
    check(got[:1] == b"\x15" and got[5:6] == b"\x02", f"that is no fatal alert: {got!r}")
    check("version" in server.wait_event("Y13E")["reason"], "the reason is another")
    got = talk(t, server.port, ssl2_hello())
    check(got.startswith(b"HTTP/1.1 403 "), f"an SSL 2 hello is no TLS: {got!r}")
    server.wait_event("Y32W")
    nothing_is_stored(server)


@test("host")
def a_fallback_that_nothing_forced_is_refused(t):
    """RFC 7507: a client that says it fell back, to a server that could do better."""
    server = setup.server(t)
    seen = openssl(t, server.port, leaf(t.run, "good"), more=["-fallback_scsv", "-tls1_2"])
    equal(seen.answer, "inappropriate_fallback", "what the client saw")
    nothing_is_stored(server)


@test("host", each=["the versions", "the suites"])
def who_strips_a_hello_on_its_way_ends_the_handshake(t, which):
    """A man in the middle makes the client's offer poorer; the Finished messages then differ (RFC 8446, 4.1.3 and 4.4.4)."""
    server = setup.server(t)
    middle = Middle(t, server.port, strip_versions if which == "the versions" else strip_suites)
    try:
        answer = visit(t, middle.port, leaf(t.run, "good"))
    except Failure as problem:
        answer = str(problem)
    check(middle.changed, "nothing was changed, so this shows nothing")
    check(answer not in (200, 201, 204), f"the answer was {answer}")
    equal(server.find("Y14I"), [], "sessions")
    nothing_is_stored(server)


def strip_versions(hello):
    """supported_versions with TLS 1.3 and 1.2 becomes one with something unknown and 1.2."""
    return hello.replace(b"\x03\x04\x03\x03", b"\x7f\x7f\x03\x03", 1)


def strip_suites(hello):
    """The strongest suite becomes one that nobody knows."""
    return hello.replace(b"\x13\x02", b"\x7f\x7f", 1)


class Middle:
    """Passes on what both say, but for the client's first bytes, which `change` may change."""

    def __init__(self, trial, port, change):
        self._listener, self._server, self._change = socket.create_server(("127.0.0.1", 0)), port, change
        self.port, self.changed = self._listener.getsockname()[1], False
        trial.at_end(self._listener.close)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        client_end, _ = self._listener.accept()
        server_end = socket.create_connection(("127.0.0.1", self._server))
        for end in (client_end, server_end):
            end.settimeout(30)
        hello = client_end.recv(65536)
        other = self._change(hello)
        self.changed = other != hello
        server_end.sendall(other)
        threading.Thread(target=self._pass_on, args=(server_end, client_end), daemon=True).start()
        self._pass_on(client_end, server_end)

    @staticmethod
    def _pass_on(source, target):
        try:
            while piece := source.recv(65536):
                target.sendall(piece)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass


# -- renegotiation -----------------------------------------------------------------------------------------------------

@test("host", "guest")
def a_renegotiation_is_refused(t):
    """TLS 1.2 only; on a session that has served a body before, in the guest from within the kernel."""
    server = setup.server(t)
    files.make(server.root / "file", 1 << 20)
    certificate, key = leaf(t.run, "good")
    with open(t.path("said"), "wb") as out:
        process = subprocess.Popen(["openssl", "s_client", "-connect", f"127.0.0.1:{server.port}", "-tls1_2", "-crlf", "-cert",
                                    certificate, "-key", key], stdin=subprocess.PIPE, stdout=out, stderr=out)
    t.at_end(lambda: (process.kill(), process.wait()))
    process.stdin.write(b"GET /file HTTP/1.1\nHost: localhost\n\n")
    process.stdin.flush()
    server.wait_event("T01I", 20 * t.run.patience, path="file")
    wait_for(lambda: t.path("said").stat().st_size > 1 << 20, "the whole body", 20 * t.run.patience)
    process.stdin.write(b"R\n")
    process.stdin.flush()
    process.wait(20 * t.run.patience)
    said = t.path("said").read_bytes()
    check(b"RENEGOTIATING" in said and b"no renegotiation" in said, f"s_client said: {said[-500:]!r}")
    equal(len(server.find("Y14I")), 1, "sessions")
    next_client_is_served(t, server)


# -- tickets -----------------------------------------------------------------------------------------------------------

def ticket(t, port, context, name="localhost"):
    wire = Wire(t, port, context=context, name=name)
    equal(wire.request("PUT", "/first", body=b"x").status in (201, 204), True, "the first request")
    session = wire.socket.session
    check(session.has_ticket, "there is no ticket")
    wire.abort()
    return session


def two_protocols(t, other_profile):
    """[protocol main] and [protocol second], which has its own store, under the profile std or another."""
    root = t.make_folder("store-second")
    profile = {**setup.profiles(t)["server-profile std"], **other_profile} if other_profile is not None else None
    more = {"store second": {"root": root}, "server-profile other": profile or {**setup.profiles(t)["server-profile std"]},
            "protocol second": {"listen": "127.0.0.1:0", "profile": "std" if profile is None else "other", "store": "second"}}
    server = setup.server(t, more=more)
    return server, root


@test("host", each=[f"{kind}; TLS {v}" for kind in ("the same profile", "another profile") for v in VERSIONS])
def a_ticket_of_another_protocol_does_not_resume(t, which):
    kind, _, version = which.rpartition("; TLS ")
    server, _ = two_protocols(t, None if kind == "the same profile" else {"note": "another"})
    context = client_context(t, leaf(t.run, "good"), version)
    session = ticket(t, server.ports["main"], context)
    equal(visit(t, server.ports["main"], None, context=context, session=session), 201, "the answer where it is good")
    equal(server.find("Y14I")[-1]["resumed"], "yes", "resumed where it is good")
    session = ticket(t, server.ports["main"], context)
    equal(visit(t, server.ports["second"], None, context=context, session=session), 201, "the answer elsewhere")
    equal(server.find("Y14I", protocol="second")[-1]["resumed"], "no", "resumed elsewhere")


@test("host", each=VERSIONS)
def a_ticket_does_not_carry_past_another_profiles_rules(t, version):
    server, root = two_protocols(t, {"subject": "CN=bank"})
    context = client_context(t, leaf(t.run, "bankrupt"), version)
    session = ticket(t, server.ports["main"], context)
    equal(visit(t, server.ports["second"], None, context=context, session=session), "certificate_unknown", "what it met")
    equal(server.find("Y14I", protocol="second"), [], "sessions of the other protocol")
    equal(files.listing(root), [], "files in the other store")


@test("host", each=VERSIONS)
def a_ticket_of_another_server_does_not_resume(t, version):
    first, second = setup.server(t, name="first"), setup.server(t, name="second")
    context = client_context(t, leaf(t.run, "good"), version)
    session = ticket(t, first.port, context)
    equal(visit(t, second.port, None, context=context, session=session), 201, "the answer of a server with other keys")
    equal(second.find("Y14I")[-1]["resumed"], "no", "resumed")


# -- names -------------------------------------------------------------------------------------------------------------

@test("host", each=VERSIONS)
def another_name_in_the_hello_gets_the_same_server(t, version):
    """We serve no names: what is asked for changes nothing, and the client finds out whether our certificate is for it."""
    server = setup.server(t)
    option = ["-servername", "elsewhere.example"]
    seen = openssl(t, server.port, leaf(t.run, "good"), version, more=option)
    equal(seen.answer, 201, "the answer to who does not look")
    context = client_context(t, leaf(t.run, "good"), version)
    try:
        Wire(t, server.port, context=context, name="elsewhere.example")
        raise Failure("a client took the certificate for another name's")
    except OSError as problem:
        check("Hostname mismatch" in str(problem), str(problem))
    told = wait_for(lambda: server.find("Y30E"), "event Y30E", 10 * t.run.patience)[-1]
    check("certificate" in told["reason"], f"the reason is another: {told}")


@test("host", each=VERSIONS)
def another_name_with_a_ticket_gives_nobody_anothers_session(t, version):
    server = setup.server(t)
    context = client_context(t, leaf(t.run, "good"), version)
    session = ticket(t, server.port, context)
    context.check_hostname = False
    answer = visit(t, server.port, None, context=context, session=session, name="elsewhere.example")
    equal(answer, 201, "the answer")
    last = server.find("Y14I")[-1]
    check("clientAuth-good" in last["subject"] and last["authentication"] == "both", f"it is somebody else: {last}")


# -- certificates that could be two --------------------------------------------------------------------------------------

@test("host", each=VERSIONS)
def a_certificate_of_two_partners_is_refused_also_when_it_comes_back(t, version):
    more = {"partner one": {"profile": "std", "match_subject": "CN=bank*"},
            "partner two": {"profile": "std", "match_subject": "CN=*rupt"}}
    server = setup.server(t, more=more)
    context = client_context(t, leaf(t.run, "bankrupt"), version)
    session = None
    for _ in range(2):
        wire = Wire(t, server.port, context=context, session=session)
        equal(wire.request("PUT", "/new", body=b"stored").status, 403, "the answer")
        session = wire.socket.session
        wire.abort()
    told = wait_for(lambda: len(server.find("G05E")) == 2 and server.find("G05E"), "two events G05E", 10 * t.run.patience)
    check("one" in str(told[0]) and "two" in str(told[0]), f"both are to be named: {told[0]}")
    nothing_is_stored(server)
    checked = client(t, "check", ini=write_ini(t.path("two.ini"), setup.site(t, name="two", more=more)))
    check('"one"' in checked.output + checked.errors and '"two"' in checked.output + checked.errors, "check does not name the two")
