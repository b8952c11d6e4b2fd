"""Page tokens: exact, opaque, and never a crash."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import Invalid
from edge.store.metadata import NIL
from edge.store.page import Page, Place, cut, read_token, token

WHEN = datetime(2026, 8, 1, 9, 0, 0, 123456, tzinfo=UTC)


@given(st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(9000, 1, 1), timezones=st.just(UTC)), st.uuids())
def test_a_token_stands_for_its_place(when: datetime, row_id: object) -> None:
    place = Place(when, str(row_id))
    assert read_token(token(place)) == place


def test_the_empty_token_is_the_beginning_and_the_platforms_time_is_read() -> None:
    assert read_token("") is None
    assert read_token("2026-08-01T09:00:00.123456Z") == Place(WHEN, "")


@pytest.mark.parametrize("text", ["x", "!!!!", "MTIzOg", "OmFiYw", "ü", "2026-08-01", token(Place(WHEN, NIL))[:-3]])
def test_a_token_that_nobody_gave_out_is_refused(text: str) -> None:
    with pytest.raises(Invalid) as caught:
        read_token(text)
    assert [fault.where for fault in caught.value.faults] == ["page_token"]


@given(st.text(max_size=60))
def test_no_text_does_more_than_that(text: str) -> None:
    try:
        read_token(text)
    except Invalid:
        pass


@pytest.mark.parametrize(
    ("rows", "items", "more"),
    [([], (), False), ([1, 2], (1, 2), False), ([1, 2, 3], (1, 2), True)],
)
def test_a_page_says_whether_there_is_another(rows: list[int], items: tuple[int, ...], more: bool) -> None:
    page = cut(rows, 2, lambda row: Place(WHEN, f"{row:08}-0000-0000-0000-000000000000"))
    assert page.items == items
    assert bool(page.next_token) is more
    assert page == Page(items, page.next_token)
    if more:
        assert read_token(page.next_token) == Place(WHEN, "00000002-0000-0000-0000-000000000000")
