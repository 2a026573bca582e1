"""A flood of handshakes: transfers that run go on and arrive byte for byte, and nothing of the flood stays behind."""

import base64
import socket
import subprocess
import time

from harness import check, client, equal, files, setup, test, wait_for
from harness import peers
from harness.flood import RESET, Flood
from harness.peers import curl_options
from harness.wire import Wire, client_context

MIB = 1 << 20
GUESSES = 60


@test("host", limit=120)
def transfers_that_run_go_on(t):
    slow = 4 if t.run.sanitized else 1
    server = setup.server(t, handshake_timeout="1s")
    made, mine = files.make(server.root / "file", 64 * MIB // slow, 1), files.make(t.path("mine"), 64 * MIB // slow, 2)
    before = server.descriptors()
    url, curl = f"https://localhost:{server.port}", [peers.need("curl"), *map(str, curl_options(t))]
    rate = ["--limit-rate", f"{16 // slow}M"]  # so that both last four seconds
    running = [subprocess.Popen([*curl, *rate, "--fail", *how], stdin=subprocess.DEVNULL) for how in (
        ["-o", str(t.path("got")), f"{url}/file"], ["-T", str(mine), f"{url}/sent"])]
    t.at_end(lambda: [(one.kill(), one.wait()) for one in running])
    wait_for(lambda: len(server.find("Y14I")) == 2, "both sessions", 20 * t.run.patience)
    flood = Flood(server.port, rate=400, limit=3000, held=300)
    t.at_end(flood.end)
    flood.begin()
    for one in running:
        equal(one.wait(60 * t.run.patience), 0, "exit code of curl")
    counts = flood.counts()
    check(all(count >= 50 // slow for count in counts.values()), f"that was no flood: {counts}")
    files.same(made, t.path("got"))
    files.same(mine, server.root / "sent")
    equal(Wire(t, server.port, timeout=30).request("HEAD", "/file").status, 200, "the answer to a newcomer in the flood")
    flood.end()
    check(len(server.find("Y13E")) >= counts["garbage"] // 2, f"{len(server.find('Y13E'))} failures told of after {counts}")
    equal(len(server.find("Y14I")), 3, "sessions")
    wait_for(lambda: server.descriptors() <= before + 2, "the end of what the flood has opened", 20 * t.run.patience)


@test("host", limit=120)
def a_flood_from_one_address_meets_its_limit_and_nobody_else_does(t):
    server = setup.server(t, handshake_timeout="30s", max_connections_per_address=40)
    made, ini = files.make(server.root / "file", 16 * MIB, 3), setup.partner(t, server.port)
    client(t, "get", "there:file", t.path("first"), ini=ini).must_succeed()
    before = server.descriptors()
    flood = Flood(server.port, rate=600, limit=3000, held=200, source="127.99.0.1")
    t.at_end(flood.end)
    flood.begin()
    server.wait_event("S04W", 30 * t.run.patience)
    for number in range(3):
        client(t, "get", "there:file", t.path(f"got-{number}"), ini=ini).must_succeed()
        files.same(made, t.path(f"got-{number}"))
    wait_for(lambda: sum(flood.counts().values()) > 1000, "a thousand connections", 60 * t.run.patience)
    flood.end()
    met = server.find("S04W")
    equal({event["limit"] for event in met}, {"max_connections_per_address"}, "the limit that was met")
    equal({event["peer"].rpartition(":")[0] for event in met}, {"127.99.0.1"}, "whom it met")
    equal(len({event["ts"][:19] for event in met}) >= len(met) - 1, True, "one line a second is told")
    wait_for(lambda: server.descriptors() <= before, "the end of what the flood has opened", 20 * t.run.patience)


@test("host", limit=60)
def half_open_handshakes_end_with_the_time_for_them(t):
    server = setup.server(t, handshake_timeout="1s")
    before = server.descriptors()
    began, held = time.monotonic(), []
    for number in range(200):
        held.append(socket.create_connection(("127.0.0.1", server.port), 20, (f"127.50.0.{number % 50 + 1}", 0)))
        t.at_end(held[-1].close)
        held[-1].sendall(b"\x16\x03\x01\x02\x00\x01"[: number % 7])
    for one in held:
        equal(one.recv(1), b"", "what a client that goes no further is told")
    check(time.monotonic() - began < 10 * t.run.patience, "they were kept for longer than handshake_timeout")
    wait_for(lambda: server.descriptors() <= before, "their descriptors are closed", 20 * t.run.patience)


def guess(t, server, context, number):
    """A wrong password; returns the connection on which its answer is to come."""
    pair = base64.b64encode(b"alice:wrong %d" % number).decode()
    raw = socket.create_connection(("127.0.0.1", server.port), 30 * t.run.patience, (f"127.60.{number}.1", 0))
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    tls = context.wrap_socket(raw, server_hostname="localhost")
    t.at_end(tls.close)
    tls.sendall(f"HEAD /file HTTP/1.1\r\nHost: a\r\nAuthorization: Basic {pair}\r\n\r\n".encode())
    return tls


@test("host", limit=120)
def guesses_whose_senders_have_gone_hold_up_no_login(t):
    """A hash takes a tenth of a second here, and one thread does them all in their order."""
    made = subprocess.run(["openssl", "passwd", "-6", "-salt", "rounds=150000$saltsaltsalt", "correct horse"],
                          capture_output=True, text=True, check=True).stdout
    passwords = t.path("passwords")
    passwords.write_text(f"alice:{made}")
    passwords.chmod(0o600)
    server = setup.server(t, handshake_threads=1, password_file=passwords, server_profile={"verify": "optional"},
                          more={"class all": {"users": "*"}, "user alice": {}})
    (server.root / "file").write_bytes(b"as it is")
    context = client_context(t, None)
    guesses = [guess(t, server, context, number) for number in range(GUESSES)]
    before = len(server.find("G02W"))
    check(before < GUESSES // 2, f"the hash is too quick for this test: {before} are done already")
    for one in guesses:
        one.close()
    fields = {"Authorization": "Basic " + base64.b64encode(b"alice:correct horse").decode()}
    answer = Wire(t, server.port, certificate=None, timeout=60).request("HEAD", "/file", fields)
    equal(answer.status, 200, "what alice is told")
    equal(len(server.find("G01I", name="alice")), 1, "logins")
    check(len(server.find("G02W")) <= before + 3, f"{len(server.find('G02W')) - before} were hashed for nobody")
