"""Which profile rules a session that comes in: step by step, on full and on resumed sessions, in both versions."""

import base64
import shutil
import signal
import time

from harness import check, client, equal, files, setup, test, wait_for, write_ini
from harness import leafs, pki
from harness.leafs import leaf
from harness.sluice import start
from harness.wire import Wire, client_context, visit

VERSIONS = ("1.2", "1.3")
CONFIGURATION = 3
AES128 = ["TLS_AES_128_GCM_SHA256", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"]
AES256 = ["TLS_AES_256_GCM_SHA384", "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"]
LOGIN = {"Authorization": "Basic " + base64.b64encode(b"operator:correct horse").decode()}


def password_file(t):
    """`operator` with the password "correct horse"."""
    hashed = pki.openssl("passwd", "-6", "-salt", "saltsaltsalt", "correct horse").strip()
    path = t.path("passwords")
    path.write_text(f"operator:{hashed}\n")
    path.chmod(0o600)
    return path


class Row:
    """
    One check: the visitor's certificate (None: it logs in with a password), what the protocol's profile says, and two
    profiles of the partner, one that the session satisfies and one that it does not.
    """

    def __init__(self, name, shown, right, wrong, protocol=None, versions=VERSIONS):
        self.name, self.shown, self.right, self.wrong = name, shown, right, wrong
        self.protocol, self.versions = protocol or {}, versions


CHECKS = {
    "level": Row("level", None, {"verify": "optional"}, {"verify": "required"}, {"verify": "optional"}),
    "version, too old": Row("version", "good", {"min_version": "1.2"}, {"min_version": "1.3"}, versions=("1.2",)),
    "version, too new": Row("version", "good", {"max_version": "1.3"}, {"max_version": "1.2"}, versions=("1.3",)),
    "suite": Row("suite", "good", {"ciphers": AES128}, {"ciphers": AES256}),
    "subject": Row("subject", "bankrupt", {"subject": "CN=bankrupt"}, {"subject": "CN=bank"}),
    "issuer": Row("issuer", "of an intermediate", {"issuer": "CN=Sluice intermediate"},
                   {"issuer": "CN=Sluice throw-away CA"}),
    "key_usage": Row("key_usage", "wrong usage", {"key_usage": "none"}, {"key_usage": "verify"}, {"key_usage": "none"}),
    "crl": Row("crl", "revoked", {}, {"crl": leafs.crl}),
}


def each_check(names=CHECKS):
    return [f"{name}; TLS {version}" for name in names for version in CHECKS[name].versions]


def row(which):
    name, _, version = which.rpartition("; TLS ")
    return CHECKS[name], version


def partners_server(t, certificate, checks, protocol=None, **limits):
    """One whose partner node7 has this certificate, or is who logs in as `operator`, and these additional checks."""
    own = {key: value(t.run) if callable(value) else value for key, value in checks.items()}
    sections = {
        "server-profile extra": {**setup.profiles(t)["server-profile std"], **own},
        "partner node7": {"profile": "extra", "match_fingerprint": certificate and pki.fingerprint(certificate[0])},
    }
    if not certificate:
        sections["user operator"] = {"partner": "node7"}
        limits["password_file"] = password_file(t)
    return setup.server(t, server_profile=protocol, more=sections, **limits)


def must_be_turned_away(t, server, answer, wanted_check, count=1):
    equal(answer, 403, "the answer")
    told = wait_for(lambda: len(server.find("T48E")) >= count and server.find("T48E"), "event T48E", 10 * t.run.patience)
    equal(len(told), count, "events T48E")
    equal(told[-1]["check"], wanted_check, "check")
    equal(told[-1]["partner"], "node7", "partner")
    check(told[-1]["wanted"] and told[-1]["found"], f"both values are to be told: {told[-1]}")
    equal(files.listing(server.root), [], "files in the store")


# -- step 1: the protocol's server-profile is there when the server starts -------------------------------------------

def broken_site(t, profile, **keys):
    sections = setup.site(t)
    sections["protocol main"]["profile"] = profile
    sections["server-profile std"].update(keys)
    return write_ini(t.path("broken.ini"), sections)


@test("host")
def a_protocol_whose_server_profile_is_missing_does_not_start(t):
    result = start(t, broken_site(t, "missing")).must_fail(CONFIGURATION)
    check("P20F" in result.errors and "missing" in result.errors, result.errors)
    checked = client(t, "check", ini=t.path("broken.ini")).must_fail(CONFIGURATION)
    check("missing" in checked.output + checked.errors, checked.output)


@test("host")
def a_server_profile_that_is_unusable_does_not_start(t):
    _, key = t.run.pki.client()
    result = start(t, broken_site(t, "std", key=key)).must_fail(CONFIGURATION)
    check("P20F" in result.errors and "does not match" in result.errors, result.errors)


@test("host")
def a_protocol_that_does_not_listen_needs_no_server_profile(t):
    sections = setup.site(t, more={"protocol out": {"profile": "std"}, "client-profile std": setup.profiles(t)["client-profile std"]})
    ini = write_ini(t.path("out.ini"), sections)
    client(t, "check", ini=ini).must_succeed()


# -- steps 2 and 3: the handshake is the protocol's; then somebody is known -----------------------------------------

@test("host", each=VERSIONS)
def a_partner_is_known_by_its_certificate(t, version):
    certificate = leaf(t.run, "good")
    server = partners_server(t, certificate, {})
    equal(visit(t, server.port, certificate, version), 201, "the answer")
    known = server.wait_event("G01I")
    equal((known["partner"], known["by"]), ("node7", "certificate"), "who and by what")
    equal(visit(t, server.port, leaf(t.run, "bank"), version, ("PUT", "/other", b"x")), 201, "the answer to another")
    equal(len(server.find("G01I", partner="node7")), 1, "sessions of the partner")


@test("host", each=VERSIONS)
def a_partner_is_known_by_a_users_password(t, version):
    server = partners_server(t, None, {"verify": "optional"}, {"verify": "optional"})
    equal(visit(t, server.port, None, version, fields=LOGIN), 201, "the answer")
    known = server.wait_event("G01I")
    equal((known["partner"], known["by"]), ("node7", "password"), "who and by what")


MATCHES = {
    "match_subject": ("many names", {"match_subject": 'OU=two AND O="Acme, Inc."'}, "good"),
    "match_subject, whole values": ("bank", {"match_subject": "CN=bank"}, "bankrupt"),
    "match_subject, a NUL": ("good", {"match_subject": "CN=node7, CN=clientAuth-good"}, "nul"),
    "match_san": (lambda run: run.pki.leaf("san", "clientAuth", names="DNS:node7.example.com,email:x@example.com"),
                  {"match_san": "DNS:node7.*"}, "good"),
    "match_san, its kind": (lambda run: run.pki.leaf("mail", "clientAuth", names="email:node7.example.com"),
                            {"match_san": "email:node7.*"},
                            lambda run: run.pki.leaf("san", "clientAuth", names="DNS:node7.example.com,email:x@example.com")),
}


@test("host", each=list(MATCHES))
def a_certificate_belongs_to_whom_it_matches(t, which):
    shown, match, other = MATCHES[which]
    find = lambda one: one(t.run) if callable(one) else leaf(t.run, one)  # noqa: E731
    server = setup.server(t, more={"partner node7": {"profile": "std", **match}})
    equal(visit(t, server.port, find(shown)), 201, "the answer")
    equal(server.wait_event("G01I")["partner"], "node7", "partner")
    visit(t, server.port, find(other), request=("PUT", "/other", b"x"))
    equal(len(server.find("G01I", partner="node7")), 1, "sessions of the partner")


# -- step 4: the additional checks --------------------------------------------------------------------------------

def visits(t, server, shown, version, times, body=b"stored"):
    """The answers to `times` sessions, each of which resumes the one before it."""
    context = client_context(t, leaf(t.run, shown), version)
    session, answers = None, []
    for number in range(times):
        wire = Wire(t, server.port, context=context, session=session)
        answers.append(wire.request("PUT", "/new", LOGIN if shown is None else {}, body).status)
        session = wire.socket.session
        wire.abort()
    equal([event["resumed"] for event in server.find("Y14I")], ["no"] + ["yes"] * (times - 1), "which were resumed")
    return answers


@test("host", each=each_check())
def an_additional_check_refuses(t, which):
    checked, version = row(which)
    certificate = leaf(t.run, checked.shown)
    server = partners_server(t, certificate, checked.wrong, checked.protocol)
    wire = Wire(t, server.port, certificate, version)
    answer = wire.request("PUT", "/new", {} if certificate else LOGIN, b"stored")
    must_be_turned_away(t, server, answer.status, checked.name)
    equal(wire.gone(), b"", "what followed on a connection that was to be closed")


@test("host", each=each_check())
def an_additional_check_admits_also_who_comes_back(t, which):
    checked, version = row(which)
    server = partners_server(t, leaf(t.run, checked.shown), checked.right, checked.protocol)
    equal(visits(t, server, checked.shown, version, 2), [201, 204], "the answers")
    equal((server.root / "new").read_bytes(), b"stored", "what was stored")
    equal(server.find("T48E"), [], "failed checks")


@test("host", each=each_check())
def an_additional_check_refuses_a_resumed_session_too(t, which):
    checked, version = row(which)
    server = partners_server(t, leaf(t.run, checked.shown), checked.wrong, checked.protocol)
    answers = visits(t, server, checked.shown, version, 2)
    equal(answers[0], 403, "the first answer")
    must_be_turned_away(t, server, answers[1], checked.name, 2)


@test("guest", each=["subject; TLS 1.2", "subject; TLS 1.3"])
def an_additional_check_stands_in_front_of_the_kernel(t, which):
    """Bodies that the kernel decrypts where they are let in, on a full session and on one that was resumed."""
    checked, version = row(which)
    body = bytes(1 << 20)
    server = partners_server(t, leaf(t.run, checked.shown), checked.wrong, checked.protocol)
    must_be_turned_away(t, server, visits(t, server, checked.shown, version, 2, body)[1], checked.name, 2)
    server = partners_server(t, leaf(t.run, checked.shown), checked.right, checked.protocol, name="right")
    equal(visits(t, server, checked.shown, version, 2, body), [201, 204], "the answers")
    for done in server.find("T01I"):
        check(done["rx"].startswith("kernel"), f"who decrypted: {done}")


@test("host", each=VERSIONS)
def trust_and_depth_are_not_run_again(t, version):
    certificate = leaf(t.run, "of an intermediate")
    server = partners_server(t, certificate, {"trust": leafs.other(t.run).certificate, "depth": 0})
    equal(visit(t, server.port, certificate, version), 201, "the answer")


@test("host")
def checks_are_told_in_their_order(t):
    """Where several fail the first is told: level, version, suite, subject, issuer, key_usage, crl."""
    certificate = leaf(t.run, "revoked")
    wrong = [{"crl": leafs.crl}, {"issuer": "CN=x"}, {"subject": "CN=x"}, {"ciphers": AES256}, {"min_version": "1.3"}]
    keys = {}
    for number, (more, wanted) in enumerate(zip(wrong, ("crl", "issuer", "subject", "suite", "version"))):
        keys.update(more)
        server = partners_server(t, certificate, keys, name=f"server-{number}")
        must_be_turned_away(t, server, visit(t, server.port, certificate, "1.2"), wanted)


# -- step 5: a partner whose server-profile is missing ---------------------------------------------------------------

def without_profile(t):
    return {"partner node7": {"profile": "outgoing", "match_fingerprint": pki.fingerprint(leaf(t.run, "good")[0])},
            "client-profile outgoing": setup.profiles(t)["client-profile std"]}


@test("host", each=["no", "yes"])
def a_missing_server_profile_is_warned_about_or_refused(t, strict):
    server = setup.server(t, more=without_profile(t), strict_partner_profiles=strict)
    answer = visit(t, server.port, leaf(t.run, "good"))
    told = server.wait_event("T47W")
    equal((told["partner"], told["profile"]), ("node7", "outgoing"), "who and what")
    equal(answer, 403 if strict == "yes" else 201, "the answer")
    equal(files.listing(server.root), [] if strict == "yes" else ["new"], "files in the store")
    equal(visit(t, server.port, leaf(t.run, "bank"), request=("PUT", "/other", b"x")), 201, "the answer to somebody else")


@test("host", each=["no", "yes"])
def check_warns_about_a_missing_server_profile(t, strict):
    ini = setup.site_file(t, more=without_profile(t), strict_partner_profiles=strict)
    result = client(t, "check", ini=ini).must_succeed()
    check("T47W" in result.output + result.errors and "outgoing" in result.output + result.errors, result.output)


# -- resumption: what was verified must still be true -----------------------------------------------------------------

def come_back(t, server, context, session):
    """What a client meets that comes with a ticket: the status or the alert."""
    return visit(t, server.port, None, context=context, session=session)


def first_visit(t, server, certificate, version):
    context = client_context(t, certificate, version)
    wire = Wire(t, server.port, context=context)
    equal(wire.request("PUT", "/new", body=b"stored").status, 201, "the first answer")
    session = wire.socket.session
    wire.abort()
    return context, session


def reload(t, server):
    count = len(server.find("S10I"))
    server.process.send_signal(signal.SIGHUP)
    wait_for(lambda: len(server.find("S10I")) > count, "the reload", 20 * t.run.patience)


@test("host", each=VERSIONS)
def a_certificate_revoked_since_does_not_come_back(t, version):
    authority = pki.Authority(t.make_folder("pki"), "Sluice CA of one test")
    certificate = authority.leaf("once-good", "clientAuth")
    crl = t.path("current.crl")
    shutil.copy(authority.crl("before"), crl)
    server = setup.server(t, server_profile={"trust": authority.certificate, "crl": crl})
    context, session = first_visit(t, server, certificate, version)
    authority.revoke(certificate[0])
    shutil.copy(authority.crl("after"), crl)
    reload(t, server)
    equal(come_back(t, server, context, session), "certificate_revoked", "what it met")
    equal(len(server.find("Y14I")), 1, "sessions")


@test("host")
def a_certificate_that_ended_since_does_not_come_back(t):
    ends = time.time() + 4
    authority = pki.Authority(t.make_folder("pki"), "Sluice CA of one test")
    certificate = authority.leaf("short-lived", "clientAuth", ends=4 * leafs.A_SECOND)
    servers = {v: setup.server(t, server_profile={"trust": authority.certificate}, name=f"server-{v}") for v in VERSIONS}
    visited = {v: first_visit(t, servers[v], certificate, v) for v in VERSIONS}
    time.sleep(max(0, ends - time.time()) + 1.1)
    for version in VERSIONS:
        equal(come_back(t, servers[version], *visited[version]), "certificate_expired", f"what it met in TLS {version}")
        equal(len(servers[version].find("Y14I")), 1, "sessions")


@test("host", each=VERSIONS)
def a_subject_that_a_reload_forbids_does_not_come_back(t, version):
    server = setup.server(t, server_profile={"subject": "O=Sluice"})
    context, session = first_visit(t, server, leaf(t.run, "bankrupt"), version)
    server.ini.write_text(server.ini.read_text().replace("subject = O=Sluice", "subject = CN=bank"))
    reload(t, server)
    equal(come_back(t, server, context, session), "certificate_unknown", "what it met")
    equal(len(server.find("Y14I")), 1, "sessions")


@test("host", each=VERSIONS)
def an_additional_check_that_a_reload_brings_holds_for_who_comes_back(t, version):
    certificate = leaf(t.run, "bankrupt")
    server = partners_server(t, certificate, {"subject": "CN=bankrupt"})
    context, session = first_visit(t, server, certificate, version)
    (server.root / "new").unlink()
    server.ini.write_text(server.ini.read_text().replace("subject = CN=bankrupt", "subject = CN=bank"))
    reload(t, server)
    must_be_turned_away(t, server, come_back(t, server, context, session), "subject")


@test("host", each=VERSIONS)
def a_session_that_was_not_authenticated_is_not_when_it_comes_back(t, version):
    server = setup.server(t, server_profile={"verify": "optional"})
    context, session = client_context(t, leaf(t.run, "other CA"), version), None
    for resumed in ("no", "yes"):
        wire = Wire(t, server.port, context=context, session=session)
        answer = wire.request("PUT", "/new", body=b"stored").status
        check(answer in (401, 403), f"the answer was {answer}")
        session = wire.socket.session
        wire.gone()
        equal(server.find("Y14I")[-1]["authentication"], "server", "authentication")
    equal(files.listing(server.root), [], "files in the store")
