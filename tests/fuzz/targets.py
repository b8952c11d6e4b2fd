"""Every reader of what strangers send, as a function that raises only for what it must never do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import count
from typing import Final

from edge.errors import EdgeError
from edge.media import rtcp, rtp, sdp
from edge.media.dtmf import DigitReader
from edge.sip import cpim, party
from edge.sip.agent import Agent
from edge.sip.body import TEXT, body_of, sdp_body
from edge.sip.digest import Challenge, Credentials
from edge.sip.events import CallOffered
from edge.sip.framing import Framer, FramingError
from edge.sip.grammar import Unreadable
from edge.sip.message import Malformed, Request, check, parse, respond
from edge.sms import udh
from edge.sms.smpp import pdu
from edge.stir.passport import KINDS, Said, read_identity
from edge.stir.verdict import PHRASES, Doubt
from tests.sip.ladder import OURS, UDP, invite

ANSWER_MAX: Final = 512  # octets an answer may be longer than what it answers
SAID: Final = Said("14155550199", "14155550100", "Fri, 15 Jan 2027 08:00:00 GMT")
LOCAL: Final = sdp.Local("192.0.2.1", 7000, 1, 1)


def message(data: bytes) -> None:
    """SIP: read, printed, read again, and answered by no more than came."""
    try:
        found = parse(data)
        if isinstance(found, Request):
            check(found)
            assert len(respond(found, 486, to_tag="t", source=("192.0.2.7", 5060))) < len(data) + ANSWER_MAX
            _parties(found)
        assert parse(bytes(found)) == found
        _ = found.vias, found.contacts, found.max_forwards, found.routes, found.record_routes
        sdp_body(found)
        body_of(found, TEXT)
    except Malformed as fault:
        if fault.request is not None:
            answer = respond(fault.request, fault.status, to_tag="t", source=("192.0.2.7", 5060))
            assert len(answer) < len(data) + ANSWER_MAX


def _parties(request: Request) -> None:
    party.asserted(request)
    party.remote_party(request)
    party.called_party(request)
    party.is_withheld(request)
    party.diversions(request)
    party.history(request)


def frames(data: bytes) -> None:
    """A stream of SIP, in pieces."""
    framer = Framer()
    try:
        for at in range(0, len(data), 7):
            for found in framer.feed(data[at : at + 7]):
                assert len(found) <= len(data)
    except FramingError:
        pass


def agent(data: bytes) -> None:
    """Anything at all to an agent that has a call: it raises nothing, sends less than it may, and forgets it again."""
    tokens = count(1)
    one = Agent(lambda: f"t{next(tokens)}")
    one.receive(invite(), UDP, 0.0)
    now = 0.0
    for step in range(2):
        while (event := one.next_event()) is not None:
            if isinstance(event, CallOffered):
                one.answer(event.offer, OURS, now)
        assert sum(len(sent) for _, sent in one.to_send(now)) < 3 * (len(data) + 2048)
        if not step:
            one.receive(data, UDP, now)
    for _ in range(2000):
        deadline = one.get_timer()
        if deadline is None:
            break
        now = max(now, deadline)
        one.handle_timer(now)
        while (event := one.next_event()) is not None:
            if isinstance(event, CallOffered):
                one.reject(event.offer, 404, now)
        one.to_send(now)
    left = {what: number for what, number in one.stats().items() if number and what not in ("dialogs", "timers")}
    assert not left, left


def description(data: bytes) -> None:
    """SDP: as an offer, as another one in the same session, as an answer."""
    try:
        found = sdp.read(data)
        sdp.preferred(found)
        body, agreed = sdp.answer(found, LOCAL)
        assert sdp.reanswer(found, LOCAL, body, agreed)[0] == body
        assert len(sdp.read(body).media) == len(found.media)
    except EdgeError:
        pass
    try:
        sdp.accept(LOCAL, sdp.read(data))
    except EdgeError:
        pass


def digest(data: bytes) -> None:
    """What somebody wants proved, and what he says proves it."""
    text = data.decode("utf-8", "surrogateescape")
    for read in (Challenge.parse, Credentials.parse):
        try:
            read(text)
        except Unreadable:
            continue


def envelope(data: bytes) -> None:
    """message/cpim."""
    try:
        cpim.unwrap(data)
    except (Unreadable, cpim.Foreign):
        pass


def smpp(data: bytes) -> None:
    """A stream of PDUs, and each as what it may be."""
    found, _ = pdu.Stream().take(data)
    for one in found:
        assert pdu.Pdu.write(one)
        for read in (pdu.Message.read, pdu.Message.read_data, pdu.Bind.read, pdu.Bound.read, pdu.read_id):
            try:
                read(one.body)
            except pdu.Malformed:
                continue


def header(data: bytes) -> None:
    """The header of a part of a long text."""
    _, rest = udh.read(data)
    assert len(rest) <= len(data)


def packet(data: bytes) -> None:
    """RTP, its events, and RTCP."""
    try:
        found = rtp.read(data)
        DigitReader().read(found.payload, found.timestamp)
    except rtp.BadRtp:
        pass
    try:
        rtcp.read(data)
    except rtcp.BadRtcp:
        pass


def identity(data: bytes) -> None:
    """An Identity field: a PASSporT of a known type, or none, or a doubt with an answer."""
    try:
        found = read_identity(data.decode("utf-8", "surrogateescape"), SAID)
    except Doubt as doubt:
        if doubt.status not in PHRASES:
            raise
    else:
        assert found is None or (found.kind in KINDS and found.url)


TARGETS: Final[Mapping[str, Callable[[bytes], None]]] = {
    "message": message,
    "frames": frames,
    "agent": agent,
    "sdp": description,
    "digest": digest,
    "cpim": envelope,
    "smpp": smpp,
    "udh": header,
    "rtp": packet,
    "identity": identity,
}
