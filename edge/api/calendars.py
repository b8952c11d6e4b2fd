"""Calendars: opening hours and holidays that flows look at."""

from __future__ import annotations

from pydantic import Field

from edge.api.field import Change, Detail, Line
from edge.api.paging import Page
from edge.api.resources import NAME, OwnerField, Resources, Shown
from edge.flows import limits
from edge.flows.calendar import Calendar, Holiday, HolidayOrDay, TimeZone, WeeklySpan
from edge.flows.resource import ResourceTable


class StoredCalendar(Shown):
    """A calendar."""

    timezone: str | None = Field(default=None, description="The zone whose clock and calendar count.")
    hours: list[WeeklySpan] | None = Field(default=None, description="When it is open; null in lists.")
    holidays: list[Holiday] | None = Field(default=None, description="The days that are different; null in lists.")


class CalendarCreate(Calendar, OwnerField):
    """A new calendar."""

    name: Line = Field(min_length=1, description=NAME, examples=["office"])
    detail: Detail = Field(default="", description="Free text.")


class CalendarChange(Change):
    """At least one of them; what is left out stays."""

    name: Line = Field(default_factory=str, min_length=1, description=NAME)
    detail: Detail = Field(default_factory=str, description="Free text.")
    timezone: TimeZone = Field(default_factory=lambda: "UTC", description="The zone whose clock and calendar count.")
    hours: list[WeeklySpan] = Field(
        default_factory=list, max_length=limits.WEEKLY_SPANS, description="All of the hours anew."
    )
    holidays: list[HolidayOrDay] = Field(
        default_factory=list, max_length=limits.HOLIDAYS, description="All of the holidays anew."
    )


def calendars(table: ResourceTable[Calendar]) -> Resources:
    return Resources(
        table=table,
        path="/v1.0/calendars",
        tag="calendars",
        shown=StoredCalendar,
        page_of=Page[StoredCalendar],
        create_body=CalendarCreate,
        change_body=CalendarChange,
    )
