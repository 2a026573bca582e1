"""What public scanners find at a server with nothing but the defaults: no weakness, and what they must have looked at."""

import json
import subprocess
import xml.etree.ElementTree as Xml

from harness import Skip, check, equal, setup, test
from harness.peers import need

SUITES_OF_1_3 = ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"]
SUITES_OF_1_2 = ["ECDHE-{0}-AES128-GCM-SHA256", "ECDHE-{0}-AES256-GCM-SHA384", "ECDHE-{0}-CHACHA20-POLY1305"]
KEYS = {"ECDSA in PEM": "ECDSA", "RSA": "RSA", "Ed25519": "ECDSA", "ECDSA P-384": "ECDSA"}


def scan(t, port):
    """sslscan's report. It shows a certificate, for by default a server talks with nobody else."""
    certificate, key = t.run.pki.client()
    command = [need("sslscan"), "--xml=-", f"--certs={certificate}", f"--pk={key}", f"127.0.0.1:{port}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50 * t.run.patience)
    return Xml.fromstring(done.stdout[done.stdout.index("<?xml"):]).find("ssltest")


@test("host", each=list(KEYS))
def sslscan_finds_no_weakness(t, kind):
    server = setup.server(t, server_profile=setup.credentials(t, kind)[0])
    report = scan(t, server.port)
    versions = {f"{p.get('type')} {p.get('version')}": p.get("enabled") for p in report.findall("protocol")}
    equal(versions, {"ssl 2": "0", "ssl 3": "0", "tls 1.0": "0", "tls 1.1": "0", "tls 1.2": "1", "tls 1.3": "1"}, "versions")
    found = {v: [c.get("cipher") for c in report.findall("cipher") if c.get("sslversion") == v] for v in ("TLSv1.2", "TLSv1.3")}
    equal(found["TLSv1.3"], SUITES_OF_1_3, "suites of TLS 1.3, in our order")
    equal(found["TLSv1.2"], [suite.format(KEYS[kind]) for suite in SUITES_OF_1_2], "suites of TLS 1.2, in our order")
    for cipher in report.findall("cipher"):
        check(cipher.get("strength") in ("strong", "acceptable") and int(cipher.get("bits")) >= 128, str(cipher.attrib))
        # TLS 1.3 has nothing without forward secrecy, and sslscan leaves out a hybrid's name.
        forward = cipher.get("sslversion") == "TLSv1.3" or cipher.get("curve") or cipher.get("dhebits")
        check(forward, f"no forward secrecy: {cipher.attrib}")
    equal([one.get("vulnerable") for one in report.findall("heartbleed")], ["0", "0"], "heartbleed, in both versions")
    renegotiation = report.find("renegotiation")
    equal(renegotiation.get("supported"), "0", "renegotiation")
    compression = report.find("compression")
    check(compression is None or compression.get("supported") == "0", "compression")
    for group in report.findall("group"):
        check(int(group.get("bits")) >= 112, f"a weak group: {group.attrib}")


# What testssl.sh calls a weakness here and why it is none of the server's.
ALLOWED = {
    "cert_revocation": "the throw-away authority of these tests publishes no list and has no responder",
    "DNS_CAArecord": "localhost is in no DNS",
    "HSTS": "it tells browsers never to try plain HTTP; who fetches files with it is told by the profile",
    "security_headers": "they tell browsers how to render pages, and there are none",
}
# What it must have looked at, and found in order.
IN_ORDER = ("SSLv2", "SSLv3", "TLS1_2", "TLS1_3", "cipherlist_NULL", "cipherlist_aNULL", "cipherlist_EXPORT", "cipherlist_LOW",
            "cipher_order", "heartbleed", "CCS", "ticketbleed", "ROBOT", "secure_renego", "secure_client_renego", "CRIME_TLS",
            "BREACH", "POODLE_SSL", "fallback_SCSV", "SWEET32", "FREAK", "DROWN", "LOGJAM", "BEAST", "LUCKY13", "RC4")
NOT_OFFERED = ("SSLv2", "SSLv3", "TLS1", "TLS1_1", "cipherlist_NULL", "cipherlist_aNULL", "cipherlist_EXPORT", "cipherlist_LOW")


@test("host", limit=240)
def testssl_finds_no_weakness(t):
    """With an RSA certificate beside an ECDSA one. It can show none itself, so it is not asked for one; all else is default."""
    if t.run.sanitized:
        raise Skip("the scanner takes a minute, and what it looks for does not depend on the build")
    pairs = [t.run.pki.server("ecdsa"), t.run.pki.server("rsa")]
    server = setup.server(t, server_profile={"verify": "none", "trust": None, "certificate": [pair[0] for pair in pairs],
                                             "key": [pair[1] for pair in pairs]})
    report = t.path("testssl.json")
    command = [need("testssl"), "--quiet", "--color", "0", "--warnings", "batch", "--nodns", "none", "--jsonfile", str(report),
               "--add-ca", str(t.run.pki.certificate), "-p", "-s", "-f", "-S", "-P", "-h", "-U", f"https://localhost:{server.port}"]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL, cwd=t.folder)
    check(report.exists(), f"testssl.sh reported nothing: {done.stdout[-2000:]}{done.stderr}")
    findings = {}
    for one in json.loads(report.read_text()):
        findings.setdefault(one["id"].split(" ")[0], []).append(one)
    weak = [one for name, those in findings.items() if name not in ALLOWED for one in those
            if one["severity"] in ("LOW", "MEDIUM", "HIGH", "CRITICAL")]
    equal(weak, [], "weaknesses")
    forward_secrecy = "FS" if "FS" in findings else "PFS"  # as newer ones and older ones call it
    for name in (*IN_ORDER, forward_secrecy):
        equal([one["severity"] for one in findings.get(name, [])], ["OK"], f"{name}: {findings.get(name)}; severity")
    for name in NOT_OFFERED:
        check("not offered" in findings[name][0]["finding"], str(findings[name]))
    check("server" in findings["cipher_order"][0]["finding"], str(findings["cipher_order"]))
    equal({one["finding"] for one in findings["cert_chain_of_trust"]}, {"passed."}, "the chains of both certificates")
