"""Sluice itself, under test: configurations, a running server and its events, calls of the client."""

import json
import os
import signal
import subprocess
from pathlib import Path

from .case import Failure, check, wait_for

_SANITIZERS = {
    "ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0:exitcode=99",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1:exitcode=99",
    "TSAN_OPTIONS": "halt_on_error=0:exitcode=99:second_deadlock_stack=1",
}


def environment():
    return {**os.environ, **_SANITIZERS, "LC_ALL": "C.UTF-8"}


def write_ini(path, sections):
    """`sections`: {"server-profile in": {"key": value}, ...}; a list becomes a list, None leaves a key out."""
    with open(path, "w") as out:
        for section, keys in sections.items():
            out.write(f"[{section}]\n")
            for key, value in keys.items():
                if value is not None:
                    text = ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else value
                    out.write(f"{key} = {text}\n")
            out.write("\n")
    return Path(path)


class Server:
    """`sluice serve`, ended with the test; that it ends in good order is part of every test."""

    def __init__(self, trial, sections, name="server", more_environment=None):
        self.ini = write_ini(trial.path(f"{name}.ini"), sections)
        self.log = trial.path(f"{name}.log")
        self._ended_on_purpose = False
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [*trial.run.server_prefix, trial.run.server_binary, "serve", "-c", self.ini],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**environment(), **(more_environment or {})},
            )
        trial.at_end(self.stop)
        wait_for(lambda: self.find("S01I") or self.process.poll() is not None, "the server's start", 30 * trial.run.patience)
        if self.process.poll() is not None:
            self._ended_on_purpose = True
            raise Failure(f"the server did not start (exit code {self.process.returncode}):\n{self.log.read_text()}")
        self.ports = {e["protocol"]: int(e["port"]) for e in self.find("S03I")}
        self.port = next(iter(self.ports.values()))

    def events(self):
        found = []
        whole, _, _ = self.log.read_text(errors="replace").rpartition("\n")  # the last line may be half written
        for line in whole.splitlines():
            if line.startswith("{"):
                try:
                    found.append(json.loads(line))
                except ValueError as problem:
                    raise Failure(f"an event is not JSON: {line}") from problem
        return found

    def find(self, identity, **fields):
        return [
            e for e in self.events() if e.get("id") == identity and all(str(e.get(k)) == str(v) for k, v in fields.items())
        ]

    def wait_event(self, identity, seconds=10, **fields):
        """The last such event, once there is one."""
        return wait_for(lambda: self.find(identity, **fields), f"event {identity} {fields or ''}", seconds)[-1]

    def status(self, key):
        """A number of /proc/PID/status, in bytes where it is one of memory."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(key + ":"):
                words = line.split()
                return int(words[1]) << (10 if words[-1] == "kB" else 0)
        raise Failure(f"/proc/{self.process.pid}/status has no {key}")

    def cpu_seconds(self):
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def kill(self):
        self._ended_on_purpose = True
        self.process.kill()
        self.process.wait()

    def stop(self, seconds=60):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise Failure(f"the server did not stop within {seconds} seconds of SIGTERM") from None
        if not self._ended_on_purpose:
            self._ended_on_purpose = True
            check(self.process.returncode == 0,
                  f"the server ended with {self.process.returncode}; see its log")


class Result:
    """How a call of the client ended."""

    def __init__(self, done):
        self.code, self.output, self.errors = done.returncode, done.stdout, done.stderr
        self.events = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
        self.transfers = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]

    @property
    def transfer(self):
        if len(self.transfers) != 1:
            raise Failure(f"the client reported {len(self.transfers)} transfers, not one: {self.output}{self.errors}")
        return self.transfers[0]

    def must_succeed(self):
        check(self.code == 0, f"the client ended with {self.code}: {self.errors}{self.output}")
        return self

    def must_fail(self, code):
        check(self.code == code, f"the client ended with {self.code}, not {code}: {self.errors}{self.output}")
        return self


def client(trial, *arguments, ini=None, timeout=300, binary=None, more_environment=None):
    command = [binary or trial.run.binary, arguments[0], *(["-c", ini] if ini else []), *arguments[1:]]
    command = [str(part) for part in command]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL,
                          timeout=timeout * trial.run.patience, env={**environment(), **(more_environment or {})})
    check(done.returncode not in (99, -6, -11), f"{' '.join(command)} crashed: {done.stderr[-8000:]}")
    return Result(done)


def start(trial, ini, seconds=20):
    """`sluice serve` that is expected to end at once; where it does not, it is ended and that is a failure."""
    command = [*trial.run.server_prefix, trial.run.server_binary, "serve", "-c", str(ini)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL,
                              timeout=seconds * trial.run.patience, env=environment())
    except subprocess.TimeoutExpired as running:
        raise Failure(f"it went on running: {running.stderr}") from None
    return Result(done)
