"""Who moves which body: the kernel puts connections where it likes, and long bodies go where there are fewest."""

import base64
import hashlib
import os
import signal
from collections import Counter
from pathlib import Path

from harness import check, client, equal, files, setup, test
from harness.case import Failure, wait_for
from harness.wire import Wire

LONG = 64 << 20  # more than the sockets of a connection hold: who does not read keeps it under way


def session_of(server, wire):
    host, port = wire.socket.getsockname()
    return server.wait_event("Y14I", peer=f"{host}:{port}")


def on_one_worker(t, server, count):
    """So many connections of one of two workers, and which one it is: of twice as many, half are on the same."""
    found = {}
    for _ in range(2 * count - 1):
        wire = Wire(t, server.port)
        found.setdefault(session_of(server, wire)["worker"], []).append(wire)
        for worker, wires in found.items():
            if len(wires) == count:
                return wires, worker
    raise Failure("there are more than two workers")


def hollow(path, size):
    with open(path, "wb") as made:
        made.truncate(size)
    return path


def begin_get(wire, path, fields=None):
    """Until its head is here: by then it is decided who sends the body."""
    wire.send_request("GET", path, fields)
    equal(wire._line().split()[1], "200", "status")


def end_get(wire, size):
    while wire._line():
        pass
    came, wire._left = len(wire._left), b""
    while came < size and (piece := wire.socket.recv(1 << 20)):
        came += len(piece)
    equal(came, size, "bytes that came")


def long_gets(t, count):
    """A server with two workers, and so many connections that one of them took, each with a long body under way."""
    server = setup.server(t, workers=2)
    hollow(server.root / "long", LONG)
    wires, _ = on_one_worker(t, server, count)
    for wire in wires:
        begin_get(wire, "/long")
    return server, wires


def told(server, wires, direction, *ids):
    peers = {"{}:{}".format(*wire.socket.getsockname()) for wire in wires}

    def lines():
        return [e for i in ids or ("T01I",) for e in server.find(i, direction=direction) if e["peer"] in peers]

    wait_for(lambda: len(lines()) >= len(wires), "what became of each of them", 30)
    return Counter(e["worker"] for e in lines())


@test("host", limit=60)
def long_bodies_that_begin_on_one_worker_are_spread(t):
    server, wires = long_gets(t, 4)
    for wire in wires:
        end_get(wire, LONG)
    equal(told(server, wires, "out"), {0: 2, 1: 2}, "bodies by worker")
    # They stay where they are now, and short bodies move nobody.
    files.make(server.root / "short", 1000, 1)
    for wire in wires:
        equal(wire.request("GET", "/short").status, 200, "status")
    short = wait_for(lambda: (found := server.find("T01I", path="short"))[3:] and found, "that four short bodies are told of")
    equal(Counter(e["worker"] for e in short), {0: 2, 1: 2}, "short bodies by worker")


@test("host", limit=60)
def long_uploads_that_begin_on_one_worker_are_spread(t):
    server = setup.server(t, workers=2, anonymous="write")
    body = os.urandom(4 << 20)
    wires, _ = on_one_worker(t, server, 4)
    for number, wire in enumerate(wires):
        wire.send_request("PUT", f"/sent/{number}", {"Content-Length": len(body), "Expect": "100-continue"})
        equal(wire.response().status, 100, "status")
        wire.send(body[:100000])
    for wire in wires:
        wire.send(body[100000:])
    for number, wire in enumerate(wires):
        equal(wire.response().status, 201, "status")
        equal((server.root / f"sent/{number}").read_bytes(), body, "what was stored")
    equal(told(server, wires, "in"), {0: 2, 1: 2}, "bodies by worker")


@test("host", limit=60)
def a_digest_that_is_computed_meanwhile_is_heard_of_by_whoever_has_the_session(t):
    server = setup.server(t, workers=2)
    want = {"Want-Repr-Digest": "sha-256=1"}
    for number in range(3):
        hollow(server.root / f"long-{number}", LONG + number)
    wires, _ = on_one_worker(t, server, 3)
    for number, wire in enumerate(wires):
        begin_get(wire, f"/long-{number}", want)
    for number, wire in enumerate(wires):
        end_get(wire, LONG + number)
    check(len(told(server, wires, "out")) == 2, "none was handed over")
    for number, wire in enumerate(wires):
        answer = wire.request("HEAD", f"/long-{number}", want)
        digest = hashlib.sha256(bytes(LONG + number)).digest()
        equal(answer.fields.get("repr-digest"), f"sha-256=:{base64.b64encode(digest).decode()}:", "digest")


@test("host", limit=60)
def bodies_that_were_handed_over_end_before_the_server_does(t):
    server, wires = long_gets(t, 3)
    server.process.terminate()
    for wire in wires:
        end_get(wire, LONG)
    server.stop()
    check(len(told(server, wires, "out")) == 2, "none was handed over")


@test("host", limit=60)
def bodies_that_were_handed_over_end_with_a_server_in_a_hurry(t):
    server, wires = long_gets(t, 3)
    server.process.send_signal(signal.SIGTERM)
    server.process.send_signal(signal.SIGINT)  # and there is no time for bodies
    server.stop()


@test("host", limit=60)
def who_is_handed_over_keeps_the_model_it_began_with(t):
    server = setup.server(t, workers=2)
    hollow(server.root / "long", LONG)
    wires, _ = on_one_worker(t, server, 3)
    begin_get(wires[0], "/long")
    begin_get(wires[1], "/long")
    server.process.send_signal(signal.SIGHUP)
    server.wait_event("S10I")
    begin_get(wires[2], "/long")
    for wire in wires:
        end_get(wire, LONG)
    check(len(told(server, wires, "out")) == 2, "none was handed over")
    equal(wires[0].request("GET", "/long", {"Range": "bytes=0-0"}).fields.get("connection"), "close", "the next answer")


def allowed(server):
    """The processors each thread may run on, by its name."""
    found = {}
    for task in Path(f"/proc/{server.process.pid}/task").iterdir():
        lines = dict(line.split(":\t", 1) for line in (task / "status").read_text().splitlines() if ":\t" in line)
        found[lines["Name"]] = lines["Cpus_allowed_list"]
    return found


@test("host", "guest", limit=60)
def workers_are_pinned_and_nobody_else_is(t):
    usable = sorted(os.sched_getaffinity(0))
    server = setup.server(t, workers=len(usable), pin_workers="yes")
    names = {f"worker-{n}" for n in range(len(usable))}
    wait_for(lambda: names <= set(allowed(server)), "that each worker has its name")
    threads = allowed(server)
    equal([threads.pop(f"worker-{n}") for n in range(len(usable))], [str(cpu) for cpu in usable], "the workers' processors")
    equal(set(threads.values()), {allowed_here()}, f"where others may run, of {sorted(threads)}")
    pinned = server.find("S01I")[0]["pinned"]
    check(pinned.startswith(str(usable[0])) and pinned.endswith(str(usable[-1])), f"S01I says: {pinned}")


@test("host", limit=60)
def more_workers_than_processors_are_not_pinned(t):
    server = setup.server(t, workers=len(os.sched_getaffinity(0)) + 1, pin_workers="yes")
    equal(set(allowed(server).values()), {allowed_here()}, "where threads may run")
    equal(server.find("S01I")[0]["pinned"], "no: more workers than processors", "what S01I says")
    other = setup.server(t, name="other", workers=1, pin_workers="no")
    equal(set(allowed(other).values()), {allowed_here()}, "where threads may run")
    equal(other.find("S01I")[0]["pinned"], "no", "what S01I says")


def allowed_here():
    return next(line.split()[1] for line in Path("/proc/self/status").read_text().splitlines()
                if line.startswith("Cpus_allowed_list"))


@test("host", limit=60)
def whoever_reads_gets_a_file_past_64_who_do_not(t):
    server = setup.server(t, workers=1)
    hollow(server.root / "long", LONG)
    source = files.make(server.root / "file", 3 << 20, 1)
    silent = [Wire(t, server.port) for _ in range(64)]  # a worker has 32 buffers
    for wire in silent:
        wire.send_request("GET", "/long")
    ini = setup.partner(t, server.port)
    client(t, "get", "there:file", t.path("got"), ini=ini).must_succeed()
    files.same(source, t.path("got"))
    check(not server.find("T01I", path="long"), "one that does not read is done")
    # Nothing is lost to those who waited: what was read for them is read again.
    equal(silent[0]._line().split()[1], "200", "status")
    end_get(silent[0], LONG)
