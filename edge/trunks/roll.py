"""The roll: all trunks that are in force, those of the configuration file and those of SQL, in one table.

A change is in force as soon as somebody tells of it: this process's own commit, or Redis, which tells of everybody's.
While Redis does not, the database is asked once a second whether anything changed, and seldomer in any case. With
the database away what was read last stays in force; at a start without it, the file's trunks serve alone.

The file goes first. A trunk of SQL that gets in the way of one of the file, which can only be when a file was changed
or two edges have different ones, is left out here, said in the log and counted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from edge.errors import Fault, Invalid, Unavailable
from edge.log import get_logger
from edge.metrics import gauge
from edge.store.notice import Notices
from edge.trunks.resolve import Targets
from edge.trunks.stored import KIND, Stored, StoredTrunks
from edge.trunks.table import TrunkTable, clashes
from edge.trunks.trunk import Trunk

POLL_SECONDS: Final = 1.0  # between two looks while nobody tells of changes
TRACKED_SECONDS: Final = 2.0  # and while somebody does: a command beside a daemon cannot tell it

IN_FORCE = gauge("trunks", "Trunks in force, by where they are kept.", ["source"])
LEFT_OUT = gauge("trunks_left_out", "Trunks of SQL that are not in force: they get in the way of one of the file.")

log = get_logger("trunks")


class TrunkRoll:
    """Keeps `table` and `targets` up to date. `given` is what the file has,
    `tracked` says whether Redis tells of changes."""

    def __init__(
        self,
        given: Sequence[Trunk],
        notices: Notices,
        tracked: Callable[[], bool] = lambda: False,
    ) -> None:
        self._given = tuple(given)
        self.table = TrunkTable(given, complete=False)
        self.targets = Targets(given)
        self._tracked = tracked
        self._stored: tuple[Stored, ...] = ()
        self._revision = -1
        self._wake = asyncio.Event()
        self._away = False
        self._reading = asyncio.Lock()
        self._refreshing: asyncio.Task[None] | None = None
        self._count(0)
        notices.listen(KIND, lambda _key: self._wake.set())

    def given(self) -> tuple[Trunk, ...]:
        """Those of the file."""
        return self._given

    def reload(self, given: Sequence[Trunk]) -> None:
        """Other ones of the file. Raises Invalid when they get in the way of each other or of SQL's, and then nothing
        changed."""
        TrunkTable(given)
        kept = [stored.trunk for stored in self._stored]
        everybody = [*given, *kept]
        names = {trunk.name for trunk in kept}
        faults = [
            Fault(f"trunks[{place}].name", f"{trunk.name} is the name of a trunk in the database already")
            for place, trunk in enumerate(given)
            if trunk.name in names
        ]
        for found in clashes(everybody):
            if found.earlier < len(given):
                where = f"trunks[{found.earlier}].networks[{found.earlier_place}]"
                mine, theirs = everybody[found.earlier].name, everybody[found.later].name
                faults.append(
                    Fault(where, f"{found.network} of trunk {mine} is that of trunk {theirs} in the database already")
                )
        if faults:
            raise Invalid("trunks get in each other's way", faults=faults)
        self._given = tuple(given)
        self._apply()

    async def read(self, rows: StoredTrunks) -> None:
        """Take over what SQL has, if that changed. Raises Unavailable."""
        async with self._reading:
            if await rows.revision() == self._revision:
                return
            self._revision, found = await rows.all()
            known = {(stored.id, stored.version): stored for stored in self._stored}
            self._stored = tuple(known.get((stored.id, stored.version), stored) for stored in found)
            self._apply()
            self.table.complete = True

    async def start(self, rows: StoredTrunks) -> None:
        """The first time; a database that is away is no error."""
        await self._look(rows)

    async def watch(self, rows: StoredTrunks) -> None:
        """Take over each change, for ever."""
        while True:
            try:
                async with asyncio.timeout(TRACKED_SECONDS if self._tracked() and not self._away else POLL_SECONDS):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()
            await self._look(rows)

    async def _look(self, rows: StoredTrunks) -> None:
        try:
            await self.read(rows)
        except Unavailable as error:
            if not self._away:
                log.warning("trunks in the database cannot be read: those known stay", error=error.message)
            self._away = True
        else:
            self._away = False

    def _apply(self) -> None:
        """Both together in force."""
        kept = [stored.trunk for stored in self._stored]
        everybody = [*self._given, *kept]
        names = {trunk.name for trunk in self._given}
        bad = {
            place: "its name is that of one of the file"
            for place, trunk in enumerate(kept, len(self._given))
            if trunk.name in names
        }
        for found in clashes(everybody):
            bad[found.later] = f"{found.network} is that of trunk {everybody[found.earlier].name}"
        for place, why in bad.items():
            log.error("a trunk of the database is not in force", trunk=everybody[place].name, error=why)
        good = [trunk for place, trunk in enumerate(everybody) if place not in bad]
        self.table.replace(good)
        self.targets.replace(good)
        self._count(len(bad))
        self._refreshing = asyncio.get_running_loop().create_task(self.targets.refresh())

    def _count(self, left_out: int) -> None:
        IN_FORCE.labels("file").set(len(self._given))
        IN_FORCE.labels("api").set(len(self._stored) - left_out)
        LEFT_OUT.set(left_out)
