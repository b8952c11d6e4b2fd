"""The recording of a call as its flow sees it: agent, media, recorder and database are real, the flow is the test."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge.errors import Conflict, Exhausted, Invalid
from edge.flows.session import SessionEnded
from edge.numbers.number import Number
from edge.sessions.calls.call import Call
from edge.sessions.calls.variables import CallVariables
from edge.store.metadata import NIL, from_micros, new_id
from tests.recordings.studio import Studio, studio
from tests.sessions.ground import until
from tests.sessions.line import NUMBER, Line, talking
from tests.sip.ladder import invite

FLOW = new_id()


@pytest.fixture
async def room(migrated_sqlite: Path, tmp_path: Path) -> AsyncIterator[Studio]:
    shutil.copy(migrated_sqlite, tmp_path / "edge.sqlite3")
    async with studio(f"sqlite:///{tmp_path}/edge.sqlite3", tmp_path) as made:
        yield made


@pytest.fixture
async def line(tmp_path: Path, room: Studio) -> AsyncIterator[Line]:
    async with talking(tmp_path) as opened:
        opened.desk = replace(opened.desk, recorder=room.recorder)
        opened.router._desk = opened.desk
        yield opened


async def up(line: Line) -> Call:
    line >> invite() << 100
    await line.call.answer()
    line << 200
    line.ack()
    return line.call


async def start(call: Call, **more: Any) -> str:
    return await call.start_recording(
        **{
            "format": "wav",
            "end_of_silence": 0,
            "end_of_key": "none",
            "duration": 0,
            "beep": False,
            "on_end_flow_id": NIL,
            **more,
        }
    )


async def test_a_call_is_recorded_until_the_flow_says_so(line: Line, room: Studio) -> None:
    call = await up(line)
    recording_id = await start(call, on_end_flow_id=FLOW)
    (tape,) = room.recorder._tapes
    row = await room.row(tape)
    assert (row.id, row.reference_id, row.customer_id) == (recording_id, call.id, call.customer_id)
    assert (row.on_end_flow_id, row.on_end) == (FLOW, "pending")
    assert call.stream is not None
    assert list(call.stream._taps) == [tape]
    await call.stop_recording()
    assert not call.stream._taps
    assert tape.ending == "stopped"
    with pytest.raises(Conflict, match="no recording is under way"):
        await call.stop_recording()
    assert (await room.closed(tape)).ending == "stopped"


async def test_before_the_answer_there_is_nothing_to_record(line: Line, room: Studio) -> None:
    line >> invite() << 100
    with pytest.raises(Invalid, match="only an answered call can be recorded"):
        await start(line.call, beep=True)
    assert line.quiet()
    assert await room.rows() == []


async def test_one_at_a_time_and_another_behind_it(line: Line, room: Studio) -> None:
    call = await up(line)
    first = await start(call)
    with pytest.raises(Conflict, match="a recording is under way"):
        await start(call)
    await call.stop_recording()
    second = await start(call)
    assert [row["id"] for row in await room.rows()] == sorted([first, second])
    assert len(room.recorder._tapes) == 2


async def test_the_recorder_refuses(line: Line, room: Studio) -> None:
    call = await up(line)
    room.spool._free_bytes = 2**62
    with pytest.raises(Exhausted, match="too little room"):
        await start(call)
    room.spool._free_bytes = 0
    await start(call)


async def test_a_key_ends_it_and_is_still_typed(line: Line, room: Studio) -> None:
    call = await up(line)
    await start(call, end_of_key="#")
    (tape,) = room.recorder._tapes
    gathering = asyncio.create_task(call.receive_digits(end_keys="#", length=0, seconds=10))
    call.typed("1")
    assert tape.ending is None
    call.typed("2#")
    assert tape.ending == "key"
    assert await gathering == "12#"
    with pytest.raises(Conflict):
        await call.stop_recording()


async def test_it_ends_with_the_call(line: Line, room: Studio) -> None:
    call = await up(line)
    await start(call)
    (tape,) = room.recorder._tapes
    line.bye() << 200
    assert tape.ending == "hangup"
    with pytest.raises(SessionEnded):
        await call.stop_recording()
    assert (await room.closed(tape)).ending == "hangup"


async def test_it_ends_by_itself_and_the_call_goes_on(line: Line, room: Studio) -> None:
    call = await up(line)
    await start(call, duration=2)
    (tape,) = room.recorder._tapes
    room.seconds += 2
    row = await room.closed(tape)
    assert (row.ending, row.seconds) == ("duration", 2)
    assert call.stream is not None
    assert call.stream._taps == ()
    await start(call)


@pytest.mark.parametrize("turns", [0, 1, 3, 6, 10])
async def test_a_call_that_ends_while_one_begins_leaves_none_under_way(line: Line, room: Studio, turns: int) -> None:
    call = await up(line)
    starting = asyncio.create_task(start(call))
    for _ in range(turns):
        await asyncio.sleep(0.0003)
    line.bye() << 200
    result = (await asyncio.gather(starting, return_exceptions=True))[0]
    assert isinstance(result, (SessionEnded, str))
    assert all(tape.ending == "hangup" for tape in room.recorder._tapes)
    await until(lambda: not room.recorder._pending)


async def test_the_beep_comes_first(line: Line, room: Studio) -> None:
    call = await up(line)
    starting = asyncio.create_task(start(call, beep=True))
    await until(lambda: call.stream is not None and call.stream.sender.packets > 3)
    assert await room.rows() == []
    await asyncio.wait_for(starting, 5)
    (tape,) = room.recorder._tapes
    assert tape.seconds == 0


async def test_what_a_flow_can_read_of_it(line: Line, room: Studio) -> None:
    call = await up(line)
    number = Number(id=new_id(), customer_id=new_id(), number=NUMBER, tm_create=from_micros(0))
    variables = CallVariables(call.attempt, number)
    names = [name for name in variables if name.startswith("voipbin.recording.")]
    assert {variables[name] for name in names} == {""}
    recording_id = await start(call, format="ogg")
    row = (await room.rows())[0]
    assert {name: variables[name] for name in names} == {
        "voipbin.recording.id": recording_id,
        "voipbin.recording.reference_type": "call",
        "voipbin.recording.reference_id": call.id,
        "voipbin.recording.format": "ogg",
        "voipbin.recording.recording_name": row["recording_name"],
        "voipbin.recording.filenames": row["filename"],
    }
    await call.stop_recording()
    assert variables["voipbin.recording.id"] == recording_id
