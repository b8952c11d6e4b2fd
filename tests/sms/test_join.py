"""Which parts make which text, and what it says."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.sms.alphabet import read
from edge.sms.join import alone, gather
from edge.sms.part import Part
from edge.sms.split import split
from edge.sms.text import BODY_LIMIT, unstorable

NOW = datetime(2026, 8, 1, 9, tzinfo=UTC)
PART = Part("post", "id", "+14155550111", "+14155550100", 7, 2, 1, "gsm", b"", NOW)


def part(number: int, payload: bytes, at: int = 0, *, total: int = 2, alphabet: str = "gsm", **more: object) -> Part:
    id = f"{total}.{number}.{payload.hex()}.{at}"
    came = NOW + timedelta(seconds=at)
    made = replace(PART, id=id, number=number, total=total, payload=payload, alphabet=alphabet, received_at=came)
    return replace(made, **more)  # type: ignore[arg-type]


def bodies(*parts: Part) -> list[str]:
    return [text.text("id").body for text in gather(parts)]


@pytest.mark.parametrize(
    ("parts", "texts"),
    [
        ([part(1, b"a", 0), part(2, b"b", 1)], ["ab"]),
        ([part(2, b"b", 0), part(1, b"a", 1)], ["ab"]),
        ([part(1, b"a", 0), part(1, b"a", 1), part(2, b"b", 2)], ["ab"]),  # came again, under another id
        ([part(1, b"a", 0), part(1, b"A", 1), part(2, b"B", 2), part(2, b"b", 3)], ["ab", "AB"]),  # two at once
        ([part(1, b"a", 0), part(2, b"b", 1), part(1, b"A", 2), part(2, b"B", 3)], ["ab", "AB"]),  # one after another
        ([part(1, b"a", 0), part(2, b"b", 1), part(1, b"a", 2)], ["ab", "a[part 2 of 2 is missing]"]),
        ([part(1, b"a", 0), part(1, b"x", 1, reference=8), part(2, b"b", 2)], ["ab", "x[part 2 of 2 is missing]"]),
        (
            [part(1, b"a", 0), part(2, b"b", 1, total=3)],
            ["a[part 2 of 2 is missing]", "[part 1 of 3 is missing]b[part 3 of 3 is missing]"],
        ),
        ([part(5, b"e", 0, total=6)], ["[parts 1 to 4 of 6 are missing]e[part 6 of 6 is missing]"]),
        ([part(1, b"a\x1b", 0), part(2, b"eb", 1)], ["a€b"]),  # cut through an escape
        ([part(1, b"\xd8\x3d", 0, alphabet="ucs2"), part(2, b"\xde\x00", 1, alphabet="ucs2")], ["😀"]),
        ([part(1, b"\x00a\x30", 0, alphabet="ucs2"), part(2, b"\xa2", 1, alphabet="ucs2")], ["aア"]),
        ([part(1, b"a", 0), part(2, b"\x30\xa2", 1, alphabet="ucs2")], ["aア"]),
        ([part(1, b"\x04", 0, alphabet="gsm-1-1"), part(2, b"\x04", 1)], ["€è"]),
        (
            [
                part(1, b"\xd8\x3d", 0, alphabet="ucs2", total=3),
                part(3, b"\xde\x00", 1, alphabet="ucs2", total=3),
            ],
            ["\ufffd[part 2 of 3 is missing]\ufffd"],
        ),
    ],
)
def test_parts_make_texts(parts: list[Part], texts: list[str]) -> None:
    assert bodies(*parts) == texts
    assert bodies(*reversed(parts)) == texts  # it is when they came that counts, not how they are read


@given(
    st.text(
        st.one_of(st.sampled_from("ab€😀\u0301"), st.characters(codec="utf-8", exclude_characters="\0\ufeff\ufffe")),
        min_size=200,
        max_size=900,
    ),
    st.randoms(),
)
def test_what_is_split_is_joined(text: str, random: object) -> None:
    cut = split(text, 9)
    parts = []
    for at, octets in enumerate(cut.parts):
        body = read(octets, cut.data_coding, headed=cut.headed)
        place = body.header.concatenation
        assert place is not None
        parts.append(
            part(place.number, body.payload, at, total=place.total, alphabet=body.alphabet, reference=place.reference)
        )
    random.shuffle(parts)  # type: ignore[attr-defined]
    assert bodies(*parts) == [text]


@given(
    st.lists(
        st.builds(
            part,
            st.integers(1, 4),
            st.binary(max_size=3),
            st.integers(0, 5),
            total=st.just(4),
            alphabet=st.sampled_from(["gsm", "ucs2", "binary", "gsm-4-4"]),
            reference=st.integers(0, 1),
        ),
        unique_by=lambda one: one.id + str(one.reference) + one.alphabet,
    )
)
def test_every_part_is_in_one_text(parts: list[Part]) -> None:
    found = gather(parts)
    assert sorted(map(repr, parts)) == sorted(repr(one) for text in found for one in text.all)
    for text in found:
        assert unstorable(text.text("id").body) is None
        assert len({(one.reference, one.total) for one in text.all}) == 1
    assert [(text.since) for text in found] == sorted(text.since for text in found)


def test_a_text_answers_by_the_way_of_its_last_part() -> None:
    (text,) = gather([part(1, b"a", 1, route="new", country="US"), part(2, b"b", 0, route="old")])
    assert text.id == f"{part(2, b'b', 0).id} +1"  # that came first
    joined = text.text("id")
    assert (joined.route, joined.country, joined.received_at, joined.parts) == (
        "new",
        "US",
        NOW + timedelta(seconds=1),
        2,
    )
    assert text.since == NOW


def test_what_is_too_long_is_cut() -> None:
    whole = alone(part(1, b"a" * (BODY_LIMIT + 5), id="id")).body
    assert (len(whole), whole[-2:]) == (BODY_LIMIT, "a…")
    assert alone(part(1, b"a" * BODY_LIMIT, id="id")).body == "a" * BODY_LIMIT
