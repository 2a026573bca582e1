"""How many cores a link needs, from what a byte and a request were measured to cost.

Two kinds of cost go in. Of the host: processor seconds per GB, which are cores of that machine as they stand. Of the guest:
instructions per byte and request, which become cycles by the assumptions below. The guest has AES instructions but no
hardware behind them, so AES-GCM weighs more there than in life: it is taken out and put back at what it costs natively.
A copy is put back in the same way: there it is one instruction for 8 bytes, in life it waits for memory.
"""
import dataclasses

LINKS = (10, 25, 100, 200, 400)
ETHERNET = 38           # bytes around a packet on the wire: preamble 8, header 14, checksum 4, gap 12
TCP_IP = 52             # IPv4 20, TCP 20, timestamps 12
RECORD = 16384
RECORD_AROUND = 22      # TLS 1.3: header 5, content type 1, tag 16
GUEST_COPY = 1 / 8      # instructions for a byte: eight at a time


@dataclasses.dataclass(frozen=True)
class Assumptions:
    """What is not measured. Cycles and instructions are for one byte of a body unless something else is said."""
    clock_ghz: float = 3.0
    per_cycle: float = 1.0              # instructions, of the code that moves data and is neither AES nor copy
    guest_crypto: float = 2.4           # instructions of AES-128-GCM in the guest
    native_crypto: float = 0.6          # cycles of AES-128-GCM with AES instructions
    native_copy: float = 0.25           # cycles of a copy that comes from memory
    mtu: int = 9000
    packet_cycles: float = 300.0        # of a driver and GRO for a packet that comes in; loopback has no driver
    segment_cycles: float = 1000.0      # of a driver for what TSO takes at once
    segment: int = 65536                # bytes that TSO takes at once
    channel_gbytes: float = 30.0        # what one memory channel carries in a second, in GB


SAID = (  # the field, its name, its unit, and why
    ("clock_ghz", "clock", "GHz", "of the server the link is in"),
    ("per_cycle", "instructions per cycle", "", "of the code that is neither AES nor copy; a careful guess for kernel code"),
    ("guest_crypto", "AES-128-GCM in the guest", "instructions/byte", "measured there; taken out of the guest's figures"),
    ("native_crypto", "AES-128-GCM natively", "cycles/byte", "put back instead: what processors with AES instructions reach "
                                                             "(openssl speed -evp aes-128-gcm)"),
    ("native_copy", "copying from memory", "cycles/byte", "put back for each copy of a body"),
    ("mtu", "MTU", "bytes", "with 1500 a receiver has six times the packets"),
    ("packet_cycles", "packet received", "cycles", "driver and GRO, which loopback does not have; a guess"),
    ("segment_cycles", "segment sent", "cycles", "driver, for the 64 KiB that TSO takes at once; a guess"),
    ("channel_gbytes", "memory channel", "GB/s", "what one carries of DDR5-4800"),
)


@dataclasses.dataclass(frozen=True)
class Cost:
    """What moving a body cost in the guest, at one end."""
    title: str
    sends: bool
    instructions: float     # per byte
    copies: float = 0.0     # of the body by the processor, AES not counted
    touched: float = 3.0    # bytes that cross the memory bus for each of the body
    crypto: bool = True


def goodput(gbits, mtu=9000):
    """Bytes of bodies in a second on a link of so many Gbit/s, all headers taken off."""
    return gbits * 1e9 / 8 * (mtu - TCP_IP) / (mtu + ETHERNET) * RECORD / (RECORD + RECORD_AROUND)


def wire(cost, assumed):
    """Cycles per byte that a real card adds to loopback."""
    if cost.sends:
        return assumed.segment_cycles / assumed.segment
    return assumed.packet_cycles / (assumed.mtu - TCP_IP)


def rest(cost, assumed):
    """Instructions per byte that are neither AES nor copy; never less than none."""
    return max(0.0, cost.instructions - (assumed.guest_crypto if cost.crypto else 0) - cost.copies * GUEST_COPY)


def cycles(cost, assumed, offload=False):
    """Cycles per byte on real hardware. With `offload` the card encrypts what is sent, straight from the page cache."""
    crypto = assumed.native_crypto if cost.crypto and not (offload and cost.sends) else 0
    copies = 0 if offload and cost.sends else cost.copies * assumed.native_copy
    return crypto + copies + rest(cost, assumed) / assumed.per_cycle + wire(cost, assumed)


def cores(cycles_per_byte, gbits, assumed):
    return goodput(gbits, assumed.mtu) * cycles_per_byte / (assumed.clock_ghz * 1e9)


def cores_of_seconds(seconds_per_gb, gbits, mtu=9000):
    """Cores of the machine that was measured."""
    return goodput(gbits, mtu) / 1e9 * seconds_per_gb


def request_cores(instructions, size, gbits, assumed):
    """Cores that fill the link with files of one size, by what a whole request cost in the guest, its bytes included."""
    per_byte = instructions / size
    return cores(cycles(Cost("", True, per_byte, touched=0), assumed), gbits, assumed)


def memory_channels(touched, gbits, assumed):
    return goodput(gbits, assumed.mtu) * touched / (assumed.channel_gbytes * 1e9)
