"""Every key of a server-profile: who gets in by it and who does not, in both versions, and that nothing of theirs is kept."""

import time

from harness import check, client, equal, files, setup, test, tls_counters, wait_for
from harness import leafs
from harness.clients import openssl
from harness.leafs import leaf
from harness.pki import fingerprint
from harness.sluice import start
from harness.wire import Wire, client_context, visit

VERSIONS = ("1.2", "1.3")
NONE_SHOWN = {"1.2": "handshake_failure", "1.3": "certificate_required"}


def _directory(run):
    folder = run.folder / "trust-directory"
    folder.mkdir(exist_ok=True)
    (folder / "other.pem").write_bytes(leafs.other(run).certificate.read_bytes())
    return folder


def _node7(run, name="node7"):
    return run.pki.leaf(name, "clientAuth", subject=f"O=Sluice\nCN={name}")


# What the profile says; who is let in; who is not, with which alert, and what the event says about it. A name is one of
# harness/leafs.py; None shows no certificate.
ROWS = {
    "verify = required": ({"verify": "required"}, "good", None, NONE_SHOWN, "did not return a certificate"),
    "verify by default": ({}, "good", None, NONE_SHOWN, "did not return a certificate"),
    "trust, a file": ({"trust": lambda run: leafs.other(run).certificate}, "other CA", "good", "unknown_ca", "certificate"),
    "trust, a directory": ({"trust": _directory}, "other CA", "good", "unknown_ca", "certificate"),
    "trust, two files": ({"trust": lambda run: [leafs.other(run).certificate, leafs.intermediate(run).certificate]},
                         "of an intermediate", "good", "unknown_ca", "certificate"),
    "a whole chain": ({}, "of an intermediate", "without its chain", "unknown_ca", "issuer"),
    "a path as short as its CA says": ({}, "deep", "too deep", "unknown_ca", "path length"),
    "validity, ended": ({}, "expires soon", "expired", "certificate_expired", "expired"),
    "validity, to come": ({}, "good", "not yet valid", "bad_certificate", "not yet valid"),
    "a strong key": ({}, "rsa", "weak key", "bad_certificate", "key too weak"),
    "a strong signature": ({}, "ed25519", "sha1", "bad_certificate", "digest algorithm too weak"),
    "depth = 0": ({"depth": 0}, "good", "of an intermediate", "unknown_ca", "depth: wanted at most"),
    "depth = 1": ({"depth": 1}, "of an intermediate", "deep", "unknown_ca", "depth: wanted at most"),
    "key_usage, extended": ({}, "any usage", "wrong usage", "unsupported_certificate", "key_usage: wanted"),
    "key_usage, plain": ({}, "key agreement", "wrong key usage", "unsupported_certificate", "key_usage: wanted"),
    "key_usage = none": ({"key_usage": "none"}, "wrong usage", "other CA", "unknown_ca", "issuer"),
    "key_usage = none, plain": ({"key_usage": "none"}, "wrong key usage", "expired", "certificate_expired", "expired"),
    "crl": ({"crl": leafs.crl}, "good", "revoked", "certificate_revoked", "revoked"),
    "crl, in DER": ({"crl": leafs.crl_der}, "good", "revoked", "certificate_revoked", "revoked"),
    "crl, of another issuer": ({"crl": leafs.crl}, "good", "of an intermediate", "unknown_ca", "CRL"),
    "subject, whole values": ({"subject": "CN=bank"}, "bank", "bankrupt", "certificate_unknown", "subject"),
    "subject, a wildcard": ({"subject": "CN=bank*"}, "bankrupt", "good", "certificate_unknown", "subject"),
    "subject, a quoted comma": ({"subject": 'O="Acme, Inc."'}, "many names", "good", "certificate_unknown", "subject"),
    "subject, repeated and multi-valued": ({"subject": "OU=two AND UID=u7 AND OU=one"}, "many names", "good", "certificate_unknown",
                                           "subject"),
    "subject, UTF-8": ({"subject": "CN=N\u0153UD 7"}, "many names", "good", "certificate_unknown", "subject"),
    "subject, alternatives": ({"subject": "CN=x, CN=bank OR CN=y"}, "bank", "good", "certificate_unknown", "subject"),
    "subject, NOT": ({"subject": "O=Sluice AND NOT CN=bankr*"}, "bank", "bankrupt", "certificate_unknown", "subject"),
    "subject, contains": ({"subject": 'contains:"nkrup"'}, "bankrupt", "bank", "certificate_unknown", "subject"),
    "subject, a NUL": ({"subject": "CN=node7"}, _node7, "nul", "certificate_unknown", "subject"),
    "issuer": ({"issuer": "CN=Sluice intermediate"}, "of an intermediate", "good", "certificate_unknown", "issuer"),
    "issuer, the direct one": ({"issuer": "CN=Sluice throw-away CA"}, "good", "of an intermediate", "certificate_unknown", "issuer"),
    "signature_algorithms": ({"signature_algorithms": "ecdsa_secp256r1_sha256"}, "good", "rsa", NONE_SHOWN,
                             "did not return a certificate"),
}


def by_run(t, keys):
    return {key: value(t.run) if callable(value) else value for key, value in keys.items()}


def found(t, which):
    return which(t.run) if callable(which) else leaf(t.run, which)


def must_be_refused(t, server, seen, alert, version, reason):
    equal(seen, alert[version] if isinstance(alert, dict) else alert, "what the client saw")
    told = server.wait_event("Y13E", 10 * t.run.patience)
    check(reason.lower() in told["reason"].lower(), f"no {reason!r} in {told}")
    equal(server.find("Y14I"), [], "sessions")
    equal(files.listing(server.root), [], "files in the store")


def each_version(names):
    return [f"{name}; TLS {version}" for name in names for version in VERSIONS]


def row(which):
    name, _, version = which.rpartition("; TLS ")
    return name, version


def refuses(t, which):
    name, version = row(which)
    keys, _, bad, alert, reason = ROWS[name]
    server = setup.server(t, server_profile=by_run(t, keys))
    must_be_refused(t, server, visit(t, server.port, found(t, bad), version), alert, version, reason)


@test("host", each=each_version(ROWS))
def a_key_of_a_server_profile_refuses(t, which):
    refuses(t, which)


@test("guest", each=["subject, whole values; TLS 1.2", "subject, whole values; TLS 1.3"])
def a_key_of_a_server_profile_refuses_in_front_of_the_kernel(t, which):
    refuses(t, which)


@test("host", each=each_version(name for name, found_in_it in ROWS.items() if found_in_it[1]))
def a_key_of_a_server_profile_admits(t, which):
    name, version = row(which)
    keys, good, *_ = ROWS[name]
    server = setup.server(t, server_profile=by_run(t, keys))
    certificate = found(t, good)
    equal(visit(t, server.port, certificate, version), 201, "the answer")
    equal((server.root / "new").read_bytes(), b"stored", "what was stored")
    opened = server.wait_event("Y14I", version=f"TLSv{version}")
    equal(opened["authentication"], "both", f"authentication in {opened}")


@test("host", each=VERSIONS)
def the_systems_trust_is_asked_where_it_is_named(t, version):
    server = setup.server(t, server_profile={"trust": "system"}, environment={"SSL_CERT_FILE": leafs.other(t.run).certificate})
    must_be_refused(t, server, visit(t, server.port, leaf(t.run, "good"), version), "unknown_ca", version, "certificate")
    equal(visit(t, server.port, leaf(t.run, "other CA"), version), 201, "the answer")


@test("host")
def a_list_of_the_revoked_that_has_ended_refuses_everyone(t):
    ends = time.time() + 3
    server = setup.server(t, server_profile={"crl": t.run.pki.crl("short", ends=3 * leafs.A_SECOND)})
    for version in VERSIONS:
        check(visit(t, server.port, leaf(t.run, "good"), version) in (201, 204), "it was refused while the list was current")
    time.sleep(max(0, ends - time.time()) + 1.1)
    (server.root / "new").unlink()
    for version in VERSIONS:
        equal(visit(t, server.port, leaf(t.run, "good"), version), "certificate_expired", f"the answer in TLS {version}")
    check("crl: wanted a current list" in server.wait_event("Y13E")["reason"], "the reason is another")
    equal(files.listing(server.root), [], "files in the store")


# Of these a client with a bad certificate, or with none, gets a session, but it has not authenticated anyone by it.
TOLERATED = {
    "optional, none shown": ("optional", None), "optional, a stranger's": ("optional", "other CA"),
    "optional, expired": ("optional", "expired"), "optional, made for servers": ("optional", "wrong usage"),
    "optional, revoked": ("optional", "revoked"), "optional, another subject": ("optional", "bankrupt"),
    "none, none shown": ("none", None), "none, a good one": ("none", "good"),
}


@test("host", each=each_version(TOLERATED))
def a_session_without_a_good_certificate_is_not_authenticated_by_it(t, which):
    name, version = row(which)
    verify, shown = TOLERATED[name]
    rules = {"crl": leafs.crl(t.run), "subject": "NOT CN=bankrupt"} if verify == "optional" else {"trust": None}
    server = setup.server(t, server_profile={"verify": verify, **rules})
    answer = visit(t, server.port, leaf(t.run, shown), version)
    check(answer in (401, 403), f"the answer was {answer}")
    equal(server.wait_event("Y14I")["authentication"], "server", "authentication")
    equal(server.find("G01I", means="certificate"), [], "who was authenticated by certificate")
    equal(files.listing(server.root), [], "files in the store")


@test("host", each=VERSIONS)
def optional_takes_a_good_certificate(t, version):
    server = setup.server(t, server_profile={"verify": "optional"})
    equal(visit(t, server.port, leaf(t.run, "good"), version), 201, "the answer")
    equal(server.wait_event("Y14I")["authentication"], "both", "authentication")


# -- versions, suites, groups: what the handshake agrees on --------------------------------------------------------

AES256 = {"1.2": "ECDHE-ECDSA-AES256-GCM-SHA384", "1.3": "TLS_AES_256_GCM_SHA384"}
NAMES_OF_AES256 = {
    "IANA": {"1.2": "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "1.3": "TLS_AES_256_GCM_SHA384"},
    "OpenSSL": AES256,
    "decimal": {"1.2": "49196", "1.3": "4866"},
}


def offer(version, *suites):
    return ["-ciphersuites" if version == "1.3" else "-cipher", ":".join(suites)]


@test("host", each=[f"{kind}; TLS {version}" for kind in NAMES_OF_AES256 for version in VERSIONS])
def ciphers_are_a_list_of_ours_by_any_name(t, which):
    kind, version = row(which)
    both = [NAMES_OF_AES256[kind][v] for v in VERSIONS]
    server = setup.server(t, server_profile={"ciphers": both})
    good = leaf(t.run, "good")
    equal(openssl(t, server.port, good, version, more=offer(version, AES256[version])).answer, 201, "the answer to a suite of the list")
    equal(server.wait_event("Y14I")["suite"], NAMES_OF_AES256["IANA"][version], "suite")
    (server.root / "new").unlink()
    other = {"1.2": "ECDHE-ECDSA-CHACHA20-POLY1305", "1.3": "TLS_CHACHA20_POLY1305_SHA256"}[version]
    equal(openssl(t, server.port, good, version, more=offer(version, other)).answer, "handshake_failure", "the answer to another")
    check("shared cipher" in server.wait_event("Y13E")["reason"], "the reason is another")
    equal(files.listing(server.root), [], "files in the store")


@test("host", each=VERSIONS)
def the_order_of_ciphers_is_ours(t, version):
    names = {"1.2": ["TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"],
             "1.3": ["TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_256_GCM_SHA384"]}[version]
    theirs = {"1.2": ["ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305"], "1.3": names[::-1]}[version]
    for ours in (names, names[::-1]):
        server = setup.server(t, server_profile={"ciphers": ours, "min_version": version, "max_version": version},
                              name=ours[0])
        equal(openssl(t, server.port, leaf(t.run, "good"), version, more=offer(version, *theirs)).answer, 201, "the answer")
        equal(server.wait_event("Y14I")["suite"], ours[0], "suite")


BOUNDS = {"min_version = 1.3": ("min_version", "1.3", "1.3", "1.2"), "max_version = 1.2": ("max_version", "1.2", "1.2", "1.3")}


@test("host", each=list(BOUNDS))
def versions_are_bounded(t, which):
    key, value, good, bad = BOUNDS[which]
    server = setup.server(t, server_profile={key: value})
    equal(visit(t, server.port, leaf(t.run, "good"), bad), "protocol_version", f"the answer to TLS {bad}")
    check("version" in server.wait_event("Y13E")["reason"], "the reason is another")
    equal(files.listing(server.root), [], "files in the store")
    equal(visit(t, server.port, leaf(t.run, "good"), good), 201, f"the answer to TLS {good}")


@test("host", each=VERSIONS)
def groups_are_a_list_of_ours(t, version):
    server = setup.server(t, server_profile={"groups": "P-384, P-256"})
    good = leaf(t.run, "good")
    equal(openssl(t, server.port, good, version, more=["-groups", "X25519"]).answer, "handshake_failure", "the answer to X25519")
    server.wait_event("Y13E")
    equal(files.listing(server.root), [], "files in the store")
    # TLS 1.3 takes the one for which the client sent its share, rather than ask for another.
    offered = {"1.2": "P-256:P-384", "1.3": "P-384:P-256"}[version]
    equal(openssl(t, server.port, good, version, more=["-groups", offered]).answer, 201, "the answer to P-384")
    equal(server.wait_event("Y14I")["group"], "secp384r1", "group: the order is ours")


@test("host", each=VERSIONS)
def signature_algorithms_are_ours_too(t, version):
    server = setup.server(t, server_profile={"signature_algorithms": "ecdsa_secp256r1_sha256"})
    seen = openssl(t, server.port, leaf(t.run, "good"), version, more=["-sigalgs", "RSA-PSS+SHA256:RSA+SHA256"])
    equal(seen.answer, "handshake_failure", "the answer to a client that takes RSA only")
    server.wait_event("Y13E")


# -- our own certificates ------------------------------------------------------------------------------------------

def check_signature(seen, wanted):
    """s_client says RSA-PSS and ECDSA, and from OpenSSL 3.5 on rsa_pss_rsae_sha256 and ecdsa_secp256r1_sha256."""
    check(f"signature type: {wanted}".lower() in seen.text.lower().replace("rsa_pss", "rsa-pss"), f"no {wanted} in {seen.text}")


@test("host", each=each_version(setup.CREDENTIALS))
def every_form_of_certificate_and_key_serves(t, which):
    kind, version = row(which)
    keys, signature = setup.credentials(t, kind)
    server = setup.server(t, server_profile=keys)
    seen = openssl(t, server.port, leaf(t.run, "good"), version)
    equal(seen.answer, 201, f"the answer ({seen})")
    check_signature(seen, signature)
    check("Verification: OK" in seen.text, seen.text)


@test("host", each=VERSIONS)
def rsa_stands_beside_ecdsa(t, version):
    pairs = [t.run.pki.server("ecdsa"), t.run.pki.server("rsa")]
    server = setup.server(t, server_profile={"certificate": [p[0] for p in pairs], "key": [p[1] for p in pairs]})
    for offered, wanted in (("RSA-PSS+SHA256:RSA+SHA256:ECDSA+SHA256", "ECDSA"), ("RSA-PSS+SHA256:RSA+SHA256", "RSA")):
        seen = openssl(t, server.port, leaf(t.run, "rsa"), version, more=["-sigalgs", offered])
        check_signature(seen, wanted)


# -- the rest ------------------------------------------------------------------------------------------------------

@test("host", each=VERSIONS)
def an_ocsp_response_is_stapled_for_who_asks(t, version):
    certificate, _ = t.run.pki.server()
    server = setup.server(t, server_profile={"ocsp_response": t.run.pki.ocsp(certificate, "server-good")})
    asked = openssl(t, server.port, leaf(t.run, "good"), version, more=["-status"], brief=False)
    check("OCSP Response Status: successful" in asked.text and "Cert Status: good" in asked.text, asked.text)
    check("OCSP Response Status" not in openssl(t, server.port, leaf(t.run, "good"), version, brief=False).text, "nobody asked")


@test("host", each=VERSIONS)
def chains_of_clients_are_saved(t, version):
    kept = t.make_folder("chains")
    server = setup.server(t, server_profile={"save_chain": kept})
    certificate = leaf(t.run, "of an intermediate")
    equal(visit(t, server.port, certificate, version), 201, "the answer")
    wait_for(lambda: files.listing(kept), "the chain's file")
    equal(files.listing(kept), [f"{fingerprint(certificate[0])}.pem"], "files")
    text = (kept / f"{fingerprint(certificate[0])}.pem").read_text()
    check(text.replace("\n", "").startswith(certificate[0].read_text().replace("\n", "")), "it is not the chain that was shown")
    equal(visit(t, server.port, leaf(t.run, "other CA"), version), "unknown_ca", "the answer to a stranger")
    equal(len(files.listing(kept)), 1, "files after a refusal")


@test("host")
def a_chain_that_cannot_be_saved_is_warned_about_and_ends_nothing(t):
    kept = t.make_folder("chains")
    server = setup.server(t, server_profile={"save_chain": kept})
    kept.rmdir()
    kept.write_text("a file where the directory was")
    equal(visit(t, server.port, leaf(t.run, "good")), 201, "the answer")
    told = server.wait_event("Y24W")
    check(str(kept) in str(told), f"the folder is not named: {told}")


@test("host")
def a_note_goes_into_the_events_of_its_sessions(t):
    server = setup.server(t, server_profile={"note": 'contract 4711 "gold"'})
    equal(visit(t, server.port, leaf(t.run, "good")), 201, "the answer")
    equal(server.wait_event("Y14I")["note"], 'contract 4711 "gold"', "note")


@test("host", "guest", each=["auto", "off", "required"])
def offload_says_who_encrypts(t, offload):
    """On a kernel without kTLS `required` refuses to start; with it the kernel encrypts all but for `off`."""
    kernel = bool(tls_counters())
    if offload == "required" and not kernel:
        refused = start(t, setup.site_file(t, server_profile={"offload": offload}))
        equal(refused.code, 3, "exit code")
        check("offload = required, but" in refused.errors, refused.errors)
        return
    server = setup.server(t, server_profile={"offload": offload})
    files.make(server.root / "file", 1 << 20)
    equal(Wire(t, server.port).request("GET", "/file").status, 200, "status")
    done = server.wait_event("T01I", 10 * t.run.patience, path="file")
    check(done["tx"].startswith("kernel" if kernel and offload != "off" else "user"), f"who encrypted: {done}")


@test("host")
def fips_needs_the_provider_and_says_so(t):
    keys = setup.profiles(t)["server-profile std"]
    ini = setup.site_file(t, server_profile={**keys, "fips": "yes"})
    found_it = setup.has_fips()
    result = client(t, "check", ini=ini)
    equal(result.code, 0 if found_it else 3, f"exit code ({result.output}{result.errors})")
    if found_it:
        server = setup.server(t, server_profile={"fips": "yes"})
        equal(visit(t, server.port, leaf(t.run, "good")), 201, "the answer")
        chacha = openssl(t, server.port, leaf(t.run, "good"), "1.3", more=offer("1.3", "TLS_CHACHA20_POLY1305_SHA256"))
        equal(chacha.answer, "handshake_failure", "the answer to ChaCha20")
    else:
        check("fips" in result.output + result.errors and "provider" in result.output + result.errors, result.output + result.errors)


@test("host", each=VERSIONS)
def the_certificate_shown_and_ours_are_told_of(t, version):
    server = setup.server(t)
    context = client_context(t, leaf(t.run, "many names"), version)
    equal(visit(t, server.port, None, context=context), 201, "the answer")
    accepted, ours = server.wait_event("Y21I"), server.wait_event("Y23I")
    for key in ("subject", "issuer", "serial", "days"):
        check(accepted.get(key) and ours.get(key), f"no {key} in {accepted} or {ours}")
    check("Acme" in accepted["subject"] and "server-ecdsa" in ours["subject"], f"{accepted} {ours}")
