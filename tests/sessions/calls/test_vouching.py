"""Who vouches for a caller, in whole calls: what flows and the record say, and what a trunk that refuses answers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from edge.config import LOOPBACK
from edge.http import Answer
from edge.sessions.calls.vouching import REFUSED
from tests.sessions.line import Line, exchange, tag
from tests.sip.ladder import invite, request
from tests.stir.authority import NOW, ORIGID, URL, Authority, certificate, claims, identity

OURS = Authority()
ASSERTED = "+14155550123"


@pytest.fixture
async def line(migrated_sqlite: Path, tmp_path: Path) -> AsyncIterator[Line]:
    async with exchange(tmp_path, migrated_sqlite) as opened:
        opened.wall = float(NOW)
        opened.certificates.trust(OURS.anchors)
        opened.served[URL] = Answer(200, OURS.file(), "")
        yield opened


def annotate(line: Line, stir: str = "annotate", **more: Any) -> None:
    line.trunks.replace([LOOPBACK.model_copy(update={"stir": stir, **more})])


def flow(*matches: str) -> list[dict[str, Any]]:
    """Busy for these callers; others are sent to a URI that says what is known of them."""
    uri = "sip:${edge.call.verstat}-${edge.call.attestation}-${edge.call.origination_id}@pbx.example"
    return [
        {"id": "who", "type": "branch_caller", "option": {"callers": dict.fromkeys(matches, "no")}},
        {"id": "away", "type": "redirect", "option": {"destinations": [uri]}},
        {"id": "no", "type": "hangup", "option": {"reason": "busy"}},
    ]


async def call(line: Line, status: int, *identities: str, **fields: str) -> dict[str, Any]:
    head: dict[str, str | None] = {name.replace("_", "-"): value for name, value in fields.items()}
    for place, field in enumerate(identities):
        head["Identity" if not place else "y"] = field
    call_id = f"call-{len(await line.records())}"
    line >> invite(fields=head, call_id=call_id, branch=call_id)
    if line.out[0][1].startswith(b"SIP/2.0 100 "):
        line << 100
    await line.comes(status)
    line >> request("ACK", branch=call_id, call_id=call_id, to_tag=tag(line.header("to")))
    return await line.over()


def signed(**said: Any) -> str:
    return identity(claims(**said), OURS.leaf)


async def test_a_flow_sees_who_vouches_and_how(line: Line) -> None:
    await line.number(*flow("attestation:none"))
    record = await call(line, 302, signed(attest="B"))
    assert line.header("contact").startswith(f"<sip:TN-Validation-Passed-B-{ORIGID}@")
    assert (record["verstat"], record["verstat_why"]) == ("TN-Validation-Passed", "")
    assert (record["attestation"], record["origination_id"]) == ("B", ORIGID)


async def test_a_bad_signature_refuses_nobody_and_vouches_for_nothing(line: Line) -> None:
    await line.number(*flow("attestation:none"))
    record = await call(line, 486, identity(claims(), certificate("mallory")))
    assert (record["verstat"], record["attestation"]) == ("TN-Validation-Failed", "")
    assert record["verstat_why"] == "the signature is not that of its certificate"


async def test_nobody_signed(line: Line) -> None:
    await line.number(*flow("attestation:none"))
    assert (await call(line, 486))["verstat"] == "No-TN-Validation"


async def test_where_the_certificate_is_away_the_call_goes_on(line: Line) -> None:
    line.served.clear()
    await line.number(*flow())
    record = await call(line, 302, signed())
    assert (record["verstat"], record["verstat_why"]) == ("No-TN-Validation", f"{URL} is away")


@pytest.mark.parametrize("stir", ["off", "annotate"])
async def test_nobody_looks(line: Line, stir: str) -> None:
    annotate(line, stir)
    if stir == "annotate":
        line.certificates.trust(())
    await line.number(*flow())
    record = await call(line, 302, signed())
    assert (record["verstat"], record["attestation"], line.fetched) == ("", "", [])


async def test_who_signs_for_the_asserted_number_vouches_where_that_is_trusted(line: Line) -> None:
    await line.number(*flow())
    said = {"P_Asserted_Identity": f"<tel:{ASSERTED}>"}
    mine = signed(caller=ASSERTED.lstrip("+"))
    assert (await call(line, 302, mine, **said))["verstat"] == "TN-Validation-Failed"
    annotate(line, trusted_headers=("p-asserted-identity",))
    record = await call(line, 302, mine, **said)
    assert (record["source"], record["verstat"]) == (ASSERTED, "TN-Validation-Passed")


async def test_a_call_that_was_sent_on(line: Line) -> None:
    await line.number(*flow())
    first = signed(called=["14155550111"], issued=NOW - 30)
    record = await call(line, 302, first, identity(claims("div"), OURS.leaf, "div"))
    assert (record["verstat"], record["attestation"]) == ("TN-Validation-Passed", "A")


@pytest.mark.parametrize(
    ("field", "status", "phrase"),
    [
        ("", 428, "Use Identity Header"),
        (signed(issued=NOW - 300), 403, "Stale Date"),
        (signed().replace(URL, "http://certificates.example/a.pem"), 436, "Bad Identity Info"),
        (signed().replace("alg=ES256", "alg=RS256"), 437, "Unsupported Credential"),
        (signed(called=["14155550177"]), 438, "Invalid Identity Header"),
    ],
)
async def test_a_trunk_that_refuses_says_why(line: Line, field: str, status: int, phrase: str) -> None:
    annotate(line, "refuse")
    await line.number(*flow())
    before = REFUSED.labels(str(status)).value
    record = await call(line, status, *([field] if field else []))
    assert line.response.reason == phrase
    assert line.header("reason").startswith(f'STIR;cause={status};text="{phrase}"')
    assert (record["reason"], record["sip_code"]) == ("NotVerified", status)
    assert record["steps"] == []
    assert REFUSED.labels(str(status)).value == before + 1


async def test_a_trunk_that_refuses_takes_who_is_vouched_for(line: Line) -> None:
    annotate(line, "refuse")
    await line.number(*flow())
    await call(line, 302, signed())
    line >> invite(call_id="again", branch="again", fields={"Identity": signed()}) << 302  # now in the same turn
    assert line.fetched == [URL]


async def test_a_number_that_is_not_ours_costs_no_certificate(line: Line) -> None:
    record = await call(line, 404, signed())
    assert (record["verstat"], line.fetched) == ("", [])


async def test_who_gives_up_meanwhile_is_gone(line: Line) -> None:
    await line.number(*flow())
    line >> invite(fields={"Identity": signed()}) << 100
    line >> request("CANCEL", branch="one") << 200
    line << 487
    line >> request("ACK", branch="one", to_tag=tag(line.header("to")))
    assert (await line.over())["outcome"] == "cancelled"
