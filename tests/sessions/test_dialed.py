from __future__ import annotations

from typing import Any

import pytest

from edge.sessions.dialed import by_rules, caller, dialed, read_field
from edge.sip.message import Request, parse
from edge.trunks.trunk import Trunk
from tests.sip.ladder import invite

ALL = ["request-uri", "to", "p-called-party-id", "diversion", "history-info"]


def trunk(**more: Any) -> Trunk:
    trusted = ["diversion", "history-info"]
    return Trunk.model_validate({"name": "t", "networks": ["192.0.2.0/24"], "trusted_headers": trusted, **more})


def came(uri: str = "sip:+14155550100@192.0.2.1", **fields: str) -> Request:
    request = parse(invite(uri=uri, fields={name.replace("_", "-"): value for name, value in fields.items()}))
    assert isinstance(request, Request)
    return request


PILOT = "sip:pilot@192.0.2.1"
HISTORY = "<sip:+14155550111@a>;index=1, <sip:+14155550122@b>;index=1.1;rc=1, <sip:pilot@c>;index=1.2;{}"


@pytest.mark.parametrize(
    ("fields", "request_", "text", "field"),
    [
        (["request-uri"], came(), "sip:+14155550100@192.0.2.1", "request-uri"),
        (["to"], came(To="<sip:+14155550122@x>"), "sip:+14155550122@x", "to"),
        (["to"], came(To="<tel:+14155550122>"), "tel:+14155550122", "to"),
        (["p-called-party-id"], came(P_Called_Party_ID="<sip:+1415555@x>"), "sip:+1415555@x", "p-called-party-id"),
        (["p-called-party-id", "request-uri"], came(), "sip:+14155550100@192.0.2.1", "request-uri"),
        (["request-uri", "to"], came("sip:192.0.2.1", To="<sip:+14155550122@x>"), "sip:+14155550122@x", "to"),
        (["request-uri"], came("sip:192.0.2.1"), "", "request-uri"),
        (["p-called-party-id"], came(), "", "p-called-party-id"),
        (["p-called-party-id", "to"], came(P_Called_Party_ID="<<", To="<sip:1@x>"), "sip:1@x", "to"),
        # who diverted last stands on top
        (["diversion"], came(Diversion="<sip:+12@a>;reason=unconditional, <sip:+13@b>"), "sip:+12@a", "diversion"),
        (["diversion", "to"], came(To="<sip:1@x>"), "sip:1@x", "to"),
        # the entry that the last one came from
        (["history-info"], came(History_Info=HISTORY.format("rc=1.1")), "sip:+14155550122@b", "history-info"),
        (["history-info"], came(History_Info=HISTORY.format("mp=1")), "sip:+14155550111@a", "history-info"),
        (["history-info"], came(History_Info=HISTORY.format("x=1")), "sip:+14155550122@b", "history-info"),
        (["history-info"], came(History_Info="<sip:+1415@a>;index=1"), "sip:+1415@a", "history-info"),
        (["history-info", "to"], came(History_Info="nonsense<", To="<sip:1@x>"), "sip:1@x", "to"),
    ],
)
def test_the_first_field_that_has_a_number_counts(fields: list[str], request_: Request, text: str, field: str) -> None:
    made = trunk(dialed_from=fields)
    assert read_field(request_, made.dialed_from) == (text, field)
    assert dialed(request_, made) == (request_.uri if fields == ["request-uri"] else text)


def test_the_order_of_the_trunk_decides() -> None:
    request = came(
        To="<sip:+12@x>", P_Called_Party_ID="<sip:+13@x>", Diversion="<sip:+14@x>", History_Info="<sip:+15@x>"
    )
    for field in ALL:
        others = [one for one in ALL if one != field]
        assert read_field(request, trunk(dialed_from=[field, *others]).dialed_from)[1] == field


@pytest.mark.parametrize(
    ("uri", "rewritten"),
    [
        ("sip:0014155550100@192.0.2.1", "+14155550100"),
        ("sip:00%31415-555-0100;npdi@192.0.2.1;user=phone", "+14155550100"),
        ("tel:00-1-415-555-0100", "+14155550100"),
        ("sip:77+14155550100@192.0.2.1", ""),  # no digits
        ("sip:14155550100@192.0.2.1", ""),
        ("sip:alice@192.0.2.1", ""),
        ("sip:7714155550100@192.0.2.1", "14155550100"),
    ],
)
def test_rules_rewrite_the_digits(uri: str, rewritten: str) -> None:
    rules = [{"prefix": "00", "strip": 2, "add": "+"}, {"prefix": "77", "strip": 2}]
    made = trunk(dialed_rules=rules)
    assert by_rules(uri, made.dialed_rules) == rewritten
    assert dialed(came(uri), made) == (rewritten or uri)


@pytest.mark.parametrize(
    ("source", "country", "rules", "expected"),
    [
        ("+14155550199", "US", [], "+14155550199"),
        ("4155550199", "US", [], "+14155550199"),
        ("14155550199", "US", [], "+14155550199"),
        ("030123456", "DE", [], "+4930123456"),
        ("14155550199", None, [], "14155550199"),
        ("1000", "US", [], "1000"),
        ("alice", "US", [], "alice"),
        ("anonymous", "US", [], "anonymous"),
        ("", "US", [], ""),
        ("99030123456", "DE", [{"prefix": "99", "strip": 2}], "+4930123456"),
        ("99030123456", None, [{"prefix": "99", "strip": 2}], "030123456"),
        ("+499930123456", "DE", [{"prefix": "+4999", "strip": 5, "add": "+49"}], "+4930123456"),
        ("1000", None, [{"prefix": "1", "add": "+141555501"}], "+1415555011000"),
    ],
)
def test_a_caller_is_rewritten_too(
    source: str, country: str | None, rules: list[dict[str, Any]], expected: str
) -> None:
    assert caller(source, trunk(country=country, caller_rules=rules)) == expected
