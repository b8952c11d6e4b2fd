"""Lists of callers: which entry counts, and what is no entry."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from pydantic import ValidationError

from edge.flows import limits
from edge.flows.caller_list import Caller, CallerList, Callers, read_match


def ready(*entries: tuple[str, str]) -> Callers:
    """As it is stored and read again."""
    checked = CallerList.model_validate({"entries": [{"match": match, "label": label} for match, label in entries]})
    return Callers.from_stored(json.loads(checked.model_dump_json()))


LIST = ready(
    ("+44*", "uk"),
    ("+44 7700 900*", "fiction"),
    ("tel:+44-7700-900123", "bob"),
    ("Anonymous", "hidden"),
    ("attestation:a", "sure"),
    ("attestation:none", "unsure"),
    ("72345", "bank"),
)


@pytest.mark.parametrize(
    ("caller", "label"),
    [
        (Caller("+447700900123", "A"), "bob"),
        (Caller("+44 7700 900123", "A"), "bob"),
        (Caller("+447700900124", "A"), "fiction"),
        (Caller("+442071838750", "A"), "uk"),
        (Caller("+44", "A"), "uk"),
        (Caller("+4", "A"), "sure"),
        (Caller("+14155550199", "A"), "sure"),
        (Caller("+14155550199", ""), "unsure"),
        (Caller("+14155550199", "B"), None),
        (Caller("", "A"), "hidden"),
        (Caller("anonymous", ""), "hidden"),
        (Caller("Restricted", ""), "hidden"),
        # texts, which nobody vouches for
        (Caller("+447700900123"), "bob"),
        (Caller("+14155550199"), None),
        (Caller("72345"), "bank"),
        (Caller("7234"), None),
        (Caller("sip:bob@example.com"), None),
        (Caller("attestation:A"), None),  # a name that a sender gave himself
    ],
)
def test_the_most_specific_entry_counts(caller: Caller, label: str | None) -> None:
    found = LIST.find(caller)
    assert (found.label if found is not None else None) == label


def test_ranks_compare_between_lists() -> None:
    callers = [Caller("+447700900123", "A"), Caller("+447700900124", "A"), Caller("+442071838750", "A")]
    callers += [Caller("", "A"), Caller("+1", "A")]
    found = [listed for caller in callers if (listed := LIST.find(caller)) is not None]
    assert [one.match for one in found] == ["+447700900123", "+447700900*", "+44*", "anonymous", "attestation:A"]
    assert found == sorted(found, reverse=True)
    assert len({one.rank for one in found}) == 5


def test_every_number_is_a_beginning_too() -> None:
    everybody = ready(("+*", "all"))
    assert everybody.find(Caller("+14155550199", "")) is not None
    assert everybody.find(Caller("", "")) is None
    assert everybody.find(Caller("7234")) is None


def test_none_in_an_empty_list() -> None:
    assert ready().find(Caller("", "")) is None


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (" +1 (415) 555-0199 ", "+14155550199"),
        ("+49*", "+49*"),
        ("ANONYMOUS", "anonymous"),
        ("attestation: B", "attestation:B"),
        ("Attestation:None", "attestation:none"),
        ("112", "112"),
    ],
)
def test_what_an_entry_matches_has_one_form(text: str, match: str) -> None:
    assert read_match(text) == match
    assert read_match(match) == match


@pytest.mark.parametrize(
    "text", ["", "*", "49*", "+49*30", "+0301", "1", "123456789", "bob", "attestation:D", "attest"]
)
def test_what_is_no_match(text: str) -> None:
    with pytest.raises(ValueError, match=r"needs|attestation is"):
        read_match(text)


@pytest.mark.parametrize(
    ("wrong", "what"),
    [
        ({"entries": [{"match": "+44*"}, {"match": "+4 4*"}]}, r"two entries match \+44\*"),
        ({"entries": [{"match": "bob"}]}, "needs"),
        ({"entries": [{"label": "x"}]}, "Field required"),
        ({}, "Field required"),
        ({"entries": [{"match": f"+1{n:07}"} for n in range(limits.CALLER_ENTRIES + 1)]}, "at most"),
    ],
)
def test_what_is_no_list(wrong: dict[str, Any], what: str) -> None:
    with pytest.raises(ValidationError, match=what):
        CallerList.model_validate(wrong)


def test_a_look_up_in_a_long_list_costs_as_little() -> None:
    """Ten thousand entries and ten thousand look-ups: a list that were walked through would take a minute."""
    entries = [(f"+4930{number:07}", str(number)) for number in range(limits.CALLER_ENTRIES - 1)]
    long = ready(*entries, ("+49*", "germany"))
    before = time.process_time()
    for number in range(10_000):
        found = long.find(Caller(f"+4930{number:07}", ""))
        assert found is not None
        assert found.label == (str(number) if number < limits.CALLER_ENTRIES - 1 else "germany")
    assert time.process_time() - before < 5
