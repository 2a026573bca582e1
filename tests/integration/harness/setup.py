"""The configurations that most tests begin with."""

from .run import tls_counters
from .sluice import Server, write_ini

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


def server(trial, root=None, anonymous=None, server_profile=None, name="server", **limits):
    """One protocol on loopback over `root` (default: a new folder "store"). Returns the server; .root is the folder."""
    root = root or trial.make_folder(f"store-{name}")
    pair = profiles(trial)
    sections = {
        "server": {"events": "json", **limits},
        "store main": {"root": root, "anonymous": anonymous},
        "server-profile std": {**pair["server-profile std"], **(server_profile or {})},
        "protocol main": {"listen": "127.0.0.1:0", "profile": "std", "store": "main"},
    }
    made = Server(trial, sections, name)
    made.root = root
    return made


def partner(trial, port, name="there", **profile):
    """A client's configuration with one partner."""
    sections = {
        "client-profile std": {**profiles(trial)["client-profile std"], **profile},
        f"partner {name}": {"host": f"localhost:{port}", "profile": "std"},
    }
    return write_ini(trial.path(f"partner-{name}-{port}.ini"), sections)
