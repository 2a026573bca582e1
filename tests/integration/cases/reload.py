"""SIGHUP: the whole new model, or the old one; sessions that run keep theirs."""

import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from base64 import b64encode

from harness import Failure, Skip, check, equal, files, setup, test
from harness.case import wait_for
from harness.sluice import Server, environment, write_ini
from harness.wire import Wire, client_context


def ask(server):
    server.process.send_signal(signal.SIGHUP)


def reload(server, sections=None):
    """A reload that must succeed. Returns its event."""
    before = len(server.find("S10I"))
    if sections:
        write_ini(server.ini, sections)
    ask(server)
    wait_for(lambda: len(server.find("S10I")) > before, "the reload", 20)
    return server.find("S10I")[-1]


def refused(server, sections=None):
    """A reload that must be refused. Returns the problems that were told."""
    before, taken = len(server.find("S10E")), len(server.find("S10I"))
    if sections:
        write_ini(server.ini, sections)
    ask(server)
    wait_for(lambda: len(server.find("S10E")) > before, "the refusal", 20)
    equal(len(server.find("S10I")), taken, "models taken over")
    return [event["problem"] for event in server.find("S10E")[before:]]


def start(trial, **how):
    sections = setup.site(trial, **how)
    server = Server(trial, sections)
    server.root = sections["store main"]["root"]
    return server, sections


def serial(wire):
    return wire.socket.getpeercert()["serialNumber"]


def ends_after_one_more(wire, status=200):
    """A session of the model before: it is answered once more, is told, and ends in good order."""
    response = wire.request("GET", "/file")
    equal(response.status, status, "the status of a session that runs")
    equal(response.fields.get("connection"), "close", "Connection, in a session of the model before")
    wire.end()


# -- what is swapped


@test("host", "guest")
def certificates_are_read_again_and_sessions_that_run_keep_theirs(t):
    names = t.path("own.pem"), t.path("own.key")

    def put(key):
        for source, place in zip(t.run.pki.server(key), names):
            shutil.copy(source, place)
        names[1].chmod(0o600)

    put("ecdsa")
    server, _ = start(t, server_profile={"certificate": names[0], "key": names[1]})
    (server.root / "file").write_text("here")
    old = Wire(t, server.port)
    equal(old.request("GET", "/file").body, b"here", "body")
    put("rsa")
    told = reload(server)
    equal((told["sections_changed"], told["addresses_opened"], told["addresses_closed"]), (0, 0, 0), "what changed")
    new = Wire(t, server.port)
    check(serial(new) != serial(old), "the certificate is the one from before")
    equal(new.request("GET", "/file").fields.get("connection"), None, "Connection, in a session of the new model")
    ends_after_one_more(old)


@test("host")
def a_certificate_that_a_new_list_revokes_is_refused(t):
    leaf = t.run.pki.leaf(f"revoked-in-{t.folder.name}", "clientAuth")
    revoked = t.path("list.pem")
    shutil.copy(t.run.pki.crl(f"before-{t.folder.name}"), revoked)
    server, _ = start(t, server_profile={"crl": revoked})
    (server.root / "file").write_text("here")

    old = Wire(t, server.port, leaf)
    equal(old.request("GET", "/file").status, 200, "status")
    t.run.pki.revoke(leaf[0])
    shutil.copy(t.run.pki.crl(f"after-{t.folder.name}"), revoked)
    reload(server)
    try:
        status = Wire(t, server.port, leaf).request("GET", "/file").status
        raise Failure(f"a revoked certificate got {status}")
    except (EOFError, OSError):
        pass
    check("revoked" in server.wait_event("Y13E")["reason"], "the reason is another one")
    equal(Wire(t, server.port).request("GET", "/file").status, 200, "the status of another certificate")
    ends_after_one_more(old)


def login(name, password):
    return {"Authorization": "Basic " + b64encode(f"{name}:{password}".encode()).decode()}


def write_password(path, name, password):
    done = subprocess.run(["openssl", "passwd", "-6", password], capture_output=True, text=True, check=True)
    path.write_text(f"{name}:{done.stdout}")
    path.chmod(0o600)


@test("host")
def passwords_are_read_again(t):
    path = t.path("passwords")
    write_password(path, "alice", "first")
    server, _ = start(t, password_file=path, server_profile={"verify": "optional"},
                      more={"class all": {"certificate": "optional", "password": "optional"}})
    (server.root / "file").write_text("here")

    def status(password):
        return Wire(t, server.port, certificate=None).request("GET", "/file", login("alice", password)).status

    equal((status("first"), status("second")), (200, 401), "before")
    write_password(path, "alice", "second")
    reload(server)
    equal((status("second"), status("first")), (200, 401), "after")


@test("host")
def what_anonymous_visitors_may_is_read_again(t):
    server, sections = start(t, anonymous="read", server_profile={"verify": "optional"})
    (server.root / "file").write_text("here")
    old = Wire(t, server.port, certificate=None)
    equal(old.request("GET", "/file").status, 200, "status before")
    sections["store main"]["anonymous"] = "none"
    equal(reload(server, sections)["sections_changed"], 1, "sections that changed")
    equal(Wire(t, server.port, certificate=None).request("GET", "/file").status, 403, "status after")
    ends_after_one_more(old)


@test("host")
def suites_are_read_again(t):
    server, sections = start(t, server_profile={"ciphers": "TLS_AES_128_GCM_SHA256", "min_version": "1.3"})
    equal(Wire(t, server.port).socket.cipher()[0], "TLS_AES_128_GCM_SHA256", "suite")
    sections["server-profile std"]["ciphers"] = "TLS_AES_256_GCM_SHA384"
    reload(server, sections)
    equal(Wire(t, server.port).socket.cipher()[0], "TLS_AES_256_GCM_SHA384", "suite")


@test("host")
def settings_that_take_a_restart_are_named_and_the_rest_is_taken_over(t):
    server, sections = start(t, workers=1, max_connections_per_address=100)
    sections["server"].update(workers=2, file_threads=3, events_to="journal", max_connections_per_address=1)
    for _ in range(2):  # it is still so after the second time
        reload(server, sections)
        equal(sorted(e["setting"] for e in server.find("S11W")[-3:]), ["events_to", "file_threads", "workers"], "settings")
    equal(len(server.find("S11W")), 6, "warnings")
    first = Wire(t, server.port)
    try:
        Wire(t, server.port)
        raise Failure("a second connection was let in")
    except OSError:
        pass
    first.goodbye()


# -- what is refused


def other_key(t, sections):
    sections["server-profile std"]["key"] = t.run.pki.client()[1]


def no_certificate(t, sections):
    sections["server-profile std"]["certificate"] = t.path("nowhere.pem")


def no_store(t, sections):
    sections["store main"]["root"] = t.path("nowhere")


def unknown_key(t, sections):
    sections["protocol main"]["lisen"] = "127.0.0.1:0"


def unknown_suite(t, sections):
    sections["client-profile std"] = {"ciphers": "TLS_NO_SUCH_SUITE", "trust": t.run.pki.certificate}


def bad_passwords(t, sections):
    t.path("passwords").write_text("alice\n")
    t.path("passwords").chmod(0o600)
    sections["server"]["password_file"] = t.path("passwords")


def bad_list(t, sections):
    t.path("list.pem").write_text("this is no list\n")
    sections["server-profile std"]["crl"] = t.path("list.pem")


def unknown_user(t, sections):
    sections["server"]["user"] = "nobody-has-this-name"


def nobody_listens(t, sections):
    sections["protocol main"] = {"profile": "std", "store": "main"}
    sections["client-profile std"] = {"trust": t.run.pki.certificate}


BROKEN = {
    "a key of another certificate": (other_key, "does not match"),
    "a certificate that is not there": (no_certificate, "nowhere.pem"),
    "a store that is not there": (no_store, "cannot be served"),
    "an unknown key": (unknown_key, "did you mean"),
    "an unknown suite in a client-profile": (unknown_suite, "TLS_NO_SUCH_SUITE"),
    "a malformed password file": (bad_passwords, "passwords"),
    "a malformed list of revoked certificates": (bad_list, "list.pem"),
    "an unknown user": (unknown_user, "nobody-has-this-name"),
}


@test("host", each=BROKEN)
def a_model_with_an_error_is_refused_as_check_refuses_it(t, kind):
    spoil, said = BROKEN[kind]
    server, sections = start(t)
    (server.root / "file").write_text("here")
    old = Wire(t, server.port)
    right = {name: dict(keys) for name, keys in sections.items()}
    spoil(t, sections)
    problems = refused(server, sections)
    check(any(said in problem for problem in problems), f"{said!r} is not in {problems}")

    checked = subprocess.run([t.run.binary, "check", "-c", server.ini], capture_output=True, text=True, env=environment())
    equal(checked.returncode, 3, "the exit code of check")
    errors = [line for line in checked.stdout.splitlines()[:-1] if not line.startswith("warning: ")]
    equal(sorted(problems), sorted(errors), "the problems of the reload, and those of check")

    equal(old.request("GET", "/file").fields.get("connection"), None, "Connection, while the old model stays")
    equal(Wire(t, server.port).request("GET", "/file").body, b"here", "body of the model before")
    reload(server, right)
    equal(Wire(t, server.port).request("GET", "/file").body, b"here", "body after the next reload")


@test("host")
def a_port_that_another_has_is_refused_and_nothing_is_opened(t):
    server, sections = start(t)
    taken = socket.create_server(("127.0.0.1", 0))
    t.at_end(taken.close)
    before = server.descriptors()
    sections["protocol more"] = dict(sections["protocol main"])
    sections["protocol theirs"] = {**sections["protocol main"], "listen": f"127.0.0.1:{taken.getsockname()[1]}"}
    problems = refused(server, sections)
    equal(len(problems), 1, f"problems in {problems}")
    check("another process has it" in problems[0], problems[0])
    equal(len(server.find("S03I")), 1, "protocols that listen")
    equal(server.descriptors(), before, "open descriptors")
    Wire(t, server.port).goodbye()


@test("host")
def a_model_that_listens_nowhere_is_refused(t):
    server, sections = start(t)
    nobody_listens(t, sections)
    check("no protocol listens" in refused(server, sections)[0], "another problem")


@test("host")
def a_file_that_is_gone_is_refused(t):
    server, _ = start(t)
    server.ini.unlink()
    check(str(server.ini) in refused(server)[0], "another problem")
    Wire(t, server.port).goodbye()


# -- listening


def port_of(server, protocol):
    return int(server.find("S03I", protocol=protocol)[-1]["port"])


@test("host", "guest")
def addresses_come_and_go(t):
    server, sections = start(t)
    (server.root / "file").write_text("here")
    main = sections["protocol main"]
    old = Wire(t, server.port)
    told = reload(server, {**sections, "protocol more": dict(main)})
    equal((told["sections_added"], told["addresses_opened"], told["addresses_closed"]), (1, 1, 0), "what changed")
    more = port_of(server, "more")
    equal(port_of(server, "main"), server.port, "the port that stays")
    on_more = Wire(t, more)
    equal(on_more.request("GET", "/file").body, b"here", "body through the new address")
    Wire(t, server.port).goodbye()

    told = reload(server, sections)
    equal((told["sections_removed"], told["addresses_opened"], told["addresses_closed"]), (1, 0, 1), "what changed")
    try:
        Wire(t, more)
        raise Failure("the address that went still accepts")
    except ConnectionRefusedError:
        pass
    Wire(t, server.port).goodbye()
    ends_after_one_more(on_more)
    ends_after_one_more(old)


@test("host")
def an_address_may_become_narrower_and_change_its_protocol(t):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    sections = setup.site(t)
    sections["protocol main"]["listen"] = f"0.0.0.0:{port}"
    server = Server(t, sections)
    sections["protocol other"] = {**sections.pop("protocol main"), "listen": f"127.0.0.1:{port}"}
    told = reload(server, sections)
    equal((told["addresses_opened"], told["addresses_closed"]), (1, 1), "what changed")
    Wire(t, port).goodbye()
    equal(server.wait_event("Y14I")["protocol"], "other", "the protocol of a new session")
    sections["protocol third"] = sections.pop("protocol other")
    told = reload(server, sections)
    equal((told["addresses_opened"], told["addresses_closed"]), (0, 0), "what changed")
    Wire(t, port).goodbye()
    server.wait_event("Y14I", protocol="third")


@test("host")
def who_waits_to_be_accepted_is_not_lost_when_the_address_goes(t):
    """Connections of the last moment before a reload: each is served, under the model that accepted it."""
    server, sections = start(t)
    (server.root / "file").write_text("here")
    wanted = {**sections, "protocol more": dict(sections["protocol main"])}
    context = client_context(t, "ecdsa")
    for _ in range(5):
        reload(server, wanted)
        more = port_of(server, "more")
        write_ini(server.ini, sections)
        waiting = [Wire(t, more, tls=False) for _ in range(20)]
        taken = len(server.find("S10I"))
        ask(server)
        for wire in waiting:
            wire.socket = context.wrap_socket(wire.raw, server_hostname="localhost")
            equal(wire.request("GET", "/file").body, b"here", "body")
            wire.abort()
        wait_for(lambda: len(server.find("S10I")) > taken, "the reload")


# -- the process


@test("host")
def systemd_is_told(t):
    path = t.path("notify")
    notices = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notices.bind(str(path))
    notices.settimeout(20 * t.run.patience)
    t.at_end(notices.close)
    server = setup.server(t, environment={"NOTIFY_SOCKET": str(path)})

    def notice():
        return notices.recv(4096).decode().splitlines()

    check("READY=1" in notice(), "it did not say that it is ready")
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    reload(server)
    reloading = notice()
    check("RELOADING=1" in reloading, f"it did not say that it reloads: {reloading}")
    at = int(next(line for line in reloading if line.startswith("MONOTONIC_USEC=")).partition("=")[2])
    check(before <= at <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000, f"{at} is not the time of the reload")
    equal(notice(), ["READY=1", "STATUS=Serving"], "after the reload")
    server.ini.write_text("[nonsense]\n")
    refused(server)
    check("RELOADING=1" in notice(), "it did not say that it reloads")
    notes = notice()
    check(notes[0] == "READY=1" and "from before" in notes[1], f"after a refused reload: {notes}")
    server.stop()
    check("STOPPING=1" in notice(), "it did not say that it stops")


@test("host")
def a_reload_while_it_stops_is_ignored(t):
    server = setup.server(t)
    large = files.make(server.root / "large", 64 << 20, 3)
    wire = Wire(t, server.port)
    wire.send("GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
    received = len(wire.socket.recv(1))
    server.process.terminate()
    time.sleep(0.3)
    ask(server)
    while piece := wire.socket.recv(1 << 20):
        received += len(piece)
    check(received > large.stat().st_size, f"only {received} bytes came")
    server.stop()
    equal(server.find("S10I"), [], "reloads")


@test("host")
def a_profile_that_is_unusable_is_told_when_it_does_not_start(t):
    cases = {
        "missing": ({"protocol main": {"profile": "nobody"}}, "nobody"),
        "unusable": ({"server-profile std": {"key": t.run.pki.client()[1]}}, "does not match"),
    }
    for name, (changes, said) in cases.items():
        sections = setup.site(t, name=name)
        for section, keys in changes.items():
            sections[section].update(keys)
        ini = write_ini(t.path(f"{name}.ini"), sections)
        done = subprocess.run([t.run.server_binary, "serve", "-c", ini], capture_output=True, text=True, timeout=60,
                              env=environment())
        equal(done.returncode, 3, "exit code")
        events = [line for line in done.stderr.splitlines() if re.search(r'(^\S+Z |"id":")P20F', line)]
        check(len(events) == 1 and said in events[0], f"{name}: {done.stderr}")


@test("host")
def certificates_that_expire_are_told_at_start_and_at_a_reload(t):
    certificate, key = t.run.pki.leaf("expires-in-ten-days", ends=10)
    server, sections = start(t, expiry_warning_days=20, server_profile={"certificate": certificate, "key": key})
    told = server.wait_event("S79W")
    check("expires-in-ten-days" in told["subject"] and told["days"] in (9, 10), f"this was told: {told}")
    check("server-profile std" in told["used_by"] and told["file"] == str(certificate), f"this was told: {told}")
    reload(server)
    wait_for(lambda: len(server.find("S79W")) == 2, "the second event")
    sections["server"]["expiry_warning_days"] = 5
    reload(server, sections)
    reload(server, sections)
    equal(len(server.find("S79W")), 2, "events")


@test("host")
def root_is_given_up_and_files_are_served_and_taken_as_that_user(t):
    if os.geteuid() != 0:
        raise Skip("only root can become another user")
    nobody = pwd.getpwnam("nobody")
    t.folder.chmod(0o755)
    root = t.make_folder("store")
    os.chown(root, nobody.pw_uid, nobody.pw_gid)
    key = t.path("own.key")
    shutil.copy(t.run.pki.server()[1], key)
    key.chmod(0o600)
    server, sections = start(t, root=root, user="nobody", server_profile={"key": key})
    status = dict(line.split(":\t", 1) for line in open(f"/proc/{server.process.pid}/status").read().splitlines())
    equal(status["Uid"].split(), [str(nobody.pw_uid)] * 4, "user ids")
    equal(status["Gid"].split(), [str(nobody.pw_gid)] * 4, "group ids")
    equal(status["CapPrm"], "0" * 16, "permitted capabilities")
    for task in os.listdir(f"/proc/{server.process.pid}/task"):
        lines = open(f"/proc/{server.process.pid}/task/{task}/status").read()
        check(f"Uid:\t{nobody.pw_uid}\t" in lines, f"thread {task} is still root: {lines}")
    equal(os.stat(f"/proc/{server.process.pid}/fd").st_uid, 0, "owner of what a dumpable process would show")
    wire = Wire(t, server.port)
    equal(wire.request("PUT", "/made/here", body=b"new").status, 201, "status of a PUT")
    equal(os.stat(root / "made/here").st_uid, nobody.pw_uid, "owner of the file")
    equal(wire.request("GET", "/made/here").body, b"new", "body")
    check(any("own.key" in problem for problem in refused(server)), "the key of root was read again by nobody")
    os.chown(key, nobody.pw_uid, nobody.pw_gid)
    reload(server, sections)
    equal(Wire(t, server.port).request("GET", "/made/here").body, b"new", "body after the reload")


@test("host")
def a_user_that_it_cannot_become_is_an_error(t):
    cases = {"there-is-no-such-user": ("user", "this system has no such user")}
    if os.geteuid() != 0:
        cases["nobody"] = ("user", "only root can become another user")
    for name, (key, said) in cases.items():
        ini = setup.site_file(t, **{key: name})
        done = subprocess.run([t.run.server_binary, "serve", "-c", ini], capture_output=True, text=True, timeout=60,
                              env=environment())
        equal(done.returncode, 3, "exit code")
        check(said in done.stderr, done.stderr)


# -- many reloads under load

RELOADS = 200
CLIENTS = 6
SIZE = 300_000


class Tail:
    """How often an event stands in a log that grows, without reading it all again."""

    def __init__(self, path, identity):
        self._file, self._mark, self.count = open(path, "rb"), f'"id":"{identity}"'.encode(), 0

    def look(self):
        while line := self._file.readline():
            if not line.endswith(b"\n"):
                self._file.seek(-len(line), os.SEEK_CUR)
                break
            self.count += self._mark in line
        return self.count


class Storm:
    """Clients that come again and again; each offers the ticket it got last, whichever model gave it."""

    def __init__(self, t, server, models):
        self.t, self.server, self.models = t, server, models
        self.over, self.problems = threading.Event(), []
        self.seen = {name: 0 for name in models}
        self.sessions = self.reused = self.requests = 0
        self.lock = threading.Lock()

    def visit(self, number):
        context = client_context(self.t, "ecdsa")
        session, turn = None, 0
        try:
            while not self.over.is_set():
                session = self.session(context, session, f"{number}-{turn}")
                turn += 1
        except Exception as problem:
            self.problems.append(problem)
            self.over.set()

    def session(self, context, ticket, label):
        wire = Wire(self.t, self.server.port, context=context, session=ticket)
        names = dict(pair for rdn in wire.socket.getpeercert()["subject"] for pair in rdn)
        model = names["commonName"].removeprefix("storm-")
        root, body = self.models[model]
        done = 0
        for done in range(1, 9):
            if not self.exchange(wire, model, root, body, f"{label}-{done}", done):
                break
            if self.over.is_set():
                break
        with self.lock:
            self.sessions += 1
            self.requests += done
            self.seen[model] += 1
            self.reused += wire.socket.session_reused
        ticket = wire.socket.session
        wire.abort()
        return ticket

    def exchange(self, wire, model, root, body, label, turn):
        """One request; false where the server said that it was the last one."""
        if turn % 3 == 0:
            sent = body[: 50_000 + turn] + label.encode()
            response = wire.request("PUT", f"/sent/{label}", body=sent)
            equal(response.status, 201, f"the status of a PUT to {model}")
            place = root / "sent" / label
            check(place.exists(), f"{label}, sent to the server with the certificate of {model}, is not in its store")
            equal(place.read_bytes() == sent, True, f"the bytes of {label}")
            place.unlink()
        else:
            response = wire.request("GET", "/data")
            equal(response.status, 200, f"the status of a GET from {model}")
            check(response.body == body, f"a session with the certificate of {model} got other bytes than its store's")
        if response.fields.get("connection") != "close":
            return True
        wire.end()
        return False


@test("host", limit=150)
def two_hundred_reloads_under_load_lose_and_mix_nothing(t):
    models, texts = {}, {}
    for seed, name in enumerate(("one", "other")):
        root = t.make_folder(f"store-{name}")
        body = files.make(root / "data", SIZE, seed).read_bytes()
        certificate, key = t.run.pki.leaf(f"storm-{name}")
        models[name] = root, body
        sections = setup.site(t, root=root, server_profile={"certificate": certificate, "key": key}, workers=2)
        texts[name] = sections
    server = Server(t, texts["one"])
    storm, taken, failed = Storm(t, server, models), Tail(server.log, "S10I"), Tail(server.log, "S10E")
    before = server.descriptors()
    threads = [threading.Thread(target=storm.visit, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    memory = None
    try:
        for number in range(RELOADS):
            write_ini(t.path("next.ini"), texts[("other", "one")[number % 2]])
            os.replace(t.path("next.ini"), server.ini)
            ask(server)
            wait_for(lambda: taken.look() > number or storm.over.is_set(), f"reload {number}", 20 * t.run.patience)
            if storm.over.is_set():
                break
            if number == RELOADS // 4:
                memory = server.status("VmRSS")
    finally:
        storm.over.set()
        for thread in threads:
            thread.join()
    if storm.problems:
        raise storm.problems[0]
    equal((taken.look(), failed.look()), (RELOADS, 0), "models taken over and refused")
    equal(len(server.find("S03I")), 1, "addresses that were opened")
    check(min(storm.seen.values()) > RELOADS // 10, f"sessions under each model: {storm.seen}")
    check(storm.requests > 2 * RELOADS, f"only {storm.requests} requests")
    wait_for(lambda: server.descriptors() <= before, "the end of all sessions", 20 * t.run.patience)
    if t.run.build == "release":
        grown = server.status("VmRSS") - memory
        check(grown < 16 << 20, f"{grown >> 10} KiB more are used after {RELOADS} reloads than after {RELOADS // 4}")
    errors = [e["id"] for e in server.events() if e["severity"] in ("error", "fatal")]
    equal(errors, [], "errors")
