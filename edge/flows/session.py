"""What a flow may ask of the call or text it runs for. The host (`edge/sessions`) implements it, actions use it.

`Session` is what both media can do; `CallSession` and `MessageSession` widen it. An action says which one it needs by
the annotation of its `run(self, session, run)`; nothing ever asks a session what kind it is.

Every waiting method raises `SessionEnded` when the session is over, whoever ended it. Task cancellation is kept for the
shutdown of the daemon.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NoReturn, Protocol

from edge.flows.dial import Dial, Dialed
from edge.flows.external_media import ExternalMedia
from edge.flows.outside import Outside

Medium = Literal["call", "message"]

CallStatus = Literal["dialing", "ringing", "progressing", "terminating", "canceling", "hangup"]
RecordingFormat = Literal["wav", "mp3", "ogg"]
EndKey = Literal["none", "any", "*", "#"]
HangupReason = Literal["normal", "failed", "busy", "cancel", "timeout", "noanswer", "dialout", "amd"]


class SessionEnded(Exception):
    """The session is over: the caller hung up or gave up, or the flow itself redirected or ended it."""

    def __init__(self, by: Literal["remote", "local"], reason: str = "normal") -> None:
        super().__init__(f"ended by {by}: {reason}")
        self.by = by
        self.reason = reason


class Session(Protocol):
    """What every session can do."""

    @property
    def id(self) -> str:
        """The id of the call or message, a UUID."""

    @property
    def customer_id(self) -> str:
        """The account that owns the dialed number, a UUID."""

    @property
    def outside(self) -> Outside:
        """The world beside the session."""

    async def sleep(self, seconds: float) -> None:
        """Wait; a call meanwhile hears silence."""

    async def send_text(self, source: str, destination: str, text: str) -> str:
        """Put a text into the outbox and return its message id; it is sent later, and again until it is taken.

        `source` and `destination` are E.164. Raises Forbidden when `source` is no number of this account, Invalid when
        a number or the text is not usable. The same call in a repeated run (after a crash) gives the same message.
        """


class CallSession(Session, Protocol):
    """A call that was offered to us and may be answered."""

    @property
    def status(self) -> CallStatus:
        """How far the call is."""

    async def answer(self) -> None:
        """Send the 200; without effect when that was done before."""

    async def play(self, sources: Sequence[str]) -> None:
        """Play WAV files or http(s) URLs one after another, to the end of the last.

        An unanswered call gets a 183 and hears it as early media. Raises Invalid, naming the source, for one that
        cannot be played; nothing of the list is played then.
        """

    async def say(self, text: str, *, language: str, voice: str, provider: str, keys_end: bool, wait: bool) -> None:
        """Answer, and speak a text, plain or SSML, to its end; `language`, `voice` and `provider` may be "".

        With `keys_end` a key ends it, also one typed before; the key stays for `receive_digits`. Without `wait` it is
        spoken while the flow goes on, until something else is played or the caller is joined with another. Raises
        EdgeError, and answers nothing, when there is no such voice or it cannot speak now.
        """

    async def beep(self) -> None:
        """Play the beep tone, to its end."""

    async def start_external_media(self, media: ExternalMedia) -> str:
        """Fork the audio, and return the id of the fork; an unanswered call gets a 183 for it.

        Raises EdgeError when the host cannot be reached or must not be, or when there are too many.
        """

    async def stop_external_media(self) -> int:
        """End all forks; how many there were."""

    async def receive_digits(self, *, end_keys: str, length: int, seconds: float) -> str:
        """Collect keys until one of `end_keys`, `length` of them (0: no limit) or the end of the time.

        Keys typed before count first and at once. The end key is part of what is returned.
        """

    async def echo(self, seconds: float) -> None:
        """Send the caller's own audio back as it comes, for so long. An unanswered call hears it as early media."""

    async def send_digits(self, digits: str, *, press_ms: int, gap_ms: int) -> None:
        """Press keys, each for so long and with that gap after it; returns in the last gap. They go as telephone
        events, by SIP INFO, or as tones, as the trunk wants it and the other side takes them.

        Raises Unavailable when the other side refuses them.
        """

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
        """Record both sides from now on, or from the end of a beep; returns the id of the recording.

        It ends by `stop_recording`, with the call, when nobody was heard for `end_of_silence` seconds, when the caller
        presses the key, which also counts for `receive_digits`, or after `duration` seconds; 0: never. Raises Invalid
        for a call that is not answered and for a format that cannot be made here, Conflict when one is under way,
        Exhausted, Unavailable.
        """

    async def stop_recording(self) -> None:
        """End the recording. Raises Conflict when none is under way."""

    async def connect(self, dial: Dial) -> Dialed:
        """Let the caller talk to the first who answers; returns when that one is gone, or when nobody answered.

        Answers the call when the other side does. Raises EdgeError, saying why, when nobody could be rung at all.
        With `relay_reason` it ends with SessionEnded when nobody answered.
        """

    async def block(self, seconds: float) -> Mapping[str, str] | None:
        """Wait until somebody outside says to go on, and return the variables he gives; None when the time was over.

        Who said so before this was asked is heard at once.
        """

    async def redirect(self, destinations: Sequence[str]) -> NoReturn:
        """Send the caller elsewhere: 302 before the answer, REFER after it.

        `destinations` are SIP or tel URIs, best first. Ends with SessionEnded when the caller went. Raises EdgeError,
        saying why, when it did not: then the call is still up and the flow goes on.
        """

    async def hangup(self, reason: HangupReason) -> NoReturn:
        """End the call: with the SIP status that `reason` means before the answer, with BYE after it."""


class MessageSession(Session, Protocol):
    """A text that came in and may be answered."""

    async def reply(self, text: str) -> str:
        """Answer the sender from the number that was texted; returns the id of the answer, see `send_text`."""
