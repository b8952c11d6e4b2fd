"""Variables: expanded once, data never, names of the system only read, limits held."""

from __future__ import annotations

import time
from typing import Any

import pytest

from edge.errors import EdgeError, Forbidden, Invalid
from edge.flows import limits
from edge.flows.variables import (
    DIGITS,
    KNOWN,
    Template,
    Variables,
    has_variables,
    is_reserved,
    variables_in,
    what_is_wrong,
)

GIVEN = {
    "name": "Bob",
    " name ": "blanks",
    "tricky": "${secret}",
    "half": "${sec",
    "secret": "42",
    "voipbin.call.source.target": "+14155550199",
    "line": "a\nb",
    "big": "x" * 40_000,
    "empty": "",
}


@pytest.mark.parametrize(
    ("value", "expanded"),
    [
        ("plain", "plain"),
        ("${name}", "Bob"),
        ("Hi ${name}, ${name}!", "Hi Bob, Bob!"),
        ("${voipbin.call.source.target}", "+14155550199"),
        ("<${nobody}>", "<>"),
        ("${ name }", "blanks"),
        ("${}", ""),
        ("$name {name} $ {name}", "$name {name} $ {name}"),
        ("${name", "${name"),
        ("${na\nme}", "${na\nme}"),
        ("${name:-nobody}", "Bob"),
        ("${nobody:-somebody}", "somebody"),
        ("<${empty:-a b}>", "<a b>"),  # empty counts as unknown
        ("${empty:-}", ""),
        ("${empty:-a:-b}", "a:-b"),  # the first :- ends the name
        ("${empty:-${name}}", "${name}"),  # a } ends the default, and it is not looked through
        ("${empty:-${name} and ${name}", "${name and Bob"),
        ("${empty: -x}", ""),
        ("${:-x}", "x"),
        ("${empty:-a\nb}", "${empty:-a\nb}"),
        (["${nobody:-x}", {"a": "${name:-x}, ${nobody:-y}"}], ["x", {"a": "Bob, y"}]),
        ("${a${name}}", "}"),  # the name is `a${name`: there is no nesting
        ("${tricky}", "${secret}"),  # data is not looked through …
        ("${half}ret}", "${secret}"),  # … nor what it makes with its neighbours
        ("$${name}", "$Bob"),
        ("\\1 ${line} \\g<0>", "\\1 a\nb \\g<0>"),
        (["${name}", 1, True, None, 2.5], ["Bob", 1, True, None, 2.5]),
        ({"${name}": {"a": ["${name}"]}, "n": 3}, {"${name}": {"a": ["Bob"]}, "n": 3}),
    ],
)
def test_expansion(value: Any, expanded: Any) -> None:
    option = {"option": value, "plain": 7}
    assert Template(option).fill(Variables(GIVEN)) == {"option": expanded, "plain": 7}
    assert option == {"option": value, "plain": 7}  # what is stored stays


@pytest.mark.parametrize("value", ["${big}${big}", ["${big}", "${big}"], {"a": "${big}", "b": ["${big}"]}])
def test_what_grows_too_large_is_refused(value: Any) -> None:
    with pytest.raises(Invalid, match="add more than 65536 characters"):
        Template({"option": value}).fill(Variables(GIVEN))


@pytest.mark.parametrize(
    "text", ["${" * 100_000, "${:-" * 50_000, "${\n" * 60_000 + "}", "}" * 100_000, "${a}" * 50_000]
)
def test_no_text_takes_long_to_look_through(text: str) -> None:
    before = time.process_time()
    has_variables(text)
    assert time.process_time() - before < 1  # a look from each ${ to the end of the text would take many


@pytest.mark.parametrize(
    ("value", "has"),
    [
        ("", False),
        ("$x {y}", False),
        ("${x", False),
        ("a${x}", True),
        (["a", {"b": "${c}"}], True),
        ({"${a}": 1}, False),
        (5, False),
    ],
)
def test_whether_there_are_any(value: Any, has: bool) -> None:
    assert has_variables(value) is has


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("mine", None),
        ("voipbin", None),
        ("voipbin.call.source.target", None),
        ("edge.number.detail", None),
        (
            "voipbin.call.source.tarjet",
            "there is no variable voipbin.call.source.tarjet; did you mean voipbin.call.source.target?",
        ),
        ("voipbin.call.digits ", "there is no variable voipbin.call.digits ; did you mean voipbin.call.digits?"),
        ("edge.weather", "there is no variable edge.weather"),
        ("voipbin.queue.name", "the variable voipbin.queue.name is not available here"),
    ],
)
def test_names_of_the_system_are_known(name: str, wrong: str | None) -> None:
    assert what_is_wrong(name) == wrong


def test_a_name_may_stand_for_all_that_begin_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.flows.variables.KNOWN", {"edge.things.*": "things"})
    assert what_is_wrong("edge.things.one") is None
    assert what_is_wrong("edge.things") is not None
    assert what_is_wrong("edge.thingsone") is not None


def test_every_known_name_is_the_system_s_and_has_its_sentence() -> None:
    assert all(is_reserved(name) and sentence for name, sentence in KNOWN.items())


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("plain", []),
        ("${a} ${b:-${c}}", [((), "a"), ((), "b")]),
        ({"x": ["${a}", {"y": "${b:-c}"}], "${z}": 1}, [(("x", 0), "a"), (("x", 1, "y"), "b")]),
    ],
)
def test_which_names_a_value_reads(value: Any, found: list[Any]) -> None:
    assert list(variables_in(value)) == found


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("voipbin.call.digits", Forbidden),
        ("voipbin.anything", Forbidden),
        ("edge.number.id", Forbidden),
        ("", Invalid),
        ("a}b", Invalid),
        ("a\nb", Invalid),
        ("a:-b", Invalid),
        ("x" * 256, Invalid),
    ],
)
def test_names_that_a_flow_cannot_set(name: str, kind: type[EdgeError]) -> None:
    variables = Variables()
    with pytest.raises(kind):
        variables.set(name, "x")
    assert variables.own() == {}


@pytest.mark.parametrize("name", ["voipbin", "edge", "voipbinary", "my.voipbin.x", "contact_case_id"])
def test_names_that_only_look_like_the_systems(name: str) -> None:
    assert not is_reserved(name)
    variables = Variables()
    variables.set(name, "x")
    assert variables.get(name) == "x"


def test_what_is_set_stands_before_what_was_given_and_changes_nothing_there() -> None:
    given = {"name": "Bob"}
    variables = Variables(given)
    variables.set("name", "Eve")
    variables.set_system(DIGITS, "12#")
    assert (variables.get("name"), variables.get(DIGITS), variables.get("none")) == ("Eve", "12#", "")
    assert variables.own() == {"name": "Eve", DIGITS: "12#"}
    assert given == {"name": "Bob"}


def test_how_many() -> None:
    variables = Variables()
    variables.set_system(DIGITS, "1")  # does not count
    for number in range(limits.VARIABLES):
        variables.set(f"v{number}", "x")
    variables.set("v0", "again")
    with pytest.raises(Invalid, match="at most 100 variables"):
        variables.set("one-more", "x")


def test_how_large() -> None:
    variables = Variables()
    with pytest.raises(Invalid, match="more than 32768 characters"):
        variables.set("a", "x" * (limits.VARIABLE_CHARACTERS + 1))
    variables.set("a", "x" * 32_000)
    variables.set("b", "x" * 32_000)
    with pytest.raises(Invalid, match="more than 65536 characters"):
        variables.set("c", "x" * 2_000)
    variables.set("a", "")
    variables.set("c", "x" * 2_000)
