"""Claims: which process is at work on which row, on a database that several share.

A claim is the process's name and a time until which it holds. The process renews all its claims together, well before
that time; when it dies they run out, and another takes the rows. The name outlives the process: one that starts again
under it takes back at once what it had. Taking a row is one conditional UPDATE, so of two who try one succeeds.

A process that was frozen for longer than its claims hold must not go on as if nothing had happened: `sure` tells.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from edge.store.metadata import micros
from edge.store.statement import numbered
from edge.store.writer import Statement, Writer

LEASE: Final = timedelta(seconds=30)  # how long the rows of a dead process wait for another one
RENEW_SECONDS: Final = 10.0
PAUSES: Final = (0.1, 0.3, 1.0, 3.0)  # seconds before trying again while SQL is away; then the last one, for ever
NOBODY: Final = ("", 0)  # claimed_by and claimed_until of a row that anybody may take


class Claims:
    """The claims of one process on the open rows of one table. All methods raise Unavailable.

    `channel` is the table's column with the name of the way out.
    """

    def __init__(self, writer: Writer, node: str, table: str, channel: str = "carrier") -> None:
        open_rows = "flow_state = 'pending'" if table == "messages" else "state = 'queued'"
        self.node = node
        self._writer = writer
        self._renewed = 0
        self._take = _taking(f"claim.{table}.take", table, f"{open_rows} AND (claimed_until < ? OR claimed_by = ?)")
        by_lease = "EXISTS (SELECT 1 FROM leases WHERE name = ? AND holder = ?)"
        self._seize = _taking(f"claim.{table}.seize", table, f"{open_rows} AND {by_lease}")
        self._let_go = Statement.of(
            f"claim.{table}.let_go",
            f"UPDATE {table} SET claimed_until = 0 WHERE {channel} = ? AND claimed_by = ? AND {open_rows}",  # noqa: S608
        )
        self._renew = Statement.of(
            f"claim.{table}.renew",
            f"UPDATE {table} SET claimed_until = ? WHERE claimed_by = ? AND {open_rows} AND claimed_until > 0",  # noqa: S608
        )
        self._recover = Statement.of(
            f"claim.{table}.recover",
            f"UPDATE {table} SET claimed_until = 0 WHERE claimed_by = ? AND {open_rows}",  # noqa: S608
        )
        self._leave = Statement.of(
            f"claim.{table}.leave",
            f"UPDATE {table} SET claimed_until = 0, attempts = 0 WHERE claimed_by = ? AND {open_rows}"  # noqa: S608
            if table == "messages"
            else f"UPDATE {table} SET claimed_until = 0 WHERE claimed_by = ? AND {open_rows}",  # noqa: S608
        )

    def until(self, now: datetime) -> int:
        """The `claimed_until` of a claim made now."""
        return micros(now + LEASE)

    async def take(self, ids: Sequence[str], now: datetime) -> list[bool]:
        """Try to claim rows; says of each whether it is still open, and ours now. One that was ours before is again.

        What was read may have been finished since, so nobody begins a row on the strength of having read it.
        """
        until, before = self.until(now), micros(now)
        return await self._writer.put_each(
            self._take, [(self.node, until, row_id, before, self.node) for row_id in ids]
        )

    async def seize(self, ids: Sequence[str], now: datetime, lease: str) -> list[bool]:
        """The same by right of a lease, whoever has them; nothing when it is somebody else's by now."""
        until = self.until(now)
        return await self._writer.put_each(
            self._seize, [(self.node, until, row_id, lease, self.node) for row_id in ids]
        )

    async def let_go(self, channel: str) -> None:
        """Let go of all rows of a channel that we have."""
        await self._writer.put(self._let_go, [(channel, self.node)])

    async def renew(self, now: datetime, *, any_held: bool = True) -> None:
        """Hold on to all rows we have; `any_held` False: there are none, and what comes is claimed anew."""
        if any_held:
            await self._writer.put(self._renew, [(self.until(now), self.node)])
        self._renewed = micros(now)

    def sure(self, claimed: int, now: datetime) -> bool:
        """Whether a claim made at that time still holds; else another may have the row: claim it anew."""
        return micros(now - LEASE) < max(claimed, self._renewed)

    async def recover(self) -> None:
        """At the start: let go of what a process of this name had when it died. It is then there to be taken."""
        await self._writer.put(self._recover, [(self.node,)])

    async def leave(self) -> None:
        """At the end, in order: let go of what is unfinished, for whoever starts next.

        Runs that were begun are not held against their texts: it was not they who ended the process.
        """
        await self._writer.put(self._leave, [(self.node,)])


def _taking(name: str, table: str, which: str) -> Statement:
    """Claim a row by its id if it is such. On PostgreSQL one that somebody else is writing just now is left alone: that
    may be a process that was frozen in the middle, and for its locks everybody would wait.
    """
    head = f"UPDATE {table} SET claimed_by = ?, claimed_until = ? WHERE id"  # noqa: S608
    rows = f"SELECT id FROM {table} WHERE id = ? AND {which} FOR UPDATE SKIP LOCKED"  # noqa: S608
    return Statement(name, f"{head} = ? AND {which}", numbered(f"{head} IN ({rows})"))
