"""A peer that speaks TLS and HTTP byte by byte, so that it can also speak them badly."""

import socket
import ssl
import threading

from .case import Failure

VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


class Response:
    def __init__(self, status, fields, body):
        self.status, self.fields, self.body = status, fields, body

    def __repr__(self):
        return f"{self.status} {self.fields} {self.body[:200]!r}"


class Wire:
    """A client's end."""

    def __init__(self, trial, port, certificate="ecdsa", version=None, timeout=20, tls=True):
        self._timeout = timeout * trial.run.patience
        self.raw = socket.create_connection(("127.0.0.1", port), self._timeout)
        self.raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        trial.at_end(self.abort)
        self._left = b""
        self.socket = self.raw
        if tls:
            self.socket = self._wrap(trial, certificate, version)

    def _wrap(self, trial, certificate, version):
        context = ssl.create_default_context(cafile=str(trial.run.pki.certificate))
        if certificate:
            context.load_cert_chain(*map(str, trial.run.pki.client(certificate)))
        if version:
            context.minimum_version = context.maximum_version = VERSIONS[version]
        return context.wrap_socket(self.raw, server_hostname="localhost")

    def send(self, data):
        self.socket.sendall(data.encode("latin-1") if isinstance(data, str) else data)

    def request(self, method, target, fields=None, body=b"", host="localhost", to_head=None):
        lines = [f"{method} {target} HTTP/1.1", f"Host: {host}"]
        lines += [f"{name}: {value}" for name, value in (fields or {}).items()]
        if body and not any(name.lower() in ("content-length", "transfer-encoding") for name in fields or {}):
            lines.append(f"Content-Length: {len(body)}")
        self.send("\r\n".join(lines) + "\r\n\r\n")
        if body:
            self.send(body)
        return self.response(to_head=method == "HEAD" if to_head is None else to_head)

    def _receive(self):
        piece = self.socket.recv(1 << 16)
        if not piece:
            raise EOFError("the peer ended the connection")
        self._left += piece

    def _line(self):
        while b"\r\n" not in self._left:
            self._receive()
        line, self._left = self._left.split(b"\r\n", 1)
        return line.decode("latin-1")

    def _exactly(self, size):
        while len(self._left) < size:
            self._receive()
        body, self._left = self._left[:size], self._left[size:]
        return body

    def response(self, to_head=False):
        words = self._line().split(" ", 2)
        if not words[0].startswith("HTTP/1."):
            raise Failure(f"this is not a status line: {words}")
        status, fields = int(words[1]), {}
        while line := self._line():
            name, _, value = line.partition(":")
            fields[name.strip().lower()] = value.strip()
        return Response(status, fields, b"" if to_head or status in (100, 204, 304) else self._body(fields))

    def _body(self, fields):
        if "content-length" in fields:
            return self._exactly(int(fields["content-length"]))
        if fields.get("transfer-encoding", "").lower() == "chunked":
            return self._chunks()
        while True:
            try:
                self._receive()
            except EOFError:
                body, self._left = self._left, b""
                return body

    def _chunks(self):
        body = b""
        while size := int(self._line().split(";")[0], 16):
            body += self._exactly(size)
            self._line()
        while self._line():
            pass
        return body

    def end(self):
        """What the peer does next must be to end in good order (close_notify)."""
        try:
            while not self._left:
                self._receive()
        except EOFError:
            return
        except (OSError, ssl.SSLError) as problem:
            raise Failure(f"the connection did not end in good order: {problem!r}") from problem
        raise Failure(f"the peer went on: {self._left[:300]!r}")

    def gone(self):
        """The same, but a reset counts too: bytes of ours may still have been under way."""
        try:
            while True:
                self._receive()
        except (EOFError, OSError, ssl.SSLError):
            return self._left

    def goodbye(self):
        self.socket.unwrap()

    def abort(self):
        """Closes TCP without close_notify."""
        try:
            self.socket.close()
        finally:
            self.raw.close()


class TlsPeer:
    """A server that answers each connection with what `behave(socket)` does. For clients that meet a bad server."""

    def __init__(self, trial, behave, version=None, key="ecdsa", suites=None):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*map(str, trial.run.pki.server(key)))
        if version:
            context.minimum_version = context.maximum_version = VERSIONS[version]
        if suites:
            context.set_ciphers(suites)
        self._context, self._behave = context, behave
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.problems = []
        trial.at_end(self._listener.close)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                raw, _ = self._listener.accept()
            except OSError:
                return
            try:
                raw.settimeout(60)
                with self._context.wrap_socket(raw, server_side=True) as connection:
                    self._behave(connection)
            except (OSError, EOFError) as problem:
                self.problems.append(problem)
            finally:
                raw.close()


def read_head(connection):
    head = b""
    while b"\r\n\r\n" not in head:
        piece = connection.recv(4096)
        if not piece:
            raise EOFError
        head += piece
    return head
