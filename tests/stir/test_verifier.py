"""Who vouches for a caller, and why somebody does not: whole fields, certificates of a small authority, no network."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import Unavailable
from edge.http import Answer
from edge.stir.passport import Said, read_identity
from edge.stir.repository import FETCHES, REMEMBERED, Repository
from edge.stir.section import StirSection
from edge.stir.verdict import Doubt, Verdict
from edge.stir.verifier import Signed, Verifier
from tests.stir.authority import (
    CALLED,
    CALLER,
    FORMER,
    NOW,
    ORIGID,
    URL,
    WHEN,
    Authority,
    certificate,
    claims,
    compact,
    identity,
    key,
    numbers,
    one,
    pem,
    span,
    spc,
)

OURS = Authority()
PASSED, FAILED, NONE = "TN-Validation-Passed", "TN-Validation-Failed", "No-TN-Validation"


class World:
    """A verifier, a clock and a place where certificates are."""

    def __init__(self, **section: Any) -> None:
        self.now = float(NOW)
        self.asked: list[str] = []
        self.there = {URL: Answer(200, OURS.file(), "application/pem-certificate-chain")}
        self.gate = asyncio.Event()
        self.gate.set()
        read = StirSection(**section)
        self.repository = Repository(read, OURS.anchors, self.ask, lambda: self.now)
        self.verifier = Verifier(read, self.repository, lambda: self.now)

    async def ask(self, method: str, url: str, **limits: Any) -> Answer:
        self.asked.append(url)
        assert not limits["follow"]
        await self.gate.wait()
        if url not in self.there:
            raise Unavailable(f"{url} is away")
        return self.there[url]

    def serve(self, body: bytes, url: str = URL, **more: Any) -> World:
        self.there[url] = Answer(200, body, "", **more)
        return self

    async def verify(
        self, *fields: str, caller: str = f"+{CALLER}", dialed: str = f"+{CALLED}", date: str = ""
    ) -> Verdict:
        call = Signed(fields, caller, dialed, date)
        known = self.verifier.look(call)
        return known if known is not None else await self.verifier.verify(call)


def signed(kind: str = "shaken", **said: Any) -> str:
    return identity(claims(kind, **said), OURS.leaf, kind)


async def test_a_signed_caller_has_an_attestation() -> None:
    world = World()
    verdict = await world.verify(signed())
    assert (verdict.verstat, verdict.attestation, verdict.origination_id) == (PASSED, "A", ORIGID)
    assert (verdict.status, verdict.why) == (0, "")
    assert world.verifier.look(Signed([signed(attest="C")], f"+{CALLER}", f"+{CALLED}")) is not None  # without waiting
    assert world.asked == [URL]


async def test_numbers_are_compared_by_their_digits() -> None:
    assert (await World().verify(signed(caller="+1-415-555-0199", called="14155550100"))).verstat == PASSED


async def test_a_passport_without_a_type_says_no_more_than_that_the_number_is_right() -> None:
    verdict = await World().verify(signed(""))
    assert (verdict.verstat, verdict.attestation) == (PASSED, "")


async def test_the_compact_form_says_what_the_request_says() -> None:
    field = compact({"dest": {"tn": [CALLED]}, "iat": NOW, "orig": {"tn": CALLER}}, OURS.leaf)
    date = format_datetime(WHEN, usegmt=True)
    assert (await World().verify(field, date=date)).verstat == PASSED
    other = await World().verify(field, date=date, dialed="+14155550177")
    assert (other.verstat, other.status) == (FAILED, 438)
    assert (await World().verify(field)).why == "the compact form needs a Date"
    assert (await World().verify(f"{field};ppt=shaken", date=date)).why == "shaken needs the full form"


@pytest.mark.parametrize(
    ("said", "status", "why"),
    [
        ({"issued": NOW - 61}, 403, "it was signed at another time (61 seconds old)"),
        ({"issued": NOW + 61}, 403, "it was signed at another time (61 seconds ahead)"),
        ({"issued": str(NOW)}, 438, "iat is no time"),
        ({"issued": True}, 438, "iat is no time"),
        ({"caller": "14155550198"}, 438, "orig is not who calls"),
        ({"caller": ["14155550199"]}, 438, "orig is not who calls"),
        ({"called": ["14155550101"]}, 438, "dest is not the dialed number"),
        ({"called": []}, 438, "dest is not the dialed number"),
        ({"attest": "D"}, 438, "attest is not A, B or C"),
        ({"attest": ["A"]}, 438, "attest is not A, B or C"),
        ({"origid": ""}, 438, "there is no origid"),
        ({"dest": None}, 438, "there is no dest"),
        ({"orig": "14155550199"}, 438, "there is no orig"),
    ],
)
async def test_claims_that_are_not_of_this_call(said: dict[str, Any], status: int, why: str) -> None:
    verdict = await World().verify(signed(**said))
    assert (verdict.verstat, verdict.attestation, verdict.status, verdict.why) == (FAILED, "", status, why)


@pytest.mark.parametrize(
    ("header", "status", "why"),
    [
        ({"x5u": "https://elsewhere.example/a.pem"}, 436, "x5u is not info"),
        ({"typ": "JWT"}, 438, "its type is not passport"),
        ({"ppt": "div"}, 438, "ppt is another in the PASSporT"),
    ],
)
async def test_a_header_that_does_not_fit(header: dict[str, Any], status: int, why: str) -> None:
    verdict = await World().verify(identity(claims(), OURS.leaf, **header))
    assert (verdict.verstat, verdict.status, verdict.why) == (FAILED, status, why)


@pytest.mark.parametrize(
    ("field", "status"),
    [
        ("", 438),
        ("garbage", 438),
        (";;;", 438),
        (f"a.b;info=<{URL}>", 438),
        (f"a.b.c;info=<{URL}>;ppt=shaken", 438),
        (f"eyJhIjoxfQ.W10.c2ln;info=<{URL}>", 438),
        (signed().replace(f"info=<{URL}>", "x=1"), 436),
        (signed().replace("alg=ES256", "alg=none"), 437),
        ("x" * 9_000, 438),
    ],
)
async def test_fields_that_are_none(field: str, status: int) -> None:
    verdict = await World().verify(field)
    assert (verdict.verstat, verdict.status) == (FAILED, status)


async def test_nobody_signs_with_the_key_of_another() -> None:
    forged = identity(claims(), certificate("mallory"))
    assert (await World().verify(forged)).why == "the signature is not that of its certificate"
    head, body, signature = signed().split(".", 2)
    tampered = signed(attest="B").split(".")[1]
    assert (await World().verify(f"{head}.{tampered}.{signature}")).status == 438
    assert body != tampered


async def test_types_of_others_vouch_for_nothing() -> None:
    rph = identity(claims("rph"), OURS.leaf, "rph")
    verdict = await World().verify(rph)
    assert (verdict.verstat, verdict.status) == (NONE, 428)
    assert (await World().verify(rph, signed())).verstat == PASSED
    assert (await World().verify()).status == 428


async def test_nobody_vouches_for_who_shows_no_number() -> None:
    world = World()
    verdict = world.verifier.look(Signed([signed()], "anonymous", f"+{CALLED}"))
    assert verdict is not None
    assert (verdict.verstat, verdict.status, world.asked) == (NONE, 428, [])


# Calls that were sent on


async def test_diversions_lead_back_to_who_was_called_first() -> None:
    world = World()
    first = signed(called=[FORMER], issued=NOW - 200)  # it rang there for a while
    second = signed("div", called=["14155550122"], diverted=FORMER, issued=NOW - 90)
    third = signed("div", diverted="14155550122")
    verdict = await world.verify(third, first, second)
    assert (verdict.verstat, verdict.attestation) == (PASSED, "A")
    assert (await world.verify(first, third)).why == "dest is not the dialed number"  # the one between is missing
    assert (await world.verify(third, second)).why == "div leads back to no other PASSporT"


async def test_the_last_diversion_is_fresh_and_the_first_call_not_of_yesterday() -> None:
    first, old = signed(called=[FORMER]), signed(called=[FORMER], issued=NOW - 601)
    assert (await World().verify(first, signed("div", issued=NOW - 61))).status == 403
    assert (await World().verify(old, signed("div"))).status == 403


async def test_diversions_that_go_in_circles_end() -> None:
    a = signed("div", called=[CALLED], diverted=FORMER)
    b = signed("div", called=[FORMER], diverted=CALLED)
    assert (await World().verify(signed(called=["14155550177"]), a, b)).status == 438


async def test_who_sends_a_call_on_signs_for_his_own_number() -> None:
    stranger = OURS.provider(listed=numbers(one("14155550666")))
    url = "https://certificates.example/stranger.pem"
    world = World().serve(OURS.file(stranger), url)
    verdict = await world.verify(signed(called=[FORMER]), identity(claims("div"), stranger, "div", url))
    assert (verdict.verstat, verdict.status) == (FAILED, 437)


# Certificates


@pytest.mark.parametrize(
    ("listed", "good"),
    [
        (numbers(spc("1234")), True),
        (numbers(one(CALLER)), True),
        (numbers(span("14155550100", 100)), True),
        (numbers(span("14155550100", 99)), False),
        (numbers(one("4155550199")), False),
        (numbers(one("14155550198"), spc("1")), True),
        (numbers(*[one(str(14155550000 + number)) for number in range(200)]), True),
        (numbers(), False),
        (b"\x05\x00", False),
        (numbers(span("14155550100", 0)), False),
        (numbers(one("not a number")), False),
        (None, False),
    ],
)
async def test_a_certificate_is_for_the_numbers_that_it_lists(listed: bytes | None, good: bool) -> None:
    leaf = OURS.provider(listed=listed)
    verdict = await World().serve(OURS.file(leaf)).verify(identity(claims(), leaf))
    assert (verdict.verstat, verdict.status) == ((PASSED, 0) if good else (FAILED, 437))


def strange(**how: Any) -> bytes:
    return OURS.file(OURS.provider(**how))


OTHERS = Authority()
NO_CA = OURS.middle.issue("not a CA", listed=numbers(spc("1")))
DEEPER = OURS.middle.issue("deeper", ca=True)


@pytest.mark.parametrize(
    "body",
    [
        OTHERS.file(),  # leads to no anchor of ours
        pem(OURS.leaf),  # the one between is missing
        strange(until=WHEN - timedelta(hours=1)),
        strange(since=WHEN + timedelta(hours=1)),
        strange(usage=False),
        strange(critical=True),
        strange(ca=True),
        strange(own=key(ec.SECP384R1())),
        pem(NO_CA.issue("below", listed=numbers(spc("1"))), NO_CA, OURS.middle),
        pem(DEEPER.issue("too deep", listed=numbers(spc("1"))), DEEPER, OURS.middle),
        pem(*[OURS.leaf] * 9),
        b"",
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        b"<html>",
    ],
)
async def test_bad_certificates(body: bytes) -> None:
    world = World().serve(body)
    verdict = await world.verify(signed())
    assert (verdict.verstat, verdict.attestation, verdict.status) == (FAILED, "", 437)
    await world.verify(signed())
    assert len(world.asked) == 1  # it is remembered that it is bad


async def test_one_certificate_as_der_leads_to_an_anchor_as_well() -> None:
    leaf = OURS.root.issue("direct", listed=numbers(spc("1")))
    world = World().serve(leaf.certificate.public_bytes(Encoding.DER))
    assert (await world.verify(identity(claims(), leaf))).verstat == PASSED


async def test_other_anchors_are_other_verdicts() -> None:
    world = World()
    assert (await world.verify(signed())).verstat == PASSED
    world.repository.trust(OTHERS.anchors)
    assert (await world.verify(signed())).status == 437
    world.repository.trust(())
    assert not world.verifier.able


# The repository


@pytest.mark.parametrize(
    ("url", "section"),
    [
        ("http://certificates.example/a.pem", {}),
        ("ftp://certificates.example/a.pem", {"allow_http": True}),
        ("https://user@certificates.example/a.pem", {}),
        ("https://elsewhere.example/a.pem", {"hosts": ["Certificates.example"]}),
        ("https://[", {}),
    ],
)
async def test_urls_that_are_never_asked(url: str, section: dict[str, Any]) -> None:
    world = World(**section)
    verdict = await world.verify(identity(claims(), OURS.leaf, url=url))
    assert (verdict.verstat, verdict.status, world.asked) == (FAILED, 436, [])


@pytest.mark.parametrize(("status", "verstat"), [(404, FAILED), (302, FAILED), (503, NONE)])
async def test_what_is_not_there(status: int, verstat: str) -> None:
    world = World()
    world.there[URL] = Answer(status, b"", "")
    verdict = await world.verify(signed())
    assert (verdict.verstat, verdict.status) == (verstat, 436)


async def test_many_calls_of_one_signer_are_one_fetch() -> None:
    world = World()
    world.gate.clear()
    calls = [asyncio.create_task(world.verify(signed())) for _ in range(20)]
    while not world.asked:
        await asyncio.sleep(0)
    world.gate.set()
    assert {verdict.verstat for verdict in await asyncio.gather(*calls)} == {PASSED}
    assert world.asked == [URL]


async def test_a_call_waits_no_longer_than_it_may_and_the_next_one_has_it() -> None:
    world = World(deadline_seconds=0.01)
    world.gate.clear()
    verdict = await world.verify(signed())
    assert (verdict.verstat, verdict.status, verdict.why) == (
        NONE,
        436,
        "its certificate did not come within 0.01 seconds",
    )
    world.gate.set()
    while not len(world.repository):
        await asyncio.sleep(0)
    assert (await world.verify(signed())).verstat == PASSED
    assert world.asked == [URL]


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("", 3600),
        ("max-age=600", 600),
        ("public, max-age=5", 60),
        ("max-age=999999999", 43_200),
        ("no-store", 60),
        ("nonsense", 3600),
    ],
)
async def test_certificates_are_kept_as_long_as_their_server_says(said: str, seconds: int) -> None:
    world = World(cache_seconds=43_200).serve(OURS.file(), cache_control=said)
    await world.verify(signed())
    world.now = NOW + seconds - 1
    assert world.repository.peek(URL) is not None
    world.now = NOW + seconds
    assert world.repository.peek(URL) is None


async def test_no_certificate_is_kept_longer_than_it_is_valid() -> None:
    leaf = OURS.provider(until=WHEN + timedelta(seconds=90))
    world = World().serve(OURS.file(leaf))
    assert (await world.verify(identity(claims(), leaf))).verstat == PASSED
    world.now = NOW + 91
    assert (await world.verify(identity(claims(issued=NOW + 91), leaf))).status == 437


async def test_what_is_away_is_asked_again_soon() -> None:
    world = World()
    body = world.there.pop(URL)
    assert (await world.verify(signed())).verstat == NONE
    await world.verify(signed())
    assert len(world.asked) == 1
    world.there[URL] = body
    world.now = NOW + 10
    assert (await world.verify(signed())).verstat == PASSED


async def test_no_caller_makes_the_repository_grow() -> None:
    world = World()
    for number in range(REMEMBERED + 20):
        await world.repository.find(f"https://x.example/{number}", 1.0)
    assert len(world.repository) == REMEMBERED


async def test_no_caller_makes_many_fetches_at_once() -> None:
    world = World(deadline_seconds=0.01)
    world.gate.clear()
    found = await asyncio.gather(*(world.repository.find(f"https://x.example/{n}", 0.01) for n in range(FETCHES + 5)))
    assert len(world.asked) == FETCHES
    assert all(isinstance(one, Doubt) and one.away for one in found)
    await world.repository.close()


# Whatever comes in

BASE = signed()


@given(st.text(max_size=400))
def test_any_text_is_read_or_doubted(text: str) -> None:
    _read(text)
    _read(f"{text};info=<{URL}>;ppt=shaken")


@given(st.integers(0, len(BASE) - 1), st.characters(max_codepoint=255))
def test_a_field_with_one_character_changed_is_read_or_doubted(place: int, character: str) -> None:
    _read(BASE[:place] + character + BASE[place + 1 :])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["tn", "uri", "x"]), inner, max_size=2),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(["orig", "dest", "iat", "attest", "origid", "div"]), JSON), JSON)
def test_any_claims_are_read_or_doubted(said: dict[str, Any], header: Any) -> None:
    for kind in ("", "shaken", "div"):
        _read(identity({**claims(kind), **said}, OURS.leaf, kind))
        _read(identity({**claims(kind), **said}, OURS.leaf, kind, ppt=header))


def _read(field: str) -> None:
    with suppress(Doubt):
        passport = read_identity(field, Said(CALLER, CALLED, ""))
        assert passport is None or passport.kind in ("", "shaken", "div")


def test_a_reason_names_the_passport_by_its_signature() -> None:
    verdict = Verdict("TN-Validation-Failed", status=403, signature="abc")
    assert verdict.reason == 'STIR;cause=403;text="Stale Date";ppi="..abc"'
