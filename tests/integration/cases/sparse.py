"""Files with holes: they keep them in both directions, and nobody moves the zeros."""

import os
import random
from pathlib import Path

from harness import Skip, check, client, equal, files, setup, test
from harness.wire import Wire

MIB = 1 << 20
GIB = 1 << 30
SLACK = 256 << 10  # of room: what a file system needs beside the data


def room(path):
    return os.stat(path).st_blocks * 512


def make(path, size, runs, seed=1):
    """A file with `runs` of data, each (first, length), and holes between. Returns how much data that is."""
    rng, total = random.Random(seed), 0
    with open(path, "wb") as out:
        for first, length in runs:
            out.seek(first)
            out.write(rng.randbytes(length))
            total += length
        out.truncate(size)
        os.fsync(out.fileno())
    os.utime(path, ns=(1_500_000_000_000_000_000, 1_500_000_000_000_000_000))
    if room(path) > total + SLACK:
        raise Skip("this file system keeps no holes")
    return total


def large(path):
    """1 GiB with 3 MiB of data: at its beginning, in its midst and at its end."""
    return make(path, GIB, [(0, MIB), (300 * MIB + 4096, MIB), (GIB - MIB, MIB)])


def kept_its_holes(path, source, data):
    files.same(path, source)
    check(room(path) <= data + SLACK, f"{path} takes {room(path)} bytes of room for {data} of data")


def moved_little(report, data, size):
    check(report["bytes"] <= data + SLACK, f"{report['bytes']} bytes were moved for {data} of data")
    equal(report["bytes"] + report["resumed_bytes"] + report["hole_bytes"], size, "moved, there before and holes")


def sent(server, **which):
    return sum(event["bytes"] for event in server.find("T01I", direction="out", **which))


def options(how):
    return how.split() if how.startswith("-") else []


# -- get ---------------------------------------------------------------------------------------------------------------


@test("host", each=["by itself", "--streams 1", "--streams 4", "--verify"], limit=120)
def a_large_file_that_is_fetched_keeps_its_holes(t, how):
    server = setup.server(t)
    data = large(server.root / "file")
    ini = setup.partner(t, server.port)
    done = client(t, "get", "--json", *options(how), "there:file", t.path("copy"), ini=ini).must_succeed()
    kept_its_holes(t.path("copy"), server.root / "file", data)
    moved_little(done.transfer, data, GIB)
    check(sent(server, path="file") <= data + SLACK, "the server sent the holes as well")


# -- put ---------------------------------------------------------------------------------------------------------------


@test("host", each=["by itself", "--streams 1", "--streams 4"], limit=120)
def a_large_file_that_is_sent_keeps_its_holes(t, how):
    server, source = setup.server(t), t.path("source")
    data = large(source)
    ini = setup.partner(t, server.port)
    done = client(t, "put", "--json", *options(how), source, "there:a/file", ini=ini).must_succeed()
    kept_its_holes(server.root / "a/file", source, data)
    moved_little(done.transfer, data, GIB)
    equal((done.transfer["verified"], done.transfer["note"]), (True, ""), "verified, and what is odd")
    came = sum(event["bytes"] for event in server.find("T14I", path="a/file"))
    equal(came, done.transfer["bytes"], "bytes of all parts")
    equal(files.listing(server.root), ["a/file"], "the store")
