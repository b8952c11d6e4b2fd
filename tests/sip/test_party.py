"""Who takes part in a call, as its fields say; what cannot be read is passed over."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.sip import party
from edge.sip.message import Request, parse
from tests.sip.ladder import invite


def read(**fields: str) -> Request:
    message = parse(invite(fields={name.replace("_", "-"): value for name, value in fields.items()}))
    assert isinstance(message, Request)
    return message


def test_asserted_identities_with_a_number_come_first() -> None:
    request = read(P_Asserted_Identity='"Acme" <sip:desk@acme.example>, <tel:+14155550123>')
    assert [str(address.uri) for address in party.asserted(request)] == ["tel:+14155550123", "sip:desk@acme.example"]
    assert party.asserted(read()) == []


def test_remote_party_of_who_calls() -> None:
    request = read(Remote_Party_ID="<sip:b@x>;party=called, <sip:+14155550123@x>;party=calling;privacy=full;screen=yes")
    found = party.remote_party(request)
    assert found is not None
    assert found.uri.user == "+14155550123"
    assert party.privacy(request) == {"id"}
    assert party.is_withheld(request)


@pytest.mark.parametrize(
    ("value", "words", "withheld"),
    [
        ("id", frozenset({"id"}), True),
        ("ID;critical", frozenset({"id", "critical"}), True),
        ("header; user", frozenset({"header", "user"}), True),
        ("none", frozenset(), False),
        ("session", frozenset({"session"}), False),
        ("history", frozenset({"history"}), False),
    ],
)
def test_privacy(value: str, words: frozenset[str], withheld: bool) -> None:
    request = read(Privacy=value)
    assert party.privacy(request) == words
    assert party.is_withheld(request) == withheld


def test_nobodys_host_is_withheld_without_a_word() -> None:
    assert party.is_withheld(read(From="<sip:anonymous@anonymous.invalid>;tag=them"))
    assert not party.is_withheld(read())


def test_diversions_the_last_one_first() -> None:
    request = read(
        Diversion="<sip:+14155550102@x>;reason=no-answer;counter=1,"
        ' "A" <tel:+14155550101>;reason="user-busy";privacy=full'
    )
    assert [(one.uri.user, one.reason, one.withheld) for one in party.diversions(request)] == [
        ("+14155550102", "no-answer", False),
        ("+14155550101", "user-busy", True),
    ]
    assert party.diversions(read(Diversion="<sip:a@x>"))[0].reason == "unknown"


def test_history_in_the_order_of_its_index() -> None:
    request = read(
        History_Info="<sip:+14155550103@x>;index=1.10,"
        "<sip:+14155550101@x?Reason=SIP%3Bcause%3D302&Privacy=history>;index=1,"
        "<sip:+14155550102@x?Reason=Q.850%3Bcause%3D19%3Btext%3Dx>;index=1.2;mp=1"
    )
    assert [(one.place, one.uri.user, one.cause, one.withheld, one.uri.headers) for one in party.history(request)] == [
        ((1,), "+14155550101", "302", True, ""),
        ((1, 2), "+14155550102", "19", False, ""),
        ((1, 10), "+14155550103", "", False, ""),
    ]


def test_called_party() -> None:
    found = party.called_party(read(P_Called_Party_ID="<sip:+14155550100@x>"))
    assert found is not None
    assert found.uri.user == "+14155550100"
    assert party.called_party(read()) is None


def test_what_cannot_be_read_is_passed_over() -> None:
    request = read(
        P_Asserted_Identity='<sip:[x>, "open <tel:+1>, <tel:+14155550123>', Diversion="<<>>", History_Info="x"
    )
    assert len(party.asserted(request)) <= 1
    assert party.diversions(request) == []
    assert party.history(request) == []


def test_no_more_than_so_many_are_looked_at() -> None:
    request = read(Diversion=",".join(f"<tel:+1415555{n:04}>" for n in range(500)))
    assert len(party.diversions(request)) == party.MOST


@given(
    st.sampled_from(
        ["P-Asserted-Identity", "Remote-Party-ID", "Diversion", "History-Info", "Privacy", "P-Called-Party-ID"]
    ),
    st.text(alphabet=st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=200),
)
def test_nothing_is_raised_whatever_stands_there(field: str, value: str) -> None:
    message = parse(invite(fields={field: value}))
    assert isinstance(message, Request)
    party.asserted(message)
    party.remote_party(message)
    party.called_party(message)
    party.privacy(message)
    party.is_withheld(message)
    party.diversions(message)
    party.history(message)


ALL = ("p-asserted-identity", "remote-party-id")
PAI = {"P_Asserted_Identity": '"Acme" <tel:+14155550123>'}
RPID = {"Remote_Party_ID": '"Desk" <sip:+14155550124@x>;party=calling'}


@pytest.mark.parametrize(
    ("fields", "trusted", "number", "field"),
    [
        ({**PAI, **RPID}, ALL, "+14155550123", "p-asserted-identity"),
        ({**PAI, **RPID}, ALL[1:], "+14155550124", "remote-party-id"),
        ({**PAI, **RPID}, (), "+14155550199", "from"),
        (RPID, ALL, "+14155550124", "remote-party-id"),
        ({}, ALL, "+14155550199", "from"),
        ({"P_Asserted_Identity": "<sip:acme.example>"}, ALL, "+14155550199", "from"),  # names nobody
        ({"P_Asserted_Identity": "<<<"}, ALL, "+14155550199", "from"),
        ({"Remote_Party_ID": "<sip:+14155550124@x>;party=called"}, ALL, "+14155550199", "from"),
    ],
)
def test_who_calls_is_read_from_the_first_field_that_is_believed(
    fields: dict[str, str], trusted: tuple[str, ...], number: str, field: str
) -> None:
    request = read(From='"Ann" <sip:+14155550199@x>;tag=them', **fields)
    found = party.caller(request, trusted)
    assert (found.number, found.field) == (number, field)


def test_history_tells_of_diversions_the_last_one_first() -> None:
    request = read(
        History_Info="<sip:+14155550101@x?Reason=SIP%3Bcause%3D486>;index=1, <sip:+14155550102@x;cause=408>;index=1.1,"
        " <sip:+14155550103@x>;index=1.1.1, <sip:+14155550104@x;cause=302>;index=1.1.1.1"
    )
    told = [(one.uri.user, one.reason) for one in party.forwarded(request)]
    assert told == [("+14155550103", "unconditional"), ("+14155550101", "no-answer")]
    assert party.forwarded(read()) == []
