"""Connections with so many small requests that OpenSSL's record layer is left for their own records."""

from harness import check, equal, files, setup, test, wait_for
from harness.wire import Wire

SMALL = b"small" * 500


@test("host", "guest")
def many_small_requests_and_then_large_bodies_in_both_directions(t):
    server = setup.server(t, server_profile={"offload": "auto"}, workers=1)
    (server.root / "small").write_bytes(SMALL)
    files.make(server.root / "large", (3 << 20) + 7, 5)
    body = (server.root / "large").read_bytes()
    wire = Wire(t, server.port)
    for number in range(40):
        equal(wire.request("GET", "/small").body, SMALL, f"body {number}")
    for number in range(20):
        wire.send_request("GET", "/small")
    for number in range(20):
        equal(wire.response().body, SMALL, f"pipelined body {number}")
    check(wire.request("GET", "/large").body == body, "a large body came wrong")
    for size in (100, 70000, len(body)):
        check(wire.request("PUT", "/new", body=body[:size]).status in (201, 204), "a PUT was refused")
        check((server.root / "new").read_bytes() == body[:size], "what was stored is not what was sent")
    equal(wire.request("GET", "/small").body, SMALL, "what comes behind")
    wait_for(lambda: len(server.find("T01I")) == 65, "the events", 10 * t.run.patience)
    told = server.find("T01I")
    equal(told[20]["tx"], "user: a small body is not worth the switch", "who encrypted a small body")
    if t.run.place == "guest":
        equal((told[60]["tx"], told[63]["rx"]), ("kernel", "kernel"), "who had the large ones")
