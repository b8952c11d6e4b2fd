"""Ten thousand texts, and a PostgreSQL that goes away twice meanwhile: none is lost, and none is answered twice.

The carrier here does what carriers do: it has many texts under way at once, sends one again that was not acknowledged,
and now and then one that was. While the database is away each text is refused so that it comes again. In the end the
books are made up: what was sent, what is in SQL, and what came back.
"""

from __future__ import annotations

import asyncio
import json
import struct
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import NamedTuple

import asyncpg  # type: ignore[import-untyped]
import pytest

from tests.calls.daemon import HOST, Daemon, new
from tests.processes.line import Line, line
from tests.servers import PostgresServer, free_port

pytestmark = [pytest.mark.server, pytest.mark.slow]

TEXTS = 5_000  # by each way
CONNECTIONS = 32
WINDOW = 64  # PDUs under way
GOES_AWAY = (2_500, 6_000)  # acknowledged texts after which the database is stopped
REFUSED = 50  # texts refused by each way before it is started again
TWICE = 100  # of so many texts by webhook one is sent once more in the end
ANSWERED = 4  # of so many texts one is for the number that answers
AGAIN_SECONDS = 0.1  # a carrier's pause before it repeats; a real one waits as long as Retry-After says
SECONDS = 60.0
QUIET = "+14155550140"
ANSWERS = "+14155550141"
NOTE = {"type": "variable_set", "option": {"key": "said", "value": "${voipbin.conversation_message.text}"}}
REPLY = {"type": "reply", "option": {"text": "re: ${voipbin.conversation_message.text}"}}

SUBMIT_SM, DELIVER_SM, UNBIND, BIND_TRANSCEIVER, ENQUIRE_LINK = 4, 5, 6, 9, 0x15
RESPONSE = 0x80000000
OK, NOT_NOW = 0, 0x64  # ESME_ROK, ESME_RX_T_APPN


class Answer(NamedTuple):
    status: int
    fields: dict[str, str]
    body: bytes


async def read_message(reader: asyncio.StreamReader) -> tuple[str, dict[str, str], bytes]:
    """A request or an answer: its first line, its header fields, its body."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    first, *lines = head.removesuffix("\r\n\r\n").split("\r\n")
    fields = {name.lower(): value.strip() for name, _, value in (field.partition(":") for field in lines)}
    return first, fields, await reader.readexactly(int(fields.get("content-length", "0")))


class Carrier:
    """Brings texts until each is acknowledged, and takes the replies."""

    def __init__(self, kind: str) -> None:
        self.waiting = deque(f"{kind} {n}" for n in range(TEXTS))
        self.sent = TEXTS
        self.acknowledged: Counter[str] = Counter()
        self.refused = 0
        self.replies: Counter[str] = Counter()  # by what they say
        self.progress = asyncio.Event()

    def replied(self, text: str) -> None:
        self.replies[text.removeprefix("re: ")] += 1
        self.progress.set()

    def took(self, text: str) -> None:
        self.acknowledged[text] += 1
        self.progress.set()

    async def refuse(self, text: str) -> None:
        self.refused += 1
        self.progress.set()
        await asyncio.sleep(AGAIN_SECONDS)  # as a carrier waits before it comes again
        self.waiting.append(text)

    @property
    def done(self) -> bool:
        return self.acknowledged.total() == self.sent and len(self.replies) == TEXTS // ANSWERED


def peer_of(text: str) -> str:
    return f"+1415666{int(text.split()[1]) % 2000:04}"


def ours_of(text: str) -> str:
    return QUIET if int(text.split()[1]) % ANSWERED else ANSWERS


class WebCarrier(Carrier):
    """Posts texts over many connections; the replies come to its callback."""

    def __init__(self, edge: Daemon) -> None:
        super().__init__("web")
        self._edge = edge
        again = list(self.waiting)[::TWICE]
        self.waiting += again
        self.sent += len(again)

    async def send(self) -> None:
        """One connection's work."""
        host, port = self._edge.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        while not self.done:
            if not self.waiting:
                await asyncio.sleep(AGAIN_SECONDS)  # others may come again
                continue
            text = self.waiting.popleft()
            answer = await self._post(reader, writer, text)
            if answer.status == 200:
                self.took(text)
            else:
                assert (answer.status, int(answer.fields["retry-after"]) > 0) == (503, True), answer
                await self.refuse(text)
        writer.close()

    async def _post(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, text: str) -> Answer:
        body = json.dumps({"id": text, "from": peer_of(text), "to": ours_of(text), "text": text}).encode()
        writer.write(
            f"POST /v1.0/carriers/loopback/inbound HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\n"
            f"Authorization: Bearer {self._edge.token}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        first, fields, said = await read_message(reader)
        return Answer(int(first.split()[1]), fields, said)

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer what comes to the callback, over one connection."""
        try:
            while True:
                _, _, body = await read_message(reader)
                self.replied(json.loads(body)["text"])
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        except asyncio.IncompleteReadError:
            writer.close()


class Smsc(Carrier):
    """Sends deliver_sm over one bind, many at the same time; the replies come as submit_sm."""

    def __init__(self) -> None:
        super().__init__("smpp")
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection of the edge's."""
        numbers = count(1)
        under_way: dict[int, str] = {}
        try:
            while True:
                length, command, status, sequence = struct.unpack(">IIII", await reader.readexactly(16))
                body = await reader.readexactly(length - 16)
                if command == DELIVER_SM | RESPONSE:
                    self._answered(under_way.pop(sequence), status)
                elif command == SUBMIT_SM:
                    self.replied(said(body))
                if not command & RESPONSE:
                    writer.write(pdu(command | RESPONSE, sequence, b"%d\0" % sequence * (command in NAMED)))
                while self.waiting and len(under_way) < WINDOW:
                    number = next(numbers)
                    text = under_way[number] = self.waiting.popleft()
                    writer.write(pdu(DELIVER_SM, number, deliver(text)))
        except (asyncio.IncompleteReadError, ConnectionError):
            self.waiting += under_way.values()  # nobody knows what became of them: they are sent again
            writer.close()

    def _answered(self, text: str, status: int) -> None:
        if status == OK:
            self.took(text)
        else:
            assert status == NOT_NOW, f"deliver_sm was answered {status:#x}"
            task = asyncio.create_task(self.refuse(text))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)


NAMED = frozenset({SUBMIT_SM, BIND_TRANSCEIVER})  # whose answers name a message, or us


def pdu(command: int, sequence: int, body: bytes) -> bytes:
    return struct.pack(">IIII", 16 + len(body), command, OK, sequence) + body


def deliver(text: str) -> bytes:
    """The body of a deliver_sm (SMPP 3.4 §4.6.1)."""
    source, destination = (b"\1\1" + number[1:].encode() + b"\0" for number in (peer_of(text), ours_of(text)))
    return b"\0" + source + destination + bytes(9) + bytes([len(text)]) + text.encode()


def said(body: bytes) -> str:
    """The text of a submit_sm (§4.4.1)."""
    at = body.index(0) + 3  # service_type, ton, npi
    at = body.index(0, at) + 3  # source
    at = body.index(0, at) + 4  # destination, esm_class, protocol_id, priority_flag
    at = body.index(0, body.index(0, at) + 1) + 5  # two times, registered_delivery, …, sm_default_msg_id
    return body[at + 1 : at + 1 + body[at]].decode()


class World(NamedTuple):
    edge: Daemon
    postgres: PostgresServer
    line: Line
    callback: int
    smsc: int


@pytest.fixture(scope="module")
def world(short_directory: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    directory = short_directory / "postgres-of-ten-thousand"
    directory.mkdir()
    postgres = PostgresServer(directory)
    postgres.start()
    callback, smsc = free_port(), free_port()
    extra = f"""
[[carriers]]
kind = "sip"

[[carriers]]
kind = "loopback"
callback = "http://{HOST}:{callback}/texts"

[[carriers]]
kind = "smpp"
hosts = ["{HOST}:{smsc}"]
system_id = "edge"
reconnect_seconds = 0.2

[http]
allow_private = ["127.0.0.0/8"]
"""
    edge = new(tmp_path_factory.mktemp("ten-thousand"), extra, store=postgres.create())
    try:
        edge.run("migrate", "--config", str(edge.config))
        edge.start()
        customer = edge.account()
        edge.own(customer, ANSWERS, message_flow_id=edge.flow(customer, REPLY))
        edge.own(customer, QUIET, message_flow_id=edge.flow(customer, NOTE))
        with line(edge) as peer:
            yield World(edge, postgres, peer, callback, smsc)
        assert edge.alive, edge.words()
        assert not edge.lines("Traceback"), edge.words()
        assert edge.stop() == 0
    finally:
        edge.stop()
        postgres.stop()


async def until(carriers: Sequence[Carrier], condition: Callable[[], bool], what: str) -> None:
    """Wait for something that shows when a carrier gets on."""
    try:
        async with asyncio.timeout(SECONDS):
            while not condition():
                waits = [asyncio.create_task(carrier.progress.wait()) for carrier in carriers]
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
                for carrier, wait in zip(carriers, waits, strict=True):
                    carrier.progress.clear()
                    wait.cancel()
    except TimeoutError:
        counts = [(len(c.acknowledged), c.refused, len(c.replies)) for c in carriers]
        pytest.fail(f"{what} did not happen: {counts}")


async def bring(world: World, web: WebCarrier, smsc: Smsc) -> None:
    """All texts, by both ways at the same time, while the database goes away and comes back."""
    both = (web, smsc)
    async with (
        await asyncio.start_server(web.take, HOST, world.callback),
        await asyncio.start_server(smsc.serve, HOST, world.smsc),
    ):
        sending = [asyncio.create_task(web.send()) for _ in range(CONNECTIONS)]
        for place in GOES_AWAY:
            await until(both, lambda place=place: sum(c.acknowledged.total() for c in both) >= place, f"text {place}")  # type: ignore[misc]
            before = [carrier.refused for carrier in both]
            world.postgres.stop()
            await until(
                both,
                lambda before=before: all(c.refused >= b + REFUSED for c, b in zip(both, before, strict=True)),  # type: ignore[misc]
                "that each way is refused",
            )
            assert (await asyncio.to_thread(world.line.ask, "MESSAGE", QUIET, "by sip", "text/plain")).status == 503
            await asyncio.to_thread(world.postgres.start)
        await until(both, lambda: all(carrier.done for carrier in both), "the last reply")
        await asyncio.gather(*sending)


async def books(world: World) -> dict[str, int]:
    """What SQL says of all of it."""
    connection = await asyncpg.connect(world.edge.store)
    try:
        queries = {
            "kept": "SELECT count(DISTINCT text) FROM messages WHERE direction = 'inbound'",
            "kept twice": "SELECT count(*) - count(DISTINCT text) FROM messages WHERE direction = 'inbound'",
            "not run": "SELECT count(*) FROM messages WHERE flow_state NOT IN ('none', 'done')",
            "replies": "SELECT count(DISTINCT reference_id) FROM messages WHERE direction = 'outbound'",
            "replies twice": "SELECT count(*) - count(DISTINCT text) FROM messages WHERE direction = 'outbound'",
            "not sent": "SELECT count(*) FROM outbox WHERE state <> 'sent'",
        }
        return {name: await connection.fetchval(query) for name, query in queries.items()}
    finally:
        await connection.close()


async def test_ten_thousand_texts_while_the_database_is_restarted(world: World) -> None:
    web, smsc = WebCarrier(world.edge), Smsc()
    began = time.monotonic()
    await bring(world, web, smsc)
    took = time.monotonic() - began
    print(f"\n{2 * TEXTS} texts in {took:.0f} s; refused for now {web.refused} by webhook, {smsc.refused} by SMPP")
    whole = {"kept": 2 * TEXTS, "replies": 2 * TEXTS // ANSWERED}
    expected = {**whole, "kept twice": 0, "not run": 0, "replies twice": 0, "not sent": 0}
    async with asyncio.timeout(10):
        while (found := await books(world)) != expected and found["not run"] + found["not sent"]:
            await asyncio.sleep(0.1)  # the last few are being written down
    assert found == expected
    assert {text: times for carrier in (web, smsc) for text, times in carrier.replies.items() if times != 1} == {}
