"""`kill -9` between the acknowledgement of a text and its reply, at eleven places: nothing acknowledged is lost.

Each place is reached by what can be seen from outside, not by luck: an answer on the wire, a peer that withholds its
own, a database that the test has locked, a count in the metrics. The daemon is then killed and started again on the
same data, and the books are made up: each text that was acknowledged is recorded once and has one reply, which was on
the wire at least once; twice only where the daemon could not know that its peer had it.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from json import loads
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.calls.daemon import HOST, Daemon, daemon
from tests.processes.line import Line, Packet, call_id_of, line

pytestmark = pytest.mark.server

QUICK = "+14155550100"  # replies at once
SLOW = "+14155550101"  # thinks before it replies
THINKS_MS = 700
REPLY = {"type": "reply", "option": {"text": "re: ${voipbin.conversation_message.text}"}}
RECOVER_SECONDS = 15.0


class Target:
    """The loopback carrier's callback: an HTTP server that answers, or holds its answer back."""

    def __init__(self) -> None:
        self.got: list[str] = []  # bodies of the texts, as often as they came
        self.answering = threading.Event()
        self.answering.set()
        target = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                text = loads(self.rfile.read(int(self.headers["Content-Length"])))
                target.got.append(text["text"])
                target.answering.wait()
                self.send_response(200)
                self.send_header("Content-Length", "0")
                try:
                    self.end_headers()
                except OSError:
                    pass  # whoever asked was killed

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer((HOST, 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://{HOST}:{self._server.server_port}/texts"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self.answering.set()
        self._server.shutdown()
        self._server.server_close()


class World:
    """A daemon, the two ways that texts come to it by, and the books of what was acknowledged and what came back."""

    def __init__(self, edge: Daemon, sip: Line, target: Target) -> None:
        self.edge = edge
        self.sip = sip
        self.target = target
        self.unanswered: dict[str, tuple[bytes, str]] = {}  # SIP texts by Call-ID: the request and its body
        self.acknowledged: list[str] = []
        self.got: list[str] = []  # replies by SIP, as often as they came
        self.status: str | None = "200 OK"  # what a reply is answered with; None: nothing
        self._count = 0

    @property
    def replies(self) -> Counter[str]:
        """Replies on the wire, by text."""
        return Counter(reply.removeprefix("re: ") for reply in [*self.got, *self.target.got])

    # Texts

    def send_by_sip(self, number: str = QUICK) -> str:
        body = self._body()
        request = self.sip.text(number, body, caller=f"+1415666{self._count:04}")
        self.unanswered[call_id_of(request)] = request, body
        return body

    def send_by_webhook(self, number: str = QUICK) -> str:
        body = self._body()
        text = {"id": body, "from": f"+1415777{self._count:04}", "to": number, "text": body}
        answer = self.edge.ask("POST", "/v1.0/carriers/loopback/inbound", text)
        assert answer["status"] == "received"
        self.acknowledged.append(body)
        return body

    def _body(self) -> str:
        self._count += 1
        return f"text {self._count}"

    # What happens meanwhile

    def until(self, condition: Callable[[], object], what: str, seconds: float = RECOVER_SECONDS) -> None:
        """Go on as a peer, until something is so."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"{what} did not happen\n{self.edge.words()}"
            self.sip.listen(0.005)
            while self.sip.heard:
                self._heard(self.sip.heard.pop(0))

    def _heard(self, packet: Packet) -> None:
        if packet.request:
            self.got.append(packet.body)
            if self.status is not None:
                self.sip.take(packet, self.status)
        elif packet.final and packet.call_id in self.unanswered:
            assert packet.status == 202
            self.acknowledged.append(self.unanswered.pop(packet.call_id)[1])

    def until_acknowledged(self, *bodies: str) -> None:
        self.until(lambda: set(bodies) <= set(self.acknowledged), "202")

    def until_handled(self) -> None:
        """Until the daemon has read all that we sent: it answers in order."""
        request = self.sip.compose("OPTIONS", QUICK)
        self.sip.send(request)
        self.sip.hear(lambda packet: packet.answers(call_id_of(request)))

    # The database

    def count(self, table: str, where: str) -> int:
        with sqlite3.connect(f"file:{self.path}?mode=ro", uri=True, timeout=5) as connection:
            return int(connection.execute(f"SELECT count(*) FROM {table} WHERE {where}").fetchone()[0])

    @property
    def path(self) -> Path:
        return self.edge.folder / "edge.sqlite3"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else writes to the database meanwhile."""
        connection = sqlite3.connect(self.path, isolation_level=None, timeout=5)
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            connection.close()

    # The end

    def recover(self) -> None:
        """Start again, and go on until everything has come to its end."""
        self.status = "200 OK"
        self.target.answering.set()
        self.edge.start()
        for request, _ in self.unanswered.values():  # as its Timer E makes a sender do (RFC 3261 §17.1.2.2)
            self.sip.send(request)
        self.until(lambda: not self.unanswered, "202")
        self.until(lambda: set(self.acknowledged) <= set(self.replies), "the reply")
        self.until(
            lambda: (
                not self.count("messages", "flow_state = 'pending'") and not self.count("outbox", "state = 'queued'")
            ),
            "the end of the books",
        )


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    target = Target()
    extra = f"""
[[carriers]]
kind = "sip"

[[carriers]]
kind = "loopback"
callback = "{target.url}"

[http]
allow_private = ["127.0.0.0/8"]
"""
    with daemon(tmp_path_factory.mktemp("crash"), extra) as edge, line(edge) as sip:
        customer = edge.account()
        think = {"type": "sleep", "option": {"duration": THINKS_MS}}
        edge.own(customer, QUICK, message_flow_id=edge.flow(customer, REPLY))
        edge.own(customer, SLOW, message_flow_id=edge.flow(customer, think, REPLY))
        yield World(edge, sip, target)
    target.close()


# The places. Each sends texts and returns when the daemon is there, with the replies that the peer got and will get
# again, for it could not say so in time.


def after_the_first_202(world: World) -> None:
    world.until_acknowledged(world.send_by_sip())
    world.edge.kill()


def after_the_first_200_of_the_webhook(world: World) -> None:
    world.send_by_webhook()
    world.edge.kill()


def after_five_202_of_twenty(world: World) -> None:
    before = len(world.acknowledged)
    for _ in range(20):
        world.send_by_sip()
    world.until(lambda: len(world.acknowledged) >= before + 5, "five times 202")
    world.edge.kill()


def after_the_first_reply_of_ten(world: World) -> None:
    before = len(world.got)
    for _ in range(10):
        world.send_by_sip()
    world.until(lambda: len(world.got) > before, "a reply")
    world.edge.kill()


def while_the_flow_waits(world: World) -> None:
    by_sip, by_webhook = world.send_by_sip(SLOW), world.send_by_webhook(SLOW)
    world.until_acknowledged(by_sip)
    assert world.count("messages", "flow_state = 'pending' AND attempts = 1") == 2
    world.edge.kill()
    assert not world.replies.keys() & {by_sip, by_webhook}


def while_the_reply_is_not_written(world: World) -> None:
    slept = world.edge.metric("edge_actions_total", type="sleep")
    by_sip, by_webhook = world.send_by_sip(SLOW), world.send_by_webhook(SLOW)
    world.until_acknowledged(by_sip)
    with world.locked():
        world.until(lambda: world.edge.metric("edge_actions_total", type="sleep") == slept + 2, "the end of the pause")
        world.edge.kill()
    assert not world.replies.keys() & {by_sip, by_webhook}
    assert not world.count("outbox", "state = 'queued'")


def while_the_peer_does_not_answer_the_reply(world: World) -> None:
    world.status = None
    body = world.send_by_sip()
    world.until(lambda: world.replies[body] >= 1, "the reply")
    world.edge.kill()
    assert world.count("outbox", "state = 'queued'") == 1


def between_the_200_to_the_reply_and_its_record(world: World) -> None:
    world.status = None
    body = world.send_by_sip()
    world.until(
        lambda: (
            world.replies[body] and body in world.acknowledged and not world.count("messages", "flow_state = 'pending'")
        ),
        "the reply",
    )
    world.sip.heard.clear()
    with world.locked():
        world.status = "200 OK"
        world.until(lambda: world.replies[body] == 2, "the repeat of the reply")
        world.until_handled()
        world.edge.kill()
    assert world.count("outbox", "state = 'queued'") == 1


def while_the_callback_hangs(world: World) -> None:
    world.target.answering.clear()
    body = world.send_by_webhook()
    world.until(lambda: world.replies[body] == 1, "the reply")
    world.edge.kill()
    assert world.count("outbox", "state = 'queued'") == 1


def while_the_reply_waits_for_its_next_try(world: World) -> None:
    world.status = "503 Service Unavailable"
    body = world.send_by_sip()
    world.until(
        lambda: world.replies[body] == 1 and world.count("outbox", "attempts = 1 AND state = 'queued'"), "a try"
    )
    world.edge.kill()


def while_it_starts_again(world: World) -> None:
    while_the_flow_waits(world)
    world.edge.launch()
    world.until(world.edge.answers, "an answer to OPTIONS")
    world.edge.kill()


class Place(NamedTuple):
    reach: Callable[[World], None]
    times: range  # how often the reply to a text may have been on the wire in the end


ONCE, ONCE_OR_AGAIN, AGAIN = range(1, 2), range(1, 4), range(2, 5)
PLACES = [
    Place(after_the_first_202, ONCE_OR_AGAIN),
    Place(after_the_first_200_of_the_webhook, ONCE_OR_AGAIN),
    Place(after_five_202_of_twenty, ONCE_OR_AGAIN),
    Place(after_the_first_reply_of_ten, ONCE_OR_AGAIN),
    Place(while_the_flow_waits, ONCE),
    Place(while_the_reply_is_not_written, ONCE),
    Place(while_the_peer_does_not_answer_the_reply, AGAIN),
    Place(between_the_200_to_the_reply_and_its_record, AGAIN),
    Place(while_the_callback_hangs, AGAIN),
    Place(while_the_reply_waits_for_its_next_try, AGAIN),
    Place(while_it_starts_again, ONCE),
]


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.reach.__name__)
def test_nothing_acknowledged_is_lost_by_a_kill(world: World, place: Place) -> None:
    before = len(world.acknowledged)
    place.reach(world)
    assert not world.edge.alive
    world.recover()
    texts = world.acknowledged[before:]
    assert texts
    assert len(set(texts)) == len(texts)
    assert {text: world.replies[text] for text in texts if world.replies[text] not in place.times} == {}


def test_all_texts_are_recorded_once_and_answered_once(world: World) -> None:
    messages = world.edge.all("/v1.0/messages")
    inbound = {message["id"]: message for message in messages if message["direction"] == "inbound"}
    outbound = [message for message in messages if message["direction"] == "outbound"]
    assert sorted(message["text"] for message in inbound.values()) == sorted(world.acknowledged)
    assert Counter(message["text"] for message in outbound) == Counter(f"re: {text}" for text in world.acknowledged)
    assert set(world.replies) == set(world.acknowledged)
    again = sum(world.replies.values()) - len(outbound)
    print(f"\n{len(world.acknowledged)} texts, {len(PLACES)} kills, {again} replies more than once on the wire")
