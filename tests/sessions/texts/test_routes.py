"""Which carriers take a text out, as a table."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from edge.errors import Fault
from edge.sessions.texts.routes import TextRoute, TextRoutes, faults

ROUTES = [
    TextRoute(carriers=("world",)),
    TextRoute(destination="+49", carriers=("berlin", "world", "berlin")),
    TextRoute(destination="+49", source="+1415", carriers=("bay",)),
    TextRoute(destination="+4930", carriers=("spree",)),
    TextRoute(destination="+491711234567", carriers=("one",)),
    TextRoute(source="+14155550100", carriers=("mine",)),
]


@pytest.mark.parametrize(
    ("number", "destination", "carriers"),
    [
        ("+12125550100", "+33123456789", ("world",)),
        ("+12125550100", "+49891234567", ("berlin", "world")),
        ("+14155550101", "+49891234567", ("bay",)),
        ("+14155550101", "+49301234567", ("spree",)),
        ("+12125550100", "+491711234567", ("one",)),
        ("+12125550100", "+49171123456", ("berlin", "world")),
        ("+14155550100", "+33123456789", ("mine",)),
        ("+14155550100", "+4", ("mine",)),
        ("+12125550100", "sip:a@example.com", ("world",)),
    ],
)
def test_the_longest_destination_wins_then_the_longest_source(
    number: str, destination: str, carriers: tuple[str, ...]
) -> None:
    assert TextRoutes(ROUTES, ["first", "second"]).carriers(number, destination, otherwise="back") == carriers


def test_where_no_route_fits_the_first_carrier_takes_it() -> None:
    routes = TextRoutes(ROUTES[1:3], ["first", "second"])
    assert routes.carriers("+12125550100", "+33123456789") == ("first",)
    assert routes.carriers("+12125550100", "+33123456789", otherwise="second") == ("second",)
    assert TextRoutes([], []).carriers("+12125550100", "+33123456789") == ()


def test_a_carrier_that_is_not_there_and_a_route_that_is_there_twice_are_named() -> None:
    routes = [TextRoute(carriers=("a", "b")), TextRoute(destination="+1", carriers=("a",)), TextRoute(carriers=("a",))]
    assert faults(routes, ["a"]) == [
        Fault("text_routes[0].carriers", "there is no carrier b"),
        Fault("text_routes[2]", "has the destination and the source of text_routes[0]"),
    ]
    assert faults(routes[:2], ["a", "b"]) == []


@pytest.mark.parametrize("wrong", [{"carriers": ()}, {}, {"carriers": ("a",), "destination": "49"}])
def test_a_route_that_says_nothing_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        TextRoute.model_validate(wrong)
