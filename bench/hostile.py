"""
A flood of connections that come to nothing: each attempt is a generator that says what it waits for, and many are under
way at once. Bounded in time, in attempts and in what it holds open.
"""
import base64
import os
import selectors
import socket
import ssl
import struct
import time

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
ANSWER = READ | 8  # an answer that may be held back for long: others may begin meanwhile
HELD = "held open"
REQUEST = b"GET /file HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Target:
    """Whom, and with what. `tls_port` demands a client certificate, `login_port` takes a password instead."""

    def __init__(self, folder, tls_port, login_port):
        self.tls, self.login = ("127.0.0.1", tls_port), ("127.0.0.1", login_port)
        self.nobody = ssl.create_default_context(cafile=folder / "ca.pem")
        self.stranger = ssl.create_default_context(cafile=folder / "ca.pem")
        self.stranger.load_cert_chain(folder / "stranger.pem", folder / "stranger.key")
        self.hello = client_hello(self.nobody)
        old = ssl.create_default_context()
        old.set_ciphers("DEFAULT@SECLEVEL=0")
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
        self.old_hello = client_hello(old)


def client_hello(context):
    out = ssl.MemoryBIO()
    try:
        context.wrap_bio(ssl.MemoryBIO(), out, server_hostname="localhost").do_handshake()
    except ssl.SSLWantReadError:
        pass
    return out.read()


# -- attempts: each returns how it ended ---------------------------------------------------------------------------------

def _until_end(sock, wait=READ):
    """"let in" where the peer answers with a success."""
    first = b""
    while True:
        try:
            piece = sock.recv(4096)
        except (BlockingIOError, ssl.SSLWantReadError):
            yield wait
            continue
        except ssl.SSLWantWriteError:
            yield WRITE
            continue
        if first.startswith(b"HTTP/1.1 2"):
            return "let in"
        if not piece:
            return "closed" if not first else f"answered {first[9:12].decode()}" if first[:5] == b"HTTP/" else "alert"
        first = first or piece
        if first.startswith(b"HTTP/1.1 4") and isinstance(sock, ssl.SSLSocket):
            return f"answered {first[9:12].decode()}"


def _handshake(sock, context):
    tls = context.wrap_socket(sock, server_hostname="localhost", do_handshake_on_connect=False)
    while True:
        try:
            tls.do_handshake()
            return tls
        except ssl.SSLWantReadError:
            yield READ
        except ssl.SSLWantWriteError:
            yield WRITE


def _silent(_target, _sock):
    return HELD
    yield


def _half_a_hello(target, sock):
    sock.send(target.hello[:len(target.hello) // 2])
    return HELD
    yield


def _garbage(_target, sock):
    sock.send(b"\0" + os.urandom(200) + b"\r\n\r\n")
    return (yield from _until_end(sock))


def _garbage_in_a_record(_target, sock):
    sock.send(b"\x16\x03\x01\x00\xc8" + os.urandom(200))
    return (yield from _until_end(sock))


def _hello_and_gone(target, sock):
    """The cheapest way to a signature: the ClientHello is always the same."""
    sock.send(target.hello)
    yield READ
    return "closed" if not sock.recv(1) else "left"


def _old_version(target, sock):
    sock.send(target.old_hello)
    return (yield from _until_end(sock))


def _request_as(context, sock, request, wait=READ):
    tls = yield from _handshake(sock, context)
    try:
        tls.send(request)
        return (yield from _until_end(tls, wait))
    finally:
        _drop(tls)


def _no_certificate(target, sock):
    return (yield from _request_as(target.nobody, sock, REQUEST))


def _wrong_authority(target, sock):
    return (yield from _request_as(target.stranger, sock, REQUEST))


def _wrong_password(target, sock):
    pair = base64.b64encode(b"alice:" + os.urandom(6).hex().encode())
    request = REQUEST[:-2] + b"Authorization: Basic " + pair + b"\r\n\r\n"
    return (yield from _request_as(target.nobody, sock, request, ANSWER))


KINDS = {
    "silent": _silent,
    "half a ClientHello": _half_a_hello,
    "ClientHello, then gone": _hello_and_gone,
    "no certificate": _no_certificate,
    "wrong CA": _wrong_authority,
    "TLS 1.1": _old_version,
    "garbage in a record": _garbage_in_a_record,
    "garbage": _garbage,
    "wrong password": _wrong_password,
}
HOLDING = ("silent", "half a ClientHello")


# -- many at once --------------------------------------------------------------------------------------------------------

def _drop(sock):
    """With a reset: nothing of it stays behind, here or in the kernel."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    except OSError:
        pass
    sock.close()


def _attempt(kind, target, source):
    sock = socket.socket()
    keep = False
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT: ports are per destination
        sock.bind((source, 0))
        sock.connect_ex(target.login if kind == "wrong password" else target.tls)
        yield sock
        yield WRITE
        ended = yield from KINDS[kind](target, sock)
        keep = ended == HELD
        return ended
    except ssl.SSLError:
        return "alert"
    except ConnectionError:
        return "reset"
    except OSError as problem:
        return os.strerror(problem.errno)
    finally:
        if not keep:
            _drop(sock)


class _Flood:
    def __init__(self, target, sources, bounds):
        self.target, self.sources, self.bounds = target, sources, bounds
        self.selector = selectors.EpollSelector()
        self.running, self.slots, self.held, self.tried = {}, set(), [], 0
        self.ended = {kind: {} for kind in KINDS}
        self.kinds = list(KINDS)

    def begin(self):
        kind = self.kinds[self.tried % len(self.kinds)]
        if len(self.held) >= self.bounds["held"] and kind in HOLDING:
            self.kinds = [k for k in KINDS if k not in HOLDING]
            kind = self.kinds[self.tried % len(self.kinds)]
        attempt = _attempt(kind, self.target, self.sources[self.tried % len(self.sources)])
        self.tried += 1
        try:
            sock = next(attempt)
        except StopIteration as stopped:
            self.count(kind, stopped.value)
            return
        number = sock.fileno()
        self.running[number] = (attempt, kind, sock)
        self.slots.add(number)
        self.selector.register(number, WRITE)
        next(attempt)

    def count(self, kind, how):
        self.ended[kind][how] = self.ended[kind].get(how, 0) + 1

    def go_on(self, number):
        attempt, kind, sock = self.running[number]
        try:
            wants = next(attempt)
        except StopIteration as stopped:
            self.count(kind, stopped.value)
            self.selector.unregister(number)
            del self.running[number]
            self.slots.discard(number)
            if stopped.value == HELD:
                self.held.append(sock)
            return
        if wants == ANSWER:
            self.slots.discard(number)
        self.selector.modify(number, wants & (READ | WRITE))

    def end(self):
        for attempt, kind, _ in list(self.running.values()):
            attempt.close()
            self.count(kind, "under way at the end")
        for sock in self.held:
            _drop(sock)


def flood(target, sources, bounds):
    """bounds: seconds, attempts, held (connections kept open), at_once. Returns what was tried and how it ended."""
    flooding = _Flood(target, sources, bounds)
    end = time.monotonic() + bounds["seconds"]
    while time.monotonic() < end:
        while len(flooding.slots) < bounds["at_once"] and flooding.tried < bounds["attempts"]:
            flooding.begin()
        for key, _ in flooding.selector.select(0.02):
            if key.fd in flooding.running:
                flooding.go_on(key.fd)
    flooding.end()
    return {"tried": flooding.tried, "ended": flooding.ended}


def burn(seconds, share):
    """As much processor time as a flood takes, on nothing: `share` of one processor."""
    began, spent = time.monotonic(), time.process_time()
    while (now := time.monotonic() - began) < seconds:
        if time.process_time() - spent < now * share:
            sum(range(2000))
        else:
            time.sleep(0.001)
