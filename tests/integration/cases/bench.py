"""The bench harness: its arithmetic, and one small run of it with whoever is installed."""

import json
import subprocess
import sys
from pathlib import Path

from harness import Skip, check, equal, test

ROOT = Path(__file__).resolve().parents[3]
TINY = "[both]\ntitle = tiny\ndirection = {direction}\nsize = 100K\ncontenders = {contenders}\n"


def bench(t, scenarios, *more, code=0):
    """What a run of these scenarios wrote, and what it printed."""
    if t.run.sanitized:
        raise Skip("this is about figures")
    t.folder.chmod(0o755)  # Apache serves as somebody else
    file, results = t.path("scenarios.ini"), t.path("results.json")
    file.write_text(scenarios)
    command = [sys.executable, ROOT / "bench/sluice-bench", "--binary", t.run.binary, "--scenarios", file, "--json", results,
               "--folder", t.folder, "--rounds", "2", *more]
    done = subprocess.run(list(map(str, command)), stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=100 * t.run.patience)
    equal(done.returncode, code, f"exit status; it said {done.stderr}")
    return json.loads(results.read_text())["scenarios"] if results.exists() else [], done.stdout + done.stderr


@test("host", limit=240)
def the_arithmetic_of_the_bench_is_right(t):
    done = subprocess.run([sys.executable, "-m", "unittest", "discover", "-s", ROOT / "tests/bench"], capture_output=True,
                          text=True, stdin=subprocess.DEVNULL, timeout=200)
    equal(done.returncode, 0, f"exit status; {done.stderr}")


@test("host", each=("get", "put"), limit=120)
def a_small_run_of_the_bench_measures_ours_beside_the_others(t, direction):
    contenders = "sluice, sluice:digests, nginx+curl, apache+curl, scp"
    report = t.path("report.html")
    found, said = bench(t, TINY.format(direction=direction, contenders=contenders), "--html", report)
    page = report.read_text()
    check(page.startswith("<!doctype html>") and page.endswith("</html>\n") and "sluice:digests" in page, "the report is no page")
    entries = {one["name"]: one for one in found[0]["contenders"]}
    equal(set(entries), set(contenders.split(", ")), "contenders")
    for name in ("sluice", "sluice:digests"):
        equal([one["bytes"] for one in entries[name]["rounds"]], [102400, 102400], f"bytes of {name}")
        check(all(one["seconds"] > 0 and one["peak_server_kib"] > 0 for one in entries[name]["rounds"]), f"{name}: no cost")
    for one in entries.values():
        check(one["skipped"] is None or not one["failed"], f"{one['name']} failed: {one['skipped']}")
        check(bool(one["rounds"]) != bool(one["skipped"]), f"{one['name']} neither ran nor was left out: {said}")


@test("host", limit=60)
def who_fails_is_named_and_the_run_fails(t):
    found, said = bench(t, TINY.format(direction="get", contenders="sluice:path=no-such-path, sluice"))
    equal(found[0]["contenders"][0]["rounds"], [], "rounds of the path that is not there")
    check("no-such-path" in said, said)
    equal(len(found[0]["contenders"][1]["rounds"]), 2, "rounds of the other")


@test("host", limit=60)
def a_scenario_that_is_wrong_is_told_with_its_place(t):
    _, said = bench(t, "[get]\ntitle = t\ndirection = up\ncontenders = sluice\n", code=1)
    check('[get] direction: "up" is none of' in said, said)
