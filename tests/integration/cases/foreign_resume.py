"""Transfers that others begin, break off and go on with, at our server; and ours at theirs."""

import os
import signal
import subprocess
import time

from harness import check, client, equal, files, setup, test, wait_for
from harness import peers
from harness.peers import curl_options, tool
from harness.sluice import environment

MIB = 1 << 20
SIZE = 24 * MIB + 17


def site(t, **limits):
    server = setup.server(t, **limits)
    files.make(server.root / "file", SIZE, 3)
    return server, f"https://localhost:{server.port}"


def certificates(t, trust, certificate, key):
    mine, secret = t.run.pki.client()
    return [f"{trust}={t.run.pki.certificate}", f"{certificate}={mine}", f"{key}={secret}"]


def begun(t, target, *command):
    """Starts a program, waits until some of the file is there, and kills it."""
    process = subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: target.exists() and target.stat().st_size > MIB, f"the first part by {command[0]}", 20 * t.run.patience)
        equal(process.poll(), None, f"{command[0]}'s end before it was killed")
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def of_the_rest(server, path="file"):
    """Bytes of the last answer that was no whole file."""
    found = [e for e in server.find("T01I", path=path) if str(e["status"]) == "206"]
    check(found, "no part was asked for")
    return int(found[-1]["bytes"])


# -- at our server ------------------------------------------------------------------------------------------------------

@test("host", "guest")
def curl_goes_on_with_what_it_has(t):
    server, url = site(t)
    got = t.path("got")
    begun(t, got, peers.need("curl"), *curl_options(t), "--limit-rate", "4M", "-o", got, f"{url}/file")
    had = got.stat().st_size
    tool(t, "curl", *curl_options(t), "-C", "-", "-o", got, f"{url}/file")
    files.same(server.root / "file", got)
    equal(of_the_rest(server), SIZE - had, "bytes of the second answer")


@test("host")
def curl_is_told_that_nothing_is_missing(t):
    server, url = site(t)
    (t.path("got")).write_bytes((server.root / "file").read_bytes())
    tool(t, "curl", *curl_options(t), "-C", "-", "-o", t.path("got"), f"{url}/file", codes=(0, 22, 33))
    files.same(server.root / "file", t.path("got"))


@test("host", "guest")
def curl_sends_and_its_digest_is_the_servers(t):
    """The digest by hand: curl asks for it as for any field."""
    server, url = site(t)
    mine = files.make(t.path("mine"), SIZE, 4)
    tool(t, "curl", *curl_options(t), "--fail", "-T", mine, f"{url}/sent")
    files.same(mine, server.root / "sent")
    head = tool(t, "curl", *curl_options(t), "-I", "-H", "Want-Repr-Digest: sha-256=1", f"{url}/sent").stdout.decode()
    said = subprocess.run(["sh", "-c", "openssl dgst -sha256 -binary \"$0\" | base64", str(mine)], capture_output=True, text=True)
    check(f"sha-256=:{said.stdout.strip()}:" in head, head)


@test("host")
def curl_does_not_get_a_part_of_a_file_into_the_place_of_the_whole(t):
    """curl -C with -T sends a Content-Range without the agreement that ours needs: refused (RFC 9110, 14.5)."""
    server, url = site(t)
    mine = files.make(t.path("mine"), 3 * MIB, 5)
    tool(t, "curl", *curl_options(t), "--fail", "-C", str(MIB), "-T", mine, f"{url}/file", codes=(22,))
    equal(os.stat(server.root / "file").st_size, SIZE, "size of what stood there")
    equal(files.listing(server.root), ["file"], "files in the store")


@test("host")
def wget_goes_on_with_what_it_has(t):
    server, url = site(t)
    options = ["-q", *certificates(t, "--ca-certificate", "--certificate", "--private-key")]
    begun(t, t.path("file"), peers.need("wget"), *options, "--limit-rate=4m", "-P", t.folder, f"{url}/file")
    had = t.path("file").stat().st_size
    tool(t, "wget", *options, "-c", "-P", t.folder, f"{url}/file")
    files.same(server.root / "file", t.path("file"))
    check(of_the_rest(server) <= SIZE - had, "it fetched what it had")


@test("host")
def aria2_fetches_over_eight_connections_and_goes_on(t):
    server, url = site(t)
    options = ["-q", "-x", "8", "-s", "8", "-k", "1M", "--auto-save-interval=1", "--file-allocation=none", "-d", t.folder, "-o", "got",
               *certificates(t, "--ca-certificate", "--certificate", "--private-key")]
    begun(t, t.path("got"), peers.need("aria2c"), *options, "--max-overall-download-limit=4M", f"{url}/file")
    if not t.path("got.aria2").exists():
        t.path("got").unlink()  # killed before it wrote down what it has: it would not go on by itself
    tool(t, "aria2c", *options, f"{url}/file")
    files.same(server.root / "file", t.path("got"))
    connections = {e["peer"] for e in server.find("T01I", path="file", status=206)}
    check(len(connections) >= 4, f"all came over {len(connections)} connections")


def rclone(t, *arguments, timeout=60):
    mine, secret = t.run.pki.client()
    return tool(t, "rclone", "--config", t.path("rclone.conf"), "--ca-cert", t.run.pki.certificate, "--client-cert", mine,
                "--client-key", secret, *arguments, timeout=timeout)


@test("host")
def rclone_copies_a_tree_by_its_listings(t):
    peers.need("rclone")
    server, url = site(t)
    for name in ("tree/a", "tree/b c/d%41&#?", "tree/b c/\u00e9", "tree/large"):
        (server.root / name).parent.mkdir(parents=True, exist_ok=True)
        files.make(server.root / name, 5 * MIB if name.endswith("large") else 1000, len(name))
    t.path("rclone.conf").write_text(f"[ours]\ntype = http\nurl = {url}/\n")
    rclone(t, "copy", "ours:tree", t.path("copy"))
    equal(files.listing(t.path("copy")), files.listing(server.root / "tree"), "the copied files")
    for name in files.listing(server.root / "tree"):
        files.same(server.root / "tree" / name, t.path("copy") / name)
    rclone(t, "check", "--size-only", "--one-way", "ours:tree", t.path("copy"))


@test("host")
def rclone_fetches_a_large_file_over_several_streams(t):
    peers.need("rclone")
    server, url = site(t)
    t.path("rclone.conf").write_text(f"[ours]\ntype = http\nurl = {url}/\n")
    rclone(t, "copyto", "--multi-thread-streams", "4", "--multi-thread-cutoff", "1M", "ours:file", t.path("got"))
    files.same(server.root / "file", t.path("got"))


# -- at theirs ----------------------------------------------------------------------------------------------------------

def old_file(path):
    """Apache's tags of files that have just changed are weak: parts of them cannot be told to be of one version."""
    files.make(path, SIZE, 7)
    os.utime(path, (1_700_000_000, 1_700_000_000))
    return path


THEIRS = {"nginx": peers.nginx, "apache": peers.apache}


def _cut_short(t, ini, *arguments):
    """Our client, ended in the middle."""
    process = subprocess.Popen([str(a) for a in (t.run.binary, arguments[0], "-c", ini, *arguments[1:])], env=environment(),
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    t.at_end(lambda: (process.kill(), process.wait(), process.stderr.close()))
    return process


@test("host", each=list(THEIRS))
def our_client_fetches_in_ranges_and_goes_on_after_kill_9(t, which):
    root = t.make_folder("www")
    source = old_file(root / "file")
    ini = setup.partner(t, THEIRS[which](t, root))
    here = t.make_folder("here")
    process = _cut_short(t, ini, "get", "--streams", "3", "--limit-rate", "5M", "there:file", here / "got")
    part = here / "got.part"
    wait_for(lambda: part.exists() and part.stat().st_blocks * 512 > 8 * MIB, "the first part", 30 * t.run.patience)
    time.sleep(0.3)
    process.send_signal(signal.SIGKILL)
    process.wait()
    check(not (here / "got").exists(), "an incomplete file has the name")
    transfer = client(t, "get", "--json", "--streams", "3", "there:file", here / "got", ini=ini).must_succeed().transfer
    files.same(source, here / "got")
    equal(files.listing(here), ["got"], "what is left over")
    equal(transfer["bytes"] + transfer.get("resumed_bytes", 0), SIZE, "bytes moved and kept")


@test("host", each=list(THEIRS))
def our_client_fetches_over_several_streams(t, which):
    root = t.make_folder("www")
    source = old_file(root / "file")
    ini = setup.partner(t, THEIRS[which](t, root))
    transfer = client(t, "get", "--json", "--streams", "4", "there:file", t.path("got"), ini=ini).must_succeed().transfer
    files.same(source, t.path("got"))
    check(transfer["bytes"] == SIZE, f"{transfer}")


@test("host", each=list(THEIRS))
def our_client_sends_whole_where_parts_are_not_taken_and_says_what_was_not_verified(t, which):
    root = t.make_folder("www")
    mine = files.make(t.path("mine"), SIZE, 8)
    ini = setup.partner(t, THEIRS[which](t, root))
    line = client(t, "put", "--streams", "4", mine, "there:sent", ini=ini).must_succeed().output
    files.same(mine, root / "sent")
    check("not verified" in line, f"the line does not say that nothing was verified: {line}")
    equal(files.listing(root), ["sent"], "files in its folder")


@test("host", each=list(THEIRS))
def our_client_notices_that_their_file_changed_between_two_tries(t, which):
    root = t.make_folder("www")
    source = old_file(root / "file")
    ini = setup.partner(t, THEIRS[which](t, root))
    here = t.make_folder("here")
    process = _cut_short(t, ini, "get", "--limit-rate", "6M", "there:file", here / "got")
    part = here / "got.part"
    wait_for(lambda: part.exists() and part.stat().st_blocks * 512 > 4 * MIB, "the first part", 30 * t.run.patience)
    process.send_signal(signal.SIGTERM)
    process.wait()
    files.make(source, SIZE, 9)
    client(t, "get", "there:file", here / "got", ini=ini).must_succeed()
    files.same(source, here / "got")
    equal(files.listing(here), ["got"], "what is left over")
