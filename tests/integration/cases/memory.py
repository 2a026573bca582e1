"""Memory does not grow with the size of a file: 4 GiB and a little more, both ways, both sides below 64 MiB."""

import os
import shutil
import tempfile
from pathlib import Path

from harness import Skip, check, client, equal, files, setup, test

GIB = 1 << 30
SIZE = 4 * GIB + 4097
LIMIT = 64 << 20
MARKS = (0, 16383, (1 << 31) - 20, 1 << 31, (1 << 32) - 4, SIZE - 8)


def mark(number):
    return b"mark%04d" % number


def make_sparse(path):
    with open(path, "wb") as out:
        out.truncate(SIZE)
        for number, place in enumerate(MARKS):
            out.seek(place)
            out.write(mark(number))
    return path


def check_marks(path):
    equal(path.stat().st_size, SIZE, "size")
    with open(path, "rb") as file:
        for number, place in enumerate(MARKS):
            file.seek(place)
            equal(file.read(8), mark(number), f"the bytes at {place}")


def stayed_small(server, transfer):
    peak = server.status("VmHWM")
    check(peak < LIMIT, f"the server grew to {peak >> 20} MiB")
    resident = transfer["max_resident_kib"] << 10
    check(resident < LIMIT, f"the client grew to {resident >> 20} MiB")


def site(t):
    if t.run.sanitized:
        raise Skip("sanitizers need memory of their own")
    place = Path(tempfile.mkdtemp(prefix="sluice-4gib.", dir=files.roomy_folder(SIZE)))
    t.at_end(lambda: shutil.rmtree(place))
    (place / "store").mkdir()
    server = setup.server(t, root=place / "store")
    return place, server, setup.partner(t, server.port)


@test("host", limit=400)
def four_gib_are_fetched_in_little_memory(t):
    place, server, ini = site(t)
    make_sparse(place / "store/large")
    transfer = client(t, "get", "--json", "there:large", place / "got", ini=ini, timeout=380).must_succeed().transfer
    check_marks(place / "got")
    stayed_small(server, transfer)


@test("host", limit=400)
def four_gib_are_sent_in_little_memory(t):
    place, server, ini = site(t)
    make_sparse(place / "large")
    transfer = client(t, "put", "--json", place / "large", "there:sent", ini=ini, timeout=380).must_succeed().transfer
    check_marks(place / "store/sent")
    stayed_small(server, transfer)
    os.unlink(place / "store/sent")
