"""Many clients at once. Run with the server built with ThreadSanitizer, too, whose findings end it with a status of its own."""

from concurrent.futures import ThreadPoolExecutor

from harness import check, client, equal, files, setup, test
from harness.wire import Wire

CLIENTS = 64
SIZE = (1 << 20) + 333


def all_at_once(work):
    """Runs work(number) for every client at the same time; the first problem is the test's."""
    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(work, range(CLIENTS)))


@test("host", "guest", limit=120)
def sixty_four_clients_send_and_fetch_at_once(t):
    # 64 programs that start at once leave an emulated machine little for handshakes.
    server = setup.server(t, handshake_timeout="90s", header_timeout="90s")
    patient = ("--connect-timeout", "90")
    source = files.make(server.root / "source", SIZE, 1)
    ini = setup.partner(t, server.port)

    def work(number):
        if number % 2:
            client(t, "get", *patient, "there:source", t.path(f"got-{number}"), ini=ini).must_succeed()
            files.same(source, t.path(f"got-{number}"))
        else:
            client(t, "put", *patient, source, f"there:sent/{number}", ini=ini).must_succeed()
            files.same(source, server.root / f"sent/{number}")

    all_at_once(work)
    equal(len(server.find("T01I", path="source")), CLIENTS // 2, "files that the server sent")
    equal(files.listing(server.root), sorted(["source"] + [f"sent/{n}" for n in range(0, CLIENTS, 2)]), "the store")


@test("host", limit=120)
def sixty_four_kept_connections_with_good_and_bad_ends(t):
    server = setup.server(t)
    body = files.make(server.root / "source", 200_000, 2).read_bytes()

    def work(number):
        wire = Wire(t, server.port, version="1.2" if number % 5 == 0 else "1.3")
        for turn in range(3):
            equal(wire.request("GET", "/source").body, body, "body")
            check(wire.request("PUT", f"/own/{number}", body=body).status in (201, 204), "PUT was refused")
            check(wire.request("PUT", "/all", body=body).status in (201, 204), "PUT of a name that all write was refused")
            equal(wire.request("GET", "/nowhere").status, 404, "status")
        if number % 3 == 0:
            wire.goodbye()
        elif number % 3 == 1:
            wire.send(f"PUT /cut-{number} HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nabc")
            wire.abort()
        else:
            wire.abort()

    all_at_once(work)
    wanted = sorted(["all", "source"] + [f"own/{n}" for n in range(CLIENTS)])
    equal((server.root / "all").read_bytes(), body, "the file that all wrote")
    server.stop()
    equal(files.listing(server.root), wanted, "the store")


@test("host", limit=120)
def a_server_that_is_asked_to_stop_lets_transfers_end(t):
    server = setup.server(t)
    large = files.make(server.root / "large", 64 << 20, 3)
    wire = Wire(t, server.port)
    wire.send("GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
    wire.socket.recv(1)
    server.process.terminate()
    received = 1
    while piece := wire.socket.recv(1 << 20):
        received += len(piece)
    check(received > large.stat().st_size, f"only {received} bytes came")
    server.stop()
