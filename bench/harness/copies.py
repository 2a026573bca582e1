"""How often a server's processor copies each byte of a body between kernel and user memory, counted in the guest.

All that the kernel copies to or from user memory goes through a handful of its functions, with the number of bytes in a register.
perf puts a breakpoint on each (they are assembly, where kernels have no other tracing) and notes that register, for the
server's processes alone. What is counted is exact: a read of a known size comes first, and has to come out at its size.
Encryption that reads user memory and writes kernel memory, or the reverse, is no copy and is not counted as one.

    copies.py ORDER.json        this half runs in the guest; count() is the half that does not. Exit status 77: copies cannot
                                be seen there, for lack of perf, of its breakpoints, or of a function that is known to copy
"""
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "bench"))

from harness import inside  # noqa: E402
from harness.common import make_certificates  # noqa: E402

GUEST = ROOT / "tests" / "guest" / "guest"
SIZE = 4 * 2**20
UNSEEN = 77
NEAR = 0.01     # of a body: what is copied of handshakes, heads and events may be as much
# The function, and the register that has the number of bytes: Linux 6.1; since 6.4.
PLACES = (("copy_user_generic_unrolled", "DX"), ("copy_user_generic_string", "DX"), ("copy_user_enhanced_fast_string", "DX"),
          ("__copy_user_nocache", "DX"), ("rep_movs_alternative", "CX"))
# What goes which way, from or to whom.
CASES = (("get", "sluice"), ("get", "floor"), ("get", "nginx-ktls"), ("get", "sluice-user"), ("get", "nginx"),
         ("put", "sluice"), ("put", "floor"), ("put", "sluice-user"))


class Unseen(Exception):
    """Copies cannot be seen on this machine; the text says why."""


class Trouble(Exception):
    """Copies could not be counted; the text says why."""


def count(binary, limit=900, say=lambda line: None):
    """[{"direction", "contender", "bytes", "copied", "each"}] of CASES. `binary` is a sluice that has bench/floor beside it."""
    binary = pathlib.Path(binary).resolve()
    with tempfile.TemporaryDirectory(prefix="sluice-copies-", dir="/var/tmp") as name:
        make_certificates(pathlib.Path(name))
        order = {"binary": str(binary), "floor": str(binary.parent / "bench/floor"), "folder": name, "results": f"{name}/results"}
        pathlib.Path(name, "order").write_text(json.dumps(order))
        command = [GUEST, "-i", "-t", limit, "-w", name, "-r", binary.parent, "--", sys.executable, __file__, f"{name}/order"]
        lines = []
        with subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, errors="replace") as guest:
            try:
                for line in guest.stdout:
                    lines.append(line.rstrip())
                    say(line.rstrip())
            except BaseException:
                guest.terminate()
                raise
        if guest.returncode != 0:
            raise Trouble(f"the guest ended with {guest.returncode}: " + " / ".join(lines[-3:]))
        return json.loads(pathlib.Path(order["results"]).read_text())


def table(found):
    """Lines for people."""
    lines = [f"{'':6}{'server':14}{'bytes copied':>14}{'of a body':>12}"]
    return lines + [f"{one['direction']:6}{one['contender']:14}{one['copied']:14,}{one['each']:12.4f}" for one in found]


# In the guest


def places(kallsyms):
    """{address: register} of the functions that this kernel has."""
    symbols = {line.split()[2]: line.split()[0] for line in kallsyms.splitlines()}
    return {symbols[name]: register for name, register in PLACES if name in symbols}


def bytes_of(told, registers):
    """The sum of what perf script told of breakpoints at these addresses."""
    found = re.findall(r"mem:0x([0-9a-f]+):x:?(.*)", told)
    return sum(int(re.search(rf"\b{registers[address]}:0x([0-9a-f]+)", rest)[1], 16) for address, rest in found)


class Watch:
    """Of these processes, and of the threads they begin, from now on."""

    def __init__(self, folder, pids):
        self.places = places(pathlib.Path("/proc/kallsyms").read_text())
        if not self.places:
            raise Unseen("this kernel copies in none of the functions that are known")
        options = ["-c", "1", f"--intr-regs={','.join(sorted({register.lower() for register in self.places.values()}))}"]
        for address in self.places:
            options += ["-e", f"mem:0x{address}:x"]
        self.data = folder / "perf.data"
        wish, told = os.pipe(), os.pipe()
        self.perf = subprocess.Popen(
            ["perf", "record", "-q", "-N", "-B", "-m", "1024", "-o", self.data, *options, "-D", "-1",
             f"--control=fd:{wish[0]},{told[1]}", "-p", ",".join(map(str, pids))], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, pass_fds=(wish[0], told[1]))
        os.close(wish[0])
        os.close(told[1])
        os.write(wish[1], b"enable\n")
        if not os.read(told[0], 16):
            raise Unseen(f"perf sets no breakpoints: it ended with {self.perf.wait()}")
        self.ends = wish[1], told[0]

    def end(self):
        """Bytes."""
        self.perf.send_signal(signal.SIGINT)
        self.perf.wait()
        for end in self.ends:
            os.close(end)
        told = subprocess.run(["perf", "script", "-i", self.data, "--show-lost-events", "-F", "event,iregs"], check=True,
                              capture_output=True, text=True).stdout
        if "PERF_RECORD_LOST" in told:
            sys.exit("copies: perf lost some")
        return bytes_of(told, self.places)


READER = """
import sys
sys.stdin.readline()
with open(sys.argv[1], "rb", 0) as file:
    while file.read(2**20):
        pass
print("done", flush=True)
sys.stdin.readline()
"""


def calibrate(place):
    """A read of a known size: from the page cache into user memory, once."""
    place.make_body("known", SIZE)
    with subprocess.Popen([sys.executable, "-c", READER, place.root / "known"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          text=True) as reader:
        watch = Watch(place.folder, [reader.pid])
        reader.stdin.write("go\n")
        reader.stdin.flush()
        reader.stdout.readline()
        found = watch.end()
        reader.communicate("end\n")
    print("a read of", SIZE, found, flush=True)
    if abs(found / SIZE - 1) > NEAR:
        raise Unseen(f"of a read of {SIZE} bytes {found} were seen: this kernel copies where nobody looks")


def copied(place, direction, contender):
    command, argument = inside.SERVERS[contender]
    port = inside.free_port()
    server = subprocess.Popen(command(place, port, argument), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL)
    try:
        inside.wait_for_port(port, server)
        watch = Watch(place.folder, inside.family(server.pid))
        options = ["-T", place.folder / "body"] if direction == "put" else ["-o", place.folder / "arrived"]
        subprocess.run(["curl", "-sSf", "--cacert", place.folder / "ca.pem", "-H", "Expect:", *options,
                        f"https://127.0.0.1:{port}/{direction}"], check=True, stdin=subprocess.DEVNULL)
        found = watch.end()
        arrived = place.root / "put" if direction == "put" else place.folder / "arrived"
        subprocess.run(["cmp", place.folder / "body", arrived], check=True)
        arrived.unlink()
        return found
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait()


def main():
    order = json.loads(pathlib.Path(sys.argv[1]).read_text())
    for name, value in (("perf_event_max_sample_rate", 1000000), ("perf_cpu_time_max_percent", 0)):
        pathlib.Path("/proc/sys/kernel", name).write_text(str(value))
    place, found = inside.Place(order), []
    calibrate(place)
    place.make_body("get", SIZE)
    os.link(place.root / "get", place.folder / "body")
    for direction, contender in order.get("cases", CASES):
        number = copied(place, direction, contender)
        found.append({"direction": direction, "contender": contender, "bytes": SIZE, "copied": number, "each": number / SIZE})
        print(direction, contender, number, flush=True)
    pathlib.Path(order["results"]).write_text(json.dumps(found))


if __name__ == "__main__":
    if not shutil.which("perf"):
        print("copies: perf is not installed (Debian: linux-perf)")
        sys.exit(UNSEEN)
    try:
        main()
    except Unseen as problem:
        print(f"copies: {problem}")
        sys.exit(UNSEEN)
