"""The phone: our own caller and texter, for `edge call` and `edge text`.

It is the same SIP agent and media engine as the daemon's, on the other end of the line. What passes on the wire is told
as it happens, as a ladder: `→` is what we sent, `←` what came. It works against any SIP server, not only ours.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

from edge.errors import EdgeError, Fault, Invalid
from edge.media import sdp
from edge.media.audio import Recording, write_wav
from edge.media.dtmf import check as check_digits
from edge.media.section import MediaSection
from edge.media.stream import StreamClosed
from edge.media.transport.engine import MediaEngine
from edge.media.transport.stream import Stream
from edge.sip.agent import Agent
from edge.sip.events import (
    Call,
    CallAnswered,
    CallEnded,
    CallFailed,
    CallProgress,
    Event,
    Reoffered,
    TextDone,
    TextOffered,
)
from edge.sip.ladder import first_line, printable
from edge.sip.peer import Peer
from edge.sip.transport import Endpoint

SIP_PORT: Final = 5060
PORTS: Final = MediaSection(first_port=31000, last_port=31999, port_rest_seconds=0)  # not the daemon's
QUIET: Final = 16  # of 32767; G.711's silence and its noise stay below
TALK_DELAY: Final = 0.2  # seconds between the answer and the first key, so that the other side listens
SETTLE_SECONDS: Final = 1.0  # how long the end of a call may take
SETTLE_TURNS: Final = 50

Transport = Literal["udp", "tcp"]
Say = Callable[[str], None]


class Heard(NamedTuple):
    """What a call came to. `status` is its final answer; seconds are of audio received, and of what was not silence."""

    status: int
    reason: str
    audio_seconds: float
    sound_seconds: float
    digits: str


@dataclass
class Ladder:
    """Tells what passes on the wire, each line with the seconds since the start."""

    say: Say
    started: float = field(default_factory=time.monotonic)

    def trace(self, sent: bool, _peer: Peer, data: bytes) -> None:
        self.note("→" if sent else "←", first_line(data))

    def note(self, mark: str, what: str) -> None:
        self.say(f"{time.monotonic() - self.started:8.3f} s  {mark} {printable(what)}")


def read_server(text: str, transport: Transport) -> Peer:
    """`host`, `host:port`, `[v6]:port` → where to send. Looks a name up, so it blocks. Raises Invalid."""
    host, _, port = text.rpartition(":") if ":" in text and not text.endswith("]") else (text, "", "")
    if ":" in host and not host.startswith("["):
        host, port = text, ""
    try:
        number = int(port or SIP_PORT)
        if not 0 < number < 65536:
            raise ValueError(f"{number} is no port")
        found = socket.getaddrinfo(host.strip("[]"), number, type=socket.SOCK_DGRAM)[0]
        with socket.socket(found[0], socket.SOCK_DGRAM) as probe:
            probe.connect(found[4])  # sends nothing; tells which of our addresses would
            local = probe.getsockname()
    except (OSError, ValueError, OverflowError) as error:
        raise Invalid("cannot call there", faults=[Fault(text, str(error))]) from None
    return Peer(transport, (str(local[0]), 0), (str(found[4][0]), number))


class Phone:
    """One phone on a port of its own. `handler` gets the agent's events; use as an async context manager."""

    def __init__(self, server: Peer, say: Say) -> None:
        self.ladder = Ladder(say)
        self.agent = Agent(lambda: secrets.token_hex(8))
        self.endpoint = Endpoint(self.agent, self._handle, lambda _address, _transport: True, trace=self.ladder.trace)
        self._server = server
        self._events: asyncio.Queue[Event] = asyncio.Queue()
        self.peer = server

    async def __aenter__(self) -> Phone:
        host = self._server.local[0]
        shown = f"[{host}]" if ":" in host else host
        (bound,) = await self.endpoint.listen([f"{self._server.transport}:{shown}:0"])
        self.peer = self._server._replace(local=(host, int(bound.rpartition(":")[2])))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.endpoint.close()

    def _handle(self, event: Event) -> None:
        self._events.put_nowait(event)

    async def next(self, seconds: float | None = None) -> Event | None:
        """The next event; None when none comes in that time."""
        try:
            async with asyncio.timeout(seconds):
                return await self._events.get()
        except TimeoutError:
            return None

    async def settle(self) -> None:
        """Give the answers to our last requests a moment to come."""
        for _ in range(SETTLE_TURNS):
            if not self.agent.stats()["unanswered"]:
                return
            await asyncio.sleep(SETTLE_SECONDS / SETTLE_TURNS)

    def uri(self, user: str, peer: tuple[str, int]) -> str:
        host, port = peer
        return f"sip:{user}@[{host}]:{port}" if ":" in host else f"sip:{user}@{host}:{port}"


async def call(
    server: Peer,
    number: str,
    *,
    say: Say,
    caller: str = "+14155550199",
    digits: str = "",
    seconds: float = 60.0,
    save: Path | None = None,
) -> Heard:
    """Call a number, listen, press keys (`,` waits a second), and hang up after `seconds` unless they do.

    Raises Invalid for digits or a file that cannot be used.
    """
    check_digits(digits)
    if save is not None:
        _check_writable(save)
    engine = MediaEngine(PORTS)
    await engine.start()
    try:
        async with Phone(server, say) as phone:
            return await _Conversation(phone, engine, digits).hold(number, caller, seconds, save)
    finally:
        await engine.close()


def _check_writable(path: Path) -> None:
    """Before anybody talks for a minute. Raises Invalid."""
    try:
        path.open("ab").close()
    except OSError as error:
        raise Invalid("cannot save there", faults=[Fault(str(path), error.strerror or str(error))]) from None


class _Conversation:
    """One call of the phone, from its INVITE to its end."""

    def __init__(self, phone: Phone, engine: MediaEngine, digits: str) -> None:
        self._phone = phone
        self._digits = digits
        self._pressed = ""
        self._recording = Recording()
        self._stream: Stream = engine.open(phone.peer.local[0])
        self._stream.tap(self._recording)
        host, port = self._stream.local
        self._local = sdp.Local(host, port, session_id=self._stream.sender.ssrc, session_version=1)
        self._pressing: asyncio.Task[None] | None = None

    async def hold(self, number: str, caller: str, seconds: float, save: Path | None) -> Heard:
        phone, agent = self._phone, self._phone.agent
        to = phone.uri(number, phone.peer.remote)
        outgoing = agent.invite(
            peer=phone.peer,
            uri=to,
            from_=f"<{phone.uri(caller, phone.peer.local)}>",
            to=f"<{to}>",
            sdp=sdp.offer(self._local),
            now=phone.endpoint.now(),
        )
        phone.endpoint.flush()
        up: Call | None = None
        status, reason = 0, ""
        deadline = time.monotonic() + seconds
        try:
            while True:
                event = await phone.next(max(0.0, deadline - time.monotonic()))
                match event:
                    case CallProgress(_, _, body) if body is not None:
                        self._connect(body)
                    case CallAnswered(_, answered, body):
                        up, status, reason = answered, 200, "OK"
                        self._connect(body)
                        self._pressing = asyncio.create_task(self._press())
                    case CallFailed(_, status, reason):
                        break
                    case CallEnded():
                        up = None
                        break
                    case Reoffered(reoffer):
                        agent.refuse(reoffer, 488, phone.endpoint.now())
                        phone.endpoint.flush()
                    case None:
                        break
        finally:
            self._hang_up(up, outgoing if not status else None)
        await phone.settle()
        if not status:
            status, reason = 487, "we gave up"
        if save is not None:
            await asyncio.to_thread(save.write_bytes, write_wav(self._recording.pcm))
        return Heard(status, reason, self._recording.seconds, sound_seconds(self._recording.pcm), self._pressed)

    def _connect(self, body: bytes | None) -> None:
        try:
            if body is None:
                raise Invalid("the answer has no session description")
            agreed = sdp.accept(self._local, sdp.read(body))
        except EdgeError as error:
            self._phone.ladder.note("!", error.message)
            return
        self._stream.connect(agreed)
        where = "{}:{}".format(*agreed.remote) if agreed.remote else "nowhere yet"
        self._phone.ladder.note("♪", f"{agreed.codec}, {agreed.ptime_ms} ms, with {where}")

    async def _press(self) -> None:
        if not self._digits:
            return
        await asyncio.sleep(TALK_DELAY)
        for digit in self._digits:
            try:
                await self._stream.send_digits(digit)
            except StreamClosed:
                return
            except Invalid as error:
                self._phone.ladder.note("!", error.message)
                return
            if digit != ",":
                self._pressed += digit
                self._phone.ladder.note("♪", f"pressed {digit}")

    def _hang_up(self, up: Call | None, ringing: Any) -> None:
        phone = self._phone
        if self._pressing is not None:
            self._pressing.cancel()
        if up is not None:
            phone.agent.end(up, phone.endpoint.now())
        elif ringing is not None:
            phone.agent.cancel(ringing, phone.endpoint.now())
        self._stream.close()
        phone.endpoint.flush()


async def text(
    server: Peer, number: str, body: str, *, say: Say, caller: str = "+14155550199", seconds: float = 5.0
) -> tuple[int, str | None]:
    """Send a text by SIP MESSAGE and wait for one that comes back: the status, and its body if there was one."""
    async with Phone(server, say) as phone:
        to = phone.uri(number, phone.peer.remote)
        phone.agent.send_text(
            peer=phone.peer,
            uri=to,
            from_=f"<{phone.uri(caller, phone.peer.local)}>",
            to=f"<{to}>",
            body=body.encode(),
            now=phone.endpoint.now(),
        )
        phone.endpoint.flush()
        status = 0
        reply: str | None = None
        deadline: float | None = None
        while reply is None or not status:
            event = await phone.next(None if deadline is None else max(0.0, deadline - time.monotonic()))
            match event:
                case TextDone(_, status):
                    if not 200 <= status < 300:
                        break
                    deadline = time.monotonic() + seconds
                case TextOffered(offered):
                    reply = offered.text
                    phone.agent.take_text(offered, 200, phone.endpoint.now())
                    phone.endpoint.flush()
                case None:
                    break
        return status, reply


def sound_seconds(pcm: bytes) -> float:
    """Seconds of 8 kHz 16-bit PCM in which something louder than a quiet line is heard, in frames of 20 ms."""
    frame = 320
    samples = memoryview(pcm).cast("h")
    loud = sum(
        1
        for start in range(0, len(samples) - frame // 2 + 1, frame // 2)
        if max(samples[start : start + frame // 2]) > QUIET
    )
    return loud * 0.02
