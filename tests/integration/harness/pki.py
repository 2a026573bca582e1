"""Throw-away certificate authorities, made with openssl's own command: what they issue may have any defect.

Everything is made when it is first asked for, and once in a run.
"""

import hashlib
import re
import ssl
import subprocess
from datetime import datetime, timedelta, timezone
from pathlib import Path

from . import der

LOCALHOST = "DNS:localhost,IP:127.0.0.1,IP:::1"

_CA = """[ca]
default_ca = this
[this]
certificate = {certificate}
private_key = {key}
database = {folder}/index.txt
serial = {folder}/serial
crlnumber = {folder}/crlnumber
new_certs_dir = {folder}
rand_serial = yes
unique_subject = no
policy = any
default_md = sha256
[any]
commonName = optional
"""

_REQUEST = """[req]
prompt = no
utf8 = yes
string_mask = utf8only
distinguished_name = name
[name]
{name}
"""

_AUTHORITY = """basicConstraints=critical,CA:TRUE{length}
keyUsage=critical,keyCertSign,cRLSign
subjectKeyIdentifier=hash
authorityKeyIdentifier=keyid
"""

_LEAF = """basicConstraints=CA:FALSE
subjectKeyIdentifier=hash
authorityKeyIdentifier=keyid
"""

_KEYS = {
    "ecdsa": ["EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
    "p384": ["EC", "-pkeyopt", "ec_paramgen_curve:P-384"],
    "rsa": ["RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
    "rsa1024": ["RSA", "-pkeyopt", "rsa_keygen_bits:1024"],
    "ed25519": ["ED25519"],
}


def openssl(*arguments, codes=(0,)):
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, errors="replace",
                          stdin=subprocess.DEVNULL)
    if done.returncode not in codes:
        raise RuntimeError(f"openssl {' '.join(map(str, arguments))}: {done.stderr}")
    return done.stdout


def fingerprint(certificate):
    """SHA-256 of the first certificate of a PEM file, as `match_fingerprint` takes it."""
    text = Path(certificate).read_text()
    first = text[text.index("-----BEGIN") :].split("-----END")[0] + "-----END CERTIFICATE-----\n"
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(first)).hexdigest()


def to_der(source, kind, out):
    """A certificate ("x509"), CRL ("crl") or key ("pkey") in PEM, written as DER."""
    openssl(kind, "-in", source, "-outform", "DER", "-out", out)
    Path(out).chmod(0o600)
    return Path(out)


def _day(days):
    return (datetime.now(timezone.utc) + timedelta(days=days)).strftime("%Y%m%d%H%M%SZ")


class Authority:
    """A CA. `certificate` is its own; leafs of an intermediate one (`above` given) have the chain in their file."""

    def __init__(self, folder, name="Sluice throw-away CA", above=None, length=None, ends=90):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.name, self.certificate, self.key = name, self.folder / "ca.pem", self.folder / "ca.key"
        self._below, self._issuing = {}, self._write("ca.cnf", _CA.format(
            certificate=self.certificate, key=self.key, folder=self.folder))
        for file, content in (("index.txt", ""), ("index.txt.attr", "unique_subject = no\n"), ("crlnumber", "01\n")):
            self._write(file, content)
        _make_key(self.key, "ecdsa")
        request = self._request("ca", self.key, f"CN={name}")
        extensions = self._write("ca.ext", _AUTHORITY.format(length="" if length is None else f",pathlen:{length}"))
        self.chain = (self.certificate, *above.chain) if above else ()  # what stands between a leaf and the root
        (above or self)._sign(request, self.certificate, extensions, -1, ends, "sha256", self_signed=above is None)

    def _write(self, name, text):
        path = self.folder / name
        path.write_text(text)
        return path

    def _request(self, name, key, subject):
        """`subject`: lines of openssl's configuration, "O=Sluice\\nCN=x"; "+" before a type joins it to the RDN above."""
        lines = [f"{number}.{line}" for number, line in enumerate(subject.splitlines())]
        settings = self._write(f"{name}.cnf-request", _REQUEST.format(name="\n".join(lines)))
        request = self.folder / f"{name}.csr"
        openssl("req", "-new", "-key", key, "-config", settings, "-out", request)
        return request

    def _sign(self, request, out, extensions, starts, ends, digest, self_signed=False):
        openssl("ca", "-config", self._issuing, "-batch", "-notext", "-preserveDN",
                *(["-selfsign"] if self_signed else []), "-in", request, "-out", out, "-extfile", extensions, "-startdate", _day(starts), "-enddate", _day(ends), "-md", digest)

    def below(self, name, **how):
        """The intermediate CA of that name; made on the first call."""
        if name not in self._below:
            self._below[name] = Authority(self.folder / name.replace(" ", "-"), name, above=self, **how)
        return self._below[name]

    def leaf(self, name, usage="serverAuth", key="ecdsa", names=None, subject=None, starts=-1, ends=89,
             key_usage="critical,digitalSignature", digest=None, chain=True, change=None):
        """
        Returns (certificate, key); made on the first call of that name. `starts` and `ends` are days from now;
        `usage` and `key_usage` None leave the extension out; `change` (old, new) replaces bytes of the same length in the
        finished certificate, which is then signed again.
        """
        certificate, secret = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        if certificate.exists():
            return certificate, secret
        if names is None and usage == "serverAuth":
            names = LOCALHOST
        _make_key(secret, key)
        request = self._request(name, secret, subject or f"O=Sluice\nCN={name}")
        lines = [("extendedKeyUsage", usage), ("keyUsage", key_usage), ("subjectAltName", names)]
        extensions = self._write(f"{name}.ext", _LEAF + "".join(f"{k}={v}\n" for k, v in lines if v))
        made = self.folder / f"{name}.new"
        self._sign(request, made, extensions, starts, ends, digest or "sha256")
        if change:
            self._change(made, *change)
        text = made.read_text() + "".join(one.read_text() for one in self.chain if chain)
        made.unlink()
        certificate.write_text(text)
        return certificate, secret

    def _change(self, certificate, old, new):
        """Bytes that openssl's command would not write: they are put in, and the whole is signed again."""
        whole = ssl.PEM_cert_to_DER_cert(certificate.read_text())
        if len(old) != len(new) or old not in whole:
            raise RuntimeError(f"{certificate} has no {old!r} that could become {new!r}")
        body, algorithm, _ = der.parts(whole)
        body = body.replace(old, new)
        signed = der.sequence(body + algorithm + self._signature(body, self.key))
        certificate.write_text(ssl.DER_cert_to_PEM_cert(signed))

    def _signature(self, body, key):
        to_sign, signature = self.folder / "to-sign", self.folder / "signature"
        to_sign.write_bytes(body)
        openssl("dgst", "-sha256", "-sign", key, "-out", signature, to_sign)
        return der.bits(signature.read_bytes())

    def server(self, key="ecdsa"):
        return self.leaf(f"server-{key}", "serverAuth", key)

    def client(self, key="ecdsa"):
        return self.leaf(f"client-{key}", "clientAuth", key)

    def revoke(self, certificate):
        openssl("ca", "-config", self._issuing, "-revoke", certificate)

    def crl(self, name, starts=-1, ends=30):
        """A list of what is revoked by now."""
        out = self.folder / f"{name}.crl.pem"
        if not out.exists():
            openssl("ca", "-config", self._issuing, "-gencrl", "-crl_lastupdate", _day(starts), "-crl_nextupdate",
                    _day(ends), "-out", out)
        return out

    def ocsp(self, certificate, name, signer=None, ended=False):
        """
        What a responder would say now about a certificate of this authority (DER), good for an hour, or, `ended`, what it
        said a hundred years ago. Signed by `signer` (certificate, key), or by the authority itself.
        """
        out, request = self.folder / f"{name}.ocsp", self.folder / f"{name}.ocsp-request"
        if out.exists():
            return out
        openssl("ocsp", "-issuer", self.certificate, "-cert", certificate, "-no_nonce", "-reqout", request)
        by, key = signer or (self.certificate, self.key)
        openssl("ocsp", "-index", self.folder / "index.txt", "-CA", self.certificate, "-rsigner", by, "-rkey", key,
                "-reqin", request, "-nmin", 60, "-respout", out)
        if ended:
            out.write_bytes(self._a_century_older(out.read_bytes(), key))
        return out

    def _a_century_older(self, response, key):
        status, wrapped = der.parts(response)
        kind, octets = der.parts(der.parts(wrapped)[0])
        said, algorithm, _, *certificates = der.parts(der.content(octets))
        said = re.sub(rb"(\x18\x0f)20(\d{12}Z)", rb"\g<1>19\2", said)
        basic = der.sequence(said + algorithm + self._signature(said, key) + b"".join(certificates))
        return der.sequence(status + der.value(der.CONTEXT_0, der.sequence(kind + der.value(der.OCTETS, basic))))


def _make_key(out, kind):
    openssl("genpkey", "-algorithm", *_KEYS[kind], "-out", out)
    Path(out).chmod(0o600)


def encrypted(key, passphrase, out):
    """The same key, locked with a passphrase."""
    openssl("pkey", "-in", key, "-aes256", "-passout", f"pass:{passphrase}", "-out", out)
    Path(out).chmod(0o600)
    return Path(out)


def pkcs12(certificate, key, passphrase, out):
    """Key, certificate and what follows it in its file, in one PKCS#12 file."""
    openssl("pkcs12", "-export", "-in", certificate, "-inkey", key, "-passout", f"pass:{passphrase}", "-out", out)
    Path(out).chmod(0o600)
    return Path(out)
