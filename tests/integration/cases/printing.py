"""What is printed: nothing that a terminal would obey, whoever chose the words."""

import os
import subprocess

from harness import check, equal, setup, test

# Colour, C1 as a byte and as a character, a line of its own, right-to-left override, line separator, no UTF-8.
EVIL = b"e\x1b[31m\x9b\xc2\x9b1m\nsluice says all is well\xe2\x80\xae\xe2\x80\xa8\xff.z"
FORBIDDEN = [c for c in map(chr, list(range(0x20)) + list(range(0x7f, 0xa0))) if c != "\n"] + list("\u2028\u2029\u202a\u202e\u2066\u2069\u200f\u061c")


def say(t, *words, code=None):
    done = subprocess.run([t.run.binary, *words], capture_output=True, timeout=60 * t.run.patience, stdin=subprocess.DEVNULL)
    if code is not None:
        equal(done.returncode, code, f"exit code of {words}: {done.stderr}")
    for output in (done.stdout, done.stderr):
        text = output.decode("utf-8")  # and it is UTF-8
        found = [c for c in FORBIDDEN if c in text]
        equal(found, [], f"what is not escaped of {words}: {text!r}")
        check("\nsluice says all is well" not in text, f"a line that nobody wrote, of {words}: {text!r}")
    return done


@test("host")
def names_in_arguments_come_out_escaped_whatever_goes_wrong(t):
    server = setup.server(t)
    ini = setup.partner(t, server.port)
    there = b"there:" + EVIL
    missing = os.fsencode(t.path("missing")) + EVIL
    local = os.fsencode(t.path("here")) + EVIL
    with open(local, "wb") as file:
        file.write(b"x")
    config = ["-c", ini]
    for words, code in [
        (["put", *config, missing, "there:"], 9),
        (["put", *config, local, EVIL], 2),
        (["put", *config, local, local, there], 2),
        (["put", *config, local, EVIL + b":x"], 3),
        (["put", *config, "--queue", missing, there], None),
        (["put", *config, "--queue", os.path.dirname(local), there], None),
        (["get", *config, there, t.path("x")], 6),
        (["get", *config, there, local + b"/x"], 9),
        (["get", *config, there, there], 2),
        (["get", *config, EVIL, "x"], 2),
        (["get", *config, there + b"/", local], 6),
        (["get", *config, there + b"/", "-"], 2),
        (["get", *config, b"https://" + EVIL + b"/x?", "y"], 2),
        (["get", *config, b"https://localhost:1/" + EVIL, local + b"/"], None),
        (["get", *config, "--cacert", EVIL, "there:x", "x"], None),
        (["get", *config, b"--" + EVIL, "there:x", "x"], 2),
        (["get", *config, "--streams", EVIL, "there:x", "x"], 2),
        (["get", *config, "-r", "--files-from", EVIL, "there:", t.path("into")], None),
        (["get", "-c", EVIL, "there:x", "x"], 3),
        (["ls", *config, EVIL], 2),
        (["ls", *config, there + b"/"], None),
        (["check", "-c", EVIL], None),
        (["check", EVIL], None),
        (["show", EVIL], None),
        (["history", "--state", EVIL], None),
        (["history", "-f", EVIL], None),
        (["messages", "-f", EVIL], None),
        (["cert", EVIL], None),
        (["import-cft", EVIL], None),
        (["doctor", EVIL], 2),
        (["passwd", "-f", EVIL, "--delete", EVIL], None),
        (["retry", *config, EVIL], None),
        ([EVIL], 2),
    ]:
        done = say(t, *words, code=code)
        check(done.stderr or done.stdout, f"nothing is said of {words}")


@test("host")
def names_of_what_was_moved_come_out_escaped(t):
    server = setup.server(t)
    ini = setup.partner(t, server.port)
    there = b"there:" + EVIL
    local = os.fsencode(t.path("here")) + EVIL
    with open(local, "wb") as file:
        file.write(b"x")
    for words in (["put", local, there], ["put", local, there], ["put", "--json", local, there], ["put", "-v", local, there],
                  ["put", "--dry-run", local, there], ["get", there, local], ["get", "--json", there, local],
                  ["get", "-v", "--if-exists", "rename", there, local],
                  ["get", "--if-exists", "skip", there, local], ["get", "-r", "there:", t.path("into")],
                  ["get", "-r", "--dry-run", "there:", t.path("others")], ["ls", "there:"], ["ls", "--json", "there:"]):
        say(t, words[0], "-c", ini, *words[1:], code=0)
    say(t, "get", "-c", ini, "--if-exists", "fail", there, local, code=11)
