"""A flood of handshakes: transfers that run go on and arrive byte for byte, and nothing of the flood stays behind."""

import subprocess

from harness import check, equal, files, setup, test, wait_for
from harness import peers
from harness.flood import Flood
from harness.peers import curl_options
from harness.wire import Wire

MIB = 1 << 20


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
