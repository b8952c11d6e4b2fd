"""Variables: expanded once, data never, names of the system only read, limits held."""

from __future__ import annotations

from typing import Any

import pytest

from edge.errors import EdgeError, Forbidden, Invalid
from edge.flows import limits
from edge.flows.variables import DIGITS, Template, Variables, has_variables, is_reserved

GIVEN = {
    "name": "Bob",
    " name ": "blanks",
    "tricky": "${secret}",
    "half": "${sec",
    "secret": "42",
    "voipbin.call.source.target": "+14155550199",
    "line": "a\nb",
    "big": "x" * 40_000,
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
    ("name", "kind"),
    [
        ("voipbin.call.digits", Forbidden),
        ("voipbin.anything", Forbidden),
        ("edge.number.id", Forbidden),
        ("", Invalid),
        ("a}b", Invalid),
        ("a\nb", Invalid),
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
