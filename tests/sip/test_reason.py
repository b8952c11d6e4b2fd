"""Reason fields (RFC 3326)."""

from __future__ import annotations

import pytest

from edge.sip.reason import read_cause


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("Q.850;cause=16", 16),
        ('Q.850 ;cause=17;text="User busy"', 17),
        ("q.850; cause = 127", 127),
        ('SIP;cause=600;text="Busy, everywhere",Q.850;cause=21', 21),
        ("Q.850;cause=broken,Q.850;cause=3", 3),
        (None, None),
        ("", None),
        ("SIP;cause=486", None),
        ("Q.850", None),
        ("Q.850;cause", None),
        ("Q.850;cause=0", None),
        ("Q.850;cause=128", None),
        ("Q.850;cause=-1", None),
        ("Q.850;cause=٣", None),
        ("Q.850;cause=1;cause=2", None),
        ('Q.850;cause=16;text="broken', None),
    ],
)
def test_the_cause(text: str | None, cause: int | None) -> None:
    assert read_cause(text) == cause
