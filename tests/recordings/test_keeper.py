"""From the end of a take to where it stays: formats, storages that are away, restarts after a crash, and the end."""

from __future__ import annotations

import asyncio
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import soundfile

from edge.errors import Conflict, NotFound, Unavailable
from edge.recordings import encoding, keeper
from edge.recordings.recorder import Tape
from edge.recordings.table import Recording
from edge.store.metadata import NIL, new_id
from tests.recordings.sound import SAMPLES
from tests.recordings.studio import NODE, Studio, contents, frames_of, studio
from tests.sessions.ground import until

FLOW = new_id()


async def taken(room: Studio, packets: int = 25, **wish: Any) -> Tape:
    """A take that is over."""
    tape = await room.begin(**wish)
    room.speak(tape, packets)
    tape.end("stopped")
    await room.closed(tape)
    return tape


async def test_a_recording_goes_to_its_storage_and_off_the_spool(database_url: str, tmp_path: Path) -> None:
    async with studio(database_url, tmp_path) as room:
        tape = await taken(room)
        row = await room.comes(tape, "stored")
        assert (row.place, row.frames, row.attempts) == ("directory", 25 * SAMPLES, 0)
        path = tmp_path / "kept" / row.customer_id / row.filename
        assert len(frames_of(path)) == row.frames * 4
        assert path.stat().st_size == row.bytes
        await until(lambda: room.spooled() == [])
        assert await contents(room.keeper.read(row, 0, row.bytes)) == path.read_bytes()
        assert await contents(room.keeper.read(row, 100, 50)) == path.read_bytes()[100:150]
        assert room.followed == []


@pytest.mark.parametrize(("format", "kind"), [("mp3", "MP3"), ("ogg", "OGG")])
async def test_it_is_encoded(room: Studio, format: str, kind: str) -> None:
    tape = await taken(room, packets=100, format=format)
    row = await room.comes(tape, "stored")
    assert (row.format, row.filename, row.error) == (format, f"{row.recording_name}.{format}", "")
    path = room.folder / "kept" / row.path
    found = soundfile.info(str(path))
    assert (found.format, found.channels, found.samplerate) == (kind, 2, 8000)
    assert found.duration == pytest.approx(2.0, abs=0.3)
    assert path.stat().st_size == row.bytes < 4 * row.frames / 2
    await until(lambda: room.spooled() == [])


async def test_what_cannot_be_encoded_stays_a_wav(room: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []

    async def fail(source: Path, target: Path, format: str) -> None:
        tried.append(format)
        raise Unavailable("mp3 cannot be made: no encoder")

    monkeypatch.setattr(keeper, "encode", fail)
    tape = await taken(room, format="mp3")
    for count in range(1, 3):
        await until(lambda count=count: len(tried) == count)
        await again(room, tape, count)
    row = await room.comes(tape, "stored")
    assert (row.format, row.filename, row.error) == (
        "wav",
        f"{row.recording_name}.wav",
        "mp3 cannot be made: no encoder",
    )
    assert tried == ["mp3"] * 3
    assert len(frames_of(room.folder / "kept" / row.path)) == row.frames * 4


async def test_nor_what_lost_its_encoder_meanwhile(room: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    tape = await room.begin(format="ogg")
    room.speak(tape, 10)
    monkeypatch.setattr(encoding, "find_spec", lambda name: None)
    tape.end("stopped")
    await room.closed(tape)
    row = await room.comes(tape, "stored")
    assert (row.format, row.error[:24]) == ("wav", "ogg needs the package so")


async def again(room: Studio, tape: Tape, attempts: int) -> Recording:
    """Let the time pass until the next try."""

    async with asyncio.timeout(10):
        while (row := await room.row(tape)).attempts < attempts:
            await asyncio.sleep(0.002)
    room.clock.now = row.due
    room.keeper.look()
    return row


async def test_a_storage_that_is_away_is_tried_again_later_each_time(room: Studio) -> None:
    room.shelf.away = True
    tape = await taken(room)
    waits = []
    for attempts in range(1, 6):
        before = room.clock.now
        row = await again(room, tape, attempts)
        waits.append((row.due - before).total_seconds())
        assert row.state == "waiting"
    assert waits == [1, 2, 4, 8, 16]
    await until(lambda: room.shelf.asked == 6)
    room.shelf.away = False
    await again(room, tape, 6)
    row = await room.comes(tape, "stored")
    assert room.shelf.asked == 7
    assert row.error == ""


async def test_a_storage_that_never_comes_back_leaves_it_in_the_spool(room: Studio) -> None:
    room.shelf.away = True
    tape = await taken(room)
    await again(room, tape, 1)
    await again(room, tape, 2)
    room.clock.move(3600 * room.section.give_up_hours)
    room.keeper.look()
    row = await room.comes(tape, "failed")
    assert (row.place, row.error, row.ending) == ("", "the shelf is away", "stopped")
    assert row.bytes == 44 + 4 * row.frames
    assert len(await contents(room.keeper.read(row, 0, row.bytes))) == row.bytes


async def test_a_file_that_somebody_took_from_the_spool_is_no_reason_to_try_for_ever(room: Studio) -> None:
    room.shelf.away = True
    tape = await taken(room)
    await until(lambda: room.shelf.asked == 1)
    room.spool.path(tape.recording.id).unlink()
    await again(room, tape, 1)
    row = await room.comes(tape, "failed")
    assert (row.error, row.bytes) == (f"{row.id}.wav is not there any more", 0)


async def test_a_fault_of_ours_puts_one_off_and_no_others(room: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    store = room.keeper._store
    bad: list[str] = []

    async def stumble(recording: Recording) -> None:
        if recording.id in bad:
            raise ValueError("oops")
        await store(recording)

    monkeypatch.setattr(room.keeper, "_store", stumble)
    tapes = [await room.begin() for _ in range(2)]
    bad.append(tapes[0].recording.id)
    for tape in tapes:
        room.speak(tape, 5)
        tape.end("stopped")
    await room.closed(tapes[0])
    await room.comes(tapes[1], "stored")
    bad.clear()
    await again(room, tapes[0], 1)
    await room.comes(tapes[0], "stored")


async def test_a_restart_goes_on_with_what_waits(sqlite_url: str, tmp_path: Path) -> None:
    async with studio(sqlite_url, tmp_path) as room:
        room.shelf.away = True
        tapes = [await taken(room, format=format) for format in ("wav", "mp3")]
        await until(lambda: room.shelf.asked)
    async with studio(sqlite_url, tmp_path) as room:
        room.clock.move(60)
        room.keeper.look()
        for tape in tapes:
            assert (await room.comes(tape, "stored")).ending == "stopped"
        await until(lambda: room.spooled() == [])


async def test_a_start_closes_what_a_crash_left_and_clears_what_nobody_needs(sqlite_url: str, tmp_path: Path) -> None:
    """The spool and the database as they are in the middle of takes, under a process that begins there."""
    crashed = tmp_path / "crashed"
    crashed.mkdir()
    async with studio(sqlite_url, tmp_path) as room:
        torn, empty, gone = [await room.begin() for _ in range(3)]
        other = (await room.begin()).recording
        room.speak(torn, 30)
        await room.round()
        shutil.copytree(room.section.spool, crashed / NODE)
        shutil.copy(tmp_path / "edge.sqlite3", crashed)
        for name in ("edge.sqlite3-wal", "edge.sqlite3-shm"):
            if (tmp_path / name).exists():
                shutil.copy(tmp_path / name, crashed)
    spool = crashed / NODE
    path = spool / f"{torn.recording.id}.wav"
    path.write_bytes(path.read_bytes() + b"\x01\x02\x03\x04\x05\x06")  # written, and the header not yet
    (spool / f"{empty.recording.id}.wav").write_bytes(b"RIFF")
    (spool / f"{gone.recording.id}.wav").unlink()
    (spool / f"{new_id()}.mp3").write_bytes(b"of nobody")
    async with studio(f"sqlite:///{crashed}/edge.sqlite3", crashed) as room:
        row = await room.comes(torn, "stored")
        assert (row.ending, row.frames) == ("interrupted", 30 * SAMPLES + 1)
        assert row.tm_end is not None
        assert (row.tm_end - row.tm_start).total_seconds() == pytest.approx(0.6, abs=0.001)
        assert len(frames_of(crashed / "kept" / row.path)) == row.frames * 4
        row = await room.row(empty)
        assert (row.state, row.ending, row.error) == ("failed", "interrupted", "nothing was recorded")
        assert await room.table.get(gone.recording.id) is None
        assert (await room.row(other)).ending == "interrupted"
        await until(lambda: room.spooled() == [f"{empty.recording.id}.wav"] or len(room.spooled()) <= 2)


async def test_other_processes_are_left_alone(sqlite_url: str, tmp_path: Path) -> None:
    async with studio(sqlite_url, tmp_path, "there") as there:
        there.shelf.away = True
        under_way = await there.begin()
        there.speak(under_way, 5)
        waiting = await taken(there)
        async with studio(sqlite_url, tmp_path, "here") as here:
            assert (await here.row(under_way)).state == "recording"
            row = await here.row(waiting)
            assert row.state == "waiting"
            await again(there, waiting, 1)
            there.shelf.away = False
            there.clock.move(10)
            there.keeper.look()
            row = await there.comes(waiting, "stored")
            with pytest.raises(Unavailable, match="at another process: there"):
                here.keeper.read(row, 0, 10)
            with pytest.raises(Unavailable, match="at another process: there"):
                await here.keeper.delete(row)


async def test_a_recording_is_neither_read_nor_deleted_before_it_is_there(room: Studio) -> None:
    room.shelf.away = True
    tape = await room.begin()
    room.speak(tape, 5)
    with pytest.raises(Conflict):
        room.keeper.read(await room.row(tape), 0, 10)
    with pytest.raises(Conflict):
        await room.keeper.delete(await room.row(tape))
    tape.end("stopped")
    row = await room.closed(tape)
    with pytest.raises(Conflict, match="not ready"):
        room.keeper.read(row, 0, 10)
    await again(room, tape, 1)


@pytest.mark.parametrize("away", [False, True], ids=["stored", "waiting"])
async def test_deleting_takes_the_file_too(room: Studio, away: bool) -> None:
    room.shelf.away = away
    tape = await taken(room)
    if away:
        async with asyncio.timeout(10):
            while not (await room.row(tape)).attempts:
                await asyncio.sleep(0.002)
        await until(lambda: not room.keeper._busy)
    else:
        await room.comes(tape, "stored")
        await until(lambda: not room.keeper._busy)
    await room.keeper.delete(await room.row(tape))
    assert await room.rows() == []
    assert room.spooled() == []
    assert list((room.folder / "kept").rglob("*.wav")) == []


async def test_a_file_that_somebody_took_away_is_not_found(room: Studio) -> None:
    tape = await taken(room)
    row = await room.comes(tape, "stored")
    (room.folder / "kept" / row.path).unlink()
    with pytest.raises(NotFound):
        await contents(room.keeper.read(row, 0, 10))
    await until(lambda: not room.keeper._busy)
    await room.keeper.delete(row)


async def test_one_in_a_storage_that_is_not_configured_any_more(room: Studio) -> None:
    tape = await taken(room)
    row = await room.comes(tape, "stored")
    elsewhere = type(row)(**{**{name: getattr(row, name) for name in row.__slots__}, "place": "tape robot"})
    with pytest.raises(Unavailable, match="not configured: tape robot"):
        room.keeper.read(elsewhere, 0, 10)


async def test_old_ones_are_purged(database_url: str, tmp_path: Path) -> None:
    async with studio(database_url, tmp_path) as room:
        old = [await taken(room) for _ in range(3)]
        for tape in old:
            await room.comes(tape, "stored")
        room.clock.move(3600 * 24)
        young = await taken(room)
        await room.comes(young, "stored")
        under_way = await room.begin()
        await until(lambda: not room.keeper._busy)
        await room.keeper.purge(room.clock.now - timedelta(hours=1))
        assert {row["id"] for row in await room.rows()} == {young.recording.id, under_way.recording.id}
        assert len(list((room.folder / "kept").rglob("*.wav"))) == 1


async def test_the_flow_of_its_end_runs_once_it_is_where_it_stays(sqlite_url: str, tmp_path: Path) -> None:
    async with studio(sqlite_url, tmp_path) as room:
        tape = await room.begin(on_end_flow_id=FLOW)
        assert (await room.row(tape)).on_end == "pending"
        room.speak(tape, 5)
        tape.end("stopped")
        await room.closed(tape)
        await until(lambda: room.followed)
        async with asyncio.timeout(5):
            while (await room.row(tape)).on_end != "done":
                await asyncio.sleep(0.002)
        (followed,) = room.followed
        assert (followed.id, followed.state, followed.on_end_flow_id) == (tape.recording.id, "stored", FLOW)
        assert FLOW != NIL
    async with studio(sqlite_url, tmp_path) as room:
        assert room.followed == []


async def test_after_a_crash_that_flow_runs_again(sqlite_url: str, tmp_path: Path) -> None:
    async with studio(sqlite_url, tmp_path) as room:
        hanging = asyncio.Event()

        async def hang(recording: Recording) -> None:
            hanging.set()
            await asyncio.Event().wait()

        room.keeper._follow = hang
        tape = await room.begin(on_end_flow_id=FLOW)
        room.speak(tape, 5)
        tape.end("stopped")
        await room.closed(tape)
        await hanging.wait()
    async with studio(sqlite_url, tmp_path) as room:
        await until(lambda: room.followed)
        assert room.followed[0].id == tape.recording.id


async def test_that_flow_waits_for_what_is_away(room: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[str] = []

    async def stumble(recording: Recording) -> None:
        tries.append(recording.id)
        if len(tries) < 3:
            raise Unavailable("nobody knows the flow now")

    monkeypatch.setattr(room.keeper, "_follow", stumble)
    monkeypatch.setitem(room.section.__dict__, "first_wait_seconds", 0.001)
    tape = await room.begin(on_end_flow_id=FLOW)
    room.speak(tape, 5)
    tape.end("stopped")
    await room.closed(tape)
    async with asyncio.timeout(5):
        while (await room.row(tape)).on_end != "done":
            await asyncio.sleep(0.002)
    assert len(tries) == 3


async def test_what_will_not_be_purged_does_not_keep_the_others(room: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    tapes = [await taken(room) for _ in range(3)]
    rows = [await room.comes(tape, "stored") for tape in tapes]
    await until(lambda: not room.keeper._busy)
    delete = room.shelf.delete

    async def refuse(name: str) -> None:
        if name == rows[0].path:
            raise Unavailable("not that one")
        await delete(name)

    monkeypatch.setattr(room.shelf, "delete", refuse)
    await room.keeper.purge(room.clock.now + timedelta(hours=1))
    assert [row["id"] for row in await room.rows()] == [rows[0].id]


async def test_half_an_encoded_file_is_cleared_at_the_start(sqlite_url: str, tmp_path: Path) -> None:
    async with studio(sqlite_url, tmp_path) as room:
        room.shelf.away = True
        tape = await taken(room)
        await until(lambda: room.shelf.asked)
        left = room.section.spool / f"{tape.recording.id}.{new_id()}.part"
        left.write_bytes(b"an encoder was here")
    async with studio(sqlite_url, tmp_path, start=False) as room:
        await room.keeper.recover()
        assert room.spooled() == [f"{tape.recording.id}.wav"]
