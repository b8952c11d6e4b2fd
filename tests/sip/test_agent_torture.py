"""The torture messages of RFC 4475 and RFC 5118, given to an agent whose user answers every call.

What each must get is written in the INDEX beside it; what the RFC leaves open is any final answer there. Each message
is given with a Via branch of its own only where the files share one: here every message gets an agent of its own
instead.
"""

from __future__ import annotations

import os
import re
from itertools import count
from pathlib import Path

import pytest

from edge.sip.agent import Agent
from edge.sip.events import CallOffered, TextOffered
from tests.sip.ladder import OURS, UDP

VECTORS = Path(os.environ.get("EDGE_VECTORS") or Path(__file__).parents[3] / "shared" / "vectors")

pytestmark = pytest.mark.skipif(not VECTORS.is_dir(), reason=f"the torture messages are not there: {VECTORS}")


def rows() -> list[tuple[Path, str]]:
    """Each file, and what an endpoint must answer over UDP."""
    found = []
    for folder in ("rfc4475", "rfc5118"):
        index = VECTORS / folder / "INDEX.tsv"
        for line in index.read_text().splitlines()[1:] if index.is_file() else []:
            name, _, _, _, expected, *_ = line.split("\t")
            found.append((VECTORS / folder / name, expected))
            fixed = (VECTORS / folder / name).with_suffix(".clfixed")  # the RFC's Content-Length is wrong there
            if fixed.is_file():
                found.append((fixed, expected))
    return found


def answers(data: bytes) -> list[int]:
    """The statuses that come out, provisional ones left out; the user says 200 to calls and 202 to texts."""
    tokens = count()
    agent = Agent(lambda: f"t{next(tokens)}")
    agent.receive(data, UDP, 0.0)
    while (event := agent.next_event()) is not None:
        if isinstance(event, CallOffered):
            agent.answer(event.offer, OURS, 0.0)
        elif isinstance(event, TextOffered):
            agent.take_text(event.text, 202, 0.0)
    lines = [re.match(rb"SIP/2\.0 ([1-6][0-9][0-9]) ", out) for _, out in agent.to_send(0.0)]
    statuses = [int(line[1]) for line in lines if line is not None]
    assert len(statuses) == len(lines), "a request came out"
    agent.handle_timer(10_000.0)
    while (deadline := agent.get_timer()) is not None:
        agent.handle_timer(deadline)
        agent.to_send(deadline)
    assert set(agent.stats().values()) == {0}
    return [status for status in statuses if status >= 200]


def allows(expected: str, status: int) -> bool:
    """Whether the INDEX allows this final status: `!400 | any-final`, `501 | 405`, `2xx`, `400 | liberal`."""
    words = [word.strip() for word in expected.split("|")]
    for word in words:
        if word.startswith("!") and re.fullmatch(word[1:4].replace("x", r"\d"), str(status)):
            return False
    return any(
        word.startswith(("any-final", "!")) or word == "liberal" or re.fullmatch(word.replace("x", r"\d"), str(status))
        for word in words
    )


@pytest.mark.parametrize(("path", "expected"), rows(), ids=lambda value: value.name if isinstance(value, Path) else "")
def test_torture(path: Path, expected: str) -> None:
    statuses = answers(path.read_bytes())
    if "silence" in expected and not statuses:
        return
    assert len(statuses) == 1, f"{statuses}; expected {expected}"
    assert allows(expected, statuses[0]), f"{statuses[0]}; expected {expected}"


def test_all_of_them_were_read() -> None:
    assert len(rows()) >= 49 + 12


@pytest.mark.parametrize(
    ("expected", "status", "verdict"),
    [
        ("!400 | any-final", 400, False),
        ("!400 | any-final", 481, True),
        ("501 | 405", 404, False),
        ("501 | 405", 405, True),
        ("2xx | 404 | !483-if-endpoint | any-final", 483, False),
        ("!5xx | any-final", 501, False),
        ("400 | liberal", 200, True),
        ("400", 200, False),
    ],
)
def test_how_the_index_is_read(expected: str, status: int, verdict: bool) -> None:
    assert bool(allows(expected, status)) is verdict
