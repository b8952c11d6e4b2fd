"""Calendars: open or closed, to the minute, also where clocks and years turn."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from edge.flows.calendar import Calendar

WORKDAYS = [1, 2, 3, 4, 5]


def hours(first: str, to: str, weekdays: list[int] | None = None) -> dict[str, Any]:
    span: dict[str, Any] = {"from": first, "to": to}
    return span if weekdays is None else {**span, "weekdays": weekdays}


OFFICE = {
    "timezone": "Europe/Berlin",
    "hours": [
        hours("09:00", "12:00", WORKDAYS),
        hours("13:00", "17:30", [1, 2, 3, 4]),
        hours("22:00", "02:00", [5]),
        hours("00:00", "24:00", [6]),
    ],
    "holidays": [
        "12-25",
        {"date": "12-26", "name": "Boxing Day"},
        {"date": "2026-12-24", "name": "Christmas Eve", "hours": [hours("10:00", "12:00"), hours("23:00", "01:00")]},
        {"date": "2028-12-25", "name": "a Christmas at work", "hours": [hours("9:00", "10:00")]},
        {"date": "02-29", "name": "the day too many"},
        {"date": "2026-08-14", "name": "a short Friday", "hours": [hours("09:00", "10:00")]},
    ],
}

CASES = [
    # the week: 2026-08-05 is a Wednesday
    ("2026-08-05T08:59:59", False, None),
    ("2026-08-05T09:00:00", True, None),
    ("2026-08-05T11:59:59", True, None),
    ("2026-08-05T12:00:00", False, None),
    ("2026-08-05T13:00:00", True, None),
    ("2026-08-05T17:29:59", True, None),
    ("2026-08-05T17:30:00", False, None),
    ("2026-08-07T13:00:00", False, None),  # Friday afternoon
    ("2026-08-02T10:00:00", False, None),  # Sunday
    # the night of Friday, which goes on into Saturday, which is open all day
    ("2026-08-07T21:59:00", False, None),
    ("2026-08-07T22:00:00", True, None),
    ("2026-08-08T01:59:00", True, None),
    ("2026-08-08T23:59:59", True, None),
    ("2026-08-09T00:00:00", False, None),  # "24:00" is out
    # a special Friday has no night
    ("2026-08-14T09:30:00", True, "a short Friday"),
    ("2026-08-14T10:00:00", False, "a short Friday"),
    ("2026-08-14T22:30:00", False, "a short Friday"),
    ("2026-08-15T01:00:00", True, None),  # Saturday by itself
    # Christmas
    ("2026-12-24T09:30:00", False, "Christmas Eve"),
    ("2026-12-24T10:00:00", True, "Christmas Eve"),
    ("2026-12-24T13:30:00", False, "Christmas Eve"),
    ("2026-12-24T23:00:00", True, "Christmas Eve"),
    ("2026-12-25T00:59:00", True, ""),  # what began on the eve
    ("2026-12-25T01:00:00", False, ""),
    ("2026-12-25T10:00:00", False, ""),
    ("2027-12-24T10:00:00", True, None),  # the eve of one year only, and a Friday
    ("2028-12-25T09:00:00", True, "a Christmas at work"),  # that day goes before every year's
    ("2028-12-25T10:00:00", False, "a Christmas at work"),
    ("2029-12-25T09:00:00", False, ""),
    ("2028-12-26T09:00:00", False, "Boxing Day"),
    # the turn of the year: Thursday and Friday, the night of Friday, Saturday
    ("2026-12-31T17:00:00", True, None),
    ("2027-01-01T09:00:00", True, None),
    ("2027-01-01T23:59:59", True, None),
    ("2027-01-02T00:00:00", True, None),
    # the leap day, a Tuesday in 2028
    ("2028-02-28T09:00:00", True, None),
    ("2028-02-29T09:00:00", False, "the day too many"),
    ("2028-03-01T09:00:00", True, None),
    ("2027-03-01T09:00:00", True, None),
]


@pytest.mark.parametrize(("when", "is_open", "holiday"), CASES)
def test_an_office(when: str, is_open: bool, holiday: str | None) -> None:
    now = datetime.fromisoformat(when).replace(tzinfo=ZoneInfo("Europe/Berlin"))
    state = Calendar.model_validate(OFFICE).at(now.astimezone(ZoneInfo("America/New_York")))
    assert state.open is is_open
    assert (state.holiday.name if state.holiday is not None else None) == holiday


NIGHT = {"timezone": "Europe/Berlin", "hours": [hours("01:30", "03:30", [0]), hours("23:30", "00:30", [0])]}


@pytest.mark.parametrize(
    ("utc", "is_open"),
    [
        # 2026-03-29: at 01:00 UTC the clock jumps from 02:00 to 03:00
        ("2026-03-29T00:29:00", False),
        ("2026-03-29T00:30:00", True),  # 01:30
        ("2026-03-29T00:59:59", True),  # 01:59
        ("2026-03-29T01:00:00", True),  # 03:00
        ("2026-03-29T01:30:00", False),  # 03:30
        # 2026-10-25: at 01:00 UTC the clock goes back from 03:00 to 02:00
        ("2026-10-24T23:29:00", False),
        ("2026-10-24T23:30:00", True),  # 01:30
        ("2026-10-25T00:30:00", True),  # 02:30, for the first time
        ("2026-10-25T01:30:00", True),  # 02:30, for the second time
        ("2026-10-25T02:29:59", True),  # 03:29
        ("2026-10-25T02:30:00", False),
        # the evening of a day of 25 hours, and its night
        ("2026-10-25T22:30:00", True),  # 23:30
        ("2026-10-25T23:29:00", True),  # 00:29 on Monday
        ("2026-10-25T23:30:00", False),
    ],
)
def test_where_the_clock_turns(utc: str, is_open: bool) -> None:
    now = datetime.fromisoformat(f"{utc}+00:00")
    assert Calendar.model_validate(NIGHT).at(now).open is is_open


def test_the_day_is_that_of_the_zone() -> None:
    calendar = Calendar.model_validate(
        {"timezone": "Pacific/Auckland", "holidays": ["01-01"], "hours": [hours("00:00", "24:00", [4, 5])]}
    )
    assert str(calendar.at(datetime.fromisoformat("2026-12-31T10:59:00+00:00"))) == "open Thu 2026-12-31 23:59"
    closed = calendar.at(datetime.fromisoformat("2026-12-31T11:00:00+00:00"))
    assert str(closed) == "closed Fri 2027-01-01 00:00, a holiday"


def test_without_hours_it_is_closed_but_on_days_that_have_some() -> None:
    calendar = Calendar.model_validate({"holidays": [{"date": "2026-08-05", "hours": [hours("00:00", "00:00")]}]})
    assert not calendar.at(datetime.fromisoformat("2026-08-04T12:00:00+00:00")).open
    assert calendar.at(datetime.fromisoformat("2026-08-05T23:59:00+00:00")).open  # as far as midnight of the next day
    assert not calendar.at(datetime.fromisoformat("2026-08-06T00:00:00+00:00")).open


def test_text_and_back() -> None:
    calendar = Calendar.model_validate(OFFICE)
    assert Calendar.model_validate_json(calendar.model_dump_json(by_alias=True)) == calendar


@pytest.mark.parametrize(
    ("wrong", "what"),
    [
        ({"timezone": "Mars/Olympus"}, "there is no time zone 'Mars/Olympus'"),
        ({"timezone": "../etc/passwd"}, "there is no time zone"),
        ({"hours": [hours("09:00", "25:00", [1])]}, "should match pattern"),
        ({"hours": [hours("24:00", "09:00", [1])]}, "should match pattern"),
        ({"hours": [hours("09:00", "10:00", [])]}, "at least 1 item"),
        ({"hours": [hours("09:00", "10:00", [7])]}, "less than or equal to 6"),
        ({"hours": [hours("09:00", "10:00")]}, "Field required"),
        ({"holidays": ["12-32"]}, "there is no day '12-32'; one is written 2026-12-25"),
        ({"holidays": ["2027-02-29"]}, "there is no day '2027-02-29'"),
        ({"holidays": ["25.12."]}, "there is no day '25.12.'"),
        ({"holidays": ["12-25", {"date": "12-25", "name": "again"}]}, "have the day 12-25 twice"),
        ({"holidays": [{"name": "no day"}]}, "Field required"),
        ({"holidays": [{"date": "12-25", "hour": []}]}, "Extra inputs"),
        ({"closed": True}, "Extra inputs"),
    ],
)
def test_what_is_no_calendar(wrong: dict[str, Any], what: str) -> None:
    with pytest.raises(ValidationError, match=what):
        Calendar.model_validate(wrong)
