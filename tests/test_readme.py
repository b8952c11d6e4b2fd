"""README.md does what it says: its commands parse, its flow compiles, its action runs."""

from __future__ import annotations

import ast
import json
import re
import shlex
from pathlib import Path

import pytest

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


@pytest.mark.parametrize("line", EDGE)
def test_each_command_parses(line: str) -> None:
    import typer.main

    from edge.__main__ import app

    command = typer.main.get_command(app)
    words = shlex.split(line)[1:]
    context = None
    while True:
        context = command.make_context(words[0] if words else "edge", list(words), parent=context)
        if not hasattr(command, "resolve_command"):
            return  # all words are options and arguments of this command
        _, command, words = command.resolve_command(context, [*context.protected_args, *context.args])


def test_the_flow_compiles_for_calls() -> None:
    from edge.flows.flow import compile_flow
    from edge.plugins import load

    load("edge.actions")
    assert compile_flow(json.loads(blocks("json")[0])).media == {"call"}


def test_the_bodies_sent_by_curl_are_json() -> None:
    bodies = re.findall(r"-d '(.*?)'", "\n".join(shell_lines()))
    assert bodies
    for body in bodies:
        assert isinstance(json.loads(body), dict)


def test_the_action_is_complete() -> None:
    from edge.flows.action import ACTIONS

    source = blocks("python")[0]
    ast.parse(source)
    space: dict[str, object] = {"__name__": "readme"}
    try:
        exec(compile(source, "README.md", "exec", dont_inherit=True), space)
        assert ACTIONS.get("pause") is space["Pause"]
    finally:
        ACTIONS._by_name.pop("pause", None)
