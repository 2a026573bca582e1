"""Bad lines: packets that are lost, late, out of order or do not come at all for a while. Transfers end right all the same."""

import os
import shutil
import subprocess
import threading
import time

from harness import Skip, check, equal, files, setup, test, wait_for
from harness.link import ADDRESSES, Link
from harness.sluice import Result, environment, write_ini

MIB = 1 << 20


class Line:
    """A server at one end, and what a client at the other end needs."""

    def __init__(self, t, **limits):
        if os.geteuid() != 0 or not shutil.which("ip"):
            raise Skip("network namespaces take root, and ip(8)")
        try:
            self.link = Link(t.at_end)
        except OSError as problem:
            raise Skip(f"no network namespaces, or no line between them: {problem}") from None
        self.t, before = t, t.run.server_prefix
        t.run.server_prefix = [*self.link.prefix(0), *before]
        try:
            more = {"protocol main": {"listen": f"{ADDRESSES[0]}:0", "profile": "std", "store": "main"}}
            self.server = setup.server(t, more=more, **limits)
        finally:
            t.run.server_prefix = before
        self.ini = write_ini(t.path("partner.ini"), {
            "client-profile std": {**setup.profiles(t)["client-profile std"], "hostname": "localhost"},
            "partner there": {"host": f"{ADDRESSES[0]}:{self.server.port}", "profile": "std"},
        })

    def start(self, *arguments):
        command = [*self.link.prefix(1), self.t.run.binary, arguments[0], "-c", self.ini, "--json", *arguments[1:]]
        process = subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True, errors="replace", env=environment())
        self.t.at_end(lambda: (process.kill(), process.wait(), process.stdout.close(), process.stderr.close()))
        return process

    def end(self, process):
        output, errors = process.communicate(timeout=100 * self.t.run.patience)
        return Result(subprocess.CompletedProcess(process.args, process.returncode, output, errors))

    def call(self, *arguments):
        return self.end(self.start(*arguments))


WEATHERS = {
    "1 % loss": {"loss": 0.01},
    "50 ms": {"delay": 0.025},
    "1 % loss at 50 ms": {"loss": 0.01, "delay": 0.025},
    "reordering": {"delay": 0.01, "reorder": 0.05},
}
STREAMS = (1, 4)
SIZE = 6 * MIB + 5


@test("host", each=[f"{weather}; {streams}" for weather in WEATHERS for streams in STREAMS])
@test("guest", each=["1 % loss at 50 ms; 4", "reordering; 1"])
def files_arrive_whole_both_ways(t, which):
    weather, streams = which.split("; ")
    line = Line(t)
    check(line.link.netem or not t.run.kernel, "Debian's kernel has netem, but it is not used")
    source = files.make(line.server.root / "source", SIZE, 1)
    line.link.weather(**WEATHERS[weather])
    began = time.monotonic()
    line.call("get", "--streams", streams, "there:source", t.path("got")).must_succeed()
    took = time.monotonic() - began
    files.same(source, t.path("got"))
    line.call("put", "--streams", streams, t.path("got"), "there:sent").must_succeed()
    files.same(source, line.server.root / "sent")
    equal(files.listing(line.server.root), ["sent", "source"], "files in the store")
    # The line was as bad as it should be.
    if "loss" in WEATHERS[weather]:
        check(line.link.retransmitted() > 0, "nothing was lost")
    check(took >= 6 * WEATHERS[weather].get("delay", 0), f"three round trips at least, in {took:.2f} s")


@test("host")
def many_small_files_arrive_whole_over_a_bad_line(t):
    line = Line(t)
    tree = t.make_folder("tree")
    for number in range(60):
        files.make(tree / f"{number:03}", 16 << 10, number)
    line.link.weather(loss=0.01, delay=0.01)
    line.call("put", "-r", tree, "there:").must_succeed()
    equal(files.listing(line.server.root / "tree"), files.listing(tree), "files sent")
    line.call("get", "-r", "there:tree/", t.path("back")).must_succeed()
    for name in files.listing(tree):
        files.same(tree / name, line.server.root / "tree" / name)
        files.same(tree / name, t.path("back") / name)


def on_its_way(target):
    return [n for n in files.listing(target.parent) if ".part" in n or n.startswith(".sluice-up-")]


def _cut(line, process, seconds, under_way):
    wait_for(under_way, "the first part", 30 * line.t.run.patience)
    line.link.weather(down=True)
    time.sleep(seconds)
    equal(process.poll(), None, "the client's end while the line was down")
    line.link.weather(delay=0.005)


@test("host", each=["get 1, 4 s", "get 4, 10 s", "put 1, 4 s", "put 4, 4 s"], limit=90)
def a_line_that_is_down_for_seconds_is_waited_for(t, which):
    """All timeouts are longer than that."""
    way, streams, seconds = which.replace(",", "").split()[:3]
    line = Line(t)
    line.link.weather(delay=0.005)
    here = t.make_folder("here")
    source = files.make((line.server.root if way == "get" else t.folder) / "source", 12 * MIB, 1)
    target = (here if way == "get" else line.server.root) / "target"
    names = ["there:source", target] if way == "get" else [source, "there:target"]
    process = line.start(way, "--streams", streams, "--limit-rate", "6M", *names)
    _cut(line, process, int(seconds), lambda: on_its_way(target))
    line.end(process).must_succeed()
    files.same(source, target)
    equal(on_its_way(target), [], "what is left over")
    check(line.link.retransmitted() > 0, "nothing was lost")


@test("host", each=["get", "put"], limit=90)
def a_line_that_is_down_for_longer_than_patience_is_gone_on_with(t, way):
    line = Line(t, idle_timeout="3s")
    line.link.weather(delay=0.005)
    here = t.make_folder("here")
    source = files.make((line.server.root if way == "get" else t.folder) / "source", 12 * MIB, 1)
    target = (here if way == "get" else line.server.root) / "target"
    names = ["there:source", target] if way == "get" else [source, "there:target"]
    usual = ["--idle-timeout", "2", "--connect-timeout", "2"]
    process = line.start(way, *usual, "--limit-rate", "6M", *names)
    wait_for(lambda: on_its_way(target), "the first part", 30)
    time.sleep(0.7)
    line.link.weather(down=True)
    back = threading.Timer(12, lambda: line.link.weather(delay=0.005))
    back.start()
    t.at_end(back.join)
    result = line.end(process)
    back.join()
    check(not target.exists() or result.code == 0, "a file took the name although its transfer failed")
    if result.code != 0:
        check(result.code in (4, 8), f"exit code {result.code}: {result.errors}")
        # What the server still waits for it gives up by itself.
        wait_for(lambda: line.call(way, *names).code == 0, "the second try", 30 * t.run.patience)
    files.same(source, target)
    equal(on_its_way(target), [], "what is left over")
