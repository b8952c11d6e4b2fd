"""How often each step of a flow ran, as the records of calls and texts tell.

Nothing is counted while a call runs: the records keep the log of each run, and the newest of them are summed up when
somebody asks. So it costs the path of a call nothing, there is no table that may disagree with the records, and flows
of any version can be asked about; but no more than `NEWEST` records of an account are looked at, of each run only the
steps that its log still has (`limits.LOG_ENTRIES`), and what was purged is gone.
"""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from edge.flows.flow import Flow
from edge.flows.graph import Counts, Ran
from edge.sessions.tables import calls, messages
from edge.store.engine import reading

NEWEST: Final = 10_000  # calls of an account that are looked at, and as many texts


class StepCounts:
    """Asks the records."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def of(self, flow: Flow) -> Counts:
        """Of one version of a flow. Raises Unavailable.

        A step of another flow that this one entered is in its records too; only one that has the id and the action of
        one of its own would be taken for it.
        """
        own = {step.id: step.type for step in flow.steps}
        runs, steps = 0, dict[str, Ran]()
        async with reading(self._engine) as connection:
            for table in (calls, messages):
                chosen = _chosen(table, flow)
                runs += (await connection.execute(sa.select(sa.func.count()).select_from(chosen))).scalar_one()
                found = await connection.execute(_steps(chosen, self._engine.dialect.name))
                for id, action, times, in_runs in found:
                    if own.get(id) == action:
                        before = steps.get(id, Ran(0, 0))
                        steps[id] = Ran(before.times + times, before.runs + in_runs)
        return Counts(runs, steps)


def _chosen(table: sa.Table, flow: Flow) -> sa.Subquery:
    """The records of runs of that version, among the newest of its account."""
    columns = (table.c[name] for name in ("id", "flow_id", "flow_version", "outcome", "steps"))
    newest = sa.select(*columns).where(table.c.customer_id == flow.customer_id)
    recent = newest.order_by(table.c.tm_create.desc()).limit(NEWEST).subquery()
    mine = (recent.c.flow_id == flow.id) & (recent.c.flow_version == flow.version)
    mine &= recent.c.outcome != "parked"  # the record of the text with which it goes on tells all of it
    return sa.select(recent.c.id, recent.c.steps).where(mine).subquery()


def _steps(chosen: sa.Subquery, dialect: str) -> sa.Select[Any]:
    """Each step that they tell of: its id, its action, how often it ran, in how many of them."""
    if dialect == "postgresql":
        entry = sa.func.json_array_elements(sa.cast(chosen.c.steps, sa.JSON)).table_valued("value")
        step, action = (sa.func.json_extract_path_text(entry.c.value, name) for name in ("step", "type"))
    else:
        entry = sa.func.json_each(chosen.c.steps).table_valued("value")
        step, action = (sa.func.json_extract(entry.c.value, f"$.{name}") for name in ("step", "type"))
    query = sa.select(step, action, sa.func.count(), sa.func.count(chosen.c.id.distinct()))
    return query.select_from(chosen.join(entry, sa.true())).group_by(step, action)
