"""What the measuring programs share: throw-away certificates, processes and what they cost, memory that is there."""
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

sys.path.append(str(pathlib.Path(__file__).resolve().parents[2] / "tests/runner"))

from ending import in_order_on_sigterm  # noqa: E402, F401

TICKS = os.sysconf("SC_CLK_TCK")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for_port(port, process, program):
    for _ in range(200):
        if process.poll() is not None:
            sys.exit(f"{program}: {process.args[0]} ended at once with {process.returncode}")
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    sys.exit(f"{program}: {process.args[0]} does not listen on port {port}")


def run(*command, **options):
    if "input" not in options:
        options["stdin"] = subprocess.DEVNULL
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, **options)


def make_certificates(folder, authority="ca", leaf="leaf"):
    """A throw-away authority and one certificate that serves both ends: CA.pem, CA.key, LEAF.pem, LEAF.key."""
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "60",
        "-subj", f"/CN=throw-away {authority}", "-keyout", folder / f"{authority}.key", "-out",
        folder / f"{authority}.pem", stderr=subprocess.DEVNULL)
    (folder / "leaf.ext").write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
    run("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=localhost",
        "-keyout", folder / f"{leaf}.key", "-out", folder / f"{leaf}.csr", stderr=subprocess.DEVNULL)
    run("openssl", "x509", "-req", "-in", folder / f"{leaf}.csr", "-CA", folder / f"{authority}.pem", "-CAkey",
        folder / f"{authority}.key", "-CAcreateserial", "-days", "60", "-extfile", folder / "leaf.ext", "-out",
        folder / f"{leaf}.pem", stderr=subprocess.DEVNULL)
    (folder / f"{leaf}.key").chmod(0o600)


def have_memory(folder, mib):
    """Uses and frees as much memory as a run will. On a virtual machine fresh pages may have to come from the host, which
    can take longer than the transfer; whoever runs first would pay for it."""
    scratch, zeros = folder / "scratch", bytes(2**20)
    with open(scratch, "wb") as out:
        for _ in range(mib + 64):
            out.write(zeros)
    scratch.unlink()


def busy_seconds():
    """Of all processors, whoever used them: so that both ends, and the kernel's threads, are counted."""
    with open("/proc/stat") as stat:
        user, nice, system, _, _, interrupt, soft_interrupt = map(int, stat.readline().split()[1:8])
    return (user + nice + system + interrupt + soft_interrupt) / TICKS


def _stat(path):
    """(name, processor seconds) of a process or a thread."""
    head, _, rest = pathlib.Path(path).read_text().rpartition(")")
    fields = rest.split()
    return head.partition("(")[2], (int(fields[11]) + int(fields[12])) / TICKS


def thread_seconds(pid):
    """Processor seconds of a process's threads, those of one pool together: {"worker": 1.2, "handshake": 0.1}."""
    found = {}
    for task in os.listdir(f"/proc/{pid}/task"):
        try:
            name, seconds = _stat(f"/proc/{pid}/task/{task}/stat")
        except OSError:
            continue  # it has ended meanwhile
        name = name.partition("-")[0]
        found[name] = found.get(name, 0.0) + seconds
    return found


class Child:
    """work(*arguments) in a process of its own, which ends after `limit` seconds at the latest."""

    def __init__(self, limit, work, *arguments):
        sys.stdout.flush()
        reader, writer = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(reader)
            self._run(writer, limit, work, arguments)
        os.close(writer)
        self._answer, self.seconds = reader, None

    def _run(self, writer, limit, work, arguments):
        status = 1
        try:
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM):
                signal.signal(number, signal.SIG_DFL)
            signal.alarm(limit)
            with open(writer, "w") as out:
                json.dump(work(*arguments), out)
            status = 0
        except BaseException as problem:
            print(f"{work.__name__}: {problem!r}", file=sys.stderr)
        finally:
            os._exit(status)

    def result(self):
        """What work() returned, or None where it failed; `seconds` is what it cost."""
        with open(self._answer) as answer:
            text = answer.read()
        _, _, usage = os.wait4(self.pid, 0)
        self.pid, self.seconds = None, usage.ru_utime + usage.ru_stime
        return json.loads(text) if text else None

    def end(self):
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self.pid = None
