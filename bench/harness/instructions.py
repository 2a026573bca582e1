"""How many instructions a server spends for a byte, a request, a handshake: counted in the guest whose clock counts them.

run(...) boots tests/guest/guest -i once, lets inside.py measure there, and returns one dict for each scenario and contender:

    {"scenario": "get-kernel", "contender": "sluice", "unit": "byte", "work": 67108864, "instructions": 193544426,
     "each": 2.884, "kernel_threads": 35801, "kernel": "6.1.0-56-amd64"}

and of connections that fetch at once, whose handshakes are in the middle of it, what they got in so many seconds of a clock
that counts instructions:

    {"scenario": "crowd-64", "contender": "sluice", "unit": "second", "connections": 64, "seconds": 2.0, "work": 302514176,
     "rate": 151257088, "unfair": 0.02, "instructions": None, "each": None, "kernel_threads": None, "kernel": "6.1.0-56-amd64"}

`unfair` is how far the connection that is farthest from its share is from it. `instructions` is what the server's processes
used, all their threads and what the kernel did in their name; `kernel_threads` what the kernel's own threads used meanwhile,
whoever caused it.
"""
import json
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "bench"))

from harness import baseline  # noqa: E402
from harness.common import make_certificates  # noqa: E402

GUEST = ROOT / "tests" / "guest" / "guest"
INSIDE = pathlib.Path(__file__).resolve().parent / "inside.py"
MIB = 2**20
DISK = "512M"  # for what is read from one

# Tries: the cheapest counts, since the first transfer of a new server sometimes meets smaller windows. What: as bench/load/
# has it. Cold: the file is on a disk, and not in the page cache. `short`: what is done of it with short=True, for ./check; None:
# it is left out then. Contenders: inside.SERVERS.
SCENARIOS = [
    {"id": "get-kernel", "title": "GET of 64 MiB, the kernel encrypts", "what": "get", "unit": "byte", "bytes": 64 * MIB,
     "count": 1, "connections": 1, "tries": 2, "contenders": ["sluice", "floor", "nginx-ktls"], "short": {"bytes": 16 * MIB}},
    {"id": "get-user", "title": "GET of 64 MiB, OpenSSL encrypts", "what": "get", "unit": "byte", "bytes": 64 * MIB,
     "count": 1, "connections": 1, "tries": 2, "contenders": ["sluice-user", "nginx"], "short": {"bytes": 16 * MIB}},
    {"id": "get-cold", "title": "GET of 64 MiB from a disk, not in the page cache, the kernel encrypts", "what": "get",
     "unit": "byte", "bytes": 64 * MIB, "count": 1, "connections": 1, "tries": 2, "cold": True,
     "contenders": ["sluice:direct", "sluice:splice", "sluice", "nginx-ktls"], "short": {"bytes": 16 * MIB}},
    {"id": "put-kernel", "title": "PUT of 64 MiB into a file, the kernel decrypts", "what": "put", "unit": "byte",
     "bytes": 64 * MIB, "count": 1, "connections": 1, "tries": 2, "contenders": ["sluice", "floor"], "short": {"bytes": 16 * MIB}},
    {"id": "get-small", "title": "20,000 GETs of 4 KiB on 16 connections", "what": "get", "unit": "request", "bytes": 4096,
     "count": 20000, "connections": 16, "contenders": ["sluice", "sluice-events", "nginx", "nginx-ktls"],
     "short": {"count": 800}},
    {"id": "handshake-full", "title": "full TLS 1.3 handshakes, P-256", "what": "full", "unit": "handshake", "bytes": 0,
     "count": 200, "connections": 1, "contenders": ["sluice", "sluice-user", "nginx"], "short": {"count": 40}},
    {"id": "handshake-resumed", "title": "resumed TLS 1.3 handshakes", "what": "resumed", "unit": "handshake", "bytes": 0,
     "count": 200, "connections": 1, "contenders": ["sluice", "sluice-user", "nginx"], "short": {"count": 40}},
]

# Connections, and seconds of the guest's clock: enough for each to get more than ten of the server's steps.
CROWDS = ((1, 0.5), (4, 1), (16, 1), (64, 2), (256, 4), (1024, 12))
SCENARIOS += [
    {"id": f"crowd-{count}", "title": f"{count} connections that fetch at once, the kernel encrypts", "what": "crowd",
     "unit": "second", "bytes": 16 * MIB, "connections": count, "seconds": seconds, "contenders": ["sluice"],
     "short": None} for count, seconds in CROWDS]
# What so many get together, to what four get; and how far off one of them may be.
CROWD_RATE, CROWD_UNFAIR, CROWD_REFERENCE = 0.9, 0.2, "crowd-4"

# The scenario's contender, against which one, and at most how many times its instructions.
GOALS = [
    ("get-kernel", "sluice", "get-kernel", "floor", 1.03),
    ("get-kernel", "sluice", "get-kernel", "nginx-ktls", 0.97),
    ("get-kernel", "sluice", "get-user", "sluice-user", 0.90),
    ("get-cold", "sluice:direct", "get-cold", "sluice:splice", 1.00),
    ("put-kernel", "sluice", "put-kernel", "floor", 1.05),
    ("get-small", "sluice", "get-small", "nginx", 0.80),
    ("handshake-full", "sluice", "handshake-full", "nginx", 1.00),
    ("handshake-resumed", "sluice", "handshake-resumed", "nginx", 1.00),
]


class Trouble(Exception):
    """The counts could not be taken; the text says why."""


def chosen(names=(), contenders=(), short=False):
    """The scenarios of these ids (all without), with only these contenders, as inside.py takes them. A contender "sluice:NAME" is
    sluice with the data path of that name; it counts only where it is asked for."""
    unknown = set(names) - {one["id"] for one in SCENARIOS}
    if unknown:
        raise Trouble(f"there is no scenario {', '.join(sorted(unknown))}: take {', '.join(one['id'] for one in SCENARIOS)}")
    result = []
    for one in SCENARIOS:
        if names and one["id"] not in names or short and one["short"] is None:
            continue
        taken = [name for name in one["contenders"] if not contenders or name in contenders]
        taken += [name for name in contenders if name.partition(":")[1] and name.partition(":")[0] in one["contenders"]]
        if taken:
            result.append({**one, **(one["short"] if short else {}), "contenders": taken})
    return result


def compared():
    """What ./check counts: short, and only those whom baseline.py compares."""
    wanted = {(one, who) for *pair, in baseline.PAIRS for one, who in (pair[:2], pair[2:])}
    found = [{**one, "contenders": [who for who in one["contenders"] if (one["id"], who) in wanted]} for one in chosen(short=True)]
    return [one for one in found if one["contenders"]]


def work_of(scenario):
    return scenario["count"] * (scenario["bytes"] if scenario["unit"] == "byte" else 1)


def run(scenarios, binary, limit=1800, say=lambda line: None):
    """Measures `scenarios` (of chosen()) with the sluice at `binary`, whose build also has bench/floor and bench/load. Of one that
    has a true `profile` perf's reports go to `say`, and the instructions are those of a server that is looked at."""
    binary = pathlib.Path(binary).resolve()
    programs = {name: str(binary.parent / "bench" / name) for name in ("floor", "load", "crowd")}
    for program in (binary, *programs.values()):
        if not pathlib.Path(program).exists():
            raise Trouble(f"there is no {program}: cmake --preset release -DSLUICE_TESTS=ON && cmake --build --preset release")
    with tempfile.TemporaryDirectory(prefix="sluice-instructions-", dir="/var/tmp") as name:
        folder = pathlib.Path(name)
        make_certificates(folder)
        order = {"scenarios": scenarios, "binary": str(binary), **programs, "folder": name,
                 "results": f"{name}/results"}
        (folder / "order").write_text(json.dumps(order))
        disk = ["-d", DISK] if any(one.get("cold") for one in scenarios) else []
        command = [GUEST, "-i", "-t", str(limit), *disk, "-w", name, "-r", binary.parent, "--", "python3", INSIDE, f"{name}/order"]
        guest = subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                                 errors="replace")
        try:
            lines = []
            for line in guest.stdout:
                lines.append(line.rstrip())
                say(line.rstrip())
            if guest.wait() != 0:
                raise Trouble(f"the guest ended with {guest.returncode}: " + " / ".join(lines[-5:]))
        finally:
            if guest.poll() is None:
                guest.terminate()
                guest.wait()
        found = json.loads((folder / "results").read_text())
    return rows(scenarios, found)


def rows(scenarios, found):
    by_id = {one["id"]: one for one in scenarios}
    results = []
    for one in found:
        scenario = by_id[one["scenario"]]
        if scenario["what"] == "crowd":
            results.append(_crowd(scenario, one))
            continue
        work = work_of(scenario)
        results.append({"scenario": one["scenario"], "contender": one["contender"], "unit": scenario["unit"], "work": work,
                        "instructions": one["server"], "each": one["server"] / work, "kernel_threads": one["kernel"],
                        "kernel": one["release"]})
    order = {one["id"]: number for number, one in enumerate(SCENARIOS)}
    return sorted(results, key=lambda one: order[one["scenario"]])


def _crowd(scenario, one):
    mean = one["bytes"] / scenario["connections"]
    return {"scenario": one["scenario"], "contender": one["contender"], "unit": "second", "connections": scenario["connections"],
            "seconds": one["seconds"], "work": one["bytes"], "rate": one["bytes"] / one["seconds"],
            "unfair": max(one["most"] - mean, mean - one["least"]) / mean if mean else None, "instructions": None, "each": None,
            "kernel_threads": None, "kernel": one["release"]}


def crowds(results):
    """Those rows that are about connections at once, each with `against`: its rate to that of four, where that is known."""
    found = [one for one in results if one["unit"] == "second"]
    four = {one["contender"]: one["rate"] for one in found if one["scenario"] == CROWD_REFERENCE}
    return [{**one, "against": one["rate"] / four[one["contender"]] if four.get(one["contender"]) else None} for one in found]


def ratios(results):
    """What the goals ask for, of those that were measured: [{"scenario", "contender", "against", "ratio", "goal"}]."""
    each = {(one["scenario"], one["contender"]): one["each"] for one in results}
    return [{"scenario": mine[0], "contender": mine[1], "against": theirs[1], "ratio": each[mine] / each[theirs], "goal": goal}
            for *pair, goal in GOALS
            for mine, theirs in [(tuple(pair[:2]), tuple(pair[2:]))] if mine in each and theirs in each]


def table(results):
    """Lines for people."""
    titles = {one["id"]: one["title"] for one in SCENARIOS}
    lines = [f"{'scenario':20}{'server':14}{'instructions':>14}  per"]
    for one in results:
        if one["each"] is None:
            continue
        digits = 3 if one["unit"] == "byte" else 0
        lines.append(f"{one['scenario']:20}{one['contender']:14}{one['each']:14.{digits}f}  {one['unit']}")
    lines += ["", f"{'scenario':20}{'against':14}{'ratio':>8}{'at most':>9}"]
    for one in ratios(results):
        lines.append(f"{one['scenario']:20}{one['against']:14}{one['ratio']:8.3f}{one['goal']:9.2f}"
                     f"  {titles[one['scenario']]}{'' if one['ratio'] <= one['goal'] else ': MISSED'}")
    return lines + _crowd_lines(crowds(results))


def _crowd_lines(found):
    if not found:
        return []
    lines = ["", f"{'connections':20}{'server':14}{'MB a second':>14}{'to 4':>8}{'unfair by':>11}"]
    for one in found:
        met = one["unfair"] is not None and one["unfair"] <= CROWD_UNFAIR and (one["against"] or CROWD_RATE) >= CROWD_RATE
        against = "" if one["against"] is None else f"{one['against']:.2f}"
        unfair = "" if one["unfair"] is None else f"{one['unfair']:.1%}"
        lines.append(f"{one['connections']:<20}{one['contender']:14}{one['rate'] / 1e6:14.1f}{against:>8}{unfair:>11}"
                     f"{'' if met else '  MISSED'}")
    return lines
