"""Runs scenarios: everyone in turn, round by round, so that what else a machine does meets all of them alike."""
import contextlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

from harness import machine, measure, peers, results
from harness.common import have_memory, make_certificates
from harness.peers.base import Place, Skip

PIECE = 2**20
FOLDER_FILES = 100


def say(text):
    print(text, file=sys.stderr, flush=True)


def _write(path, size, first):
    """Bytes that differ from place to place, and from file to file."""
    piece = os.urandom(min(size, PIECE))
    with open(path, "wb") as out:
        for number in range(0, size, PIECE):
            out.write(((first + number).to_bytes(8, "little") + piece[8:])[:size - number])


def make_source(place, scenario):
    place.source.mkdir()
    if not scenario.direction.endswith("-tree"):
        return _write(place.source / "file", scenario.size, 0)
    for number in range(scenario.files):
        folder = place.source / "tree" / f"d{number // FOLDER_FILES}"
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder / f"f{number:05}", scenario.size, number << 32)


class Memory:
    """For files that are larger than the memory: what the page cache had before a round, and what is left of it."""

    def __init__(self, place, size):
        self.source, self.bystander = place.source / "file", place.source / "bystander"
        _write(self.bystander, size, 1 << 40)
        for path in (self.source, self.bystander):
            with open(path, "rb") as file:
                os.fsync(file.fileno())

    def _cached_kib(self):
        return int(re.search(r"^Cached:\s+(\d+)", pathlib.Path("/proc/meminfo").read_text(), re.M)[1])

    def before(self):
        with open(self.source, "rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        for _ in range(2):  # once read is soon forgotten, twice is in use
            with open(self.bystander, "rb") as file:
                while file.read(PIECE):
                    pass
        self.cached = self._cached_kib()

    def after(self):
        grown = self._cached_kib() - self.cached
        if not shutil.which("fincore"):
            return {"cache_grown_kib": grown}
        told = subprocess.run(["fincore", "-b", "-n", "-o", "RES", self.bystander], capture_output=True, text=True, check=True)
        return {"cache_grown_kib": grown, "cache_kept": int(told.stdout) / self.bystander.stat().st_size}


class Scene:
    """One scenario with everything that is set up for it."""

    def __init__(self, scenario, folder, arguments, everything):
        self.scenario, self.contenders, self.memory = scenario, [], None
        self.limit = 120 + scenario.seconds + scenario.bytes / 5e6
        self.place = Place(folder / re.sub(r"\W", "_", scenario.id), arguments.binary, everything)
        self.warm = scenario.size // PIECE if scenario.to == "file" and machine.in_memory(folder) else 0
        self.found = {
            "id": scenario.id, "title": scenario.title, "unit": scenario.unit,
            "what": {"direction": scenario.direction, "size": scenario.size, "files": scenario.files,
                     "connections": scenario.connections, "suite": scenario.suite, "to": scenario.to,
                     "requests": scenario.requests, "seconds": scenario.seconds, "cores": scenario.cores or None,
                     "verified": False},
            "series": scenario.series or None, "x": scenario.x, "targets": results.targets(scenario), "contenders": []}

    def needed(self):
        """Bytes in the folder: the source, one arrival, and some room."""
        one = self.scenario.size * self.scenario.files
        return one * 2 + 64 * PIECE

    def _entry(self, name):
        server, client, options = peers.pair(name)
        entry = {"name": name, "version": None, "server": server, "client": client, "path": options.get("path"),
                 "digests": "digests" in options, "streams": int(options["streams"]) if "streams" in options else None,
                 "offload": options.get("offload"), "told": None, "skipped": None, "failed": False, "rounds": [], "syscalls": None}
        self.found["contenders"].append(entry)
        return entry

    def begin(self, names):
        """Starts everyone and lets them go once, untimed; what arrived is compared."""
        lacking = machine.lacking(self.place.folder.parent, self.needed())
        if not lacking:
            self.place.folder.mkdir()
            self.place.folder.chmod(0o755)
            make_source(self.place, self.scenario)
            if self.scenario.direction == "beyond":
                self.memory = Memory(self.place, machine.memory_bytes() // 16)
        for name in names:
            entry = self._entry(name)
            try:
                if lacking:
                    raise Skip(lacking)
                contender = peers.contender(name, self.scenario, self.place)
                self.contenders.append((contender, entry))
                contender.start()
                entry["version"] = contender.version()
                self._first(contender, entry)
            except (Skip, measure.Failed) as problem:
                self._leave_out(entry, problem)
        self.found["what"]["verified"] = any(not entry["skipped"] for _, entry in self.contenders)

    def _first(self, contender, entry):
        contender.first(self.limit)
        told = contender.told()
        sends, receives = ("client", "server") if self.scenario.direction.startswith("put") else ("server", "client")
        taken = [told[end] for end in (sends, receives) if told[end]]
        asked = [one for one in taken if one["path"] == entry["path"]]
        entry["told"] = (asked + taken + [None])[0]
        if entry["path"] and taken and not asked:
            refused = ([one for one in taken if f"not {entry['path']} " in one["why"]] + taken)[0]
            raise Skip(f"it took the path {refused['path']}: {refused['why']}")

    def _leave_out(self, entry, problem):
        entry["skipped"], entry["rounds"] = str(problem), []
        entry["failed"] = isinstance(problem, measure.Failed)
        say(f"{self.scenario.id}: {'FAILED' if entry['failed'] else 'left out'}: {entry['name']}: {problem}")

    def round(self, contender, entry):
        if entry["skipped"]:
            return
        contender.prepare()
        if self.warm:
            have_memory(self.place.folder, self.warm)
        if self.memory:
            self.memory.before()
        try:
            facts = contender.round(self.limit)
            if self.memory:
                facts.update(self.memory.after())
            entry["rounds"].append(results.new_round(**facts))
        except measure.Failed as problem:
            self._leave_out(entry, problem)
        contender.clean()

    def count_calls(self, contender, entry):
        if entry["skipped"] or self.scenario.direction == "idle":
            return
        contender.prepare()
        counter = measure.Syscalls(contender.server.roots(), contender.folder / "perf")
        facts = None
        try:
            facts = contender.round(self.limit, counter.wrap)
        except measure.Failed as problem:
            say(f"{self.scenario.id}: {entry['name']}: its system calls were not counted: {problem}")
        finally:
            counted = counter.counts()
        if facts and counted["server"] is not None:
            entry["syscalls"] = {**counted, "bytes": facts["bytes"], "requests": facts["requests"]}
        contender.clean()

    def end(self):
        for contender, _ in self.contenders:
            contender.stop()
        shutil.rmtree(self.place.folder, ignore_errors=True)


def run_section(scenarios, folder, arguments, everything):
    """All scenarios of a section, in alternation. Returns what was found."""
    rounds = arguments.rounds or scenarios[0].rounds or 5
    scenes = []
    with contextlib.ExitStack() as undo:
        for scenario in scenarios:
            say(f"{scenario.id}: {scenario.title}")
            scene = Scene(scenario, folder, arguments, everything)
            undo.callback(scene.end)
            names = [name for name in scenario.contenders if not arguments.contenders or name in arguments.contenders]
            scene.begin(names)
            scenes.append(scene)
        turns = [(scene, *one) for scene in scenes for one in scene.contenders]
        for number in range(rounds):
            first = number % max(len(turns), 1)
            for scene, contender, entry in turns[first:] + turns[:first]:
                scene.round(contender, entry)
        for scene, contender, entry in turns:
            scene.count_calls(contender, entry)
    return [scene.found for scene in scenes]


def run(scenarios, arguments):
    """The whole of results.py. Results so far are kept when a later section fails."""
    found = []
    result = {"format": results.FORMAT, "machine": machine.facts(),
              "arguments": {"scenarios": arguments.scenario, "rounds": arguments.rounds, "size": arguments.size,
                            "count": arguments.count, "folder": str(arguments.folder), "disk": str(arguments.disk),
                            "binary": str(arguments.binary), "contenders": arguments.contenders}, "scenarios": found, "instructions": None}
    sections = dict.fromkeys(one.section for one in scenarios)
    with tempfile.TemporaryDirectory(prefix="sluice-bench-", dir=arguments.folder) as name:
        everything = pathlib.Path(name)
        everything.chmod(0o755)
        make_certificates(everything)
        for section in sections:
            these = [one for one in scenarios if one.section == section]
            base = arguments.disk if these[0].direction == "beyond" else everything
            with tempfile.TemporaryDirectory(prefix="sluice-bench-", dir=base) as folder:
                os.chmod(folder, 0o755)
                found += run_section(these, pathlib.Path(folder), arguments, everything)
            results.conclude(found)
            if arguments.json:
                results.write(result, arguments.json)
    return result
