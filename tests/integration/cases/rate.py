"""--limit-rate and a partner's limit_rate: a body takes at least as long as it must, and who holds it back is said.

Nothing here says how fast anything is: a machine that is busy is slower, and that is no failure.
"""

import time

from harness import check, client, equal, files, setup, test
from harness import leafs, peers, pki
from harness.peers import curl_options, tool

MIB = 1 << 20
SIZE = 3 * MIB
RATE = 2 * MIB
LEAST = 1.0  # seconds: 1.5 by the rate, less what is allowed at once


def timed(action):
    began = time.monotonic()
    result = action()
    return time.monotonic() - began, result


def site(t, **how):
    server = setup.server(t, **how)
    files.make(server.root / "file", SIZE, 3)
    return server, setup.partner(t, server.port)


def of_the_partner(t, port, **keys):
    """The configuration of a client whose partner has these keys."""
    ini = setup.partner(t, port)
    ini.write_text(ini.read_text() + "".join(f"{key} = {value}\n" for key, value in keys.items()))
    return ini


def limited_partner(t, rate):
    """What makes the client's certificate a partner's of the server, whose sessions are held to `rate`."""
    return {"partner node7": {"match_fingerprint": pki.fingerprint(t.run.pki.client()[0]), "limit_rate": rate}}


@test("host", "guest")
def what_our_server_sends_its_kernel_holds_back(t):
    server, ini = site(t)
    took, result = timed(lambda: client(t, "get", "--json", "--limit-rate", "2M", "there:file", t.path("got"), ini=ini))
    transfer = result.must_succeed().transfer
    files.same(server.root / "file", t.path("got"))
    check(took >= LEAST, f"{SIZE} bytes at {RATE} bytes per second took {took:.2f} s")
    equal((transfer["limit"], transfer["limited_by"]), (RATE, "the server"), "the limit, as the client tells it")
    equal(server.wait_event("T01I", path="file")["limit"], "2M", "the limit, as the server tells it")


@test("host", "guest")
def what_we_send_our_kernel_holds_back(t):
    server, ini = site(t)
    mine = files.make(t.path("mine"), SIZE, 4)
    took, result = timed(lambda: client(t, "put", "--json", "--limit-rate", "2M", mine, "there:sent", ini=ini))
    transfer = result.must_succeed().transfer
    files.same(mine, server.root / "sent")
    check(took >= LEAST, f"{SIZE} bytes at {RATE} bytes per second took {took:.2f} s")
    equal((transfer["limit"], transfer["limited_by"]), (RATE, "our kernel"), "the limit, as the client tells it")


@test("host")
def a_server_that_knows_nothing_of_limits_is_read_slowly(t):
    root = t.make_folder("www")
    files.make(root / "file", SIZE, 5)
    ini = setup.partner(t, peers.nginx(t, root))
    took, result = timed(lambda: client(t, "get", "--json", "--limit-rate", "2M", "there:file", t.path("got"), ini=ini))
    transfer = result.must_succeed().transfer
    files.same(root / "file", t.path("got"))
    check(took >= LEAST, f"{SIZE} bytes at {RATE} bytes per second took {took:.2f} s")
    equal((transfer["limit"], transfer["limited_by"]), (RATE, "reading slowly"), "the limit, as the client tells it")


@test("host")
def the_line_at_the_end_says_the_limit(t):
    _, ini = site(t)
    said = client(t, "get", "--limit-rate", "64M", "there:file", t.path("got"), ini=ini).must_succeed().output
    check("held to 64M/s by the server" in said, said)
    said = client(t, "get", "there:file", t.path("got2"), ini=ini).must_succeed().output
    check("held to" not in said, said)


@test("host")
def the_lower_limit_of_command_and_partner_holds(t):
    server, _ = site(t)
    for given, key, wanted in (("64M", "32M", 32 * MIB), ("32M", "64M", 32 * MIB), (None, "16M", 16 * MIB)):
        ini = of_the_partner(t, server.port, limit_rate=key)
        options = ["--limit-rate", given] if given else []
        transfer = client(t, "get", "--json", *options, "there:file", t.path(f"got-{given}"), ini=ini).must_succeed().transfer
        equal(transfer["limit"], wanted, f"the limit of --limit-rate {given} with limit_rate = {key}")


@test("host", "guest", each=["get", "put"])
def a_partner_is_held_to_its_limit_by_the_server_whatever_its_client(t, way):
    server, _ = site(t, more=limited_partner(t, "2M"))
    url = f"https://localhost:{server.port}"
    mine = files.make(t.path("mine"), SIZE, 6)
    if way == "get":
        took, _ = timed(lambda: tool(t, "curl", *curl_options(t), "-o", t.path("got"), f"{url}/file"))
        files.same(server.root / "file", t.path("got"))
    else:
        took, _ = timed(lambda: tool(t, "curl", *curl_options(t), "-f", "-T", mine, f"{url}/sent"))
        files.same(mine, server.root / "sent")
    check(took >= LEAST, f"{SIZE} bytes at {RATE} bytes per second took {took:.2f} s")
    equal(server.wait_event("T01I", path="file" if way == "get" else "sent")["limit"], "2M", "the limit in the event")


@test("host")
def sessions_of_one_partner_share_its_limit(t):
    server, _ = site(t, more=limited_partner(t, "2M"))
    certificate, key = t.run.pki.client()
    files.make(server.root / "two", 4 * MIB, 7)
    took, _ = timed(lambda: tool(
        t, "aria2c", "-q", "-x", "4", "-s", "4", "-k", "1M", f"--ca-certificate={t.run.pki.certificate}",
        f"--certificate={certificate}", f"--private-key={key}", "-d", t.folder, "-o", "got", f"https://localhost:{server.port}/two"))
    files.same(server.root / "two", t.path("got"))
    check(took >= LEAST, f"{4 * MIB} bytes over four sessions at {RATE} bytes per second in all took {took:.2f} s")


@test("host")
def a_partner_who_asks_for_more_than_its_limit_gets_its_limit(t):
    server, _ = site(t, more=limited_partner(t, "16M"))
    answer = tool(t, "curl", *curl_options(t), "-D", "-", "-o", t.path("got"), "-H", "Sluice-Limit-Rate: 99999999",
                  f"https://localhost:{server.port}/file").stdout.decode()
    check(f"Sluice-Limit-Rate: {16 * MIB}\r\n" in answer, answer)


@test("host", each=["0", "-1", "1e9", "99999999999999999999999", "fast", ""])
def a_wish_that_is_no_rate_is_passed_over(t, wish):
    server, _ = site(t)
    answer = tool(t, "curl", *curl_options(t), "-D", "-", "-o", t.path("got"), "-H", f"Sluice-Limit-Rate: {wish}",
                  f"https://localhost:{server.port}/file").stdout.decode()
    check("200 OK" in answer and "Sluice-Limit-Rate" not in answer, answer)
    files.same(server.root / "file", t.path("got"))


@test("host")
def a_limit_ends_with_the_request_that_asked_for_it(t):
    """One connection: a limited request, then one without a limit, which would take minutes under the first one's."""
    server, _ = site(t)
    files.make(server.root / "small", 30_000, 8)
    files.make(server.root / "large", 24 * MIB, 9)
    url = f"https://localhost:{server.port}"
    tool(t, "curl", *curl_options(t), "-H", "Sluice-Limit-Rate: 65536", "-o", t.path("one"), f"{url}/small",
         "--next", *curl_options(t), "-o", t.path("two"), f"{url}/large", timeout=40)
    files.same(server.root / "large", t.path("two"))
    equal(len(server.find("Y14I")), 1, "sessions")
    check("limit" not in server.wait_event("T01I", path="large"), "the second request was limited, too")


@test("host", each=["get", "put"])
def a_slow_transfer_is_not_taken_for_a_dead_one(t, way):
    """Longer than both sides wait for progress. The first ten packets go unpaced: 640 KiB on loopback."""
    server, _ = site(t, idle_timeout="3s")
    files.make(server.root / "slow", 1 << 20, 9)
    mine = files.make(t.path("mine"), 1 << 20, 10)
    ini = setup.partner(t, server.port)
    names = ["there:slow", t.path("got")] if way == "get" else [mine, "there:sent"]
    took, result = timed(lambda: client(t, way, "--limit-rate", "96K", "--idle-timeout", "3", *names, ini=ini))
    result.must_succeed()
    check(took >= 3.2, f"1 MiB at 96 KiB per second took {took:.2f} s")
    files.same(*((server.root / "slow", t.path("got")) if way == "get" else (mine, server.root / "sent")))


@test("host", each=["0", "10", "fast", "1MB"])
def a_wrong_rate_is_a_usage_error(t, rate):
    said = client(t, "get", "--limit-rate", rate, "there:file", t.path("got")).must_fail(2).errors
    check("--limit-rate" in said and rate in said, said)


@test("host")
def a_listing_takes_no_limit(t):
    said = client(t, "ls", "--limit-rate", "1M", "there:").must_fail(2).errors
    check("get and put" in said, said)
