"""Runs the programs of cmocka tests and reads how each single test ended."""

import json
import os
import re
import subprocess
import tempfile
import time
import xml.etree.ElementTree as xml
from functools import partial
from pathlib import Path

from ending import as_they_end, attended

SANITIZERS = {
    "ASAN_OPTIONS": "detect_leaks=1",
    "UBSAN_OPTIONS": "print_stacktrace=1",
    "TSAN_OPTIONS": "second_deadlock_stack=1",
}
# What the threads of other rooms go through: these are run with ThreadSanitizer too.
THREADED_ROOMS = {"ring", "pump", "server", "client", "event", "digest"}
# What meets the kernel: these are run in the guest too, and whatever may be skipped elsewhere.
KERNEL_ROOMS = {"ring", "pump", "store", "server", "client"}
# Those that take longest, longest first: they begin first, so that none of them is left alone at the end.
LONG = ("faults", "pump", "channel_kernel", "channel_shortcut", "pump_faults", "client_get", "client_put", "catalog_writer",
        "tls_verify", "tls_admit", "pump_crowd")


def rooms(source):
    first = source.read_text().splitlines()[0]
    return set(first.removeprefix("// rooms: ").split()) if first.startswith("// rooms: ") else set()


def threaded(tests_folder):
    """Names of the programs that are worth a run with ThreadSanitizer."""
    return sorted(f.stem for f in (tests_folder / "unit").glob("*.c") if rooms(f) & THREADED_ROOMS)


def for_the_guest(tests_folder):
    """Names of the programs whose tests another kernel may answer differently."""
    sources = (tests_folder / "unit").glob("*.c")
    return sorted(f.stem for f in sources if rooms(f) & KERNEL_ROOMS or "skip();" in f.read_text())


def _cases(report):
    """The single tests of one group's XML."""
    # cmocka writes the failed assertion as it stands, and one CDATA section of it may hold the end of another.
    text = re.sub(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd]", "?", report.read_text(errors="replace"))
    for case in xml.fromstring(text).iter("testcase"):
        failure = case.find("failure")
        if failure is None:
            failure = case.find("error")
        if failure is not None:
            yield case.get("name"), "failed", failure.text or failure.get("message") or ""
        elif case.find("skipped") is not None:
            yield case.get("name"), "skipped", ""
        else:
            yield case.get("name"), "passed", ""


def _skip_reason(output):
    lines = [line.strip() for line in output.splitlines() if line.strip() and not line.startswith(("[", "<"))]
    return lines[-1] if lines else "it gave no reason"


def run_program(program, build, prefix, limit):
    """Returns [(test, build, outcome, text)]."""
    name = program.name.removeprefix("unit_")
    with tempfile.TemporaryDirectory(prefix="sluice-unit.") as folder:
        environment = {**os.environ, **SANITIZERS, "CMOCKA_MESSAGE_OUTPUT": "XML", "CMOCKA_XML_FILE": f"{folder}/%g.xml",
                       "LC_ALL": "C.UTF-8"}
        process = subprocess.Popen([*prefix, str(program)], env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT)
        with attended(process):
            try:
                output, code = process.communicate(timeout=limit)[0].decode(errors="replace"), process.returncode
            except subprocess.TimeoutExpired:
                process.kill()
                output, code = process.communicate()[0].decode(errors="replace") + f"\nended after {limit} seconds", None
        results = []
        for report in sorted(Path(folder).glob("*.xml")):
            group = "" if report.stem == "tests" else f" ({report.stem})"
            try:
                results += [(f"unit {name}: {case}{group}", build, outcome, text) for case, outcome, text in _cases(report)]
            except xml.ParseError as problem:
                results.append((f"unit {name}: its report", build, "failed", f"{problem}\n{report.read_text()}"))
    results = [(t, b, o, text if o != "skipped" else _skip_reason(output)) for t, b, o, text in results]
    failed = [r for r in results if r[2] == "failed"]
    if (code != 0 and not failed) or not results:
        results.append((f"unit {name}: the program", build, "failed", f"exit status {code}\n{output[-20000:]}"))
    return [(t, b, o, f"{text}\n{output[-4000:]}" if o == "failed" and "the program" not in t else text)
            for t, b, o, text in results]


def _rank(name):
    return LONG.index(name) if name in LONG else len(LONG)


def run_all(folder, build, names=None, prefix=(), limit=120, parallel=None, tell=None):
    """Runs so many programs side by side, and yields the tests of each as it ends. tell(name, seconds) hears of each."""
    programs = [p for p in Path(folder).glob("unit_*") if names is None or p.name.removeprefix("unit_") in names]
    programs.sort(key=lambda program: (_rank(program.name.removeprefix("unit_")), program.name))

    def run(program):
        began = time.monotonic()
        results = run_program(program, build, prefix, limit)
        return program.name.removeprefix("unit_"), time.monotonic() - began, results

    for name, seconds, results in as_they_end([partial(run, program) for program in programs], parallel or os.cpu_count()):
        if tell:
            tell(name, seconds)
        yield from results


def write(results, file):
    with open(file, "a") as out:
        for test, build, outcome, text in results:
            out.write(json.dumps({"test": test, "build": build, "outcome": outcome, "text": text}) + "\n")
            out.flush()
