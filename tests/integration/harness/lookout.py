"""Looks at names all the time: what stands under one must be one of the versions that were given, whole."""

import ctypes
import os
import select
import struct
import threading
from pathlib import Path

from .case import Failure

_MODIFY, _ATTRIB, _CLOSE_WRITE, _MOVED_FROM, _MOVED_TO, _CREATE, _DELETE = 0x2, 0x4, 0x8, 0x40, 0x80, 0x100, 0x200
_ALL = _MODIFY | _ATTRIB | _CLOSE_WRITE | _MOVED_FROM | _MOVED_TO | _CREATE | _DELETE
_OVERFLOW = 0x4000
_HEAD = struct.Struct("iIII")
PAUSE_MS = 5

_libc = ctypes.CDLL(None, use_errno=True)


class Lookout:
    """
    `changes`: how often something below the folder changed since expect(), beside the bytes of a file. `at`: None, or (number of changes, action):
    called once, from the thread that looks. What is found wrong is raised by check().
    """

    def __init__(self, at_end, folder):
        self.folder, self.changes, self.at, self.looks = Path(folder), 0, None, 0
        self._versions, self._wrong, self._places, self._turn = {}, [], {}, 0
        self._lock, self._ended = threading.Lock(), threading.Event()
        self._fd = _libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "inotify_init1")
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        at_end(self._end)

    def _end(self):
        self._ended.set()
        self._thread.join()
        os.close(self._fd)

    def expect(self, versions):
        """`versions`: {name: [bytes, ...]}; what changed until now is not looked at."""
        with self._lock:
            self._watch_folders()
            self._read()
            self._versions = {name: list(v) for name, v in versions.items()}
            self.changes, self.at = 0, None

    def allow(self, versions):
        """Further ones."""
        with self._lock:
            for name, more in versions.items():
                self._versions.setdefault(name, []).extend(more)

    def check(self):
        with self._lock:
            wrong, self._wrong = self._wrong, []
        if wrong:
            raise Failure("; ".join(wrong[:3]))

    def _watch_folders(self):
        for place, _, _ in os.walk(self.folder):
            number = _libc.inotify_add_watch(self._fd, os.fsencode(place), _ALL)
            if number >= 0:
                self._places[number] = os.path.relpath(place, self.folder)

    def _read(self):
        """[(name, what happened)]"""
        found = []
        while True:
            try:
                data = os.read(self._fd, 1 << 16)
            except BlockingIOError:
                return found
            while data:
                place, mask, _, size = _HEAD.unpack_from(data)
                name = os.fsdecode(data[_HEAD.size : _HEAD.size + size].rstrip(b"\0"))
                data = data[_HEAD.size + size :]
                found.append((os.path.normpath(os.path.join(self._places.get(place, "."), name)), mask))

    def _look(self, name):
        self.looks += 1
        try:
            found = (self.folder / name).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return
        if found not in self._versions[name]:
            self._wrong.append(f"{name}: {len(found)} bytes that were never whole stood under the final name")

    def _run(self):
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        while not self._ended.is_set():
            poll.poll(PAUSE_MS)
            action = None
            with self._lock:
                events = self._read()
                self.changes += sum(not mask & _MODIFY for _, mask in events)
                if self.at and self.changes >= self.at[0]:
                    action, self.at = self.at[1], None
            if action:
                action()
            with self._lock:
                self._judge(events)

    def _judge(self, events):
        if any(mask & (_CREATE | _OVERFLOW) for _, mask in events):
            self._watch_folders()
        for name in {n for n, mask in events if n in self._versions and mask & _MODIFY}:
            self._wrong.append(f"{name} was written to under its final name")
        names = {n for n, _ in events if n in self._versions}
        known = sorted(self._versions)
        if known:  # and one in turn, whatever happened
            self._turn += 1
            names.add(known[self._turn % len(known)])
        for name in names:
            self._look(name)
