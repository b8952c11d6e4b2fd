"""Lists of callers: whom to let in, to turn away, or to send somewhere.

    {"entries": [{"match": "+14155550199", "label": "vip"}, {"match": "+44*", "label": "uk"},
                 {"match": "anonymous", "label": "hidden"}, {"match": "attestation:C", "label": "doubtful"}]}

What an entry matches:

    +14155550199        this number; a short code, 2 to 8 digits, for texts
    +44*                all numbers that begin so; +* all numbers
    anonymous           callers who hide their number
    attestation:A       calls whose carrier vouches for the number: A fully, B partly, C as a gateway; none: nobody does

The most specific one counts: the number itself, then the longest beginning, then `anonymous`, then the attestation. A
look-up costs a few looks into dicts, however long the list is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, NamedTuple

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from edge.flows import limits
from edge.flows.address import E164, SEPARATORS
from edge.store.metadata import json_text

ANONYMOUS: Final = "anonymous"
ATTESTATION: Final = "attestation:"
NOBODY: Final = "none"  # the attestation of a call that has none

# What stands in place of a number: RFC 3323 §4.1.1.3, and what is in use.
HIDDEN: Final = frozenset({"", "anonymous", "restricted", "private", "unavailable", "unknown"})

_PREFIX: Final = re.compile(r"\+[0-9]{0,15}\*")
_SHORT_CODE: Final = re.compile(r"[0-9]{2,8}")
_ATTESTATIONS: Final = {"a": "A", "b": "B", "c": "C", NOBODY: NOBODY}

_NUMBER_RANK: Final = 100
_ANONYMOUS_RANK: Final = 1
_ATTESTATION_RANK: Final = 0


def read_match(text: str) -> str:
    """What an entry matches, in its one form. Raises ValueError with a sentence that says what is wrong."""
    bare = text.strip().lower()
    if bare == ANONYMOUS:
        return bare
    if bare.startswith(ATTESTATION):
        level = _ATTESTATIONS.get(bare.removeprefix(ATTESTATION).strip())
        if level is None:
            raise ValueError("an attestation is attestation:A, attestation:B, attestation:C or attestation:none")
        return f"{ATTESTATION}{level}"
    number = bare.removeprefix("tel:").translate(SEPARATORS)
    if E164.fullmatch(number) or _PREFIX.fullmatch(number) or _SHORT_CODE.fullmatch(number):
        return number
    raise ValueError(f"needs +14155550199, +44*, anonymous or attestation:A, not {text[:40]!r}")


Match = Annotated[
    str, Field(max_length=40), AfterValidator(read_match), Field(examples=["+14155550199", "+44*", ANONYMOUS])
]


class Caller(NamedTuple):
    """Who calls or texts. `attestation` is A, B, C or "" for none; None for a text, which nobody vouches for."""

    number: str
    attestation: str | None = None


class Listed(NamedTuple):
    """The entry that counts for a caller. Those of several lists compare: the more specific one is greater."""

    rank: int
    match: str
    label: str


class Callers:
    """A list made ready to look callers up: labels by what they match."""

    __slots__ = ("_kinds", "_labels", "_prefixes")

    def __init__(self, labels: Mapping[str, str]) -> None:
        self._labels = labels
        self._prefixes = {match[:-1] for match in labels if match.endswith("*")}
        self._kinds = {match for match in labels if match[0].isalpha()}  # anonymous, attestations

    @classmethod
    def from_stored(cls, content: Mapping[str, Any]) -> Callers:
        """Out of what `CallerList` has checked and written."""
        return cls({entry["match"]: entry["label"] for entry in content["entries"]})

    def to_json(self) -> bytes:
        """The form in Redis."""
        return json_text(
            {"entries": [{"match": match, "label": label} for match, label in self._labels.items()]}
        ).encode()

    def find(self, caller: Caller) -> Listed | None:
        """The most specific entry."""
        found = self._find(caller)
        return Listed(*found, self._labels[found[1]]) if found is not None else None

    def _find(self, caller: Caller) -> tuple[int, str] | None:
        number = caller.number.translate(SEPARATORS)
        if number.lower() in HIDDEN:
            if ANONYMOUS in self._kinds:
                return _ANONYMOUS_RANK, ANONYMOUS
        else:
            if number in self._labels and not number[0].isalpha():  # a sender may call himself anything
                return _NUMBER_RANK, number
            for end in range(min(len(number), 16), 0, -1):
                if number[:end] in self._prefixes:
                    return _ANONYMOUS_RANK + end, f"{number[:end]}*"
        if caller.attestation is not None:
            match = f"{ATTESTATION}{caller.attestation or NOBODY}"
            if match in self._kinds:
                return _ATTESTATION_RANK, match
        return None


class Entry(BaseModel):
    """One caller, or many of a kind."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    match: Match = Field(description="A number, a beginning such as +44*, anonymous, or attestation:A, B, C or none.")
    label: str = Field(
        default="", max_length=limits.NAME_CHARACTERS, description="Of your own: what flows send such callers by."
    )


class CallerList(BaseModel):
    """Callers by number, by beginning, and by what is known of them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    entries: list[Entry] = Field(
        max_length=limits.CALLER_ENTRIES, description="In any order; the most specific counts."
    )

    @model_validator(mode="after")
    def _each_match_once(self) -> CallerList:
        seen: set[str] = set()
        for entry in self.entries:
            if entry.match in seen:
                raise ValueError(f"two entries match {entry.match}")
            seen.add(entry.match)
        return self

    def ready(self) -> Callers:
        """Made ready to look callers up."""
        return Callers({entry.match: entry.label for entry in self.entries})
