"""`edge flow show`: a file or a stored flow as Mermaid or SVG, with counts, and what is said when it cannot be."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from shutil import copy
from typing import Any
from xml.etree import ElementTree

import pytest
from typer.main import get_command
from typer.testing import CliRunner, Result

from edge import __main__ as cli
from edge.config import Config
from edge.plugins import load
from edge.sessions.calls.record import Attempt, CallRecords, wall_micros
from edge.store.engine import StoreSection
from edge.store.metadata import json_text, new_id
from edge.store.writer import Writer
from edge.stores import Stores, open_stores
from tests.servers import apart

MENU = str(Path(__file__).parents[2] / "config" / "flows" / "greeting-menu.json")
COMMANDS = get_command(cli.app)


@pytest.fixture(autouse=True)
def _apart(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("EDGE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr("typer.testing._get_command", lambda app: COMMANDS)


def edge(*words: str) -> Result:
    return CliRunner().invoke(cli.app, words)


def test_mermaid_is_printed() -> None:
    result = edge("flow", "show", MENU)
    assert result.exit_code == 0
    assert result.stdout.startswith('---\ntitle: "Greeting and menu"\n---\nflowchart TD\n')
    assert '    s3 -->|"1"| s4\n' in result.stdout


def test_a_picture_is_written_or_printed(tmp_path: Path) -> None:
    path = tmp_path / "menu.svg"
    assert (edge("flow", "show", MENU, "--svg", str(path)).stdout, path.exists()) == ("", True)
    printed = edge("flow", "show", MENU, "--svg", "-").stdout
    assert printed == path.read_text()
    assert ElementTree.fromstring(printed).tag.endswith("svg")


@pytest.mark.parametrize(
    ("words", "status", "error"),
    [
        (["not-there.json"], 1, "not-there.json: No such file or directory"),
        ([MENU, "--counts"], 1, "only a flow in the database has versions and counts"),
        ([MENU, "--version", "1"], 1, "only a flow in the database"),
        ([MENU, "--svg", "/not/there.svg"], 1, "/not/there.svg: No such file or directory"),
        ([MENU, "--version", "0"], 2, "Invalid value"),
        ([], 2, "Missing argument"),
    ],
)
def test_what_is_wrong_is_said(words: list[str], status: int, error: str) -> None:
    result = edge("flow", "show", *words)
    assert result.exit_code == status
    assert error in result.stderr
    assert result.stdout == ""


# In the database


@pytest.fixture(scope="module")
def stored(migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A configuration, and the id of a flow with two versions, of which the second ran twice."""
    folder = tmp_path_factory.mktemp("stored")
    copy(migrated_sqlite, folder / "edge.sqlite3")
    (folder / "edge.toml").write_text(f'data = "{folder}/data"\n[store]\nurl = "sqlite:///{folder}/edge.sqlite3"\n')
    load("edge.actions")
    section = StoreSection(url=f"sqlite:///{folder}/edge.sqlite3")

    async def opened(work: Callable[[Stores], Any]) -> Any:
        async with open_stores(Config(data=folder, store=section)) as stores:
            return await work(stores)

    async def fill(stores: Stores) -> str:
        customer = await stores.customers.create("A")
        first = {"name": "menu", "actions": [{"id": "pick-up", "type": "answer"}, {"id": "end", "type": "stop"}]}
        flow = await stores.flows.create(customer.id, first)
        await stores.flows.update(flow.id, customer.id, {**first, "actions": [*first["actions"], {"type": "stop"}]})
        await stores.flows.create(customer.id, {**first, "name": "twice"})
        await stores.flows.create(customer.id, {**first, "name": "twice"})
        writer = Writer(section)
        await writer.start()
        for number in range(2):
            attempt = Attempt(
                id=new_id(), call_id=str(number), remote="", dialed="", source="", source_name="",
                tm_create=wall_micros(),
            )  # fmt: skip
            attempt.customer_id, attempt.flow_id, attempt.flow_version = customer.id, flow.id, 2
            attempt.steps = json_text([{"step": "pick-up", "type": "answer", "outcome": "done", "note": ""}])
            CallRecords(writer).keep(attempt)
        await writer.close()
        return flow.id

    return str(folder / "edge.toml"), apart(opened(fill))


def test_a_stored_flow_by_its_name_or_id(stored: tuple[str, str]) -> None:
    config, id = stored
    for name in ("menu", id, id.upper()):
        result = edge("flow", "show", name, "--config", config)
        assert result.exit_code == 0, result.stderr
        assert "s2[" in result.stdout
    assert "s2[" not in edge("flow", "show", "menu", "--version", "1", "--config", config).stdout


def test_counts_of_a_version(stored: tuple[str, str]) -> None:
    config, id = stored
    shown = edge("flow", "show", id, "--counts", "--config", config).stdout
    assert 's0["<b>answer</b> pick-up<br/>2 times, in 100 % of the runs"]' in shown
    assert 's1["<b>stop</b> end<br/>0 times, in 0 % of the runs"]' in shown
    assert "(2 runs)" in edge("flow", "show", id, "--counts", "--svg", "-", "--config", config).stdout
    assert "0 times" in edge("flow", "show", id, "--counts", "--version", "1", "--config", config).stdout


def test_a_stored_flow_is_simulated(stored: tuple[str, str]) -> None:
    found = edge("simulate", "menu", "--at", "2026-12-25T09:00Z", "--config", stored[0])
    assert found.exit_code == 0
    assert found.stdout.splitlines()[1] == "menu, version 2: a call from +14155550199 to +14155550100"
    assert "answers the call" in found.stdout


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("nobody", "there is no flow called 'nobody', and no such file"),
        ("01900000-0000-7000-8000-000000000000", "there is no flow 01900000"),
        ("twice", "several flows are called 'twice'; say which by its id: "),
    ],
)
def test_a_name_that_is_none(stored: tuple[str, str], name: str, error: str) -> None:
    for words in (["flow", "show", name], ["simulate", name]):
        result = edge(*words, "--config", stored[0])
        assert result.exit_code == 1
        assert error in result.stderr


def test_a_version_that_is_none(stored: tuple[str, str]) -> None:
    result = edge("flow", "show", stored[1], "--version", "9", "--config", stored[0])
    assert (result.exit_code, result.stderr) == (1, f"the flow {stored[1]} has no version 9\n")
