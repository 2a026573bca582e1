"""Refusals as clients see them that nobody here wrote: the right alert, by its name, or the right status."""

import base64

from harness import check, equal, files, setup, test, wait_for
from harness import leafs, pki
from harness.clients import CLIENTS, PUT, gnutls, openssl
from harness.leafs import leaf
from harness.wire import Wire

VERSIONS = ("1.2", "1.3")
NONE_SHOWN = {"1.2": "handshake_failure", "1.3": "certificate_required"}

# What the profile says, what the client shows, and the alert that it must get.
REFUSALS = {
    "no certificate": ({}, None, NONE_SHOWN),
    "a stranger's": ({}, "other CA", "unknown_ca"),
    "without its chain": ({}, "without its chain", "unknown_ca"),
    "a path too deep": ({}, "too deep", "unknown_ca"),
    "beyond depth": ({"depth": 1}, "deep", "unknown_ca"),
    "expired": ({}, "expired", "certificate_expired"),
    "not yet valid": ({}, "not yet valid", "bad_certificate"),
    "revoked": ({"crl": leafs.crl}, "revoked", "certificate_revoked"),
    "made for servers": ({}, "wrong usage", "unsupported_certificate"),
    "a key not made to sign": ({}, "wrong key usage", "unsupported_certificate"),
    "a weak key": ({}, "weak key", "bad_certificate"),
    "a weak signature": ({}, "sha1", "bad_certificate"),
    "another subject": ({"subject": "CN=bank"}, "bankrupt", "certificate_unknown"),
    "another issuer": ({"issuer": "CN=Sluice intermediate"}, "good", "certificate_unknown"),
    "a name cut by a NUL": ({"subject": "CN=node7"}, "nul", "certificate_unknown"),
}

# These refuse by themselves to show such a certificate.
UNABLE = {("curl", "a weak key"), ("curl", "a weak signature"), ("gnutls", "a key not made to sign"),
          ("curl", "without its chain"), ("openssl", "without its chain")}
COMBINATIONS = [f"{refusal}; {name}" for refusal in REFUSALS for name in CLIENTS if (name, refusal) not in UNABLE]


def must_be_refused(t, server, seen, wanted):
    check(seen.answer == wanted, f"the client saw {seen}, and {wanted} was due")
    equal(files.listing(server.root), [], "files in the store")


@test("host", each=COMBINATIONS)
def a_client_is_told_by_the_right_alert(t, which):
    refusal, _, name = which.rpartition("; ")
    keys, shown, alert = REFUSALS[refusal]
    server = setup.server(t, server_profile={key: value(t.run) if callable(value) else value for key, value in keys.items()})
    for version in VERSIONS:
        seen = CLIENTS[name](t, server.port, leaf(t.run, shown), version)
        must_be_refused(t, server, seen, alert[version] if isinstance(alert, dict) else alert)
    wait_for(lambda: len(server.find("Y13E")) == 2, "two events Y13E", 10 * t.run.patience)


@test("host", each=list(CLIENTS))
def a_version_that_is_not_served_is_told(t, name):
    for served, spoken in (("1.3", "1.2"), ("1.2", "1.3")):
        server = setup.server(t, server_profile={"min_version": served, "max_version": served}, name=f"server-{served}")
        must_be_refused(t, server, CLIENTS[name](t, server.port, leaf(t.run, "good"), spoken), "protocol_version")
        check("version" in server.wait_event("Y13E")["reason"], "the reason is another")
        equal(CLIENTS[name](t, server.port, leaf(t.run, "good"), served).answer, 201, "the answer to the right one")


@test("host", each=VERSIONS)
def no_suite_in_common_is_told(t, version):
    server = setup.server(t, server_profile={"ciphers": "TLS_AES_256_GCM_SHA384, TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"})
    offer = {"1.2": ["-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"], "1.3": ["-ciphersuites", "TLS_AES_128_GCM_SHA256"]}[version]
    must_be_refused(t, server, openssl(t, server.port, leaf(t.run, "good"), version, more=offer), "handshake_failure")
    seen = gnutls(t, server.port, leaf(t.run, "good"), version, priority="NORMAL:-CIPHER-ALL:+AES-128-GCM")
    must_be_refused(t, server, seen, "handshake_failure")


# -- refusals by status ----------------------------------------------------------------------------------------------

def login(name, password):
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


def site_with_passwords(t, **more):
    hashed = pki.openssl("passwd", "-6", "-salt", "saltsaltsalt", "correct horse").strip()
    path = t.path("passwords")
    path.write_text(f"alice:{hashed}\n")
    path.chmod(0o600)
    return setup.server(t, server_profile={"verify": "optional"}, password_file=path, more={"user alice": {}, **more})


@test("host", each=list(CLIENTS))
def a_login_is_asked_for_and_judged(t, name):
    server, ask = site_with_passwords(t), CLIENTS[name]
    for fields in (None, login("alice", "wrong"), login("mallory", "correct horse"), {"Authorization": "Bearer x"}):
        seen = ask(t, server.port, fields=fields)
        must_be_refused(t, server, seen, 401)
        check(name == "python" or 'WWW-Authenticate: Basic realm="' in seen.text, f"nobody asks for a password: {seen}")
    equal(len(server.find("G02W")), 2, "failed logins told of")
    must_be_refused(t, server, ask(t, server.port, leaf(t.run, "other CA")), 401)
    equal(ask(t, server.port, fields=login("alice", "correct horse")).answer, 201, "the answer to the right password")


@test("host", each=list(CLIENTS))
def who_may_not_is_forbidden_and_not_asked(t, name):
    ask = CLIENTS[name]
    classes = {"class nobody": {"from": "192.0.2.0/24"}}
    server = site_with_passwords(t, **classes)
    seen = ask(t, server.port, leaf(t.run, "good"))
    must_be_refused(t, server, seen, 403)
    check("WWW-Authenticate" not in seen.text, f"a password is asked for that would not help: {seen}")
    check(server.wait_event("G03W"), "no event")
    extra = {"partner node7": {"profile": "extra", "match_fingerprint": pki.fingerprint(leaf(t.run, "good")[0])},
             "server-profile extra": {**setup.profiles(t)["server-profile std"], "subject": "CN=node7"}}
    server = setup.server(t, more=extra, name="checked")
    seen = ask(t, server.port, leaf(t.run, "good"))
    must_be_refused(t, server, seen, 403)
    check("CN=node7" not in seen.text, f"what would be right is given away: {seen}")
    equal(server.wait_event("T48E")["check"], "subject", "check")


def _guess(t, server, number):
    wire = Wire(t, server.port, None)
    wire.send_request("PUT", "/new", login("alice", f"guess {number}"), b"stored")


@test("host")
def who_guesses_too_often_is_told_to_wait(t):
    server = site_with_passwords(t)
    for number in range(20):  # all at once: each answer is held back longer than the one before
        _guess(t, server, number)
    wait_for(lambda: len(server.find("G02W")) == 20, "twenty failed logins", 30 * t.run.patience)
    for name, ask in CLIENTS.items():
        began = len(server.find("G04W"))
        must_be_refused(t, server, ask(t, server.port, fields=login("alice", "correct horse")), 429)
        wait_for(lambda: len(server.find("G04W")) > began, f"the event for {name}")
    equal(CLIENTS["openssl"](t, server.port, leaf(t.run, "good"), request=PUT).answer, 201, "the answer to a certificate")


# -- the other way round: what our server's certificate means to them -------------------------------------------------

@test("host", each=list(CLIENTS))
def a_server_that_a_client_does_not_trust_hears_it(t, name):
    """Y30E: the handshake failed at the peer, with the alert it sent."""
    certificate, key = leaf(t.run, "other CA", "serverAuth")
    server = setup.server(t, server_profile={"certificate": certificate, "key": key})
    more = {"more": ["-verify_return_error"]} if name == "openssl" else {}
    seen = CLIENTS[name](t, server.port, leaf(t.run, "good"), **more)
    equal(seen.answer, "closed", "what the client saw")
    told = wait_for(lambda: server.find("Y30E"), "event Y30E", 10 * t.run.patience)[-1]
    alerts = {"openssl": "unknown_ca", "curl": "unknown_ca", "python": "unknown_ca", "gnutls": "bad_certificate"}
    check(alerts[name] in told["reason"], f"no {alerts[name]} in {told}")
    equal(files.listing(server.root), [], "files in the store")
