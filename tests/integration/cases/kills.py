"""Client or server killed, connections reset or dropped, at any moment: in the end every file is whole, and nothing else is there.

SLUICE_KILLS=N disturbs N transfers instead of some dozens and prints what was hit; SLUICE_KILLS_SEED=WORD chooses others.
"""

import os
import shutil
import subprocess
from collections import Counter
from pathlib import Path

from harness import Failure, check, client, equal, files, setup, test, wait_for
from harness.breakage import MODES, PHASES, SIZES, Lane, Payload, run_lanes, schedule
from harness.relay import UP
from harness.sluice import environment

COUNT = int(os.environ.get("SLUICE_KILLS", 0))
SEED = os.environ.get("SLUICE_KILLS_SEED", "sluice")
SHARE = {"host": 80, "guest": 8}
GUEST_MODES = ("put", "get in parts", "put, 4 streams", "get -r")
LOST = [f"{mode}; {action}" for mode in ("put", "put in parts", "put -r") for action in ("client", "server", "reset", "drop")]


def payloads(t):
    folder = t.make_folder("payloads")
    return {what: Payload(folder, what) for what in sorted({what for _, what, _ in MODES.values()})}


def table(counts):
    columns = [*PHASES[:3], PHASES[4], PHASES[3], "named, answered", "missed"]
    lines = [f"{'':16}" + "".join(f"{c:>20}" for c in columns)]
    lines += [f"{mode:16}" + "".join(f"{counts[mode, c]:20}" for c in columns) for mode in MODES]
    lines.append(", ".join(f"{name[1]} {number}" for name, number in sorted(counts.items()) if name[0] == "action"))
    healed = sum(number for name, number in counts.items() if name[0] == "healed")
    lines.append(f"the client went on by itself and succeeded {healed} times")
    return "\n".join(lines)


@test("host", "guest", limit=120 + 2 * COUNT)
def whatever_is_killed_or_cut_at_whatever_moment_files_are_whole_in_the_end(t):
    count = COUNT or SHARE[t.run.place] // (2 if t.run.sanitized else 1)
    lanes = 1 if t.run.kernel else min(4, (os.cpu_count() or 1) + 1)
    modes = list(MODES) if COUNT or not t.run.kernel else GUEST_MODES
    counts, failures = run_lanes(t, payloads(t), schedule(modes, count, SEED), lanes)
    if COUNT:
        print(table(counts), flush=True)
    if failures:
        raise Failure(f"seed {SEED}: " + "\n".join(failures))
    hit = Counter()
    for mode in MODES:
        for phase in PHASES:
            hit[phase] += counts[mode, phase]
    check(sum(hit.values()) >= count // 4, f"most moments came too late: {dict(counts)}")
    check(hit[PHASES[1]] > 0 or count < 20, f"no body was hit: {dict(counts)}")


@test("host", each=LOST)
@test("guest", each=LOST[4:5])
def an_answer_that_is_lost_after_the_name_was_given_is_made_up_for(t, which):
    mode, action = which.split("; ")
    lane = Lane(t, 0, payloads(t))
    lane.lose_the_answer(mode, action)
    lane.again()


@test("host", each=["replace", "skip", "rename", "fail"])
def what_has_its_name_already_is_not_sent_again_on_the_connection_after_the_lost_one(t, how):
    """The client asks again by itself: what it may not know is which name it got, and whether it was its own."""
    lane = Lane(t, 0, payloads(t))
    code = lane.lose_the_answer("put in parts", "reset", "--if-exists", how, before=how == "replace")
    equal(code, 8 if how in ("rename", "fail") else 0, f"exit code: {lane.said()}")
    check(code == 0 or "the answer was lost" in lane.said(), lane.said())
    size = SIZES["large"]
    check(size <= lane.relay.moved[UP] < size + size // 2, f"{lane.relay.moved[UP]} bytes were sent of {size}")
    lane.whole()


@test("host", each=["get", "get -r"])
def a_get_that_was_killed_between_its_name_and_its_end_is_tidied_up_after(t, how):
    """What a kill between two system calls leaves: the file has its name, and the journal of its .part is there yet."""
    server = setup.server(t)
    source = files.make(server.root / "file", 4 << 20, 1)
    here, ini = t.make_folder("here"), setup.partner(t, server.port)
    name, journal = here / "file", here / "file.part.journal"
    what = ["there:file", name] if how == "get" else ["-r", "there:", here]
    command = [t.run.binary, "get", "-c", ini, "--limit-rate", "100K", *what]
    process = subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL, env=environment())
    t.at_end(lambda: (process.kill(), process.wait()))
    wait_for(journal.exists, "a journal", 30 * t.run.patience)
    process.kill()
    process.wait()
    shutil.copy2(source, name)
    Path(f"{name}.part").unlink()
    client(t, "get", *what, ini=ini).must_succeed()
    files.same(source, name)
    equal(files.listing(here), ["file"], "what is there after success")
