"""The script of a simulation, from the options of the command line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from edge.errors import Fault, Invalid
from edge.flows.step import place
from edge.offline.pair import pairs
from edge.sessions.simulation.script import Script

OPTION_OF: Final = {"answers": "--answer", "calendars": "--calendar", "caller_lists": "--callers"}


def script_of(options: Mapping[str, Any], folder: Path) -> Script:
    """The script that the options of the command make; files are relative to the folder.

    Raises Invalid with a fault for each option that is wrong.
    """
    given = {field: options[field] for field in Script.model_fields if options.get(field) is not None}
    given["variables"] = pairs(options["variables"], "--variables")
    given["answers"] = {
        url: {"status": int(file)} if file.isdigit() else {"body": _text("--answer", folder / file)}
        for url, file in pairs(options["answer"], "--answer").items()
    }
    for field, option in (("calendars", "--calendar"), ("caller_lists", "--callers")):
        named = pairs(options[option.removeprefix("--")], option).items()
        given[field] = {name: _json(option, folder / file) for name, file in named}
    try:
        return Script.model_validate(given)
    except ValidationError as error:
        raise Invalid("the command is wrong", faults=[_fault(found) for found in error.errors()]) from None


def _fault(found: Any) -> Fault:
    field, *rest = found["loc"]
    where = OPTION_OF.get(field, f"--{field}")
    return Fault(place(where, rest), found["msg"].removeprefix("Value error, "))


def _text(option: str, path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise _wrong(option, path, (error.strerror if isinstance(error, OSError) else "") or "is no text") from None


def _json(option: str, path: Path) -> Any:
    try:
        return json.loads(_text(option, path))
    except ValueError as error:
        raise _wrong(option, path, f"is no JSON: {error}") from None


def _wrong(option: str, path: Path, what: str) -> Invalid:
    return Invalid("the command is wrong", faults=[Fault(option, f"{path}: {what}")])
