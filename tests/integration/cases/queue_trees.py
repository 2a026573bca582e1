"""Directories that are queued: one transfer of the queue for all their files, tried again, held, and killed in its middle."""

import json
import os

from harness import check, client, equal, files, setup, test, wait_for, write_ini
from harness.sluice import Server
from harness.trees import TIME, plant, same


def node(t, port, **partner):
    """A server with a catalog, whose partner `there` is at `port`."""
    sections = setup.site(t, name="node", more={
        "client-profile std": setup.profiles(t)["client-profile std"],
        "partner there": {"host": f"localhost:{port}", "profile": "std", **partner},
    })
    sections["server"]["catalog"] = t.path("catalog")
    return sections


def queue(t, ini, *arguments):
    output = client(t, arguments[0], "--queue", *arguments[1:], ini=ini).must_succeed().output
    check(output.startswith("queued: ") and output.count("\n") == 1, f"the answer is {output!r}")
    return output.split()[1]


def show(t, ini, identity):
    return json.loads(client(t, "show", "--json", identity, ini=ini).must_succeed().output)


def wait_state(t, ini, identity, *states, seconds=40):
    def look():
        found = show(t, ini, identity)
        return found["state"] in states and found
    return wait_for(look, f"{identity} in state {states}", seconds * t.run.patience)


def arrived(server):
    return [event for event in server.events() if event["id"] == "T01I" and event["direction"] == "in"]


@test("host")
def a_tree_is_sent_and_fetched_as_one_transfer(t):
    there = setup.server(t, name="there")
    here = Server(t, node(t, there.port), "here")
    mine = plant(t.make_folder("mine"), count=120)
    (mine / "empty").mkdir()
    files.make(mine / "large", (2 << 20) + 7)
    (mine / "link").symlink_to("large")
    (mine / "left.out").write_text("left out")
    os.utime(mine / "empty", ns=(TIME, TIME))
    options = ["--links", "keep", "--exclude", "*.out"]
    one = queue(t, here.ini, "put", "-r", *options, mine, "there:")
    told = wait_state(t, here.ini, one, "done")
    equal((told["kind"], told["direction"]), ("tree", "out"), "what it is")
    check("122 files moved, 0 were there, 0 failed" in told["reason"], told["reason"])
    check(not (there.root / "mine/left.out").exists(), "what was excluded was sent")
    (mine / "left.out").unlink()
    same(mine, there.root / "mine", directories=True)
    here.wait_event("Q01I", transfer=one)
    two = queue(t, here.ini, "get", "-r", "--links", "keep", "there:mine", t.path("back"))
    told = wait_state(t, here.ini, two, "done")
    check("122 files moved" in told["reason"], told["reason"])
    same(mine, t.path("back"), directories=True)
    # Again: nothing is moved. And what turns out to be a file is fetched as one.
    three = queue(t, here.ini, "put", *options, mine, "there:")
    check("0 files moved, 122 were there" in wait_state(t, here.ini, three, "done")["reason"], "the second time")
    four = queue(t, here.ini, "get", "-r", "there:mine/large", t.path("single"))
    wait_state(t, here.ini, four, "done")
    files.same(mine / "large", t.path("single"))
    equal(client(t, "history", "--json", "--limit", 0, ini=here.ini).output.count('"kind":"tree"'), 4, "trees in the history")


@test("host", each=["put", "get"])
def a_tree_goes_on_with_what_is_missing_after_kill_9_of_the_server_that_carries_it_out(t, which):
    there = setup.server(t, name="there")
    sections = node(t, there.port, limit_rate="100K")
    here = Server(t, sections, "here")
    source = plant(t.make_folder("mine") if which == "put" else there.root / "mine", count=40, size=30000)
    target = there.root / "mine" if which == "put" else t.path("mine-here")
    what = ["put", "-r", source, "there:"] if which == "put" else ["get", "-r", "there:mine", target]
    one = queue(t, here.ini, *what)
    wait_for(lambda: len(files.listing(target)) >= 4 if target.exists() else False, "some files", 40 * t.run.patience)
    here.kill()
    there_before = {path: os.stat(target / path).st_ino for path in files.listing(target) if ".sluice-" not in path}
    check(4 <= len(there_before) < 40, f"{len(there_before)} files had come")
    equal(show(t, here.ini, one)["state"], "waiting", "the state, once somebody sees that the server is dead")
    del sections["partner there"]["limit_rate"]
    again = Server(t, sections, "again")
    told = wait_state(t, again.ini, one, "done")
    same(source, target)
    for path, inode in there_before.items():
        equal(os.stat(target / path).st_ino, inode, f"{path} was moved again")
    moved = int(told["reason"].split()[0])
    check(moved <= 40 - len(there_before), f"{moved} were moved, {len(there_before)} were there")
    equal([p for p in files.listing(target) if ".sluice-" in p or p.endswith((".part", ".journal"))], [], "what is left over")


@test("host")
def files_that_can_never_go_fail_the_tree_by_name_and_one_retry_moves_what_is_left(t):
    there = setup.server(t, name="there")
    here = Server(t, node(t, there.port), "here")
    mine = plant(t.make_folder("mine"), count=60)
    blocked = there.root / "mine/d1/e1/file 1"
    blocked.mkdir(parents=True)
    one = queue(t, here.ini, "put", "-r", mine, "there:")
    told = wait_state(t, here.ini, one, "failed")
    equal((told["code"], told["retries"]), (12, 0), "it is not tried again by itself")
    check("59 files moved, 0 were there, 1 failed; d1/e1/file 1: " in told["reason"] and "409" in told["reason"], told["reason"])
    here.wait_event("Q02E", transfer=one)
    blocked.rmdir()
    client(t, "retry", one, ini=here.ini).must_succeed()
    told = wait_state(t, here.ini, one, "done")
    check("1 files moved, 59 were there, 0 failed" in told["reason"], told["reason"])
    same(mine, there.root / "mine")


@test("host")
def a_partner_that_is_away_is_tried_again_and_gets_the_tree_whole(t):
    there = setup.server(t, name="there", root=t.make_folder("store"))
    port, root = there.port, there.root
    sections = node(t, port, retry_max="50", retry_fast="50")
    there.stop()
    here = Server(t, sections, "here")
    mine = plant(t.make_folder("mine"), count=30)
    one = queue(t, here.ini, "put", "-r", mine, "there:")
    here.wait_event("Q02W", 30 * t.run.patience, transfer=one)
    found = setup.site(t, root, name="there-again")
    found["protocol main"]["listen"] = f"127.0.0.1:{port}"
    Server(t, found, "there-again")
    wait_state(t, here.ini, one, "done")
    same(mine, root / "mine")


@test("host", limit=120)
def a_tree_that_runs_is_held_released_and_cancelled(t):
    there = setup.server(t, name="there")
    here = Server(t, node(t, there.port, limit_rate="100K"), "here")
    mine = plant(t.make_folder("mine"), count=200, size=30000)
    one = queue(t, here.ini, "put", "-r", mine, "there:")
    wait_for(lambda: files.listing(there.root), "a file", 30 * t.run.patience)
    told = wait_for(lambda: (row := show(t, here.ini, one))["bytes"] > 0 and row, "how far it has come", 30 * t.run.patience)
    check(told["bytes"] < told["size"] == sum(p.stat().st_size for p in mine.rglob("file *")), f"the row: {told}")
    client(t, "hold", one, ini=here.ini).must_succeed()
    here.wait_event("Q04I", 30 * t.run.patience, transfer=one)
    equal(show(t, here.ini, one)["state"], "held", "the state")
    client(t, "release", one, ini=here.ini).must_succeed()
    wait_state(t, here.ini, one, "running")
    before = len(arrived(there))
    wait_for(lambda: len(arrived(there)) > before, "more files", 30 * t.run.patience)
    client(t, "cancel", one, ini=here.ini).must_succeed()
    wait_for(lambda: len(here.find("Q04I", transfer=one)) == 2, "its end", 30 * t.run.patience)
    equal(show(t, here.ini, one)["state"], "cancelled", "the state")
    paths = [event["path"] for event in arrived(there)]
    check(len(paths) - len(set(paths)) <= 1, "files came again; but for the one that was under way when it was held")


@test("host")
def what_cannot_be_queued_is_refused_at_once(t):
    ini = write_ini(t.path("site.ini"), node(t, 1))
    mine = t.make_folder("mine")
    client(t, "put", "-r", "--queue", "--dry-run", mine, "there:", ini=ini).must_fail(2)
    client(t, "put", "-r", "--queue", "--files-from", t.path("x"), mine, "there:", ini=ini).must_fail(2)
    client(t, "put", "-r", "--queue", "--exclude", "x" * 4000, mine, "there:", ini=ini).must_fail(2)
    client(t, "put", "-r", "--queue", t.path("nowhere"), "there:", ini=ini).must_fail(9)
    client(t, "put", "-r", "--queue", mine, "https://localhost/x", ini=ini).must_fail(2)
    client(t, "get", "-r", "--queue", "https://localhost/x/", mine, ini=ini).must_fail(2)
    equal(client(t, "history", "--json", ini=ini).output, "", "what was recorded")
