"""--if-exists: what stands under a name is replaced, kept, a failure, or joined by a file with a number."""

import os
import shutil
import threading
import time

from harness import check, client, equal, files, setup, test
from harness import peers
from harness.peers import curl_options, tool
from harness.wire import Wire

MIB = 1 << 20
SIZES = {"small": 3000, "large": 3 * MIB}
WAYS = [f"{way} {size}" for way in ("get", "put") for size in SIZES]


class Pair:
    """A file to be moved, and the place where it goes: of a GET the local one, of a PUT the server's."""

    def __init__(self, t, which, port=None, root=None, server=None):
        self.t = t
        self.way, size = which.split()
        self.size = SIZES[size]
        self.server = server
        root = root or server.root
        self.ini = setup.partner(t, port or server.port)
        here = t.make_folder("here")
        self.source = files.make((root if self.way == "get" else here) / "source", self.size, 1)
        self.target = (here if self.way == "get" else root) / "target"

    def move(self, *options):
        names = ["there:source", self.target] if self.way == "get" else [self.source, "there:target"]
        return client(self.t, self.way, "--json", *options, *names, ini=self.ini)

    def numbered(self, number):
        return self.target.with_name(f"target.{number}")

    def in_place(self):
        """The names beside the target, but for the source."""
        return sorted(name for name in files.listing(self.target.parent) if name != "source")


def body_bytes(server, way):
    direction = "out" if way == "get" else "in"
    return sum(int(e["bytes"]) for e in server.events() if e["id"] in ("T01I", "T01E", "T14I", "T14W") and e["direction"] == direction)


@test("host", "guest", each=WAYS)
def what_differs_is_replaced_in_one_step(t, which):
    pair = Pair(t, which, server=setup.server(t))
    files.make(pair.target, pair.size, 2)
    before = os.stat(pair.target).st_ino
    transfer = pair.move().must_succeed().transfer
    files.same(pair.source, pair.target)
    equal((transfer["skipped"], transfer["bytes"]), ("", pair.size), "what is said")
    check(os.stat(pair.target).st_ino != before, "it was written over in place")
    equal(pair.in_place(), ["target"], "files")


@test("host", each=WAYS)
def what_is_the_same_is_left_alone_and_that_is_said(t, which):
    server = setup.server(t)
    pair = Pair(t, which, server=server)
    files.make(pair.target, pair.size, 1)
    os.utime(pair.target, (10**9, 10**9))
    before = os.stat(pair.target)
    transfer = pair.move().must_succeed().transfer
    after = os.stat(pair.target)
    equal((after.st_ino, after.st_mtime_ns), (before.st_ino, before.st_mtime_ns), "the file's inode and time")
    equal((transfer["skipped"], transfer["bytes"]), ("it is the same already (sha-256)", 0), "what is said")
    equal(body_bytes(server, pair.way), 0, "bytes of bodies that the server moved")
    names = ["there:source", pair.target] if pair.way == "get" else [pair.source, "there:target"]
    line = client(t, pair.way, *names, ini=pair.ini).must_succeed().output
    check("kept" in line and "the same already" in line, line)


@test("host", each=WAYS)
def a_server_without_digests_has_all_of_it_replaced(t, which):
    root = t.make_folder("www")
    pair = Pair(t, which, port=peers.nginx(t, root), root=root)
    files.make(pair.target, pair.size, 1)
    before = os.stat(pair.target).st_ino
    equal(pair.move().must_succeed().transfer["bytes"], pair.size, "bytes moved")
    files.same(pair.source, pair.target)
    check(os.stat(pair.target).st_ino != before, "it was left as it was")


@test("host", each=WAYS)
def fail_decides_before_the_body_with_a_code_of_its_own(t, which):
    server = setup.server(t)
    pair = Pair(t, which, server=server)
    files.make(pair.target, 100, 2)
    said = pair.move("--if-exists", "fail").must_fail(11)
    check("target" in said.errors and "--if-exists" in said.errors, said.errors)
    equal(said.transfer["result"], "exists", "the result in JSON")
    equal(os.stat(pair.target).st_size, 100, "size of what stood there")
    equal(body_bytes(server, pair.way), 0, "bytes of bodies that the server moved")
    pair.target.unlink()
    pair.move("--if-exists", "fail").must_succeed()
    files.same(pair.source, pair.target)


@test("host", each=WAYS)
def skip_passes_over_and_says_so(t, which):
    server = setup.server(t)
    pair = Pair(t, which, server=server)
    files.make(pair.target, 100, 2)
    transfer = pair.move("--if-exists", "skip").must_succeed().transfer
    equal(transfer["skipped"], "a file of this name is there", "what is said")
    equal(os.stat(pair.target).st_size, 100, "size of what stood there")
    equal(body_bytes(server, pair.way), 0, "bytes of bodies that the server moved")
    pair.target.unlink()
    equal(pair.move("--if-exists", "skip").must_succeed().transfer["skipped"], "", "what is said of a free name")
    files.same(pair.source, pair.target)


@test("host", each=WAYS)
def rename_takes_the_first_free_number(t, which):
    pair = Pair(t, which, server=setup.server(t))
    side = "local" if pair.way == "get" else "remote"
    for number in range(4):
        if number == 2:
            pair.numbered(2).mkdir()
            continue
        transfer = pair.move("--if-exists", "rename").must_succeed().transfer
        name = pair.numbered(number) if number else pair.target
        files.same(pair.source, name)
        check(transfer[side].endswith(name.name), f"the transfer's name is {transfer[side]}, not {name.name}")
    equal(pair.in_place(), ["target", "target.1", "target.3"], "files")


@test("host", each=[which for which in WAYS if which.startswith("put")])
def a_server_that_knows_no_numbers_is_asked_for_a_free_name(t, which):
    root = t.make_folder("www")
    pair = Pair(t, which, port=peers.nginx(t, root), root=root)
    for number in range(3):
        transfer = pair.move("--if-exists", "rename").must_succeed().transfer
        name = f"target.{number}" if number else "target"
        equal(transfer["remote"], name, "the name, as the client tells it")
        files.same(pair.source, root / name)
    pair.move("--if-exists", "fail").must_fail(11)
    pair.move("--if-exists", "skip").must_succeed()
    equal(pair.in_place(), ["target", "target.1", "target.2"], "files")


@test("host", each=WAYS)
def several_at_once_each_get_a_name_of_their_own(t, which):
    pair = Pair(t, which, server=setup.server(t))
    codes = []

    def move(number):
        names = ["there:source", pair.target]
        if pair.way == "put":  # each a file of its own: that of another process would be the same upload
            names = [shutil.copy(pair.source, t.path(f"copy{number}")), "there:target"]
        codes.append(client(t, pair.way, "--if-exists", "rename", *names, ini=pair.ini).code)

    threads = [threading.Thread(target=move, args=(number,)) for number in range(5)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    done = codes.count(0)
    # Of one local name only one process at a time keeps a part: the others are told so, and nothing is lost.
    check(done == 5 or (which == "get large" and done >= 1), f"exit codes: {codes}")
    equal(len(pair.in_place()), done, f"files: {pair.in_place()}")
    for name in pair.in_place():
        files.same(pair.source, pair.target.parent / name)


@test("host", each=["fail", "skip", "rename"])
def what_appears_while_a_file_is_fetched_is_not_overwritten(t, how):
    pair = Pair(t, "get small", server=setup.server(t))
    files.make(pair.source, 950_000, 3)
    done = []
    move = threading.Thread(target=lambda: done.append(pair.move("--if-exists", how, "--limit-rate", "128K")))
    move.start()
    time.sleep(0.8)  # it has looked by now, and has more than a second to go
    pair.target.write_bytes(b"mine")
    move.join()
    equal(pair.target.read_bytes(), b"mine", "what appeared")
    equal(done[0].code, {"fail": 11, "skip": 0, "rename": 0}[how], f"exit code ({done[0].errors})")
    equal(pair.in_place(), ["target", "target.1"] if how == "rename" else ["target"], "files")


@test("host", "guest", each=["small", "large"])
def who_may_write_but_not_read_is_not_overwritten_either(t, size):
    """HEAD tells nothing then: the PUT's own condition decides, before its body."""
    server = setup.server(t, more={"store main": {"root": t.make_folder("box"), "write": "authenticated", "delete": "user:nobody"},
                                   "user nobody": {"disabled": "yes"}})
    server.root = t.path("box")
    pair = Pair(t, f"put {size}", server=server)
    files.make(pair.target, 100, 2)
    pair.move("--if-exists", "fail").must_fail(11)
    equal(pair.move("--if-exists", "skip").must_succeed().transfer["skipped"], "a file of this name is there", "what is said")
    equal(os.stat(pair.target).st_size, 100, "size of what stood there")
    equal(body_bytes(server, "put"), 0, "bytes of bodies that the server moved")
    pair.move().must_succeed()
    files.same(pair.source, pair.target)


# -- the server's own policy -------------------------------------------------------------------------------------------

def with_policy(t, policy):
    root = t.make_folder("kept")
    server = setup.server(t, more={"store main": {"root": root, "overwrite": policy}})
    server.root = root
    return server


@test("host", each=["put small", "put large"])
def a_store_that_keeps_what_it_has_refuses_with_its_reason(t, which):
    pair = Pair(t, which, server=with_policy(t, "no"))
    pair.move().must_succeed()
    files.same(pair.source, pair.target)
    files.make(pair.source, pair.size, 5)
    for how in ("replace", "fail", "skip"):
        pair.move("--if-exists", how).must_fail({"replace": 6, "fail": 11, "skip": 0}[how])
    refused = tool(t, "curl", *curl_options(t), "-T", pair.source, f"https://localhost:{pair.server.port}/target")
    check(b"409" in refused.stdout and b"overwrite = no" in refused.stdout, refused.stdout)
    equal(pair.server.wait_event("T02W", status=409)["reason"].count("overwrite = no"), 1, "reason")
    equal(files.sha256(pair.target) == files.sha256(pair.source), False, "it was replaced")
    pair.move("--if-exists", "rename").must_succeed()
    files.same(pair.source, pair.numbered(1))
    equal(pair.in_place(), ["target", "target.1"], "files")


@test("host", each=["put small", "put large"])
def a_store_that_gives_numbers_gives_them_to_everyone(t, which):
    pair = Pair(t, which, server=with_policy(t, "rename"))
    url = f"https://localhost:{pair.server.port}/target"
    for number in range(3):
        answer = tool(t, "curl", *curl_options(t), "-D", "-", "-f", "-T", pair.source, url).stdout.decode()
        name = f"target.{number}" if number else "target"
        files.same(pair.source, pair.target.parent / name)
        equal(f"Location: /{name}\r\n" in answer, number > 0, f"the name in the answer {answer}")
    files.make(pair.source, pair.size, 6)
    pair.move().must_succeed()
    files.same(pair.source, pair.numbered(3))
    equal(pair.server.wait_event("T16I", asked="target", path="target.3")["path"], "target.3", "the name in the event")
    equal(len(pair.server.find("T01I", path="target.3")), 1, "transfers told of under the new name")


@test("host")
def a_condition_of_the_request_still_counts_under_every_policy(t):
    for policy in ("no", "rename"):
        server = with_policy(t, policy)
        (server.root / policy).write_bytes(b"one")
        wire = Wire(t, server.port)
        equal(wire.request("PUT", f"/{policy}", {"If-None-Match": "*"}, b"two").status, 412, f"If-None-Match under {policy}")
        wire = Wire(t, server.port)
        equal(wire.request("PUT", f"/{policy}", {"If-Match": '"other"'}, b"two").status, 412, f"If-Match under {policy}")
        equal((server.root / policy).read_bytes(), b"one", "the file")
        equal(len(files.listing(server.root)), 2 if policy == "rename" else 1, "files")


@test("host", each=["", "yes", "Replace", "11"])
def a_wrong_word_is_a_usage_error(t, word):
    said = client(t, "put", "--if-exists", word, "x", "there:x").must_fail(2).errors
    check("replace, skip, fail or rename" in said, said)


@test("host")
def who_may_not_send_cannot_try_names_in_silence(t):
    server = setup.server(t, anonymous="read", server_profile={"verify": "optional"})
    for field in ("Sluice-If-Exists", "Sluice-Upload"):
        wire = Wire(t, server.port, certificate=None)
        path = f"secret-{field}"
        check(wire.request("HEAD", f"/{path}", {field: "replace"}).status in (403, 404), "the status")
        server.wait_event("T02W", path=path)
    with_right = Wire(t, server.port)
    equal(with_right.request("HEAD", "/not-yet", {"Sluice-If-Exists": "replace"}).status, 404, "the status")
    equal(with_right.request("HEAD", "/never", {}).status, 404, "the status")
    server.wait_event("T02W", path="never")
    equal(server.find("T02W", path="not-yet"), [], "what is no refusal")
