"""What the edge logs while a test looks."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from edge import log

Lines = Callable[[], list[dict[str, Any]]]


@contextmanager
def logged(*, private: bool = True) -> Iterator[Lines]:
    """Every line from here on, as a dict. Afterwards lines go nowhere, at the level they have by default."""
    stream = io.StringIO()
    log.configure(log.LogSection(level="debug", format="json", private=private), stream)
    try:
        yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    finally:
        log.configure(log.LogSection(), io.StringIO())
