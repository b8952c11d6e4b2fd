from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, cast

import pytest

from edge.carriers.sip import Sip, SipSection
from edge.carriers.site import ANY_LOCAL
from edge.errors import Invalid
from edge.sip.cpim import Wrapped, unwrap
from edge.sip.handle import TextOffer
from edge.sip.message import Request, parse
from edge.sip.peer import Peer
from edge.sms.carrier import Refused
from edge.sms.text import OutgoingText
from edge.trunks.trunk import Trunk
from tests.carriers.stage import TEXT, Wire, cases, outcome, site, trunk

NOW = datetime(2026, 8, 1, 9, tzinfo=UTC)
UDP = Peer("udp", ("127.0.0.1", 5060), ("127.0.0.9", 40001))
SECOND = trunk("c", "sip:192.0.2.2", "10.0.0.2")
TCP = Peer("tcp", ("127.0.0.1", 5060), ("127.0.0.9", 40002), 17)


def offer(uri: str, fields: dict[str, str], body: str, peer: Peer = UDP) -> TextOffer:
    head = {"Via": "SIP/2.0/UDP 127.0.0.9;branch=z9hG4bK1", "To": f"<{uri}>", "Max-Forwards": "70", **fields}
    lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
    request = parse(f"MESSAGE {uri} SIP/2.0\r\n{lines}Content-Length: 0\r\n\r\n".encode("utf-8", "surrogateescape"))
    return TextOffer(cast("Request", request), peer, cast("Any", None), body)


def simple(peer: Peer = UDP, change: Mapping[str, str] = MappingProxyType({})) -> TextOffer:
    head = {"From": "<sip:+14155550111@192.0.2.1:5099>;tag=a", "Call-ID": "c1", "CSeq": "1 MESSAGE", **change}
    return offer("sip:+14155550100@127.0.0.1", head, "hello", peer)


@pytest.mark.parametrize("case", cases("sip", "read"), ids=lambda case: case["name"])
def test_a_message_is_read(case: Any) -> None:
    text = Sip(SipSection(), site()).read(offer(case["uri"], case["fields"], case["body"]), trunk(), NOW)
    assert {name: getattr(text, name) for name in case["expect"]} == case["expect"]
    assert (text.carrier, text.country, text.account, text.received_at) == ("sip", "US", None, NOW)


CHANGES: list[dict[str, str]] = [
    {},
    {"Call-ID": "c2"},
    {"CSeq": "2 MESSAGE"},
    {"From": "<sip:+14155550111@192.0.2.1>;tag=b"},
    {"Call-ID": "x" * 4000},
    {"Call-ID": "x" * 4001},
]


def test_the_identity_tells_texts_apart_and_a_long_one_is_bounded() -> None:
    sip = Sip(SipSection(), site())
    ids = [sip.read(simple(change=change), trunk(), NOW).id for change in CHANGES]
    assert len(set(ids)) == len(ids)
    assert max(map(len, ids)) < 256
    assert sip.read(simple(change={"From": "<sip:other@h>;tag=a"}), trunk(), NOW).id == ids[0]


def test_a_text_within_a_call_is_for_the_number_that_was_called() -> None:
    """RFC 3261 §12.2.1.1: its Request-URI is our Contact, which names nobody."""
    within = {"To": "<sip:+14155550100@127.0.0.1>;tag=ours", "From": "<sip:+14155550111@192.0.2.1>;tag=a"}
    text = offer("sip:127.0.0.1:5060", {**within, "Call-ID": "c1", "CSeq": "2 MESSAGE"}, "hello")
    assert Sip(SipSection(), site()).read(text, trunk(), NOW).destination == "sip:+14155550100@127.0.0.1"


def test_what_cannot_be_kept_is_refused_by_name() -> None:
    with pytest.raises(Invalid) as caught:
        Sip(SipSection(), site()).read(simple(change={"From": f"<sip:{'a' * 600}@192.0.2.1>;tag=a"}), trunk(), NOW)
    assert caught.value.faults[0].where == "from"


@pytest.mark.parametrize("case", cases("sip", "send"), ids=lambda case: str(case["status"]))
async def test_a_status_says_whether_to_try_again(case: Any) -> None:
    gateway = trunk(target="sip:192.0.2.50:5070")
    got, code, says = await outcome(Sip(SipSection(), site(gateway, wire=Wire(case["status"]))), TEXT)
    assert got == case["outcome"]
    assert says == case.get("says", "")
    assert code == ("" if got == "sent" else str(case["status"]))


async def test_a_wire_that_breaks_means_not_now() -> None:
    gateway = trunk(target="sip:192.0.2.50")
    carrier = Sip(SipSection(), site(gateway, wire=Wire(OSError("no route to host"))))
    assert await outcome(carrier, TEXT) == ("not now", "", "trunk loop cannot be reached: no route to host")


@pytest.mark.parametrize(
    ("trunks", "status", "elsewhere"),
    [
        ([], 200, True),
        ([trunk(target="sip:192.0.2.50")], 403, True),
        ([trunk(target="sip:192.0.2.50")], 407, True),
        ([trunk(target="sip:192.0.2.50")], 404, False),
        ([trunk(target="sip:192.0.2.50")], 603, False),
    ],
    ids=["no target", "not from us", "not proven", "no such number", "nobody wants it"],
)
async def test_another_carrier_may_take_what_only_this_one_refuses(
    trunks: list[Trunk], status: int, elsewhere: bool
) -> None:
    with pytest.raises(Refused) as caught:
        await Sip(SipSection(), site(*trunks, wire=Wire(status))).send(TEXT)
    assert caught.value.elsewhere is elsewhere


def answered(sip: Sip, by: TextOffer, through: Trunk) -> OutgoingText:
    text = sip.read(by, through, NOW)
    return OutgoingText("m1", "c1", "+14155550100", "+14155550111", "grüße", text.route)


@pytest.mark.parametrize("peer", [UDP, TCP], ids=["udp", "tcp"])
async def test_an_answer_goes_back_where_the_text_came_from(peer: Peer) -> None:
    wire, through = Wire(), trunk()
    sip = Sip(SipSection(), site(through, wire=wire))
    await sip.send(answered(sip, simple(peer), through))
    assert wire.sent == [(peer, "sip:+14155550111@192.0.2.1:5099", "+14155550100", "grüße".encode())]


async def test_an_answer_after_a_restart_takes_no_strangers_connection() -> None:
    wire, through = Wire(), trunk()
    answer = answered(Sip(SipSection(), site(through)), simple(TCP), through)
    await Sip(SipSection(), site(through, wire=wire)).send(answer)
    assert wire.sent[0][0] == TCP._replace(connection=0)


async def test_an_answer_goes_to_the_trunks_target_if_it_has_one() -> None:
    wire, through = Wire(), trunk(target="sip:[2001:db8::5]:5070;transport=tcp")
    sip = Sip(SipSection(), site(through, wire=wire))
    await sip.send(answered(sip, simple(), through))
    peer, uri, from_user, _ = wire.sent[0]
    assert peer == Peer("tcp", ANY_LOCAL, ("2001:db8::5", 5070), 0)
    assert (uri, from_user) == ("sip:+14155550111@[2001:db8::5]:5070;transport=tcp", "+14155550100")


async def test_an_answer_by_a_trunk_that_is_gone_is_refused() -> None:
    sip = Sip(SipSection(), site())
    got = await outcome(sip, answered(sip, simple(), trunk("gone")))
    assert got == ("refused", "", "trunk gone is not configured any more")


@pytest.mark.parametrize(
    ("section", "trunks", "expected"),
    [
        (
            SipSection(),
            [trunk("a"), trunk("b", "sip:192.0.2.1", "10.0.0.1"), trunk("c", "sip:192.0.2.2", "10.0.0.2")],
            1,
        ),
        (SipSection(trunk="c"), [trunk("b", "sip:192.0.2.1"), SECOND], 2),
        (SipSection(), [trunk("a")], None),
        (SipSection(trunk="a"), [trunk("a"), trunk("b", "sip:192.0.2.1", "10.0.0.1")], None),
        (SipSection(trunk="z"), [trunk("b", "sip:192.0.2.1", "10.0.0.1")], None),
    ],
)
async def test_a_text_that_answers_none_needs_a_target(
    section: SipSection, trunks: list[Trunk], expected: int | None
) -> None:
    wire = Wire()
    got, _, says = await outcome(Sip(section, site(*trunks, wire=wire)), TEXT)
    if expected is None:
        assert (got, wire.sent) == ("refused", [])
        assert "only a text that came in can be answered" in says
    else:
        assert wire.sent[0][0].remote == (f"192.0.2.{expected}", 5060)
        assert wire.sent[0][1] == f"sip:+14155550111@192.0.2.{expected}:5060"


async def test_a_target_without_an_address_means_not_now() -> None:
    got = await outcome(Sip(SipSection(), site(trunk(target="sip:gw.example.com"))), TEXT)
    assert got == ("not now", "", "the target of trunk loop, gw.example.com, has no address")


@pytest.mark.parametrize("text", [TEXT, None])
async def test_before_the_database_was_read_a_trunk_that_is_not_there_may_come(text: OutgoingText | None) -> None:
    place = site()
    place.trunks.complete = False
    sip = Sip(SipSection(), place)
    got, _, says = await outcome(sip, text or answered(sip, simple(), trunk("gone")))
    assert (got, says) == ("not now", "the trunks in the database are not known yet")


SPREAD = Trunk.model_validate(
    {
        "name": "spread",
        "networks": ["192.0.2.0/24"],
        "target": "sip:gw.example.com",
        "failover": ["sip:192.0.2.1", "sip:192.0.2.2;transport=tcp"],
    }
)


@pytest.mark.parametrize("answer", [408, 503, OSError("no route")])
async def test_one_target_that_cannot_is_followed_by_the_next(answer: int | Exception) -> None:
    wire = Wire(answer)
    got, code, _ = await outcome(Sip(SipSection(), site(SPREAD, wire=wire)), TEXT)
    assert [peer.remote[0] for peer, *_ in wire.sent] == ["192.0.2.1", "192.0.2.2"]
    assert [uri for _, uri, *_ in wire.sent] == [
        "sip:+14155550111@192.0.2.1:5060",
        "sip:+14155550111@192.0.2.2:5060;transport=tcp",
    ]
    assert (got, code) == ("not now", str(answer) if isinstance(answer, int) else "")


@pytest.mark.parametrize("answer", [200, 202, 404, 480, 486, 500, 603])
async def test_what_one_target_says_is_said(answer: int) -> None:
    wire = Wire(answer)
    await outcome(Sip(SipSection(), site(SPREAD, wire=wire)), TEXT)
    assert [peer.remote[0] for peer, *_ in wire.sent] == ["192.0.2.1"]


# Envelopes


def wrapped(source: str, destination: str = "") -> TextOffer:
    by = simple()
    by.wrapped = Wrapped(source, destination, by.text)
    return by


TRUSTED = trunk().model_copy(update={"trust_cpim": True})


@pytest.mark.parametrize(
    ("uri", "source"),
    [
        ("im:+14155550122@h", "+14155550122"),
        ("im:%2B14155550122@h", "+14155550122"),
        ("tel:+1-415-555-0122;phone-context=x", "+1-415-555-0122"),
        ("sip:+14155550122;npdi@h;user=phone", "+14155550122"),
        ("im:ann%40home@h", "im:ann%40home@h"),
        ("im:%00@h", "im:%00@h"),
        ("nonsense", "nonsense"),
        ("", "+14155550111"),
    ],
)
def test_who_an_envelope_says_it_is_from_is_believed_of_whom_we_trust(uri: str, source: str) -> None:
    sip = Sip(SipSection(), site())
    assert sip.read(wrapped(uri), TRUSTED, NOW).source == source
    assert sip.read(wrapped(uri), trunk(), NOW).source == "+14155550111"


def test_and_whom_it_is_for() -> None:
    sip, by = Sip(SipSection(), site()), wrapped("", "tel:+14155550177")
    assert sip.read(by, TRUSTED, NOW).destination == "+14155550177"
    assert sip.read(by, trunk(), NOW).destination == "sip:+14155550100@127.0.0.1"
    assert sip.read(by, TRUSTED, NOW).id == sip.read(simple(), trunk(), NOW).id  # it is the same text


async def test_a_text_goes_out_in_an_envelope_if_that_is_wanted() -> None:
    wire, gateway = Wire(), trunk(target="sip:192.0.2.50:5070")
    await Sip(SipSection(), site(gateway, wire=wire)).send(TEXT)
    await Sip(SipSection(cpim=True), site(gateway, wire=wire)).send(TEXT)
    await Sip(SipSection(cpim=True), site(gateway, wire=wire)).send(replace(TEXT, destination="sip:bob@h"))
    assert wire.types == ["text/plain;charset=utf-8", "message/cpim", "message/cpim"]
    plain, tel, sip = (body for *_, body in wire.sent)
    assert plain == TEXT.body.encode()
    assert unwrap(tel) == (f"tel:{TEXT.source}", f"tel:{TEXT.destination}", TEXT.body)
    assert unwrap(sip) == (f"tel:{TEXT.source}", "sip:bob@h", TEXT.body)


# Who sends

ASSERTED = {"P-Asserted-Identity": "<tel:+14155550123>"}
TRUSTING = trunk().model_copy(update={"trusted_headers": ("p-asserted-identity",)})


def test_a_text_is_from_whom_a_trusted_trunk_says() -> None:
    sip = Sip(SipSection(), site())
    assert sip.read(simple(change=ASSERTED), trunk(), NOW).source == "+14155550111"
    assert sip.read(simple(change=ASSERTED), TRUSTING, NOW).source == "+14155550123"


@pytest.mark.parametrize(
    "fields", [{"Privacy": "id"}, {"From": '"Anonymous" <sip:anonymous@anonymous.invalid>;tag=a'}, {"Privacy": "user"}]
)
async def test_who_withholds_his_number_is_anonymous_and_can_be_answered(fields: dict[str, str]) -> None:
    wire = Wire()
    through = TRUSTING.model_copy(update={"target": SECOND.target})
    sip = Sip(SipSection(), site(through, wire=wire))
    text = sip.read(simple(change={**ASSERTED, **fields}), through, NOW)
    assert text.source == "anonymous"
    await sip.send(replace(TEXT, destination="anonymous", route=text.route))
    assert wire.sent[-1][1] == "sip:+14155550123@192.0.2.2:5060"
