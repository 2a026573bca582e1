"""What a byte, a request and a handshake cost when it was last agreed on, and whether they have become dearer.

What is compared is a ratio: Sluice's instructions to those of a reference that was counted in the same run, over the same
kernel and libraries. So an update of Debian's moves both, and the ratio stays; what moves the ratio is ours. Between one Debian
and the next too much differs for that, so there is one entry for each setting: kernel, OpenSSL, nginx and compiler, by their
first numbers.
"""
import json
import pathlib
import re
import subprocess

FILE = pathlib.Path(__file__).resolve().parent.parent / "baseline.json"
ALLOWED = 0.03
BETTER = 0.03  # so much less, and it should be recorded: what is won can be lost again unnoticed

# Whose instructions for which scenario are compared, and with whose for which.
PAIRS = (
    ("get-kernel", "sluice", "get-kernel", "floor"),
    ("get-user", "sluice-user", "get-kernel", "floor"),
    ("put-kernel", "sluice", "put-kernel", "floor"),
    ("get-small", "sluice", "get-small", "nginx"),
    ("handshake-full", "sluice", "handshake-full", "nginx"),
    ("handshake-resumed", "sluice", "handshake-resumed", "nginx"),
)


def _first_numbers(text, how_many):
    found = re.search(r"\d+(\.\d+)*", text)
    return ".".join(found.group(0).split(".")[:how_many]) if found else "unknown"


def _said(*command):
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    except OSError:
        return ""
    return done.stdout


def setting(binary, kernel):
    """{"kernel": "6.1", "openssl": "3.0", "nginx": "1.22", "compiler": "GNU 12"} of a build, with this release of a kernel."""
    compiler = "unknown"
    for file in pathlib.Path(binary).resolve().parent.glob("CMakeFiles/*/CMakeCCompiler.cmake"):
        facts = dict(re.findall(r'set\((CMAKE_C_COMPILER_ID|CMAKE_C_COMPILER_VERSION) "([^"]*)"\)', file.read_text()))
        compiler = f"{facts.get('CMAKE_C_COMPILER_ID')} {_first_numbers(facts.get('CMAKE_C_COMPILER_VERSION', ''), 1)}"
    return {"kernel": _first_numbers(kernel, 2), "openssl": _first_numbers(_said("openssl", "version"), 2),
            "nginx": _first_numbers(_said("/usr/sbin/nginx", "-v"), 2), "compiler": compiler}


def ratios(results):
    """{scenario: {"sluice": instructions each, "reference": theirs, "against": whose, "ratio": the one by the other}}"""
    each = {(one["scenario"], one["contender"]): one["each"] for one in results}
    found = {}
    for scenario, ours, where, reference in PAIRS:
        if (scenario, ours) in each and (where, reference) in each:
            mine, theirs = each[scenario, ours], each[where, reference]
            found[scenario] = {"ours": round(mine, 4), "reference": round(theirs, 4), "against": reference,
                               "ratio": round(mine / theirs, 4)}
    return found


def load(file=FILE):
    return json.loads(file.read_text()) if file.exists() else []


def entry(baseline, where):
    return next((one for one in baseline if one["setting"] == where), None)


def record(baseline, where, results):
    """The baseline with these results in it; what was not measured stays as it was."""
    before = entry(baseline, where)
    fresh = {"setting": where, "scenarios": {**(before["scenarios"] if before else {}), **ratios(results)}}
    others = [one for one in baseline if one["setting"] != where]
    return sorted([*others, fresh], key=lambda one: sorted(one["setting"].items()))


def write(baseline, file=FILE):
    file.write_text(json.dumps(baseline, indent=1) + "\n")


def _verdict(scenario, now, then, name):
    if now is None:
        return "failed", f"{scenario} was not counted"
    if then is None:
        return "failed", f"{name} has no {scenario}: record it, as bench/README.md says"
    grown = now["ratio"] / then["ratio"] - 1
    said = f"{now['ratio']:.3f} times the instructions of {now['against']}; {name} has {then['ratio']:.3f}"
    if grown > ALLOWED:
        return "failed", (f"{said}: grown by {grown:.1%}, and {ALLOWED:.0%} is allowed. Mend it, or record it with its "
                          "reason in the same commit: bench/instructions --record")
    if grown < -BETTER:
        return "passed", f"{said}: better by {-grown:.1%}, so record it: bench/instructions --record"
    return "passed", said


def compare(results, baseline, where, name=FILE.name):
    """[(scenario, "passed", "failed" or "skipped", text)], one for each of PAIRS."""
    known, now = entry(baseline, where), ratios(results)
    if not known:
        here = ", ".join(f"{what} {version}" for what, version in where.items())
        return [(pair[0], "skipped", f"{name} has nothing for {here}: record it there, as bench/README.md says") for pair in PAIRS]
    return [(pair[0], *_verdict(pair[0], now.get(pair[0]), known["scenarios"].get(pair[0]), name)) for pair in PAIRS]
