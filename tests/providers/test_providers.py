"""Every provider against its data file, `<name>.json`: what is in stock, what is asked, what is offered."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from edge.errors import NotFound
from edge.numbers.provider import PROVIDERS, Search
from edge.plugins import load
from edge.providers.pool import LOOKED_AT_MAX, Pool, PoolRange, PoolSection

load("edge.providers")
HERE = Path(__file__).parent
CASES: list[dict[str, Any]] = json.loads((HERE / "pool.json").read_text())


def pool(ranges: list[dict[str, Any]] | None = None, live: Sequence[str] = (), lot: int = 0) -> Pool:
    async def taken(wanted: Sequence[str]) -> set[str]:
        return set(wanted) & set(live)

    options = PoolSection() if ranges is None else PoolSection.model_validate({"ranges": ranges})
    return Pool(options, taken, lambda below: lot % below)


@pytest.mark.parametrize("name", PROVIDERS.names())
def test_every_provider_has_its_data_file_and_describes_its_options(name: str) -> None:
    provider = PROVIDERS.get(name)
    assert provider is not None
    assert (HERE / f"{name}.json").exists()
    assert all(field.description for field in provider.Options.model_fields.values())


@pytest.mark.parametrize("case", CASES, ids=[case["story"] for case in CASES])
async def test_search(case: dict[str, Any]) -> None:
    provider = pool(case["ranges"], case.get("live", ()), case.get("lot", 0))
    found = await provider.search(Search.model_validate(case["search"]))
    assert [offer.number for offer in found] == case["found"]
    assert {offer.provider_name for offer in found} <= {"pool"}


async def test_an_offer_says_what_the_number_can_do() -> None:
    [offer] = await pool().search(Search(country_code="US", contains="+14155550100"))
    assert offer.public() == {
        "number": "+14155550100",
        "country": "US",
        "region": "California",
        "postal_code": "",
        "features": ["sms", "voice"],
    }


async def test_a_search_asks_for_a_bounded_count_of_numbers() -> None:
    asked = 0

    async def all_taken(wanted: Sequence[str]) -> set[str]:
        nonlocal asked
        asked += len(wanted)
        return set(wanted)

    provider = Pool(PoolSection(), all_taken, lambda below: 5)
    for contains in ("", "7"):
        asked = 0
        assert await provider.search(Search(type="virtual", contains=contains)) == []
        assert asked == LOOKED_AT_MAX


async def test_an_order_is_done_at_once_and_again() -> None:
    provider = pool([{"country": "US", "first": "+14155550100", "last": "+14155550101", "features": ["fax", "voice"]}])
    order = await provider.order("+14155550100", "ref")
    assert (order.status, order.reference, order.t38_enabled, order.emergency_enabled) == ("active", "ref", True, False)
    assert await provider.order("+14155550100", "ref") == order
    for number in ("+14155550102", "+1415555010", "14155550100", ""):
        with pytest.raises(NotFound):
            await provider.order(number, "ref")
    await provider.release("+14155550100", "ref")
    await provider.release("+14155550100", "ref")


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"first": "14155550100"}, "first: not an E.164"),
        ({"last": "+141555501"}, "as many digits"),
        ({"last": "+14155550000"}, "not be lower"),
        ({"country": "USA"}, "country"),
        ({"type": "virtual"}, "virtual"),
        ({"features": ["telepathy"]}, "features"),
        ({"prefix": "+1415"}, "prefix"),
    ],
)
def test_a_range_names_what_is_wrong_with_it(fields: dict[str, Any], what: str) -> None:
    with pytest.raises(ValidationError, match=what):
        PoolRange.model_validate({"country": "US", "first": "+14155550100", "last": "+14155550199", **fields})


@pytest.mark.parametrize(
    "fields", [{"page_size": 0}, {"page_size": 101}, {"contains": "abc"}, {"type": "x"}, {"odd": 1}]
)
def test_a_search_names_what_is_wrong_with_it(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(fields))):
        Search.model_validate(fields)
