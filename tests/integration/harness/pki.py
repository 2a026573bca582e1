"""A throw-away certificate authority, made with openssl's own command."""

import subprocess
from pathlib import Path

_AUTHORITY = """basicConstraints=critical,CA:TRUE
keyUsage=critical,keyCertSign,cRLSign
subjectKeyIdentifier=hash
"""

_LEAF = """basicConstraints=CA:FALSE
keyUsage=critical,digitalSignature
extendedKeyUsage={usage}
subjectKeyIdentifier=hash
authorityKeyIdentifier=keyid
{names}
"""

_KEYS = {
    "ecdsa": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
    "rsa": ["-newkey", "rsa:2048"],
}


def _openssl(*arguments):
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise RuntimeError(f"openssl {' '.join(map(str, arguments))}: {done.stderr}")


class Authority:
    """ca.pem in `folder`, and beside it NAME.pem and NAME.key of every leaf that was asked for."""

    def __init__(self, folder, name="Sluice throw-away CA"):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.certificate = self.folder / "ca.pem"
        self._key = self.folder / "ca.key"
        extensions = self._write("ca.ext", _AUTHORITY)
        request = self.folder / "ca.csr"
        _openssl("req", "-new", "-nodes", *_KEYS["ecdsa"], "-keyout", self._key, "-out", request, "-subj", f"/CN={name}")
        _openssl("x509", "-req", "-in", request, "-signkey", self._key, "-days", 90, "-extfile", extensions,
                 "-out", self.certificate)

    def _write(self, name, text):
        path = self.folder / name
        path.write_text(text)
        return path

    def leaf(self, name, usage="serverAuth", key="ecdsa", names="DNS:localhost,IP:127.0.0.1,IP:::1"):
        """Returns (certificate, key); made on the first call of that name."""
        certificate, secret = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        if certificate.exists():
            return certificate, secret
        request = self.folder / f"{name}.csr"
        alternative = f"subjectAltName={names}" if usage == "serverAuth" else ""
        extensions = self._write(f"{name}.ext", _LEAF.format(usage=usage, names=alternative))
        _openssl("req", "-new", "-nodes", *_KEYS[key], "-keyout", secret, "-out", request, "-subj", f"/O=Sluice/CN={name}")
        _openssl("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self._key, "-CAcreateserial",
                 "-days", 90, "-extfile", extensions, "-out", certificate)
        return certificate, secret

    def server(self, key="ecdsa"):
        return self.leaf(f"server-{key}", "serverAuth", key)

    def client(self, key="ecdsa"):
        return self.leaf(f"client-{key}", "clientAuth", key)
