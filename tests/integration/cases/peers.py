"""Programs that others made, against ours: what they send and fetch arrives byte for byte."""

import os
import signal
import subprocess
import time

from harness import check, client, equal, files, setup, test, tls_counters, wait_for
from harness import peers
from harness.peers import curl_options, tool

MIB = 1 << 20
SIZE = 8 * MIB + 17


def site(t, **limits):
    server = setup.server(t, **limits)
    files.make(server.root / "file", SIZE, 3)
    return server, f"https://localhost:{server.port}"


def by_the_kernel(t, before, counters=("TlsTxSw",)):
    """In the guest the kernel must have carried it; on the host there is nothing to see."""
    if t.run.kernel:
        after = tls_counters()
        for counter in counters:
            check(after[counter] > before[counter], f"{counter} did not count up")
        equal(after["TlsDecryptError"], before["TlsDecryptError"], "TlsDecryptError")


@test("host", "guest", each=["--tlsv1.3", "--tls-max 1.2"])
def curl_fetches_and_sends(t, version):
    before = tls_counters()
    server, url = site(t)
    mine = files.make(t.path("mine"), SIZE, 4)
    common = [*curl_options(t), *version.split()]
    tool(t, "curl", *common, "-o", t.path("got"), f"{url}/file")
    files.same(server.root / "file", t.path("got"))
    tool(t, "curl", *common, "--fail", "-T", mine, f"{url}/dir/sent")
    files.same(mine, server.root / "dir/sent")
    if t.run.kernel:
        equal(server.wait_event("T01I", path="file")["tx"], "kernel", "who encrypted what curl fetched")
        equal(server.wait_event("T01I", path="dir/sent")["rx"], "kernel", "who decrypted what curl sent")
    by_the_kernel(t, before, ("TlsTxSw", "TlsRxSw"))


@test("host", "guest")
def curl_sends_what_has_no_length(t):
    server, url = site(t)
    mine = files.make(t.path("mine"), SIZE, 5)
    program = peers.need("curl")
    with open(mine, "rb") as source:
        done = subprocess.run([program, *map(str, curl_options(t)), "--fail", "-T", "-", f"{url}/streamed"], stdin=source,
                              capture_output=True, timeout=60 * t.run.patience)
    equal(done.returncode, 0, f"exit code of curl ({done.stderr!r})")
    files.same(mine, server.root / "streamed")


@test("host")
def curl_resumes_a_download(t):
    server, url = site(t)
    whole = (server.root / "file").read_bytes()
    t.path("got").write_bytes(whole[: 5 * MIB])
    tool(t, "curl", *curl_options(t), "-C", "-", "-o", t.path("got"), f"{url}/file")
    files.same(server.root / "file", t.path("got"))


@test("host")
def curl_with_an_rsa_certificate_is_accepted(t):
    server, url = site(t)
    tool(t, "curl", *curl_options(t, "rsa"), "-o", t.path("got"), f"{url}/file")
    files.same(server.root / "file", t.path("got"))


@test("host")
def wget_fetches(t):
    server, url = site(t)
    certificate, key = t.run.pki.client()
    tool(t, "wget", "-q", f"--ca-certificate={t.run.pki.certificate}", f"--certificate={certificate}",
         f"--private-key={key}", "-O", t.path("got"), f"{url}/file")
    files.same(server.root / "file", t.path("got"))


@test("host")
def wget_mirrors_a_directory_by_its_listing(t):
    server, url = site(t)
    for name in ("tree/a", "tree/b c", "tree/deep/d"):
        (server.root / name).parent.mkdir(parents=True, exist_ok=True)
        (server.root / name).write_text(name)
    certificate, key = t.run.pki.client()
    tool(t, "wget", "-q", "-r", "-np", "-nH", "-P", t.make_folder("mirror"), f"--ca-certificate={t.run.pki.certificate}",
         f"--certificate={certificate}", f"--private-key={key}", f"{url}/tree/")
    for name in ("tree/a", "tree/b c", "tree/deep/d"):
        equal((t.path("mirror") / name).read_text(), name, f"the mirrored {name}")


@test("host")
def aria2_fetches_over_four_connections(t):
    server, url = site(t)
    files.make(server.root / "large", 64 * MIB + 1, 6)
    certificate, key = t.run.pki.client()
    tool(t, "aria2c", "-q", "-x", "4", "-s", "4", "-k", "1M", f"--ca-certificate={t.run.pki.certificate}",
         f"--certificate={certificate}", f"--private-key={key}", "-d", t.folder, "-o", "got", f"{url}/large")
    files.same(server.root / "large", t.path("got"))
    check(len(server.find("T01I", status=206)) >= 2, "it did not fetch ranges")


@test("host", "guest", each=["TLSv1.3", "TLSv1.2"])
def our_client_fetches_from_nginx(t, version):
    before, root = tls_counters(), t.make_folder("www")
    files.make(root / "file", SIZE, 7)
    ini = setup.partner(t, peers.nginx(t, root, versions=version))
    transfer = client(t, "get", "--json", "there:file", t.path("got"), ini=ini).must_succeed().transfer
    files.same(root / "file", t.path("got"))
    if t.run.kernel:
        equal(transfer["rx"], "kernel", "who decrypted")
    by_the_kernel(t, before, ("TlsRxSw",))


@test("host", "guest")
def our_client_sends_to_nginx(t):
    before, root = tls_counters(), t.make_folder("www")
    mine = files.make(t.path("mine"), SIZE, 8)
    ini = setup.partner(t, peers.nginx(t, root))
    transfer = client(t, "put", "--json", mine, "there:new/file", ini=ini).must_succeed().transfer
    files.same(mine, root / "new/file")
    if t.run.kernel:
        equal(transfer["tx"], "kernel", "who encrypted")
    by_the_kernel(t, before, ("TlsTxSw",))


@test("host")
def our_client_understands_what_nginx_refuses(t):
    root = t.make_folder("www")
    ini = setup.partner(t, peers.nginx(t, root))
    client(t, "get", "there:nowhere", t.path("got"), ini=ini).must_fail(6)
    check(not t.path("got").exists(), "a file took the name")


@test("host")
def our_client_fetches_from_and_sends_to_apache(t):
    root = t.make_folder("www")
    files.make(root / "file", SIZE, 9)
    mine = files.make(t.path("mine"), SIZE, 10)
    ini = setup.partner(t, peers.apache(t, root))
    client(t, "get", "there:file", t.path("got"), ini=ini).must_succeed()
    files.same(root / "file", t.path("got"))
    client(t, "put", mine, "there:sent", ini=ini).must_succeed()
    files.same(mine, root / "sent")


@test("host", "guest")
def an_upload_whose_sender_is_killed_leaves_nothing(t):
    server, url = site(t)
    program = peers.need("curl")
    mine = files.make(t.path("mine"), 32 * MIB, 11)
    sender = subprocess.Popen([program, *map(str, curl_options(t)), "--limit-rate", "2M", "-T", str(mine), f"{url}/cut"],
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(1.0 * min(t.run.patience, 3))
    equal(sender.poll(), None, "curl's end before it was killed")
    sender.send_signal(signal.SIGKILL)
    sender.wait()
    event = server.wait_event("T01E", 10 * t.run.patience, path="cut")
    check(event["reason"], "no reason is given")
    equal(files.listing(server.root), ["file"], "files in the store")
    tool(t, "curl", *curl_options(t), "-o", t.path("got"), f"{url}/file")
    files.same(server.root / "file", t.path("got"))


@test("host", "guest")
def a_download_whose_reader_is_killed_ends_that_session_alone(t):
    server, url = site(t)
    files.make(server.root / "large", 64 * MIB, 12)
    # It writes into a pipe that nobody empties, and so stops reading.
    reader = subprocess.Popen([peers.need("curl"), *map(str, curl_options(t)), f"{url}/large"], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    reader.stdout.read(1000)
    reader.send_signal(signal.SIGKILL)
    reader.wait()
    reader.stdout.close()
    server.wait_event("T01E", 10 * t.run.patience, path="large")
    tool(t, "curl", *curl_options(t), "-o", t.path("got"), f"{url}/file")
    files.same(server.root / "file", t.path("got"))


@test("host", "guest")
def an_upload_to_a_server_that_is_killed_leaves_nothing(t):
    server, url = site(t)
    program = peers.need("curl")
    mine = files.make(t.path("mine"), 32 * MIB, 13)
    sender = subprocess.Popen([program, *map(str, curl_options(t)), "--limit-rate", "2M", "-T", str(mine), f"{url}/cut"],
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    t.at_end(lambda: (sender.kill(), sender.wait()))
    time.sleep(1.0 * min(t.run.patience, 3))
    server.kill()
    equal(files.listing(server.root), ["file"], "files in the store")


@test("host", "guest")
def a_fetch_from_a_server_that_is_killed_leaves_nothing_under_its_name(t):
    server, _ = site(t)
    files.make(server.root / "large", 256 * MIB, 14)
    ini = setup.partner(t, server.port)
    here = t.make_folder("here")
    reader = subprocess.Popen([t.run.binary, "get", "-c", ini, "--retries", "0", "there:large", here / "large"], stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    wait_for(lambda: server.find("Y14I"), "the session", 10 * t.run.patience)
    if t.run.kernel:
        wait_for(lambda: tls_counters()["TlsCurrRxSw"], "the client's key in the kernel", 20)
    server.kill()
    _, said = reader.communicate(timeout=60 * t.run.patience)
    equal(reader.returncode, 8, f"exit code of the client ({said.decode()})")
    check(set(os.listdir(here)) <= {"large.part", "large.part.journal"}, f"the client left {os.listdir(here)}")
