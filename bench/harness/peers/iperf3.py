"""iperf3: the same bytes over plain TCP, from memory to nowhere. Not a peer but a bound."""
import json

from harness.peers import base


class Server(base.Server):
    name, program, serves = "iperf3", "iperf3", "iperf3"

    def version(self):
        return base.version(base.program("iperf3"), "--version")

    def command(self):
        return [base.program("iperf3"), "-s", "-B", "127.0.0.1", "-p", self.port]


class Client(base.Client):
    name, program, speaks = "iperf3", "iperf3", "iperf3"
    version = Server.version

    def _command(self, *more):
        return [[base.program("iperf3"), "-c", "127.0.0.1", "-p", self.server.port, "-n", self.scenario.size, "-P",
                 self.scenario.connections, "--json", *more]]

    def get(self):
        return self._command("-R")

    def put(self):
        return self._command()

    def arrived(self):
        return None

    def found(self, out):
        """It may move a little more than it was asked for."""
        return {"bytes": json.loads(out)["end"]["sum_received"]["bytes"]}
