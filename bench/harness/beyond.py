"""Files that are larger than half the memory: what moving one does to the page cache, on a machine with little of it.

That machine is the guest (tests/guest/guest), with a disk of its own and a kernel that has kTLS; in_guest() runs the bench itself
there. With --disk it is this one.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

from harness import results

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PIECE = 2**20
BYSTANDER = 6   # of the memory so much, a sixth, is another file that was read
ROOM = 5        # the disk has so many times the memory: the file, one arrival for the first round of each, and some
LIMIT = 7200    # seconds


class NoGuest(Exception):
    """It could not be measured there; the text says why."""


class Memory:
    """What the page cache had before a round, and what is left of it. `source`: a folder with a `file` and a `bystander`."""

    def __init__(self, source):
        self.file, self.bystander = source / "file", source / "bystander"
        for path in (self.file, self.bystander):
            with open(path, "rb") as file:
                os.fsync(file.fileno())

    def _cached_kib(self):
        return int(re.search(r"^Cached:\s+(\d+)", pathlib.Path("/proc/meminfo").read_text(), re.M)[1])

    def before(self):
        for path in (self.file, self.bystander):
            with open(path, "rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        for _ in range(2):  # once read is soon forgotten, twice is in use
            with open(self.bystander, "rb") as file:
                while file.read(PIECE):
                    pass
        self.cached = self._cached_kib()

    def after(self, arrived=None):
        """Facts of a round. `arrived`: the file that the server has received; without it, it has sent `file`."""
        found = {"cache_grown_kib": self._cached_kib() - self.cached}
        if shutil.which("fincore"):
            found |= {"cache_kept": _in_cache(self.bystander), "cache_moved": _in_cache(arrived or self.file)}
        return found


def _in_cache(path):
    told = subprocess.run(["fincore", "-b", "-n", "-o", "RES", path], capture_output=True, text=True, check=True)
    return int(told.stdout) / path.stat().st_size


def _command(scenarios, arguments, out):
    memory = scenarios[0].guest
    inner = [sys.executable, ROOT / "bench/sluice-bench", *(one.id for one in scenarios), "--binary", arguments.binary,
             "--scenarios", arguments.scenarios.resolve(), "--folder", "/tmp", "--disk", "/disk", "--json", out]
    for name in ("rounds", "size", "count"):
        if getattr(arguments, name):
            inner += [f"--{name}", getattr(arguments, name)]
    if arguments.contenders:
        inner += ["--contenders", ",".join(arguments.contenders)]
    guest = [ROOT / "tests/guest/guest", "-t", LIMIT, "-m", f"{memory // 2**20}M", "-d", f"{ROOM * memory // 2**20}M",
             "-w", out.parent, "-r", arguments.binary.parent, "-r", arguments.scenarios.resolve().parent, "--", *inner]
    return list(map(str, guest))


def in_guest(scenarios, arguments, say):
    """What was found of these scenarios, which have the same `guest`, as results.py has it."""
    with tempfile.TemporaryDirectory(prefix="sluice-beyond-", dir="/var/tmp") as folder:
        out, lines = pathlib.Path(folder) / "results.json", []
        with subprocess.Popen(_command(scenarios, arguments, out), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, errors="replace", cwd=ROOT) as guest:
            try:
                for line in guest.stdout:
                    lines.append(line.rstrip())
                    if line.startswith(tuple(f"{one.id}: {name}: " for one in scenarios for name in one.contenders)):
                        say(line.rstrip())
            except BaseException:
                guest.terminate()
                raise
        if not out.exists():
            raise NoGuest(f"the guest ended with {guest.returncode}: {' / '.join(lines[-2:])}")
        whole = results.read(out)
    for one in whole["scenarios"]:
        one["what"]["guest"] = {key: whole["machine"][key] for key in ("memory_bytes", "kernel")}
    return whole["scenarios"]
