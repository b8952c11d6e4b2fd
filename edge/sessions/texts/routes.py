"""Which carriers take a text out, in which order.

    [[text_routes]]
    destination = "+49"
    source = "+1415"
    carriers = ["berlin", "world"]

Of the routes that fit, the one with the longest destination goes before the others, and of those the one with the
longest source. Where none fits, the first carrier of the configuration takes it. A text that answers another leaves by
the carrier that one came by; what is said here is then where it goes when that carrier fails.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from pydantic import Field

from edge.errors import Fault
from edge.settings import Section

PREFIX: Final = r"^(\+[0-9]{0,15})?$"


class TextRoute(Section):
    """Which carriers take texts, by where they go and which number they are from."""

    destination: str = Field(
        default="", pattern=PREFIX, description="The number that texts go to, or how it begins; empty: any."
    )
    source: str = Field(
        default="", pattern=PREFIX, description="Our number that they are from, or how it begins; empty: any."
    )
    carriers: tuple[str, ...] = Field(
        min_length=1, description="Names of carriers: the first sends, the next when that one cannot, and so on."
    )


def faults(routes: Sequence[TextRoute], carriers: Collection[str]) -> list[Fault]:
    """What is wrong with routes beside carriers of these names."""
    found: list[Fault] = []
    places: dict[tuple[str, str], int] = {}
    for i, route in enumerate(routes):
        unknown = [name for name in route.carriers if name not in carriers]
        found += [Fault(f"text_routes[{i}].carriers", f"there is no carrier {name}") for name in unknown]
        first = places.setdefault((route.destination, route.source), i)
        if first != i:
            found.append(Fault(f"text_routes[{i}]", f"has the destination and the source of text_routes[{first}]"))
    return found


class TextRoutes:
    """The routes of a configuration; `carriers` are the names of all carriers in its order."""

    def __init__(self, routes: Sequence[TextRoute], carriers: Sequence[str]) -> None:
        self._routes = {(route.destination, route.source): (*dict.fromkeys(route.carriers),) for route in routes}
        self._lengths = sorted({(len(to), len(by)) for to, by in self._routes}, reverse=True)
        self._first = tuple(carriers[:1])

    def carriers(self, number: str, destination: str, *, otherwise: str = "") -> tuple[str, ...]:
        """Who takes a text from a number of ours, in order; `otherwise`, or the first carrier, where no route fits.

        Empty when there is no carrier at all.
        """
        return self.route(number, destination) or ((otherwise,) if otherwise else self._first)

    def route(self, number: str, destination: str) -> tuple[str, ...]:
        """The carriers of the route that fits; empty when none does."""
        for to, by in self._lengths:
            found = self._routes.get((destination[:to], number[:by]))
            if found is not None:
                return found
        return ()
