"""README.md does what it says: its commands parse, its flow compiles, its carriers load, its action runs."""

from __future__ import annotations

import ast
import base64
import json
import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edge.__main__ import app
from edge.config import load as load_config
from edge.flows.action import ACTIONS
from edge.flows.flow import compile_flow
from edge.plugins import load

README = (Path(__file__).parent.parent / "README.md").read_text()


def blocks(language: str) -> list[str]:
    """The fenced blocks of one language, without the indentation of a list."""
    found = re.findall(rf"(?ms)^( *)```{language}\n(.*?)^ *```$", README)
    return [re.sub(rf"(?m)^{indent}", "", text) for indent, text in found]


def shell_lines() -> list[str]:
    text = "\n".join(blocks("sh")).replace("\\\n", " ")
    return [line.strip() for line in text.splitlines() if line.strip()]


EDGE = [line.partition(" > ")[0] for line in shell_lines() if line.startswith("edge ")]


def test_there_is_something_to_test() -> None:
    assert len(EDGE) >= 6
    assert len(blocks("json")) == 1
    assert len(blocks("python")) == 1


def parses(line: str) -> bool:
    """Whether our command line understands it: all its words are read before --help is obeyed."""
    return CliRunner().invoke(app, [*shlex.split(line)[1:], "--help"]).exit_code == 0


@pytest.mark.parametrize("line", EDGE)
def test_each_command_parses(line: str) -> None:
    assert parses(line)


@pytest.mark.parametrize("line", ["edge sing", "edge serve --loudly", "edge key burn", "edge call +14155550100 --sing"])
def test_what_is_no_command_of_ours_does_not(line: str) -> None:
    assert not parses(line)


def test_the_flow_compiles_for_calls() -> None:
    load("edge.actions")
    assert compile_flow(json.loads(blocks("json")[0])).media == {"call"}


def test_the_bodies_sent_by_curl_are_json() -> None:
    bodies = re.findall(r"--json '(.*?)'", "\n".join(shell_lines()))
    assert bodies
    for body in bodies:
        assert isinstance(json.loads(body), dict)


def test_the_carriers_are_a_configuration(tmp_path: Path) -> None:
    (source,) = blocks("toml")
    key = base64.b64encode(bytes(range(32))).decode()
    path = tmp_path / "edge.toml"
    path.write_text(source.replace('public_keys = ["…"]', f'public_keys = ["{key}"]').replace("…", "0" * 32))
    assert [carrier.kind for carrier in load_config(path).carriers] == ["smpp", "telnyx", "twilio", "sip"]


def test_the_action_is_complete() -> None:
    source = blocks("python")[0]
    ast.parse(source)
    space: dict[str, object] = {"__name__": "readme"}
    try:
        exec(compile(source, "README.md", "exec", dont_inherit=True), space)
        assert ACTIONS.get("pause") is space["Pause"]
    finally:
        ACTIONS._by_name.pop("pause", None)
