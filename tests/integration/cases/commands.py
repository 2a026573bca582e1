"""get, put and ls as they are called: many files, whole trees, names, standard output, exit codes."""

import os
import pty
import signal
import subprocess
import time
from pathlib import Path

from harness import check, client, equal, files, setup, test, write_ini
from harness import peers
from harness.sluice import environment

TREE = ("a", "b c/%41?#&", "b c/\u00e9", "deep/er/x", "deep/y")


def site(t):
    server = setup.server(t)
    return server, setup.partner(t, server.port)


def plant(root, names=TREE):
    for number, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        files.make(root / name, 1000 * number + 1, number)
    return root


def same_tree(one, other):
    equal(files.listing(one), files.listing(other), "the files of the tree")
    for name in files.listing(one):
        files.same(Path(one) / name, Path(other) / name)


@test("host", "guest")
def a_tree_goes_there_and_comes_back(t):
    server, ini = site(t)
    mine = plant(t.make_folder("mine"))
    result = client(t, "put", "--json", mine, "there:", ini=ini).must_succeed()
    equal(len([one for one in result.transfers if "summary" not in one]), len(TREE), "transfers told of")
    same_tree(mine, server.root / "mine")
    client(t, "get", "there:mine/", t.make_folder("back"), ini=ini).must_succeed()
    same_tree(mine, t.path("back/mine"))
    client(t, "get", "there:mine/", t.path("copy"), ini=ini).must_succeed()
    same_tree(mine, t.path("copy"))
    client(t, "put", mine, "there:as/this", ini=ini).must_succeed()
    same_tree(mine, server.root / "as/this")


@test("host")
def several_files_use_one_connection(t):
    server, ini = site(t)
    mine = plant(t.make_folder("mine"), ["1", "2", "3"])
    client(t, "put", mine / "1", mine / "2", mine / "3", "there:new/", ini=ini).must_succeed()
    same_tree(mine, server.root / "new")
    equal(len(server.find("Y14I")), 1, "sessions")
    client(t, "get", "there:new/1", "there:new/2", "there:new/3", t.path("into/"), ini=ini).must_succeed()
    same_tree(mine, t.path("into"))


@test("host")
def a_failure_does_not_keep_the_other_files_and_the_exit_code_says_that_only_some_failed(t):
    server, ini = site(t)
    plant(server.root, ["1", "2"])
    into = t.make_folder("into")
    result = client(t, "get", "there:1", "there:none", "there:2", into, ini=ini).must_fail(12)
    equal(files.listing(into), ["1", "2"], "what came")
    check("none: " in result.errors and "404" in result.errors, result.errors)
    mine = plant(t.make_folder("mine"), ["3"])
    result = client(t, "put", t.path("missing"), mine / "3", "there:", ini=ini).must_fail(12)
    check((server.root / "3").exists(), "the file after the missing one did not go")


@test("host")
def the_line_at_the_end_says_who_encrypted_and_why(t):
    server, ini = site(t)
    files.make(server.root / "file", 3 << 20)
    result = client(t, "get", "there:file", t.path("file"), ini=ini).must_succeed()
    lines = result.output.splitlines()
    equal(len(lines), 1, "lines")
    for part in ("got  file -> ", "3145728 bytes in ", "TLSv1.3 TLS_", "path ", "; tx user: ", "; rx "):
        check(part in lines[0], f"no {part!r} in {lines[0]!r}")
    equal(client(t, "get", "-q", "there:file", t.path("file"), ini=ini).must_succeed().output, "", "output with -q")


@test("host")
def json_tells_everything(t):
    server, ini = site(t)
    files.make(server.root / "file", 3 << 20)
    transfer = client(t, "get", "--json", "there:file", t.path("file"), ini=ini).must_succeed().transfer
    for key, value in {"result": "ok", "code": 0, "error": "", "direction": "get", "remote": "file", "status": 206,
                       "bytes": 3 << 20, "version": "TLSv1.3", "resumed": False}.items():
        equal(transfer[key], value, key)
    check(transfer["seconds"] > 0 and transfer["cpu_seconds"] > 0 and transfer["max_resident_kib"] > 1000, str(transfer))
    transfer = client(t, "get", "--json", "there:none", t.path("x"), ini=ini).must_fail(6).transfer
    equal((transfer["result"], transfer["code"], transfer["status"]), ("refused", 6, 404), "the failure")


@test("host")
def standard_output_holds_the_file_and_nothing_else(t):
    server, ini = site(t)
    made = files.make(server.root / "file", (3 << 20) + 1)
    done = subprocess.run([t.run.binary, "get", "-c", ini, "there:file", "-"], capture_output=True, env=environment(),
                          timeout=60 * t.run.patience)
    equal(done.returncode, 0, f"exit code ({done.stderr!r})")
    check(done.stdout == made.read_bytes(), "the bytes differ")
    check(b"3145729 bytes" in done.stderr, f"no line at the end: {done.stderr!r}")
    with open(t.path("joined"), "wb") as out:
        out.write(b"before")
        out.flush()
        for _ in range(2):
            subprocess.run([t.run.binary, "get", "-q", "-c", ini, "there:file", "-"], stdout=out, check=True,
                           env=environment(), timeout=60 * t.run.patience)
    check(t.path("joined").read_bytes() == b"before" + 2 * made.read_bytes(), "the joined bytes differ")


@test("host")
def a_full_device_behind_standard_output_is_told(t):
    server, ini = site(t)
    files.make(server.root / "file", 3 << 20)
    with open("/dev/full", "wb") as full:
        done = subprocess.run([t.run.binary, "get", "-c", ini, "there:file", "-"], stdout=full, stderr=subprocess.PIPE,
                              env=environment(), timeout=60 * t.run.patience)
    equal(done.returncode, 9, f"exit code ({done.stderr!r})")
    check(b"No space left" in done.stderr, done.stderr.decode())


@test("host")
def a_size_limit_is_a_local_failure_that_can_be_gone_on_with(t):
    server, ini = site(t)
    made = files.make(server.root / "file", 3 << 20)
    into = t.make_folder("into")
    done = subprocess.run(["prlimit", "--fsize=1048576", t.run.binary, "get", "-c", ini, "there:file", into],
                          capture_output=True, env=environment(), timeout=60 * t.run.patience)
    equal(done.returncode, 9, f"exit code ({done.stderr!r})")
    equal(files.listing(into), ["file.part", "file.part.journal"], "what was left")
    client(t, "get", "there:file", into, ini=ini).must_succeed()
    files.same(into / "file", made)
    equal(files.listing(into), ["file"], "what is there")


@test("host")
def ls_lists(t):
    server, ini = site(t)
    plant(server.root)
    text = client(t, "ls", "there:", ini=ini).must_succeed().output
    equal([line.split()[-1] for line in text.splitlines()], ["a", "c/", "deep/"], "names")
    entries = client(t, "ls", "--json", "there:b c", ini=ini).must_succeed().transfers
    equal([(e["name"], e["type"], e["size"]) for e in entries], [("%41?#&", "file", 1001), ("\u00e9", "file", 2001)], "entries")
    client(t, "ls", "there:none", ini=ini).must_fail(6)


@test("host")
def urls_need_no_configuration(t):
    server = setup.server(t)
    plant(server.root, ["a b"])
    certificate, key = t.run.pki.client()
    options = ["--cacert", t.run.pki.certificate, "--cert", certificate, "--key", key]
    client(t, "get", *options, f"https://localhost:{server.port}/a%20b", t.path("got")).must_succeed()
    files.same(server.root / "a b", t.path("got"))
    result = client(t, "get", *options, "--tls-max", "1.2", "--ciphers", "ECDHE-ECDSA-AES256-GCM-SHA384", "--json",
                    f"https://127.0.0.1:{server.port}/a%20b", t.path("got")).must_succeed()
    equal((result.transfer["version"], result.transfer["suite"]),
          ("TLSv1.2", "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"), "what was asked for")
    client(t, "get", f"https://localhost:{server.port}/a%20b", t.path("x")).must_fail(5)
    client(t, "get", *options[2:], "--insecure", f"https://localhost:{server.port}/a%20b", t.path("got")).must_succeed()


WRONG = {
    "no arguments": ([], 2, "at least one source"),
    "no destination": (["there:x"], 2, "at least one source"),
    "an unknown option": (["--quickly", "there:x", "."], 2, "--quickly is not an option"),
    "an option without its value": (["there:x", ".", "--cert"], 2, "--cert needs a value"),
    "a bad version": (["--tls-min", "1.1", "there:x", "."], 2, "is not 1.2 or 1.3"),
    "a certificate without key": (["--cert", "x", "there:x", "."], 2, "go together"),
    "a local source": (["x", "."], 2, "is local"),
    "a remote destination": (["there:x", "there:y"], 2, "sluice put"),
    "plain http": (["http://localhost/x", "."], 2, "only https://"),
    "dots": (["there:../x", "."], 2, 'no "." or ".."'),
    "TLS options for a partner": (["--insecure", "there:x", "."], 2, "for https:// URLs"),
    "an unknown partner": (["nobody:x", "."], 3, "no [partner nobody]"),
    "two files to standard output": (["there:x", "there:y", "-"], 2, "only one file"),
    "a directory to standard output": (["there:x/", "-"], 2, "cannot go to standard output"),
    "a destination without its directory": (["there:x", "/nowhere/at/all/"], 9, "/nowhere/at/all"),
}


@test("host", each=list(WRONG))
def wrong_arguments_are_explained(t, which):
    arguments, code, sentence = WRONG[which]
    ini = setup.partner(t, 1)
    result = client(t, "get", *arguments, ini=ini).must_fail(code)
    check(sentence in result.errors, f"no {sentence!r} in {result.errors!r}")


@test("host")
def help_says_what_the_exit_codes_mean(t):
    for name in ("get", "put", "ls"):
        output = client(t, name, "--help").must_succeed().output
        check(f"Usage: sluice {name}" in output and "Exit codes: 0" in output, output)


@test("host")
def a_configuration_that_is_wrong_is_told_with_its_lines(t):
    ini = write_ini(t.path("wrong.ini"), {"client-profile std": {"trsut": "x"}, "partner there": {"host": "localhost:1"}})
    result = client(t, "get", "there:x", ".", ini=ini).must_fail(3)
    check("wrong.ini:2: " in result.errors and "trust" in result.errors, result.errors)


@test("host")
def links_are_not_followed_out_of_a_tree(t):
    server, ini = site(t)
    mine = plant(t.make_folder("mine"), ["file"])
    outside = plant(t.make_folder("outside"), ["secret"])
    (mine / "to-file").symlink_to(outside / "secret")
    (mine / "to-folder").symlink_to(outside)
    (mine / "to-nothing").symlink_to("nowhere")
    os.mkfifo(mine / "fifo")
    result = client(t, "put", mine, "there:", ini=ini).must_fail(12)
    equal(files.listing(server.root), ["mine/file"], "what was sent")
    for name in ("to-file", "to-folder", "to-nothing", "fifo"):
        check(f"{name} is not sent" in result.errors, f"nothing about {name}: {result.errors}")
    # The other way: a link that stands where a directory is to come leads out of the destination.
    into = t.make_folder("into")
    plant(server.root, ["tree/to-folder/new"])
    (into / "tree").mkdir()
    (into / "tree/to-folder").symlink_to(outside)
    client(t, "get", "there:tree/", into, ini=ini).must_fail(9)
    equal(files.listing(outside), ["secret"], "what stands outside")


@test("host", each=["SIGINT", "SIGTERM"])
def a_signal_ends_a_transfer_without_a_trace(t, which):
    server, ini = site(t)
    files.make(server.root / "file", 64 << 20)
    reader = t.path("pipe")
    os.mkfifo(reader)
    held = os.open(reader, os.O_RDWR)
    t.at_end(os.close, held)
    process = subprocess.Popen([t.run.binary, "get", "-c", ini, "there:file", reader], stderr=subprocess.PIPE,
                               stdout=subprocess.PIPE, env=environment(),
                               preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    time.sleep(0.5 * t.run.patience)
    process.send_signal(getattr(signal, which))
    _, errors = process.communicate(timeout=20 * t.run.patience)
    equal(process.returncode, 130, f"exit code ({errors!r})")
    check(b"interrupted" in errors, errors.decode())


@test("host")
def a_terminal_shows_progress_and_is_left_clean(t):
    server, ini = site(t)
    files.make(server.root / "file", 64 << 20)
    terminal, ours = pty.openpty()
    t.at_end(os.close, terminal)
    process = subprocess.Popen([t.run.binary, "get", "-c", ini, "there:file", t.path("got")], stderr=ours,
                               stdout=subprocess.PIPE, env=environment())
    os.close(ours)
    process.communicate(timeout=60 * t.run.patience)
    equal(process.returncode, 0, "exit code")
    shown = b""
    while True:
        try:
            piece = os.read(terminal, 65536)
        except OSError:
            break
        if not piece:
            break
        shown += piece
    check(b"67.1 MB of 67.1 MB" in shown and b" left  " in shown, f"no progress: {shown!r}")
    check(shown.endswith(b"\r\x1b[K"), f"the line was left on the terminal: {shown[-80:]!r}")


@test("host")
def a_tree_comes_from_nginx(t):
    root = plant(t.make_folder("www"))
    ini = setup.partner(t, peers.nginx(t, root, more="autoindex on; autoindex_format json;"))
    client(t, "get", "there:", t.path("got"), ini=ini).must_succeed()
    same_tree(root, t.path("got"))
    result = client(t, "get", "there:deep", t.path("x"), ini=ini).must_fail(6)
    check("ends in '/'" in result.errors, result.errors)


@test("host")
def a_directory_without_its_slash_is_not_taken_for_a_file(t):
    server, ini = site(t)
    plant(server.root)
    client(t, "get", "there:deep", t.path("x"), ini=ini).must_fail(6)
    check(not t.path("x").exists(), "a listing was kept as a file")
