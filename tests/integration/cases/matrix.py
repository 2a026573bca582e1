"""Every size, suite and version, both ways: byte-identical, and carried by whom it should be."""

from harness import Server, Skip, check, client, equal, files, test, tls_counters, write_ini
from harness.setup import SUITES, profiles

MIB = 1 << 20
LARGEST = 300 * MIB + 1
HEAD_ROOM = 4096  # what a server reads at once where it waits for a head
SIZES = (0, 1, 16383, 16384, 16385, 65536, 64 * MIB)
# In a guest the largest take up to half a minute each: there only some of them run, all the others when they are asked for.
CHOSEN = [("1.3", "AES-256-GCM"), ("1.2", "AES-128-GCM")]


def _combinations(suites, sizes):
    return [f"{way} {version} {suite} {size}" for version, suite in suites for way in ("get", "put") for size in sizes]


class Site:
    """One server with a protocol for each version and suite, shared by all tests here."""

    def __init__(self, run):
        self.folder = run.folder / "matrix"
        self.store = self.folder / "store"
        self.store.mkdir(parents=True)
        self.run, self._undo, self.sources = run, [], {}
        self.log = self.folder / "site.log"
        sections = {"server": {"events": "json"}, "store main": {"root": self.store}}
        client_sections = {}
        for number, ((version, suite), name) in enumerate(SUITES.items()):
            pair = profiles(self, ciphers=name, min_version=version, max_version=version)
            sections[f"server-profile p{number}"] = pair["server-profile std"]
            sections[f"protocol p{number}"] = {"listen": "127.0.0.1:0", "profile": f"p{number}", "store": "main"}
            client_sections[f"client-profile p{number}"] = pair["client-profile std"]
        self.server = Server(self, sections, "site")
        for number in range(len(SUITES)):
            host = f"localhost:{self.server.ports[f'p{number}']}"
            client_sections[f"partner p{number}"] = {"host": host, "profile": f"p{number}"}
        self.ini = write_ini(self.path("clients.ini"), client_sections)
        run.at_end(self.close)

    # What Server asks of a trial.
    def path(self, name):
        return self.folder / name

    def at_end(self, action, *arguments):
        self._undo.append((action, arguments))

    def close(self):
        for action, arguments in reversed(self._undo):
            action(*arguments)

    def source(self, size):
        if size not in self.sources:
            self.sources[size] = files.make(self.store / f"source-{size}", size, seed=size + 1)
        return self.sources[size]


def _carried_by_the_kernel(transfer, way, event, before, size):
    moved = {"get": ("rx", "tx"), "put": ("tx", "rx")}[way]
    if size == 0:
        return
    equal(transfer[moved[0]], "kernel", "who encrypted at the client")
    came_at_once = way == "put" and size < HEAD_ROOM and event["rx"] == "user: the body came with its head"
    if not came_at_once:
        equal(event[moved[1]], "kernel", "who encrypted at the server")
    after = tls_counters()
    check(after["TlsTxSw"] > before["TlsTxSw"], "TlsTxSw did not count up")
    check(came_at_once or after["TlsRxSw"] > before["TlsRxSw"], "TlsRxSw did not count up")
    equal(after["TlsDecryptError"], before["TlsDecryptError"], "TlsDecryptError")


def _carried_by_openssl(transfer, way):
    moved = {"get": "rx", "put": "tx"}[way]
    check(transfer[moved].startswith("user: "), f"the client does not say why it is not the kernel: {transfer[moved]}")


@test("host", "guest", each=_combinations(SUITES, SIZES) + _combinations(CHOSEN, [LARGEST]), limit=150)
def moves_a_file_byte_for_byte(t, combination):
    _move(t, combination)


@test("host", each=_combinations([suite for suite in SUITES if suite not in CHOSEN], [LARGEST]), limit=150)
@test("guest", each=_combinations([suite for suite in SUITES if suite not in CHOSEN], [LARGEST]), limit=150, asked=True)
def moves_a_large_file_byte_for_byte_as_well(t, combination):
    _move(t, combination)


def _move(t, combination):
    way, version, suite, size = combination.split()
    size = int(size)
    if t.run.sanitized and size > 64 * MIB:
        raise Skip("sanitizers are too slow for files of this size")
    site = t.run.shared("matrix", lambda: Site(t.run))
    number = list(SUITES).index((version, suite))
    source = site.source(size)
    name = f"sent-{number}-{size}"
    there = source.name if way == "get" else name
    here = t.path("received") if way == "get" else source
    before, reported = tls_counters(), len(site.server.find("T01I"))
    arguments = ["--streams", "1", f"p{number}:{there}", here] if way == "get" else [here, f"p{number}:{there}"]
    result = client(t, way, "--json", *arguments, ini=site.ini).must_succeed()
    arrived = here if way == "get" else site.store / name
    t.at_end(lambda: arrived.unlink(missing_ok=True) if way == "put" else None)

    files.same(source, arrived)
    transfer = result.transfer
    equal(transfer["bytes"], size, "bytes that the client reports")
    equal(transfer["suite"], SUITES[version, suite], "suite")
    equal(transfer["version"], f"TLSv{version}", "version")
    event = site.server.wait_event("T01I", path=there)
    check(len(site.server.find("T01I")) > reported, "the server reported no transfer")
    equal(event["bytes"], size, "bytes that the server reports")
    if t.run.kernel:
        _carried_by_the_kernel(transfer, way, event, before, size)
    else:
        _carried_by_openssl(transfer, way)


@test("host", "guest", limit=30)
def the_server_that_moved_them_all_stayed_small(t):
    site = t.run.shared("matrix", lambda: Site(t.run))
    if t.run.sanitized:
        raise Skip("sanitizers need memory of their own")
    peak = site.server.status("VmHWM")
    check(peak < 64 * MIB, f"the server grew to {peak >> 20} MiB")
    equal(files.listing(site.store), sorted(s.name for s in site.sources.values()), "files left in the store")
