"""HTTP clients of others."""
import re

from harness import measure
from harness.peers import base


class Curl(base.Client):
    name, program = "curl", "curl"

    def version(self):
        return base.version("curl", "--version")

    def _command(self, *words):
        return [["curl", "-sS", "--fail", "--cacert", self.place.authority, "--cert", self.place.certificate, "--key",
                 self.place.key, *words]]

    def get(self):
        return self._command("-o", self.contender.target, self.server.url("source/file"))

    def put(self):
        return self._command("-T", self.place.source / "file", self.server.url(f"{self.own.name}/in/file"))


class Wget(base.Client):
    name, program = "wget", "wget"

    def version(self):
        return base.version("wget", "--version")

    def get(self):
        return [["wget", "-q", "--no-config", f"--ca-certificate={self.place.authority}",
                 f"--certificate={self.place.certificate}", f"--private-key={self.place.key}", "-O", self.contender.target,
                 self.server.url("source/file")]]


class Aria2(base.Client):
    name, program = "aria2", "aria2c"

    def version(self):
        return base.version("aria2c", "--version")

    def get(self):
        streams = str(self.scenario.connections)
        return [["aria2c", "-q", "--no-conf", "--file-allocation=none", "--auto-file-renaming=false", "-x", streams, "-s",
                 streams, f"--ca-certificate={self.place.authority}", f"--certificate={self.place.certificate}",
                 f"--private-key={self.place.key}", "-d", self.contender.target.parent, "-o", self.contender.target.name,
                 self.server.url("source/file")]]


class Rclone(base.Client):
    name, program = "rclone", "rclone"

    def version(self):
        return base.version("rclone", "version")

    def get(self):
        return [["rclone", "copyurl", "-q", "--config", "/dev/null", "--ca-cert", self.place.authority, "--client-cert",
                 self.place.certificate, "--client-key", self.place.key, self.server.url("source/file"),
                 self.contender.target]]


class H2load(base.Client):
    """Many requests over connections that stay, HTTP/1.1; it shows no certificate and throws the bodies away."""

    name, program, anonymous = "h2load", "h2load", True

    def version(self):
        return base.version("h2load", "--version")

    def requests(self):
        return [["h2load", "--h1", "-c", self.scenario.connections, "-n", self.scenario.requests, "-t",
                 min(base.cores(), self.scenario.connections), f"--tls13-ciphers={self.scenario.suite}",
                 self.server.url("source/file")]]

    def arrived(self):
        """It keeps no body, so one is fetched for the comparison."""
        target = self.own / "got"
        base.subprocess.run(["curl", "-sS", "--fail", "--cacert", self.place.authority, "-o", target,
                             self.server.url("source/file")], check=True, stdin=base.subprocess.DEVNULL)
        return target

    def found(self, out):
        done = re.search(r"(\d+) succeeded, (\d+) failed, (\d+) errored", out)
        if not done or int(done[1]) != self.scenario.requests:
            raise measure.Failed(f"h2load: not all of {self.scenario.requests} requests succeeded: "
                                 f"{done[0] if done else 'it does not say'}")
        return {}
