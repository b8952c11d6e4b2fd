"""Offer and answer (RFC 3264), as far as a G.711 endpoint needs them.

`read` gives a `Description`; `answer` and `accept` make of it `Negotiated`: what a stream has to do. The rules:

- Every media line of an offer is answered, in order. The first audio line that we can serve is taken; the others are
  refused with port 0 (§6).
- The codec is the first of the offerer's list that we speak (§6.1), or the first of ours where `Local.codecs` has an
  order. The answer names only it, so that nobody has to guess which one comes; beside it telephone-event, when it was
  offered with our clock.
- A profile with feedback (RTP/AVPF, RFC 4585) is answered in kind; that we never send any is within its rules.
- The packet time is the offer's, if it is one we can keep.
- A line may be encrypted (RTP/SAVP with `a=crypto`, RFC 4568) or not, as `Local.srtp` has it, and is answered in kind.
  Of several lines the first that may be is taken. Our keys stay the same as long as the session lasts.
- Later offers of ours keep what there is: all media lines in their places, payload types, the codec first (§8).
- A later offer whose audio has port 0 takes the audio away (§8.2), a kind of hold; the next one may bring it back.

Not nice: a `c=` with a host name is accepted, but nobody waits for a name server here. It counts as no address at all,
and the stream sends once it hears where the other side is.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import ip_address
from typing import Literal, NamedTuple, get_args

from edge.errors import EdgeError
from edge.media.crypto import Keyring, Sdes, Srtp
from edge.media.description import NUMBER, RTPMAP, Attribute, BadSdp, Connection, Description, Media, Origin, read
from edge.media.g711 import CODECS, RATE, STATIC_TYPE, Codec

__all__ = [
    "BadSdp",
    "Connection",
    "Description",
    "Direction",
    "Local",
    "Media",
    "Negotiated",
    "NoCommonCodec",
    "Origin",
    "accept",
    "answer",
    "offer",
    "preferred",
    "read",
    "reanswer",
    "reoffer",
]

Direction = Literal["sendrecv", "sendonly", "recvonly", "inactive"]
DIRECTIONS: tuple[Direction, ...] = get_args(Direction)
MIRROR: dict[Direction, Direction] = {  # what we may do when the other side does this, RFC 3264 §6.1
    "sendrecv": "sendrecv",
    "sendonly": "recvonly",
    "recvonly": "sendonly",
    "inactive": "inactive",
}

NO_SENDING: dict[Direction, Direction] = {
    "sendrecv": "recvonly",
    "sendonly": "inactive",
    "recvonly": "recvonly",
    "inactive": "inactive",
}

MIN_PTIME_MS, MAX_PTIME_MS, PTIME_MS = 10, 60, 20  # what we send; any packet time is received
OFFERED_EVENT_TYPE = 101  # telephone-event in our own offers
EVENTS = "0-15"
PROTOCOL = "RTP/AVP"
SECURE_PROTOCOL = "RTP/SAVP"
FEEDBACK_PROTOCOL = "RTP/AVPF"
SECURE_FEEDBACK_PROTOCOL = "RTP/SAVPF"
SECURE = (SECURE_PROTOCOL, SECURE_FEEDBACK_PROTOCOL)
PROTOCOLS = (PROTOCOL, FEEDBACK_PROTOCOL, *SECURE)
OURS = ""  # among the media lines of a session: our audio

Address = tuple[str, int]  # host, port


class NoCommonCodec(EdgeError):
    """There is no media line that we could serve. `code` and `text` are for the Warning header (RFC 3261 §20.43)."""

    http, status, sip = 400, "INVALID_ARGUMENT", 488

    def __init__(self, code: Literal[301, 304, 305], text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text

    def warning(self, agent: str) -> str:
        """The value of a Warning header; `agent` is our host."""
        return f'{self.code} {f"[{agent}]" if ":" in agent else agent} "{self.text}"'


class Local(NamedTuple):
    """Our side of a session. `host` is the address that others reach us at; the session id stays, the version grows.

    `srtp` says whether media may or must be encrypted. Without `keys` they cannot be. `codecs` are those that may be
    spoken, best first; none: all, and of an offer what it has first.
    """

    host: str
    port: int
    session_id: int
    session_version: int
    ptime_default: int = PTIME_MS
    srtp: Srtp = "off"
    keys: Keyring | None = None
    codecs: tuple[Codec, ...] = ()

    @property
    def spoken(self) -> tuple[Codec, ...]:
        return self.codecs or CODECS


class Negotiated(NamedTuple):
    """What both sides agreed on, seen from ours.

    `remote` is where our RTP goes: None while we are on hold by address, or when its host is a name or no single
    host. `rtcp` is where our RTCP goes (RFC 3605, else the next port). `direction` is ours: `recvonly` means that we
    are held. `sdes` has the keys, if the media are encrypted. `lines` are the media lines of the session in order, as
    refused, with `OURS` for the audio.
    """

    codec: Codec
    payload_type: int
    dtmf_payload_type: int | None
    ptime_ms: int
    remote: Address | None
    direction: Direction
    rtcp: Address | None = None
    sdes: Sdes | None = None
    protocol: str = PROTOCOL
    lines: tuple[str, ...] = (OURS,)

    @property
    def sends(self) -> bool:
        return self.direction in ("sendrecv", "sendonly")

    @property
    def receives(self) -> bool:
        return self.direction in ("sendrecv", "recvonly")


def answer(offer: Description, local: Local) -> tuple[bytes, Negotiated]:
    """Our answer to an offer, and what is agreed by it.

    Raises NoCommonCodec, also when they are at an address of the other family (RFC 6157); BadSdp for audio without a
    `c=`.
    """
    negotiated: Negotiated | None = None
    lines: list[str] = []
    for media in offer.media:
        types = _types(media, local.codecs) if negotiated is None and _may_be(media, local) else None
        if types is None:
            lines.append(_refused(media))
            continue
        sdes = local.keys.choose(_keys(media)) if local.keys is not None and _is_secure(media) else None
        negotiated = _negotiated(offer, media, *types, local.ptime_default)._replace(sdes=sdes)
        if negotiated.remote is not None and (":" in negotiated.remote[0]) != (":" in local.host):
            raise NoCommonCodec(301, f"Incompatible network address format: {negotiated.remote[0]} is out of reach")
        lines.append(OURS)
    if negotiated is None:
        raise _nothing_common(offer, local)
    negotiated = negotiated._replace(lines=tuple(lines))
    written = _placed(negotiated.lines, _audio_lines(local.port, negotiated))
    return _body(local, offer.times or ("0 0",), written), negotiated


def named(offer: Description, codecs: tuple[Codec, ...] = ()) -> str | None:
    """The address of theirs that an answer to this offer would send to; None while there is none."""
    for media in offer.media:
        if _types(media, codecs) is not None:
            connection = media.connections[0] if media.connections else offer.connection
            return None if connection is None else _single(connection.host)
    return None


def reanswer(
    offer: Description, local: Local, previous: bytes, agreed: Negotiated | None
) -> tuple[bytes, Negotiated, Local]:
    """The answer to a later offer of the same session: `previous` again when nothing changes in it, else the version is
    one higher (RFC 3264 §8). The `Local` that comes back is the one to use next time. Raises as `answer`; but a hold
    that names no codec of ours is a hold, and so is audio at port 0: the stream is refused, and what was `agreed` waits
    for a better offer.
    """
    body, negotiated = _answer_or_hold(offer, local, agreed)
    if body != previous:
        local = local._replace(session_version=local.session_version + 1)
        body, negotiated = _answer_or_hold(offer, local, agreed)
    return body, negotiated, local


def _answer_or_hold(offer: Description, local: Local, agreed: Negotiated | None) -> tuple[bytes, Negotiated]:
    try:
        return answer(offer, local)
    except NoCommonCodec:
        audio = [media for media in offer.media if media.kind == "audio"]
        directions = {_direction(media.attributes) or _direction(offer.attributes) for media in offer.media}
        if agreed is None or not (directions == {"inactive"} or (audio and not any(media.port for media in audio))):
            raise
    lines = [_refused(media) for media in offer.media]
    body = _body(local, offer.times or ("0 0",), lines)
    place = agreed.lines.index(OURS)
    if place >= len(lines) or offer.media[place].kind != "audio":
        place = next((place for place, media in enumerate(offer.media) if media.kind == "audio"), 0)
    lines[place] = OURS
    return body, _gone(agreed)._replace(lines=tuple(lines))


def _gone(agreed: Negotiated) -> Negotiated:
    """The same, as long as the audio is taken away."""
    return agreed._replace(direction="inactive", remote=None, rtcp=None)


def preferred(offer: Description, codecs: tuple[Codec, ...] = ()) -> Codec | None:
    """The codec that an answer to this offer would take, of those; None when there is none."""
    types = next((types for media in offer.media if (types := _types(media, codecs)) is not None), None)
    return None if types is None else types[0]


def offer(
    local: Local, *, first: Codec = CODECS[0], direction: Direction = "sendrecv", agreed: Negotiated | None = None
) -> bytes:
    """Our own offer: what we speak, and telephone-event. `first` is the best codec, unless our order has another.

    Within a session what was `agreed` last goes on as far as it may: the same lines, types, packet time; its codec is
    the best (RFC 3264 §8). Encrypted as was agreed; at the beginning wherever that may be.
    """
    keys: list[str] = []
    if local.keys is not None and local.srtp != "off":
        if agreed is None:
            keys = local.keys.lines()
        elif agreed.sdes is not None:
            keys = local.keys.lines(agreed.sdes.suite)
    types = dict(STATIC_TYPE)
    protocol = SECURE_PROTOCOL if keys else PROTOCOL
    event_type, ptime = OFFERED_EVENT_TYPE, local.ptime_default
    others: tuple[str, ...] = (OURS,)
    if agreed is not None:
        first, ptime, protocol, others = agreed.codec, agreed.ptime_ms, agreed.protocol, agreed.lines
        types[agreed.codec] = agreed.payload_type  # §8.3.2: a type stands for the same from beginning to end
        event_type = OFFERED_EVENT_TYPE if agreed.dtmf_payload_type is None else agreed.dtmf_payload_type
    by_us = agreed is None and bool(local.codecs)
    codecs = local.spoken if by_us else sorted(local.spoken, key=lambda codec: codec != first)
    lines = [f"m=audio {local.port} {protocol} {' '.join(str(types[codec]) for codec in codecs)} {event_type}", *keys]
    lines += [f"a=rtpmap:{types[codec]} {codec}/{RATE}" for codec in codecs]
    lines += _event_lines(event_type)
    lines += [f"a=ptime:{ptime}", f"a={direction}"]
    return _body(local, ("0 0",), _placed(others, lines))


def reoffer(local: Local, previous: bytes, *, direction: Direction, agreed: Negotiated | None) -> tuple[bytes, Local]:
    """A later offer of ours: the version is one higher where anything in it differs from what was said before, and only
    there (RFC 3264 §8). The `Local` that comes back is the one to use next time."""
    body = offer(local, direction=direction, agreed=agreed)
    if body != previous:
        local = local._replace(session_version=local.session_version + 1)
        body = offer(local, direction=direction, agreed=agreed)
    return body, local


def accept(local: Local, answer: Description, agreed: Negotiated | None = None) -> Negotiated:
    """What is agreed by the answer to `offer(local, agreed=agreed)`. Raises NoCommonCodec, or BadSdp when it is no
    answer to it. Audio that was there, and is not in the answer, is gone until a later offer."""
    lines = (OURS,) if agreed is None else agreed.lines
    if len(answer.media) != len(lines):
        raise BadSdp(1, f"the answer has {len(answer.media)} media lines, the offer had {len(lines)}")  # RFC 3264 §6
    media = answer.media[lines.index(OURS)]
    types = _types(media, local.codecs)
    if types is None:
        if agreed is not None and media.kind == "audio" and media.port == 0:
            return _gone(agreed)
        raise _nothing_common(answer, local)
    sdes = local.keys.accept(_keys(media)) if local.keys is not None and _is_secure(media) else None
    if sdes is None and (_is_secure(media) or local.srtp == "required"):
        raise NoCommonCodec(305, "Incompatible media format: the answer has no a=crypto that was offered")
    return _negotiated(answer, media, *types, local.ptime_default)._replace(sdes=sdes, lines=lines)


@lru_cache(maxsize=1024)
def _single(host: str) -> str | None:
    """The address of one machine in its usual spelling; None for a name, a group, the unspecified address of a hold."""
    try:
        address = ip_address(host)
    except ValueError:
        return None
    return None if address.is_multicast or address.is_unspecified or host == "255.255.255.255" else str(address)


def _types(media: Media, codecs: tuple[Codec, ...]) -> tuple[Codec, int, int | None] | None:
    """Codec, its payload type and that of telephone-event; None when this line cannot be served with these codecs."""
    if not _is_audio(media):
        return None
    named: dict[str, tuple[str, str, str | None]] = {}
    for key, value in media.attributes:
        if key == "rtpmap" and value is not None and (match := RTPMAP.fullmatch(value)):
            named.setdefault(str(int(match[1])), (match[2].upper(), match[3], match[4]))
    spoken: dict[Codec, int] = {}
    event_type: int | None = None
    for text in media.formats:
        payload_type = int(text)
        name, clock, channels = named.get(str(payload_type)) or _STATIC.get(payload_type, _UNKNOWN)
        if clock != _RATE or channels not in (None, "1"):
            continue
        if name in CODECS:
            spoken.setdefault("PCMU" if name == "PCMU" else "PCMA", payload_type)
        elif event_type is None and name == "TELEPHONE-EVENT":
            event_type = payload_type
    codec = next((codec for codec in codecs or spoken if codec in spoken), None)
    return None if codec is None else (codec, spoken[codec], event_type)


_RATE = str(RATE)
_UNSPECIFIED = ("0.0.0.0", "::")
_UNKNOWN: tuple[str, str, str | None] = ("", "", None)
_STATIC: dict[int, tuple[str, str, str | None]] = {
    number: (codec, _RATE, None) for codec, number in STATIC_TYPE.items()
}


def _negotiated(
    description: Description, media: Media, codec: Codec, codec_type: int, event_type: int | None, ptime_default: int
) -> Negotiated:
    connection = media.connections[0] if media.connections else description.connection
    if connection is None:
        raise BadSdp(1, "the audio has no c= line, and neither has the session")  # RFC 8866 §5.7
    direction = MIRROR[_direction(media.attributes) or _direction(description.attributes) or "sendrecv"]
    if connection.host in _UNSPECIFIED:  # the hold of RFC 2543, RFC 3264 §8.4: nothing may be sent
        direction = NO_SENDING[direction]
    host = _single(connection.host)
    return Negotiated(
        codec=codec,
        payload_type=codec_type,
        dtmf_payload_type=event_type,
        ptime_ms=_ptime(media, ptime_default),
        remote=(host, media.port) if host else None,
        direction=direction,
        rtcp=_rtcp(media, host) if host else None,
        protocol=media.protocol,
    )


def _direction(attributes: tuple[Attribute, ...]) -> Direction | None:
    for key, value in attributes:
        if value is None and key in MIRROR:
            return next(direction for direction in DIRECTIONS if direction == key)
    return None


def _ptime(media: Media, default: int) -> int:
    """The packet time to send with: theirs when it is one we can keep, never above their maximum (RFC 8866 §6.4)."""
    wanted = _milliseconds(media.attribute("ptime"))
    most = _milliseconds(media.attribute("maxptime")) or MAX_PTIME_MS
    ptime = wanted if wanted and MIN_PTIME_MS <= wanted <= MAX_PTIME_MS else default
    return max(MIN_PTIME_MS, min(ptime, most))


def _milliseconds(text: str | None) -> int | None:
    whole = (text or "").strip().partition(".")[0]
    return int(whole) if NUMBER.fullmatch(whole) else None


def _rtcp(media: Media, host: str) -> Address | None:
    """Where reports go: `a=rtcp:PORT [IN FAMILY HOST]` (RFC 3605 §2.1), else the next port."""
    fields = (media.attribute("rtcp") or "").split()
    if fields and NUMBER.fullmatch(fields[0]) and 0 < int(fields[0]) <= 65535:
        named = _single(fields[3]) if len(fields) == 4 else None
        return named or host, int(fields[0])
    return (host, media.port + 1) if media.port < 65535 else None


def _refused(media: Media) -> str:
    """RFC 3264 §6."""
    return f"m={media.kind} 0 {media.protocol} {media.formats[0]}"


def _is_audio(media: Media) -> bool:
    return media.kind == "audio" and media.protocol in PROTOCOLS and media.port != 0


def _is_secure(media: Media) -> bool:
    return media.protocol in SECURE


def _keys(media: Media) -> list[str]:
    return [value for key, value in media.attributes if key == "crypto" and value is not None]


def _may_be(media: Media, local: Local) -> bool:
    """Whether a line is as encrypted as it may or must be."""
    if not _is_secure(media):
        return local.srtp != "required"
    return local.srtp != "off" and local.keys is not None and local.keys.choose(_keys(media)) is not None


def _nothing_common(description: Description, local: Local) -> NoCommonCodec:
    audio = [media for media in description.media if _is_audio(media)]
    if any(_may_be(media, local) for media in audio):
        return NoCommonCodec(305, f"Incompatible media format: {' and '.join(local.spoken)} are spoken here")
    if local.srtp == "required" and local.keys is None:
        return NoCommonCodec(304, "Media type not available: audio must be encrypted here, and its keys need TLS")
    if local.srtp != "off" and local.keys is not None and any(map(_is_secure, audio)):
        return NoCommonCodec(305, "Incompatible media format: no a=crypto that can be served here")
    protocol = SECURE_PROTOCOL if local.srtp == "required" else PROTOCOL
    return NoCommonCodec(304, f"Media type not available: audio over {protocol} is served here")


def _audio_lines(port: int, agreed: Negotiated) -> list[str]:
    codec, codec_type, event_type = agreed.codec, agreed.payload_type, agreed.dtmf_payload_type
    types = f"{codec_type}" if event_type is None else f"{codec_type} {event_type}"
    lines = [f"m=audio {port} {agreed.protocol} {types}", f"a=rtpmap:{codec_type} {codec}/{RATE}"]
    if agreed.sdes is not None:
        lines.append(agreed.sdes.line)
    if event_type is not None:
        lines += _event_lines(event_type)
    lines += [f"a=ptime:{agreed.ptime_ms}", f"a={agreed.direction}"]
    return lines


def _placed(lines: tuple[str, ...], audio: list[str]) -> list[str]:
    """All media lines of a session, our audio in its place."""
    return [written for line in lines for written in (audio if line == OURS else [line])]


def _event_lines(payload_type: int) -> list[str]:
    return [f"a=rtpmap:{payload_type} telephone-event/{RATE}", f"a=fmtp:{payload_type} {EVENTS}"]


def _body(local: Local, times: tuple[str, ...], media: list[str]) -> bytes:
    host, session_id, version = local.host, local.session_id, local.session_version
    family = "IP6" if ":" in host else "IP4"
    lines = [
        "v=0",
        f"o=- {session_id} {version} IN {family} {host}",
        "s=-",
        f"c=IN {family} {host}",
        *[f"t={time}" for time in times],  # the answer's equal the offer's, RFC 3264 §6
        *media,
    ]
    return ("\r\n".join(lines) + "\r\n").encode("utf-8", "surrogateescape")
