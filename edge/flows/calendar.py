"""Calendars: the hours in which somebody is there, with the days on which it is different.

    {"timezone": "Europe/Berlin",
     "hours": [{"weekdays": [1, 2, 3, 4, 5], "from": "09:00", "to": "12:00"},
               {"weekdays": [1, 2, 3, 4], "from": "13:00", "to": "17:30"}],
     "holidays": ["12-25",
                  {"date": "2026-12-24", "name": "Christmas Eve", "hours": [{"from": "09:00", "to": "12:00"}]}]}

Rules:

- `from` is in, `to` is out. A `to` that is not after `from` lies on the next day; what is after midnight then belongs
  to the day it began on, be that a weekday or a holiday.
- A holiday has hours of its own, none unless they are given, in place of those of its weekday. Its date is one day, or
  with month and day only the same day each year (02-29: in leap years). One day goes before each year's.
- Times are those of the clock on the wall of the time zone. The hour that a clock jumps over does not come, the hour
  that it has twice counts twice.
- A calendar without hours is never open but on the special days that have some.
"""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import Annotated, Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from edge.flows import limits

DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
CLOCK: Final = r"^([01]?\d|2[0-3]):[0-5]\d$"
CLOCK_OR_MIDNIGHT: Final = r"^(([01]?\d|2[0-3]):[0-5]\d|24:00)$"
DAY_MINUTES: Final = 24 * 60
LEAP_YEAR: Final = 2000

_DAY: Final = re.compile(r"(?:(?P<year>[0-9]{4})-)?(?P<month>[0-9]{2})-(?P<day>[0-9]{2})")


def known_zone(name: str) -> str:
    """Raises ValueError for what is no IANA name of a time zone."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"there is no time zone {name[:40]!r}; one is called like Europe/Berlin") from None
    return name


def minute_of_day(clock: str) -> int:
    """`09:30` → 570."""
    hour, _, minute = clock.partition(":")
    return int(hour) * 60 + int(minute)


def _real_day(text: str) -> str:
    found = _DAY.fullmatch(text)
    try:
        if found is None:
            raise ValueError
        date(int(found["year"] or LEAP_YEAR), int(found["month"]), int(found["day"]))
    except ValueError:
        raise ValueError(f"there is no day {text[:20]!r}; one is written 2026-12-25, or 12-25 for every year") from None
    return text


TimeZone = Annotated[str, AfterValidator(known_zone)]
Weekday = Annotated[int, Field(ge=0, le=6)]
Day = Annotated[str, AfterValidator(_real_day), Field(examples=["12-25", "2026-12-24"])]


def find_day(days: Any, day: date) -> str | None:
    """Which of the days (a container of `Day`s) a date is: itself rather than each year's."""
    whole = day.isoformat()
    return next((text for text in (whole, whole[5:]) if text in days), None)


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Span(_Model):
    """Hours of one day."""

    model_config = ConfigDict(serialize_by_alias=True)

    from_: str = Field(alias="from", pattern=CLOCK, description='The first minute: "09:00".')
    to: str = Field(pattern=CLOCK_OR_MIDNIGHT, description='The minute when it is over: "17:30", "24:00".')

    @cached_property
    def minutes(self) -> tuple[int, int]:
        return minute_of_day(self.from_), minute_of_day(self.to)

    def holds(self, minute: int, *, next_day: bool) -> bool:
        """Whether it covers a minute of its own day, or of the day after."""
        begins, ends = self.minutes
        if begins < ends:
            return not next_day and begins <= minute < ends
        return minute < ends if next_day else minute >= begins


class WeeklySpan(Span):
    """The same hours on some days of the week."""

    weekdays: list[Weekday] = Field(min_length=1, max_length=7, description="0 is Sunday, 6 is Saturday.")


class Holiday(_Model):
    """A day that is different."""

    date: Day = Field(description="2026-12-25, or 12-25 for every year.")
    name: str = Field(default="", max_length=limits.NAME_CHARACTERS, description="What it is called.")
    hours: list[Span] = Field(
        default_factory=list, max_length=limits.DAY_SPANS, description="The hours of that day; none: closed."
    )


def _as_holiday(value: Any) -> Any:
    return {"date": value} if isinstance(value, str) else value


HolidayOrDay = Annotated[Holiday, BeforeValidator(_as_holiday, json_schema_input_type=str | Holiday)]


class State(NamedTuple):
    """What a calendar says about a time."""

    open: bool
    local: datetime  # the time where the calendar is
    holiday: Holiday | None

    def __str__(self) -> str:
        """`open Fri 2026-12-25 10:00, Christmas`"""
        name = f", {self.holiday.name or 'a holiday'}" if self.holiday is not None else ""
        when = f"{DAYS[self.local.weekday()]} {self.local:%Y-%m-%d %H:%M}"
        return f"{'open' if self.open else 'closed'} {when}{name}"


class Calendar(_Model):
    """Opening hours and holidays."""

    timezone: TimeZone = Field(default="UTC", description="The zone whose clock and calendar count, by its IANA name.")
    hours: list[WeeklySpan] = Field(
        default_factory=list, max_length=limits.WEEKLY_SPANS, description="When it is open, any number of spans a day."
    )
    holidays: list[HolidayOrDay] = Field(
        default_factory=list,
        max_length=limits.HOLIDAYS,
        description="The days that are different, each as an object or, for a closed one, as its date.",
    )

    @model_validator(mode="after")
    def _each_day_once(self) -> Calendar:
        seen: set[str] = set()
        for holiday in self.holidays:
            if holiday.date in seen:
                raise ValueError(f"the holidays have the day {holiday.date} twice")
            seen.add(holiday.date)
        return self

    def at(self, now: datetime) -> State:
        """What it says about an aware time."""
        local = now.astimezone(self._zone)
        minute, today = local.hour * 60 + local.minute, local.date()
        holiday = self._holiday(today)
        is_open = any(span.holds(minute, next_day=False) for span in self._spans(today, holiday))
        if not is_open:
            yesterday = today - timedelta(days=1)
            spans = self._spans(yesterday, self._holiday(yesterday))
            is_open = any(span.holds(minute, next_day=True) for span in spans)
        return State(is_open, local, holiday)

    def to_json(self) -> bytes:
        """The form in Redis."""
        return self.model_dump_json(by_alias=True).encode()

    def _holiday(self, day: date) -> Holiday | None:
        found = find_day(self._by_date, day)
        return self._by_date[found] if found is not None else None

    def _spans(self, day: date, holiday: Holiday | None) -> list[Span]:
        return holiday.hours if holiday is not None else self._by_weekday[day.isoweekday() % 7]

    @cached_property
    def _zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)

    @cached_property
    def _by_date(self) -> dict[str, Holiday]:
        return {holiday.date: holiday for holiday in self.holidays}

    @cached_property
    def _by_weekday(self) -> list[list[Span]]:
        return [[span for span in self.hours if weekday in span.weekdays] for weekday in range(7)]
