"""What `sluice check` says about certificates, keys and suites: one sentence for each mistake, with its line; and serve agrees."""

import os

from harness import check, client, equal, setup, test
from harness import leafs, pki
from harness.leafs import leaf
from harness.sluice import start

CONFIGURATION = 3


def server_leaf(t, which):
    certificate, key = leaf(t.run, which, "serverAuth")
    return {"certificate": certificate, "key": key}


def secret(t, name, text, mode=0o600):
    path = t.path(name)
    path.write_text(text)
    path.chmod(mode)
    return path


def exposed_key(t, mode):
    certificate, key = leaf(t.run, "good", "serverAuth")
    return {"certificate": certificate, "key": secret(t, "exposed.key", key.read_text(), mode)}


def another_key(t):
    return {**server_leaf(t, "good"), "key": leaf(t.run, "bank", "serverAuth")[1]}


def turned_round(t):
    certificate, key = leaf(t.run, "of an intermediate", "serverAuth")
    blocks = certificate.read_text().split("-----END CERTIFICATE-----\n")[:-1]
    return {"certificate": secret(t, "turned.pem", "".join(b + "-----END CERTIFICATE-----\n" for b in blocks[::-1])), "key": key}


def locked(t, phrase):
    certificate, key = leaf(t.run, "good", "serverAuth")
    keys = {"certificate": certificate, "key": pki.encrypted(key, setup.PASSPHRASE, t.path("locked.key"))}
    return {**keys, "key_passphrase_file": secret(t, "phrase", phrase)} if phrase is not None else keys


def archive(t, phrase):
    certificate, key = leaf(t.run, "good", "serverAuth")
    return {"certificate": pki.pkcs12(certificate, key, setup.PASSPHRASE, t.path("our.p12")), "key": None,
            "key_passphrase_file": phrase and secret(t, "phrase", phrase)}


def staple(t, which, **how):
    certificate, _ = leaf(t.run, which, "serverAuth")
    return {**server_leaf(t, "good"), "ocsp_response": t.run.pki.ocsp(certificate, f"check-{which}{len(how)}", **how)}


# What goes into the profile; which key the sentence's line is of; words of the sentence.
ERRORS = {
    "a key of another certificate": (another_key, "certificate", ["does not match"]),
    "a chain in the wrong order": (turned_round, "certificate", ["place 2", "first"]),
    "a key that everyone can read": (lambda t: exposed_key(t, 0o644), "key", ["every user", "0644", "chmod 600"]),
    "an expired certificate": (lambda t: server_leaf(t, "expired"), "certificate", ["expired on"]),
    "a certificate of tomorrow": (lambda t: server_leaf(t, "not yet valid"), "certificate", ["not valid before"]),
    "a weak key": (lambda t: server_leaf(t, "weak key"), "certificate", ["2048"]),
    "a weak signature": (lambda t: server_leaf(t, "sha1"), "certificate", ["SHA-256"]),
    "a missing file": (lambda t: {**server_leaf(t, "good"), "certificate": t.path("nowhere.pem")}, "certificate", ["nowhere.pem"]),
    "a key that is none": (lambda t: {**server_leaf(t, "good"), "key": secret(t, "empty.key", "nothing\n")}, "key", ["empty.key"]),
    "a certificate that is none": (lambda t: {**server_leaf(t, "good"), "certificate": secret(t, "not.pem", "nothing\n")},
                                   "certificate", ["not.pem"]),
    "no passphrase": (lambda t: locked(t, None), "key", ["key_passphrase_file"]),
    "a wrong passphrase": (lambda t: locked(t, "open barley\n"), "key", ["passphrase"]),
    "an empty passphrase": (lambda t: locked(t, "\n"), "key", ["passphrase"]),
    "an archive without its passphrase": (lambda t: archive(t, None), "certificate", ["key_passphrase_file"]),
    "an archive with a wrong passphrase": (lambda t: archive(t, "open barley\n"), "certificate", ["passphrase"]),
    "an unknown suite": (lambda t: {"ciphers": "TLS_AES_129_GCM_SHA256"}, "ciphers",
                         ["TLS_AES_129_GCM_SHA256", "TLS_AES_128_GCM_SHA256"]),
    "an unknown number": (lambda t: {"ciphers": "64999"}, "ciphers", ["64999"]),
    "a suite without forward secrecy": (lambda t: {"ciphers": "AES128-SHA"}, "ciphers", ["TLS_"]),
    "a broken suite": (lambda t: {"ciphers": "TLS_RSA_WITH_RC4_128_SHA"}, "ciphers", ["TLS_RSA_WITH_RC4_128_SHA", "TLS_"]),
    "CFT's broken number": (lambda t: {"ciphers": "5"}, "ciphers", ["5", "TLS_"]),
    "versions that no suite serves": (lambda t: {"ciphers": "TLS_AES_128_GCM_SHA256", "max_version": "1.2"}, None, ["1.2"]),
    "an old version": (lambda t: {"min_version": "1.1"}, "min_version", ["1.1", "1.2"]),
    "SSL": (lambda t: {"min_version": "SSLv3"}, "min_version", ["1.2"]),
    "an unknown group": (lambda t: {"groups": "P-257"}, "groups", ["P-257"]),
    "an unknown signature algorithm": (lambda t: {"signature_algorithms": "rsa_md4"}, "signature_algorithms", ["rsa_md4"]),
    "a subject that is no expression": (lambda t: {"subject": "CN="}, "subject", []),
    "a subject with a bracket too many": (lambda t: {"subject": "(CN=x"}, "subject", [")"]),
    "no trust": (lambda t: {"trust": None}, None, ["trust"]),
    "an empty trust": (lambda t: {"trust": t.make_folder("nobody")}, "trust", ["nobody"]),
    "too deep": (lambda t: {"depth": 11}, "depth", ["10"]),
    "a CRL that is none": (lambda t: {"crl": secret(t, "not.crl", "nothing\n")}, "crl", ["not.crl"]),
    "a CRL that is missing": (lambda t: {"crl": t.path("nowhere.crl")}, "crl", ["nowhere.crl"]),
    "a CRL that has ended": (lambda t: {"crl": t.run.pki.crl("ended", starts=-9, ends=-2)}, "crl", ["expired"]),
    "an OCSP response that is none": (lambda t: {"ocsp_response": secret(t, "not.ocsp", "nothing\n")}, "ocsp_response", ["not.ocsp"]),
    "an OCSP response about another": (lambda t: staple(t, "bank"), "ocsp_response", []),
    "enforced on a server": (lambda t: {"verify": "enforced"}, "verify", ["enforced"]),
    "a client's key on a server": (lambda t: {"hostname": "no"}, "hostname", ["hostname"]),
}

WARNINGS = {
    "a key that its group can read": (lambda t: exposed_key(t, 0o640), "key", ["group", "0640"]),
    "a certificate that ends soon": (lambda t: server_leaf(t, "expires soon"), "certificate", ["expires on", "5 days"]),
    "an incomplete chain": (lambda t: server_leaf(t, "without its chain"), "certificate", ["incomplete", "Sluice intermediate"]),
    "an OCSP response that has ended": (lambda t: staple(t, "good", ended=True), "ocsp_response", []),
    "an OCSP response that says revoked": (lambda t: {**server_leaf(t, "revoked"), **{
        "ocsp_response": staple(t, "revoked")["ocsp_response"]}}, "ocsp_response", ["revoked"]),
}


def line_of(ini, key):
    """The line of the key in the profile, or of the profile's head."""
    lines = ini.read_text().splitlines()
    head = lines.index("[server-profile std]")
    for number in range(head + 1, len(lines)):
        if key and lines[number].startswith(f"{key} = "):
            return number + 1
    return head + 1


def about(result, ini, words):
    """The lines of check's report that are about this file and have all words."""
    lines = (result.output + result.errors).splitlines()
    return [line for line in lines if f"{ini.name}:" in line and all(word in line for word in words)]


def said(t, result, ini, key, words):
    found = about(result, ini, words)
    check(found, f"no line with {words} in {result.output}{result.errors}")
    check('server-profile "std"' in found[0], f"the profile is not named: {found[0]}")
    if key:
        place = f"{ini.name}:{line_of(ini, key)}:"
        check(any(place in line for line in found), f"no {place} in {found}")
    return found[0]


@test("host", each=list(ERRORS))
def check_and_serve_refuse(t, which):
    make, key, words = ERRORS[which]
    ini = setup.site_file(t, server_profile=make(t))
    checked = client(t, "check", ini=ini).must_fail(CONFIGURATION)
    sentence = said(t, checked, ini, key, words)
    started = start(t, ini).must_fail(CONFIGURATION)
    core = sentence.partition(f"{ini.name}:")[2].replace('"', "")
    check(core in started.errors.replace('\\"', "").replace('"', ""), f"serve does not say {core!r}: {started.errors}")


@test("host", each=list(WARNINGS))
def check_warns_and_serve_starts(t, which):
    make, key, words = WARNINGS[which]
    ini = setup.site_file(t, server_profile=make(t))
    checked = client(t, "check", ini=ini).must_succeed()
    check("warning" in said(t, checked, ini, key, words), checked.output + checked.errors)
    setup.server(t, server_profile=make(t))


@test("host")
def check_reports_all_mistakes_of_a_profile_in_one_run(t):
    ini = setup.site_file(t, server_profile={**another_key(t), "ciphers": "AES129", "crl": t.path("nowhere.crl"), "groups": "P-257"})
    first = client(t, "check", ini=ini).must_fail(CONFIGURATION)
    for words in (["AES129"], ["nowhere.crl"], ["P-257"], ["does not match"]):
        check(about(first, ini, words), f"nothing about {words}: {first.output}{first.errors}")


@test("host")
def no_passphrase_is_ever_printed(t):
    phrase = "a phrase that nobody guesses"
    ini = setup.site_file(t, server_profile=locked(t, phrase + "\n"))
    for result in (client(t, "check", ini=ini), start(t, ini)):
        equal(result.code, CONFIGURATION, "exit code")
        check(phrase not in result.output + result.errors, "the passphrase was printed")


@test("host")
def a_key_file_of_another_user_is_unreadable_and_says_so(t):
    keys = server_leaf(t, "good")
    hidden = secret(t, "hidden.key", keys["key"].read_text(), 0)
    ini = setup.site_file(t, server_profile={**keys, "key": hidden})
    if os.geteuid() == 0:
        return  # nothing is hidden from root
    said(t, client(t, "check", ini=ini).must_fail(CONFIGURATION), ini, "key", ["hidden.key"])


@test("host")
def check_is_content_with_every_form(t):
    for kind in setup.CREDENTIALS:
        ini = setup.site_file(t, server_profile=setup.credentials(t, kind)[0])
        result = client(t, "check", ini=ini).must_succeed()
        check("warning" not in result.output + result.errors, f"{kind}: {result.output}{result.errors}")


@test("host")
def fresh_leafs_are_what_they_are_called(t):
    """What these tests stand on: openssl's own opinion of the certificates made for them."""
    verify = lambda which, *options: pki.openssl("verify", "-CAfile", t.run.pki.certificate, *options, leaf(t.run, which)[0],  # noqa: E731
                                                 codes=(0, 2))
    check(verify("good").endswith("OK\n"), "a good one does not verify")
    for which, options in {"expired": (), "not yet valid": (), "other CA": (), "without its chain": (),
                           "wrong usage": ("-purpose", "sslclient"), "weak key": ("-auth_level", "2"),
                           "sha1": ("-auth_level", "2"), "revoked": ("-crl_check", "-CRLfile", leafs.crl(t.run))}.items():
        check("OK" not in verify(which, *options), f"\"{which}\" verifies")
