"""The client's last flight, which a worker takes by itself where it is only a Finished; and the end of a connection."""

import socket
import ssl

from harness import check, equal, setup, test, wait_for
from harness.wire import Wire, client_context

ANSWER = b"HTTP/1.1 403 "


class Slow:
    """A client whose records leave when and how the test wants."""

    def __init__(self, t, port):
        self._raw = socket.create_connection(("127.0.0.1", port), 20 * t.run.patience)
        self._raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        t.at_end(self._raw.close)
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = client_context(t, None, "1.3").wrap_bio(self._in, self._out, server_hostname="localhost")

    def hear(self, call):
        """What `call` returns once it has got the bytes that it wants."""
        while True:
            try:
                return call()
            except ssl.SSLWantReadError:
                if unsaid := self.unsaid():
                    self.say(unsaid)
                piece = self._raw.recv(65536)
                if not piece:
                    raise EOFError("the server ended the connection") from None
                self._in.write(piece)

    def unsaid(self):
        return self._out.read()

    def say(self, data):
        self._raw.sendall(data)


def begun(t, **more):
    """A server that asks for no certificate, and a client whose last flight has not left."""
    server = setup.server(t, server_profile={"verify": "none"}, **more)
    slow = Slow(t, server.port)
    slow.hear(slow.tls.do_handshake)
    return server, slow, slow.unsaid()


def next_client_is_served(t, server):
    equal(Wire(t, server.port, certificate=None).request("GET", "/nothing").status, 403, "the answer to the next client")


@test("host")
def a_last_flight_may_come_byte_by_byte_and_with_a_request_behind_it(t):
    server, slow, flight = begun(t)
    for at in range(len(flight) - 1):
        slow.say(flight[at:at + 1])
    slow.tls.write(b"GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n")
    slow.say(flight[-1:] + slow.unsaid())
    got = slow.hear(lambda: slow.tls.read(4096))
    check(got.startswith(ANSWER), f"the answer was {got!r}")
    equal(len(server.find("Y14I")), 1, "sessions")


@test("host", each=["damaged", "another message", "nothing"])
def a_last_flight_that_is_none_ends_the_session_with_its_reason(t, how):
    server, slow, flight = begun(t)
    if how == "damaged":
        slow.say(flight[:-1] + bytes([flight[-1] ^ 1]))
    elif how == "another message":
        slow.say(b"\x16\x03\x03\x00\x04\x0e\x00\x00\x00")  # in the clear, where Finished is due
    else:
        slow._raw.shutdown(socket.SHUT_WR)
    try:
        got = slow.hear(lambda: slow.tls.read(4096))
        check(how == "nothing", f"the server said {got!r}")
    except (ssl.SSLError, EOFError, ConnectionResetError) as ended:
        check(how == "nothing" or isinstance(ended, ssl.SSLError), f"the client heard no alert: {ended!r}")
    wait_for(lambda: server.find("Y30E" if how == "nothing" else "Y13E"), "the reason", 20 * t.run.patience)
    equal(server.find("Y14I"), [], "sessions")
    next_client_is_served(t, server)


@test("host")
def a_last_flight_that_stops_half_way_ends_with_the_time_for_it(t):
    server, slow, flight = begun(t, handshake_timeout="1s")
    slow.say(flight[:-1])
    event = server.wait_event("Y13E", 20 * t.run.patience)
    check("handshake_timeout" in event["reason"], f"the reason is: {event['reason']}")
    next_client_is_served(t, server)


@test("host", each=["1.2", "1.3"])
def who_says_that_nothing_more_will_come_is_let_go(t, version):
    server = setup.server(t, server_profile={"verify": "none"})
    before = server.descriptors()
    wire = Wire(t, server.port, certificate=None, version=version)
    equal(wire.request("GET", "/nothing").status, 403, "the answer")
    raw = wire.socket.unwrap()  # our close_notify, and the server's
    equal(raw.recv(1), b"", "what comes after the server's close_notify")
    wait_for(lambda: server.descriptors() <= before, "the end of the server's socket", 20 * t.run.patience)
    t.at_end(raw.close)
