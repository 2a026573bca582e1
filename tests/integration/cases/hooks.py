"""[hook]: programs after transfers, told by facts, whose fate is nobody else's."""

import signal
import time

from harness import check, client, equal, files, setup, test, wait_for
from harness.wire import Wire


def script(t, name, text):
    path = t.path(name)
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)
    return path


@test("host")
def a_hook_learns_what_was_received_and_sent(t):
    told = t.path("told")
    note = script(t, "note", f'echo "$1|$SLUICE_EVENT|$SLUICE_PATH|$SLUICE_LOCAL|$SLUICE_BYTES|$SLUICE_STORE" >> {told}\n')
    server = setup.server(t, more={"hook h": {"on": ["received", "sent"], "command": f"{note} 'an argument'"}})
    ini = setup.partner(t, server.port)
    t.path("in").write_bytes(b"x" * 1000)
    client(t, "put", t.path("in"), "there:a/b c;id", ini=ini).must_succeed()
    server.wait_event("H01I", on="received")
    local = server.root / "a/b c;id"
    equal(told.read_text(), f"an argument|received|a/b c;id|{local}|1000|main\n", "what the hook was told")
    client(t, "get", "there:a/b c;id", t.path("out"), ini=ini).must_succeed()
    server.wait_event("H01I", on="sent")
    check(told.read_text().splitlines()[-1].startswith("an argument|sent|a/b c;id|"), "the hook ran after a GET")


@test("host")
def a_listing_and_a_deletion_are_no_transfers_of_files(t):
    server = setup.server(t, more={"hook h": {"on": ["received", "sent"], "command": "/bin/true"}})
    (server.root / "f").write_text("f")
    ini = setup.partner(t, server.port)
    client(t, "ls", "there:", ini=ini).must_succeed()
    client(t, "get", "there:f", t.path("out"), ini=ini).must_succeed()
    server.wait_event("H01I", on="sent")
    equal(len(server.find("H01I")), 1, "hooks that ran")


@test("host")
def who_fetches_in_parts_has_one_run_for_the_part_that_reaches_the_end(t):
    server = setup.server(t, more={"hook h": {"on": ["sent", "failed"], "command": "/bin/sh -c 'echo $SLUICE_EVENT $SLUICE_RANGE'"}})
    size = 8 << 20
    files.make(server.root / "f", size, 1)
    wire = Wire(t, server.port)
    for asked in ("bytes=0-99", "bytes=100-199", f"bytes={size - 100}-", f"bytes=0-{size - 1}"):
        wire.send_request("GET", "/f", {"Range": asked})
        equal(wire.response().status, 206, "the answer")
    server.wait_event("H01I", output=f"sent {size - 100}-{size - 1}/{size}\n")
    server.wait_event("H01I", output="sent\n")
    client(t, "get", "--streams", "3", "there:f", t.path("out"), ini=setup.partner(t, server.port)).must_succeed()
    client(t, "get", "there:f", t.path("again"), ini=setup.partner(t, server.port)).must_succeed()
    server.stop()  # which waits for the hooks
    told = [e["output"] for e in server.find("H01I")]
    equal(len(told), 4, f"runs, of {told}")
    equal(told.count("sent\n"), 2, f"whole files, of {told}")
    check(all(one == "sent\n" or one.endswith(f"-{size - 1}/{size}\n") for one in told), f"which reached the end: {told}")
    equal(server.find("H02W"), [], "what was left out")


@test("host")
def a_hook_that_fails_or_hangs_costs_no_transfer(t):
    server = setup.server(t, more={
        "hook bad": {"on": "received", "command": "/bin/false"},
        "hook slow": {"on": "received", "command": "/bin/sleep 100", "timeout": "300ms"},
    })
    ini = setup.partner(t, server.port)
    t.path("in").write_bytes(b"y" * 5000)
    began = time.monotonic()
    client(t, "put", t.path("in"), "there:f", ini=ini).must_succeed()
    check(time.monotonic() - began < 5 * t.run.patience, "the client did not wait for the hooks")
    equal((server.root / "f").read_bytes(), b"y" * 5000, "the file")
    equal(server.wait_event("H01W", hook="bad")["reason"], "it ended with exit status 1", "the reason")
    server.wait_event("H01W", hook="slow", reason="it did not end within 0.300 s, and was ended")


@test("host")
def an_upload_that_is_cut_runs_the_hook_for_failures(t):
    server = setup.server(t, more={"hook h": {"on": "failed", "command": "/bin/sh -c 'echo $SLUICE_DIRECTION $SLUICE_REASON'"}})
    wire = Wire(t, server.port)
    wire.send("PUT /cut HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nabc")
    server.wait_event("G01I")
    wire.abort()
    check(server.wait_event("H01I")["output"].startswith("in "), "the hook learnt the direction")


@test("host")
def a_reload_changes_hooks_and_refuses_programs_that_are_not_there(t):
    server = setup.server(t, more={"hook h": {"on": "received", "command": "/bin/echo first"}})
    ini = setup.partner(t, server.port)
    t.path("in").write_bytes(b"z")
    client(t, "put", t.path("in"), "there:f", ini=ini).must_succeed()
    equal(server.wait_event("H01I")["output"], "first\n", "the output")
    text = server.ini.read_text()
    server.ini.write_text(text.replace("/bin/echo first", "/no/such/thing"))
    server.process.send_signal(signal.SIGHUP)
    server.wait_event("S10E")
    server.ini.write_text(text.replace("first", "second"))
    server.process.send_signal(signal.SIGHUP)
    server.wait_event("S10I")
    client(t, "put", t.path("in"), "there:g", ini=ini).must_succeed()
    server.wait_event("H01I", output="second\n")


@test("host")
def nothing_of_the_server_reaches_a_hook(t):
    # The limit on descriptors comes a moment after the start, at once where nobody else is at work.
    look = script(t, "look", 'for i in $(seq 100); do test "$(ulimit -n)" -le 1024 && break; sleep 0.1; done; '
                             'ls -l /proc/self/fd | tail -n +2 | wc -l; ulimit -n; '
                             'grep -E "^Sig(Blk|Ign)" /proc/self/status; env | grep -c SECRET\n')
    server = setup.server(t, environment={"SECRET": "x"}, more={"hook h": {"on": "received", "command": str(look)}})
    t.path("in").write_bytes(b"z")
    client(t, "put", t.path("in"), "there:f", ini=setup.partner(t, server.port)).must_succeed()
    output = wait_for(lambda: server.find("H01W") + server.find("H01I"), "the hook", 10 * t.run.patience)[-1]["output"]
    lines = output.split("\n")
    equal(lines[0], "4", "open descriptors: three and that of the listing")
    check(int(lines[1]) <= 1024, f"the limit on descriptors is {lines[1]}")
    equal(lines[2], "SigBlk:\t0000000000000000", "signals that are blocked")
    equal(int(lines[3].split()[1], 16) & 0x7FFFFFFF, 0, "signals that are ignored, but for those of libc")
    equal(lines[4], "0", "variables of the server's own")
