"""Which part of a file a Range header asks for (RFC 9110 §14)."""

from __future__ import annotations

import pytest

from edge.api.download import part_of
from edge.api.refusal import RangeRefused


@pytest.mark.parametrize(
    ("header", "part"),
    [
        (None, None),
        ("bytes=0-0", (0, 1)),
        ("bytes=0-99", (0, 100)),
        ("Bytes=10-19", (10, 10)),
        ("bytes=90-", (90, 10)),
        ("bytes=90-1000", (90, 10)),
        ("bytes=-1", (99, 1)),
        ("bytes=-100", (0, 100)),
        ("bytes=-1000", (0, 100)),
        ("bytes= 5 - 9", (5, 5)),
        # not understood, so not looked at (§14.2)
        ("bytes=0-1,5-6", None),
        ("bytes=9-5", None),
        ("bytes=-", None),
        ("bytes=a-b", None),
        ("lines=1-2", None),
        ("bytes=1-2 or so", None),
        ("", None),
        ("bytes=" + "9" * 30 + "-", None),
    ],
)
def test_a_part(header: str | None, part: tuple[int, int] | None) -> None:
    assert part_of(header, 100) == part


@pytest.mark.parametrize(
    ("header", "size"), [("bytes=100-", 100), ("bytes=100-200", 100), ("bytes=-0", 100), ("bytes=0-", 0)]
)
def test_what_begins_behind_the_end(header: str, size: int) -> None:
    with pytest.raises(RangeRefused, match=f"the file has {size} bytes"):
        part_of(header, size)
