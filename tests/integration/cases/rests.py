"""Connections that wait for so long that OpenSSL's part of them is given up, where there is no kernel to take it."""

import os
import socket
import ssl
import time

from harness import check, equal, files, setup, test, wait_for
from harness.clients import s_client
from harness.wire import Wire, alert_of

SMALL = b"small" * 500
AWAKE, RETIRED = "user: a small body is not worth the switch", "user: offload = off"


def site(t):
    server = setup.server(t, server_profile={"offload": "off"}, workers=1, idle_timeout="10m")
    (server.root / "small").write_bytes(SMALL)
    files.make(server.root / "large", (3 << 20) + 7, 5)
    return server


def opened(t, server):
    """A connection after its first request."""
    wire = Wire(t, server.port)
    equal(wire.request("GET", "/small").body, SMALL, "the first body")
    return wire


def wait_until_all_rest(t, server):
    """
    The worker has them in the order in which they fell silent: once one that came after all others rests, they do. It is
    asked whether it does, which begins its rest anew: so with more and more patience.
    """
    scout = opened(t, server)
    equal(server.wait_event("T01I", 10 * t.run.patience)["tx"], AWAKE, "what is told of the first")
    for pause in (4, 8, 16, 32):
        time.sleep(pause)
        told = len(server.find("T01I"))
        equal(scout.request("GET", "/small").body, SMALL, "body")
        wait_for(lambda: len(server.find("T01I")) > told, "the event", 10 * t.run.patience)
        if server.find("T01I")[-1]["tx"] == RETIRED:
            return scout
    return check(False, "nothing was retired in a minute")


class Updating:
    """A client that renews its key, or asks for ours, before a request."""

    def __init__(self, t, server):
        self._process, self._log = s_client(t, server.port)
        self._seconds = 20 * t.run.patience

    def _wait(self, what, count):
        wait_for(lambda: self._log.read_bytes().count(what) == count, f"{what} number {count}", self._seconds)

    def ask(self, count, command=None):
        if command:
            self._process.stdin.write(command)
            self._wait(b"KEYUPDATE", count - 1)
        self._process.stdin.write(b"HEAD /small HTTP/1.1\r\nHost: a\r\n\r\n")
        self._wait(b"HTTP/1.1 200", count)


def forge(wire):
    """Sends a record that nobody has made. Returns the alert that answers it."""
    with socket.socket(fileno=os.dup(wire.socket.fileno())) as below:
        below.sendall(b"\x17\x03\x03\x00\x40" + bytes(64))
    try:
        return wire.socket.recv(100)
    except ssl.SSLError as problem:
        return alert_of(problem)


@test("host")
def connections_that_rest_go_on_as_if_nothing_had_been(t):
    server = site(t)
    first, large, put, leaves, breaks, forged, stays = (opened(t, server) for _ in range(7))
    updating = Updating(t, server)
    updating.ask(1)
    scout = wait_until_all_rest(t, server)

    first.send("GET /small HTT")
    first.send("P/1.1\r\nHost: a\r\n\r\n")
    equal(first.response().body, SMALL, "what was asked for in two pieces")
    first.send_request("GET", "/small")  # two at once
    first.send_request("GET", "/small", {"Range": "bytes=5-9"})
    equal((first.response().body, first.response().body), (SMALL, SMALL[5:10]), "bodies")
    equal(first.request("GET", "/small", {"X-Long": "x" * 7000}).body, SMALL, "the answer to a long head")
    body = (server.root / "large").read_bytes()
    check(large.request("GET", "/large").body == body, "a large body came wrong")
    for size in (100, 70000, len(body)):
        check(put.request("PUT", "/new", body=body[:size]).status in (201, 204), "a PUT was refused")
        check((server.root / "new").read_bytes() == body[:size], "what was stored is not what was sent")
    equal(put.request("GET", "/small").body, SMALL, "what comes behind a PUT")
    for count, command in enumerate((b"K\n", b"k\n", b"K\n"), 2):
        updating.ask(count, command)

    before = server.descriptors()
    leaves.goodbye()
    breaks.abort()
    equal(forge(forged), "bad_record_mac", "what the peer hears")
    wait_for(lambda: server.descriptors() <= before - 3, "the end of three connections", 20 * t.run.patience)
    equal(scout.request("GET", "/small").body, SMALL, "what others get")
    server.stop()
    stays.end()
