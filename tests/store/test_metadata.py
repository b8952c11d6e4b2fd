"""Ids, times and column types."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.store.metadata import NIL, from_micros, instant_text, is_id, json_text, micros, name_id, new_id, with_times


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_time_survives_its_microseconds(when: datetime) -> None:
    assert from_micros(micros(when)) == when


@pytest.mark.parametrize(
    ("when", "text"),
    [
        (datetime(2026, 8, 1, 9, tzinfo=UTC), "2026-08-01T09:00:00.000000Z"),
        (datetime(2026, 8, 1, 9, 0, 0, 1, tzinfo=timezone(timedelta(hours=2))), "2026-08-01T07:00:00.000001Z"),
    ],
)
def test_the_platforms_text_of_a_time(when: datetime, text: str) -> None:
    assert instant_text(when) == text


def test_ids_are_uuids_and_sort_by_the_time_they_were_made(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter(range(1_750_000_000_000_000_000, 1_750_000_000_100_000_000, 1_000_000))
    monkeypatch.setattr("time.time_ns", lambda: next(times))
    ids = [new_id() for _ in range(50)]
    assert ids == sorted(set(ids))
    assert {uuid.UUID(text).version for text in ids} == {7}
    assert all(is_id(text) for text in ids)


@pytest.mark.parametrize(
    ("text", "good"),
    [
        (NIL, True),
        ("0190f3c0-0000-7000-8000-00000000000a", True),
        ("0190F3C0-0000-7000-8000-00000000000A", False),
        ("0190f3c0000070008000000000000000", False),
        ("", False),
        ("flow", False),
    ],
)
def test_only_the_canonical_form_is_an_id(text: str, good: bool) -> None:
    assert is_id(text) is good


def test_driver_rows() -> None:
    assert with_times({"tm_create": 1_000_000, "tm_delete": None, "version": 3}) == {
        "tm_create": datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC),
        "tm_delete": None,
        "version": 3,
    }
    assert json_text({"b": "ü", "a": [1]}) == '{"a":[1],"b":"ü"}'


@pytest.mark.parametrize("name", ["", "run 1", "Grüße \N{SNOWMAN}"])
def test_the_id_of_a_name_is_its_uuid_of_version_5(name: str) -> None:
    assert name_id(uuid.NAMESPACE_OID, name) == str(uuid.uuid5(uuid.NAMESPACE_OID, name))
