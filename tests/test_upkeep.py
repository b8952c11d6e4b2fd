"""Readiness, reload, drain, purge: what of the daemon needs no process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from edge import upkeep as module
from edge.config import LOOPBACK, Config
from edge.errors import Fault, Invalid
from edge.http import Guard, HttpSection
from edge.log import LogSection
from edge.sessions.calls.book import CallBook
from edge.sessions.calls.record import Attempt, CallRecords, CallTable
from edge.sessions.overload import Overload, OverloadSection
from edge.sip.transport import Endpoint
from edge.stir.repository import Repository
from edge.stir.section import StirSection
from edge.store.engine import open_engine
from edge.store.metadata import micros, new_id
from edge.store.notice import Notices
from edge.stores import Stores
from edge.trunks.roll import TrunkRoll
from edge.trunks.trunk import Trunk
from edge.upkeep import BEATS, DRAINING, LAG, RELOADED, Daemon
from tests.logged import logged
from tests.servers import free_port
from tests.sessions.ground import end, until
from tests.sessions.line import Line, exchange
from tests.sip.ladder import invite
from tests.stir.authority import Authority, pem

CARRIER = Trunk.model_validate({"name": "carrier", "networks": ["192.0.2.0/24"], "target": "sip:192.0.2.7:5080"})
CREDENTIALS = Repository(StirSection(), (), Guard(HttpSection()).request, lambda: 0.0)
ANSWER, WAIT = {"id": "a", "type": "answer"}, {"id": "w", "type": "sleep", "option": {"duration": 60_000}}


@pytest.fixture
async def line(migrated_sqlite: Path, tmp_path: Path) -> AsyncIterator[Line]:
    async with exchange(tmp_path, migrated_sqlite) as opened:
        yield opened


@pytest.fixture
def roll() -> TrunkRoll:
    return TrunkRoll([LOOPBACK], Notices())


@pytest.fixture
def daemon(line: Line) -> Daemon:
    tables = (CallTable(line.stores.engine),)
    return Daemon(Config(), line.stores, line.desk.endpoint, line.book, tables, CREDENTIALS)


@pytest.fixture
def bare(roll: TrunkRoll) -> Daemon:
    """As far as settings go."""
    stores, endpoint = cast("Stores", SimpleNamespace(roll=roll)), cast("Endpoint", SimpleNamespace(secure=repr))
    return Daemon(Config(), stores, endpoint, cast("CallBook", None), (), CREDENTIALS)


def changed(**fields: Any) -> Config:
    return Config().model_copy(update=fields)


# Ready


def test_it_is_ready_from_listening_to_draining(bare: Daemon) -> None:
    assert bare.readiness() == [Fault("sip", "not listening yet")]
    bare.sip = ["udp:127.0.0.1:5060"]
    assert bare.readiness() == []
    bare.draining = True
    assert bare.readiness() == [Fault("daemon", "draining")]


# Reload


def said(lines: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(one["event"], one["changed"]) for one in lines if one["event"].startswith("configuration")]


def test_a_reload_without_a_change_says_nothing_changed(bare: Daemon) -> None:
    with logged() as lines:
        bare.reload(Config())
    assert said(lines()) == [("configuration read again", "nothing")]


async def test_other_trunks_are_in_force_at_once(bare: Daemon, roll: TrunkRoll) -> None:
    trunks, targets = roll.table, roll.targets
    with logged() as lines:
        bare.reload(changed(trunks=(CARRIER,)))
    assert said(lines()) == [("configuration read again", "trunks")]
    assert [trunks.admits(address) for address in ("192.0.2.9", "127.0.0.1")] == [True, False]
    assert CARRIER.target is not None
    assert targets.address(CARRIER.target) == "192.0.2.7"
    assert bare.config.trunks == (CARRIER,)


def test_trunks_in_each_other_s_way_change_nothing_of_a_reload(bare: Daemon, roll: TrunkRoll) -> None:
    with pytest.raises(Invalid):
        bare.reload(changed(trunks=(CARRIER, CARRIER), keep_days=7))
    assert [trunk.name for trunk in roll.table] == ["loopback"]
    assert bare.config == Config()


def test_another_level_of_the_log_is_in_force_at_once(bare: Daemon, capsys: pytest.CaptureFixture[str]) -> None:
    with logged():
        bare.reload(changed(log=LogSection(level="warning")))
        bare.reload(changed(log=LogSection(level="warning"), drain_seconds=1.0))
        assert capsys.readouterr().err == ""
        bare.reload(changed(log=LogSection(level="info"), drain_seconds=1.0))
        assert "changed=log" in capsys.readouterr().err


ELSEWHERE = {
    "sip": Config().sip.model_copy(update={"advertise": "192.0.2.1"}),
    "stir": Config().stir.model_copy(update={"fresh_seconds": 30}),
}
OTHERS = sorted(Config.model_fields.keys() - set(RELOADED))


def test_each_setting_is_one_or_the_other() -> None:
    assert set(RELOADED) <= Config.model_fields.keys()
    assert {"sip", "api", "store", "redis", "data"} <= set(OTHERS)


@pytest.mark.parametrize("name", OTHERS)
def test_what_needs_a_restart_is_named_until_there_was_one(bare: Daemon, name: str) -> None:
    new = changed(**{name: ELSEWHERE.get(name, "another")}, keep_days=7)
    with logged() as lines:
        bare.reload(new)
        bare.reload(new)
        bare.reload(changed(keep_days=7))
    restart = ("configuration that needs a restart", name)
    assert said(lines()) == [
        ("configuration read again", "keep_days"),
        restart,
        ("configuration read again", "nothing"),
        restart,
        ("configuration read again", "nothing"),
    ]
    assert bare.config == changed(keep_days=7)


def test_anchors_are_read_again(bare: Daemon, tmp_path: Path) -> None:
    (tmp_path / "root.pem").write_bytes(pem(Authority().root))
    anchored = Config().stir.model_copy(update={"anchors": (tmp_path,)})
    bare.reload(changed(stir=anchored))
    assert CREDENTIALS.anchored
    (tmp_path / "root.pem").write_text("nothing")
    with pytest.raises(Invalid) as caught:
        bare.reload(changed(stir=anchored))
    assert [fault.where for fault in caught.value.faults] == ["stir.anchors[0]"]
    assert CREDENTIALS.anchored
    bare.reload(changed())
    assert not CREDENTIALS.anchored


# Drain


@pytest.fixture
def _undrained() -> Any:
    yield
    DRAINING.set(0)


@pytest.mark.usefixtures("_undrained")
async def test_a_drain_without_calls_is_over_at_once_and_takes_nothing_new(daemon: Daemon, line: Line) -> None:
    await line.number(ANSWER)
    await asyncio.wait_for(daemon.drain(asyncio.Event()), 5)
    line >> invite() << 503
    assert 2 <= int(line.header("retry-after")) <= 10
    assert daemon.draining


@pytest.mark.usefixtures("_undrained")
async def test_a_drain_ends_with_its_last_call(daemon: Daemon, line: Line) -> None:
    await line.number(ANSWER, WAIT)
    line >> invite() << 100
    await line.comes(200)
    line.ack()
    draining = asyncio.create_task(daemon.drain(asyncio.Event()))
    await until(lambda: daemon.draining)
    assert not draining.done()
    line.bye() << 200
    await asyncio.wait_for(draining, 5)
    assert (await line.over())["hangup_by"] == "remote"


@pytest.mark.usefixtures("_undrained")
@pytest.mark.parametrize("why", ["hurry", "time"])
async def test_a_drain_hangs_up_when_the_time_is_over_or_somebody_is_in_a_hurry(
    daemon: Daemon, line: Line, why: str
) -> None:
    await line.number(ANSWER, WAIT)
    line >> invite() << 100
    await line.comes(200)
    line.ack()
    hurry = asyncio.Event()
    if why == "hurry":
        hurry.set()
    else:
        daemon.config = changed(drain_seconds=0.01)
    with logged() as lines:
        await asyncio.wait_for(daemon.drain(hurry), 5)
    line << "BYE"
    assert [one["calls"] for one in lines() if one["event"].startswith("calls hung up")] == [1]
    assert (await line.over())["hangup_by"] == "local"


# Beside the traffic


async def keep(line: Line, days: float, count: int) -> None:
    """Records of that age."""
    records = CallRecords(line.writer)
    then = micros(datetime.now(UTC) - timedelta(days=days))
    for _ in range(count):
        about = {"call_id": "", "remote": "", "dialed": "", "source": "", "source_name": ""}
        records.keep(Attempt(id=new_id(), tm_create=then, **about))
    await line.writer.flush()


async def left(line: Line) -> int:
    return len(await line.records())


@pytest.fixture
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PURGE_BATCH", 4)
    monkeypatch.setattr(module, "PURGE_PAUSE", 0)


class Counting(CallTable):
    """Notes how many went with each batch."""

    def __init__(self, engine: Any) -> None:
        super().__init__(engine)
        self.went: list[int] = []

    async def purge(self, before: datetime, batch: int) -> int:
        self.went.append(await super().purge(before, batch))
        return self.went[-1]


@pytest.mark.usefixtures("_quick")
async def test_old_records_go_in_batches_and_young_ones_stay(daemon: Daemon, line: Line) -> None:
    await keep(line, 91, 10)
    await keep(line, 89, 3)
    table = Counting(line.stores.engine)
    daemon._tables = (table,)
    purging = asyncio.create_task(daemon.purge())
    await until(lambda: len(table.went) >= 3)
    await end([purging])
    assert table.went == [4, 4, 2]
    assert await left(line) == 3


@pytest.mark.usefixtures("_quick")
async def test_with_no_days_to_keep_records_stay_for_ever(daemon: Daemon, line: Line) -> None:
    await keep(line, 10_000, 3)
    table = Counting(line.stores.engine)
    daemon._tables = (table,)
    daemon.config = changed(keep_days=0)
    purging = asyncio.create_task(daemon.purge())
    for _ in range(5):
        await asyncio.sleep(0)
    await end([purging])
    assert (table.went, await left(line)) == ([], 3)


@pytest.mark.usefixtures("_quick")
async def test_a_table_that_is_away_does_not_keep_the_others(daemon: Daemon, line: Line) -> None:
    await keep(line, 91, 1)
    away = await open_engine(f"postgresql://u@127.0.0.1:{free_port()}/d")
    table = Counting(line.stores.engine)
    daemon._tables = (CallTable(away), table)
    with logged() as lines:
        purging = asyncio.create_task(daemon.purge())
        await until(lambda: table.went)
        await end([purging])
    assert [one["level"] for one in lines() if one["event"] == "old records stay for now"] == ["warning"]
    assert await left(line) == 0
    await away.dispose()


async def test_the_lag_of_the_loop_is_measured(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BEAT_SECONDS", 0.0001)
    LAG.set(-1)
    beats: list[float] = []
    overload = Overload(OverloadSection(), lambda: 0, lambda: 0)
    monkeypatch.setattr(overload, "beat", beats.append)
    measuring = asyncio.create_task(daemon.measure_lag(overload))
    await until(lambda: LAG._value.get() >= 0)
    await end([measuring])
    assert len(beats) >= BEATS
    assert LAG._value.get() == max(beats[:BEATS])
