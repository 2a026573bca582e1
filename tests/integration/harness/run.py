"""One run of the tests: where it happens, which program it is about, and what its tests share."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from .pki import Authority


def _steady_addresses():
    """ThreadSanitizer of GCC 12 needs addresses where kernels with much randomisation do not put them."""
    probe = subprocess.run(["setarch", "-R", "true"], stderr=subprocess.DEVNULL)
    return ["setarch", "-R"] if probe.returncode == 0 else []


class Run:
    def __init__(self, place, binary, server_binary=None, build="release", patience=1.0):
        self.place, self.build, self.patience = place, build, patience
        self.binary = str(Path(binary).resolve())
        self.server_binary = str(Path(server_binary or binary).resolve())
        self.server_prefix = _steady_addresses() if build == "tsan" else []
        base = "/dev/shm" if place == "host" and os.access("/dev/shm", os.W_OK) else None
        self.folder = Path(tempfile.mkdtemp(prefix="sluice-tests.", dir=base))
        self.folder.chmod(0o755)  # peers that drop their privileges read files below
        self.pki = Authority(self.folder / "pki")
        self._shared, self._undo = {}, []

    def shared(self, name, make):
        """Makes a thing once for all tests of this run."""
        if name not in self._shared:
            self._shared[name] = make()
        return self._shared[name]

    @property
    def sanitized(self):
        return self.build in ("asan", "tsan")

    @property
    def kernel(self):
        return self.place == "guest"

    def at_end(self, action):
        self._undo.append(action)

    def finish(self):
        """Ends what tests shared. Returns what failed while doing so."""
        problems = []
        while self._undo:
            try:
                self._undo.pop()()
            except Exception as problem:
                problems.append(problem)
        return problems

    def close(self):
        self.finish()
        shutil.rmtree(self.folder, ignore_errors=True)


def tls_counters():
    """/proc/net/tls_stat as numbers; nothing where the kernel has no kTLS."""
    try:
        lines = Path("/proc/net/tls_stat").read_text().splitlines()
    except FileNotFoundError:
        return {}
    return {name: int(value) for name, value in (line.split() for line in lines if line.strip())}
