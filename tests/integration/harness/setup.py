"""The configurations that most tests begin with."""

import os
import subprocess

from . import leafs, pki
from .run import tls_counters
from .sluice import Server, write_ini

PASSPHRASE = "open sesame"

SUITES = {
    ("1.3", "AES-128-GCM"): "TLS_AES_128_GCM_SHA256",
    ("1.3", "AES-256-GCM"): "TLS_AES_256_GCM_SHA384",
    ("1.3", "ChaCha20-Poly1305"): "TLS_CHACHA20_POLY1305_SHA256",
    ("1.3", "AES-128-CCM"): "TLS_AES_128_CCM_SHA256",
    ("1.2", "AES-128-GCM"): "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    ("1.2", "AES-256-GCM"): "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    ("1.2", "ChaCha20-Poly1305"): "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    ("1.2", "AES-128-CCM"): "TLS_ECDHE_ECDSA_WITH_AES_128_CCM",
}


def offload(trial):
    """What tests ask of both sides: in the guest nothing but the kernel will do, and on the host it is OpenSSL's turn."""
    if trial.run.kernel:
        return "required"
    return "off" if tls_counters() else "auto"


def profiles(trial, key="ecdsa", **more):
    """A pair of profiles `std` that trust each other; `more` goes into both."""
    server_certificate, server_key = trial.run.pki.server(key)
    client_certificate, client_key = trial.run.pki.client(key)
    trust = {"trust": trial.run.pki.certificate, "offload": offload(trial), **more}
    return {
        "server-profile std": {"certificate": server_certificate, "key": server_key, **trust},
        "client-profile std": {"certificate": client_certificate, "key": client_key, **trust},
    }


def site(trial, root=None, anonymous=None, server_profile=None, name="server", more=None, **limits):
    """The sections of one protocol on loopback over `root`; `more` are further ones."""
    pair = profiles(trial)
    return {
        "server": {"events": "json", **limits},
        "store main": {"root": root or trial.make_folder(f"store-{name}"), "anonymous": anonymous},
        "server-profile std": {**pair["server-profile std"], **(server_profile or {})},
        "protocol main": {"listen": "127.0.0.1:0", "profile": "std", "store": "main"},
        **(more or {}),
    }


def site_file(trial, name="site", **how):
    return write_ini(trial.path(f"{name}.ini"), site(trial, name=name, **how))


def server(trial, root=None, name="server", environment=None, **how):
    """A server of site(). Returns it; .root is the folder (default: a new one)."""
    sections = site(trial, root, name=name, **how)
    made = Server(trial, sections, name, environment)
    made.root = sections["store main"]["root"]
    return made


def partner(trial, port, name="there", **profile):
    """A client's configuration with one partner."""
    sections = {
        "client-profile std": {**profiles(trial)["client-profile std"], **profile},
        f"partner {name}": {"host": f"localhost:{port}", "profile": "std"},
    }
    return write_ini(trial.path(f"partner-{name}-{port}.ini"), sections)


# The forms in which a profile takes what is its own, and how a handshake with it is signed.
CREDENTIALS = {
    "ECDSA in PEM": "ECDSA", "ECDSA P-384": "ECDSA", "RSA": "RSA-PSS", "Ed25519": "Ed25519", "DER": "ECDSA",
    "an encrypted key": "ECDSA", "PKCS#12": "ECDSA", "PKCS#12 with its chain": "ECDSA", "an intermediate's": "ECDSA",
}


def credentials(trial, kind, usage="serverAuth"):
    """(the keys of a profile that has its certificate in this form, how it signs)"""
    which = {"ECDSA P-384": "p384", "RSA": "rsa", "Ed25519": "ed25519", "PKCS#12 with its chain": "of an intermediate",
             "an intermediate's": "of an intermediate"}.get(kind, "good")
    certificate, key = leafs.leaf(trial.run, which, usage)
    phrase = trial.path("passphrase")
    phrase.write_text(f"{PASSPHRASE}\nonly the first line counts\n")
    phrase.chmod(0o600)
    keys = {"certificate": certificate, "key": key}
    if kind == "DER":
        keys = {"certificate": pki.to_der(certificate, "x509", trial.path("our.der")),
                "key": pki.to_der(key, "pkey", trial.path("our-key.der"))}
    elif kind == "an encrypted key":
        keys["key"] = pki.encrypted(key, PASSPHRASE, trial.path("locked.key"))
        keys["key_passphrase_file"] = phrase
    elif kind.startswith("PKCS#12"):
        keys = {"certificate": pki.pkcs12(certificate, key, PASSPHRASE, trial.path("our.p12")), "key": None,
                "key_passphrase_file": phrase}
    return keys, CREDENTIALS[kind]


def has_fips():
    """Whether this machine's OpenSSL comes with its FIPS provider."""
    done = subprocess.run(["openssl", "list", "-providers", "-provider", "fips"], capture_output=True,
                          env={**os.environ, "LC_ALL": "C"})
    return done.returncode == 0 and b"FIPS" in done.stdout
