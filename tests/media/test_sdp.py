"""Offers and what is answered to them, line by line."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.errors import EdgeError
from edge.media import sdp
from edge.media.description import MAX_BYTES
from edge.media.sdp import BadSdp, Connection, Description, Local, Media, Negotiated, NoCommonCodec, Origin
from tests.media.conftest import read_seed, seeds

LOCAL = Local("192.0.2.1", 20000, 7, 1)
HEAD = "v=0\r\no=- 1 1 IN IP4 198.51.100.9\r\ns=-\r\nc=IN IP4 198.51.100.9\r\nt=0 0\r\n"


def offer(*lines: str, head: str = HEAD) -> Description:
    return sdp.read((head + "\r\n".join(lines) + "\r\n").encode())


def media_lines(body: bytes) -> list[str]:
    return [line for line in body.decode().split("\r\n") if line.startswith("m=")]


def test_the_usual_offer_is_answered_line_by_line() -> None:
    body, agreed = sdp.answer(
        offer("m=audio 4000 RTP/AVP 8 0 101", "a=rtpmap:101 telephone-event/8000", "a=ptime:30"), LOCAL
    )
    assert body.decode().split("\r\n") == [
        "v=0",
        "o=- 7 1 IN IP4 192.0.2.1",
        "s=-",
        "c=IN IP4 192.0.2.1",
        "t=0 0",
        "m=audio 20000 RTP/AVP 8 101",
        "a=rtpmap:8 PCMA/8000",
        "a=rtpmap:101 telephone-event/8000",
        "a=fmtp:101 0-15",
        "a=ptime:30",
        "a=sendrecv",
        "",
    ]
    assert agreed == Negotiated("PCMA", 8, 101, 30, ("198.51.100.9", 4000), "sendrecv", rtcp=("198.51.100.9", 4001))


@pytest.mark.parametrize(
    ("lines", "codec", "payload_type", "events"),
    [
        (["m=audio 4000 RTP/AVP 0"], "PCMU", 0, None),
        (["m=audio 4000 RTP/AVP 8"], "PCMA", 8, None),
        (["m=audio 4000 RTP/AVP 18 3 0 8"], "PCMU", 0, None),
        (["m=audio 4000 RTP/AVP 96 8", "a=rtpmap:96 pcmu/8000"], "PCMU", 96, None),
        (["m=audio 4000 RTP/AVP 96 8", "a=rtpmap:96 PCMU/16000"], "PCMA", 8, None),
        (["m=audio 4000 RTP/AVP 96 8", "a=rtpmap:96 PCMU/8000/2"], "PCMA", 8, None),
        (["m=audio 4000 RTP/AVP 96 8", "a=rtpmap:96 PCMU/8000/1"], "PCMU", 96, None),
        (["m=audio 4000 RTP/AVP 0 96", "a=rtpmap:96 telephone-event/8000"], "PCMU", 0, 96),
        (["m=audio 4000 RTP/AVP 0 127", "a=rtpmap:127 TELEPHONE-EVENT/8000", "a=fmtp:127 0-16"], "PCMU", 0, 127),
        (
            ["m=audio 4000 RTP/AVP 97 100 0", "a=rtpmap:97 telephone-event/48000", "a=rtpmap:100 telephone-event/8000"],
            "PCMU",
            0,
            100,
        ),
        (["m=audio 4000 RTP/AVP 0 101", "a=rtpmap:101 telephone-event/16000"], "PCMU", 0, None),
        (["m=audio 4000 RTP/AVP 0 101"], "PCMU", 0, None),  # a dynamic type without a map means nothing
        (["m=audio 4000 RTP/AVP 0", "a=rtpmap:0 G729/8000", "m=audio 4002 RTP/AVP 8"], "PCMA", 8, None),
        (["m=audio 4000 RTP/AVP 13 0 8"], "PCMU", 0, None),
    ],
)
def test_the_codec_is_the_first_of_theirs_that_we_speak(
    lines: list[str], codec: str, payload_type: int, events: int | None
) -> None:
    agreed = sdp.answer(offer(*lines), LOCAL)[1]
    assert (agreed.codec, agreed.payload_type, agreed.dtmf_payload_type) == (codec, payload_type, events)


@pytest.mark.parametrize(
    ("lines", "answered"),
    [
        (
            ["m=audio 4000 RTP/AVP 0", "m=video 4002 RTP/AVP 31 34", "m=audio 4004 RTP/AVP 0"],
            ["m=audio 20000 RTP/AVP 0", "m=video 0 RTP/AVP 31", "m=audio 0 RTP/AVP 0"],
        ),
        (
            ["m=video 4000 RTP/AVP 31", "m=audio 0 RTP/AVP 0", "m=audio 4002 RTP/AVP 18", "m=audio 4004 RTP/AVP 8"],
            ["m=video 0 RTP/AVP 31", "m=audio 0 RTP/AVP 0", "m=audio 0 RTP/AVP 18", "m=audio 20000 RTP/AVP 8"],
        ),
        (
            ["m=audio 4000 RTP/SAVP 0", "m=audio 4002 RTP/AVP 0"],
            ["m=audio 0 RTP/SAVP 0", "m=audio 20000 RTP/AVP 0"],
        ),
        (
            ["m=image 4000 udptl t38", "m=audio 4002/2 RTP/AVP 0"],
            ["m=image 0 udptl t38", "m=audio 20000 RTP/AVP 0"],
        ),
        (
            ["m=text 4000 RTP/AVP 98", "m=message 2855 TCP/MSRP *", "m=audio 4002 RTP/AVPF 0", "a=rtcp-fb:* nack"],
            ["m=text 0 RTP/AVP 98", "m=message 0 TCP/MSRP *", "m=audio 20000 RTP/AVPF 0"],
        ),
    ],
)
def test_every_media_line_is_answered_in_order(lines: list[str], answered: list[str]) -> None:
    assert media_lines(sdp.answer(offer(*lines), LOCAL)[0]) == answered


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        (["m=audio 4000 RTP/AVP 18"], 305),
        (["m=audio 4000 RTP/AVP 96", "a=rtpmap:96 opus/48000/2"], 305),
        (["m=audio 4000 RTP/SAVP 0"], 304),
        (["m=audio 4000 UDP/TLS/RTP/SAVPF 0"], 304),
        (["m=video 4000 RTP/AVP 31"], 304),
        (["m=audio 0 RTP/AVP 0"], 304),
        ([], 304),
    ],
)
def test_nothing_in_common_is_a_488_with_a_warning(lines: list[str], code: int) -> None:
    with pytest.raises(NoCommonCodec) as caught:
        sdp.answer(offer(*lines), LOCAL)
    assert caught.value.code == code
    assert caught.value.sip == 488
    assert caught.value.warning("edge.example").startswith(f'{code} edge.example "')
    assert caught.value.warning("2001:db8::1").startswith(f'{code} [2001:db8::1] "')


@pytest.mark.parametrize(
    ("attributes", "ptime"),
    [
        ([], 20),
        (["a=ptime:10"], 10),
        (["a=ptime:60"], 60),
        (["a=ptime:25"], 25),
        (["a=ptime:9"], 20),
        (["a=ptime:61"], 20),
        (["a=ptime:0"], 20),
        (["a=ptime:30.0"], 30),
        (["a=ptime:soon"], 20),
        (["a=ptime"], 20),
        (["a=ptime:99999999999999999999999"], 20),
        (["a=maxptime:10"], 10),
        (["a=ptime:40", "a=maxptime:30"], 30),
        (["a=maxptime:150"], 20),
        (["a=maxptime:5"], 10),
    ],
)
def test_the_packet_time_is_theirs_when_we_can_keep_it(attributes: list[str], ptime: int) -> None:
    body, agreed = sdp.answer(offer("m=audio 4000 RTP/AVP 0", *attributes), LOCAL)
    assert agreed.ptime_ms == ptime
    assert f"a=ptime:{ptime}\r\n".encode() in body


def test_the_packet_time_is_our_default_when_they_do_not_say() -> None:
    assert sdp.answer(offer("m=audio 4000 RTP/AVP 0"), LOCAL._replace(ptime_default=30))[1].ptime_ms == 30


@pytest.mark.parametrize(
    ("session", "media", "ours"),
    [
        ([], [], "sendrecv"),
        ([], ["a=sendrecv"], "sendrecv"),
        ([], ["a=sendonly"], "recvonly"),
        ([], ["a=recvonly"], "sendonly"),
        ([], ["a=inactive"], "inactive"),
        (["a=sendonly"], [], "recvonly"),
        (["a=sendonly"], ["a=sendrecv"], "sendrecv"),
        (["a=inactive"], ["a=recvonly"], "sendonly"),
    ],
)
def test_directions_are_mirrored(session: list[str], media: list[str], ours: str) -> None:
    body, agreed = sdp.answer(offer(*session, "m=audio 4000 RTP/AVP 0", *media), LOCAL)
    assert agreed.direction == ours
    assert body.endswith(f"a={ours}\r\n".encode())
    assert (agreed.sends, agreed.receives) == (ours in ("sendrecv", "sendonly"), ours in ("sendrecv", "recvonly"))


@pytest.mark.parametrize(
    ("connection", "attributes", "remote", "direction"),
    [
        ("IN IP4 0.0.0.0", [], None, "recvonly"),
        ("IN IP4 0.0.0.0", ["a=sendonly"], None, "recvonly"),
        ("IN IP4 0.0.0.0", ["a=recvonly"], None, "inactive"),
        ("IN IP6 ::", ["a=inactive"], None, "inactive"),
        ("IN IP4 224.2.1.1/127", [], None, "sendrecv"),
        ("IN IP4 phone.example.com", [], None, "sendrecv"),
        ("IN IP4 203.0.113.5", [], ("203.0.113.5", 4000), "sendrecv"),
        ("IN IP6 ::", [], None, "recvonly"),
    ],
)
def test_where_audio_goes(
    connection: str, attributes: list[str], remote: tuple[str, int] | None, direction: str
) -> None:
    agreed = sdp.answer(offer("m=audio 4000 RTP/AVP 0", f"c={connection}", *attributes), LOCAL)[1]
    assert (agreed.remote, agreed.direction) == (remote, direction)
    assert (agreed.rtcp is None) == (remote is None)


def test_an_address_of_the_other_family_needs_one_of_ours() -> None:
    six = offer("m=audio 4000 RTP/AVP 0", "c=IN IP6 2001:DB8:0::5")
    with pytest.raises(NoCommonCodec) as caught:
        sdp.answer(six, LOCAL)
    assert caught.value.code == 301
    agreed = sdp.answer(six, LOCAL._replace(host="2001:db8::1"))[1]
    assert agreed.remote == ("2001:db8::5", 4000) == (sdp.named(six), 4000)


@pytest.mark.parametrize(
    ("lines", "host"),
    [
        (["c=IN IP6 2001:db8::1", "m=audio 4000 RTP/AVP 0", "c=IN IP4 203.0.113.5"], "203.0.113.5"),
        (["m=video 4000 RTP/AVP 34", "c=IN IP6 2001:db8::1", "m=audio 4002 RTP/AVP 0"], "198.51.100.9"),
        (["m=audio 4002 RTP/AVP 0", "m=video 4000 RTP/AVP 34", "c=IN IP6 2001:db8::1"], "198.51.100.9"),
        (["m=audio 4002 RTP/AVP 18", "c=IN IP6 2001:db8::1", "m=audio 4000 RTP/AVP 0"], "198.51.100.9"),
    ],
)
def test_in_a_mixed_offer_the_address_of_the_audio_counts(lines: list[str], host: str) -> None:
    mixed = offer(*lines, head=HEAD.replace("c=IN IP4 198.51.100.9\r\n", "") if lines[0][0] == "c" else HEAD)
    assert sdp.named(mixed) == host
    assert sdp.answer(mixed, LOCAL)[1].remote is not None


def test_of_several_connections_the_first_counts() -> None:
    agreed = sdp.answer(offer("m=audio 4000 RTP/AVP 0", "c=IN IP4 203.0.113.5", "c=IN IP4 203.0.113.6"), LOCAL)[1]
    assert agreed.remote == ("203.0.113.5", 4000)


@pytest.mark.parametrize(
    ("attribute", "rtcp"),
    [
        ("a=rtcp:53020", ("198.51.100.9", 53020)),
        ("a=rtcp:53020 IN IP4 203.0.113.7", ("203.0.113.7", 53020)),
        ("a=rtcp:53020 IN IP6 2001:db8::7", ("2001:db8::7", 53020)),
        ("a=rtcp:53020 IN IP4 rtcp.example.com", ("198.51.100.9", 53020)),
        ("a=rtcp:0", ("198.51.100.9", 4001)),
        ("a=rtcp:nowhere", ("198.51.100.9", 4001)),
        ("a=rtcp-mux", ("198.51.100.9", 4001)),
    ],
)
def test_where_reports_go(attribute: str, rtcp: tuple[str, int]) -> None:
    assert sdp.answer(offer("m=audio 4000 RTP/AVP 0", attribute), LOCAL)[1].rtcp == rtcp


def test_the_highest_port_leaves_no_room_for_reports() -> None:
    assert sdp.answer(offer("m=audio 65535 RTP/AVP 0"), LOCAL)[1].rtcp is None


def test_ipv6_on_our_side() -> None:
    six = LOCAL._replace(host="2001:db8::1")
    body = sdp.answer(offer("m=audio 4000 RTP/AVP 0", "c=IN IP6 2001:db8::5"), six)[0]
    assert b"c=IN IP6 2001:db8::1\r\n" in body
    assert b"o=- 7 1 IN IP6 2001:db8::1\r\n" in body


def test_the_times_of_the_answer_are_those_of_the_offer() -> None:
    body = sdp.answer(offer("m=audio 4000 RTP/AVP 0", head=HEAD.replace("t=0 0", "t=1 2\r\nt=3 4")), LOCAL)[0]
    assert b"\r\nt=1 2\r\nt=3 4\r\nm=" in body


def test_the_version_grows_with_each_change_only() -> None:
    first, _ = sdp.answer(offer("m=audio 4000 RTP/AVP 0"), LOCAL)
    again, _, local = sdp.reanswer(offer("m=audio 4000 RTP/AVP 0"), LOCAL, first, None)
    assert (again, local) == (first, LOCAL)
    held, agreed, local = sdp.reanswer(offer("m=audio 4000 RTP/AVP 0", "a=sendonly"), local, again, None)
    assert agreed.direction == "recvonly"
    assert b"o=- 7 2 IN" in held
    back, _, local = sdp.reanswer(offer("m=audio 4000 RTP/AVP 0"), local, held, None)
    assert b"o=- 7 3 IN" in back
    assert local == LOCAL._replace(session_version=3)


def test_a_hold_that_names_no_codec_of_ours_is_a_hold() -> None:
    first, agreed = sdp.answer(offer("m=audio 4000 RTP/AVP 0"), LOCAL)
    body, held, local = sdp.reanswer(offer("m=audio 4000 RTP/AVP 9", "a=inactive"), LOCAL, first, agreed)
    assert media_lines(body) == ["m=audio 0 RTP/AVP 9"]
    assert (held.direction, held.remote, held.codec) == ("inactive", None, "PCMU")
    back, resumed, _ = sdp.reanswer(offer("m=audio 4000 RTP/AVP 0"), local, body, held)
    assert b"o=- 7 3 IN" in back
    assert resumed == agreed
    with pytest.raises(sdp.NoCommonCodec):
        sdp.reanswer(offer("m=audio 4000 RTP/AVP 9", "a=sendonly"), LOCAL, first, agreed)


def test_audio_at_port_0_is_taken_away_until_a_later_offer() -> None:
    """RFC 3264 §8.2."""
    first, agreed = sdp.answer(offer("m=video 4002 RTP/AVP 34", "m=audio 4000 RTP/AVP 8"), LOCAL)
    gone = offer("m=video 4002 RTP/AVP 34", "m=audio 0 RTP/AVP 8")
    body, held, local = sdp.reanswer(gone, LOCAL, first, agreed)
    assert media_lines(body) == ["m=video 0 RTP/AVP 34", "m=audio 0 RTP/AVP 8"]
    assert b"o=- 7 2 IN" in body
    assert (held.direction, held.remote, held.rtcp, held.codec) == ("inactive", None, None, "PCMA")
    assert sdp.reanswer(gone, local, body, held) == (body, held, local)
    back, resumed, _ = sdp.reanswer(offer("m=video 4002 RTP/AVP 34", "m=audio 4006 RTP/AVP 8"), local, body, held)
    assert media_lines(back) == ["m=video 0 RTP/AVP 34", "m=audio 20000 RTP/AVP 8"]
    assert resumed == agreed._replace(remote=("198.51.100.9", 4006), rtcp=("198.51.100.9", 4007))
    with pytest.raises(NoCommonCodec):
        sdp.answer(gone, LOCAL)  # as a first offer it has nothing for us


def test_our_later_offers_keep_the_lines_and_types_of_the_session() -> None:
    """RFC 3264 §8: no line goes away or changes its place; §8.3.2: no type comes to mean something else."""
    theirs = offer(
        "m=video 4002 RTP/AVP 34",
        "m=audio 4000 RTP/AVPF 8 96",
        "a=rtpmap:96 telephone-event/8000",
        "a=ptime:30",
        "m=image 4004 udptl t38",
    )
    first, agreed = sdp.answer(theirs, LOCAL)
    body, local = sdp.reoffer(LOCAL, first, direction="sendonly", agreed=agreed)
    assert media_lines(body) == ["m=video 0 RTP/AVP 34", "m=audio 20000 RTP/AVPF 8 0 96", "m=image 0 udptl t38"]
    assert {b"a=ptime:30", b"a=sendonly", b"a=rtpmap:96 telephone-event/8000"} <= set(body.split(b"\r\n"))
    assert b"o=- 7 2 IN" in body
    assert sdp.reoffer(local, body, direction="sendonly", agreed=agreed) == (body, local)  # nothing new, no new version
    lines = ("m=video 0 RTP/AVP 34", "m=audio 4000 RTP/AVPF 0", "m=image 0 udptl t38")
    answered = sdp.accept(local, offer(*lines), agreed)
    assert (answered.codec, answered.lines) == ("PCMU", agreed.lines)
    gone = sdp.accept(local, offer(lines[0], "m=audio 0 RTP/AVPF 0", lines[2]), agreed)
    assert (gone.direction, gone.remote) == ("inactive", None)
    with pytest.raises(BadSdp):
        sdp.accept(local, offer(*lines[:2]), agreed)


def test_codecs_in_an_order_of_ours() -> None:
    local = LOCAL._replace(codecs=("PCMA", "PCMU"))
    assert sdp.answer(offer("m=audio 4000 RTP/AVP 0 8"), local)[1].codec == "PCMA"
    assert sdp.answer(offer("m=audio 4000 RTP/AVP 0"), local)[1].codec == "PCMU"
    assert media_lines(sdp.offer(local, first="PCMU")) == ["m=audio 20000 RTP/AVP 8 0 101"]
    only = LOCAL._replace(codecs=("PCMA",))
    assert media_lines(sdp.offer(only, first="PCMU")) == ["m=audio 20000 RTP/AVP 8 101"]
    assert sdp.preferred(offer("m=audio 4000 RTP/AVP 0", "m=audio 4002 RTP/AVP 8"), only.codecs) == "PCMA"
    for refused in (sdp.answer, lambda theirs, ours: sdp.accept(ours, theirs)):
        with pytest.raises(NoCommonCodec, match="PCMA are") as caught:
            refused(offer("m=audio 4000 RTP/AVP 0"), only)
        assert caught.value.code == 305


def test_what_needs_no_answer_is_no_hindrance() -> None:
    """BUNDLE, ICE, rtcp-mux, bandwidths, groups and whatever else: none of it is in the answer (RFC 8866 §5.13)."""
    strange = (
        "b=AS:64",
        "a=group:BUNDLE audio",
        "a=ice-options:trickle",
        "m=audio 4000 RTP/AVP 8",
        "b=TIAS:64000",
        "a=mid:audio",
        "a=rtcp-mux",
        "a=ice-ufrag:8hhY",
        "a=ice-pwd:asd88fgpdd777uzjYhagZg",
        "a=candidate:1 1 UDP 2130706431 203.0.113.7 4000 typ host",
        "a=fmtp:8 whatever",
        "a=ssrc:1 cname:x",
        "a=x-unheard-of",
    )
    body, agreed = sdp.answer(offer(*strange), LOCAL)
    plain, same = sdp.answer(offer("m=audio 4000 RTP/AVP 8"), LOCAL)
    assert (body, agreed) == (plain, same)


def test_our_own_offer_and_its_answer() -> None:
    body = sdp.offer(LOCAL)
    assert media_lines(body) == ["m=audio 20000 RTP/AVP 0 8 101"]
    other = Local("203.0.113.1", 30000, 9, 1, 30)
    answer, theirs = sdp.answer(sdp.read(body), other)
    ours = sdp.accept(LOCAL, sdp.read(answer))
    assert (ours.codec, ours.dtmf_payload_type, ours.ptime_ms) == ("PCMU", 101, 20)
    assert (ours.remote, theirs.remote) == (("203.0.113.1", 30000), ("192.0.2.1", 20000))


def test_our_offer_has_the_wanted_codec_first_and_the_wanted_direction() -> None:
    body = sdp.offer(LOCAL, first="PCMA", direction="sendonly")
    assert media_lines(body) == ["m=audio 20000 RTP/AVP 8 0 101"]
    answer, theirs = sdp.answer(sdp.read(body), Local("203.0.113.1", 30000, 9, 1))
    assert (theirs.codec, theirs.direction) == ("PCMA", "recvonly")
    assert sdp.accept(LOCAL, sdp.read(answer)).direction == "sendonly"


@pytest.mark.parametrize(
    ("lines", "codec"),
    [
        (["m=audio 4000 RTP/AVP 18 8 0"], "PCMA"),
        (["m=video 4000 RTP/AVP 34", "m=audio 4002 RTP/AVP 0"], "PCMU"),
        (["m=audio 4000 RTP/AVP 18"], None),
    ],
)
def test_the_codec_that_an_answer_would_take(lines: list[str], codec: str | None) -> None:
    assert sdp.preferred(offer(*lines)) == codec


@pytest.mark.parametrize(
    ("lines", "error"),
    [
        (["m=audio 4000 RTP/AVP 0", "m=audio 4002 RTP/AVP 0"], BadSdp),
        ([], BadSdp),
        (["m=audio 0 RTP/AVP 0"], NoCommonCodec),
        (["m=audio 4000 RTP/AVP 18"], NoCommonCodec),
    ],
)
def test_an_answer_that_is_none(lines: list[str], error: type[EdgeError]) -> None:
    with pytest.raises(error):
        sdp.accept(LOCAL, offer(*lines))


# --- reading


@pytest.mark.parametrize(
    "body",
    [
        HEAD.replace("\r\n", "\n") + "m=audio 4000 RTP/AVP 0\n",
        HEAD + "m=audio 4000 RTP/AVP 0",
        HEAD + "m=audio 4000 RTP/AVP 0\r\n\r\n\r\n",
        "v=0\r\nc=IN IP4 198.51.100.9\r\nm=audio 4000 RTP/AVP 0\r\n",
        HEAD + "b=AS:64\r\nk=clear:x\r\nx=whatever\r\nm=audio 4000  RTP/AVP  0 \r\ni=title\r\nb=TIAS:64000\r\n",
        HEAD + "m=audio 4000 RTP/AVP 0\r\na=\r\na=candidate:1 1 UDP 1 10.0.0.1 9 typ host\r\na=ssrc:1 cname:x\r\n",
        HEAD + "m=audio 4000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000 \r\n",
        "v=0\r\no=- 1 1 IN IP4 IP4 1.2.3.4\r\nc=IN IP4 198.51.100.9\r\nm=audio 4000 RTP/AVP 0\r\n",
        "v=0\r\no=- x 1 IN IP4 1.2.3.4\r\nc=IN IP4 198.51.100.9\r\nm=audio 4000 RTP/AVP 0\r\n",
    ],
    ids=[
        "bare line feeds",
        "no last line end",
        "blank lines at the end",
        "no o, s, t",
        "other lines",
        "attributes",
        "sp",
        "o with a word too many",
        "o without a number",
    ],
)
def test_sloppy_offers_are_understood(body: str) -> None:
    assert sdp.answer(sdp.read(body.encode()), LOCAL)[1].remote == ("198.51.100.9", 4000)


@pytest.mark.parametrize(
    ("body", "line", "what"),
    [
        ("", 1, "empty"),
        ("v=1\r\n", 1, "v=0"),
        ("o=- 1 1 IN IP4 1.2.3.4\r\n", 1, "v=0"),
        ("v=0\r\ns=-\r\nc=IN IP4 300.1.1.1\r\n", 3, "300.1.1.1"),
        ("v=0\r\nc=IN IP4 2001:db8::1\r\n", 2, "IP4"),
        ("v=0\r\nc=IN IP6 1.2.3.4\r\n", 2, "IP6"),
        ("v=0\r\nc=ATM NSAP 47.0091\r\n", 2, "c="),
        ("v=0\r\nc=IN IP4 evil\x01host\r\n", 2, "evil"),
        ("v=0\r\nc=IN IP4 \r\n", 2, "c="),
        ("v=0\r\nm=audio 4000 RTP/AVP\r\n", 2, "m="),
        ("v=0\r\nm=audio 65536 RTP/AVP 0\r\n", 2, "65536"),
        ("v=0\r\nm=audio -1 RTP/AVP 0\r\n", 2, "-1"),
        ("v=0\r\nm=audio ٣ RTP/AVP 0\r\n", 2, "port"),
        ("v=0\r\nm=audio 4000/0 RTP/AVP 0\r\n", 2, "ports"),
        ("v=0\r\nm=audio 4000 RTP/AVP 128\r\n", 2, "128"),
        ("v=0\r\nm=audio 4000 RTP/AVP PCMU\r\n", 2, "PCMU"),
        ("v=0\r\nm=audio 4000 RTP/AVP 0\r\na=rtpmap:96\r\n", 3, "rtpmap"),
        ("v=0\r\nm=audio 4000 RTP/AVP 0\r\na=rtpmap:96 PCMU\r\n", 3, "rtpmap"),
        ("v=0\r\nnonsense\r\n", 2, "nonsense"),
        ("v=0\r\n\r\ns=-\r\n", 2, "LETTER"),
        ("v=0\r\ns=a\0b\r\n", 2, "NUL"),
        ("v=0\r\ns=a\rb\r\n", 2, "carriage return"),
        ("v=0\r\n" + "m=audio 1 RTP/AVP 0\r\n" * 65, 66, "64"),
        ("v=0\r\n" + "a=" + "x" * 70000, 1, "65535"),
    ],
)
def test_a_bad_description_says_what_and_where(body: str, line: int, what: str) -> None:
    with pytest.raises(BadSdp) as caught:
        sdp.read(body.encode())
    assert caught.value.line == line
    assert what in caught.value.message
    assert caught.value.faults[0].where == f"sdp line {line}"


def test_audio_without_an_address_is_no_description() -> None:
    with pytest.raises(BadSdp, match="c="):
        sdp.answer(sdp.read(b"v=0\r\nm=audio 4000 RTP/AVP 0\r\n"), LOCAL)


@pytest.mark.parametrize("path", seeds("sofia-sdp-tests", "pjproject-fuzz-sdp"), ids=lambda path: path.name)
def test_seeds(path: Path) -> None:
    try:
        description = sdp.read(read_seed(path))
        assert sdp.read(description.to_bytes()) == description
        sdp.answer(description, LOCAL)
    except (BadSdp, NoCommonCodec) as error:
        assert error.message  # noqa: PT017


@pytest.mark.parametrize("unit", ["a=x\r\n", "t=0 0\r\n", "m=", " ", "a=rtpmap:", "c=IN IP4 1.2.3.4\r\n", "0/"])
def test_reading_takes_linear_time(unit: str) -> None:
    body = (HEAD + "m=audio 4000 RTP/AVP 0\r\n" + unit * ((MAX_BYTES - 200) // len(unit))).encode()
    began = time.process_time()
    try:
        sdp.answer(sdp.read(body), LOCAL)
    except EdgeError:
        pass
    assert time.process_time() - began < 0.5


# --- round trips

token = st.from_regex(r"[A-Za-z0-9._-]{1,12}", fullmatch=True)
text = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF, exclude_characters="\x7f\x85"), max_size=20)
number = st.integers(0, 2**63).map(str)
hosts = st.one_of(
    st.ip_addresses(v=4).map(lambda address: ("IP4", str(address))),
    st.ip_addresses(v=6).map(lambda address: ("IP6", str(address))),
    st.just(("IP4", "host.example.com")),
)
connections = st.builds(
    lambda host, scope: Connection(host[0], host[1], scope), hosts, st.sampled_from(["", "/127", "/127/2"])
)
attributes = st.lists(st.tuples(token, st.none() | text).filter(lambda pair: pair[0] != "rtpmap"), max_size=4).map(
    tuple
)
medias = st.builds(
    Media,
    kind=st.sampled_from(["audio", "video", "application"]),
    port=st.integers(0, 65535),
    protocol=st.sampled_from(["RTP/AVP", "RTP/SAVP"]),
    formats=st.lists(st.integers(0, 127).map(str), min_size=1, max_size=5).map(tuple),
    ports=st.integers(1, 4),
    connections=st.lists(connections, max_size=2).map(tuple),
    attributes=attributes,
)
descriptions = st.builds(
    Description,
    origin=st.none() | st.builds(lambda u, i, v, h: Origin(u, i, v, h[0], h[1]), token, number, number, hosts),
    name=text,
    connection=st.none() | connections,
    times=st.lists(st.just("0 0"), max_size=2).map(tuple),
    attributes=attributes,
    media=st.lists(medias, max_size=4).map(tuple),
)


@settings(max_examples=30)
@given(descriptions)
def test_a_description_prints_itself(description: Description) -> None:
    assert sdp.read(description.to_bytes()) == description


@settings(max_examples=30)
@given(descriptions)
def test_an_answer_fits_its_offer(description: Description) -> None:
    try:
        body, agreed = sdp.answer(description, LOCAL)
    except (BadSdp, NoCommonCodec):
        return
    answered = sdp.read(body)
    assert [(media.kind, media.protocol) for media in answered.media] == [
        (media.kind, media.protocol) for media in description.media
    ]
    taken = [place for place, media in enumerate(answered.media) if media.port]
    assert len(taken) == 1
    assert str(agreed.payload_type) in description.media[taken[0]].formats


@given(st.binary(max_size=300))
def test_bytes_are_a_description_or_none(body: bytes) -> None:
    try:
        sdp.read(b"v=0\r\n" + body)
    except BadSdp:
        pass
