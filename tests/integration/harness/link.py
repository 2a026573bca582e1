"""Two network namespaces with a bad line between them: delay, loss, reordering, and times when it is down.

The line is netem's where the kernel has it (a pair of veth devices), else a process of ours that carries packets from one
TUN device to another. Either way it is Linux's TCP that has to live with it.

As a program: link.py NAMESPACE NAMESPACE carries packets until its standard input ends; a line there sets the weather.
"""

import ctypes
import fcntl
import heapq
import os
import random
import select
import struct
import subprocess
import sys
import time

ADDRESSES = ("10.211.77.1", "10.211.77.2")
MTU = 9000
QUEUE_MAX = 4000  # packets on their way in one direction; what comes then is dropped, as a router would

_TUNSETIFF, _IFF_TUN, _IFF_NO_PI, _CLONE_NEWNET = 0x400454CA, 0x1, 0x1000, 0x40000000


class Weather:
    def __init__(self, delay=0.0, loss=0.0, reorder=0.0, down=False):
        self.delay, self.loss, self.reorder, self.down = delay, loss, reorder, down

    def __str__(self):
        return f"{self.delay} {self.loss} {self.reorder} {int(self.down)}"

    @classmethod
    def parse(cls, line):
        delay, loss, reorder, down = line.split()
        return cls(float(delay), float(loss), float(reorder), down == "1")


# -- the carrier: a process of its own -------------------------------------------------------------------------------

def _open_tun(namespace):
    libc = ctypes.CDLL(None, use_errno=True)
    with open(f"/run/netns/{namespace}") as place:
        if libc.setns(place.fileno(), _CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, _TUNSETIFF, struct.pack("16sH22x", b"line", _IFF_TUN | _IFF_NO_PI))
    return device


class _Direction:
    def __init__(self, source, sink, dice):
        self.source, self.sink, self.dice = source, sink, dice
        self.queue, self.count = [], 0

    def take(self, weather, now):
        for _ in range(64):
            try:
                packet = os.read(self.source, MTU + 100)
            except BlockingIOError:
                return
            lost = weather.down or len(self.queue) >= QUEUE_MAX or self.dice.random() < weather.loss
            if lost:
                continue
            # One that is reordered overtakes those that still wait.
            due = now if self.dice.random() < weather.reorder else now + weather.delay
            self.count += 1
            heapq.heappush(self.queue, (due, self.count, packet))

    def give(self, now):
        while self.queue and self.queue[0][0] <= now:
            try:
                os.write(self.sink, heapq.heappop(self.queue)[2])
            except OSError:
                pass  # the device is not up yet, or full: lost

    def next_due(self, now):
        return max(0.0, self.queue[0][0] - now) if self.queue else 1.0


def carry(one, other):
    ends = [_open_tun(one), _open_tun(other)]
    dice = random.Random(1)
    ways = [_Direction(ends[0], ends[1], dice), _Direction(ends[1], ends[0], dice)]
    weather, words = Weather(), b""
    print("ready", flush=True)
    while True:
        now = time.monotonic()
        patience = min(way.next_due(now) for way in ways)
        readable, _, _ = select.select([*ends, 0], [], [], patience)
        now = time.monotonic()
        if 0 in readable:
            piece = os.read(0, 1000)
            if not piece:
                return
            words += piece
            while b"\n" in words:
                line, _, words = words.partition(b"\n")
                weather = Weather.parse(line.decode())
                print("set", flush=True)
        for way in ways:
            if way.source in readable:
                way.take(weather, now)
            way.give(now)


# -- the test's side -------------------------------------------------------------------------------------------------

def _ip(*words, check=True):
    done = subprocess.run(["ip", *map(str, words)], capture_output=True, text=True)
    if check and done.returncode != 0:
        raise OSError(f"ip {' '.join(map(str, words))}: {done.stderr.strip()}")
    return done.returncode == 0


def has_netem():
    """Tried in a namespace of its own, which goes with the process."""
    probe = "ip link set lo up && tc qdisc add dev lo root netem delay 1ms"
    return subprocess.run(["unshare", "-n", "sh", "-c", probe], capture_output=True).returncode == 0


class Link:
    """`prefix(end)` runs a command at an end; end 0 has ADDRESSES[0]. at_end: what undoes things, as Trial.at_end."""

    def __init__(self, at_end, netem=None):
        self.names = [f"sluice-{os.getpid()}-{end}" for end in (0, 1)]
        for name in self.names:
            _ip("netns", "add", name)
            at_end(_ip, "netns", "del", name)
        self.netem = has_netem() if netem is None else netem
        self.carrier = None
        if self.netem:
            _ip("link", "add", "line", "netns", self.names[0], "type", "veth", "peer", "name", "line", "netns", self.names[1])
        else:
            self.carrier = subprocess.Popen([sys.executable, __file__, *self.names], stdin=subprocess.PIPE,
                                            stdout=subprocess.PIPE, text=True, bufsize=1)
            at_end(self._end_carrier)
            if self.carrier.stdout.readline() != "ready\n":
                raise OSError("there are no TUN devices")
        for end in (0, 1):
            self._dress(end)

    def _dress(self, end):
        name = self.names[end]
        _ip("-n", name, "link", "set", "lo", "up")
        _ip("-n", name, "addr", "add", f"{ADDRESSES[end]}/30", "dev", "line")
        _ip("-n", name, "link", "set", "line", "mtu", MTU, "up")
        if self.netem:  # else it is 64 KiB at once that netem loses or delays
            _ip("-n", name, "link", "set", "line", "gso_max_segs", 1)

    def _end_carrier(self):
        self.carrier.stdin.close()
        try:
            self.carrier.wait(10)
        except subprocess.TimeoutExpired:
            self.carrier.kill()
            self.carrier.wait()
        self.carrier.stdout.close()

    def prefix(self, end):
        return ["ip", "netns", "exec", self.names[end]]

    def retransmitted(self):
        """TCP segments that were sent again, at both ends."""
        total = 0
        for end in (0, 1):
            lines = subprocess.run([*self.prefix(end), "cat", "/proc/net/snmp"], capture_output=True, text=True).stdout.splitlines()
            names, values = [line.split() for line in lines if line.startswith("Tcp:")]
            total += int(values[names.index("RetransSegs")])
        return total

    def weather(self, **how):
        """delay: seconds each way; loss and reorder: parts of 1; down."""
        weather = Weather(**how)
        if self.carrier:
            self.carrier.stdin.write(f"{weather}\n")
            if self.carrier.stdout.readline() != "set\n":
                raise OSError("the line's carrier is gone")
            return
        loss = 1.0 if weather.down else weather.loss
        reorder = ["reorder", f"{weather.reorder:.2%}"] if weather.reorder else []
        for name in self.names:
            subprocess.run(["ip", "netns", "exec", name, "tc", "qdisc", "replace", "dev", "line", "root", "netem", "limit",
                            str(QUEUE_MAX), "delay", f"{weather.delay * 1000:.1f}ms", "loss", f"{loss:.2%}", *reorder],
                           check=True, capture_output=True)


if __name__ == "__main__":
    carry(*sys.argv[1:3])
