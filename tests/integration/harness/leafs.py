"""Certificates by what is wrong with them: for a client (usage clientAuth) or for a server (serverAuth)."""

from .pki import LOCALHOST, Authority, to_der

A_SECOND = 1 / 86400

OTHER_USAGE = {"clientAuth": "serverAuth", "serverAuth": "clientAuth"}


def other(run):
    """A CA that nobody trusts unless a test says so."""
    return run.shared("other CA", lambda: Authority(run.folder / "other-pki", "Somebody else's CA"))


def intermediate(run):
    return run.pki.below("Sluice intermediate")


def deep(run, count=3):
    """The last of `count` CAs in a row below the root."""
    authority = run.pki
    for number in range(count):
        authority = authority.below(f"Sluice level {number + 1}")
    return authority


def _too_deep(run, name, usage):
    """Its issuer says that no CA may stand below it, and one does."""
    return run.pki.below("Sluice last", length=0).below("Sluice beyond").leaf(name, usage)


def _revoked(run, name, usage):
    def make():
        made = run.pki.leaf(name, usage)
        run.pki.revoke(made[0])
        return made

    return run.shared(name, make)


def _many_names(run, name, usage):
    subject = "C=FR\nO=Acme, Inc.\nOU=one\nOU=two\nCN=n\u0153ud 7\n+UID=u7"
    return run.pki.leaf(name, usage, subject=subject)


def _nul(run, name, usage):
    """Read as a C string its CN is "node7", and its first name "localhost"."""
    change = (b"node7@evil.example", b"node7\0evil.example")
    return run.pki.leaf(name, usage, subject="O=Sluice\nCN=node7@evil.example", change=change)


LEAFS = {
    "good": lambda run, name, usage: run.pki.leaf(name, usage),
    "rsa": lambda run, name, usage: run.pki.leaf(name, usage, "rsa"),
    "ed25519": lambda run, name, usage: run.pki.leaf(name, usage, "ed25519"),
    "p384": lambda run, name, usage: run.pki.leaf(name, usage, "p384"),
    "any usage": lambda run, name, usage: run.pki.leaf(name, None, key_usage=None, names="DNS:localhost,IP:127.0.0.1"),
    "key agreement": lambda run, name, usage: run.pki.leaf(name, usage, key_usage="critical,keyAgreement"),
    "of an intermediate": lambda run, name, usage: intermediate(run).leaf(name, usage),
    "without its chain": lambda run, name, usage: intermediate(run).leaf(name, usage, chain=False),
    "deep": lambda run, name, usage: deep(run).leaf(name, usage),
    "too deep": _too_deep,
    "expired": lambda run, name, usage: run.pki.leaf(name, usage, starts=-10, ends=-2),
    "not yet valid": lambda run, name, usage: run.pki.leaf(name, usage, starts=2, ends=10),
    "expires soon": lambda run, name, usage: run.pki.leaf(name, usage, ends=5.5),
    "wrong usage": lambda run, name, usage: run.pki.leaf(name, OTHER_USAGE[usage], names=LOCALHOST),
    "wrong key usage": lambda run, name, usage: run.pki.leaf(name, usage, key_usage="critical,dataEncipherment"),
    "other CA": lambda run, name, usage: other(run).leaf(name, usage),
    "revoked": _revoked,
    "wrong name": lambda run, name, usage: run.pki.leaf(name, usage, names="DNS:elsewhere.example"),
    "weak key": lambda run, name, usage: run.pki.leaf(name, usage, "rsa1024"),
    "sha1": lambda run, name, usage: run.pki.leaf(name, usage, digest="sha1"),
    "many names": _many_names,
    "nul": _nul,
    "bankrupt": lambda run, name, usage: run.pki.leaf(name, usage, subject="O=Sluice\nCN=bankrupt"),
    "bank": lambda run, name, usage: run.pki.leaf(name, usage, subject="O=Sluice\nCN=Bank"),
}


def leaf(run, which, usage="clientAuth"):
    """(certificate, key). None is nobody's."""
    return which and LEAFS[which](run, f"{usage}-{which.replace(' ', '-')}", usage)


def crl(run):
    """What the root has revoked: the certificates "revoked" of both kinds."""
    for usage in OTHER_USAGE:
        leaf(run, "revoked", usage)
    return run.pki.crl("current")


def crl_der(run):
    return run.shared("CRL in DER", lambda: to_der(crl(run), "crl", run.folder / "current.crl.der"))
