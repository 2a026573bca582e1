"""An extract of Transfer CFT becomes a configuration that `sluice check` finds right, given the certificates."""

import json
import shutil
import subprocess
from pathlib import Path

from harness import check, client, equal, leafs, test, wait_for
from harness.sluice import environment

EXAMPLES = Path(__file__).resolve().parents[3] / "config/examples"
EXTRACT = EXAMPLES / "cft.txt"


def pki_base(t, folder):
    """What the comments say to export: one certificate for both directions, as CFT has it, and the CAs."""
    certificate, key = t.run.pki.leaf("cft-node", usage=None, key="rsa")
    sources = {"PARIS.pem": certificate, "PARIS.key": key, "ROOTCA.pem": t.run.pki.certificate,
               "OLDCA.pem": leafs.other(t.run).certificate}
    (folder / "certs").mkdir()
    for name, source in sources.items():
        shutil.copyfile(source, folder / "certs" / name)
        (folder / "certs" / name).chmod(0o600)


def with_root(t, text):
    return text.replace("root = /srv/sluice\n", f"root = {t.make_folder('data')}\n")


def feed(t, data):
    return subprocess.run([t.run.binary, "import-cft", "-"], input=data, capture_output=True, env=environment(),
                          timeout=60 * t.run.patience)


@test("host")
def the_example_is_what_comes_of_its_extract(t):
    made = client(t, "import-cft", EXTRACT).must_succeed().output
    equal(made, (EXAMPLES / "from-cft.ini").read_text(), "from-cft.ini (run `sluice import-cft cft.txt` anew)")


@test("host")
def what_comes_of_an_extract_is_right(t):
    ini = t.path("new.ini")
    client(t, "import-cft", "-o", ini, EXTRACT).must_succeed()
    ini.write_text(with_root(t, ini.read_text()))
    missing = client(t, "check", ini=ini).must_fail(3)
    check("certs/PARIS.pem" in missing.output, missing.output)
    pki_base(t, t.folder)
    result = client(t, "check", ini=ini).must_succeed()
    check("4 profiles, 1 store, 1 protocol, 2 partners" in result.output or "0 errors" in result.output, result.output)


@test("host")
def an_imported_server_serves_an_imported_client(t):
    """The profiles of the extract carry a transfer, with a suite of CIPHLIST."""
    pki_base(t, t.folder)
    text = with_root(t, client(t, "import-cft", EXTRACT).must_succeed().output)
    text = text.replace("listen = 0.0.0.0:1762", "listen = 127.0.0.1:0")
    ini, log = t.path("new.ini"), t.path("new.log")
    ini.write_text("[server]\nevents = json\n" + text)
    (t.path("data") / "file").write_bytes(b"water")
    with open(log, "wb") as out:
        server = subprocess.Popen([t.run.binary, "serve", "-c", ini], stdout=out, stderr=out, env=environment())
    t.at_end(server.wait, 30)
    t.at_end(server.terminate)
    port = listening_port(t, server, log)
    ini.write_text(text.replace("host = lyon.example.com:1762", f"host = localhost:{port}"))
    transfer = client(t, "get", "--json", "LYON:file", t.path("got"), ini=ini).must_succeed().transfer
    equal(t.path("got").read_bytes(), b"water", "what came")
    equal((transfer["version"], transfer["suite"]), ("TLSv1.2", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"), "the session")


def listening_port(t, server, log):
    def find():
        check(server.poll() is None, f"the server ended: {log.read_text()}")
        events = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
        return next((int(e["port"]) for e in events if e.get("id") == "S03I"), None)

    return wait_for(find, "the server's start", 30 * t.run.patience)


@test("host")
def passwords_of_the_extract_are_not_in_the_result(t):
    text = EXTRACT.read_text()
    result = client(t, "import-cft", EXTRACT).must_succeed()
    for secret in ("not for the new file", "neither is this"):
        check(secret in text and secret not in result.output + result.errors, f"{secret!r} is repeated")


@test("host")
def standard_input_is_read(t):
    done = feed(t, EXTRACT.read_bytes())
    equal((done.returncode, done.stdout), (0, (EXAMPLES / "from-cft.ini").read_bytes()), "what came")


@test("host")
def an_output_that_is_there_is_kept(t):
    kept = t.path("kept.ini")
    kept.write_text("mine")
    result = client(t, "import-cft", "-o", kept, EXTRACT).must_fail(9)
    equal(kept.read_text(), "mine", "the file")
    check("kept.ini cannot be written: File exists; remove it, or name another" in result.errors, result.errors)


@test("host")
def mistakes_are_told_with_their_lines_and_nothing_is_written(t):
    wrong, out = t.path("wrong.cft"), t.path("out.ini")
    wrong.write_text("CFTSSL ID = 'X',\n  VERIFY REQUIRED\nCFTPART ID = 'Y\n")
    result = client(t, "import-cft", "-o", out, wrong).must_fail(3)
    for line in ('wrong.cft:2: "VERIFY" has no = behind it', "wrong.cft:3: the value of ID has a quote"):
        check(line in result.errors, result.errors)
    check(not out.exists(), "something was written")


USES = {
    "no file": ([], 2, "the file to read is missing"),
    "two files": (["a", "b"], 2, "one file is read, not several"),
    "an unknown option": (["--quickly", "a"], 2, "Usage: sluice import-cft"),
    "a file that is not there": (["/nowhere/at/all"], 9, "/nowhere/at/all cannot be read: No such file"),
    "a directory": (["/"], 9, "/ cannot be read: Is a directory"),
}


@test("host", each=list(USES))
def wrong_uses_are_explained(t, which):
    arguments, code, sentence = USES[which]
    result = client(t, "import-cft", *arguments).must_fail(code)
    check(sentence in result.errors, result.errors)


HOSTILE = {
    "a header in a value": b"CFTSSL ID='X', PARM='a ; b]\\\\', COMMENT='\xff\xfe[server]'",
    "a header in a name": b"CFTSSL ID='x] [server', ROOTCID='../../etc/shadow'",
    "a long value": b"CFTSSL ID='X', PARM='" + b"x " * 2000 + b"'",
    "a rule of signs": b"CFTSSL ID='X', DNUSER='" + b" ;\\\"#" * 100 + b"'",
}


@test("host", each=list(HOSTILE))
def text_of_the_extract_stays_in_its_place(t, which):
    done = feed(t, HOSTILE[which])
    equal(done.returncode, 0, f"exit code ({done.stderr!r})")
    ini = t.path("new.ini")
    ini.write_bytes(done.stdout)
    told = client(t, "check", ini=ini).output
    lines = [line for line in told.splitlines() if "warning: " not in line]
    # The CA's file is not there; anything else would have broken out of a value or a comment.
    check(all("trust" in line or line.endswith("warning") or line.endswith("warnings") for line in lines), told)
