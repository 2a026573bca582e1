"""What a process and all below it cost: processor time, context switches, system calls, memory.

Of a server that stays, what it had before is taken off what it has afterwards; processes of its own that ended meanwhile are
in its account once it has waited for them (proc(5), cutime). A client is waited for by us, wait4(2) tells it all.
Peak memory is VmHWM, looked at again and again while the client runs, since it is gone with the process (and ru_maxrss of a
child begins with what its parent had). It is taken back before a round (clear_refs, 5) where the kernel lets us.
"""
import os
import pathlib
import re
import shutil
import subprocess
import threading
import time

from harness.common import TICKS, busy_seconds

LOOK_EVERY = 0.1
SETTLE = 3.0


def _fields(pid):
    """/proc/PID/stat behind the name: [0] is the state, [1] the parent."""
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _children(pid):
    """All processes on a machine are many to look through ten times a second, so the kernel is asked for these (proc(5))."""
    found = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            found += map(int, pathlib.Path(f"/proc/{pid}/task/{task}/children").read_text().split())
    except OSError:
        pass  # it has ended meanwhile
    return found


def tree(roots):
    """These processes and all below them that are there now."""
    found, queue = [], list(roots)
    while queue:
        pid = queue.pop()
        found.append(pid)
        queue += _children(pid)
    return found


def seconds_of(roots):
    """Processor seconds of a tree, those who were waited for included."""
    total = 0
    for pid in tree(roots):
        try:
            total += sum(map(int, _fields(pid)[11:15]))
        except OSError:
            continue
    return total / TICKS


def switches_of(roots):
    """{(process, thread): context switches}"""
    found = {}
    for pid in tree(roots):
        try:
            for task in os.listdir(f"/proc/{pid}/task"):
                text = pathlib.Path(f"/proc/{pid}/task/{task}/status").read_text()
                found[pid, int(task)] = sum(map(int, re.findall(r"ctxt_switches:\s+(\d+)", text)))
        except OSError:
            continue
    return found


def _status(pid, name):
    try:
        found = re.search(rf"^{name}:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text(), re.M)
    except OSError:
        return 0
    return int(found[1]) if found else 0


def forget_peak(roots):
    for pid in tree(roots):
        try:
            pathlib.Path(f"/proc/{pid}/clear_refs").write_text("5")
        except OSError:
            continue


def resident_kib(roots):
    """What a tree holds now, pages that several of its processes share counted once (Pss)."""
    total = 0
    for pid in tree(roots):
        try:
            text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            continue
        total += int(re.search(r"^Pss:\s+(\d+)", text, re.M)[1])
    return total


class Peak(threading.Thread):
    """Looks at two trees until it is told to stop; `server` and `client` are KiB."""

    def __init__(self, server, client):
        super().__init__(daemon=True)
        self._roots, self._enough, self._seen = (server, client), threading.Event(), ({}, {})

    def _look(self):
        for roots, seen in zip(self._roots, self._seen):
            for pid in tree(roots):
                seen[pid] = max(seen.get(pid, 0), _status(pid, "VmHWM"))

    def run(self):
        wait = 0.005  # what is soon over is looked at sooner
        while True:
            self._look()
            if self._enough.wait(wait):
                return
            wait = min(2 * wait, LOOK_EVERY)

    def stop(self):
        self._enough.set()
        self.join()
        for pid in tree(self._roots[0]):
            self._seen[0][pid] = max(self._seen[0].get(pid, 0), _status(pid, "VmHWM"))
        return tuple(sum(seen.values()) or None for seen in self._seen)


class Failed(Exception):
    """A client ended badly; the text has the end of what it said."""


def _said(log):
    lines = pathlib.Path(log).read_text(errors="replace").strip().splitlines()
    return " / ".join(lines[-3:]) or "it said nothing"


def _wait(process, limit, server):
    """What it used and the peaks of both ends, once it has ended; it does not outlive `limit` seconds, nor our interruption."""
    alarm = threading.Timer(limit, process.kill)
    alarm.daemon = True
    peak = Peak(server, [process.pid])
    try:
        alarm.start()
        peak.start()
        _, status, usage = os.wait4(process.pid, 0)
    except BaseException:
        process.kill()
        process.wait()
        raise
    finally:
        alarm.cancel()
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage, peak


def run_client(commands, log, limit, server=(), env=None, folder=None):
    """Runs commands one after the other, which is one round. Returns the facts of new_round() that are known here.

    What they write stands in `log`.out and `log`.err. Raises Failed where one fails or takes longer than `limit` seconds.
    """
    server = list(server)
    there = set(tree(server))
    forget_peak(server)
    switches, spent, busy = switches_of(server), seconds_of(server), busy_seconds()
    client_seconds, client_switches, peaks = 0.0, 0, []
    with open(f"{log}.out", "wb") as out, open(f"{log}.err", "wb") as errors:
        began = time.monotonic()
        for command in commands:
            process = subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=out, stderr=errors, env=env,
                                       cwd=folder)
            usage, peak = _wait(process, limit, server)
            ended = time.monotonic()
            peaks.append(peak.stop())
            client_seconds += usage.ru_utime + usage.ru_stime
            client_switches += usage.ru_nvcsw + usage.ru_nivcsw
            if process.returncode != 0:
                raise Failed(f"{command[0]} ended with {process.returncode}: {_said(f'{log}.err')}")
    busy = busy_seconds() - busy
    _settle(server, there)
    after = switches_of(server)
    return {"seconds": ended - began, "cpu_client": client_seconds, "cpu_server": seconds_of(server) - spent,
            "cpu_machine": busy, "switches_client": client_switches,
            "switches_server": sum(after.values()) - sum(switches.get(task, 0) for task in after),
            "peak_server_kib": max((server for server, _ in peaks if server), default=None),
            "peak_client_kib": max((client for _, client in peaks if client), default=None)}


def _settle(roots, there):
    """Waits until the server has put away what it began for this client: then what that used is in its account."""
    end = time.monotonic() + SETTLE
    while not set(tree(roots)) <= there and time.monotonic() < end:
        time.sleep(0.01)


class Syscalls:
    """Counts the system calls of a server's processes and of one client with perf(1); not in a round that is timed."""

    def __init__(self, server, log):
        self._log, self._server = log, None
        self._perf = shutil.which("perf")
        pids = ",".join(map(str, tree(server)))
        if self._perf and pids:
            self._server = subprocess.Popen([*self._stat(f"{log}.server"), "-p", pids], stdin=subprocess.DEVNULL,
                                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(0.3)  # it does not tell when it has begun

    def _stat(self, into):
        return [self._perf, "stat", "-x,", "-o", into, "-e", "raw_syscalls:sys_enter"]

    def wrap(self, command):
        return [*self._stat(f"{self._log}.client"), "--append", *command] if self._perf else command

    def _count(self, name):
        try:
            text = pathlib.Path(f"{self._log}.{name}").read_text()
        except OSError:
            return None
        found = re.findall(r"^(\d+),[^\n]*raw_syscalls:sys_enter", text, re.M)
        return sum(map(int, found)) if found else None

    def counts(self):
        if self._server:
            self._server.send_signal(2)
            self._server.wait()
        return {"server": self._count("server"), "client": self._count("client")}
