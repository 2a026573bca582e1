"""A peer that speaks TLS and HTTP byte by byte, so that it can also speak them badly."""

import re
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


def client_context(trial, certificate, version=None):
    """`certificate`: the kind of key of the usual one, (certificate, key) that may be as bad as one likes, or None."""
    context = ssl.create_default_context(cafile=str(trial.run.pki.certificate))
    if isinstance(certificate, tuple):
        context.set_ciphers("DEFAULT@SECLEVEL=0")
    if certificate:
        pair = certificate if isinstance(certificate, tuple) else trial.run.pki.client(certificate)
        context.load_cert_chain(*map(str, pair))
    if version:
        context.minimum_version = context.maximum_version = VERSIONS[version]
    return context


def alert_of(problem):
    """The name of the alert that an error of Python's ssl is about, "unknown_ca", or None."""
    found = re.search(r"alert ([a-z0-9 ]+)", str(problem))
    return found.group(1).strip().replace(" ", "_") if found else None


class Wire:
    """A client's end. `context`: of client_context(); `session`: of an earlier one's .socket, to be resumed."""

    def __init__(self, trial, port, certificate="ecdsa", version=None, timeout=20, tls=True, context=None, session=None,
                 name="localhost"):
        self._timeout = timeout * trial.run.patience
        self.raw = socket.create_connection(("127.0.0.1", port), self._timeout)
        self.raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        trial.at_end(self.abort)
        self._left = b""
        self.socket = self.raw
        if tls:
            context = context or client_context(trial, certificate, version)
            self.socket = context.wrap_socket(self.raw, server_hostname=name, session=session)

    def send(self, data):
        self.socket.sendall(data.encode("latin-1") if isinstance(data, str) else data)

    def send_request(self, method, target, fields=None, body=b"", host="localhost"):
        lines = [f"{method} {target} HTTP/1.1", f"Host: {host}"]
        lines += [f"{name}: {value}" for name, value in (fields or {}).items()]
        if body and not any(name.lower() in ("content-length", "transfer-encoding") for name in fields or {}):
            lines.append(f"Content-Length: {len(body)}")
        self.send("\r\n".join(lines) + "\r\n\r\n")
        if body:
            self.send(body)

    def request(self, method, target, fields=None, body=b"", host="localhost", to_head=None):
        self.send_request(method, target, fields, body, host)
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


def visit(trial, port, certificate, version=None, request=("PUT", "/new", b"stored"), fields=None, **how):
    """
    What a client with this certificate meets when it connects and sends one request at once: the status of the answer, or
    the name of the alert that ended it, or "closed".
    """
    method, target, body = request
    try:
        wire = Wire(trial, port, certificate, version, **how)
    except (OSError, EOFError) as problem:
        return alert_of(problem) or "closed"
    try:
        wire.send_request(method, target, fields, body)
    except OSError:
        pass  # who has refused us has closed; why can still be read
    try:
        return wire.response().status
    except (OSError, EOFError) as problem:
        return alert_of(problem) or "closed"
    finally:
        wire.abort()


class TlsPeer:
    """
    A server that answers each connection with what `behave(socket)` does. For clients that meet a bad server.
    `certificate`: (certificate, key) as bad as one likes; `asks`: whether it wants the client's.
    """

    def __init__(self, trial, behave, version=None, key="ecdsa", suites=None, certificate=None, asks=None, curve=None):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if certificate:
            context.set_ciphers("DEFAULT@SECLEVEL=0")
        context.load_cert_chain(*map(str, certificate or trial.run.pki.server(key)))
        if version:
            context.minimum_version = context.maximum_version = VERSIONS[version]
        if suites:
            context.set_ciphers(suites)
        if curve:
            context.set_ecdh_curve(curve)
        if asks is not None:
            context.load_verify_locations(str(trial.run.pki.certificate))
            context.verify_mode = ssl.CERT_REQUIRED if asks else ssl.CERT_OPTIONAL
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
