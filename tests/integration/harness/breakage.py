"""
A transfer, broken at a moment that chance chose, and run again until it is whole.

The moments are spread over its whole life, as it was measured without being disturbed: over its time, over the bytes that
each side sends, and over what changes in the folder that it writes to.
"""

import os
import random
import shutil
import signal
import subprocess
import threading
import time
from collections import Counter
from pathlib import Path

from . import files, setup
from .case import Failure, check, equal, wait_for
from .lookout import Lookout
from .relay import DOWN, UP, Relay
from .sluice import Server, environment, write_ini

MIB = 1 << 20
GET, PUT = "get", "put"
SIZES = {"one": MIB // 2 + 77, "large": 5 * MIB + 4321}
# [way, what is moved, options]
MODES = {
    "get": (GET, "one", []),
    "put": (PUT, "one", []),
    "get in parts": (GET, "large", ["--streams", "1"]),
    "put in parts": (PUT, "large", ["--streams", "1"]),
    "get, 4 streams": (GET, "large", ["--streams", "4"]),
    "put, 4 streams": (PUT, "large", ["--streams", "4"]),
    "get -r": (GET, "tree", ["-r"]),
    "put -r": (PUT, "tree", ["-r"]),
}
TRIGGERS = ("time", "bytes up", "bytes down", "change")
ACTIONS = ("client", "server", "reset", "client", "server", "reset", "drop")
PHASES = ("before the body", "in the body", "finishing", "named, not answered", "gone on with")
TREE = {"a/empty": 0, "a/parts": MIB + 5, **{f"{n // 8}/{n:02}": 16 << 10 for n in range(24)}}
HANDSHAKE = 8 << 10  # bytes one way that are not yet a body
# How a client ends that was disturbed: no address, refused (its own upload is still held), server failed, cut, some of several.
BROKEN = (4, 6, 7, 8, 12)
TRIES = 4


class Payload:
    """Three versions of what is moved: what stood there before, what is sent, and what the source becomes meanwhile."""

    def __init__(self, folder, what):
        sizes = TREE if what == "tree" else {"file": SIZES[what]}
        self.names, self.versions = sorted(sizes), []
        for number in range(3):
            place = folder / f"{what}-{number}"
            for name, size in sizes.items():
                (place / name).parent.mkdir(parents=True, exist_ok=True)
                # What was there before has another size: of a tree's files, those with size and time unchanged are skipped.
                files.make(place / name, size if number else size // 2 + 1, number + size)
            self.versions.append(place)
        self.bytes = [{name: (place / name).read_bytes() for name in self.names} for place in self.versions]
        self.size = sum(sizes.values())


class Moment:
    """When (a trigger and how far into the transfer's life) what happens (an action)."""

    def __init__(self, mode, trigger, share, action, dice):
        self.mode, self.trigger, self.share, self.action, self.dice = mode, trigger, share, action, dice

    def __str__(self):
        return f"{self.mode}: {self.action} at {self.share:.3f} of its {self.trigger}"


def schedule(modes, count, seed):
    """`count` moments of these modes, spread evenly over each one's life, in a random order."""
    dice, found = random.Random(seed), []
    for number, mode in enumerate(modes):
        own = count // len(modes) + (number < count % len(modes))
        kinds = [(t, a) for a in ACTIONS for t in TRIGGERS]
        dice.shuffle(kinds)
        for n in range(own):
            trigger, action = kinds[n % len(kinds)]
            share = (n * 0.6180339887 + dice.random() / max(own, 1)) % 1.0
            found.append(Moment(mode, trigger, share, action, random.Random(f"{seed} {mode} {n}")))
    dice.shuffle(found)
    return found


class Lane:
    """A server behind a relay, a store and a local folder: one transfer after the other."""

    def __init__(self, t, number, payloads):
        self.t, self.number, self.payloads, self.lives = t, number, payloads, {}
        self.counts, self.broken = Counter(), threading.Event()
        self.breaking, self.armed = threading.Lock(), False
        self.store, self.local = t.make_folder(f"lane{number}/store"), t.make_folder(f"lane{number}/local")
        self.idle = 1 if t.run.patience == 1 else 3
        self.sections = setup.site(t, self.store, idle_timeout=f"{2 * self.idle}s")
        self.server = Server(t, self.sections, f"lane{number}")
        self.relay = Relay(t.at_end, self.server.port)
        self.ini = write_ini(t.path(f"lane{number}-partner.ini"), {
            "client-profile std": setup.profiles(t)["client-profile std"],
            "partner there": {"host": f"localhost:{self.relay.port}", "profile": "std"},
        })
        self.lookouts = {PUT: Lookout(t.at_end, self.store), GET: Lookout(t.at_end, self.local)}
        self.process = None

    # -- one transfer ------------------------------------------------------------------------------------------------

    def _prepare(self, mode, version, before):
        """Empty folders, but for the source, and for what stands where it goes: `before`."""
        self.way, what, self.options = MODES[mode]
        self.payload = self.payloads[what]
        self.target = (self.store if self.way == PUT else self.local) / "there"
        for way, place in ((PUT, self.store), (GET, self.local)):
            self.lookouts[way].expect({})
            shutil.rmtree(place / "there", ignore_errors=True)
            (place / "there").mkdir()
        self.source = (self.local if self.way == PUT else self.store) / "there"
        self._set_source(version)
        versions = {name: [self.payload.bytes[version][name]] for name in self.payload.names}
        if before:
            shutil.copytree(self.payload.versions[0], self.target, dirs_exist_ok=True)
            for name in versions:
                versions[name].append(self.payload.bytes[0][name])
        self.old = {name: self._inode(name) for name in self.payload.names}
        self.lookout = self.lookouts[self.way]
        self.lookout.expect(versions)

    def _set_source(self, version):
        self.version = version
        for name in self.payload.names:
            place = self.source / name
            place.parent.mkdir(exist_ok=True)
            shutil.copyfile(self.payload.versions[version] / name, self.source / ".next")
            os.rename(self.source / ".next", place)

    def _inode(self, name):
        try:
            return os.stat(self.target / name).st_ino
        except FileNotFoundError:
            return 0

    def named(self):
        """How many of the files have the new one's name."""
        return sum(self._inode(name) != self.old[name] for name in self.payload.names)

    def _command(self, options):
        if self.options == ["-r"]:
            names = ["there:there/", self.target.parent] if self.way == GET else [self.source, "there:"]
        else:
            local = (self.target if self.way == GET else self.source) / "file"
            names = ["there:there/file", local] if self.way == GET else [local, "there:there/file"]
        return list(map(str, [self.t.run.binary, self.way, "-c", self.ini, *self.options, *options, *names]))

    def start(self, *options):
        with open(self.t.path(f"lane{self.number}-client.txt"), "wb") as out:
            self.process = subprocess.Popen(self._command(options), stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                            env=environment())

    def said(self):
        return self.t.path(f"lane{self.number}-client.txt").read_text(errors="replace")[-3000:]

    def story(self):
        """For who has to find out what went wrong."""
        usual = {f"there/{name}" for name in self.payload.names}
        more = {place.name: [n for n in files.listing(place) if n not in usual] for place in (self.store, self.local)}
        return f"lane {self.number}, the client: {self.said()}\nthere are besides: {more}"

    def end(self):
        try:
            return self.process.wait(60 * self.t.run.patience)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise Failure(f"the client neither ended nor gave up: {self.said()}") from None

    def whole(self):
        """After success: every file is the source, and nothing else is there."""
        for name in self.payload.names:
            check((self.target / name).read_bytes() == self.payload.bytes[self.version][name], f"{name} is not its source")
        wanted, root = sorted(f"there/{name}" for name in self.payload.names), self.target.parent
        # A server is done with what was cut off when it has noticed.
        wait_for(lambda: files.listing(root) == wanted or self.way == GET, "the end of what is left over", 20 * self.t.run.patience)
        equal(files.listing(root), wanted, "what is there after success")
        self.lookout.check()

    # -- its life ----------------------------------------------------------------------------------------------------

    def measure(self, mode):
        """What it takes undisturbed: the second time, but in the guest, where all takes long."""
        if mode in self.lives:
            return self.lives[mode]
        for _ in range(1 if self.t.run.kernel else 2):
            self._prepare(mode, 1, True)
            self.relay.start()
            began = time.monotonic()
            self.start()
            code = self.end()
            took = time.monotonic() - began
            equal(code, 0, f"an undisturbed {mode}: {self.said()}")
            self.whole()
        self.lives[mode] = {"time": took, "bytes up": self.relay.moved[UP], "bytes down": self.relay.moved[DOWN],
                            "change": self.lookout.changes}
        return self.lives[mode]

    # -- breaking it -------------------------------------------------------------------------------------------------

    def _phase(self, again):
        if self.named() == len(self.payload.names):
            return "named, not answered"
        if again:
            return "gone on with"
        moved = self.relay.moved[DOWN if self.way == GET else UP]
        if moved < HANDSHAKE:
            return "before the body"
        return "in the body" if moved < self.payload.size else "finishing"

    def _break(self, moment, again):
        """From whichever thread sees the moment come."""
        with self.breaking:
            if self.armed and self.process.poll() is None:
                self.armed = False
                self._break_now(moment, again)

    def _break_now(self, moment, again):
        self.happened = self._phase(again)
        if moment.action == "client":
            self.process.send_signal(signal.SIGKILL)
        elif moment.action == "server":
            self.server.kill()
        elif moment.action == "reset":
            self.relay.reset()
        else:
            self.relay.drop()
        self.broken.set()

    def _arm_anew(self):
        self.broken.clear()
        self.happened, self.armed = None, True
        self.relay.start()

    def _arm(self, moment, life, again):
        self._arm_anew()
        point = max(1, round(moment.share * life[moment.trigger])) if moment.trigger != "time" else 0

        def action():
            self._break(moment, again)

        if moment.trigger == "change":
            self.lookout.at = (self.lookout.changes + point, action)
        elif moment.trigger != "time":
            self.relay.at = (UP if moment.trigger == "bytes up" else DOWN, point, action)
        return threading.Timer(moment.share * life["time"], action) if moment.trigger == "time" else None

    def _wait(self, moment):
        """Until the client has ended; a server that was killed is started again meanwhile."""
        end = time.monotonic() + 90 * self.t.run.patience
        while self.process.poll() is None:
            if moment.action == "server" and self.broken.is_set():
                self.revive()
            if time.monotonic() > end:
                raise Failure(f"the client neither ended nor gave up: {self.said()}")
            time.sleep(0.002)
        with self.breaking:
            self.armed = False
        self.revive()
        return self.process.returncode

    def revive(self):
        if self.server.process.poll() is None:
            return
        equal(self.server.process.returncode, -signal.SIGKILL, "how the server ended")
        self.server = Server(self.t, self.sections, f"lane{self.number}")
        self.relay.target = self.server.port

    def _disturbed(self, moment, life, again):
        timer = self._arm(moment, life, again)
        self.start("--idle-timeout", str(self.idle), "--connect-timeout", str(5 * self.idle))
        if timer:
            timer.start()
        code = self._wait(moment)
        if timer:
            timer.cancel()
            timer.join()
        self.lookout.at = self.relay.at = None
        if self.happened:
            answered = code == 0 and self.happened == PHASES[3]
            self.counts[moment.mode, "named, answered" if answered else self.happened] += 1
            self.counts["action", moment.action] += 1
            if code == 0:
                self.counts["healed", moment.mode] += 1
        else:
            self.counts[moment.mode, "missed"] += 1
        killed = moment.action == "client" and self.happened and code == -signal.SIGKILL
        check(code == 0 or killed or (self.happened and code in BROKEN), f"the client ended with {code}: {self.said()}")
        return code

    def live(self, moment):
        """One transfer that is disturbed at this moment, now and then again, and then is left to end."""
        life, dice = self.measure(moment.mode), moment.dice
        self._prepare(moment.mode, 1, dice.random() < 0.7)
        code = self._disturbed(moment, life, False)
        for _ in range(TRIES):
            self.lookout.check()
            if code == 0:
                break
            if dice.random() < 0.2:
                self._change_source()
            if dice.random() > 0.4:
                break
            code = self._disturbed(Moment(moment.mode, dice.choice(TRIGGERS), dice.random(), dice.choice(ACTIONS[:3]), dice),
                                   life, True)
        if code != 0:
            self.relay.start()
            self.start()
            equal(self.end(), 0, f"the same command again: {self.said()}")
        self.whole()

    def _change_source(self):
        """Its last bytes may still be on their way to a name."""
        self.lookout.allow({name: [self.payload.bytes[2][name]] for name in self.payload.names})
        self._set_source(2)

    # -- the answer is lost ------------------------------------------------------------------------------------------

    def lose_the_answer(self, mode, action, *options, before=True):
        """
        The name is there, and nothing that the server says from then on comes back on the connections there are.
        `before`: something stood there. Returns the client's exit code.
        """
        self.measure(mode)
        self._prepare(mode, 1, before)
        moment, state = Moment(mode, "answer", 1.0, action, None), []
        self._arm_anew()

        def before_answer():
            if not state and self.named() > 0:
                state.append(True)
                self._break(moment, False)
                return True
            return False

        self.relay.before_answer = before_answer
        self.start(*options, "--idle-timeout", str(self.idle), "--connect-timeout", str(5 * self.idle))
        code = self._wait(moment)
        self.relay.before_answer = None
        self.revive()
        check(state, f"no answer came after the name: {self.said()}")
        check(code in (0, -signal.SIGKILL, *BROKEN), f"the client ended with {code}: {self.said()}")
        return code

    def again(self):
        self.relay.start()
        self.start()
        equal(self.end(), 0, f"the same command again: {self.said()}")
        self.whole()


def run_lanes(t, payloads, moments, lanes):
    """Lives all moments, several at once. Returns (what was counted, the failures)."""
    left, lock, failures, counts = list(moments), threading.Lock(), [], Counter()

    def work(lane):
        while True:
            with lock:
                if not left or failures:
                    return
                moment = left.pop()
            try:
                lane.live(moment)
            except Exception as problem:
                with lock:
                    failures.append(f"{moment}: {type(problem).__name__}: {problem}\n{lane.story()}")
                return

    made = [Lane(t, number, payloads) for number in range(lanes)]
    threads = [threading.Thread(target=work, args=(lane,), daemon=True) for lane in made]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    for lane in made:
        counts.update(lane.counts)
    return counts, failures
