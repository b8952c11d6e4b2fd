"""Takes from their beginning to their row: what is on the disk meanwhile, what ends them, and what goes wrong."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from edge.errors import Exhausted, Invalid, Unavailable
from edge.recordings import encoding, recorder, spool
from edge.recordings.spool import Piece
from edge.store.metadata import NIL
from tests.recordings.sound import SAMPLES, packet, runs, sides
from tests.recordings.studio import NODE, Studio, frames_of
from tests.sessions.ground import until


async def test_a_take_is_on_the_disk_while_it_goes_on(room: Studio) -> None:
    tape = await room.begin()
    row = await room.row(tape)
    assert (row.state, row.node, row.ending, row.frames, row.tm_end) == ("recording", NODE, "", 0, None)
    assert row.filename == f"{row.recording_name}.wav"
    assert row.recording_name.startswith(f"call_{row.reference_id}_20260801T090000Z_")
    path = room.spool.path(row.id)
    for piece in range(3):
        room.speak(tape, 20, first=20 * piece)
        await room.round()
        left, right = sides(frames_of(path))
        assert len(left) == 20 * (piece + 1) * SAMPLES
        assert runs(left) == [(n * SAMPLES, 1000 + n, SAMPLES) for n in range(20 * (piece + 1))]
        assert not any(right)


async def test_what_ends_it_is_in_its_row_and_the_keeper_is_told(room: Studio) -> None:
    tape = await room.begin(format="wav")
    ended: list[bool] = []
    tape.ended = lambda: ended.append(True)
    room.speak(tape, 50)
    tape.said(0, packet(500))
    tape.end("stopped")
    tape.end("hangup")
    room.seconds += 5
    row = await room.closed(tape)
    assert (row.ending, row.error, ended) == ("stopped", "", [True])
    assert row.frames == 51 * SAMPLES  # we spoke as it ended
    assert row.tm_end is not None
    assert (row.tm_end - row.tm_start).total_seconds() == pytest.approx(1.02)
    assert (await room.comes(tape, "stored")).bytes == 44 + 4 * row.frames


@pytest.mark.parametrize(
    ("wish", "seconds", "ending"),
    [
        ({"seconds": 2}, 2, "duration"),
        ({"silence_seconds": 3}, 4.5, "silence"),
        ({"silence_seconds": 3, "seconds": 60}, 4.5, "silence"),
        ({}, 30, "limit"),
    ],
)
async def test_it_ends_by_itself(room: Studio, wish: dict[str, Any], seconds: float, ending: str) -> None:
    room.section.__dict__["longest_seconds"] = 30
    tape = await room.begin(**wish)
    room.speak(tape, 75)
    while tape.ending is None:
        room.seconds += 0.4
        await room.round()
    await until(lambda: not room.recorder._pending)
    row = await room.row(tape)
    assert row.ending == ending
    assert row.seconds == pytest.approx(seconds, abs=0.4 if ending == "silence" else 0)


@pytest.mark.parametrize(
    ("key", "typed", "ends"), [("#", "12", False), ("#", "1#", True), ("any", "7", True), ("none", "#", False)]
)
async def test_a_key_ends_it(room: Studio, key: str, typed: str, ends: bool) -> None:
    tape = await room.begin(key=key)
    room.speak(tape, 5)
    tape.press(typed)
    assert (tape.ending == "key") == ends
    tape.end("hangup")
    assert (await room.closed(tape)).ending == ("key" if ends else "hangup")


async def test_many_takes_share_a_round(room: Studio) -> None:
    tapes = [await room.begin() for _ in range(20)]
    written: list[int] = []
    write = room.spool.write

    async def count(pieces: Sequence[Piece]) -> list[str]:
        written.append(len(pieces))
        return await write(pieces)

    room.spool.write = count  # type: ignore[method-assign]
    for tape in tapes:
        room.speak(tape, 3)
    await room.round()
    assert written == [20]
    for tape in tapes:
        tape.end("hangup")
    await room.round()
    await until(lambda: not room.recorder._pending)
    assert {row["ending"] for row in await room.rows()} == {"hangup"}


async def test_without_a_word_nothing_is_kept(room: Studio) -> None:
    tape = await room.begin()
    tape.end("hangup")
    row = await room.closed(tape)
    assert (row.state, row.error) == ("failed", "nothing was recorded")


async def test_too_many_are_refused(room: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "TAKES", 2)
    await room.begin()
    results = await asyncio.gather(*(room.begin() for _ in range(3)), return_exceptions=True)
    assert [type(result) for result in results].count(Exhausted) == 2
    assert len(await room.rows()) == 2


async def test_a_format_that_cannot_be_made_is_refused(room: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoding, "find_spec", lambda name: None)
    with pytest.raises(Invalid, match=r"mp3 needs the package soundfile: pip install 'edge\[recording\]'"):
        await room.begin(format="mp3")
    assert await room.rows() == []
    await room.begin(format="wav")


async def test_without_room_on_the_disk_none_begins_and_none_goes_on(room: Studio) -> None:
    tape = await room.begin()
    room.speak(tape, 10)
    room.spool._free_bytes = 2**62
    with pytest.raises(Exhausted, match="too little room"):
        await room.begin()
    row = await room.closed(tape)
    assert (row.ending, row.frames) == ("disk", 10 * SAMPLES)
    await room.writer.flush()
    assert len(await room.rows()) == 1


async def test_a_disk_that_fails_ends_the_take_that_it_failed_and_keeps_what_was_written(room: Studio) -> None:
    tapes = [await room.begin() for _ in range(2)]
    for tape in tapes:
        room.speak(tape, 10)
    await room.round()
    write = room.spool.write

    async def fail(pieces: Sequence[Piece]) -> list[str]:
        return [
            "no space left" if piece.file == tapes[0].file else said
            for piece, said in zip(pieces, await write(pieces), strict=True)
        ]

    room.spool.write = fail  # type: ignore[method-assign]
    await room.round()
    await until(lambda: not room.recorder._pending)
    row = await room.row(tapes[0])
    assert (row.ending, row.error) == ("disk", "no space left")
    assert row.frames >= 10 * SAMPLES
    assert tapes[1].ending is None


async def test_when_sql_is_away_none_begins(room: Studio) -> None:
    room.writer.away = True
    with pytest.raises(Unavailable):
        await room.begin()
    assert room.spooled() == []


async def test_when_sql_goes_away_the_end_is_told_later(room: Studio) -> None:
    tape = await room.begin()
    room.speak(tape, 10)
    room.writer.away = True
    tape.end("hangup")
    await room.round()
    await until(lambda: 1.0 in room.pauses.taken)
    assert (await room.row(tape)).state == "recording"
    room.writer.away = False
    await room.pauses.end()
    row = await room.comes(tape, "stored")
    assert (row.ending, row.frames) == ("hangup", 10 * SAMPLES)


@pytest.mark.parametrize("turns", range(12))
async def test_one_that_nobody_waits_for_any_more_is_as_if_it_had_never_begun(room: Studio, turns: int) -> None:
    beginning = asyncio.create_task(room.begin())
    for _ in range(turns):
        await asyncio.sleep(0.0005)
    beginning.cancel()
    result = (await asyncio.gather(beginning, return_exceptions=True))[0]
    if isinstance(result, asyncio.CancelledError):
        await until(lambda: not room.recorder._pending)
        await room.writer.flush()
        assert (await room.rows(), room.spooled(), room.recorder._tapes) == ([], [], set())


async def test_closing_ends_what_is_under_way(room: Studio) -> None:
    tape = await room.begin()
    room.speak(tape, 10)
    await room.recorder.close()
    row = await room.row(tape)
    assert (row.ending, row.frames) == ("interrupted", 10 * SAMPLES)
    assert row.on_end_flow_id == NIL


async def test_files_are_brought_onto_the_disk_in_turn(room: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr("edge.recordings.spool.os.fdatasync", synced.append)
    tapes = [await room.begin() for _ in range(3)]
    files = {tape.file for tape in tapes}
    await room.round()
    assert set(synced) == files
    synced.clear()
    monkeypatch.setattr(spool, "SYNC_SECONDS", -1.0)  # no time for any
    await room.round()
    assert synced == []
    moments = itertools.count()
    monkeypatch.setattr(spool, "SYNC_SECONDS", 1.5)  # for one of them
    monkeypatch.setattr(spool, "time", SimpleNamespace(monotonic=lambda: float(next(moments))))
    for _ in range(3):
        await room.round()
    assert (len(synced), set(synced)) == (3, files)


async def test_what_was_written_counts_even_if_the_file_cannot_be_closed(
    room: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(file: int, recording_id: str) -> int:
        raise Unavailable("input/output error")

    tape = await room.begin()
    room.speak(tape, 10)
    monkeypatch.setattr(room.spool, "finish", fail)
    tape.end("stopped")
    await room.closed(tape)
    row = await room.comes(tape, "stored")
    assert (row.ending, row.error, row.frames) == ("stopped", "input/output error", 10 * SAMPLES)
    assert len(frames_of(room.folder / "kept" / row.path)) == row.frames * 4
