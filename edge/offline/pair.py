"""Words of the command line that say two things: `NAME=VALUE`."""

from __future__ import annotations

from edge.errors import Fault, Invalid


def pairs(values: list[str] | None, option: str) -> dict[str, str]:
    """`["a=1", "b=2"]` as a mapping; what an option that takes files names may hold more of `=`. Raises Invalid."""
    found: dict[str, str] = {}
    for value in values or ():
        name, equals, rest = value.partition("=") if option == "--variables" else value.rpartition("=")
        if not equals or not name:
            fault = Fault(option, f"{value!r} is not NAME=VALUE")
            raise Invalid(str(fault), faults=[fault])
        found[name] = rest
    return found
