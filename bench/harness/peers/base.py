"""What every adapter is built on. An adapter says how a program is started, and nothing about how it is measured."""
import filecmp
import os
import pathlib
import re
import resource
import shutil
import signal
import subprocess

from harness import measure
from harness.common import free_port, wait_for_port

PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
ENVIRONMENT = {**os.environ, "PATH": PATH, "LC_ALL": "C"}


class Skip(Exception):
    """This contender cannot run here; the text says why."""


def program(name):
    found = shutil.which(name, path=PATH)
    if not found:
        raise Skip(f"{name} is not installed (tests/packages install bench)")
    return found


def version(*command, pattern=r"(\d+[\w.]*\.[\w.]+)"):
    """The first number with a dot in it that a program says when it is asked for its version."""
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, env=ENVIRONMENT, timeout=20)
    found = re.search(pattern, done.stdout + done.stderr)
    return found[1] if found else "?"


class Place:
    """The folders of a section's scenario, and what all contenders share in them.

    source/ is what is served and sent: file, or tree/. Each contender has a folder of its own beside it.
    """

    def __init__(self, folder, binary, certificates):
        self.folder, self.binary = folder, pathlib.Path(binary)
        self.source = folder / "source"
        self.certificate, self.key, self.authority = (certificates / name for name in ("leaf.pem", "leaf.key", "ca.pem"))


class Server:
    """One server process that serves `place.source` under /source/ and takes uploads into `own`, which is under /NAME/."""

    program = None
    serves = "http"
    lasting = True  # its processes stay: false where each client is given one of its own

    def __init__(self, contender):
        self.contender, self.place, self.scenario = contender, contender.place, contender.scenario
        self.own, self.process, self.port = contender.folder, None, 0
        self.anonymous = contender.client.anonymous

    def skip(self):
        """Raises Skip where it cannot do what the scenario is about."""

    def command(self):
        """Writes its configuration, and returns what starts it."""
        raise NotImplementedError

    def start(self):
        self.port = free_port()
        command = list(map(str, self.command()))
        if self.scenario.cores:
            command = ["taskset", "-c", _first_cores(self.scenario.cores), *command]
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=ENVIRONMENT,
                                            cwd=self.own, start_new_session=True)
        try:
            wait_for_port(self.port, self.process, self.contender.name)
        except SystemExit as problem:
            raise Skip(f"{problem}: {' / '.join(self.said().strip().splitlines()[-2:])}") from None

    @property
    def log(self):
        return self.own / "server.log"

    def said(self):
        return pathlib.Path(self.log).read_text(errors="replace")

    def told(self):
        """{"path", "why"}, where it says which path its bytes took."""
        return None

    def roots(self):
        return [self.process.pid] if self.process else []

    def url(self, name, scheme="https"):
        return f"{scheme}://127.0.0.1:{self.port}/{name}"

    def stop(self):
        if not self.process or self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Client:
    """What fetches or sends. get(), put(), get_tree(), put_tree() and so on return commands; where one is missing, it cannot."""

    program, anonymous = None, False
    speaks = "http"  # or ssh, iperf3: only with such a server

    def __init__(self, contender):
        self.contender, self.place, self.scenario = contender, contender.place, contender.scenario
        self.own = contender.folder

    @property
    def server(self):
        return self.contender.server

    def skip(self):
        """Raises Skip where it cannot do what the scenario is about."""

    def found(self, _out):
        """More facts for the round, from what it wrote: a dictionary for new_round()."""
        return {}

    def told(self, _out):
        """{"path", "why"}, where it says which path its bytes took."""
        return None


def cores():
    return len(os.sched_getaffinity(0))


def descriptors():
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def _first_cores(count):
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < count:
        raise Skip(f"this machine has {len(cores)} cores")
    return ",".join(map(str, cores[:count]))


class Contender:
    """A server and a client in one scenario. Whatever is wrong with it is told by Skip."""

    def __init__(self, name, scenario, place, options, server, client):
        self.name, self.scenario, self.place, self.options = name, scenario, place, options
        self.folder = place.folder / re.sub(r"[^\w.-]", "_", f"{scenario.id}_{name}")
        self.client, self.server = client(self), None
        self._server_kind = server
        self.checking = False  # the first round arrives in a file even where the others do not

    @property
    def target(self):
        """What a round leaves behind."""
        if self.scenario.to == "null" and not self.checking:
            return pathlib.Path(os.devnull)
        return self.folder / ("in" if self.scenario.direction.startswith("put") else "got")

    def start(self):
        self.folder.mkdir()
        os.chmod(self.folder, 0o755)
        self.server = self._server_kind(self)
        if self.server.serves != self.client.speaks:
            raise Skip(f"{self.client.program or self.name} speaks {self.client.speaks}, not to this server")
        for end in (self.server, self.client):
            for name in [end.program] if isinstance(end.program, str) else end.program or ():
                program(name)
            end.skip()
        if not hasattr(self.client, self._way):
            raise Skip(f"{self.client.program} does not do this ({self.scenario.direction})")
        self.server.start()

    def stop(self):
        if self.server:
            self.server.stop()

    def version(self):
        return ", ".join(f"{end.name} {end.version()}" for end in dict.fromkeys((self.server, self.client)))

    @property
    def _way(self):
        return self.scenario.direction.replace("-", "_")

    def clean(self):
        """Puts away what a round left, which may be as much as there is room for."""
        if self.target.is_dir():
            shutil.rmtree(self.target)
        elif self.target.is_file():
            self.target.unlink()

    def prepare(self):
        self.clean()
        if self._way == "put_tree" or self._way == "put":
            (self.folder / "in").mkdir()
            os.chmod(self.folder / "in", 0o777)
        elif self._way == "get_tree":
            self.target.mkdir()

    def commands(self):
        return getattr(self.client, self._way)()

    def round(self, limit, wrap=lambda command: command):
        """The facts of one round."""
        if self.scenario.direction == "idle":
            return self.client.idle()
        log = self.folder / "client"
        facts = measure.run_client([wrap(command) for command in self.commands()], log, limit, self.server.roots(),
                                   ENVIRONMENT, self.folder)
        out = pathlib.Path(f"{log}.out").read_text(errors="replace")
        if not self.server.lasting:
            facts["switches_server"] = None
        return {"bytes": self.scenario.bytes, "requests": self.scenario.files * self.scenario.requests, **facts,
                **self.client.found(out)}

    def told(self):
        """What each end says of the path its bytes took."""
        out = self.folder / "client.out"
        client = self.client.told(out.read_text(errors="replace")) if out.exists() else None
        return {"server": self.server.told(), "client": client}

    def first(self, limit):
        """A round that is not timed. Raises Failed where it does not deliver the right bytes."""
        self.checking = True
        try:
            self.prepare()
            if self.scenario.direction != "idle":  # thousands of handshakes, for nothing that could be compared
                self.round(limit)
            self._check()
        finally:
            self.clean()
            self.checking = False

    def _check(self):
        source = self.place.source / ("tree" if self._way.endswith("_tree") else "file")
        arrived = self.client.arrived() if hasattr(self.client, "arrived") else self.target
        if arrived is None:
            return
        if self._way == "put":
            arrived = arrived / "file"
        if self._way.endswith("_tree"):
            _same_trees(source, arrived if (arrived / "d0").is_dir() else arrived / "tree", self.scenario.files)
        elif not filecmp.cmp(source, arrived, shallow=False):
            raise measure.Failed("it delivered other bytes")


def _same_trees(source, arrived, files):
    names = [path.relative_to(source) for path in source.rglob("*") if path.is_file()]
    if len(names) != files:
        raise measure.Failed(f"the source has {len(names)} files, not {files}")
    for name in names:
        try:
            same = filecmp.cmp(source / name, arrived / name, shallow=False)
        except OSError as problem:
            raise measure.Failed(f"{name} did not arrive: {problem.strerror}") from None
        if not same:
            raise measure.Failed(f"{name} has other bytes")
