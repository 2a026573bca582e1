"""Every key of a client-profile: which servers our client trusts with a file and which it does not, in both versions."""

import socket
import threading

from harness import check, client, equal, files, setup, test, tls_counters, wait_for, write_ini
from harness import leafs, peers
from harness.leafs import leaf
from harness.pki import fingerprint
from harness.wire import TlsPeer, alert_of, read_head

VERSIONS = ("1.2", "1.3")
TLS_FAILED, REFUSED, CONFIGURATION = 5, 6, 3


class Recipient(TlsPeer):
    """A server made with Python's ssl that takes every PUT; `got` holds what came, `shown` the clients' certificates."""

    def __init__(self, trial, certificate, version=None, **how):
        self.got, self.shown = [], []
        super().__init__(trial, self._take, version, certificate=certificate, **how)

    def _take(self, connection):
        self.shown.append(connection.getpeercert(binary_form=True))
        head = read_head(connection)
        if head.startswith(b"HEAD "):  # what stands there? Nothing
            connection.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
            head = read_head(connection)
        fields, _, body = head.partition(b"\r\n\r\n")
        length = next(int(line.split(b":")[1]) for line in fields.split(b"\r\n") if line.lower().startswith(b"content-length:"))
        if b"100-continue" in fields.lower():
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        while len(body) < length:
            body += connection.recv(65536)
        self.got.append(body)
        connection.sendall(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")
        connection.recv(1)

    def alert(self, trial):
        """The alert with which the client refused it."""
        return wait_for(lambda: [a for a in map(alert_of, self.problems) if a], "an alert", 10 * trial.run.patience)[0]


def _named(names):
    return lambda run: run.pki.leaf("server-" + names.translate({58: "-", 42: "x"}), "serverAuth", names=names)


def _directory(run):
    folder = run.folder / "trusted-servers"
    folder.mkdir(exist_ok=True)
    (folder / "other.crt").write_bytes(leafs.other(run).certificate.read_bytes())
    return folder


# What the profile says; a server that may have the file; one that may not, with the alert it gets and what we say.
ROWS = {
    "verify by default": ({}, "good", "other CA", "unknown_ca", "certificate"),
    "trust, a file": ({"trust": lambda run: leafs.other(run).certificate}, "other CA", "good", "unknown_ca", "certificate"),
    "trust, a directory": ({"trust": _directory}, "other CA", "good", "unknown_ca", "certificate"),
    "a whole chain": ({}, "of an intermediate", "without its chain", "unknown_ca", "certificate"),
    "a path as short as its CA says": ({}, "deep", "too deep", "unknown_ca", "path length"),
    "validity, ended": ({}, "expires soon", "expired", "certificate_expired", "expired"),
    "validity, to come": ({}, "good", "not yet valid", "bad_certificate", "not yet valid"),
    "a strong key": ({}, "rsa", "weak key", "bad_certificate", "key too weak"),
    "a strong signature": ({}, "ed25519", "sha1", "bad_certificate", "digest algorithm too weak"),
    "hostname = yes": ({}, "good", "wrong name", "bad_certificate", "hostname: wanted"),
    "hostname = yes, by default": ({"hostname": "yes"}, "good", "wrong name", "bad_certificate", "hostname: wanted"),
    "hostname = no": ({"hostname": "no"}, "wrong name", "other CA", "unknown_ca", "certificate"),
    "hostname, a name": ({"hostname": "elsewhere.example"}, "wrong name", "good", "bad_certificate", "hostname: wanted"),
    "hostname, a wildcard": ({"hostname": "a.site.example"}, _named("DNS:*.site.example"), _named("DNS:*.example"),
                             "bad_certificate", "hostname: wanted"),
    "hostname, a partial wildcard": ({"hostname": "abc.site.example"}, _named("DNS:abc.site.example"),
                                     _named("DNS:*.*.example"), "bad_certificate", "hostname: wanted"),
    "hostname, a NUL": ({"hostname": "node7"}, _named("DNS:node7"), "nul", "bad_certificate", "hostname: wanted"),
    "hostname, an address": ({"hostname": "192.0.2.7"}, _named("IP:192.0.2.7"), _named("DNS:192.0.2.7"), "bad_certificate",
                             "hostname: wanted 192.0.2.7"),
    "depth = 0": ({"depth": 0}, "good", "of an intermediate", "unknown_ca", "depth: wanted at most"),
    "depth = 1": ({"depth": 1}, "of an intermediate", "deep", "unknown_ca", "depth: wanted at most"),
    "key_usage, extended": ({}, "any usage", "wrong usage", "unsupported_certificate", "key_usage: wanted"),
    "key_usage = none": ({"key_usage": "none"}, "wrong usage", "other CA", "unknown_ca", "certificate"),
    "crl": ({"crl": leafs.crl}, "good", "revoked", "certificate_revoked", "revoked"),
    "crl, of another issuer": ({"crl": leafs.crl}, "good", "of an intermediate", "unknown_ca", "CRL"),
    "subject": ({"subject": "CN=bank"}, "bank", "bankrupt", "certificate_unknown", "subject"),
    "subject, many names": ({"subject": 'OU=two AND UID=u7 AND O="Acme, Inc."'}, "many names", "good", "certificate_unknown",
                            "subject"),
    "issuer": ({"issuer": "CN=Sluice intermediate"}, "of an intermediate", "good", "certificate_unknown", "issuer"),
}


def each_version(names):
    return [f"{name}; TLS {version}" for name in names for version in VERSIONS]


def row(which):
    name, _, version = which.rpartition("; TLS ")
    return name, version


def found(t, which):
    return which(t.run) if callable(which) else leaf(t.run, which, "serverAuth")


def send(t, port, environment=None, host="localhost", **profile):
    """Has our client send one file under this profile."""
    keys = {key: value(t.run) if callable(value) else value for key, value in profile.items()}
    sections = {"client-profile std": {**setup.profiles(t)["client-profile std"], **keys},
                "partner there": {"host": f"{host}:{port}", "profile": "std"}}
    mine = files.make(t.path("mine"), 5000)
    return client(t, "put", "-v", "--json", mine, "there:new", ini=write_ini(t.path(f"to-{port}.ini"), sections),
                  more_environment=environment)


def must_not_be_sent(t, result, server, identity, reason):
    result.must_fail(TLS_FAILED)
    told = [event for event in result.events if event["id"] == identity]
    equal(len(told), 1, f"events {identity} in {result.errors}")
    check(reason.lower() in told[0]["reason"].lower(), f"no {reason!r} in {told[0]}")
    equal(server.got, [], "what the server was sent")


@test("host", each=each_version(ROWS))
def a_key_of_a_client_profile_refuses(t, which):
    name, version = row(which)
    keys, _, bad, alert, reason = ROWS[name]
    server = Recipient(t, found(t, bad), version)
    must_not_be_sent(t, send(t, server.port, **keys), server, "Y13E", reason)
    equal(server.alert(t), alert, "the alert that the server got")


@test("host", each=each_version(ROWS))
def a_key_of_a_client_profile_admits(t, which):
    name, version = row(which)
    keys, good, *_ = ROWS[name]
    server = Recipient(t, found(t, good), version)
    result = send(t, server.port, **keys).must_succeed()
    equal(server.got, [t.path("mine").read_bytes()], "what the server was sent")
    equal(result.transfer["version"], f"TLSv{version}", "version")


@test("guest", each=["subject; TLS 1.2", "hostname = yes; TLS 1.3"])
def a_key_of_a_client_profile_refuses_in_front_of_the_kernel(t, which):
    name, version = row(which)
    keys, good, bad, alert, reason = ROWS[name]
    server = Recipient(t, found(t, bad), version)
    must_not_be_sent(t, send(t, server.port, **keys), server, "Y13E", reason)
    server = Recipient(t, found(t, good), version)
    send(t, server.port, **keys).must_succeed()
    equal(server.got, [t.path("mine").read_bytes()], "what the server was sent")


@test("host", each=VERSIONS)
def the_systems_trust_is_asked_where_it_is_named(t, version):
    system = {"SSL_CERT_FILE": leafs.other(t.run).certificate}
    for trust in ("system", None):  # which is the default
        server = Recipient(t, leaf(t.run, "good", "serverAuth"), version)
        must_not_be_sent(t, send(t, server.port, system, trust=trust), server, "Y13E", "certificate")
        server = Recipient(t, leaf(t.run, "other CA", "serverAuth"), version)
        send(t, server.port, system, trust=trust).must_succeed()


@test("host", each=VERSIONS)
def the_address_that_was_dialled_must_be_in_the_certificate(t, version):
    server = Recipient(t, _named("DNS:localhost")(t.run), version)
    must_not_be_sent(t, send(t, server.port, host="127.0.0.1"), server, "Y13E", "hostname: wanted 127.0.0.1")
    server = Recipient(t, _named("IP:127.0.0.1")(t.run), version)
    send(t, server.port, host="127.0.0.1").must_succeed()


@test("host")
def a_servers_key_must_be_one_that_signs(t):
    """In TLS 1.2 no OpenSSL would serve with such a certificate."""
    server = Recipient(t, leaf(t.run, "wrong key usage", "serverAuth"), "1.3")
    must_not_be_sent(t, send(t, server.port), server, "Y13E", "key_usage: wanted")
    equal(server.alert(t), "unsupported_certificate", "the alert that the server got")
    server = Recipient(t, leaf(t.run, "wrong key usage", "serverAuth"), "1.3")
    send(t, server.port, key_usage="none").must_succeed()
    equal(len(server.got), 1, "files the server got")


# -- verify --------------------------------------------------------------------------------------------------------

@test("host", each=VERSIONS)
def enforced_fails_where_nobody_asks_for_our_certificate(t, version):
    server = Recipient(t, leaf(t.run, "good", "serverAuth"), version)
    must_not_be_sent(t, send(t, server.port, verify="enforced"), server, "Y13E", "did not ask")
    server = Recipient(t, leaf(t.run, "good", "serverAuth"), version, asks=True)
    send(t, server.port, verify="enforced").must_succeed()
    equal(len(server.got), 1, "files the server got")


@test("host", each=VERSIONS)
def none_takes_anyone_and_only_where_it_is_said_twice(t, version):
    server = Recipient(t, leaf(t.run, "other CA", "serverAuth"), version)
    refused = send(t, server.port, verify="none").must_fail(CONFIGURATION)
    check("insecure = yes" in refused.errors, refused.errors)
    equal(server.got, [], "what the server was sent")
    send(t, server.port, verify="none", insecure="yes").must_succeed()
    equal(len(server.got), 1, "files the server got")
    checked = client(t, "check", ini=t.path(f"to-{server.port}.ini")).must_succeed()
    check("warning" in checked.output + checked.errors and "verify = none" in checked.output + checked.errors, checked.output)


# -- our own certificate -------------------------------------------------------------------------------------------

@test("host", each=VERSIONS)
def without_a_certificate_only_the_server_is_authenticated(t, version):
    server = Recipient(t, leaf(t.run, "good", "serverAuth"), version, asks=False)
    send(t, server.port, certificate=None, key=None).must_succeed()
    equal(set(server.shown), {None}, "what was shown")
    server = Recipient(t, leaf(t.run, "good", "serverAuth"), version, asks=True)
    result = send(t, server.port, certificate=None, key=None).must_fail(TLS_FAILED)
    alert = {"1.2": "handshake_failure", "1.3": "certificate_required"}[version]
    told = [event["reason"] for event in result.events if event["id"] == "Y30E"]
    check(told and alert in told[0], f"no Y30E with {alert}: {result.errors}")
    equal(server.got, [], "what the server was sent")


@test("host", each=each_version(setup.CREDENTIALS))
def every_form_of_certificate_and_key_is_shown(t, which):
    kind, version = row(which)
    keys, _ = setup.credentials(t, kind, "clientAuth")
    server = Recipient(t, leaf(t.run, "good", "serverAuth"), version, asks=True)
    result = send(t, server.port, **keys).must_succeed()
    check(server.shown[0], "no certificate was shown")
    ours = [event for event in result.events if event["id"] == "Y23I"]
    check(ours and all(ours[0].get(key) for key in ("subject", "issuer", "serial", "days")), f"no Y23I: {result.errors}")


# -- versions, suites, groups --------------------------------------------------------------------------------------

def must_fail_at_the_server(t, result, server, alert):
    must_not_be_sent(t, result, server, "Y30E", alert)


BOUNDS = {"min_version = 1.3": ("min_version", "1.3", "1.3", "1.2"), "max_version = 1.2": ("max_version", "1.2", "1.2", "1.3")}


@test("host", each=list(BOUNDS))
def versions_are_bounded(t, which):
    key, value, good, bad = BOUNDS[which]
    server = Recipient(t, leaf(t.run, "good", "serverAuth"), bad)
    must_fail_at_the_server(t, send(t, server.port, **{key: value}), server, "protocol_version")
    server = Recipient(t, leaf(t.run, "good", "serverAuth"), good)
    equal(send(t, server.port, **{key: value}).must_succeed().transfer["version"], f"TLSv{good}", "version")


@test("host", each=VERSIONS)
def groups_are_a_list_of_ours(t, version):
    server = Recipient(t, leaf(t.run, "rsa", "serverAuth"), version, curve="secp384r1")
    must_fail_at_the_server(t, send(t, server.port, groups="X25519, P-256"), server, "handshake_failure")
    server = Recipient(t, leaf(t.run, "rsa", "serverAuth"), version, curve="secp384r1")
    send(t, server.port, groups="X25519, P-384").must_succeed()


@test("host", each=VERSIONS)
def signature_algorithms_are_a_list_of_ours(t, version):
    only = {"signature_algorithms": "ecdsa_secp256r1_sha256"}
    server = Recipient(t, leaf(t.run, "rsa", "serverAuth"), version)
    must_fail_at_the_server(t, send(t, server.port, **only), server, "handshake_failure")
    server = Recipient(t, leaf(t.run, "good", "serverAuth"), version)
    send(t, server.port, **only).must_succeed()


SUITES = {"1.2": ("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "ECDHE-ECDSA-AES256-GCM-SHA384", "49196"),
          "1.3": ("TLS_AES_256_GCM_SHA384", "TLS_AES_256_GCM_SHA384", "4866")}
OTHER = {"1.2": ["-cipher", "ECDHE-ECDSA-CHACHA20-POLY1305"], "1.3": ["-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"]}


def fetch(t, port, **profile):
    return client(t, "get", "-v", "--json", "there:page", t.path("got"), ini=setup.partner(t, port, **profile))


@test("host", each=[f"{number}; TLS {version}" for number in range(3) for version in VERSIONS])
def ciphers_are_a_list_of_ours_by_any_name(t, which):
    number, version = row(which)
    ours = [SUITES[v][int(number)] for v in VERSIONS]
    option = "-tls" + version.replace(".", "_")
    result = fetch(t, peers.s_server(t, option, *OTHER[version]), ciphers=ours).must_fail(TLS_FAILED)
    check(any("handshake_failure" in event["reason"] for event in result.events if event["id"] == "Y30E"), result.errors)
    check(not t.path("got").exists(), "a file took the name")
    result = fetch(t, peers.s_server(t, option), ciphers=ours).must_succeed()
    equal(result.transfer["suite"], SUITES[version][0], "suite")


# -- the rest ------------------------------------------------------------------------------------------------------

# What the server staples, and what is wrong with it.
STAPLES = {
    "none": (None, "staple"),
    "revoked": (lambda run: run.pki.ocsp(leaf(run, "revoked", "serverAuth")[0], "staple-revoked"), "revoked"),
    "too old": (lambda run: run.pki.ocsp(leaf(run, "good", "serverAuth")[0], "staple-old", ended=True), ""),
    "about another": (lambda run: run.pki.ocsp(leaf(run, "bank", "serverAuth")[0], "staple-bank"), ""),
    "signed by a stranger": (lambda run: run.pki.ocsp(leaf(run, "good", "serverAuth")[0], "staple-forged",
                                                      signer=leaf(run, "other CA", "serverAuth")), ""),
}


def stapling_server(t, version, staple, which="good"):
    certificate, key = leaf(t.run, which, "serverAuth")
    options = ["-tls" + version.replace(".", "_")]
    return peers.s_server(t, *options, *(["-status_file", staple] if staple else []), certificate=certificate, key=key)


@test("host", each=each_version(STAPLES))
def a_staple_that_is_not_good_is_refused(t, which):
    name, version = row(which)
    make, word = STAPLES[name]
    server = stapling_server(t, version, make and make(t.run), "revoked" if name == "revoked" else "good")
    result = fetch(t, server, ocsp="staple").must_fail(TLS_FAILED)
    told = [event for event in result.events if event["id"] == "Y13E"]
    check(told and "ocsp" in told[0]["reason"].lower() and word in told[0]["reason"].lower(), result.errors)
    check(not t.path("got").exists(), "a file took the name")
    fetch(t, server).must_succeed()  # nobody asks: ocsp = no


@test("host", each=VERSIONS)
def a_good_staple_is_taken(t, version):
    certificate, _ = leaf(t.run, "good", "serverAuth")
    fetch(t, stapling_server(t, version, t.run.pki.ocsp(certificate, "staple-good")), ocsp="staple").must_succeed()
    equal(t.path("got").read_bytes(), peers.PAGE, "the file")


@test("host", each=VERSIONS)
def a_good_staple_of_our_own_server_is_taken(t, version):
    certificate, _ = t.run.pki.server()
    server = setup.server(t, server_profile={"ocsp_response": t.run.pki.ocsp(certificate, "our-staple")})
    (server.root / "page").write_bytes(peers.PAGE)
    fetch(t, server.port, ocsp="staple", max_version=version, min_version=version).must_succeed()
    bare = setup.server(t, name="bare")
    (bare.root / "page").write_bytes(peers.PAGE)
    fetch(t, bare.port, ocsp="staple", max_version=version, min_version=version).must_fail(TLS_FAILED)


@test("host", each=VERSIONS)
def chains_of_servers_are_saved(t, version):
    kept = t.make_folder("chains")
    certificate = leaf(t.run, "of an intermediate", "serverAuth")
    server = Recipient(t, certificate, version)
    send(t, server.port, save_chain=kept).must_succeed()
    equal(files.listing(kept), [f"{fingerprint(certificate[0])}.pem"], "files")
    kept = t.path("not-a-folder")
    kept.write_text("")
    server = Recipient(t, certificate, version)
    result = send(t, server.port, save_chain=kept).must_succeed()
    check(any(event["id"] == "Y24W" for event in result.events), f"no warning: {result.errors}")


@test("host")
def a_note_goes_into_the_events_of_its_sessions(t):
    server = Recipient(t, leaf(t.run, "good", "serverAuth"))
    opened = [event for event in send(t, server.port, note="contract 4711").must_succeed().events if event["id"] == "Y14I"]
    equal(opened[0].get("note"), "contract 4711", "note")


@test("host", "guest")
def offload_required_sends_nothing_that_the_kernel_does_not_encrypt(t):
    server = Recipient(t, leaf(t.run, "good", "serverAuth"))
    result = send(t, server.port, offload="required")
    if tls_counters():
        check(result.must_succeed().transfer["tx"].startswith("kernel"), str(result.transfer))
    else:
        result.must_fail(CONFIGURATION)
        check("offload = required" in result.errors, result.errors)
        equal(server.got, [], "what the server was sent")


# -- which profile rules an outgoing session -----------------------------------------------------------------------

def partner_file(t, port, partner, protocols=None):
    keys = setup.profiles(t)["client-profile std"]
    sections = {"client-profile std": keys, "client-profile strange": {**keys, "trust": leafs.other(t.run).certificate}}
    sections.update(protocols or {})
    sections["partner there"] = {"host": f"localhost:{port}", **partner}
    return write_ini(t.path(f"partner-{port}.ini"), sections)


RULES = {
    "the partner's own": ({"profile": "std"}, {}, 0),
    "the protocol's": ({"protocol": "out"}, {"protocol out": {"profile": "std"}}, 0),
    "the partner's before the protocol's": ({"protocol": "out", "profile": "std"}, {"protocol out": {"profile": "strange"}}, 0),
    "the partner's before the protocol's, turned round":
        ({"protocol": "out", "profile": "strange"}, {"protocol out": {"profile": "std"}}, TLS_FAILED),
}


@test("host", each=list(RULES))
def an_outgoing_session_is_ruled_by(t, which):
    partner, protocols, code = RULES[which]
    server = Recipient(t, leaf(t.run, "good", "serverAuth"))
    result = client(t, "put", "--json", files.make(t.path("mine"), 10), "there:new",
                    ini=partner_file(t, server.port, partner, protocols))
    equal(result.code, code, f"exit code ({result.errors})")
    equal(len(server.got), 0 if code else 1, "files the server got")


@test("host")
def a_partner_with_no_client_profile_at_all_is_an_error_of_the_configuration(t):
    ini = partner_file(t, 1, {})
    for command in (["check"], ["put", files.make(t.path("mine"), 10), "there:new"]):
        result = client(t, *command, ini=ini).must_fail(CONFIGURATION)
        check("partner \"there\"" in result.output + result.errors, result.errors)


class Nobody:
    """Counts who connects."""

    def __init__(self, trial):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port, self.came = self._listener.getsockname()[1], 0
        trial.at_end(self._listener.close)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.came += 1
            connection.close()


@test("host")
def a_client_profile_that_is_missing_is_told_before_anyone_connects(t):
    nobody = Nobody(t)
    keys = setup.profiles(t)["server-profile std"]
    ini = write_ini(t.path("missing.ini"), {"server-profile only": keys,
                                            "partner there": {"host": f"localhost:{nobody.port}", "profile": "only"}})
    result = client(t, "put", "-v", "--json", files.make(t.path("mine"), 10), "there:new", ini=ini)
    equal(result.code, CONFIGURATION, f"exit code ({result.errors})")
    check(any(event["id"] == "T47E" and "only" in str(event) for event in result.events) or "T47E" in result.errors,
          f"no T47E: {result.errors}")
    equal(nobody.came, 0, "connections")
