"""How long audio lasts that a simulated flow plays: the length of its file, if that can be read here."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from edge.errors import Invalid
from edge.media.prompt import is_url, read_seconds

NOMINAL_SECONDS: Final = 5.0  # of what cannot be read here


class Length(NamedTuple):
    """`assumed` says why the length is not the real one; "" when it is."""

    seconds: float
    assumed: str = ""


class Lengths:
    """The lengths of files in folders, of which the first that has one counts. URLs are not fetched."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = folders
        self._known: dict[str, Length] = {}

    async def of(self, source: str) -> Length:
        found = self._known.get(source)
        if found is None:
            found = self._known[source] = await self._find(source)
        return found

    async def _find(self, source: str) -> Length:
        if is_url(source):
            return Length(NOMINAL_SECONDS, "it is not fetched")
        why = "there is no folder of prompts"
        for folder in self._folders:
            try:
                return Length(await asyncio.to_thread(read_seconds, folder, source))
            except Invalid as error:
                why = error.faults[0].what
        return Length(NOMINAL_SECONDS, why)
