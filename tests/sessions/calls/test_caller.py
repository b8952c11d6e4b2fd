"""Who calls: which field says it, who is believed, and who is not told."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.config import LOOPBACK
from edge.sessions.calls.caller import Parties, identify
from edge.sessions.calls.record import Attempt, withheld
from edge.sessions.calls.variables import CallVariables
from edge.sip.message import Request, parse
from tests.logged import logged
from tests.sessions.calls.test_variables import NUMBER as OURS
from tests.sessions.line import CALLER, OUT, Line, exchange, tag
from tests.sip.ladder import invite, request

ALL = ("p-asserted-identity", "remote-party-id", "diversion", "history-info", "privacy")
PAI = "+14155550123"
DIVERSION = "<sip:+14155550102@x>;reason=no-answer, <tel:+14155550101>;reason=user-busy"


def read(**fields: str) -> Request:
    message = parse(invite(fields={name.replace("_", "-"): value for name, value in fields.items()}))
    assert isinstance(message, Request)
    return message


def identified(request: Request, *trusted: str, country: str | None = "US") -> Attempt:
    number, name = request.caller
    attempt = Attempt(
        id="id", call_id="c", remote="192.0.2.9", dialed=request.uri, source=number, source_name=name, tm_create=1
    )
    attempt.country = country
    identify(attempt, request, trusted)
    return attempt


def variables(request: Request, *trusted: str) -> dict[str, str]:
    attempt = identified(request, *trusted)
    view = CallVariables(attempt, OURS, Parties(request, trusted, attempt))
    return {name: value for name, value in view.items() if value}


def test_a_field_that_is_not_trusted_decides_nothing_and_can_be_read() -> None:
    request = read(P_Asserted_Identity=f"<sip:{PAI}@x>", Diversion=DIVERSION, Remote_Party_ID="<sip:14155550124@x>")
    attempt = identified(request)
    assert (attempt.source, attempt.source_from, attempt.diversion) == (CALLER, "from", "")
    told = variables(request)
    assert told["voipbin.call.source.target"] == told["edge.call.caller"] == told["edge.caller.from"] == CALLER
    assert (told["edge.caller.asserted"], told["edge.caller.asserted_trusted"]) == (PAI, "false")
    assert (told["edge.caller.remote_party"], told["edge.caller.remote_party_trusted"]) == ("+14155550124", "false")
    assert (told["edge.call.diversion"], told["edge.call.diversion_trusted"]) == ("+14155550102", "false")


def test_a_trusted_identity_is_who_calls() -> None:
    request = read(P_Asserted_Identity=f'"Acme" <tel:{PAI}>, <sip:desk@acme.example>', Diversion=DIVERSION)
    attempt = identified(request, *ALL)
    assert (attempt.source, attempt.source_name, attempt.source_from) == (PAI, "Acme", "p-asserted-identity")
    assert attempt.diversion == "+14155550102"
    told = variables(request, *ALL)
    assert told["edge.call.caller"] == told["edge.caller.asserted"] == PAI
    assert told["edge.caller.asserted_trusted"] == told["edge.call.diversion_trusted"] == "true"
    assert (told["edge.caller.from"], told["edge.caller.read_from"]) == (CALLER, "p-asserted-identity")
    assert (told["edge.call.diversion_reason"], told["edge.call.diversions"]) == ("no-answer", "2")
    assert told["edge.call.original_called"] == "+14155550101"


def test_a_local_number_is_read_in_its_context() -> None:
    attempt = identified(read(P_Asserted_Identity="<tel:4155550123;phone-context=+1>"), *ALL, country=None)
    assert (attempt.source, attempt.source_raw) == (PAI, "tel:4155550123;phone-context=+1")


def test_history_says_who_sent_the_call_on_where_it_alone_is_believed() -> None:
    history = "<sip:+14155550111@x>;index=1, <sip:+14155550100@x;cause=302>;index=1.1"
    request = read(Diversion=DIVERSION, History_Info=history)
    assert identified(request, "history-info").diversion == "+14155550111"
    told = variables(request, "history-info")
    assert (told["edge.call.diversion"], told["edge.call.diversion_reason"]) == ("+14155550111", "unconditional")
    assert (told["edge.call.original_called"], told["edge.call.original_called_trusted"]) == ("+14155550111", "true")


def test_who_sent_the_call_on_may_be_withheld() -> None:
    request = read(Diversion="<sip:+14155550102@x>;reason=no-answer;privacy=full")
    assert identified(request, *ALL).diversion == "anonymous"
    assert variables(request)["edge.call.diversion"] == "anonymous"


HIDING = [
    {"Privacy": "id"},
    {"Privacy": "none, user;critical"},
    {"Privacy": "header"},
    {"Remote_Party_ID": f"<sip:{CALLER}@x>;party=calling;privacy=full"},
    {"From": "<sip:anonymous@anonymous.invalid>;tag=them", "P_Asserted_Identity": f"<sip:{CALLER}@x>"},
]


@pytest.mark.parametrize("fields", HIDING)
@pytest.mark.parametrize("trusted", [ALL, ()])
def test_a_number_that_is_withheld_is_in_no_variable(fields: dict[str, str], trusted: tuple[str, ...]) -> None:
    request = read(**{"P_Asserted_Identity": f'"Ann" <sip:{CALLER}@x>', **fields})
    told = variables(request, *trusted)
    assert [name for name, value in told.items() if CALLER.lstrip("+") in value] == []
    assert told["voipbin.call.source.target"] == told["edge.call.caller"] == "anonymous"
    assert told["edge.caller.withheld"] == "true"
    assert "Ann" not in told.values()


def test_the_record_keeps_for_the_operator_what_it_withholds_from_the_account() -> None:
    attempt = identified(read(P_Asserted_Identity=f"<sip:{CALLER}@x>", Privacy="id;critical"), *ALL)
    shown = attempt.public()
    assert (shown["source"]["target"], shown["edge"]["privacy"]) == (CALLER, "critical;id")
    hidden = withheld(shown)
    assert hidden["source"] | {"name": "", "detail": ""} == {
        "type": "sip",
        "target": "anonymous",
        "target_name": "Anonymous",
        "name": "",
        "detail": "",
    }
    assert CALLER not in json.dumps(hidden)
    open_one = identified(read()).public()
    assert withheld(open_one) is open_one


NAMES = sorted(CallVariables(identified(read()), OURS))


FIELDS = ("P-Asserted-Identity", "Remote-Party-ID", "Privacy", "Diversion", "History-Info", "P-Called-Party-ID")
SAID = st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=80)


@given(st.lists(st.tuples(st.sampled_from(FIELDS), SAID), max_size=4))
def test_whatever_stands_there_can_be_read(fields: list[tuple[str, str]]) -> None:
    message = parse(invite(fields=dict(fields)))
    assert isinstance(message, Request)
    attempt = identified(message, *ALL)
    view = CallVariables(attempt, OURS, Parties(message, ALL, attempt))
    for name in NAMES:
        view[name].encode()


# Whole calls


@pytest.fixture
async def line(migrated_sqlite: Path, tmp_path: Path) -> AsyncIterator[Line]:
    async with exchange(tmp_path, migrated_sqlite) as opened:
        opened.trunks.replace([LOOPBACK.model_copy(update={"trusted_headers": ALL}), OUT])
        yield opened


def by_caller(*numbers: str) -> list[dict[str, Any]]:
    """A flow that rejects these callers, and redirects others to a URI that says who they are."""
    reject = {"id": "no", "type": "hangup", "option": {"reason": "busy"}}
    away = {"id": "away", "type": "redirect", "option": {"destinations": ["sip:${edge.call.caller}@pbx.example"]}}
    who = {"id": "who", "type": "branch_caller", "option": {"callers": dict.fromkeys(numbers, "no")}}
    return [who, away, reject]


async def fate(line: Line, status: int, **fields: str) -> dict[str, Any]:
    """A call with these fields gets that answer; its record."""
    line >> invite(fields={name.replace("_", "-"): value for name, value in fields.items()}) << 100
    await line.comes(status)
    line >> request("ACK", branch="one", to_tag=tag(line.header("to")))
    return await line.over()


async def test_lists_of_callers_go_by_the_trusted_number(line: Line) -> None:
    await line.number(*by_caller(PAI))
    record = await fate(line, 486, P_Asserted_Identity=f"<tel:{PAI}>")
    assert (record["source"], record["source_from"], record["privacy"]) == (PAI, "p-asserted-identity", "")


async def test_an_untrusted_header_gets_nobody_past_a_list(line: Line) -> None:
    line.trunks.replace([LOOPBACK, OUT])
    await line.number(*by_caller(CALLER))
    record = await fate(line, 486, P_Asserted_Identity=f"<tel:{PAI}>")
    assert (record["source"], record["source_from"]) == (CALLER, "from")


async def test_who_withholds_his_number_is_anonymous_to_lists_and_log(line: Line) -> None:
    await line.number(*by_caller("anonymous"))
    with logged() as lines:
        record = await fate(line, 486, P_Asserted_Identity=f"<tel:{PAI}>", Privacy="id")
        ended = next(one for one in lines() if one["event"] == "call ended")
        assert ended["source"] == "anonymous"
        assert PAI[1:] not in json.dumps(lines())
    assert (record["source"], record["privacy"]) == (PAI, "id")


async def test_a_flow_sees_who_is_trusted(line: Line) -> None:
    await line.number(*by_caller("+14155550999"))
    await fate(line, 302, P_Asserted_Identity=f"<tel:{PAI}>")
    assert line.header("contact").startswith(f"<sip:{PAI}@pbx.example")
