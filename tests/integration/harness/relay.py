"""A TCP relay between a client and a server, which counts bytes and breaks connections at a given one of them."""

import socket
import struct
import threading

UP, DOWN = "up", "down"  # from the client, to the client
PIECE = 16 << 10


class _Pair:
    def __init__(self, client, server):
        self.sockets, self.mute, self.ended = (client, server), False, threading.Event()

    def reset(self):
        """Both ends meet a reset, as from a router that has forgotten them."""
        self.ended.set()
        for one in self.sockets:
            try:
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                one.shutdown(socket.SHUT_RD)  # wakes who reads from it; the reset is sent when it is closed
            except OSError:
                pass

    def close(self):
        self.ended.set()
        for one in self.sockets:
            one.close()


class Relay:
    """
    `target`: the server's port, which may change. `moved`: bytes that were carried each way since start().
    `at`: None, or (direction, number of bytes, action): called once, when so many were carried and before the next one is.
    `before_answer`: None, or called before each piece that goes to the client; true: the piece is not carried.
    """

    def __init__(self, at_end, target):
        self.target, self.at, self.before_answer, self.moved = target, None, None, {UP: 0, DOWN: 0}
        self._lock, self._pairs = threading.Lock(), []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        at_end(self._close)
        threading.Thread(target=self._accept, daemon=True).start()

    def start(self):
        """Begins anew: what is left of earlier connections is reset."""
        self.reset()
        self.at = self.before_answer = None
        self.moved = {UP: 0, DOWN: 0}

    def reset(self):
        with self._lock:
            pairs = list(self._pairs)
        for pair in pairs:
            pair.reset()

    def drop(self):
        """The connections there are stay open, and nothing comes through any more."""
        with self._lock:
            for pair in self._pairs:
                pair.mute = True

    def _close(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.reset()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        try:
            server = socket.create_connection(("127.0.0.1", self.target), 20)
        except OSError:  # it is dead at the moment
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
            return
        for one in (client, server):
            one.settimeout(None)
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        pair = _Pair(client, server)
        with self._lock:
            self._pairs.append(pair)
        other = threading.Thread(target=self._carry, args=(pair, server, client, DOWN), daemon=True)
        other.start()
        self._carry(pair, client, server, UP)
        other.join()
        with self._lock:
            self._pairs.remove(pair)
        pair.close()

    def _carry(self, pair, source, sink, direction):
        try:
            while piece := source.recv(PIECE):
                if direction == DOWN and self.before_answer and self.before_answer():
                    piece = b""
                self._give(pair, sink, direction, piece)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pair.reset()

    def _give(self, pair, sink, direction, piece):
        while piece:
            with self._lock:
                left = len(piece)
                if self.at and self.at[0] == direction:
                    left = min(left, max(0, self.at[1] - self.moved[direction]))
                self.moved[direction] += left
            self._wait_if_mute(pair)
            sink.sendall(piece[:left])
            piece = piece[left:]
            if piece:
                self._act()
                self._wait_if_mute(pair)

    def _act(self):
        with self._lock:
            at, self.at = self.at, None
        if at:
            at[2]()

    @staticmethod
    def _wait_if_mute(pair):
        if pair.mute:
            pair.ended.wait()
        if pair.ended.is_set():
            raise ConnectionResetError
