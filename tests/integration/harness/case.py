"""Declares tests, runs them, and writes down how they ended.

A test is a function with one argument, the Trial: its folder, the run it belongs to, and what must be undone at its end.
Its name reads as a sentence. `@test("host", "guest")` says where it runs: on this machine's own kernel, or in the guest
whose kernel has kTLS. `each=` makes one test of every entry; the entry is the function's second argument. With `asked=True`
it runs only where a pattern names it: more of what a faster test shows in principle.
"""

import fnmatch
import importlib.util
import json
import shutil
import signal
import tempfile
import time
import traceback
from pathlib import Path


class Skip(Exception):
    """The test cannot run here; the text says why."""


class Failure(Exception):
    """What was found is not what must be."""


class Overdue(BaseException):
    """The test took too long. Not an Exception: no test may take it for a peer's timeout."""


# What is told of a run where no single test is to blame.
RUN = "run.what_tests_shared_ends_well"
tests = []


class Test:
    def __init__(self, function, name, places, arguments, limit, asked):
        self.function, self.name, self.places = function, name, places
        self.arguments, self.limit, self.asked = arguments, limit, asked


def test(*places, each=None, limit=60, asked=False):
    def declare(function):
        name = f"{Path(function.__code__.co_filename).stem}.{function.__name__}"
        if each is None:
            tests.append(Test(function, name, places, (), limit, asked))
        else:
            for entry in each:
                tests.append(Test(function, f"{name}[{entry}]", places, (entry,), limit, asked))
        return function

    return declare


def check(holds, said):
    if not holds:
        raise Failure(said)


def equal(found, wanted, what):
    if found != wanted:
        raise Failure(f"{what}: found {found!r}, not {wanted!r}")


def wait_for(ready, what, seconds=10.0):
    """Calls ready() until it returns something true, and returns that."""
    end = time.monotonic() + seconds
    while True:
        found = ready()
        if found:
            return found
        if time.monotonic() > end:
            raise Failure(f"{what} did not happen within {seconds:g} seconds")
        time.sleep(0.02)


class Trial:
    """One test as it runs."""

    def __init__(self, run, folder):
        self.run, self.folder = run, folder
        self._undo = []

    def at_end(self, action, *arguments):
        self._undo.append((action, arguments))

    def path(self, name):
        return self.folder / name

    def make_folder(self, name):
        made = self.folder / name
        made.mkdir(parents=True, exist_ok=True)
        return made

    def finish(self):
        """Undoes everything in reverse, and returns what failed while doing so."""
        problems = []
        while self._undo:
            action, arguments = self._undo.pop()
            try:
                action(*arguments)
            except Exception as problem:
                problems.append(problem)
        return problems


def load_cases(folder):
    for file in sorted(Path(folder).glob("*.py")):
        spec = importlib.util.spec_from_file_location(file.stem, file)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)


def selected(place, patterns):
    for one in tests:
        named = any(fnmatch.fnmatchcase(one.name, p) for p in patterns)
        if place in one.places and (named or not patterns and not one.asked):
            yield one


def _ring_the_bell(_number, _frame):
    raise Overdue()


def _explain(problem):
    if isinstance(problem, Overdue):
        return "it took too long\n" + "".join(traceback.format_tb(problem.__traceback__))
    if isinstance(problem, Failure):
        frame = traceback.extract_tb(problem.__traceback__)
        lines = [f"  {Path(f.filename).name}:{f.lineno}: {f.line}" for f in frame if "case.py" not in f.filename]
        return f"{problem}\n" + "\n".join(lines)
    return "".join(traceback.format_exception(problem))


def _telling(text):
    """What is no event is kept first, above all a sanitizer's report; of the events the last ones."""
    lines = text.splitlines(keepends=True)
    events = [line for line in lines if line.startswith("{")]
    others = [line for line in lines if not line.startswith("{")]
    return "".join(others[:200] + events[-40:])


def run_one(run, one):
    """Returns ("passed" | "failed" | "skipped", text)."""
    folder = Path(tempfile.mkdtemp(prefix="t", dir=run.folder))
    trial = Trial(run, folder)
    problems, skipped = [], None
    signal.signal(signal.SIGALRM, _ring_the_bell)
    signal.alarm(int(one.limit * run.patience))
    try:
        one.function(trial, *one.arguments)
    except Skip as reason:
        skipped = str(reason)
    except (Exception, Overdue) as problem:
        problems.append(problem)
    except BaseException:  # the run is told to end: nothing of this test outlives it
        signal.alarm(0)
        trial.finish()
        raise
    signal.alarm(0)
    problems += trial.finish()
    logs = "".join(f"--- {log.name}\n{_telling(log.read_text(errors='replace'))}" for log in sorted(folder.glob("*.log")))
    shutil.rmtree(folder, ignore_errors=True)
    if problems:
        return "failed", "\n".join(_explain(p) for p in problems) + "\n" + logs
    return ("skipped", skipped) if skipped is not None else ("passed", "")


def run_those(run, chosen, tell):
    for one in chosen:
        began = time.monotonic()
        outcome, text = run_one(run, one)
        tell(one.name, outcome, text, time.monotonic() - began)


def finish(run, tell):
    problems = run.finish()
    if problems:
        tell(RUN, "failed", "\n".join(_explain(p) for p in problems), 0.0)


class Report:
    """One line for each test as it ends, a record in `results` if that is a file, counts at the end."""

    def __init__(self, place, build, results):
        self.place, self.build, self.results = place, build, results
        self.counts = {"passed": 0, "failed": 0, "skipped": 0}

    def tell(self, name, outcome, text, seconds):
        self.counts[outcome] += 1
        reason = f": {text}" if outcome == "skipped" else ""
        print(f"{outcome:7} {self.place} {name} ({seconds:.1f} s){reason}", flush=True)
        if outcome == "failed":
            print("    " + text.rstrip().replace("\n", "\n    "), flush=True)
        if self.results:
            record = {"test": f"{self.place} {name}", "build": self.build, "outcome": outcome, "seconds": seconds}
            record["text"] = text
            self.results.write(json.dumps(record) + "\n")
            self.results.flush()

    def close(self):
        tail = f", {self.counts['skipped']} skipped" if self.counts["skipped"] else ""
        print(f"{self.counts['passed']} passed, {self.counts['failed']} failed{tail}")
