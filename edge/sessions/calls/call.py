"""A call on its way through its flow: the session that joins dialog, stream and flow, and is none of them.

The dialog is the SIP agent's (`edge/sip`), the stream the media engine's (`edge/media`), the order of things the flow's
(`edge/flows`). This file only carries wishes from the flow to the other two, and news from them back to the flow. How a
call comes to its dialog depends on who calls: `offered.py` has those that came to us.

A flow does one thing at a time, and `waiting.py` is where it waits: whoever ends the call ends that, too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, NoReturn, Protocol, TypeVar

from edge.errors import Conflict, EdgeError, Invalid, Unavailable
from edge.flows.dial import Dial, Dialed
from edge.flows.external_media import ExternalMedia
from edge.flows.session import CallStatus, EndKey, HangupReason, RecordingFormat, Session, SessionEnded
from edge.media import sdp
from edge.media.audio import Audio
from edge.media.crypto import Keyring, Srtp
from edge.media.g711 import Codec
from edge.media.inband import spoken
from edge.media.prompt import Prompts
from edge.media.speech import Speech
from edge.media.stream import StreamClosed
from edge.media.tone import beep
from edge.media.transport.engine import MediaEngine
from edge.media.transport.stream import Stream
from edge.recordings.recorder import Recorder
from edge.recordings.take import Wish
from edge.sessions.calls.causes import CAUSE_OF_REASON, NORMAL_CAUSE, reason_of, word_of
from edge.sessions.calls.events import Tell, silent
from edge.sessions.calls.external_media.desk import ForkDesk
from edge.sessions.calls.keys import Gathering, Keys, Tones
from edge.sessions.calls.pressing import KIND, NOBODY, Way, body, ways
from edge.sessions.calls.record import Attempt
from edge.sessions.calls.recording import CallRecording
from edge.sessions.calls.waiting import Waiting
from edge.sessions.origin import Origin
from edge.sessions.outside import Made, Outside, Reach
from edge.sip.events import By, Reoffer
from edge.sip.events import Call as Dialog
from edge.sip.peer import Peer
from edge.sip.reason import read_cause, read_text
from edge.sip.transport import Endpoint
from edge.store.metadata import new_id, take_chance
from edge.trunks.trunk import Trunk

T = TypeVar("T")

OK: Final = 200
GONE: Final = 481
REFER_SECONDS: Final = 40.0  # a REFER whose NOTIFYs say nothing final in this time has failed (a ring timeout and more)

Fields = Sequence[tuple[str, str]]


class Joined(Protocol):
    """Who joins a call to others, and wants its news."""

    @property
    def talking(self) -> bool:
        """Whether it talks to another: what it types is then for that one, not for the flow."""

    def ended(self, call: Call) -> None:
        """It is over."""

    def pressed(self, call: Call, digits: str, *, relayed: bool) -> None:
        """Keys came: by INFO, or as events, which are `relayed` as far as the other side takes them."""

    def described(self, call: Call, direction: sdp.Direction) -> None:
        """Its other side has described its media anew, and this is what it does from now on."""


@dataclass(frozen=True, slots=True)
class Desk:
    """What every call uses of the daemon. `send_text` is (session, source, destination, text) → message id; `connect`
    sees a call through a `Dial`.
    """

    endpoint: Endpoint
    media: MediaEngine
    prompts: Prompts
    speech: Speech
    forks: ForkDesk
    send_text: Callable[[Session, str, str, str], Coroutine[Any, Any, str]]
    reach: Reach
    recorder: Recorder
    connect: Callable[[Call, Dial], Coroutine[Any, Any, Dialed]]
    tell: Tell = silent  # of what happens to a call


class Call:
    """Implements `flows.session.CallSession` for one call, whoever began it."""

    __slots__ = (
        "_agreed",
        "_asked",
        "_body",
        "_chained",
        "_desk",
        "_dialog",
        "_doing",
        "_gathering",
        "_informs",
        "_joined",
        "_keys",
        "_keys_end",
        "_local",
        "_offering",
        "_recording",
        "_refer_status",
        "_stream",
        "_told",
        "_tones",
        "_trunk",
        "_waiting",
        "attempt",
    )

    def __init__(self, desk: Desk, attempt: Attempt) -> None:
        self.attempt = attempt
        self._desk = desk
        self._trunk: Trunk | None = None  # that it came by, or goes by
        self._dialog: Dialog | None = None
        self._stream: Stream | None = None
        self._local: sdp.Local | None = None  # our side of the session, once media are open
        self._agreed: sdp.Negotiated | None = None  # by both sides; None until the caller's side is known
        self._body = b""  # the SDP we sent: the same in a 183 and the 200 behind it
        self._doing: sdp.Direction = "sendrecv"  # with our media, as far as it is up to us
        self._offering: sdp.Local | None = None  # set while an offer of ours has no answer
        self._waiting = Waiting()
        self._keys = Keys()
        self._gathering = False  # a step waits for keys
        self._keys_end = False  # a key ends what plays
        self._tones: Tones | None = None  # hears keys in the audio
        self._informs = False  # the other side sends keys by INFO
        self._asked: asyncio.Future[int] | None = None  # the answer to an INFO of ours
        self._refer_status: int | None = None
        self._told: Mapping[str, str] | None = None  # to go on, with these variables; kept until `block` asks
        self._recording: CallRecording | None = None  # once one was begun
        self._joined: Joined | None = None
        self._chained: Sequence[Made] = ()  # calls that end with this one

    # What the flow may ask

    @property
    def id(self) -> str:
        return self.attempt.id

    @property
    def customer_id(self) -> str:
        return self.attempt.customer_id

    @property
    def status(self) -> CallStatus:
        return self.attempt.status_now

    @property
    def number_id(self) -> str:
        return self.attempt.number_id

    @property
    def peer(self) -> str:
        return self.attempt.peer

    @property
    def outside(self) -> Outside:
        return Outside(self, self._desk.reach)

    @property
    def origin(self) -> Origin:
        attempt = self.attempt
        return Origin(
            customer_id=attempt.customer_id,
            number=attempt.number,
            caller=attempt.source if attempt.direction == "incoming" else "",
            private=self.private,
            path=self.path,
            hops=max(self.hops_left - 1, 0),
        )

    def chain(self, call: Made) -> None:
        self._chained = [*(one for one in self._chained if one.ended is None), call]
        if self.ended is not None:
            call.hang_up("normal")

    async def sleep(self, seconds: float) -> None:
        self._waiting.alive()
        await self._waiting.until(_never, seconds)

    async def block(self, seconds: float) -> Mapping[str, str] | None:
        self._waiting.alive()
        await self._waiting.until(lambda: self._told is not None, seconds)
        told, self._told = self._told, None
        return told

    async def send_text(self, source: str, destination: str, text: str) -> str:
        self._waiting.alive()
        return await self._waiting.during(self._desk.send_text(self, source, destination, text))

    async def answer(self) -> None:
        self._waiting.alive()
        if self._dialog is None:
            self._pick_up()
        await self._agreement()

    async def play(self, sources: Sequence[str]) -> None:
        self._waiting.alive()
        prompts = [await self._waiting.during(self._desk.prompts.load(source)) for source in sources]
        await self._play(prompts)

    async def say(self, text: str, *, language: str, voice: str, provider: str, keys_end: bool, wait: bool) -> None:
        self._waiting.alive()
        speech = list[Audio]()
        if not (keys_end and self._keys):
            speak = self._desk.speech.speak(text, language=language, voice=voice, provider=provider)
            speech.append(await self._waiting.during(speak))
        await self.answer()
        if wait:
            await self._play(speech, keys_end=keys_end)
        elif not (keys_end and self._keys):
            self._keys_end = keys_end
            self._mind_tones()
            (await self._media()).begin(*speech)

    async def beep(self) -> None:
        self._waiting.alive()
        await self._play([beep()])

    async def start_external_media(self, media: ExternalMedia) -> str:
        self._waiting.alive()
        told = {"call_id": self.id, "source": self.attempt.shown_source, "destination": self.attempt.destination}
        return await self._waiting.during(self._desk.forks.start(await self._media(), media, told))

    async def stop_external_media(self) -> int:
        self._waiting.alive()
        return self._desk.forks.stop(self._stream, "stopped") if self._stream is not None else 0

    async def receive_digits(self, *, end_keys: str, length: int, seconds: float) -> str:
        self._waiting.alive()
        gathering = Gathering(self._keys, end_keys, length)
        self._gathering = True
        self._mind_tones()
        try:
            await self._waiting.until(gathering.complete, seconds)
        finally:
            self._gathering = False
            self._mind_tones()
        return gathering.digits

    async def echo(self, seconds: float) -> None:
        self._waiting.alive()
        stream = await self._media()
        stream.relay(stream)
        try:
            await self.sleep(seconds)
        finally:
            stream.unrelay()

    async def send_digits(self, digits: str, *, press_ms: int, gap_ms: int) -> None:
        self._waiting.alive()
        await self._media()
        await self._sounding(self.press(digits, self.key_ways(), press_ms=press_ms, gap_ms=gap_ms))

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
        self._waiting.alive()
        if self._recording is None:
            self._recording = CallRecording(self, self._desk.recorder)
        self._recording.require_room()
        if beep:
            await self.beep()
        wish = Wish(format, end_of_silence, end_of_key, duration)
        return await self._waiting.during(self._recording.start(wish, on_end_flow_id))

    async def stop_recording(self) -> None:
        self._waiting.alive()
        if self._recording is None or not self._recording.stop():
            raise Conflict("no recording is under way")

    async def connect(self, dial: Dial) -> Dialed:
        self._waiting.alive()
        return await self._desk.connect(self, dial)

    async def redirect(self, destinations: Sequence[str]) -> NoReturn:
        self._waiting.alive()
        if self._dialog is None:
            raise self._divert(destinations)
        if self._dialog.allow is not None and "REFER" not in self._dialog.allow:
            raise Invalid("the caller's side does not allow REFER")
        status = 0
        for destination in destinations:
            status = await self._transfer(self._dialog, destination)
            if 200 <= status < 300:
                self.hang_up("redirect")
                self._waiting.alive()
        raise Unavailable(f"the transfer failed with {status}")

    async def hangup(self, reason: HangupReason) -> NoReturn:
        self._waiting.alive()
        self.hang_up(reason)
        raise self.ended or SessionEnded("local", reason)

    # What it does for `outside`

    def next_id(self) -> str:
        return new_id()

    async def during(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        self._waiting.alive()
        return await self._waiting.during(work())

    # What the router and the daemon may do

    @property
    def answered(self) -> bool:
        return self._dialog is not None

    @property
    def stream(self) -> Stream | None:
        """Its media; None before they are open, and once it is over."""
        return self._stream

    @property
    def ended(self) -> SessionEnded | None:
        return self._waiting.ended

    def go_on(self, variables: Mapping[str, str]) -> None:
        """Somebody outside says so."""
        self._told = variables
        self._waiting.wake()

    def hang_up(self, reason: str = "normal", *, status: int | None = None, cause: int | None = None) -> None:
        """End the call, unless it is over: BYE after the answer, before it `status` or what `reason` means. `cause` is
        that of Q.850 for the Reason header, if it is not the reason's."""
        if self.ended is not None:
            return
        cause = CAUSE_OF_REASON.get(reason, NORMAL_CAUSE) if cause is None else cause
        if self._dialog is None:
            self._give_up(reason, status, cause)
            return
        endpoint = self._desk.endpoint
        self.attempt.hangup_cause = cause
        endpoint.agent.end(self._dialog, endpoint.now(), reason=reason_of(cause))
        self._end("local", reason)

    def let_go(self) -> None:
        """It is all over: the handles of the agent forget us, so that no ring is left for the collector to find."""
        self.close()
        if self._dialog is not None:
            self._dialog.owner = None

    def close(self) -> None:
        """Let go of the media; what they came to goes into the record."""
        if self._recording is not None:
            self._recording.end()
        if self._stream is None:
            return
        stream, self._stream = self._stream, None
        stats, attempt = stream.stats, self.attempt
        attempt.rtp_sent, attempt.rtp_received = stats.sent_packets, stats.received_packets
        attempt.rtp_lost, attempt.jitter_ms = stats.lost_packets, round(stats.jitter_ms, 3)
        self._desk.forks.stop(stream, "hangup")
        stream.close()

    # What a bridge may do

    @property
    def desk(self) -> Desk:
        return self._desk

    @property
    def codec(self) -> Codec | None:
        """What it speaks, or would like to, as far as that is known."""
        return self._agreed.codec if self._agreed is not None else None

    @property
    def direction(self) -> sdp.Direction | None:
        """What its other side does with its media, as far as that is known."""
        return sdp.MIRROR[self._agreed.direction] if self._agreed is not None else None

    @property
    def path(self) -> tuple[str, ...]:
        """The numbers of ours that it came through, the one it reached last."""
        raise NotImplementedError  # offered.py and leg.py each have their own

    @property
    def hops_left(self) -> int:
        """How many more elements it may pass through (Max-Forwards, RFC 3261 §8.1.1.6)."""
        raise NotImplementedError  # offered.py and leg.py each have their own

    @property
    def private(self) -> bool:
        """Whether who called wants his number withheld (RFC 3323)."""
        raise NotImplementedError  # offered.py and leg.py each have their own

    def join(self, joined: Joined | None) -> None:
        """Tell the news of this call to somebody, or to nobody any more."""
        self._joined = joined
        self._keys.clear()

    async def wait(self) -> None:
        """Wait until `wake`. Raises SessionEnded."""
        self._waiting.alive()
        await self._waiting.wait()
        self._waiting.alive()

    def wake(self) -> None:
        self._waiting.wake()

    def ring(self) -> None:
        """Tell an unanswered caller that it rings."""

    def open_early(self) -> None:
        """Open media before the answer, unless they are. Raises Invalid when there can be none, SessionEnded when none
        are agreed on."""
        if self._stream is None:
            self._open_early()

    def pick_up(self) -> None:
        """Answer, if that was not done before. Raises SessionEnded when it is impossible."""
        if self._dialog is None:
            self._pick_up()

    def key_ways(self) -> tuple[Way, ...]:
        """How keys go to the other side, as things are now."""
        events = self._agreed is not None and self._agreed.dtmf_payload_type is not None
        methods = NOBODY if self._dialog is None else self._dialog.allow
        return ways("rfc4733" if self._trunk is None else self._trunk.dtmf, events=events, methods=methods)

    async def press(
        self, digits: str, by: Sequence[Way], *, press_ms: int | None = None, gap_ms: int | None = None
    ) -> None:
        """Press these keys, in these ways. Raises StreamClosed when the call is over, Unavailable when it refuses."""
        section, stream = self._desk.media.section, self._stream
        if stream is None:
            raise StreamClosed
        press, gap = (
            (section.press_ms if press_ms is None else press_ms),
            (section.gap_ms if gap_ms is None else gap_ms),
        )
        info = asyncio.create_task(self._inform(digits, press, gap)) if "info" in by else None
        try:
            if "events" in by:
                await stream.send_digits(digits, press_ms=press, gap_ms=gap)
            elif "tones" in by:
                await stream.play(*spoken(digits, press, gap))
        finally:
            if info is not None:
                await info

    def offer_again(self, direction: sdp.Direction) -> None:
        """A re-INVITE: tell the other side what we do from now on. The agent sends it when it may (RFC 3261 §14.1)."""
        if self._dialog is None or self._local is None:
            return
        self._doing = direction
        self._body, self._local = sdp.reoffer(self._local, self._body, direction=direction, agreed=self._agreed)
        endpoint = self._desk.endpoint
        endpoint.agent.reinvite(self._dialog, self._body, endpoint.now())
        endpoint.flush()

    # What the wire says

    def closed(self, by: By, reason: str | None, status: int = 0) -> None:
        """The dialog is over: by a BYE, for want of an ACK or a refresh, because the other side is gone. `status`: the
        other side never had our 200, but this instead."""
        if status:
            self.attempt.sip_code, self.attempt.tm_progressing = status, None
            self.attempt.outcome = "cancelled" if by == "remote" else "failed" if status >= 500 else "rejected"
        if by == "remote" and status:
            self._end("remote", "cancel", reason)
        elif by == "remote":
            self._end("remote", word_of(read_cause(reason), "normal"), reason)
        else:
            self.attempt.error = self.attempt.error or read_text(reason)
            self._end("local", by if by != "local" else "normal", reason)

    def confirmed(self, body: bytes | None) -> None:
        """The ACK came; when the offer was ours it brings the answer (RFC 3261 §13.2.2.4). Without one nothing new is
        agreed, and the agent ends the call when nothing was agreed before."""
        offering, self._offering = self._offering, None
        if offering is None or body is None or self._stream is None:
            return
        try:
            agreed = sdp.accept(offering, sdp.read(body), self._agreed)
        except EdgeError as error:
            if self._agreed is None:
                self.attempt.error = error.message
                self.hang_up("failed")
            return
        self._agree(agreed)
        self._describe(agreed)

    def reoffered(self, reoffer: Reoffer) -> None:
        """A re-INVITE: hold, resume, another address. What cannot be agreed leaves the session as it was (§14.2)."""
        endpoint = self._desk.endpoint
        if self._stream is None or self._local is None:
            endpoint.agent.refuse(reoffer, 488, endpoint.now())
            return
        agreed: sdp.Negotiated | None = None
        if reoffer.sdp is None:
            self._body, self._local = sdp.reoffer(self._local, self._body, direction=self._doing, agreed=self._agreed)
            self._offering = self._local
        else:
            try:
                offered = sdp.read(reoffer.sdp)
                self._body, agreed, self._local = sdp.reanswer(offered, self._local, self._body, self._agreed)
            except EdgeError as error:
                endpoint.agent.refuse(reoffer, error.sip, endpoint.now(), fields=warning(error, self._local.host))
                return
            self._agree(agreed)
        endpoint.agent.accept(reoffer, self._body, endpoint.now())
        if agreed is not None:
            self._describe(agreed)

    def reanswered(self, body: bytes | None, *, refresh: bool = False) -> None:
        """The answer to a re-INVITE of ours. One that cannot be read changes nothing; to one that only kept the session
        up it need not say anything."""
        if body is None or self._stream is None or self._local is None:
            return
        try:
            self._agree(sdp.accept(self._local, sdp.read(body), self._agreed))
        except EdgeError as error:
            if not refresh:
                self.attempt.error = error.message

    def informed(self, digits: str) -> None:
        """Keys came by INFO. Who sends them so is not listened to for tones: no key is to count twice."""
        self._informs = True
        self._mind_tones()
        self.typed(digits, relayed=False)

    def info_answered(self, status: int) -> None:
        """The answer to an INFO of ours."""
        if self._asked is not None and not self._asked.done():
            self._asked.set_result(status)

    def typed(self, keys: str, *, relayed: bool = True) -> None:
        """Keys came in, by RTP or INFO."""
        if self._recording is not None:
            self._recording.press(keys)
        if self._stream is not None:
            self._desk.forks.typed(self._stream, keys)
        if self._joined is not None and self._joined.talking:
            self._joined.pressed(self, keys, relayed=relayed)
            return
        self._keys.type(keys)
        if self._gathering:
            self._waiting.wake()
        if self._keys_end and self._stream is not None:
            self._stream.hush()

    def transferred(self, status: int, final: bool) -> None:
        """A NOTIFY of our REFER, or its refusal."""
        if final:
            self._refer_status = status
            self._waiting.wake()

    # Inside

    def _pick_up(self) -> None:
        """Answer for the first time. Raises SessionEnded when that is impossible."""
        raise NotImplementedError  # offered.py and leg.py each have their own

    def _divert(self, destinations: Sequence[str]) -> SessionEnded:
        """Send the unanswered caller elsewhere; the end of the session."""
        raise NotImplementedError  # offered.py and leg.py each have their own

    def _give_up(self, reason: str, status: int | None, cause: int) -> None:
        """End the unanswered call."""
        raise NotImplementedError  # offered.py and leg.py each have their own

    def _open_early(self) -> None:
        """Open media before the answer. Raises Invalid when there can be none, SessionEnded when none are agreed on."""
        raise NotImplementedError  # offered.py and leg.py each have their own

    def _agree(self, agreed: sdp.Negotiated) -> None:
        assert self._stream is not None
        self._stream.events = self._trunk is None or self._trunk.dtmf != "info"
        self._stream.connect(agreed)
        self.attempt.codec = agreed.codec
        self.attempt.security = agreed.sdes.suite if agreed.sdes is not None else ""
        if self._agreed is None:
            self._waiting.wake()
        self._agreed = agreed
        self._mind_tones()

    def _local_side(self, stream: Stream, peer: Peer) -> sdp.Local:
        """Our side of a session at its beginning. Who calls within the edge reaches us where nobody else would."""
        host, port = stream.local
        trunk = self._trunk
        if trunk is not None and trunk.advertise is not None and (":" in trunk.advertise) == (":" in host):
            host = trunk.advertise
        srtp: Srtp = "off" if trunk is None else trunk.srtp
        keeps = trunk is not None and (peer.transport == "tls" or trunk.srtp_without_tls)  # keys from others' eyes
        ptime = self._desk.media.section.ptime_ms
        return sdp.Local(
            peer.local[0] if peer.inside else host,
            port,
            session_id=stream.sender.ssrc,
            session_version=1,
            ptime_default=ptime,
            codecs=() if trunk is None else trunk.codecs,
            srtp=srtp,
            keys=Keyring(take_chance) if srtp != "off" and keeps else None,
        )

    async def _inform(self, digits: str, press_ms: int, gap_ms: int) -> None:
        """Send keys by INFO, each once the one before is answered and let go."""
        endpoint, loop = self._desk.endpoint, asyncio.get_running_loop()
        for key in digits:
            for pause in (False, True):
                if self._dialog is None or self.ended is not None:
                    raise StreamClosed
                self._asked = loop.create_future()
                timer = None
                if pause:
                    timer = loop.call_later((press_ms + gap_ms) / 1000, self.info_answered, OK)
                else:
                    endpoint.agent.inform(self._dialog, KIND, body(key, press_ms), endpoint.now())
                    endpoint.flush()
                try:
                    status = await self._asked
                finally:
                    if timer is not None:
                        timer.cancel()
                if not 200 <= status < 300:
                    raise Unavailable(f"the other side answered INFO with {status}")

    def _mind_tones(self) -> None:
        """Hear keys in the audio as long as a step waits for some and the other side has no better way to send them."""
        wanted = self._gathering or self._keys_end
        if wanted and self._agreed is not None and self._agreed.dtmf_payload_type is None and not self._informs:
            if self._tones is None and self._stream is not None:
                self._tones = Tones(self.typed)
                self._stream.tap(self._tones)
        elif self._tones is not None:
            if self._stream is not None:
                self._stream.untap(self._tones)
            self._tones = None

    def _describe(self, agreed: sdp.Negotiated) -> None:
        if self._joined is not None:
            self._joined.described(self, sdp.MIRROR[agreed.direction])

    async def _media(self) -> Stream:
        """The stream; of an unanswered call as early media."""
        if self._dialog is None and self._stream is None:
            self._open_early()
        await self._agreement()
        assert self._stream is not None
        return self._stream

    async def _agreement(self) -> None:
        """Where our offer went out, nobody can be played to until its answer comes. Raises SessionEnded."""
        while self._agreed is None:
            await self._waiting.wait()
            self._waiting.alive()

    async def _play(self, prompts: Sequence[Audio], *, keys_end: bool = False) -> None:
        """Play to the end, or to a key."""
        stream = await self._media()
        if keys_end and self._keys:
            return
        self._keys_end = keys_end
        self._mind_tones()
        try:
            await self._sounding(stream.play(*prompts))
        finally:
            self._keys_end = False
            self._mind_tones()

    async def _sounding(self, work: Coroutine[Any, Any, None]) -> None:
        """Wait for something that is done on the stream. When that is closed, the session is over."""
        try:
            await work
        except StreamClosed:
            self._waiting.alive()
            raise

    async def _transfer(self, dialog: Dialog, destination: str) -> int:
        """REFER, and the final status of what came of it; 408 when nothing did."""
        endpoint = self._desk.endpoint
        self._refer_status = None
        endpoint.agent.refer(dialog, destination, endpoint.now())
        endpoint.flush()
        await self._waiting.until(lambda: self._refer_status is not None, REFER_SECONDS)
        return 408 if self._refer_status is None else self._refer_status

    def _end(self, by: Literal["remote", "local"], reason: str, said: str | None = None) -> SessionEnded:
        """The session is over. Only the first end counts. `said`: a Reason field that tells more (RFC 3326)."""
        if self.ended is not None:
            return self.ended
        if said is not None:
            self.attempt.hangup_cause = read_cause(said) or 0
        self._waiting.ended = ended = SessionEnded(by, reason)
        self.attempt.hangup_by, self.attempt.hangup_reason = by, reason
        self.close()
        self._waiting.break_off()
        self.info_answered(GONE)
        if self._joined is not None:
            self._joined.ended(self)
        for call in self._chained:
            call.hang_up("normal")
        self._desk.endpoint.flush()
        return ended

    def _silent(self) -> None:
        """No RTP for too long: the other side is gone without a word."""
        self.attempt.error = "no media from the caller"
        self.hang_up("timeout")


def _never() -> bool:
    return False


def warning(error: EdgeError, host: str) -> Fields:
    """The Warning header of an answer to an offer that cannot be agreed to."""
    return (("Warning", error.warning(host)),) if isinstance(error, sdp.NoCommonCodec) else ()
