"""Messages: left with a partner, stored there before it says so, listed, acknowledged, asked after."""

import json
import sqlite3

from harness import check, client, equal, pki, setup, test, wait_for, write_ini
from harness.sluice import Server
from harness.wire import Wire

PATH = "/.well-known/sluice/messages"


def receiver(t, name="there", **more):
    """A server with a catalog that knows the usual client as its partner `sender`."""
    certificate, _ = t.run.pki.client("ecdsa")
    sections = setup.site(t, name=name, more={"partner sender": {"match_fingerprint": pki.fingerprint(certificate)}, **more})
    sections["server"]["catalog"] = t.path(f"catalog-{name}")
    return Server(t, sections, name)


def sender(t, port, catalog=None, listens=False, **partner):
    sections = {
        "server": {"events": "json", "catalog": catalog},
        "client-profile std": setup.profiles(t)["client-profile std"],
        "partner there": {"host": f"localhost:{port}", "profile": "std", **partner},
    }
    if listens:
        own = setup.site(t, name="sender")
        own.pop("server")
        sections.update(own)
    return write_ini(t.path("sender.ini"), sections) if not listens else sections


def listed(t, ini):
    return [json.loads(line) for line in client(t, "messages", "--json", ini=ini).must_succeed().output.splitlines()]


@test("host")
def a_message_is_stored_listed_acknowledged_and_its_sender_learns_it(t):
    there = receiver(t)
    ini = sender(t, there.port)
    said = client(t, "message", "there", "The results are in: grün\nsecond line", ini=ini).must_succeed().output
    identity = said.split()[1]
    equal(said, f"stored: {identity}\n", "the answer")
    (one,) = listed(t, there.ini)
    equal((one["id"], one["message"], one["partner"], one["direction"], one["state"]),
          (identity, "The results are in: grün\nsecond line", "sender", "in", "done"), "what is stored")
    text = client(t, "messages", ini=there.ini).must_succeed().output
    check("The results are in: grün\\x0asecond line" in text, f"the line is {text!r}")
    equal(client(t, "message", "--state", "there", identity, ini=ini).must_succeed().output, "stored\n", "the state")
    client(t, "messages", "--acknowledge", identity, ini=there.ini).must_succeed()
    equal(client(t, "message", "--state", "there", identity, ini=ini).must_succeed().output, "acknowledged\n", "the state")
    client(t, "messages", "--acknowledge", identity, ini=there.ini).must_fail(11)
    equal(there.wait_event("M01I")["transfer"], identity, "the event")


@test("host")
def the_sender_keeps_a_record_where_it_has_a_catalog(t):
    there = receiver(t)
    ini = sender(t, there.port, catalog=t.path("mine"))
    identity = client(t, "message", "there", "hello", ini=ini).must_succeed().output.split()[1]
    (one,) = listed(t, ini)
    equal((one["direction"], one["partner"], one["message"]), ("out", "there", "hello"), "the record")
    check(identity in one["reason"], f"the reason names the id there: {one['reason']}")


@test("host")
def a_message_has_1_to_4096_bytes_of_text(t):
    there = receiver(t)
    ini = sender(t, there.port)
    client(t, "message", "there", "x" * 4096, ini=ini).must_succeed()
    client(t, "message", "there", "x" * 4097, ini=ini).must_fail(2)
    client(t, "message", "there", "", ini=ini).must_fail(2)
    for body, status in ((b"x" * 4097, 413), (b"", 400), (b"a\0b", 400)):
        wire = Wire(t, there.port)
        wire.send_request("POST", PATH, {"Content-Length": len(body)}, body)
        equal(wire.response().status, status, f"the answer to {len(body)} bytes")
    wire = Wire(t, there.port)
    wire.send_request("POST", PATH, {"Transfer-Encoding": "chunked"}, b"1\r\nx\r\n0\r\n\r\n")
    equal(wire.response().status, 411, "the answer to a chunked one")
    equal(len(listed(t, there.ini)), 1, "messages")


@test("host")
def one_that_is_sent_again_under_its_id_is_stored_once(t):
    there = receiver(t, **{"hook h": {"on": "message", "command": "/bin/true"}})
    ini = sender(t, there.port)
    first, again = (client(t, "message", "--id", "run.42", "there", "done", ini=ini).must_succeed().output for _ in range(2))
    equal(again, first, "the second answer")
    equal([m["message"] for m in listed(t, there.ini)], ["done"], "what is stored")
    there.wait_event("M05I", given="run.42")
    done = client(t, "message", "--id", "run.42", "there", "something else", ini=ini).must_fail(6)
    check("422" in done.errors, f"the reason: {done.errors}")
    client(t, "message", "--id", "not good", "there", "x", ini=ini).must_fail(2)
    client(t, "message", "--id", "a", "--queue", "there", "x", ini=ini).must_fail(2)
    wire = Wire(t, there.port)
    wire.send_request("POST", PATH, {"Content-Length": 1, "Sluice-Message-Id": "a/b"}, b"x")
    equal(wire.response().status, 400, "the answer to an id that is none")
    there.stop()  # which waits for the hooks
    equal(len(there.find("H01I")), 1, "runs of the hook")


@test("host")
def a_sender_whose_messages_nobody_acknowledges_is_refused(t):
    certificate, _ = t.run.pki.client("ecdsa")
    sections = setup.site(t, name="there", more={"partner sender": {"match_fingerprint": pki.fingerprint(certificate)}})
    sections["server"].update(catalog=t.path("catalog-there"), max_messages="2")
    there = Server(t, sections, "there")
    ini = sender(t, there.port)
    first = client(t, "message", "there", "1", ini=ini).must_succeed().output.split()[1]
    client(t, "message", "there", "2", ini=ini).must_succeed()
    client(t, "message", "there", "3", ini=ini).must_fail(7)
    event = there.wait_event("M04W", partner="sender", max_messages=2)
    check("--acknowledge" in event["remedy"], f"the remedy: {event}")
    client(t, "messages", "--acknowledge", first, ini=there.ini).must_succeed()
    client(t, "message", "there", "3", ini=ini).must_succeed()


@test("host")
def a_message_that_comes_in_drops_and_after_100_continue_is_whole(t):
    there = receiver(t)
    wire = Wire(t, there.port)
    wire.send(f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n")
    equal(wire.response().status, 100, "the first answer")
    for byte in b"0123456789":
        wire.send(bytes([byte]))
    equal(wire.response().status, 201, "the answer")
    equal(listed(t, there.ini)[0]["message"], "0123456789", "the message")
    wire.send_request("GET", "/", {"Accept": "application/json"})
    equal(wire.response().status, 200, "the next request on the connection")


@test("host")
def only_who_is_known_may_leave_messages_and_only_the_sender_may_ask(t):
    other, _ = t.run.pki.client("rsa")
    there = receiver(t, **{"partner other": {"match_fingerprint": pki.fingerprint(other)}})
    ini = sender(t, there.port)
    identity = client(t, "message", "there", "for you alone", ini=ini).must_succeed().output.split()[1]
    stranger = Wire(t, there.port, "rsa")
    stranger.send_request("GET", f"{PATH}/{identity}")
    equal(stranger.response().status, 404, "what another learns")
    stranger.send_request("GET", f"{PATH}/no-such-id")
    equal(stranger.response().status, 404, "an id that is none")
    stranger.send_request("PUT", PATH, {"Content-Length": 0})
    answer = stranger.response()
    equal((answer.status, answer.fields.get("allow")), (405, "GET, HEAD, POST"), "what may be done")
    open_to_all = setup.server(t, name="open", anonymous="write", server_profile={"verify": "none", "trust": None})
    unnamed = Wire(t, receiver(t, name="third").port, "rsa")
    unnamed.send_request("POST", PATH, {"Content-Length": 1}, b"x")
    equal(unnamed.response().status, 403, "the answer to a certificate that is nobody's")
    nobody = Wire(t, open_to_all.port, None)
    nobody.send_request("POST", PATH, {"Content-Length": 1}, b"x")
    check(nobody.response().status in (401, 403), "one without a name")


@test("host")
def a_server_without_a_catalog_takes_no_messages(t):
    certificate, _ = t.run.pki.client("ecdsa")
    there = setup.server(t, name="there", more={"partner sender": {"match_fingerprint": pki.fingerprint(certificate)}})
    done = client(t, "message", "there", "hello", ini=sender(t, there.port)).must_fail(6)
    check("takes no messages" in done.errors, f"the reason: {done.errors}")


@test("host")
def a_message_runs_the_hook_and_its_text_is_no_command(t):
    there = receiver(t, **{"hook h": {"on": "message", "partners": "send*",
                                      "command": "/bin/sh -c 'echo \"$SLUICE_PARTNER:$SLUICE_ID:$SLUICE_MESSAGE\"'"}})
    text = "$(touch /tmp/no); `id`"
    identity = client(t, "message", "there", text, ini=sender(t, there.port)).must_succeed().output.split()[1]
    equal(there.wait_event("H01I")["output"], f"sender:{identity}:{text}\n", "what the hook was told")


@test("host")
def a_queued_message_is_sent_once_the_partner_is_there(t):
    there = receiver(t)
    sections = sender(t, there.port, catalog=t.path("mine"), listens=True)
    here = Server(t, sections, "here")
    said = client(t, "message", "--queue", "there", "later", ini=here.ini).must_succeed().output
    check(said.startswith("queued: "), f"the answer is {said!r}")
    there.wait_event("M01I", 20 * t.run.patience)
    equal(listed(t, there.ini)[0]["message"], "later", "the message")
    mine = wait_for(lambda: [m for m in listed(t, here.ini) if m["state"] == "done"], "its record", 10 * t.run.patience)
    equal((mine[0]["id"], mine[0]["message"]), (said.split()[1], "later"), "the record of the sender")
    check(listed(t, there.ini)[0]["id"] in mine[0]["reason"], "it names the id there")


@test("host")
def a_catalog_that_cannot_be_written_refuses_the_message(t):
    there = receiver(t)
    with sqlite3.connect(t.path("catalog-there"), isolation_level=None) as held:
        held.execute("BEGIN IMMEDIATE")
        client(t, "message", "there", "hello", ini=sender(t, there.port)).must_fail(7)
        held.execute("ROLLBACK")
    held.close()
    there.wait_event("M02W")
    client(t, "message", "there", "hello again", ini=sender(t, there.port)).must_succeed()
