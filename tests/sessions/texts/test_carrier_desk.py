"""What carriers with connections bring: kept by who keeps such, or refused for now."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from edge.errors import Unavailable
from edge.sessions.texts.carrier_desk import CarrierDesk
from edge.sms.carrier import Desk
from edge.sms.part import Part
from edge.sms.text import Report, Text, Verdict

NOW = datetime(2026, 8, 1, 9, tzinfo=UTC)
TEXT = Text("pigeon", "1", "+14155550111", "+14155550100", "hi", NOW)
PART = Part("pigeon", "1", "+14155550111", "+14155550100", 7, 2, 1, "gsm", b"hi", NOW)


class Floor:
    """Who keeps what the desk is brought."""

    def __init__(self) -> None:
        self.kept: list[object] = []
        self.draining = False

    def desk(self) -> Desk:
        return CarrierDesk(self.receive, self.join, self.report, self.recent, lambda: self.draining)

    async def receive(self, text: Text) -> Verdict:
        self.kept.append(text)
        return Verdict("a")

    async def join(self, part: Part) -> Verdict:
        self.kept.append(part)
        return Verdict("")

    async def report(self, report: Report) -> None:
        self.kept.append(report)

    async def recent(self, carrier: str, since: datetime, limit: int) -> Sequence[str]:
        return [f"{carrier} {since:%H:%M} {limit}"]


async def test_what_was_kept_lately_is_told() -> None:
    assert [*await Floor().desk().recent("pigeon", NOW, 7)] == ["pigeon 09:00 7"]


async def test_a_text_is_received() -> None:
    floor = Floor()
    assert await floor.desk().keep(TEXT) == Verdict("a")
    assert floor.kept == [TEXT]


async def test_a_part_is_joined_with_the_others() -> None:
    floor = Floor()
    assert await floor.desk().keep(PART) == Verdict("")
    assert floor.kept == [PART]


async def test_a_report_is_taken_until_the_end() -> None:
    floor = Floor()
    floor.draining = True
    report = Report("pigeon", "1", "delivered", NOW)
    await floor.desk().report(report)
    assert floor.kept == [report]


async def test_while_draining_nothing_is_kept() -> None:
    floor = Floor()
    floor.draining = True
    for what in (TEXT, PART):
        with pytest.raises(Unavailable):
            await floor.desk().keep(what)
    assert floor.kept == []
