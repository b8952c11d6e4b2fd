"""A simulated call: the session, and the caller at its other end, who types what the script says and may hang up.

The caller's keys begin with the answer. He hangs up when the script says so, or when he has nothing more to type and
the flow keeps him waiting: `Script.patience` seconds in all in which it played nothing and nobody talked to him.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final, NoReturn

from edge.errors import Invalid, Unavailable
from edge.flows.dial import Dial, Dialed, DialOutcome
from edge.flows.external_media import ExternalMedia
from edge.flows.session import CallSession, CallStatus, EndKey, HangupReason, RecordingFormat, SessionEnded
from edge.flows.variables import quoted
from edge.media import ssml
from edge.media.dtmf import PAUSE, PAUSE_MS
from edge.media.tone import BEEP_SECONDS
from edge.numbers.number import Number
from edge.recordings.take import Wish
from edge.sessions.calls.causes import CAUSE_OF_REASON
from edge.sessions.calls.dialing import CAUSE_OF_STATUS, NO_ANSWER
from edge.sessions.calls.keys import Gathering, Keys
from edge.sessions.calls.offered import STATUS_OF_REASON
from edge.sessions.calls.record import Attempt
from edge.sessions.simulation.outside import SimulatedOutside
from edge.sessions.simulation.prompt import Lengths
from edge.sessions.simulation.recording import SimulatedRecording
from edge.sessions.simulation.script import Script
from edge.sessions.simulation.session import SimulatedSession
from edge.sessions.simulation.stage import Stage
from edge.stir.verdict import PASSED
from edge.store.metadata import micros

SPOKEN_A_SECOND: Final = 15  # characters, more or less
KEY_SECONDS: Final = 0.2  # from one key to the next: pressed for 100 ms, and a gap of as much
STATUS_OF: Final[dict[DialOutcome, int]] = {
    "answered": 200,
    "busy": 486,
    "noanswer": 408,
    "declined": 603,
    "failed": 503,
}


class SimulatedCall(SimulatedSession):
    """Implements `flows.session.CallSession`. `attempt` is what the record would say."""

    def __init__(
        self, stage: Stage, script: Script, outside: SimulatedOutside, number: Number, lengths: Lengths
    ) -> None:
        super().__init__(stage, script, outside, number.customer_id)
        attempt = self.attempt = Attempt(
            id=self.id,
            call_id="simulation",
            remote="",
            dialed=script.called,
            source=script.source,
            source_name=script.source_name,
            tm_create=micros(stage.begins),
        )
        attempt.customer_id, attempt.number_id = number.customer_id, number.id
        attempt.number = attempt.destination = number.number
        if script.attestation:
            attempt.attestation, attempt.verstat = script.attestation, PASSED
        self._lengths = lengths
        self._answered = False
        self._early = False
        self._talking = False  # with somebody who was connected, who hears his keys
        self._forks = 0
        self._coming: deque[tuple[float, str]] = deque()  # keys, each with its time
        self._keys = Keys()
        self._patience = script.patience
        self._recording = SimulatedRecording(stage)

    # What the flow may ask

    @property
    def status(self) -> CallStatus:
        return self.attempt.status_now

    async def sleep(self, seconds: float) -> None:
        self.stage.note(f"waits {seconds:g} s")
        self._pass(seconds, idle=True)

    async def block(self, seconds: float) -> Mapping[str, str] | None:
        self.stage.note(f"waits to be told to go on, {seconds:g} s at most")
        self.stage.note("it is told so at once", "assumed")
        return {}

    async def answer(self) -> None:
        if self._answered:
            return
        self._answered = True
        self.attempt.tm_progressing = micros(self.stage.clock())
        self.stage.note("answers the call")
        at = self.stage.now
        for key in self.script.digits:
            if key == PAUSE:
                at += PAUSE_MS / 1000
            else:
                self._coming.append((at, key))
                at += KEY_SECONDS

    async def play(self, sources: Sequence[str]) -> None:
        self._open()
        for source in sources:
            length = await self._lengths.of(source)
            self.stage.note(f"plays {source}, {length.seconds:.1f} s")
            if length.assumed:
                self.stage.note(f"{source} lasts {length.seconds:.1f} s: {length.assumed}", "assumed")
            self._pass(length.seconds)

    async def say(self, text: str, *, language: str, voice: str, provider: str, keys_end: bool, wait: bool) -> None:
        if keys_end and self._keys:
            await self.answer()
            self.stage.note("leaves out what it would say: a key was typed")
            return
        phrase = ssml.read(text).text
        if not phrase:
            raise Invalid("there is nothing to say")
        await self.answer()
        by = ", ".join(filter(None, (language, provider, voice)))
        self.stage.note(f"says {quoted(phrase)}{by and f' ({by})'}{'' if wait else ' and goes on meanwhile'}")
        if not wait:
            return
        seconds = max(len(phrase) / SPOKEN_A_SECOND, 1.0)
        self.stage.note(f"that lasts {seconds:.1f} s: a second for {SPOKEN_A_SECOND} characters", "assumed")
        self._pass(seconds, until_key=keys_end)
        if keys_end and self._keys:
            self.stage.note("stops talking")

    async def beep(self) -> None:
        self._open()
        self.stage.note("beeps")
        self._pass(BEEP_SECONDS)

    async def start_external_media(self, media: ExternalMedia) -> str:
        self._open()
        id = self.stage.id()
        self._forks += 1
        self.stage.note(f"sends the audio to {media.host}, {media.format}")
        return id

    async def stop_external_media(self) -> int:
        ended, self._forks = self._forks, 0
        self.stage.note(f"sends the audio to nobody any more: {ended} ended")
        return ended

    async def receive_digits(self, *, end_keys: str, length: int, seconds: float) -> str:
        keys = f"{length} key{'s' if length != 1 else ''}" if length else "keys"
        ended = f", ended by {' or '.join(end_keys)}" if end_keys else ""
        self.stage.note(f"waits for {keys}, {seconds:g} s at most{ended}")
        deadline = self.stage.now + seconds
        gathering = Gathering(self._keys, end_keys, length)
        while not gathering.complete():
            if self.stage.now >= deadline:
                digits = gathering.digits
                self.stage.note(f"gets {quoted(digits) if digits else 'nothing'}: the time is over")
                return digits
            self._pass(deadline - self.stage.now, idle=True, until_key=True)
        self.stage.note(f"gets {quoted(gathering.digits)}")
        return gathering.digits

    async def echo(self, seconds: float) -> None:
        self._open()
        self.stage.note(f"echoes for {seconds:g} s")
        self._pass(seconds)

    async def send_digits(self, digits: str, *, press_ms: int, gap_ms: int) -> None:
        self._open()
        self.stage.note(f"presses {digits}")
        self._pass(len(digits) * (press_ms + gap_ms) / 1000)

    async def start_recording(
        self,
        *,
        format: RecordingFormat,
        end_of_silence: float,
        end_of_key: EndKey,
        duration: float,
        beep: bool,
        on_end_flow_id: str,
    ) -> str:
        self._recording.require_room(answered=self._answered)
        if beep:
            await self.beep()
        wish = Wish(format, end_of_silence, end_of_key, duration)
        self.attempt.recording = self._recording.start(self.customer_id, self.id, wish, on_end_flow_id)
        return self.attempt.recording.id

    async def stop_recording(self) -> None:
        self._recording.stop()

    async def connect(self, dial: Dial) -> Dialed:
        """It always is the first who answers, or who says why nobody does."""
        order = ", at once" if dial.together else ", one after another"
        rung = ", ".join(dial.destinations) + (order if len(dial.destinations) > 1 else "")
        self.stage.note(f"rings {rung}")
        outcome, status = self.script.connect, STATUS_OF[self.script.connect]
        if outcome == "answered":
            await self.answer()
            self.stage.note(f"{dial.destinations[0]} answers, and they talk for {self.script.talk:g} s", "outside")
            self._talking = True
            self._pass(self.script.talk)
            self._talking = False
            return Dialed(outcome, status, dial.destinations[0], None, self.script.talk)
        if outcome == "noanswer":
            self._pass(dial.ring_seconds * (1 if dial.together else len(dial.destinations)))
            status = NO_ANSWER
        self.stage.note(f"that comes out as {status}", "outside")
        if dial.relay_reason:
            self.hang_up("dialout", status)
            raise SessionEnded("local", "dialout")
        return Dialed(outcome, status, dial.destinations[0], CAUSE_OF_STATUS.get(status))

    async def redirect(self, destinations: Sequence[str]) -> NoReturn:
        if not self._answered:
            self.stage.note(f"sends the caller to {', '.join(destinations)}: 302")
            raise SessionEnded("local", "redirect")
        status = STATUS_OF[self.script.connect]
        for destination in destinations:
            self.stage.note(f"refers the caller to {destination}")
            self.stage.note(f"that comes out as {status}", "outside")
            if status == 200:
                raise SessionEnded("local", "redirect")
        raise Unavailable(f"the transfer failed with {status}")

    async def hangup(self, reason: HangupReason) -> NoReturn:
        self.hang_up(reason)
        raise SessionEnded("local", reason)

    # What the simulator does

    def over(self, by: str) -> None:
        """Nobody is on the line any more."""
        self.attempt.hangup_by = by

    def hang_up(self, reason: HangupReason, status: int | None = None) -> None:
        """The end from our side, as the caller's carrier sees it."""
        if self._answered:
            self.stage.note(f"hangs up: BYE, cause {CAUSE_OF_REASON[reason]}")
        else:
            self.stage.note(f"refuses the call: {status or STATUS_OF_REASON[reason]}")

    @property
    def untyped(self) -> str:
        """The keys that the caller did not come to type."""
        return "".join(key for _, key in self._coming) if self._answered else self.script.digits.replace(PAUSE, "")

    # The caller

    def _open(self) -> None:
        if not self._answered and not self._early:
            self._early = True
            self.stage.note("183: early media, the call is not answered")

    def _pass(self, seconds: float, *, idle: bool = False, until_key: bool = False) -> None:
        """Let time go by, with what the caller does meanwhile; with `until_key` no longer than to his next key.

        `idle`: it is time in which he gets impatient. Raises SessionEnded when he hangs up.
        """
        until = self.stage.now + seconds
        while True:
            waits = idle and not self._coming
            key_at = self._coming[0][0] if self._coming else math.inf
            hangs_at = self.script.hangup if self.script.hangup is not None else math.inf
            gives_up_at = self.stage.now + self._patience if waits else math.inf
            at = min(key_at, hangs_at, gives_up_at)
            if waits:
                self._patience -= min(at, until) - self.stage.now
            if at > until:
                self.stage.now = until
                return
            self.stage.now = max(at, self.stage.now)
            if at == key_at:
                self._type(self._coming.popleft()[1])
                if until_key:
                    return
            else:
                why = "" if at == hangs_at else f": nothing happened for him for {self.script.patience:g} s"
                self.stage.note(f"the caller hangs up{why}", "outside")
                raise SessionEnded("remote")

    def _type(self, key: str) -> None:
        self.stage.note(f"the caller types {key}", "outside")
        self._recording.press(key)
        if self._talking:
            return
        self._keys.type(key)
        self._patience = self.script.patience


_is_a_call_session: type[CallSession] = SimulatedCall
