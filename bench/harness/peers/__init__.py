"""Who takes part: servers and clients, and the pairs that names in scenarios.ini stand for.

A name is SERVER+CLIENT, or one word for both ends (PAIRS), with what is asked of ours behind colons:
"sluice:digests", "sluice:path=direct", "sluice:streams=4", "sluice:offload=off+curl".
"""
from harness.peers import apache, clients, crowd, haproxy, iperf3, nginx, openssl, sluice, ssh
from harness.peers.base import Contender

SERVERS = {"sluice": sluice.Server, "nginx": nginx.Server, "nginx-ktls": nginx.WithKtls, "apache": apache.Server,
           "haproxy": haproxy.Server, "openssl": openssl.Server, "sshd": ssh.Server, "iperf3": iperf3.Server}
CLIENTS = {"sluice": sluice.Client, "curl": clients.Curl, "wget": clients.Wget, "aria2": clients.Aria2,
           "rclone": clients.Rclone, "scp": ssh.Scp, "scp-aes": ssh.ScpAes, "rsync": ssh.Rsync, "tar": ssh.Tar,
           "iperf3": iperf3.Client, "h2load": clients.H2load, "crowd": crowd.Crowd}
PAIRS = {"sluice": ("sluice", "sluice"), "scp": ("sshd", "scp"), "scp-aes": ("sshd", "scp-aes"), "rsync": ("sshd", "rsync"),
         "tar": ("sshd", "tar"), "iperf3": ("iperf3", "iperf3")}
OPTIONS = ("digests", "path", "streams", "offload")


class Unknown(Exception):
    """A name that stands for nobody."""


def _split(word):
    """("sluice", {"path": "direct", "digests": True}) of "sluice:path=direct:digests"."""
    name, *options = word.split(":")
    found = {}
    for option in options:
        key, _, value = option.partition("=")
        if key not in OPTIONS or (key == "digests") == bool(value) or key == "streams" and not value.isdigit():
            raise Unknown(f'"{option}" in "{word}" is nothing that can be asked; write digests, path=NAME, offload=off or streams=NUMBER')
        found[key] = value or True
    return name, found


def pair(name):
    """(server, client, options) of a contender's name."""
    if "+" not in name:
        both, options = _split(name)
        if both not in PAIRS:
            raise Unknown(f'"{both}" is no contender; there are {", ".join(PAIRS)} and SERVER+CLIENT')
        server, client = PAIRS[both]
    else:
        server, _, client = name.partition("+")
        server, options = _split(server)
    if server not in SERVERS or client not in CLIENTS:
        kind, known, word = ("server", SERVERS, server) if server not in SERVERS else ("client", CLIENTS, client)
        raise Unknown(f'"{word}" in "{name}" is no {kind}; there are {", ".join(known)}')
    if options and "sluice" not in (server, client):
        raise Unknown(f'"{name}": only sluice can be asked for {", ".join(options)}')
    return server, client, options


def contender(name, scenario, place):
    server, client, options = pair(name)
    return Contender(name, scenario, place, options, SERVERS[server], CLIENTS[client])
