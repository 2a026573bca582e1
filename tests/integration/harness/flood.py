"""A flood of handshakes that never end well: half-open ones, garbage, clients without a certificate, and some that vanish."""

import multiprocessing
import os
import random
import resource
import socket
import ssl
import struct
import threading
import time

RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close() resets the connection
HELLO_BEGUN = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"


def _hello():
    """The bytes of a good ClientHello."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context()
    try:
        context.wrap_bio(incoming, outgoing, server_hostname="localhost").do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


class _Attacker:
    """One thread: a connection after the other, from many addresses of loopback, so that no limit per address helps,
    or from `source` alone."""

    def __init__(self, port, counts, held_at_most, source=None):
        self._source = source
        self._port, self._counts, self._held_at_most, self._held = port, counts, held_at_most, []
        self._hello, self._context = _hello(), ssl._create_unverified_context()
        self._kinds = (self._half_open, self._garbage, self._no_certificate, self._vanish)

    def attack(self):
        kind = random.choice(self._kinds)
        connection = socket.socket()
        connection.settimeout(5)
        try:
            connection.bind((self._source or f"127.0.{random.randrange(1, 16)}.{random.randrange(1, 255)}", 0))
            connection.connect(("127.0.0.1", self._port))
            self._counts[self._kinds.index(kind)] += 1
            kind(connection)
        except OSError:
            connection.close()

    def _half_open(self, connection):
        connection.sendall(HELLO_BEGUN)
        self._held.append(connection)
        if len(self._held) > self._held_at_most:
            self._held.pop(0).close()

    def _garbage(self, connection):
        connection.sendall(b"\x16\x03\x01\x02\x00" + os.urandom(512))
        while connection.recv(4096):
            pass
        connection.close()

    def _no_certificate(self, connection):
        with self._context.wrap_socket(connection) as wrapped:
            while wrapped.recv(4096):
                pass

    def _vanish(self, connection):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        connection.sendall(self._hello)
        connection.close()

    def close(self):
        for connection in self._held:
            connection.close()


def _serve(port, going, over, counts, rate, limit, held, threads, source):
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

    def attack(number):
        attacker = _Attacker(port, counts, held // threads, source)
        while not over.is_set():
            if not going.is_set() or sum(counts) >= limit:
                attacker.close()
                attacker = _Attacker(port, counts, held // threads, source)
                going.wait(0.1)
                continue
            began = time.monotonic()
            attacker.attack()
            time.sleep(max(0, threads / rate - (time.monotonic() - began)))
        attacker.close()

    workers = [threading.Thread(target=attack, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


KINDS = ("half_open", "garbage", "no_certificate", "vanished")


class Flood:
    """In a process of its own. At most `rate` connections a second, `limit` in all, `held` of them half-open at a time."""

    def __init__(self, port, rate=500, limit=20000, held=1000, threads=8, source=None):
        make = multiprocessing.get_context("fork")
        self._going, self._over, self._counts = make.Event(), make.Event(), make.Array("L", len(KINDS), lock=False)
        self._process = make.Process(target=_serve, daemon=True, args=(
            port, self._going, self._over, self._counts, rate, limit, held, threads, source))
        self._process.start()

    @property
    def pid(self):
        return self._process.pid

    def begin(self):
        self._going.set()

    def pause(self):
        """No new connections; the half-open ones are closed."""
        self._going.clear()

    def counts(self):
        return dict(zip(KINDS, self._counts))

    def end(self):
        self._over.set()
        self._process.join(20)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
