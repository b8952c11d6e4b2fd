"""A fork by WebSocket: audio in binary messages both ways, control in JSON ones.

We say

    {"type": "start", "id", "call_id", "source", "destination", "format", "sample_rate", "listen", "speak", "data"}
    {"type": "marked", "name", "played"}      what was sent before that mark has been played (or not: cleared, dropped)
    {"type": "digits", "digits"}              keys that the caller typed
    {"type": "stop", "reason"}                before we close: stopped, hangup

and understand

    {"type": "clear"}                         play nothing of what was sent so far: the caller speaks
    {"type": "mark", "name"}                  tell when what was sent so far has been played
    {"type": "stop"}                          that was all; the call goes on

Audio is in the agreed format without any header, linear samples little-endian, in pieces of any length; the other side
may send faster than it is played. The row of samples has no timestamps: lost packets are silence, pauses are left out.

Nothing is connected again: a server that is gone has ended its fork. Not nice: a server that neither reads nor answers
is noticed by the missing pong, which takes `heartbeat` seconds; until then what waits for it is bounded.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final

import aiohttp

from edge.flows.external_media import ExternalMedia
from edge.http import Guard, WebSocket
from edge.log import get_logger
from edge.media.encoding import Decoder, Encoder
from edge.media.fork import Marked, Row
from edge.sessions.calls.external_media.fork import DROPPED, Fork

CONNECT_SECONDS: Final = 5.0
HEARTBEAT_SECONDS: Final = 10.0
GOODBYE_SECONDS: Final = 1.0  # for what is still to be said when a fork ends
MESSAGE_BYTES: Final = 1_048_576  # of one message from the other side
PIECE_BYTES: Final = 8_000  # of it that are converted at once
CONTROL: Final = 1_000  # words of ours that wait for a slow other side; more are not said
WAITING: Final = 50  # pieces of audio that wait for a slow other side, a second of them; the oldest go
LEAST_MS: Final = 20  # of audio from the other side, before it is played after a silence
AHEAD_MS: Final = 120_000  # that the other side may send ahead of what is played; the oldest goes
NAME_CHARACTERS: Final = 200  # of a mark

log = get_logger("external_media")

_unsent, _unheard = DROPPED.labels("websocket", "outgoing"), DROPPED.labels("websocket", "incoming")


class WebSocketFork(Fork):
    kind = "websocket"

    def __init__(self, id: str, media: ExternalMedia, ended: Callable[[Fork], None]) -> None:
        marked = Marked(self._marked, least_ms=LEAST_MS, most_ms=AHEAD_MS)
        super().__init__(id, media, marked, ended)
        self._marks = marked
        self._row = Row()
        self._encode = Encoder(self.encoding, network_order=False)
        self._decode = Decoder(self.encoding, network_order=False)
        self._socket: WebSocket | None = None
        self._control: deque[str] = deque()
        self._audio: deque[bytes] = deque()
        self._due = asyncio.Event()  # something waits to be sent, or it is over

    async def open(self, guard: Guard, told: Mapping[str, str]) -> None:
        """Connect. `told` is what the start message says of the call. Raises EdgeError."""
        self._socket = await guard.websocket(
            self.media.host, deadline=CONNECT_SECONDS, max_bytes=MESSAGE_BYTES, heartbeat=HEARTBEAT_SECONDS
        )
        self._say(
            "start",
            id=self.id,
            **told,
            format=self.media.format,
            sample_rate=self.encoding.rate,
            listen=self.media.listen,
            speak=self.media.speak,
            data=self.media.data,
        )

    def told(self, timestamp: int, pcm: bytes) -> None:
        data = self._encode(self._row.add(timestamp, pcm))
        if not data:
            return
        if len(self._audio) >= WAITING:
            self._audio.popleft()
            _unsent.inc()
        self._audio.append(data)
        self._due.set()

    def typed(self, keys: str) -> None:
        self._say("digits", digits=keys)

    def leave(self, why: str) -> None:
        self._say("stop", reason=why)

    async def run(self) -> None:
        """Hear and tell until one of us ends it. Never raises, but when it is cancelled."""
        assert self._socket is not None
        socket = self._socket
        telling = asyncio.create_task(self._tell(socket))
        hearing = asyncio.create_task(self._hear(socket))
        try:
            await asyncio.wait((telling, hearing), return_when=asyncio.FIRST_COMPLETED)
            if not self.over:
                self.end("stopped" if hearing.done() and not hearing.exception() and hearing.result() else "lost")
            await asyncio.wait((telling,), timeout=GOODBYE_SECONDS)  # the last words
        finally:
            hearing.cancel()
            telling.cancel()
            for failure in await asyncio.gather(hearing, telling, return_exceptions=True):
                if isinstance(failure, Exception) and not isinstance(failure, (OSError, aiohttp.ClientError)):
                    log.error("fork failed", fork=self.id, error=repr(failure))
            with suppress(TimeoutError, OSError, aiohttp.ClientError):
                async with asyncio.timeout(GOODBYE_SECONDS):
                    await socket.close()

    async def _tell(self, socket: WebSocket) -> None:
        while not (self.over and not self._control):
            self._due.clear()
            while self._control:
                await socket.send_str(self._control.popleft())
            while self._audio and not self._control and not self.over:
                await socket.send_bytes(self._audio.popleft())
            if not (self._control or self._audio or self.over):
                await self._due.wait()

    async def _hear(self, socket: WebSocket) -> bool:
        """True when the other side said that it was all."""
        async for message in socket:
            if message.type is aiohttp.WSMsgType.BINARY:
                await self._hear_audio(message.data)
            elif message.type is aiohttp.WSMsgType.TEXT:
                match _read(message.data):
                    case {"type": "clear"}:
                        self._marks.clear()
                    case {"type": "mark", "name": str(name)} if len(name) <= NAME_CHARACTERS:
                        self._marks.mark(name)
                    case {"type": "stop"}:
                        return True
        return socket.close_code == aiohttp.WSCloseCode.OK

    async def _hear_audio(self, data: bytes) -> None:
        """A message may be long: others get their turn in between."""
        for at in range(0, len(data) if self.media.speak else 0, PIECE_BYTES):
            self._push(self._decode(data[at : at + PIECE_BYTES]), _unheard)
            if at + PIECE_BYTES < len(data):
                await asyncio.sleep(0)

    def _marked(self, name: str, played: bool) -> None:
        self._say("marked", name=name, played=played)

    def _say(self, kind: str, **what: Any) -> None:
        if len(self._control) < CONTROL or kind == "stop":
            self._control.append(json.dumps({"type": kind, **what}))
            self._due.set()


def _read(text: str) -> Any:
    """A control message; None for what is none, which is passed over as later versions' words are."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
