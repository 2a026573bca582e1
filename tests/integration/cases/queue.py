"""--queue: what the running server carries out, tries again, and keeps through its own death."""

import signal
import socket
import sqlite3
import time

from harness import check, client, equal, setup, test, wait_for, write_ini
from harness.sluice import Server


def node(t, port, name="node", catalog="catalog", **partner):
    """A server with a catalog, whose partner `there` is at `port`."""
    sections = setup.site(t, name=name, more={
        "client-profile std": setup.profiles(t)["client-profile std"],
        "partner there": {"host": f"localhost:{port}", "profile": "std", **partner},
    })
    sections["server"]["catalog"] = t.path(catalog)
    return sections


def free_port():
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        return made.getsockname()[1]


def queue(t, ini, *arguments):
    output = client(t, arguments[0], "--queue", *arguments[1:], ini=ini).must_succeed().output
    check(output.startswith("queued: "), f"the answer is {output!r}")
    return output.split()[1]


def state(t, identity, catalog="catalog"):
    """(state, retries, reason), straight from the file, as documented."""
    number = 0
    for digit in identity:
        number = number * 32 + "0123456789abcdefghjkmnpqrstvwxyz".index(digit)
    with sqlite3.connect(f"file:{t.path(catalog)}?mode=ro", uri=True, timeout=10) as file:
        row = file.execute("SELECT state, retries, reason FROM transfer WHERE id = ?", (number,)).fetchone()
    file.close()
    check(row, f"there is no transfer {identity}")
    return row


WAITING, RUNNING, HELD, DONE, FAILED, CANCELLED = range(6)


def wait_state(t, identity, wanted, seconds=20):
    return wait_for(lambda: state(t, identity)[0] == wanted and state(t, identity), f"{identity} in state {wanted}",
                    seconds * t.run.patience)


@test("host")
def queued_files_are_sent_and_fetched(t):
    there = setup.server(t, name="there")
    here = Server(t, node(t, there.port), "here")
    t.path("a").write_bytes(b"a" * 3000)
    (there.root / "b").write_bytes(b"b" * 4000)
    one = queue(t, here.ini, "put", t.path("a"), "there:sub/a")
    two = queue(t, here.ini, "get", "there:b", t.path("copy"))
    wait_state(t, one, DONE)
    wait_state(t, two, DONE)
    equal((there.root / "sub/a").read_bytes(), b"a" * 3000, "what was sent")
    equal(t.path("copy").read_bytes(), b"b" * 4000, "what was fetched")
    equal(here.wait_event("Q01I", transfer=one)["bytes"], 3000, "bytes")


@test("host")
def what_is_queued_before_the_server_runs_is_carried_out_when_it_does(t):
    there = setup.server(t, name="there")
    sections = node(t, there.port)
    ini = write_ini(t.path("early.ini"), sections)
    t.path("a").write_bytes(b"a")
    one = queue(t, ini, "put", t.path("a"), "there:a")
    equal(state(t, one)[0], WAITING, "the state")
    Server(t, sections, "here")
    wait_state(t, one, DONE)


@test("host", limit=90)
def a_partner_that_is_away_is_tried_again_until_it_is_back(t):
    port = free_port()
    here = Server(t, node(t, port, retry_fast="3", retry_wait="1s"), "here")
    t.path("a").write_bytes(b"a" * 100)
    one = queue(t, here.ini, "put", t.path("a"), "there:a")
    again = here.wait_event("Q02W", 20 * t.run.patience, transfer=one)
    equal((again["code"], again["again_s"]), (4, 2), "the exit code, and seconds until the next try")
    sections = setup.site(t, name="there")
    sections["protocol main"]["listen"] = f"127.0.0.1:{port}"
    there_root = sections["store main"]["root"]
    Server(t, sections, "there")
    check(wait_state(t, one, DONE)[1] >= 1, "it was tried again")
    equal((there_root / "a").read_bytes(), b"a" * 100, "the file")


@test("host")
def after_retry_max_it_has_failed_and_the_hook_runs_and_retry_begins_anew(t):
    port = free_port()
    sections = node(t, port, retry_fast="0", retry_max="1", retry_wait="1s")
    sections["hook h"] = {"on": "failed", "command": "/bin/sh -c 'echo $SLUICE_ID $SLUICE_PARTNER'"}
    here = Server(t, sections, "here")
    t.path("a").write_bytes(b"a")
    one = queue(t, here.ini, "put", t.path("a"), "there:a")
    equal(wait_state(t, one, FAILED)[1], 1, "retries")
    here.wait_event("Q02E", transfer=one)
    equal(here.wait_event("H01I")["output"], f"{one} there\n", "what the hook was told")
    client(t, "retry", one, ini=here.ini).must_succeed()
    wait_for(lambda: len(here.find("Q02E", transfer=one)) == 2, "the second failure", 20 * t.run.patience)


@test("host")
def errors_that_cannot_heal_are_not_tried_again(t):
    there = setup.server(t, name="there")
    here = Server(t, node(t, there.port), "here")
    missing = queue(t, here.ini, "get", "there:no/such/file", t.path("copy"))
    equal(wait_state(t, missing, FAILED)[1], 0, "retries after a 404")
    held = t.path("held")
    held.write_bytes(b"x")
    here.kill()
    one = queue(t, here.ini, "put", held, "there:held")
    held.unlink()
    again = Server(t, node(t, there.port), "again")
    equal(wait_state(t, one, FAILED)[1], 0, "retries where the local file is gone")
    again.wait_event("Q02E", transfer=one, code=9)


@test("host")
def what_is_held_waits_for_its_release_and_what_is_cancelled_never_runs(t):
    there = setup.server(t, name="there")
    sections = node(t, there.port)
    ini = write_ini(t.path("early.ini"), sections)
    t.path("a").write_bytes(b"a")
    held, cancelled = (queue(t, ini, "put", t.path("a"), f"there:{n}") for n in ("held", "cancelled"))
    client(t, "hold", held, ini=ini).must_succeed()
    client(t, "cancel", cancelled, ini=ini).must_succeed()
    Server(t, sections, "here")
    other = queue(t, ini, "put", t.path("a"), "there:other")
    wait_state(t, other, DONE)
    equal((state(t, held)[0], state(t, cancelled)[0]), (HELD, CANCELLED), "the states")
    client(t, "release", cancelled, ini=ini).must_fail(11)
    client(t, "release", held, ini=ini).must_succeed()
    wait_state(t, held, DONE)
    check(not (there.root / "cancelled").exists(), "what was cancelled did not go out")
    client(t, "cancel", held, ini=ini).must_fail(11)
    client(t, "cancel", "zzz", ini=ini).must_fail(2)


@test("host")
def a_running_transfer_that_is_cancelled_ends_soon(t):
    there = setup.server(t, name="there")
    here = Server(t, node(t, there.port, limit_rate="100K"), "here")
    t.path("big").write_bytes(b"x" * (20 << 20))
    one = queue(t, here.ini, "put", t.path("big"), "there:big")
    wait_state(t, one, RUNNING)
    began = time.monotonic()
    client(t, "cancel", one, ini=here.ini).must_succeed()
    here.wait_event("Q04I", 10 * t.run.patience, transfer=one)
    check(time.monotonic() - began < 5 * t.run.patience, "it ended soon")
    equal(state(t, one)[0], CANCELLED, "the state")
    check(not (there.root / "big").exists(), "nothing took the name")


@test("host", limit=90)
def how_far_a_running_transfer_has_come_is_told(t):
    there = setup.server(t, name="there")
    here = Server(t, node(t, there.port, limit_rate="200K"), "here")
    t.path("big").write_bytes(b"x" * (20 << 20))
    one = queue(t, here.ini, "put", t.path("big"), "there:big")

    def told():
        (row,) = client(t, "show", "--json", one, ini=here.ini).must_succeed().transfers
        return row["rate"] is not None and row["bytes"] > 0 and row

    first = wait_for(told, "how far it has come", 30 * t.run.patience)
    check(first["state"] == "running" and first["bytes"] < first["size"] == 20 << 20 and first["rate"] > 0, f"the row: {first}")
    wait_for(lambda: told()["bytes"] > first["bytes"], "more of it", 30 * t.run.patience)
    shown = client(t, "show", one, ini=here.ini).must_succeed().output
    check("rate now" in shown, f"what is shown: {shown}")
    check("running " in client(t, "history", ini=here.ini).must_succeed().output, "how many per cent")
    client(t, "cancel", one, ini=here.ini).must_succeed()
    here.wait_event("Q04I", transfer=one)
    (row,) = client(t, "show", "--json", one, ini=here.ini).must_succeed().transfers
    equal((row["state"], row["rate"]), ("cancelled", None), "the state, and the rate that it no longer has")


@test("host")
def what_runs_when_the_server_dies_is_carried_out_by_the_next(t):
    there = setup.server(t, name="there")
    sections = node(t, there.port, limit_rate="100K")
    here = Server(t, sections, "here")
    data = bytes(range(256)) * (8 << 10)
    t.path("big").write_bytes(data)
    one = queue(t, here.ini, "put", t.path("big"), "there:big")
    wait_state(t, one, RUNNING)
    here.kill()
    equal(state(t, one)[0], RUNNING, "the state that the dead one left")
    del sections["partner there"]["limit_rate"]
    Server(t, sections, "again")
    wait_state(t, one, DONE)
    equal((there.root / "big").read_bytes(), data, "the file")


@test("host")
def a_server_that_stops_leaves_what_ran_waiting(t):
    there = setup.server(t, name="there")
    here = Server(t, node(t, there.port, limit_rate="100K"), "here")
    t.path("big").write_bytes(b"x" * (20 << 20))
    one = queue(t, here.ini, "put", t.path("big"), "there:big")
    wait_state(t, one, RUNNING)
    began = time.monotonic()
    here.stop()
    check(time.monotonic() - began < 15 * t.run.patience, "it stopped without waiting for the transfer")
    equal(state(t, one)[:2], (WAITING, 0), "state and retries")


@test("host")
def no_more_than_at_once_run_with_one_partner(t):
    there = setup.server(t, name="there")
    here = Server(t, node(t, there.port, limit_rate="100K", at_once="2"), "here")
    t.path("big").write_bytes(b"x" * (2 << 20))
    ids = [queue(t, here.ini, "put", t.path("big"), f"there:{n}") for n in range(5)]
    wait_for(lambda: sum(state(t, i)[0] == RUNNING for i in ids) == 2, "two that run", 10 * t.run.patience)
    for _ in range(10):
        check(sum(state(t, i)[0] == RUNNING for i in ids) <= 2, "no more than two run")
        time.sleep(0.1)
    for identity in ids:
        client(t, "cancel", identity, ini=here.ini).must_succeed()


@test("host")
def a_reload_is_followed(t):
    there = setup.server(t, name="there")
    sections = node(t, there.port)
    del sections["partner there"]
    here = Server(t, sections, "here")
    sections["partner there"] = {"host": f"localhost:{there.port}", "profile": "std"}
    write_ini(here.ini, sections)
    t.path("a").write_bytes(b"a")
    here.process.send_signal(signal.SIGHUP)
    here.wait_event("S10I")
    one = queue(t, here.ini, "put", t.path("a"), "there:a")
    wait_state(t, one, DONE)


@test("host")
def queueing_refuses_what_cannot_be_carried_out(t):
    sections = node(t, 1)
    ini = write_ini(t.path("site.ini"), sections)
    t.path("a").write_bytes(b"a")
    client(t, "put", "--queue", t.path("no"), "there:a", ini=ini).must_fail(9)
    client(t, "put", "--queue", t.path("a"), "nobody:a", ini=ini).must_fail(3)
    client(t, "put", "--queue", t.path("a"), "https://localhost/a", ini=ini).must_fail(2)
    client(t, "get", "--queue", "there:a", "-", ini=ini).must_fail(2)
    del sections["server"]["catalog"]
    client(t, "put", "--queue", t.path("a"), "there:a", ini=write_ini(t.path("no.ini"), sections)).must_fail(3)


@test("host")
def what_is_held_while_it_runs_ends_and_goes_on_after_its_release(t):
    there = setup.server(t, name="there")
    sections = node(t, there.port, limit_rate="300K")
    here = Server(t, sections, "here")
    data = bytes(range(256)) * (4 << 10)
    t.path("big").write_bytes(data)
    one = queue(t, here.ini, "put", t.path("big"), "there:big")
    wait_state(t, one, RUNNING)
    client(t, "hold", one, ini=here.ini).must_succeed()
    client(t, "release", one, ini=here.ini).must_succeed()  # before its thread has come to its end, as likely as not
    client(t, "hold", one, ini=here.ini).must_succeed()
    here.wait_event("Q04I", 10 * t.run.patience, transfer=one)
    equal(state(t, one)[0], HELD, "the state")
    check(not (there.root / "big").exists(), "nothing took the name")
    client(t, "release", one, ini=here.ini).must_succeed()
    wait_state(t, one, DONE)
    equal((there.root / "big").read_bytes(), data, "the file")


@test("host")
def a_catalog_that_is_locked_when_a_transfer_ends_learns_it_later(t):
    there = setup.server(t, name="there")
    here = Server(t, node(t, there.port, limit_rate="500K"), "here")
    t.path("big").write_bytes(b"x" * (600 << 10))
    one = queue(t, here.ini, "put", t.path("big"), "there:big")
    wait_state(t, one, RUNNING)
    with sqlite3.connect(t.path("catalog"), isolation_level=None) as held:
        held.execute("BEGIN IMMEDIATE")
        here.wait_event("Q03W", 15 * t.run.patience)
        equal((there.root / "big").stat().st_size, 600 << 10, "the transfer was not held up")
        held.execute("ROLLBACK")
    held.close()
    wait_state(t, one, DONE)
    here.wait_event("Q01I", transfer=one)
