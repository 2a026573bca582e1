"""./check, once everything it needs is installed: builds, runs all tests, counts.

Stages run one after the other; what runs has its log in build/check/. The guest's stage is this same program, started inside.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

sys.dont_write_bytecode = True
TESTS = Path(__file__).resolve().parent.parent
ROOT = TESTS.parent
sys.path.insert(0, str(Path(__file__).resolve().parent))

import units  # noqa: E402
from ending import as_they_end, attended, in_order_on_sigterm  # noqa: E402
from outcomes import Outcomes  # noqa: E402

BUILD = ROOT / "build"
LOGS = BUILD / "check"
INTEGRATION = TESTS / "integration" / "run"
GUEST = TESTS / "guest" / "guest"
GUEST_LIMIT = 2400
INSTRUCTIONS = ROOT / "bench" / "instructions"
JOBS = 2  # of integration tests in each build: they spend most of their time waiting
AT_ONCE = 3  # unit tests for each processor: they spend most of their time waiting, too
FUZZ_RUNS = 20000
FUZZ_SECONDS = 20


def say(text):
    print(text, flush=True)


class Check:
    def __init__(self):
        self.outcomes = Outcomes()
        self.began = time.monotonic()

    def stage(self, title, work):
        began = time.monotonic()
        say(f"== {title}")
        work()
        say(f"   {time.monotonic() - began:.0f} s")

    def run(self, log, command, show=None):
        """Runs a command with its output in a log; lines that match `show` are shown as well. Returns the exit status."""
        with open(LOGS / f"{log}.log", "w") as out:
            process = subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                       stderr=subprocess.STDOUT, text=True, errors="replace", cwd=ROOT)
            with attended(process):
                for line in process.stdout:
                    out.write(line)
                    if show and re.search(show, line):
                        say("   " + line.rstrip())
                return process.wait()

    def result(self, test, build, code, log):
        """A stage that is one test."""
        text = "" if code == 0 else f"exit status {code}\n" + "\n".join((LOGS / f"{log}.log").read_text().splitlines()[-60:])
        self.outcomes.add(test, build, "passed" if code == 0 else "failed", text)
        return code == 0

    # Builds

    def build(self, preset, targets=(), options=()):
        configure = ["cmake", "--preset", preset, "-DSLUICE_TESTS=ON", *options]
        compile_ = ["cmake", "--build", "--preset", preset, *(["--target", *targets] if targets else [])]
        log = f"build-{preset}"
        code = self.run(f"configure-{preset}", configure)
        if code != 0:
            return self.result(f"build {preset}", preset, code, f"configure-{preset}")
        return self.result(f"build {preset}", preset, self.run(log, compile_, r"(error|warning):"), log)

    # Tests

    def unit(self, build, names=None, prefix=(), limit=300):
        at_once = AT_ONCE * os.cpu_count()
        with open(LOGS / f"unit-{build}.log", "w") as log:
            def tell(name, seconds):
                print(f"{seconds:6.1f} s  {name}", file=log, flush=True)

            for test, where, outcome, text in units.run_all(BUILD / build / "unit", build, names, prefix, limit, at_once, tell):
                self.outcomes.add(test, where, outcome, text)
                if outcome == "failed":
                    say(f"   failed  {test} [{build}]")

    def fuzz(self):
        programs = sorted((BUILD / "clang" / "fuzz").glob("fuzz_*"))
        if not programs:
            self.outcomes.add("fuzz: there are fuzzers", "clang", "failed", "build/clang/fuzz holds none")
        side_by_side([partial(self.fuzz_one, program) for program in programs], os.cpu_count())

    def fuzz_one(self, program):
        name = program.name.removeprefix("fuzz_")
        corpus = LOGS / "corpus" / name
        shutil.rmtree(corpus, ignore_errors=True)
        corpus.mkdir(parents=True)
        seeds = TESTS / "fuzz" / name
        command = [program, f"-runs={FUZZ_RUNS}", "-seed=1", f"-max_total_time={FUZZ_SECONDS}", "-timeout=10",
                   f"-artifact_prefix={LOGS}/fuzz-{name}-", corpus, *([seeds] if seeds.is_dir() else [])]
        code = self.run(f"fuzz-{name}", command)
        self.result(f"fuzz {name}: no input makes it fail", "clang", code, f"fuzz-{name}")

    def integration(self, build, binary, server=None, patterns=()):
        log, results = f"integration-{build}", LOGS / f"integration-{build}.json"
        results.unlink(missing_ok=True)
        command = [INTEGRATION, "--place", "host", "--build", build, "--binary", binary, "--results", results, "--jobs", JOBS]
        command += [*(["--server-binary", server] if server else []), *patterns]
        code = self.run(log, command, r"^failed ")
        self.read_results(results, log, code, build)

    def read_results(self, file, log, code, build):
        if self.outcomes.read(file) == 0 or code not in (0, 1):
            self.result(f"{log}: it runs to its end", build, code or 125, log)

    def guest(self):
        shared = LOGS / "guest"
        shutil.rmtree(shared, ignore_errors=True)
        shared.mkdir()
        results = shared / "results.json"
        command = [GUEST, "-t", GUEST_LIMIT, "-w", shared, "--", sys.executable, Path(__file__).resolve(), "--in-guest", results]
        code = self.run("guest", command, r"^failed |^guest: ")
        self.read_results(results, "guest", code, "guest")

    def instructions(self):
        """What a byte, a request and a handshake cost the server, held against bench/baseline.json."""
        outcomes = LOGS / "instructions.json"
        outcomes.unlink(missing_ok=True)
        command = [INSTRUCTIONS, "--compare", "--binary", BUILD / "release" / "sluice", "--outcomes", outcomes]
        code = self.run("instructions", command, r"^failed |^guest: ")
        self.read_results(outcomes, "instructions", code, "guest")

    def finish(self):
        for test, build, text in self.outcomes.failures():
            say(f"\nFAILED  {test} [{build}]\n    " + text.rstrip().replace("\n", "\n    "))
        skips = list(self.outcomes.skips())
        for test, why in skips:
            say(f"skipped {test}: {why}")
        say(f"\n{time.monotonic() - self.began:.0f} s; logs are in {LOGS.relative_to(ROOT)}/")
        say(self.outcomes.closing_line())
        return 1 if self.outcomes.counts()["failed"] else 0


def side_by_side(works, at_once=None):
    for _ in as_they_end(works, at_once or len(works)):
        pass


def tsan_prefix():
    """ThreadSanitizer of GCC 12 needs addresses where kernels with much randomisation do not put them."""
    probe = subprocess.run(["setarch", "-R", "true"], stderr=subprocess.DEVNULL)
    return ["setarch", "-R"] if probe.returncode == 0 else []


def in_guest(results):
    """Inside: the unit tests see kTLS, and the integration tests run for it. One line for each."""
    names = units.for_the_guest(TESTS)
    found = list(units.run_all(BUILD / "release" / "unit", "guest", names, limit=600,
                               tell=lambda name, seconds: say(f"unit {name}: {seconds:.1f} s")))
    units.write(found, results)
    for test, _, outcome, text in found:
        say(f"{outcome:7} {test}" + (f": {text}" if outcome != "passed" else ""))
    command = [INTEGRATION, "--place", "guest", "--build", "guest", "--binary", BUILD / "release" / "sluice"]
    code = subprocess.run([*map(str, command), "--results", results]).returncode
    return 1 if code or any(outcome == "failed" for _, _, outcome, _ in found) else 0


def everything(quick):
    check = Check()
    shutil.rmtree(LOGS, ignore_errors=True)
    LOGS.mkdir(parents=True)
    threaded = units.threaded(TESTS)
    tsan_targets = ["sluice", *(f"unit_{name}" for name in threaded)]
    check.stage("building: release", lambda: check.build("release"))
    if not quick:
        check.stage("building: asan", lambda: check.build("asan"))
        check.stage("building: tsan", lambda: check.build("tsan", tsan_targets))
        check.stage("building: clang, with the fuzzers", lambda: check.build("clang"))
    check.stage("unit tests", lambda: check.unit("release"))
    release = BUILD / "release" / "sluice"
    if not quick:
        prefix = tsan_prefix()
        check.stage("unit tests with ASan and UBSan", lambda: check.unit("asan", limit=600))
        check.stage("unit tests with TSan", lambda: check.unit("tsan", threaded, prefix, limit=600))
        check.stage("fuzzers", check.fuzz)
    if quick:
        check.stage("integration tests on this machine", lambda: check.integration("release", release))
    else:
        # They spend most of their time waiting: both builds at once take hardly longer than one.
        # So does the guest whose clock counts instructions, which do not get more beside others.
        check.stage("integration tests on this machine, and with ASan and UBSan; instructions of the server", lambda: side_by_side([
            lambda: check.integration("release", release),
            lambda: check.integration("asan", BUILD / "asan" / "sluice"),
            check.instructions]))
        check.stage("the server with TSan under many clients, and reloaded",
                    lambda: check.integration("tsan", release, BUILD / "tsan" / "sluice", ["concurrent.*", "reload.*"]))
        check.stage("unit and integration tests in a guest with Debian's kernel", check.guest)
    return check.finish()


def main():
    parser = argparse.ArgumentParser(prog="check")
    parser.add_argument("--quick", action="store_true", help="the release build on this machine only: no sanitizers, no guest")
    parser.add_argument("--in-guest", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    in_order_on_sigterm()
    try:
        return in_guest(given.in_guest) if given.in_guest else everything(given.quick)
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
