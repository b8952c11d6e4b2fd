"""The phone: what it reads, tells and measures, and its calls and texts to an agent on loopback."""

from __future__ import annotations

import struct
import wave
from array import array
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path

import pytest

from edge import phone
from edge.errors import Invalid
from edge.media import sdp
from edge.phone import Ladder, read_server, sound_seconds
from edge.sip.agent import Agent
from edge.sip.events import CallConfirmed, CallEnded, CallOffered, Event, OfferCancelled, TextOffered
from edge.sip.peer import Peer
from edge.sip.transport import Endpoint

NUMBER, CALLER = "+14155550100", "+14155550199"


# Where to


@pytest.mark.parametrize(
    ("text", "remote"),
    [
        ("127.0.0.1", ("127.0.0.1", 5060)),
        ("127.0.0.1:5070", ("127.0.0.1", 5070)),
        ("127.0.0.1:", ("127.0.0.1", 5060)),
        ("localhost:5070", ("127.0.0.1", 5070)),
        ("::1", ("::1", 5060)),
        ("[::1]", ("::1", 5060)),
        ("[::1]:65535", ("::1", 65535)),
    ],
)
@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_server_is_read(text: str, transport: phone.Transport, remote: tuple[str, int]) -> None:
    found = read_server(text, transport)
    assert (found.transport, found.remote) == (transport, remote)
    assert found.local == (remote[0], 0)  # on loopback we are where they are


@pytest.mark.parametrize(
    "text", ["", ":5060", "[]", "127.0.0.1:x", "127.0.0.1:0", "127.0.0.1:-1", "127.0.0.1:65536", "[::1]:x", "a b", "\0"]
)
def test_what_is_no_server_is_named(text: str) -> None:
    with pytest.raises(Invalid) as caught:
        read_server(text, "udp")
    (fault,) = caught.value.faults
    assert fault.where == text


# What it tells


def told(do: Callable[[Ladder], None]) -> str:
    """One line of a ladder, without its time."""
    lines: list[str] = []
    do(Ladder(lines.append))
    (line,) = lines
    seconds, _, rest = line.partition(" s  ")
    assert 0 <= float(seconds) < 1
    return rest


PEER = Peer("udp", ("127.0.0.1", 0), ("127.0.0.1", 5060))


@pytest.mark.parametrize(
    ("sent", "data", "line"),
    [
        (True, b"INVITE sip:a@b SIP/2.0\r\nVia: x\r\n\r\n", "→ INVITE sip:a@b"),
        (False, b"SIP/2.0 180 Ringing\r\n\r\n", "← 180 Ringing"),
        (False, b"SIP/2.0 200 \xc3\xa9t\xc3\xa9\r\n\r\n", "← 200 été"),
        (False, b"SIP/2.0 200 \x1b[2J\xff\x07\r\n\r\n", "← 200 ·[2J\N{REPLACEMENT CHARACTER}·"),
        (False, b"", "← "),
    ],
)
def test_a_line_of_the_ladder(sent: bool, data: bytes, line: str) -> None:
    assert told(lambda ladder: ladder.trace(sent, PEER, data)) == line


def test_what_comes_cannot_forge_a_line() -> None:
    assert told(lambda ladder: ladder.note("♪", "one\nTwo\r\u2028three\x9b")) == "♪ one·Two··three·"


# What it heard


def pcm(*levels: int) -> bytes:
    """A frame of 20 ms at each level."""
    return array("h", [level for level in levels for _ in range(160)]).tobytes()


@pytest.mark.parametrize(
    ("heard", "seconds"),
    [
        (b"", 0),
        (pcm(0, 0, 0), 0),
        (pcm(phone.QUIET, -8), 0),
        (pcm(0, phone.QUIET + 1, 0, 32767), 0.04),
        (pcm(1000) + pcm(1000)[:200], 0.02),  # what is no whole frame does not count
        (struct.pack("<320h", *[0] * 319, 500), 0.02),  # one sample is enough
    ],
)
def test_sound_is_what_is_louder_than_a_quiet_line(heard: bytes, seconds: float) -> None:
    assert sound_seconds(heard) == pytest.approx(seconds)


# On the wire


class Callee:
    """An agent on loopback. `do` is done with each event in the turn it comes."""

    def __init__(self, do: Callable[[Callee, Event], None]) -> None:
        tokens = count(1)
        self.events: list[Event] = []
        self.agent = Agent(lambda: f"callee{next(tokens)}")
        self.endpoint = Endpoint(self.agent, self._handle, lambda _address, _transport: True)
        self._do = do

    def _handle(self, event: Event) -> None:
        self.events.append(event)
        self._do(self, event)

    @property
    def now(self) -> float:
        return self.endpoint.now()

    def answer(self, event: CallOffered) -> None:
        assert event.offer.sdp is not None
        local = sdp.Local("127.0.0.1", 9, session_id=1, session_version=1)
        body, _ = sdp.answer(sdp.read(event.offer.sdp), local)
        self.agent.answer(event.offer, body, self.now)


@asynccontextmanager
async def callee(
    do: Callable[[Callee, Event], None], transport: phone.Transport = "udp"
) -> AsyncIterator[tuple[Callee, Peer]]:
    one = Callee(do)
    (bound,) = await one.endpoint.listen([f"{transport}:127.0.0.1:0"])
    try:
        yield one, read_server(bound.partition(":")[2], transport)
    finally:
        await one.endpoint.close()


def shapes(lines: list[str]) -> list[str]:
    """The ladder without times and what differs from run to run."""
    return [" ".join(line.partition(" s  ")[2].split()[:2]) for line in lines]


async def test_a_refused_call_comes_to_its_answer() -> None:
    def busy(it: Callee, event: Event) -> None:
        if isinstance(event, CallOffered):
            it.agent.reject(event.offer, 486, it.now)

    lines: list[str] = []
    async with callee(busy) as (_, server):
        heard = await phone.call(server, NUMBER, say=lines.append)
    assert heard == phone.Heard(486, "Busy Here", 0.0, 0.0, "")
    assert shapes(lines) == ["→ INVITE", "← 486", "→ ACK"]


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_a_call_they_hang_up_is_told_from_its_invite_to_its_end(transport: phone.Transport) -> None:
    def answer_and_leave(it: Callee, event: Event) -> None:
        match event:
            case CallOffered():
                it.answer(event)
            case CallConfirmed(call):
                it.agent.end(call, it.now)

    lines: list[str] = []
    async with callee(answer_and_leave, transport) as (it, server):
        heard = await phone.call(server, NUMBER, say=lines.append, caller=CALLER)
    assert (heard.status, heard.reason, heard.audio_seconds) == (200, "OK", 0.0)
    assert shapes(lines) == ["→ INVITE", "← 200", "→ ACK", "♪ PCMU,", "← BYE", "→ 200"]
    assert isinstance(it.events[0], CallOffered)
    assert it.events[0].offer.request.caller == (CALLER, "")
    assert it.events[0].offer.request.uri.startswith(f"sip:{NUMBER}@127.0.0.1:")


async def test_we_hang_up_when_the_time_is_over_and_save_what_was_heard(tmp_path: Path) -> None:
    def answer(it: Callee, event: Event) -> None:
        if isinstance(event, CallOffered):
            it.answer(event)

    async with callee(answer) as (it, server):
        heard = await phone.call(server, NUMBER, say=lambda _: None, seconds=0.25, save=tmp_path / "heard.wav")
    assert heard.status == 200
    assert [(event.by) for event in it.events if isinstance(event, CallEnded)] == ["remote"]
    with wave.open(str(tmp_path / "heard.wav")) as saved:
        assert (saved.getframerate(), saved.getnchannels(), saved.getnframes()) == (8000, 1, 0)  # they sent nothing


async def test_a_call_that_nobody_answers_is_cancelled_when_the_time_is_over() -> None:
    async with callee(lambda it, event: None) as (it, server):
        heard = await phone.call(server, NUMBER, say=lambda _: None, seconds=0.05)
    assert heard == phone.Heard(487, "we gave up", 0.0, 0.0, "")
    assert [type(event) for event in it.events] == [CallOffered, OfferCancelled]


async def test_an_answer_that_makes_no_sense_is_told_and_the_call_goes_on() -> None:
    def answer(it: Callee, event: Event) -> None:
        match event:
            case CallOffered(offer):
                it.agent.answer(offer, b"v=0\r\nnonsense\r\n", it.now)
            case CallConfirmed(call):
                it.agent.end(call, it.now)

    lines: list[str] = []
    async with callee(answer) as (_, server):
        assert (await phone.call(server, NUMBER, say=lines.append)).status == 200
    assert any("  ! " in line for line in lines)


@pytest.mark.parametrize("digits", ["x", "1 2", "é"])
async def test_keys_that_are_none_are_refused_before_the_call(digits: str) -> None:
    async with callee(lambda it, event: None) as (it, server):
        with pytest.raises(Invalid):
            await phone.call(server, NUMBER, say=lambda _: None, digits=digits)
    assert it.events == []


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_a_text_and_the_reply_to_it(transport: phone.Transport) -> None:
    def reply(it: Callee, event: Event) -> None:
        if isinstance(event, TextOffered):
            it.agent.take_text(event.text, 202, it.now)
            it.agent.send_text(
                peer=event.text.peer,
                uri=f"sip:{CALLER}@127.0.0.1",
                from_=f"<sip:{NUMBER}@127.0.0.1>",
                to=f"<sip:{CALLER}@127.0.0.1>",
                body=f"you wrote {event.text.text}".encode(),
                now=it.now,
            )

    lines: list[str] = []
    async with callee(reply, transport) as (_, server):
        assert await phone.text(server, NUMBER, "grüße", say=lines.append) == (202, "you wrote grüße")
    assert sorted(shapes(lines)) == ["← 202", "← MESSAGE", "→ 200", "→ MESSAGE"]


async def test_a_text_that_is_refused_waits_for_no_reply() -> None:
    def refuse(it: Callee, event: Event) -> None:
        if isinstance(event, TextOffered):
            it.agent.take_text(event.text, 404, it.now)

    async with callee(refuse) as (_, server):
        assert await phone.text(server, NUMBER, "hello", say=lambda _: None, seconds=60) == (404, None)


async def test_a_text_without_a_reply() -> None:
    def take(it: Callee, event: Event) -> None:
        if isinstance(event, TextOffered):
            it.agent.take_text(event.text, 202, it.now)

    async with callee(take) as (_, server):
        assert await phone.text(server, NUMBER, "hello", say=lambda _: None, seconds=0.02) == (202, None)
