"""The report's last page: what was measured, put into the cost model of model.py, with everything assumed in view."""
from harness import model
from harness.page import Html, known, paragraph, table, tag

# Of the scenarios of instructions.py: what else is known of each end. Copies are those of a body by the processor; touched are
# the bytes that cross the memory bus for each of the body where no cache helps.
KNOWN = {
    ("get-kernel", "sluice"): ("sending, kTLS", True, 0, 3),
    ("get-user", "sluice-user"): ("sending, OpenSSL", True, 2, 7),
    ("put-kernel", "sluice"): ("receiving into a file, kTLS", False, 1, 5),
}


class Counted:
    """Counts of instructions, with what instructions.py knows of them. Empty where none were taken."""

    def __init__(self, rows):
        from harness import instructions

        self.crowds = {row["scenario"]: row for row in instructions.crowds(rows or ())}
        self.rows = [row for row in rows or () if (known(row.get("each")) or 0) > 0]
        self.ratios = instructions.ratios(self.rows)
        full = {one["id"]: instructions.work_of(one) for one in instructions.SCENARIOS if one["what"] != "crowd"}
        self.smaller = any(row["work"] < full[row["scenario"]] for row in self.rows if row["scenario"] in full)
        self.goals = instructions.GOALS
        self.crowd_goals = [(f"crowd-{count}", instructions.CROWD_RATE, instructions.CROWD_UNFAIR)
                            for count, _ in instructions.CROWDS]
        self.crowd_reference = instructions.CROWD_REFERENCE
        self.titles = {one["id"]: one["title"] for one in instructions.SCENARIOS}
        self.sizes = {one["id"]: one["bytes"] for one in instructions.SCENARIOS}

    def costs(self):
        for row in self.rows:
            if (row["scenario"], row["contender"]) in KNOWN:
                title, sends, copies, touched = KNOWN[row["scenario"], row["contender"]]
                yield model.Cost(title, sends, row["each"], copies, touched)


def _cores(value):
    return f"{value:.1f}" if value >= 0.95 else f"{value:.2f}"


def _heads(first):
    return (first, *(f"{link} GbE" for link in model.LINKS))


def _of_guest(counted, assumed):
    rows, memory = [], []
    for cost in counted.costs():
        found = model.cycles(cost, assumed)
        rows.append((f"{cost.title}: {found:.2f} cycles/byte",
                     *(_cores(model.cores(found, link, assumed)) for link in model.LINKS)))
        memory.append((f"{cost.title}: {cost.touched:g} bytes for each",
                       *(_cores(model.memory_channels(cost.touched, link, assumed)) for link in model.LINKS)))
        if cost.sends and cost.copies == 0:
            found = model.cycles(cost, assumed, offload=True)
            rows.append((f"{cost.title}, the card encrypts: {found:.2f} cycles/byte",
                         *(_cores(model.cores(found, link, assumed)) for link in model.LINKS)))
            memory.append((f"{cost.title}, the card encrypts: 1 byte for each",
                           *(_cores(model.memory_channels(1, link, assumed)) for link in model.LINKS)))
    for row in counted.rows:
        bytes_ = counted.sizes.get(row["scenario"])
        if row["unit"] == "request" and row["contender"] == "sluice" and bytes_:
            rows.append((f"requests of {bytes_} bytes, {row['each']:,.0f} instructions each",
                         *(_cores(model.request_cores(row["each"], bytes_, link, assumed)) for link in model.LINKS)))
    return rows, memory


def _of_host(results):
    for scenario in results["scenarios"]:
        one = next((one for one in scenario["contenders"] if one["server"] == one["client"] == "sluice" and one["rounds"]
                    and one.get("median") and not one.get("digests")), None)
        if not one or scenario["unit"] != "bytes" or scenario["series"]:
            continue
        for end in ("server", "client"):
            seconds = known(one["median"].get(f"cpu_{end}_per_gb"))
            if seconds is not None:
                yield (f"{scenario['title']}, {end}: {seconds:.2f} s/GB",
                       *(_cores(model.cores_of_seconds(seconds, link)) for link in model.LINKS))


def section(results, counted, number):
    assumed = model.Assumptions()
    first = (f"bodies, in GB/s, with packets of {assumed.mtu} bytes",
             *(f"{model.goodput(link, assumed.mtu) / 1e9:.2f}" for link in model.LINKS))
    parts = [paragraph(
        "How many cores one end needs to keep a link busy, all headers of Ethernet, TCP/IP and TLS taken off. A model, not a "
        "measurement: nobody has run this at 400 Gbit/s. It is linear, so it knows nothing of caches that are shared, of memory "
        "that is far away, or of locks.")]
    guest, memory = _of_guest(counted, assumed)
    if guest:
        parts += [table("Cores, from instructions counted in the guest", _heads("one end"), [first, *guest], range(1, 6)),
                  table("Memory channels, where no cache helps", _heads("one end"), memory, range(1, 6))]
    host = list(_of_host(results))
    if host:
        parts += [table("Cores of the machine that was measured, from its processor seconds", _heads("one end"), [first, *host],
                        range(1, 6)),
                  paragraph("Over loopback: the sender's processes are charged for much of what TCP does for the receiver, there "
                            "is no driver, and packets have 64 KiB, as TSO and GRO make them on a real card.", class_="why")]
    if not guest and not host:
        parts.append(paragraph("Neither processor seconds of a transfer nor counts of instructions are in this run."))
    parts += [_assumptions(assumed, number), _offload()]
    return parts


def _assumptions(assumed, number):
    rows = [(title, number(getattr(assumed, name)) + (f" {unit}" if unit else ""), why)
            for name, title, unit, why in model.SAID]
    rows += [("around a packet", f"{model.ETHERNET + model.TCP_IP} bytes", "Ethernet 38, IPv4 20, TCP with timestamps 32"),
             ("around a record of TLS 1.3", f"{model.RECORD_AROUND} bytes", "of 16384"),
             ("copies", "–", "sending with kTLS none, with OpenSSL two, receiving into a file one: counted by bench/copies"),
             ("bytes touched", "–", "sending: read, written as records, read by the card; receiving: written by the card, "
                                    "decrypted, written again")]
    return Html(tag("h3", "What is assumed") + table("None of these was measured on this machine unless it says so",
                                                     ("what", "value", "why"), rows, (1,)))


def _offload():
    return Html(tag("h3", "What a card that encrypts would change") + paragraph(
        "Sending, it takes away the cycles of AES and the pass over the data that writes the records: the card reads the page "
        "cache itself, and one byte crosses the memory bus where there were three. What TCP and the file system cost stays, and "
        "so do requests, handshakes and acknowledgements, so small files gain little and can lose: each connection's keys must "
        "first reach the card. Receiving, a card may decrypt, but the copy into the page cache stays. Linux offloads TLS 1.2 with "
        "AES-GCM only; a session of TLS 1.3 stays with the processor whatever the card can do."))
