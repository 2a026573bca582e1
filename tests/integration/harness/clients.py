"""Clients that nobody here wrote, told to send one request: what each of them saw."""

import re
import subprocess

from . import wire
from .case import wait_for
from .peers import need

# RFC 8446, 6 and RFC 5246, 7.2: those that can be met here.
ALERTS = {
    0: "close_notify", 10: "unexpected_message", 40: "handshake_failure", 42: "bad_certificate",
    43: "unsupported_certificate", 44: "certificate_revoked", 45: "certificate_expired", 46: "certificate_unknown",
    47: "illegal_parameter", 48: "unknown_ca", 49: "access_denied", 50: "decode_error", 51: "decrypt_error",
    70: "protocol_version", 71: "insufficient_security", 80: "internal_error", 86: "inappropriate_fallback",
    100: "no_renegotiation", 112: "unrecognized_name", 113: "bad_certificate_status_response", 116: "certificate_required",
    120: "no_application_protocol",
}

PUT = ("PUT", "/new", b"stored")


class Seen:
    """`answer`: the status, the alert's name, or "closed"; `text`: all that the client said."""

    def __init__(self, text, alert=None):
        status = re.findall(r"^HTTP/1\.1 (\d{3}) ", text, re.M)
        self.text, self.answer = text, int(status[-1]) if status else alert or "closed"

    def __repr__(self):
        return f"{self.answer}: {self.text[-4000:]}"


def _run(trial, command, sent=b""):
    done = subprocess.run(list(map(str, command)), input=sent, capture_output=True, timeout=20 * trial.run.patience)
    return (done.stdout + done.stderr).decode(errors="replace").replace("\r\n", "\n")


def _numbered(text, pattern):
    found = re.search(pattern, text)
    return ALERTS.get(int(found.group(1)), found.group(1)) if found else None


def _request(request, fields):
    method, target, body = request
    lines = [f"{method} {target} HTTP/1.1", "Host: localhost", "Connection: close", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in (fields or {}).items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def openssl(trial, port, certificate=None, version=None, request=PUT, fields=None, more=(), brief=True):
    """`openssl s_client`. `more`: further options of it. Not `brief`, it tells everything, and the answer may be lost."""
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-CAfile", trial.run.pki.certificate, "-ign_eof"]
    command += ["-brief"] if brief else []
    command += ["-servername", "localhost"] if "-noservername" not in more else []
    command += ["-cipher", "DEFAULT@SECLEVEL=0"] if "-cipher" not in more else []  # it may show what is weak
    command += ["-cert", certificate[0], "-cert_chain", certificate[0], "-key", certificate[1]] if certificate else []
    command += ["-tls" + version.replace(".", "_")] if version else []
    text = _run(trial, [*command, *more], _request(request, fields))
    return Seen(text, _numbered(text, r"SSL alert number (\d+)"))


def gnutls(trial, port, certificate=None, version=None, request=PUT, fields=None, priority="NORMAL"):
    """`gnutls-cli`."""
    command = [need("gnutls-cli"), "--x509cafile", trial.run.pki.certificate, "-p", port, "localhost"]
    command += ["--x509certfile", certificate[0], "--x509keyfile", certificate[1]] if certificate else []
    versions = f":-VERS-ALL:+VERS-TLS{version}" if version else ""
    text = _run(trial, [*command, "--priority", priority + versions], _request(request, fields))
    return Seen(text, _numbered(text, r"Received alert \[(\d+)\]"))


def curl(trial, port, certificate=None, version=None, request=PUT, fields=None, more=()):
    method, target, body = request
    command = [need("curl"), "-sS", "-i", "-v", "--cacert", trial.run.pki.certificate, "-X", method, "--data-binary", "@-"]
    command += ["--cert", certificate[0], "--key", certificate[1]] if certificate else []
    command += [f"--tlsv{version}", "--tls-max", version] if version else []
    for name, value in (fields or {}).items():
        command += ["-H", f"{name}: {value}"]
    text = _run(trial, [*command, *more, f"https://localhost:{port}{target}"], body)
    # Errors name the alert, but not each of them; in what -v tells it is always named, but for those of TLS 1.3.
    arrived = re.search(r"\(IN\), TLS alert, ([a-z ]+) \(", text)
    return Seen(text, wire.alert_of(text) or (arrived and arrived.group(1).replace(" ", "_")))


def python(trial, port, certificate=None, version=None, request=PUT, fields=None):
    """Python's ssl."""
    found = wire.visit(trial, port, certificate, version, request, fields)
    text = f"HTTP/1.1 {found} \n" if isinstance(found, int) else str(found)
    return Seen(text, found if isinstance(found, str) else None)


CLIENTS = {"openssl": openssl, "gnutls": gnutls, "curl": curl, "python": python}


def s_client(trial, port, *more):
    """
    openssl's own client, and the file with what it says: what is written to its .stdin it sends; a line that begins with K
    sends a KeyUpdate that asks for ours, k one that does not.
    """
    certificate, key = trial.run.pki.client()
    log = trial.path("s_client.txt")
    output = open(log, "wb")
    process = subprocess.Popen(
        [need("openssl"), "s_client", "-connect", f"localhost:{port}", "-CAfile", trial.run.pki.certificate, "-cert",
         certificate, "-key", key, "-tls1_3", *more],
        stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT, bufsize=0,
    )
    output.close()
    trial.at_end(lambda: (process.kill(), process.wait(), process.stdin.close()))
    wait_for(lambda: b"Verify return code" in log.read_bytes(), "the handshake of s_client", 20 * trial.run.patience)
    return process, log
