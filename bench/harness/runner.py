"""Runs scenarios: everyone in turn, round by round, so that what else a machine does meets all of them alike."""
import contextlib
import os
import pathlib
import re
import shutil
import sys
import tempfile

from harness import beyond, machine, measure, peers, results
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
                     "disk": bool(scenario.guest), "guest": None, "verified": False},
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
            if self.scenario.guest:
                _write(self.place.source / "bystander", machine.memory_bytes() // beyond.BYSTANDER, 1 << 40)
                self.memory = beyond.Memory(self.place.source)
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
                facts.update(self.memory.after(contender.target / "file" if self.scenario.direction == "put" else None))
                say(f"{self.scenario.id}: {entry['name']}: {facts['seconds']:.1f} s")
            entry["rounds"].append(results.new_round(**facts))
        except measure.Failed as problem:
            self._leave_out(entry, problem)
        contender.clean()

    def leave_all_out(self, names, problem):
        for name in names:
            self._leave_out(self._entry(name), problem)

    def count_calls(self, contender, entry):
        if entry["skipped"] or self.scenario.direction == "idle" or self.scenario.guest:
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
        with contextlib.ExitStack() as undo:
            undo.callback(shutil.rmtree, self.place.folder, ignore_errors=True)
            for contender, _ in self.contenders:
                undo.callback(contender.stop)


def _names(scenario, arguments):
    return [name for name in scenario.contenders if not arguments.contenders or name in arguments.contenders]


def run_in_guest(scenarios, folder, arguments):
    """The same on the disk of a machine with little memory, which is the guest. Where it cannot be had everyone is left out."""
    for one in scenarios:
        say(f"{one.id}: {one.title}")
    try:
        return beyond.in_guest(scenarios, arguments, say)
    except beyond.NoGuest as problem:
        scenes = [Scene(one, folder, arguments, folder) for one in scenarios]
        for scene in scenes:
            scene.leave_all_out(_names(scene.scenario, arguments), Skip(problem))
        return [scene.found for scene in scenes]


def run_section(scenarios, folder, arguments, everything):
    """All scenarios of a section, in alternation. Returns what was found."""
    rounds = arguments.rounds or scenarios[0].rounds or 5
    scenes = []
    with contextlib.ExitStack() as undo:
        for scenario in scenarios:
            say(f"{scenario.id}: {scenario.title}")
            scene = Scene(scenario, folder, arguments, everything)
            undo.callback(scene.end)
            scene.begin(_names(scenario, arguments))
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
                            "count": arguments.count, "folder": str(arguments.folder),
                            "disk": arguments.disk and str(arguments.disk),
                            "binary": str(arguments.binary), "contenders": arguments.contenders},
              "scenarios": found, "instructions": None}
    sections = dict.fromkeys(one.section for one in scenarios)
    with tempfile.TemporaryDirectory(prefix="sluice-bench-", dir=arguments.folder) as name:
        everything = pathlib.Path(name)
        everything.chmod(0o755)
        make_certificates(everything)
        for section in sections:
            these = [one for one in scenarios if one.section == section]
            if these[0].guest and not arguments.disk:
                found += run_in_guest(these, everything, arguments)
            else:
                base = arguments.disk if these[0].guest else everything
                with tempfile.TemporaryDirectory(prefix="sluice-bench-", dir=base) as folder:
                    os.chmod(folder, 0o755)
                    found += run_section(these, pathlib.Path(folder), arguments, everything)
            results.conclude(found)
            if arguments.json:
                results.write(result, arguments.json)
    return result
