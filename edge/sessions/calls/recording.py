"""The recording of one call: joins its stream with a tape of the recorder, one at a time."""

from __future__ import annotations

from functools import partial
from typing import Protocol

from edge.errors import Conflict, Invalid
from edge.flows.session import SessionEnded
from edge.media.transport.stream import Stream
from edge.recordings.recorder import Recorder, Tape
from edge.recordings.take import Wish
from edge.sessions.calls.record import Attempt


class Host(Protocol):
    """The call."""

    attempt: Attempt

    @property
    def answered(self) -> bool: ...
    @property
    def ended(self) -> SessionEnded | None: ...
    @property
    def stream(self) -> Stream | None: ...


class CallRecording:
    """What is recorded of a call."""

    __slots__ = ("_host", "_recorder", "_tape")

    def __init__(self, host: Host, recorder: Recorder) -> None:
        self._host = host
        self._recorder = recorder
        self._tape: Tape | None = None

    def require_room(self) -> None:
        """Raise Invalid before the answer, Conflict while one is under way."""
        if not self._host.answered:
            raise Invalid("only an answered call can be recorded")
        if self._tape is not None:
            raise Conflict("a recording is under way")

    async def start(self, wish: Wish, on_end_flow_id: str) -> str:
        """Begin one; its id. Raises Exhausted, Unavailable, and Invalid for a format that cannot be made here."""
        attempt = self._host.attempt
        tape = await self._recorder.begin(attempt.customer_id, attempt.id, wish, on_end_flow_id=on_end_flow_id)
        attempt.recording_ids += (tape.recording.id,)
        stream = self._host.stream
        if stream is None:  # the call ended meanwhile
            tape.end("hangup")
            return tape.recording.id
        stream.tap(tape)
        tape.ended = partial(self._over, stream, tape)
        self._tape = tape
        attempt.recording = tape.recording
        return tape.recording.id

    def stop(self) -> bool:
        """End it as the flow wishes; whether there was one."""
        if self._tape is None:
            return False
        self._tape.end("stopped")
        return True

    def press(self, keys: str) -> None:
        """The caller pressed keys."""
        if self._tape is not None:
            self._tape.press(keys)

    def end(self) -> None:
        """The call is over."""
        if self._tape is not None:
            self._tape.end("hangup")

    def _over(self, stream: Stream, tape: Tape) -> None:
        stream.untap(tape)
        self._tape = None
