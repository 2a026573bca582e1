"""Our own two ends. They meet every server and client that the others can be paired with."""
import contextlib
import functools
import json
import os
import subprocess

from harness import sites
from harness.peers import base

SETTINGS = {"events": "json", "max_connections": 100000, "max_connections_per_address": 100000, "max_requests": 1000000000,
            "idle_timeout": "10m"}
PARTNER = """
[client-profile p]
certificate = {place.certificate}
key = {place.key}
trust = {place.authority}
ciphers = {suite}
min_version = 1.3
offload = {offload}
[partner there]
host = 127.0.0.1:{port}
profile = p
"""


@functools.cache
def _version(binary):
    return base.version(binary, "--version")


def _objects(text):
    """The JSON objects among the lines of a text, the last first."""
    for line in reversed(text.splitlines()):
        with contextlib.suppress(ValueError):
            one = json.loads(line)
            if isinstance(one, dict):
                yield one


def _path(text, said):
    """{"path", "why"} of "NAME: WHY", or of a build that names the path only."""
    name, _, why = text.partition(": ")
    return {"path": name, "why": why or f"tx {said.get('tx')}; rx {said.get('rx')}"}


class Server(base.Server):
    name = "sluice"

    def version(self):
        return _version(str(self.place.binary))

    def command(self):
        site = self.own / "server.ini"
        path = self.contender.options.get("path")
        site.write_text(sites.sluice(
            root=self.place.folder, port=self.port, certificate=self.place.certificate, key=self.place.key,
            suite=self.scenario.suite, trust=None if self.anonymous else self.place.authority,
            offload=self.contender.options.get("offload", "auto"), server={**SETTINGS, "workers": self.scenario.cores or None},
            store={"anonymous": "read" if self.anonymous else None, "path": path}))
        return [self.place.binary, "serve", "-c", site]

    @property
    def log(self):
        """Where many requests are counted nobody else writes a line for each."""
        return os.devnull if self.scenario.direction in ("requests", "connections", "idle") else super().log

    def told(self):
        said = next((one for one in _objects(self.said()) if one.get("id") == "T01I"), None)
        return _path(said["pump"], said) if said and said.get("pump") else None


class Client(base.Client):
    name = "sluice"

    def version(self):
        return _version(str(self.place.binary))

    def skip(self):
        path = self.contender.options.get("path")
        if path and "--path" not in subprocess.run([self.place.binary, "get", "--help"], capture_output=True, text=True).stdout:
            raise base.Skip("this build cannot be told which path to take")

    def _command(self, subcommand, *names):
        site = self.own / "client.ini"
        site.write_text(PARTNER.format(place=self.place, suite=self.scenario.suite, port=self.server.port,
                                       offload=self.contender.options.get("offload", "auto")))
        options = self.contender.options
        asked = ["--verify"] if options.get("digests") else ["--no-verify"]
        for key in ("path", "streams"):
            if key in options:
                asked += [f"--{key}", options[key]]
        if "streams" not in options and self.scenario.direction in ("get", "put"):
            asked += ["--streams", str(self.scenario.connections)]
        return [[self.place.binary, subcommand, "-c", site, "--json", *asked, *names]]

    def get(self):
        return self._command("get", "there:source/file", self.contender.target)

    def put(self):
        return self._command("put", self.place.source / "file", f"there:{self.own.name}/in/file")

    def get_tree(self):
        return self._command("get", "-r", "there:source/tree", self.contender.target)

    def put_tree(self):
        return self._command("put", "-r", self.place.source / "tree", f"there:{self.own.name}/in/")

    def told(self, out):
        said = next((one for one in _objects(out) if "path" in one), None)
        return _path(said["path"], said) if said else None
