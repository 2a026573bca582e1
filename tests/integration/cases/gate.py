"""The gate, over the wire: classes, passwords, certificates, rights, homes; and that nothing is stored for the refused."""

import base64
import json
import os
import subprocess
import time

from harness import Skip, files, setup
from harness.case import check, equal, test, wait_for
from harness.peers import need
from harness.pki import Authority
from harness.sluice import Server, client, write_ini
from harness.wire import Wire

PASSWORDS = {"alice": "correct horse", "bob": "battery:staple", "carol": "Grüße", "dave": "dave's", "eve": "plain text"}
BODY = b"as it was"


def basic(name, password):
    pair = name if isinstance(name, bytes) else f"{name}:{password}".encode()
    return {"Authorization": "Basic " + base64.b64encode(pair).decode()}


def login(name):
    return basic(name, PASSWORDS[name])


def password_file(t, names=PASSWORDS):
    lines = [f"{n}:{subprocess.run(['openssl', 'passwd', '-6', PASSWORDS[n]], capture_output=True, text=True, check=True).stdout}"
             for n in names]
    path = t.path("passwords")
    path.write_text("".join(lines))
    path.chmod(0o600)
    return path


def site(t, sections=None, store=None, profile=None, name="server", **limits):
    """One protocol with passwords; `sections` are the classes, users and partners. Returns the server."""
    root = t.make_folder(f"store-{name}")
    (root / "file").write_bytes(BODY)
    pair = setup.profiles(t)
    return_value = Server(t, {
        "server": {"events": "json", "password_file": password_file(t), **limits},
        "store main": {"root": root, "read": "authenticated", "write": "authenticated", "list": "authenticated",
                       "delete": "authenticated", **(store or {})},
        "server-profile std": {**pair["server-profile std"], "verify": "optional", **(profile or {})},
        "protocol main": {"listen": "127.0.0.1:0", "profile": "std", "store": "main"},
        **(sections or {}),
    }, name)
    return_value.root = root
    return return_value


def ask(t, server, method="GET", target="/file", who=None, certificate=None, tls=True, body=b""):
    """One request on a connection of its own."""
    wire = Wire(t, server.port, certificate=certificate, tls=tls)
    answer = wire.request(method, target, who, body=body)
    wire.abort()
    return answer


def no_secret_in_the_log(server):
    log = server.log.read_bytes()
    for name, password in PASSWORDS.items():
        for secret in (password.encode(), base64.b64encode(f"{name}:{password}".encode())):
            check(secret not in log, f"the log has {secret!r}")


def nothing_stored(server, name="new"):
    check(not (server.root / name).exists(), f"{name} was stored")
    equal((server.root / "file").read_bytes(), BODY, "the file that was there")
    left = [entry for entry in os.listdir(server.root) if entry.startswith(".sluice-")]
    equal(left, [], "temporary files")


# -- who --------------------------------------------------------------------------------------------------------------

CLASSES = {
    "class staff": {"users": "alice, dave", "order": 10},
    "class strict": {"users": "carol", "order": 20, "certificate": "required", "password": "required"},
    "class machines": {"partners": "node*", "order": 30, "certificate": "required", "password": "disabled"},
    "class far": {"users": "bob", "from": "192.0.2.0/24", "order": 40},
    "class guests": {"order": 90, "certificate": "disabled", "password": "disabled"},
    "user alice": {"groups": "admins"},
    "user bob": {},
    "user carol": {"match_subject": "CN=client-rsa"},
    "user dave": {"disabled": "yes"},
    "partner node7": {"match_subject": "CN=client-ecdsa"},
}

# Who, what they show, the status of a PUT, and the event that says why.
VISITORS = {
    "a user of a class, by password": (login("alice"), None, 201, "G01I"),
    "the same with a wrong password": (basic("alice", "wrong"), None, 401, "G02W"),
    "a name that nobody has": (basic("mallory", "x"), None, 401, "G02W"),
    "a user who is disabled": (login("dave"), None, 403, "G06W"),
    "a class that takes from elsewhere": (login("bob"), None, 403, "G03W"),
    "both are demanded, both are there": (login("carol"), "rsa", 201, "G01I"),
    "both are demanded, the password is missing": ({}, "rsa", 401, "T02W"),
    "both are demanded, the certificate is missing": (login("carol"), None, 403, "G03W"),
    "both are demanded, the password is another's": (login("alice"), "rsa", 403, "G03W"),
    "a partner by its certificate": ({}, "ecdsa", 201, "G01I"),
    "a certificate that nobody has": ({}, "ed25519", 401, "T02W"),
    "nobody": ({}, None, 401, "T02W"),
    "another scheme than Basic": ({"Authorization": "Bearer abc"}, None, 401, "T02W"),
    "an Authorization that is no base64": ({"Authorization": "Basic ***"}, None, 400, "T02W"),
    "a name without a password": (basic(b"alice", None), None, 400, "T02W"),
    "an empty name": (basic("", "x"), None, 400, "T02W"),
    "a password that is too long": (basic("alice", "x" * 256), None, 400, "T02W"),
}


@test("host", each=VISITORS)
def the_class_decides(t, visitor):
    who, certificate, status, event = VISITORS[visitor]
    server = site(t, CLASSES)
    answer = ask(t, server, "PUT", "/new", who, certificate, body=b"new")
    equal(answer.status, status, "status")
    server.wait_event(event, 10 * t.run.patience)
    if status == 201:
        equal((server.root / "new").read_bytes(), b"new", "what was stored")
    else:
        nothing_stored(server)
    if status == 401:
        equal(answer.fields["www-authenticate"], 'Basic realm="main", charset="UTF-8"', "the challenge")
    no_secret_in_the_log(server)


@test("host")
def who_it_is_is_told_once_a_session(t):
    server = site(t, CLASSES)
    wire = Wire(t, server.port, certificate=None)
    for _ in range(20):
        equal(wire.request("GET", "/file", login("alice")).body, BODY, "the file")
    told = server.find("G01I")
    equal(len(told), 1, "events")
    equal((told[0]["name"], told[0]["class"], told[0]["by"]), ("alice", "staff", "password"), "who")
    wire = Wire(t, server.port)
    equal(wire.request("GET", "/file").status, 200, "status")
    told = server.wait_event("G01I", 10 * t.run.patience, partner="node7")
    equal((told["name"], told["class"], told["by"]), ("node7", "machines", "certificate"), "who")


@test("host")
def each_request_is_decided_by_what_it_brings(t):
    server = site(t, CLASSES)
    wire = Wire(t, server.port, certificate=None)
    equal(wire.request("GET", "/file").status, 401, "without a login")
    equal(wire.request("GET", "/file", login("alice")).status, 200, "with one")
    equal(wire.request("GET", "/file").status, 401, "without it again")
    equal(wire.request("GET", "/file", login("alice")).status, 200, "with it again")
    equal(wire.request("GET", "/file", basic("alice", "wrong")).status, 401, "with another password")
    equal(wire.request("GET", "/file", login("alice")).status, 200, "with the right one")
    equal(wire.request("GET", "/file", basic("alice", "correct horsf")).status, 401, "with nearly the right one")
    equal(len(server.find("G02W")), 2, "failed logins")


@test("host", each=["1.2", "1.3"])
def a_bad_certificate_leaves_the_password(t, version):
    """verify = optional and certificate = optional: the session is not authenticated, and a login still may be."""
    server = site(t, {"class all": {"order": 1}}, store={"write": "user:alice"})
    stranger = Authority(t.path("stranger")).client()
    wire = Wire(t, server.port, certificate=stranger, version=version)
    equal(wire.request("GET", "/file").status, 401, "with the certificate alone")
    equal(wire.request("PUT", "/new", login("alice"), body=b"x").status, 201, "with a password, too")
    opened = server.find("Y14I")
    equal(opened[-1]["authentication"], "server", "authentication")
    check(opened[-1].get("not_verified"), "the session's event does not say what is wrong with the certificate")
    equal(server.find("Y21I"), [], "certificates that were accepted")
    equal(server.find("G01I")[-1]["by"], "password", "what authenticated")


@test("host", each=["1.2", "1.3"])
def verify_required_beats_every_class(t, version):
    server = site(t, {"class all": {"tls": "optional", "plain_password": "yes"}}, profile={"verify": "required"})
    for certificate in (None, Authority(t.path("stranger")).client()):
        try:
            answer = Wire(t, server.port, certificate=certificate, version=version).request("GET", "/file", login("alice"))
            check(False, f"it is answered: {answer}")
        except (OSError, EOFError):
            pass
    answer = ask(t, server, who=login("alice"), tls=False)
    equal(answer.status, 403, "status of a plain request")
    server.wait_event("G07W", 10 * t.run.patience)
    equal(server.find("G01I"), [], "identified")
    nothing_stored(server)


@test("host")
def a_certificate_of_two_users_is_refused(t):
    server = site(t, {"user alice": {"match_subject": "O=Sluice"}, "user bob": {"match_subject": "CN=client-ecdsa"}})
    answer = ask(t, server, "PUT", "/new", certificate="ecdsa", body=b"x")
    equal(answer.status, 403, "status")
    check(b"alice" not in answer.body and b"bob" not in answer.body, "the answer names users")
    reason = server.wait_event("G05E", 10 * t.run.patience)["reason"]
    check("alice" in reason and "bob" in reason, reason)
    nothing_stored(server)
    equal(ask(t, server, certificate="rsa").status, 200, "status for a certificate of one of them")


@test("host")
def a_file_without_classes_takes_a_certificate_or_a_password(t):
    server = site(t, store={"read": None, "write": None, "list": None, "delete": None, "anonymous": "read"})
    equal(ask(t, server).status, 200, "GET by nobody")
    answer = ask(t, server, "PUT", "/new", body=b"x")
    equal(answer.status, 401, "PUT by nobody")
    nothing_stored(server)
    equal(ask(t, server, "PUT", "/a", login("alice"), body=b"x").status, 201, "PUT with a password")
    equal(ask(t, server, "PUT", "/b", certificate="ecdsa", body=b"x").status, 201, "PUT with a certificate")
    equal(ask(t, server, "DELETE", "/file", login("alice")).status, 403, "DELETE, which was granted to nobody")
    equal(ask(t, server, who=login("alice"), tls=False).status, 403, "a plain request")
    server.wait_event("Y32W", 10 * t.run.patience)
    nothing_stored(server)


# -- plain and TLS on one port ----------------------------------------------------------------------------------------

OPEN = {"class open": {"tls": "optional", "password": "disabled"}}
ANYONE = {right: "anyone" for right in ("read", "write", "list", "delete")}


@test("host", limit=120)
def one_port_serves_plain_and_tls(t):
    server = site(t, OPEN, store=ANYONE)
    big = files.make(t.path("big"), 40_000_003)
    curl = need("curl")
    for scheme, extra in (("http", []), ("https", ["--cacert", t.run.pki.certificate])):
        url = f"{scheme}://localhost:{server.port}/{scheme}"
        call = [curl, "-4", "-sS", "--fail-with-body", *extra]
        subprocess.run([*map(str, call), "-T", str(big), url], check=True, timeout=60 * t.run.patience)
        files.same(big, server.root / scheme)
        subprocess.run([*map(str, call), "-o", str(t.path("back")), url], check=True, timeout=60 * t.run.patience)
        files.same(big, t.path("back"))
        listing = subprocess.run([*map(str, call), f"{scheme}://localhost:{server.port}/"], check=True, capture_output=True)
        check(b'href="./big"' in listing.stdout or scheme.encode() in listing.stdout, listing.stdout)
        subprocess.run([*map(str, call), "-X", "DELETE", url], check=True)
        check(not (server.root / scheme).exists(), "it is still there")
    versions = [e["version"] for e in server.find("Y14I")]
    check("none" in versions and "TLSv1.3" in versions, f"sessions: {versions}")
    plain = [e for e in server.find("T01I") if e["tx"] == "plain"]
    check(len(plain) >= 3 and all(e["rx"] == "plain" for e in plain), f"transfers over plain connections: {plain}")


@test("host")
def a_plain_body_may_be_chunked_and_come_in_pieces(t):
    server = site(t, OPEN, store=ANYONE)
    wire = Wire(t, server.port, tls=False)
    wire.send("PUT /new HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel")
    wire.send("lo\r\n")
    time.sleep(0.05)
    wire.send("6\r\n world\r\n0\r\n\r\n")
    equal(wire.response().status, 201, "status")
    equal((server.root / "new").read_bytes(), b"hello world", "what was stored")
    equal(wire.request("GET", "/new", {"Range": "bytes=6-"}).body, b"world", "a part of it")
    equal(wire.request("HEAD", "/new").fields["content-length"], "11", "its length")


@test("host")
def a_plain_body_that_is_cut_short_leaves_nothing(t):
    server = site(t, OPEN, store=ANYONE)
    wire = Wire(t, server.port, tls=False)
    wire.send("PUT /new HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nhalf")
    wire.abort()
    server.wait_event("T01E", 10 * t.run.patience)
    nothing_stored(server)


@test("host")
def tls_required_refuses_a_plain_connection_before_any_password(t):
    server = site(t, {"class all": {"tls": "required"}})
    wire = Wire(t, server.port, tls=False)
    wire.send("PUT /new HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nAuthorization: ")  # and the rest never comes
    equal(wire.response().status, 403, "status")
    wire.gone()
    event = server.wait_event("G07W", 10 * t.run.patience)
    check("name" not in event, f"something was read: {event}")
    equal(server.find("G02W") + server.find("G01I"), [], "logins")
    nothing_stored(server)


def memory_of(server):
    """Every byte that the server may write."""
    pid = server.process.pid
    try:
        with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory, open(f"/proc/{pid}/maps") as maps:
            for line in maps:
                begin, end = (int(place, 16) for place in line.split()[0].split("-"))
                if "rw" not in line.split()[1]:
                    continue
                memory.seek(begin)
                while begin < end and (piece := memory.read(min(end - begin, 1 << 24))):
                    yield piece
                    begin += len(piece)
    except PermissionError:
        raise Skip("the memory of another process cannot be read here") from None


# What is demanded, over what, the user, the status.
REMEMBERED = {
    "refused over a plain connection": ({"class all": {"tls": "required"}}, False, "alice", 403),
    "taken over a plain connection": ({"class all": {"tls": "optional", "plain_password": "yes"}}, False, "alice", 200),
    "taken over TLS": ({}, True, "alice", 200),
    "not taken over TLS": ({}, True, "mallory", 401),
}


@test("host", each=REMEMBERED)
def a_password_is_nowhere_in_memory_once_its_connection_is_gone(t, way):
    if t.run.sanitized:
        raise Skip("sanitizers keep what is freed")
    sections, tls, name, status = REMEMBERED[way]
    server = site(t, sections)
    who = login("alice") if name == "alice" else basic(name, "a password that nobody has")
    idle = server.descriptors()
    equal(ask(t, server, "HEAD", who=who, tls=tls).status, status, "status")
    wait_for(lambda: server.descriptors() == idle, "the end of the connection", 10 * t.run.patience)
    token = who["Authorization"].split()[1].encode()
    secrets = {"as it was sent": token, "decoded": base64.b64decode(token)}
    for piece in memory_of(server):
        for form, secret in secrets.items():
            check(secret not in piece, f"the login is still there, {form}")


@test("host")
def a_plain_connection_is_asked_for_a_password_only_where_the_class_says_so(t):
    classes = {"class local": {"tls": "optional"}}
    server = site(t, classes)
    answer = ask(t, server, tls=False)
    equal((answer.status, answer.fields.get("www-authenticate")), (403, None), "the answer to nobody")
    answer = ask(t, server, "PUT", "/new", login("alice"), tls=False, body=b"x")
    equal((answer.status, answer.fields.get("www-authenticate")), (403, None), "the answer to a login")
    server.wait_event("G07W", 10 * t.run.patience)
    equal(server.find("G01I"), [], "identified")
    nothing_stored(server)
    server = site(t, {"class local": {"tls": "optional", "plain_password": "yes"}}, name="open")
    equal(ask(t, server, tls=False).status, 401, "where the class says so")
    equal(ask(t, server, "PUT", "/new", login("eve"), tls=False, body=b"x").status, 201, "with a login")
    no_secret_in_the_log(server)


# -- what -------------------------------------------------------------------------------------------------------------

REQUESTS = {
    "read": [("GET", "/file", 200), ("HEAD", "/file", 200)],
    "list": [("GET", "/", 200), ("HEAD", "/folder/", 200), ("GET", "/folder", 301)],
    "write": [("PUT", "/new", 201)],
    "delete": [("DELETE", "/file", 204)],
}


@test("host", each=REQUESTS)
def each_right_is_one_of_its_own(t, right):
    """Who has one right has that one only; who has all the others lacks it."""
    rights = {name: "user:alice" if name == right else "user:bob" for name in REQUESTS}
    server = site(t, {"class all": {}}, store=rights)
    (server.root / "folder").mkdir()
    for name, requests in REQUESTS.items():
        has, lacks = ("alice", "bob") if name == right else ("bob", "alice")
        for method, target, status in requests:
            body = b"new" if method == "PUT" else b""
            equal(ask(t, server, method, target, login(lacks), body=body).status, 403, f"{method} {target} without")
            equal(ask(t, server, method, target, login(lacks), body=body).status, 403, f"{method} {target} again")
            nothing_stored(server)
            equal(ask(t, server, method, target, login(has), body=body).status, status, f"{method} {target} with it")
        for path, content in (("file", BODY), ("new", None)):
            (server.root / path).unlink(missing_ok=True)
            if content:
                (server.root / path).write_bytes(content)


@test("host")
def grants_name_users_partners_classes_and_groups(t):
    rights = {"read": "group:admins", "write": "partner:node7", "list": "class:staff", "delete": "user:carol"}
    server = site(t, CLASSES, store=rights)
    for who, certificate, allowed in ((login("alice"), None, "read list"), ({}, "ecdsa", "write"), (login("carol"), "rsa", "delete")):
        for right, (method, target) in {"read": ("GET", "/file"), "list": ("GET", "/"), "write": ("PUT", "/new"),
                                        "delete": ("DELETE", "/new")}.items():
            body = b"x" if method == "PUT" else b""
            answer = ask(t, server, method, target, who, certificate, body=body)
            equal(answer.status < 300, right in allowed, f"{who} {certificate} {method} {target}: {answer.status}")


@test("host")
def who_may_not_is_told_before_the_body_is_asked_for(t):
    server = site(t, CLASSES, store={"write": "user:alice"})
    for who, certificate, status in (({}, None, 401), (basic("alice", "wrong"), None, 401), ({}, "ecdsa", 403)):
        wire = Wire(t, server.port, certificate=certificate)
        fields = {"Expect": "100-continue", "Content-Length": "1000", **who}
        answer = wire.request("PUT", "/new", fields)
        equal(answer.status, status, "the first answer")
        equal(answer.fields.get("connection"), "close", "Connection")
        wire.end()
    nothing_stored(server)
    wire = Wire(t, server.port, certificate=None)
    equal(wire.request("PUT", "/new", {"Expect": "100-continue", "Content-Length": "3", **login("alice")}).status, 100, "who may")
    wire.send(b"new")
    equal(wire.response().status, 201, "status")


@test("host")
def visitors_with_a_home_see_nothing_else(t):
    users = {"class all": {}, "user alice": {"home": "alice"}, "user bob": {"home": "homes/bob"}, "user carol": {},
             "user dave": {"home": "way"}}
    server = site(t, users)
    os.symlink("../", server.root / "way")
    os.symlink("/etc", server.root / "etc")
    alice, bob, carol = (Wire(t, server.port, certificate=None) for _ in range(3))
    equal(alice.request("GET", "/file", login("alice")).status, 404, "a file outside of the home")
    check((server.root / "alice").is_dir(), "the home was not made")
    equal((server.root / "alice").stat().st_mode & 0o777, 0o750, "mode of the home")
    equal(alice.request("PUT", "/deep/mine", login("alice"), body=b"hers").status, 201, "status")
    equal((server.root / "alice/deep/mine").read_bytes(), b"hers", "what was stored")
    listing = bob.request("GET", "/", {"Accept": "application/json", **login("bob")})
    equal(json.loads(listing.body), [], "another's home")
    equal(bob.request("PUT", "/his", login("bob"), body=b"his").status, 201, "status")
    os.symlink("../../alice/deep/mine", server.root / "homes/bob/hers")
    os.symlink("/etc/passwd", server.root / "homes/bob/passwd")
    for target in ("/../alice/deep/mine", "/%2e%2e/alice/deep/mine", "/..%2falice/deep/mine", "/hers", "/passwd"):
        check(bob.request("GET", target, login("bob")).status in (400, 403, 404), f"{target} was served")
    equal(bob.request("DELETE", "/his", login("bob")).status, 204, "DELETE in the home")
    equal(carol.request("GET", "/alice/deep/mine", login("carol")).body, b"hers", "for who has no home")
    # One connection, another visitor: the home goes with the visitor.
    equal(alice.request("GET", "/deep/mine", login("bob")).status, 404, "as bob")
    equal(alice.request("GET", "/alice/deep/mine", login("carol")).status, 200, "as carol")
    equal(alice.request("GET", "/deep/mine", login("alice")).status, 200, "as alice again")
    # An alias of the root that leads out of it.
    server_side = ask(t, server, "PUT", "/new", {**basic("dave", PASSWORDS["dave"])}, body=b"x")
    equal(server_side.status, 500, "a home that leads out of the store")
    check(not (server.root.parent / "new").exists(), "it was stored outside")


@test("host")
def deletes_files_and_only_those(t):
    server = site(t, {"class all": {}})
    wire = Wire(t, server.port, certificate=None)
    who = login("alice")
    (server.root / "folder").mkdir()
    (server.root / "folder/inner").write_bytes(b"x")
    os.symlink("file", server.root / "link")
    equal(wire.request("DELETE", "/none", who).status, 404, "what is not there")
    equal(wire.request("DELETE", "/file/below", who).status, 404, "what is below a file")
    for target in ("/folder", "/folder/", "/"):
        equal(wire.request("DELETE", target, who).status, 409, f"DELETE {target}")
    equal(wire.request("DELETE", "/folder/inner", who).status, 204, "a file in a folder")
    check((server.root / "folder").is_dir(), "the folder is gone, too")
    equal(wire.request("DELETE", "/link", who).status, 204, "a link")
    check((server.root / "file").exists() and not (server.root / "link").is_symlink(), "the wrong one is gone")
    tag = wire.request("HEAD", "/file", who).fields["etag"]
    equal(wire.request("DELETE", "/file", {"If-Match": '"another"', **who}).status, 412, "with another tag")
    equal(wire.request("DELETE", "/file", {"If-None-Match": "*", **who}).status, 412, "only if there is none")
    nothing_stored(server)
    equal(wire.request("DELETE", "/file", {"If-Match": tag, **who}).status, 204, "with its tag")
    check(not (server.root / "file").exists(), "it is still there")
    done = [e for e in server.find("T01I") if e["direction"] == "delete"]
    equal([e["path"] for e in done], ["folder/inner", "link", "file"], "what was told")
    equal(wire.request("DELETE", "/x", who, body=b"body").status, 400, "with a body")


# -- guessing ---------------------------------------------------------------------------------------------------------


@test("host")
def a_failed_login_is_answered_late_and_the_others_are_not_kept_waiting(t):
    server = site(t, CLASSES)
    other = Wire(t, server.port)
    equal(other.request("GET", "/file").status, 200, "status")
    delays = []
    for _ in range(3):
        wire = Wire(t, server.port, certificate=None)
        began = time.monotonic()
        wire.send("GET /file HTTP/1.1\r\nHost: a\r\nAuthorization: " + basic("alice", "wrong")["Authorization"] + "\r\n\r\n")
        server.wait_event("G02W", 10 * t.run.patience)
        for _ in range(10):
            equal(other.request("GET", "/file").status, 200, "status meanwhile")
        equal(wire.response().status, 401, "status")
        delays.append(time.monotonic() - began)
    check(delays[0] > 0.24 and delays[1] > 0.49 and delays[2] > 0.99, f"delays: {delays}")
    equal(ask(t, server, who=login("alice")).status, 200, "with the right password")
    began = time.monotonic()
    equal(ask(t, server, who=basic("alice", "wrong")).status, 401, "status")
    check(time.monotonic() - began < 0.9 * t.run.patience, "a success did not forget the failures before it")


@test("host", limit=120)
def after_many_failures_an_address_is_refused_unheard(t):
    server = site(t, CLASSES)
    for count in range(20):
        wire = Wire(t, server.port, certificate=None)
        wire.send("GET /file HTTP/1.1\r\nHost: a\r\nAuthorization: " + basic("alice", "wrong")["Authorization"] + "\r\n\r\n")
        wait_for(lambda: len(server.find("G02W")) > count, "the failure", 10 * t.run.patience)
        wire.abort()
    answer = ask(t, server, "PUT", "/new", login("alice"), body=b"x")
    equal(answer.status, 429, "status with the right password")
    check(int(answer.fields["retry-after"]) > 0, "Retry-After")
    equal(server.wait_event("G04W", 10 * t.run.patience)["name"], "alice", "whose login it was")
    nothing_stored(server)
    equal(ask(t, server, certificate="ecdsa").status, 200, "who needs no password")


@test("host", limit=120)
def a_login_of_ones_own_buys_no_further_guesses(t):
    server = site(t)
    for count in range(20):
        wire = Wire(t, server.port, certificate=None)
        wire.send("GET /file HTTP/1.1\r\nHost: a\r\nAuthorization: " + basic("alice", "wrong")["Authorization"] + "\r\n\r\n")
        wait_for(lambda: len(server.find("G02W")) > count, "the failure", 10 * t.run.patience)
        wire.abort()
        equal(ask(t, server, who=login("bob")).status, 200 if count < 19 else 429, f"status of login {count}")
    equal(ask(t, server, who=basic("alice", "wrong")).status, 429, "status of the next guess")


@test("host", limit=120)
def connections_that_guess_at_the_same_time_get_no_more_guesses(t):
    server = site(t, handshake_threads=2)
    wires = [Wire(t, server.port, certificate=None) for _ in range(60)]
    for number, wire in enumerate(wires):
        wire.send("GET /file HTTP/1.1\r\nHost: a\r\nAuthorization: "
                  + basic("alice", f"wrong-{number}")["Authorization"] + "\r\n\r\n")
    wait_for(lambda: len(server.find("G02W")) + len(server.find("G04W")) == 60, "all answers", 60 * t.run.patience)
    check(len(server.find("G02W")) <= 20 + 1, f"{len(server.find('G02W'))} passwords were tried")


@test("host", limit=180)
def names_of_hostile_bytes_are_one_escaped_line_each(t):
    server = site(t, CLASSES)
    hostile = [bytes([byte]) for byte in range(256)]
    hostile += ["\u0085".encode(), "\u2028".encode(), "\u202e".encode(), "\ufeff".encode(), b"\xc0\xaf", b"\xed\xa0\x80",
                b'"}\n{"id":"S02I"', b"%n%s", b"\x1b[2J", b"a\0b"]
    for name in hostile:
        wire = Wire(t, server.port, certificate=None)
        pair = base64.b64encode(b"x" + name + b"y:secret-of-hostile").decode()
        before = len(server.log.read_bytes().splitlines())
        wire.send(f"GET /file HTTP/1.1\r\nHost: a\r\nAuthorization: Basic {pair}\r\n\r\n")
        wait_for(lambda: any(e["id"] in ("G02W", "G04W", "T02W") for e in server.events()[before:]),
                 f"an event about {name!r}", 10 * t.run.patience)
        wire.abort()
    for line in server.log.read_bytes().splitlines():
        event = json.loads(line)  # one object on each line
        check(event["id"] != "S02I", f"an event was made up: {line}")
        line = line.decode("utf-8")  # and it is UTF-8
        deceptive = [c for c in line if ord(c) < 0x20 or 0x7f <= ord(c) < 0xa0 or c in "\u2028\u2029\u202e\ufeff"]
        equal(deceptive, [], f"bytes that are not escaped in {line!r}")
    check(b"secret-of-hostile" not in server.log.read_bytes(), "a password is in the log")
    names = {e["name"] for e in server.find("G02W") + server.find("G04W")}
    check('x"y' in names and "x\\y" in names and "x y" in names, f"names: {names}")
    equal(server.find("G01I"), [], "identified")
    nothing_stored(server)


@test("host")
def malformed_logins_are_no_guesses(t):
    server = site(t, CLASSES)
    for _ in range(30):
        equal(ask(t, server, who={"Authorization": "Basic =="}).status, 400, "status")
    equal(ask(t, server, who=login("alice")).status, 200, "status after them")


# -- partners ---------------------------------------------------------------------------------------------------------


@test("host")
def a_partner_whose_profile_is_missing_is_told_of_once(t):
    partner = {"class all": {}, "partner node7": {"match_subject": "CN=client-ecdsa", "profile": "out"},
               "client-profile out": {"trust": t.run.pki.certificate}}  # of this name there is no server-profile
    server = site(t, partner)
    wire = Wire(t, server.port)
    for _ in range(3):
        equal(wire.request("GET", "/file").status, 200, "status")
    equal([e["profile"] for e in server.find("T47W", partner="node7") if e.get("peer")], ["out"], "events")
    server = site(t, partner, name="strict", strict_partner_profiles="yes")
    wire = Wire(t, server.port)
    equal(wire.request("PUT", "/new", body=b"x").status, 403, "status where that is strict")
    wire.gone()
    server.wait_event("T47W", 10 * t.run.patience, partner="node7")
    nothing_stored(server)


@test("host")
def a_users_partner_is_checked_like_the_partner(t):
    """By password, so there is no verified certificate: verify = required of the partner's profile does not hold."""
    demanding = {**setup.profiles(t)["server-profile std"], "verify": "required"}
    server = site(t, {"class all": {}, "user alice": {"partner": "node7"}, "partner node7": {"profile": "hard"},
                      "server-profile hard": demanding})
    wire = Wire(t, server.port, certificate=None)
    equal(wire.request("PUT", "/new", login("alice"), body=b"x").status, 403, "status")
    wire.gone()
    event = server.wait_event("T48E", 10 * t.run.patience)
    equal((event["partner"], event["check"]), ("node7", "level"), "what was told")
    nothing_stored(server)
    equal(ask(t, server, who=login("bob")).status, 200, "who is of no partner")


# -- our client -------------------------------------------------------------------------------------------------------


def partner_file(t, server, more=None, **keys):
    secret = t.path("secret")
    secret.write_text(PASSWORDS["alice"] + "\n")
    secret.chmod(0o600)
    profile = {"trust": t.run.pki.certificate, "offload": setup.offload(t)}
    return write_ini(t.path("client.ini"), {
        "client-profile out": profile,
        "partner there": {"host": f"localhost:{server.port}", "profile": "out", "login": "alice",
                          "login_password_file": secret, **keys},
        **(more or {}),
    })


@test("host")
def get_put_and_ls_log_in(t):
    server = site(t, CLASSES)
    ini = partner_file(t, server)
    big = files.make(t.path("big"), 3_000_001)
    client(t, "put", big, "there:big", ini=ini).must_succeed()
    files.same(big, server.root / "big")
    client(t, "get", "there:big", t.path("back"), ini=ini).must_succeed()
    files.same(big, t.path("back"))
    check("big" in client(t, "ls", "there:", ini=ini).must_succeed().output, "the listing")
    t.path("secret").write_text("wrong\n")
    failed = client(t, "get", "there:big", t.path("none"), ini=ini).must_fail(6)
    check("it does not take this login" in failed.errors, failed.errors)
    check(not t.path("none").exists(), "there is a file")
    t.path("secret").chmod(0o644)
    failed = client(t, "get", "there:big", t.path("none"), ini=ini).must_fail(3)
    check("chmod 600" in failed.errors and "client.ini:" in failed.errors, failed.errors)
    no_secret_in_the_log(server)


@test("host")
def a_partner_without_a_client_profile_is_not_tried(t):
    server = site(t, CLASSES)
    more = {"server-profile in": setup.profiles(t)["server-profile std"]}  # of this name there is no client-profile
    ini = partner_file(t, server, more, profile="in")
    failed = client(t, "get", "--verbose", "there:file", t.path("none"), ini=ini).must_fail(3)
    check(" T47E partner=there profile=in" in failed.errors, f"the event: {failed.errors}")
    check('T47E: partner "there" names profile "in", but there is no [client-profile in]' in failed.errors, failed.errors)
    equal(server.find("Y14I") + server.find("Y13E"), [], "connections")


# -- chains -----------------------------------------------------------------------------------------------------------


@test("host", each=["1.2", "1.3"])
def a_verified_peers_chain_is_kept_once(t, version):
    chains = t.make_folder("chains")
    server = site(t, CLASSES, profile={"save_chain": chains, "note": "line 7"})
    for _ in range(2):
        equal(Wire(t, server.port, version=version).request("GET", "/file").status, 200, "status")
    equal(Wire(t, server.port, certificate=None, version=version).request("GET", "/file").status, 401, "nobody")
    stranger = Authority(t.path("stranger")).client()
    equal(Wire(t, server.port, certificate=stranger, version=version).request("GET", "/file").status, 401, "a stranger")
    kept = os.listdir(chains)
    equal(len(kept), 1, f"files: {kept}")
    check((chains / kept[0]).read_text().startswith("-----BEGIN CERTIFICATE-----"), "it is no PEM")
    der = subprocess.run(["openssl", "x509", "-in", str(chains / kept[0]), "-outform", "DER"], capture_output=True, check=True)
    t.path("leaf.der").write_bytes(der.stdout)
    equal(kept[0], files.sha256(t.path("leaf.der")) + ".pem", "its name")
    accepted = server.find("Y21I")
    check(accepted and all("CN=client-ecdsa" in e["subject"] and int(e["days"]) > 0 for e in accepted), accepted)
    check(all("CN=server-ecdsa" in e["subject"] for e in server.find("Y23I")), server.find("Y23I"))
    equal({e["note"] for e in server.find("Y14I")}, {"line 7"}, "notes")


@test("host")
def a_chain_that_cannot_be_kept_is_only_told(t):
    chains = t.make_folder("chains")
    server = site(t, CLASSES, profile={"save_chain": chains})
    chains.rmdir()
    equal(Wire(t, server.port).request("GET", "/file").status, 200, "status")
    check("No such file" in server.wait_event("Y24W", 10 * t.run.patience)["reason"], "the reason")
