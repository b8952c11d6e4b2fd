from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from edge.carriers.loopback import Loopback, LoopbackSection
from edge.errors import Forbidden, Invalid, NumberUnknown
from edge.sms.carrier import Inbound, Posted, View, Webhooks
from edge.sms.text import Report, Verdict
from tests.carriers.stage import TEXT, Web, cases, outcome, site

NOW = datetime(2026, 8, 1, 9, tzinfo=UTC)


def routes(carrier: Loopback) -> tuple[Inbound, View]:
    inbound, _, outbound = carrier.routes()
    assert isinstance(inbound, Inbound)
    assert isinstance(outbound, View)
    return inbound, outbound


def test_it_describes_its_webhooks() -> None:
    carrier = Loopback(LoopbackSection(), site())
    assert isinstance(carrier, Webhooks)
    inbound, outbound = routes(carrier)
    assert (inbound.method, inbound.suffix, inbound.scope) == ("POST", "inbound", "customer")
    assert (outbound.method, outbound.suffix, outbound.scope) == ("GET", "outbound", "customer")


def _place_of_fault(inbound: Inbound, payload: Any) -> str:
    try:
        inbound.read(Posted(inbound.payload.model_validate(payload), None, NOW))
    except ValidationError as error:
        return str(error.errors()[0]["loc"][0])
    except Invalid as error:
        return error.faults[0].where
    return ""


@pytest.mark.parametrize("case", cases("loopback", "read"), ids=lambda case: case["name"])
def test_a_body_is_read(case: Any) -> None:
    inbound, _ = routes(Loopback(LoopbackSection(name="lab"), site()))
    if "fault" in case:
        assert _place_of_fault(inbound, case["payload"]) == case["fault"]
        return
    (text,) = inbound.read(Posted(inbound.payload.model_validate(case["payload"]), case.get("account"), NOW))
    assert {name: getattr(text, name) for name in case["expect"]} == case["expect"]
    assert (text.carrier, text.account, text.received_at) == ("lab", case.get("account"), NOW)


@pytest.mark.parametrize(
    ("verdict", "body"),
    [
        (Verdict("m1"), {"id": "m1", "status": "received", "reason": ""}),
        (Verdict("m1", repeated=True), {"id": "m1", "status": "received", "reason": ""}),
        (Verdict("m1", NumberUnknown), {"id": "m1", "status": "rejected", "reason": "NumberUnknown"}),
    ],
)
def test_a_verdict_is_told(verdict: Verdict, body: dict[str, str]) -> None:
    inbound, _ = routes(Loopback(LoopbackSection(), site()))
    assert inbound.answer([verdict]).model_dump() == body


def test_a_receipt_is_read() -> None:
    _, report, _ = Loopback(LoopbackSection(name="lab"), site()).routes()
    assert isinstance(report, Inbound)
    payload = report.payload.model_validate({"id": "m1", "status": "failed", "code": "7", "reason": "no"})
    assert report.read(Posted(payload, "c1", NOW)) == (Report("lab", "m1", "failed", NOW, "7", "no", account="c1"),)
    assert report.answer([]).model_dump() == {"status": "kept"}
    for wrong in ({"id": "", "status": "sent"}, {"id": "m1", "status": "queued"}, {"id": "x" * 513, "status": "sent"}):
        with pytest.raises(ValidationError):
            report.payload.model_validate(wrong)


async def test_without_a_callback_the_last_texts_can_be_looked_at() -> None:
    carrier = Loopback(LoopbackSection(kept=2), site())
    _, outbound = routes(carrier)
    for number in (1, 2, 2, 3):
        await carrier.send(replace(TEXT, id=f"m{number}", customer_id=f"c{number}"))
    assert outbound.show(None).model_dump() == {
        "result": [
            {"id": f"m{number}", "from": "+14155550100", "to": "+14155550111", "text": "hi there"} for number in (3, 2)
        ]
    }
    shown = outbound.show("c2").model_dump()
    assert [text["id"] for text in shown["result"]] == ["m2"]


async def test_with_a_callback_they_are_posted() -> None:
    web = Web()
    carrier = Loopback(LoopbackSection(callback="http://127.0.0.1:9/texts"), site(web=web))
    assert (await carrier.send(TEXT)).carrier_id == "m1"
    assert web.posted == [
        ("http://127.0.0.1:9/texts", {"id": "m1", "from": "+14155550100", "to": "+14155550111", "text": "hi there"})
    ]


@pytest.mark.parametrize("case", cases("loopback", "send"), ids=lambda case: str(case["status"]))
async def test_a_status_says_whether_to_try_again(case: Any) -> None:
    carrier = Loopback(LoopbackSection(callback="http://127.0.0.1:9/"), site(web=Web(case["status"])))
    got, code, says = await outcome(carrier, TEXT)
    assert got == case["outcome"]
    assert says == case.get("says", "")
    assert code == ("" if got == "sent" else str(case["status"]))


@pytest.mark.parametrize("error", [OSError("refused"), TimeoutError("too slow"), Forbidden("a private address")])
async def test_a_callback_that_cannot_be_reached_means_not_now(error: Exception) -> None:
    carrier = Loopback(LoopbackSection(callback="http://127.0.0.1:9/"), site(web=Web(error)))
    assert await outcome(carrier, TEXT) == ("not now", "", f"the callback cannot be reached: {error}")


@pytest.mark.parametrize("url", ["", "127.0.0.1", "ftp://127.0.0.1/", "http://"])
def test_callback_invalid(url: str) -> None:
    with pytest.raises(ValidationError):
        LoopbackSection(callback=url)
