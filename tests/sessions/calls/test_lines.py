"""Records as lines of JSON: by day, by size, for so many days, and never at the cost of a call."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import orjson
import pytest

from edge.sessions.calls.lines import RecordLines, RecordsSection, open_lines
from edge.sessions.calls.record import _values
from tests.sessions.calls.test_record import attempt
from tests.sessions.ground import Clock


@pytest.fixture
def lines(tmp_path: Path) -> Callable[..., RecordLines]:
    def made(clock: Clock, limit: int = 1_000_000, days: int = 3) -> RecordLines:
        return RecordLines(tmp_path / "lines", limit, days, clock)

    return made


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "lines").iterdir())


def test_a_line_is_what_the_api_says(tmp_path: Path, lines: Callable[..., RecordLines]) -> None:
    one, two = attempt(sip_code=404, trunk="carrier"), attempt(1)
    lines(Clock())([_values(one), _values(two)])
    (file,) = (tmp_path / "lines").iterdir()
    assert file.name == "calls-2026-08-01.jsonl"
    assert [orjson.loads(line) for line in file.read_bytes().splitlines()] == [one.recorded(), two.recorded()]
    assert file.stat().st_mode & 0o077 == 0


def test_a_day_has_its_file_and_a_full_one_another(tmp_path: Path, lines: Callable[..., RecordLines]) -> None:
    clock = Clock()
    write = lines(clock, limit=2000)
    for _ in range(4):
        write([_values(attempt())])
    assert names(tmp_path) == ["calls-2026-08-01.1.jsonl", "calls-2026-08-01.jsonl"]
    lines(clock, limit=2000)([_values(attempt())])  # started again
    assert names(tmp_path)[0] == "calls-2026-08-01.1.jsonl"
    clock.move(24 * 3600)
    write([_values(attempt())])
    assert names(tmp_path)[-1] == "calls-2026-08-02.jsonl"


def test_old_files_go_and_others_stay(tmp_path: Path, lines: Callable[..., RecordLines]) -> None:
    clock = Clock()
    write = lines(clock)
    write([_values(attempt())])
    (tmp_path / "lines" / "notes-2020-01-01.txt").touch()
    clock.move(timedelta(days=4).total_seconds())
    write([_values(attempt())])
    assert names(tmp_path) == ["calls-2026-08-05.jsonl", "notes-2020-01-01.txt"]


def test_a_file_that_was_taken_away_is_made_again(tmp_path: Path, lines: Callable[..., RecordLines]) -> None:
    write = lines(Clock())
    write([_values(attempt())])
    (tmp_path / "lines" / "calls-2026-08-01.jsonl").unlink()
    write([_values(attempt())])
    assert names(tmp_path) == ["calls-2026-08-01.jsonl"]


def test_a_folder_that_cannot_be_written_is_nobodys_fault_but_its_own(tmp_path: Path) -> None:
    (tmp_path / "lines").write_text("a file")
    write = RecordLines(tmp_path / "lines", 1000, 0, Clock())
    write([_values(attempt())])
    assert (tmp_path / "lines").read_text() == "a file"


def test_without_a_folder_there_are_none() -> None:
    assert open_lines(RecordsSection(), Clock()) is None
