"""One daemon for all tests of whole calls in a module, with two numbers: one stays on the line, one hangs up."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.calls.daemon import Daemon, daemon

STAYS = "+14155550100"  # answers and stays until the caller hangs up
HANGS_UP = "+14155550101"  # thinks a moment, answers, and hangs up after three seconds

VECTORS = Path(os.environ.get("EDGE_VECTORS") or Path(__file__).parents[3] / "shared" / "vectors")


def vectors(*parts: str) -> Path:
    """A folder of other people's vectors; the test is skipped without it."""
    path = VECTORS.joinpath(*parts)
    if not path.is_dir():
        pytest.skip(f"the vectors are not here: {path} (EDGE_VECTORS names another folder)")
    return path


def wait(milliseconds: int) -> dict[str, Any]:
    return {"type": "sleep", "option": {"duration": milliseconds}}


@pytest.fixture(scope="module")
def edge_daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with daemon(tmp_path_factory.mktemp("edge")) as running:
        customer = running.account()
        answer = {"type": "answer"}
        running.bind(customer, STAYS, answer, wait(60_000))
        running.bind(customer, HANGS_UP, wait(200), answer, wait(3_000), {"type": "hangup"})
        yield running
        assert running.alive, running.words()
