"""Many connections of one process, which is bench/crowd/: at once, or idle."""
import json
import time

from harness import measure
from harness.peers import base
from harness.peers.clients import H2load


class Crowd(base.Client):
    name, anonymous = "crowd", True
    arrived = H2load.arrived

    def version(self):
        return "of this build"

    def skip(self):
        self._program = self.place.binary.parent / "bench" / "crowd"
        if not self._program.exists():
            raise base.Skip(f"there is no {self._program}; build it: cmake --build --preset release --target bench_crowd")
        if self.scenario.connections > base.descriptors() - 200:
            raise base.Skip(f"{self.scenario.connections} connections need more than {base.descriptors()} open files "
                            "(ulimit -n)")

    def _command(self, seconds):
        return [self._program, self.scenario.connections, base.cores(), seconds, self.server.port, "/source/file",
                self.scenario.size, self.scenario.suite]

    def connections(self):
        return [self._command(self.scenario.seconds)]

    def found(self, out):
        said = json.loads(out)
        mean = said["bytes"] / self.scenario.connections
        worst = max(said["most"] - mean, mean - said["least"]) / mean
        return {"seconds": said["seconds"], "bytes": said["bytes"], "requests": said["requests"], "fairness": worst}

    def idle(self):
        """No commands but the facts of a round: KiB of the server's processes while all are there and nothing happens."""
        began = time.monotonic()
        with open(self.own / "client.err", "wb") as errors:
            process = base.subprocess.Popen(list(map(str, self._command(0))), stdin=base.subprocess.PIPE,
                                            stdout=base.subprocess.PIPE, stderr=errors, text=True)
        try:
            if process.stdout.readline() != "idle\n":
                said = (self.own / "client.err").read_text().strip()
                raise measure.Failed(f"not all of {self.scenario.connections} connections came: {said}")
            connected = time.monotonic() - began
            kib = _rested(self.server.roots())
        finally:
            process.stdin.close()
            process.wait()
        return {"seconds": connected, "requests": self.scenario.connections, "bytes": 0, "peak_server_kib": kib}


def _rested(roots):
    """KiB once they have not changed for five seconds: ours hands connections to the kernel after three, where it can."""
    last, since = measure.resident_kib(roots), time.monotonic()
    end = since + 60
    while time.monotonic() < end and time.monotonic() - since < 5:
        time.sleep(0.1)
        now = measure.resident_kib(roots)
        if now != last:
            last, since = now, time.monotonic()
    return last
