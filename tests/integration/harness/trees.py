"""Trees of files: planted, compared, and what is told of them."""

import os
from pathlib import Path

from . import setup
from .case import check, equal

TIME = 1_234_567_890_123_456_789  # nanoseconds


def site(t, **how):
    server = setup.server(t, **how)
    return server, setup.partner(t, server.port)


def plant(root, count=2000, size=700):
    """Many small files in some directories, each with a time and a mode of its own."""
    for number in range(count):
        path = Path(root) / f"d{number % 17}" / f"e{number % 5}" / f"file {number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes((b"%d " % number) * (size // 5 + number % 50))
        path.chmod(0o640 if number % 2 else 0o604)
        os.utime(path, ns=(TIME, TIME + number * 1_000_001))
    return Path(root)


def state(root, directories=False):
    """{path: (bytes, time, mode)} of all files below, as bytes, since names may be anything."""
    found, root = {}, os.fsencode(root)
    for folder, below, names in os.walk(root):
        for name in names + below:
            path = os.path.join(folder, name)
            if name in below and not directories and not os.path.islink(path):
                continue
            facts = os.lstat(path)
            if os.path.islink(path):
                content = b"-> " + os.readlink(path)
                found[os.path.relpath(path, root)] = (content,)
            else:
                content = b"" if os.path.isdir(path) else Path(os.fsdecode(path)).read_bytes()
                found[os.path.relpath(path, root)] = (content, facts.st_mtime_ns, facts.st_mode & 0o777)
    return found


def same(one, other, directories=False):
    one, other = state(one, directories), state(other, directories)
    equal(sorted(one), sorted(other), "the names")
    for name, facts in one.items():
        check(facts == other[name], f"{name!r} differs: {facts[1:]} and {other[name][1:]}, {len(facts[0])} and {len(other[name][0])} bytes")


def summary(result):
    found = [entry for entry in result.transfers if "summary" in entry]
    equal(len(found), 1, "summaries")
    return found[0]


def counts(result):
    told = summary(result)
    return told["files"], told["skipped"], told["failed"]
