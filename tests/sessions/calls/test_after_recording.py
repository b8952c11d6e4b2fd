"""The flow that runs at the end of a recording: what it can read and do, and what is said when it cannot run."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from edge.recordings.table import Recording
from edge.sessions.calls.after_recording import AfterRecording
from edge.store.metadata import new_id
from tests.logged import logged
from tests.sessions.line import NUMBER, Line, exchange

NOW = datetime(2026, 8, 1, 9, tzinfo=UTC)
CALL = new_id()


@pytest.fixture
async def line(migrated_sqlite: Path, tmp_path: Path) -> AsyncIterator[Line]:
    async with exchange(tmp_path, migrated_sqlite) as opened:
        yield opened


def text(body: str) -> dict[str, Any]:
    return {"type": "message_send", "option": {"source": NUMBER, "destinations": ["+14155550122"], "text": body}}


def recording(customer_id: str, flow_id: str) -> Recording:
    return Recording.begun(new_id(), customer_id, CALL, "ogg", NOW, node="here", on_end_flow_id=flow_id)


async def run(line: Line, row: Recording) -> None:
    await AfterRecording(lambda: line.desk, lambda: NOW).run(row)


async def test_it_reads_what_was_recorded(line: Line) -> None:
    owner = (await line.stores.customers.create("acme")).id
    names = ("id", "reference_type", "reference_id", "format", "recording_name", "filenames")
    body = " ".join(f"${{voipbin.recording.{name}}}" for name in names)
    about = "${voipbin.activeflow.reference_type} ${voipbin.activeflow.flow_id} ${voipbin.call.id}"
    flow_id = await line.flow([text(body), text(about)], owner)
    row = recording(owner, flow_id)
    await run(line, row)
    assert [sent[2] for sent in line.sent] == [
        f"{row.id} call {CALL} ogg {row.recording_name} {row.filename}",
        f"recording {flow_id} {CALL}",
    ]


@pytest.mark.parametrize("why", ["there is no flow", "the flow cannot run for a message"])
async def test_one_that_cannot_run_is_logged(line: Line, why: str) -> None:
    owner, other = [(await line.stores.customers.create(name)).id for name in ("acme", "other")]
    foreign = await line.flow([text("not yours")], other)
    needs_a_call = await line.flow([text("first"), {"type": "answer"}], owner)
    row = recording(owner, foreign if why == "there is no flow" else needs_a_call)
    with logged() as lines:
        await run(line, row)
    (told,) = [one for one in lines() if one["event"] == "flow after a recording not run"]
    assert (told["recording_id"], told["error"][: len(why)]) == (row.id, why)
    assert line.sent == []
