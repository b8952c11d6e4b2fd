"""Carriers that do what carriers do: many texts under way at once, and again what was not acknowledged.

One brings them by webhook, one by SMPP, on plain sockets, in a test's own loop. Each text says where it comes from and
which one it is, and each reply which text it answers.
"""

from __future__ import annotations

import asyncio
import json
import struct
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Sequence
from itertools import count
from typing import NamedTuple

import pytest

from tests.calls.daemon import HOST, Daemon

CONNECTIONS = 32
WINDOW = 64  # PDUs under way
TWICE = 100  # of so many texts by webhook one is sent once more in the end
ANSWERED = 4  # of so many texts one is for the number that answers
AGAIN_SECONDS = 0.1  # a carrier's pause before it repeats; a real one waits as long as Retry-After says
SECONDS = 120.0  # for all of it, on a machine that has something else to do
QUIET = "+14155550140"
ANSWERS = "+14155550141"
NOTE = {"type": "variable_set", "option": {"key": "said", "value": "${voipbin.conversation_message.text}"}}
REPLY = {"type": "reply", "option": {"text": "re: ${voipbin.conversation_message.text}"}}
BOOKS = {
    "kept": "SELECT count(DISTINCT text) FROM messages WHERE direction = 'inbound'",
    "kept twice": "SELECT count(*) - count(DISTINCT text) FROM messages WHERE direction = 'inbound'",
    "not run": "SELECT count(*) FROM messages WHERE flow_state NOT IN ('none', 'done')",
    "replies": "SELECT count(DISTINCT reference_id) FROM messages WHERE direction = 'outbound'",
    "replies twice": "SELECT count(*) - count(DISTINCT text) FROM messages WHERE direction = 'outbound'",
    "not sent": "SELECT count(*) FROM outbox WHERE state <> 'sent'",
}

SUBMIT_SM, DELIVER_SM, UNBIND, BIND_TRANSCEIVER, ENQUIRE_LINK = 4, 5, 6, 9, 0x15
RESPONSE = 0x80000000
OK, NOT_NOW = 0, 0x64  # ESME_ROK, ESME_RX_T_APPN


def configuration(callback: int, smsc: int) -> str:
    """Of an edge that texts come to by both."""
    return f"""
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


def provision(edge: Daemon) -> None:
    """The two numbers."""
    customer = edge.account()
    edge.own(customer, ANSWERS, message_flow_id=edge.flow(customer, REPLY))
    edge.own(customer, QUIET, message_flow_id=edge.flow(customer, NOTE))


def expected(texts: int) -> dict[str, int]:
    """What the books say in the end of so many texts."""
    whole = {"kept": texts, "replies": texts // ANSWERED}
    return {**whole, "kept twice": 0, "not run": 0, "replies twice": 0, "not sent": 0}


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

    def __init__(self, kind: str, texts: int) -> None:
        self.waiting = deque(f"{kind} {n}" for n in range(texts))
        self.texts = self.sent = texts
        self.acknowledged: Counter[str] = Counter()
        self.refused = 0
        self.replies: Counter[str] = Counter()  # by what they say
        self.ids: dict[str, set[str]] = defaultdict(set)  # of the replies, where they have some; the same
        self.progress = asyncio.Event()

    def replied(self, text: str, id: str = "") -> None:
        text = text.removeprefix("re: ")
        self.replies[text] += 1
        self.ids[text].add(id)
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
        return self.acknowledged.total() == self.sent and len(self.replies) == self.texts // ANSWERED


def peer_of(text: str) -> str:
    return f"+1415666{int(text.split()[1]) % 2000:04}"


def ours_of(text: str) -> str:
    return QUIET if int(text.split()[1]) % ANSWERED else ANSWERS


class WebCarrier(Carrier):
    """Posts texts over many connections; the replies come to its callback."""

    def __init__(self, edge: Daemon, texts: int) -> None:
        super().__init__("web", texts)
        self._edge = edge
        again = list(self.waiting)[::TWICE]
        self.waiting += again
        self.sent += len(again)

    async def send(self) -> None:
        """One connection's work; when it goes away there is another."""
        host, port = self._edge.url.removeprefix("http://").split(":")
        while not self.done:
            try:
                reader, writer = await asyncio.open_connection(host, int(port))
                while not self.done:
                    await self._bring(reader, writer)
                writer.close()
            except (asyncio.IncompleteReadError, OSError):
                await asyncio.sleep(AGAIN_SECONDS)  # before the next connection

    async def _bring(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self.waiting:
            await asyncio.sleep(AGAIN_SECONDS)  # others may come again
            return
        text = self.waiting.popleft()
        try:
            answer = await self._post(reader, writer, text)
        except (asyncio.IncompleteReadError, OSError):
            self.waiting.append(text)  # nobody knows what became of it
            raise
        if answer.status == 200:
            self.took(text)
        else:
            assert (answer.status, int(answer.fields["retry-after"]) > 0) == (503, True), answer
            await self.refuse(text)

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
                reply = json.loads(body)
                self.replied(reply["text"], reply["id"])
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        except (asyncio.IncompleteReadError, OSError):
            writer.close()


class Smsc(Carrier):
    """Sends deliver_sm over one bind, many at the same time; the replies come as submit_sm."""

    def __init__(self, texts: int) -> None:
        super().__init__("smpp", texts)
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
        except (asyncio.IncompleteReadError, OSError):
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
