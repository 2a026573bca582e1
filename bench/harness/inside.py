"""The half of the instruction counts that runs in the guest: one server at a time, and bench/load/ as its client.

    inside.py ORDER.json        {"scenarios": [...], "binary", "floor", "load", "crowd": PROGRAM, "folder": ..., "results": FILE}

The guest's clock counts instructions, one nanosecond for each, so the processor time of the server's processes is what it cost.
It is asked of the kernel in nanoseconds and includes threads that have ended and those that the kernel runs in the process's
name (io_uring's workers are threads of it). Before and after the work the server must have come to rest.
"""
import json
import os
import pathlib
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from harness import sites  # noqa: E402

PERIOD = 65521
REST = 0.02  # of the guest's seconds: a server that used nothing for so long is at rest
STARTING = 60
DESCRIPTORS = 20000
PROFILE_REPORTS = (("--no-children", "-s", "comm,dso"), ("--no-children", "-s", "dso,symbol"), ("--children", "-s", "symbol"))
SUITE = "TLS_AES_128_GCM_SHA256"
COLD = "cold"  # the folder that is on a disk

# While the machine beneath reads a page from its disk the guest idles, and its clock leaps to its next timer; so a pause can be
# of any length. What TCP has learned of a connection must survive that, and windows are as large as they get from the start.
WINDOWS = "net/ipv4/tcp_rmem"
SETTINGS = {"net/ipv4/tcp_slow_start_after_idle": "0", WINDOWS: "4096 6291456 6291456"}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Place:
    """Where a scenario happens: a folder in memory with certificates, and the folder that is served."""

    def __init__(self, order):
        self.order = order
        self.path = None
        self.folder = pathlib.Path(order.get("place", "/tmp/bench"))
        self.root = self.folder / "root"
        self.root.mkdir(parents=True)
        for name in ("ca.pem", "leaf.pem", "leaf.key"):
            shutil.copy(pathlib.Path(order["folder"]) / name, self.folder)
        (self.folder / "leaf.key").chmod(0o600)

    def mount_disk(self):
        """A part of what is served is on the guest's disk (guest -d)."""
        (self.root / COLD).mkdir()
        subprocess.run(["mount", "--bind", "/disk", self.root / COLD], check=True)

    def make_body(self, name, size):
        period = bytes((i * 131 + i // 256 + 7) & 255 for i in range(PERIOD))
        with open(self.root / name, "wb") as out:
            for at in range(0, size, PERIOD):
                out.write(period[: size - at])


def _ours(place, port, offload, events="failed"):
    site = place.folder / "site.ini"
    site.write_text(sites.sluice(root=place.root, port=port, certificate="leaf.pem", key="leaf.key", suite=SUITE, offload=offload,
                                 server={"workers": 1, "idle_timeout": "1h", "transfer_events": events, "max_connections": DESCRIPTORS,
                                         "max_connections_per_address": DESCRIPTORS}, store={"anonymous": "write", "path": place.path}))
    return site


def sluice(place, port, how):
    return [place.order["binary"], "serve", "-c", _ours(place, port, *how)]


def floor(place, port, _):
    return [place.order["floor"], _ours(place, port, "required"), str(port), place.root]


def nginx(place, port, options):
    conf = place.folder / "nginx.conf"
    conf.write_text(sites.nginx(own=place.folder, root=place.root, port=port, certificate=place.folder / "leaf.pem",
                                key=place.folder / "leaf.key", suite=SUITE, user="root", errors="/dev/null crit",
                                bodies=place.root / ".body", more=["tcp_nopush on;", *options]))
    return ["nginx", "-c", conf, "-e", "/dev/null"]


SERVERS = {
    "sluice": (sluice, ["auto"]), "sluice-events": (sluice, ["auto", "all"]), "sluice-user": (sluice, ["off"]), "floor": (floor, None),
    "nginx": (nginx, []), "nginx-ktls": (nginx, [sites.KTLS]),
}


def family(pid):
    """A process and its children, theirs included."""
    found = [pid]
    for one in found:
        for task in os.listdir(f"/proc/{one}/task"):
            found += map(int, pathlib.Path(f"/proc/{one}/task/{task}/children").read_text().split())
    return found


def used(pids):
    """Nanoseconds of processor time of whole processes: clock_getcpuclockid(3), CPUCLOCK_SCHED."""
    return sum(time.clock_gettime_ns((~pid << 3) | 2) for pid in pids)


def kernel_threads():
    """Nanoseconds of the kernel's own threads: workers to which a socket's work may have been put off."""
    total = 0
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            if pathlib.Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()[1] in ("0", "2"):
                total += int(pathlib.Path(f"/proc/{entry}/schedstat").read_text().split()[0])
        except OSError:
            continue
    return total


def at_rest(pids):
    before = used(pids)
    for _ in range(500):
        time.sleep(REST)
        now = used(pids)
        if now == before:
            return now, kernel_threads()
        before = now
    sys.exit("inside: the server does not come to rest")


def wait_for_port(port, process):
    deadline = time.monotonic() + STARTING
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    sys.exit(f"inside: {process.args[0]} does not listen")


def same_bytes(place, name, size):
    place.make_body("expected", size)
    if subprocess.run(["cmp", place.root / "expected", place.root / name]).returncode:
        sys.exit(f"inside: {name} holds other bytes than were sent")


def hear(client, word):
    line = client.stdout.readline().strip()
    if line != word:
        sys.exit(f"inside: the client ended: {client.wait()}")


class Profile:
    """perf's samples of the server, one for each so many instructions; a cost of its own, so what is counted meanwhile is not used."""

    EVERY = 50000  # much less, and the sampling itself takes the time of what it looks at

    def __init__(self, place, pids):
        self.data = place.folder / "perf.data"
        wish, told = os.pipe(), os.pipe()
        self.perf = subprocess.Popen(
            ["perf", "record", "-q", "-B", "-N", "-o", self.data, "-e", "cpu-clock", "-c", str(self.EVERY), "-g", "-D", "-1",
             f"--control=fd:{wish[0]},{told[1]}", "-p", ",".join(map(str, pids))],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, pass_fds=(wish[0], told[1]))
        os.write(wish[1], b"enable\n")
        os.read(told[0], 16)

    def end(self):
        self.perf.send_signal(signal.SIGINT)
        self.perf.wait()
        for options in PROFILE_REPORTS:
            subprocess.run(["perf", "report", "-i", self.data, "--stdio", "-q", "-g", "none", "--percent-limit", "0.5", *options],
                           stdin=subprocess.DEVNULL)


def serve(place, contender):
    """(the server of this name, its port). After a colon: the path that its store asks for."""
    name, _, path = contender.partition(":")
    place.path = path or None
    command, argument = SERVERS[name]
    port = free_port()
    log = open(place.folder / "server.log", "w") if place.order.get("logs") else subprocess.DEVNULL
    server = subprocess.Popen(command(place, port, argument), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    return server, port


def end(process):
    if process and process.poll() is None:
        process.send_signal(signal.SIGTERM)
        process.wait()


def body_of(scenario):
    return f"{COLD}/{scenario['id']}" if scenario.get("cold") else scenario["id"]


def leave_page_cache():
    os.sync()
    pathlib.Path("/proc/sys/vm/drop_caches").write_text("1")


def measure(place, scenario, server, port):
    path = f"/{body_of(scenario)}" if scenario["bytes"] else "-"
    client = subprocess.Popen(
        [place.order["load"], scenario["what"], str(port), path, str(scenario["bytes"]), str(scenario["count"]),
         str(scenario["connections"])], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        hear(client, "ready")
        pids = family(server.pid)
        profile = Profile(place, pids) if scenario.get("profile") else None
        if scenario.get("cold"):
            leave_page_cache()
        before = at_rest(pids)
        client.stdin.write("go\n")
        client.stdin.flush()
        hear(client, "done")
        after = at_rest(pids)
        if profile:
            profile.end()
        client.communicate("end\n")
        if client.wait() != 0:
            sys.exit("inside: the client failed at its end")
        if scenario["what"] == "put":
            same_bytes(place, scenario["id"], scenario["bytes"])
        return {"server": after[0] - before[0], "kernel": after[1] - before[1]}
    finally:
        end(client)


def together(place, scenario, server, port):
    """What connections get that fetch at once. What it costs is not counted: they shake hands meanwhile. With windows that begin
    large the first would have more under way than its share of so short a time is. A server that is still starting would
    take a good part of the first half second from whoever comes first."""
    at_rest(family(server.pid))
    windows = pathlib.Path("/proc/sys", WINDOWS)
    large = windows.read_text()
    windows.write_text(place.order["windows"])
    done = subprocess.run([place.order["crowd"], str(scenario["connections"]), "1", str(scenario["seconds"]), str(port),
                           f"/{scenario['id']}", str(scenario["bytes"]), SUITE], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          text=True)
    windows.write_text(large)
    if done.returncode:
        sys.exit(f"inside: the crowd ended with {done.returncode}")
    return json.loads(done.stdout)


def result(place, scenario, contender, server, port):
    about = {"scenario": scenario["id"], "contender": contender, "release": os.uname().release}
    if scenario["what"] == "crowd":
        found = together(place, scenario, server, port)
        print(f"{scenario['id']} of {contender}: {found['bytes']} bytes, one of them {found['least']} to {found['most']}", flush=True)
        return {**about, **found}
    tries = [measure(place, scenario, server, port) for _ in range(scenario.get("tries", 1))]
    cheapest = min(tries, key=lambda found: found["server"])
    print(f"{scenario['id']} of {contender}: {cheapest['server']} instructions", flush=True)
    return {**about, **cheapest}


def main():
    order = json.loads(pathlib.Path(sys.argv[1]).read_text())
    if "SLUICE_GUEST" not in os.environ:
        sys.exit("inside: this is for the guest, tests/guest/guest -i")
    resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS))
    order["windows"] = pathlib.Path("/proc/sys", WINDOWS).read_text()
    for name, value in SETTINGS.items():
        pathlib.Path("/proc/sys", name).write_text(value)
    place, results = Place(order), []
    if any(scenario.get("cold") for scenario in order["scenarios"]):
        place.mount_disk()
    for scenario in order["scenarios"]:
        if scenario["what"] in ("get", "crowd"):
            place.make_body(body_of(scenario), scenario["bytes"])
    with_paths = {name: None for scenario in order["scenarios"] for name in scenario["contenders"] if ":" in name}
    for contender in (*SERVERS, *with_paths):
        asked = [scenario for scenario in order["scenarios"] if contender in scenario["contenders"]]
        if not asked:
            continue
        server, port = serve(place, contender)
        try:
            wait_for_port(port, server)
            for scenario in asked:
                results.append(result(place, scenario, contender, server, port))
        finally:
            end(server)
    pathlib.Path(order["results"]).write_text(json.dumps(results))


if __name__ == "__main__":
    main()
