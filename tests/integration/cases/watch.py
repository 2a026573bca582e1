"""[watch]: finished files of a folder are sent, once, and moved or deleted then."""

import os
import signal
import time

from types import SimpleNamespace

from harness import check, client, equal, peers, setup, test, wait_for, write_ini
from harness.sluice import Server


def watching(t, there, name="here", **watch):
    sections = setup.site(t, name=name, more={
        "client-profile std": setup.profiles(t)["client-profile std"],
        "partner there": {"host": f"localhost:{there.port}", "profile": "std", "retry_fast": "1", "retry_max": "1"},
        "watch out": {"folder": t.make_folder("out"), "partner": "there", "to": "in", **watch},
    })
    sections["server"]["catalog"] = t.path("catalog")
    return sections



def arrived(t, there, name, data, seconds=15):
    path = there.root / "in" / name
    wait_for(lambda: path.exists() and path.read_bytes() == data, f"{name} at the partner", seconds * t.run.patience)


@test("host")
def files_that_are_closed_or_moved_in_are_sent(t):
    there = setup.server(t, name="there")
    here = Server(t, watching(t, there), "here")
    time.sleep(0.3)
    with open(t.path("out") / "written", "wb") as file:
        file.write(b"half")
        file.flush()
        time.sleep(1.5)
        check(not (there.root / "in/written").exists(), "an open file is not sent")
        file.write(b" and half")
    arrived(t, there, "written", b"half and half")
    (t.path("out") / ".hidden").write_bytes(b"renamed")
    (t.path("out") / "x.part").write_bytes(b"part")
    os.rename(t.path("out") / ".hidden", t.path("out") / "shown")
    arrived(t, there, "shown", b"renamed")
    check(sorted(os.listdir(there.root / "in")) == ["shown", "written"], "nothing else was sent")
    check((t.path("out") / "shown").exists(), "what was sent stays")
    equal(len(here.find("W01I")), 2, "files that were queued")


@test("host", limit=90)
def a_restart_sends_nothing_twice_and_finds_what_came_meanwhile(t):
    there = setup.server(t, name="there")
    sections = watching(t, there)
    (t.make_folder("out") / "early").write_bytes(b"early")
    time.sleep(5.5)
    here = Server(t, sections, "here")
    arrived(t, there, "early", b"early")
    here.wait_event("Q01I")
    here.kill()
    (t.path("out") / "meanwhile").write_bytes(b"meanwhile")
    time.sleep(5.5)
    again = Server(t, sections, "again")
    arrived(t, there, "meanwhile", b"meanwhile")
    time.sleep(1)
    equal([e["file"] for e in again.find("W01I")], [str(t.path("out") / "meanwhile")], "what was queued again")
    (t.path("out") / "early").write_bytes(b"early, changed")
    arrived(t, there, "early", b"early, changed")


@test("host")
def what_was_sent_is_moved_without_overwriting(t):
    there = setup.server(t, name="there")
    done = t.make_folder("done")
    (done / "f").write_bytes(b"an earlier one")
    here = Server(t, watching(t, there, then="move", move_to=done), "here")
    time.sleep(0.3)
    (t.path("out") / "f").write_bytes(b"now")
    here.wait_event("W04I", 15 * t.run.patience)
    equal((done / "f").read_bytes(), b"an earlier one", "what was there")
    equal((done / "f.1").read_bytes(), b"now", "what was moved")
    equal(os.listdir(t.path("out")), [], "the folder")
    equal((there.root / "in/f").read_bytes(), b"now", "what was sent")


@test("host")
def what_was_sent_is_deleted_but_not_what_has_changed_or_failed(t):
    there = setup.server(t, name="there")
    here = Server(t, watching(t, there, then="delete", files="*.csv"), "here")
    time.sleep(0.3)
    (t.path("out") / "a.txt").write_bytes(b"not meant")
    (t.path("out") / "a.csv").write_bytes(b"1,2")
    here.wait_event("W04I", 15 * t.run.patience)
    equal(os.listdir(t.path("out")), ["a.txt"], "the folder")
    there.kill()
    (t.path("out") / "b.csv").write_bytes(b"3,4")
    here.wait_event("Q02E", 20 * t.run.patience)
    time.sleep(1.2)
    equal(sorted(os.listdir(t.path("out"))), ["a.txt", "b.csv"], "the folder")
    equal(len(here.find("W01I")), 2, "it is not queued again by itself")


@test("host")
def nothing_is_deleted_that_could_not_be_verified(t):
    """nginx takes files, but does not say what it has got."""
    root = t.make_folder("root")
    root.chmod(0o777)
    there = SimpleNamespace(port=peers.nginx(t, root))
    sections = watching(t, there, then="delete")
    del sections["watch out"]["to"]
    here = Server(t, sections, "here")
    time.sleep(0.3)
    (t.path("out") / "f").write_bytes(b"the only copy")
    check("the server gives no digest" in here.wait_event("Q02E", 20 * t.run.patience)["reason"], "why it stays")
    time.sleep(1.2)
    equal((t.path("out") / "f").read_bytes(), b"the only copy", "what is here")
    equal((root / "f").read_bytes(), b"the only copy", "what is there")
    equal(here.find("W04I"), [], "what was deleted")


@test("host")
def what_went_unverified_is_not_deleted_by_a_later_configuration(t):
    root = t.make_folder("root")
    root.chmod(0o777)
    sections = watching(t, SimpleNamespace(port=peers.nginx(t, root)))
    del sections["watch out"]["to"]
    here = Server(t, sections, "here")
    time.sleep(0.3)
    (t.path("out") / "f").write_bytes(b"the only copy")
    here.wait_event("Q01I", 15 * t.run.patience)
    sections["watch out"]["then"] = "delete"
    write_ini(here.ini, sections)
    here.process.send_signal(signal.SIGHUP)
    here.wait_event("S10I")
    time.sleep(2.5)
    equal((t.path("out") / "f").read_bytes(), b"the only copy", "what is here")


@test("host")
def a_link_that_takes_the_place_of_a_file_is_not_followed(t):
    there = setup.server(t, name="there")
    here = Server(t, watching(t, there), "here")
    secret = t.path("secret")
    secret.write_bytes(b"not for the partner")
    there.kill()
    time.sleep(0.3)
    (t.path("out") / "f").write_bytes(b"for the partner")
    here.wait_event("Q02W", 10 * t.run.patience)
    os.symlink(secret, t.path("out") / ".link")
    os.rename(t.path("out") / ".link", t.path("out") / "f")
    failed = here.wait_event("Q02E", 20 * t.run.patience)
    equal(failed["code"], 9, "the exit code")
    check("symbolic link" in failed["reason"], f"the reason: {failed['reason']}")


@test("host")
def a_folder_that_is_missing_is_told_and_a_reload_is_followed(t):
    there = setup.server(t, name="there")
    sections = watching(t, there)
    other = t.path("other")
    sections["watch out"]["folder"] = other
    here = Server(t, sections, "here")
    equal(here.wait_event("W02W", 10 * t.run.patience)["folder"], str(other), "the folder")
    other.mkdir()
    sections["watch out"]["to"] = "in"
    write_ini(here.ini, sections)
    here.process.send_signal(signal.SIGHUP)
    here.wait_event("S10I")
    time.sleep(1)
    (other / "f").write_bytes(b"f")
    arrived(t, there, "f", b"f")


@test("host")
def many_files_at_once_all_arrive(t):
    there = setup.server(t, name="there")
    here = Server(t, watching(t, there, then="delete"), "here")
    time.sleep(0.3)
    for i in range(60):
        (t.path("out") / f"f{i}").write_bytes(b"%d" % i)
    wait_for(lambda: not os.listdir(t.path("out")), "an empty folder", 40 * t.run.patience)
    for i in range(60):
        equal((there.root / "in" / f"f{i}").read_bytes(), b"%d" % i, f"file {i}")
    equal(len(here.find("W01I")), 60, "files that were queued")
    equal(client(t, "check", ini=here.ini).code, 0, "the check of the configuration")
