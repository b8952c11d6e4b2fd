"""What can be configured of media, and what is refused."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from edge.media.section import MediaSection


@pytest.mark.parametrize(
    "wrong",
    [
        {"first_port": 80},
        {"first_port": 20000, "last_port": 20000},
        {"advertise": "edge.example"},
        {"ptime_ms": 9},
        {"x": 1},
    ],
)
def test_a_wrong_section(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        MediaSection.model_validate(wrong)
