"""Go on only at certain times."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import cached_property
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import Field

from edge.flows import limits
from edge.flows.action import Action, Names, Next, StepId
from edge.flows.calendar import (
    CLOCK,
    CLOCK_OR_MIDNIGHT,
    DAY_MINUTES,
    DAYS,
    Day,
    TimeZone,
    Weekday,
    find_day,
    minute_of_day,
)
from edge.flows.condition import COMPARE, Condition, decide
from edge.flows.run import Run
from edge.flows.session import Session
from edge.flows.variables import Variables


class ConditionDatetime(Action):
    """Look at the clock. When everything that is given holds, the next step follows, else the false target.

    Readable and enough for most: `weekdays`, and `from` and `to` as times of the day (`from` is in, `to` is out; a `to`
    that is not after `from` lies on the next day, and the hours after midnight count as the day they began on). It does
    not hold on `holidays`.

    Better for many flows: a `calendar` of the account, which has hours, holidays and a time zone of its own. It holds
    while the calendar is open, as it is now: a holiday entered today counts at once.

    As on the platform: `month`, `day`, `hour` and `minute` with a `condition`. The option stands on the left,
    `option condition now`, so `{"condition": "<=", "hour": 9, "minute": 30}` holds from 09:30 on.

    Different from the platform, where it is wrong: there is a `timezone`; units next to each other are compared as one
    time (09:30 comes before 10:05), not one by one; an hour or minute that is not given is not looked at (there it is
    0); weekdays work in steps with variables too.

    On failure (it does not hold and there is no false target; there is no such calendar) the run fails.

        {"id": "open", "type": "condition_datetime", "option": {"timezone": "Europe/Berlin",
         "weekdays": [1, 2, 3, 4, 5], "from": "09:00", "to": "17:30", "false_target_id": "closed"}}
    """

    type = "condition_datetime"
    fatal = True
    instant = True

    timezone: TimeZone = Field(default="UTC", description="The zone whose clock and calendar count, by its IANA name.")
    weekdays: list[Weekday] = Field(
        default_factory=list, max_length=7, description="The days it may be, 0 is Sunday; empty: any."
    )
    from_: str | None = Field(
        default=None, alias="from", pattern=CLOCK, description='The first minute of the day it may be: "09:00".'
    )
    to: str | None = Field(default=None, pattern=CLOCK_OR_MIDNIGHT, description='The minute when it is over: "17:30".')
    holidays: list[Day] = Field(
        default_factory=list,
        max_length=limits.HOLIDAYS,
        description="Days on which it does not hold: 2026-12-25, or 12-25 for every year.",
    )
    calendar: Annotated[str, Names("calendar")] = Field(
        default="", max_length=limits.NAME_CHARACTERS, description="The id or name of a calendar that must be open."
    )
    condition: Condition = Field(
        default="==",
        description="How to compare month, day, hour and minute (on the left) with the time (on the right).",
    )
    month: int = Field(default=0, ge=-1, le=12, description="1 to 12; 0 or -1: not looked at.")
    day: int = Field(default=0, ge=-1, le=31, description="1 to 31; 0 or -1: not looked at.")
    hour: int = Field(default=-1, ge=-1, le=23, description="0 to 23; -1: not looked at.")
    minute: int = Field(default=-1, ge=-1, le=59, description="0 to 59; -1: not looked at.")
    false_target_id: StepId = Field(default="", description="The step to go to when it does not hold.")

    def doubts(self) -> Iterable[tuple[str, str]]:
        if not self.false_target_id:
            yield "false_target_id", "not given: the run fails when the condition does not hold"
        if self.from_ is not None and self.from_ == self.to:
            yield "to", "the same as from: any time of the day"
        if not (self.weekdays or self.from_ or self.to or self._units or self.holidays or self.calendar):
            yield "condition", "nothing to compare with: it always holds"
        if self._units and self.condition not in ("==", "!="):
            reach = "before" if self.condition in (">", ">=") else "after"
            yield "condition", f"read as `option {self.condition} now`: it holds {reach} the time given"

    def facts(self, variables: Variables) -> str:
        parts = ["/".join(DAYS[day - 1] for day in sorted(self.weekdays))] if self.weekdays else []
        if self.from_ or self.to:
            parts.append(f"from {self.from_ or '00:00'} to {self.to or '24:00'}")
        names = ("month", "day", "hour", "minute")
        units = [
            f"{name} {value}" for first, given in self._units for name, value in zip(names[first:], given, strict=False)
        ]
        if self.holidays:
            parts.append("no holiday")
        if self.calendar:
            parts.append(f"{self.calendar} open")
        if units:
            parts.append(f"{' '.join(units)} {self.condition} now")
        return ", ".join(parts)

    async def run(self, session: Session, run: Run) -> Next:
        now = run.clock()
        holds, seen = self.holds(now), self._clock(now)
        if holds and self.calendar:
            state = (await session.outside.calendar(self.calendar)).at(now)
            holds, seen = state.open, f"{self.calendar} is {state}"
        return decide(run, holds, self.false_target_id, seen)

    def holds(self, now: datetime) -> bool:
        """Whether it holds at an aware time, but for the calendar."""
        local = now.astimezone(self._zone)
        minute = local.hour * 60 + local.minute
        begins, ends = self._hours
        day = local.date()
        if begins < ends:
            if not begins <= minute < ends:
                return False
        elif minute < ends:
            day -= timedelta(days=1)
        elif minute < begins:
            return False
        if self.weekdays and day.isoweekday() % 7 not in self.weekdays:
            return False
        if self.holidays and find_day(self.holidays, day) is not None:
            return False
        compare = COMPARE[self.condition]
        units = (local.month, local.day, local.hour, local.minute)
        return all(compare(given, units[first : first + len(given)]) for first, given in self._units)

    def _clock(self, now: datetime) -> str:
        """`Fri 2026-12-25 10:00 Europe/Berlin`"""
        local = now.astimezone(self._zone)
        return f"{DAYS[local.weekday()]} {local:%Y-%m-%d %H:%M} {self.timezone}"

    @cached_property
    def _zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)

    @cached_property
    def _hours(self) -> tuple[int, int]:
        return minute_of_day(self.from_ or "00:00"), minute_of_day(self.to) if self.to is not None else DAY_MINUTES

    @cached_property
    def _units(self) -> list[tuple[int, tuple[int, ...]]]:
        """What is given of month, day, hour, minute: (index of the first, values) for each row without a gap."""
        given = [
            self.month if self.month > 0 else None,
            self.day if self.day > 0 else None,
            self.hour if self.hour >= 0 else None,
            self.minute if self.minute >= 0 else None,
        ]
        rows: list[tuple[int, tuple[int, ...]]] = []
        for index, value in enumerate(given):
            if value is None:
                continue
            if rows and rows[-1][0] + len(rows[-1][1]) == index:
                rows[-1] = (rows[-1][0], (*rows[-1][1], value))
            else:
                rows.append((index, (value,)))
        return rows
