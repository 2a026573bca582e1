"""Zero copies are zero: between kernel and user memory, on the kernel path, by the server."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

from harness import Skip, check, equal, test

COUNTER = Path(__file__).resolve().parents[3] / "bench/harness/copies.py"
UNSEEN = 77
HEADS = 0.01  # of a body of 4 MiB: as much as handshake, heads and events may be


@test("guest", limit=60, asked=True)
def no_byte_of_a_get_is_copied_and_each_of_a_put_once(t):
    certificate, key = t.run.pki.server("ecdsa")
    folder = t.make_folder("order")
    for source, name in ((t.run.pki.certificate, "ca.pem"), (certificate, "leaf.pem"), (key, "leaf.key")):
        shutil.copy(source, folder / name)
    order, results = folder / "order", folder / "results"
    order.write_text(json.dumps({"binary": str(t.run.binary), "folder": str(folder), "results": str(results),
                                 "place": str(t.path("place")), "cases": [["get", "sluice"], ["put", "sluice"]]}))
    done = subprocess.run([sys.executable, COUNTER, order], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace")
    if done.returncode == UNSEEN:
        raise Skip(done.stdout.splitlines()[-1])
    equal(done.returncode, 0, f"exit status; it said {done.stdout}")
    each = {one["direction"]: one["each"] for one in json.loads(results.read_text())}
    check(0 < each["get"] < HEADS, f"of each byte of a GET {each['get']:.4f} were copied")
    check(1 <= each["put"] < 1 + HEADS, f"of each byte of a PUT {each['put']:.4f} were copied")
