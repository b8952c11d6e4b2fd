"""Releases on trial: a new version of a flow whose runs fail too often loses its share of the callers by itself.

Every few seconds each edge reads how the runs of versions on trial came out, from the records that all edges write. Who
finds too many failures changes the number; the number's version sees to it that only one does.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from edge.errors import Conflict, NotFound, Unavailable
from edge.flows.session import Medium
from edge.log import get_logger
from edge.metrics import counter
from edge.numbers.number import RELEASES, Number
from edge.numbers.release import Release
from edge.numbers.table import NumberTable
from edge.sessions.following import FAILED
from edge.sessions.tables import calls, messages
from edge.store.engine import reading

log = get_logger("sessions")

LOOK_SECONDS: Final = 5.0
ROLLED_BACK: Final = counter("releases_rolled_back_total", "Versions on trial that failed too often.")


class Canary:
    """Looks after releases on trial."""

    def __init__(self, engine: AsyncEngine, numbers: NumberTable) -> None:
        self._engine = engine
        self._numbers = numbers

    async def watch(self, pause: Callable[[float], Awaitable[None]]) -> None:
        """Look now and then, for ever."""
        while True:
            await pause(LOOK_SECONDS)
            try:
                await self.look()
            except Unavailable:
                continue  # the next look will do
            except Exception:
                log.exception("releases not looked after")

    async def look(self) -> None:
        """Judge every version that is on trial now. Raises Unavailable."""
        for number in await self._numbers.released():
            for slot, (release_slot, medium) in RELEASES.items():
                release: Release | None = getattr(number, release_slot)
                if release is None or release.on_trial is None:
                    continue
                try:
                    await self._judge(number, slot, release_slot, release, medium)
                except Unavailable:
                    raise
                except Exception:  # of this one
                    log.exception("release not judged", number_id=number.id)

    async def _judge(self, number: Number, slot: str, release_slot: str, release: Release, medium: Medium) -> None:
        version = release.on_trial
        assert version is not None
        runs, failed = await self._count(number.number, getattr(number, slot), version, release.tm_start, medium)
        if runs < release.rollback_runs or failed * 100 <= release.rollback_percent * runs:
            return
        why = f"version {version}: {failed} of {runs} runs failed"
        try:
            changes = {release_slot: release.without(version, why)}
            await self._numbers.update(number.id, None, changes, expected_version=number.version)
        except (Conflict, NotFound):
            return  # somebody was faster
        ROLLED_BACK.inc()
        log.warning("release rolled back", number_id=number.id, flow_id=getattr(number, slot), why=why)

    async def _count(self, number: str, flow_id: str, version: int, since: str, medium: Medium) -> tuple[int, int]:
        """The runs of a version since a time, and how many of them failed."""
        table = calls if medium == "call" else messages
        outcome = calls.c.flow_outcome if medium == "call" else messages.c.outcome
        query = sa.select(sa.func.count(), sa.func.count().filter(outcome.in_(sorted(FAILED)))).where(
            table.c.number == number,
            table.c.flow_id == flow_id,
            table.c.flow_version == version,
            table.c.tm_create >= datetime.fromisoformat(since),
            outcome != "",
        )
        async with reading(self._engine) as connection:
            runs, failed = (await connection.execute(query)).one()
        return runs, failed
