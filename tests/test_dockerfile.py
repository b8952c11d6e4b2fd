"""The Dockerfile, read as a list of instructions: there is no engine here to build it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent


class Instruction(NamedTuple):
    stage: int
    word: str
    rest: str


def instructions(text: str) -> list[Instruction]:
    """All instructions in order, continued lines joined, comments left out, stages counted from 1."""
    found: list[Instruction] = []
    stage = 0
    joined = re.sub(r"\\\n", " ", re.sub(r"(?m)^\s*#.*\n", "", text))
    for line in filter(None, map(str.strip, joined.splitlines())):
        word, _, rest = line.partition(" ")
        stage += word == "FROM"
        found.append(Instruction(stage, word, rest.strip()))
    return found


ALL = instructions((ROOT / "Dockerfile").read_text())
LAST = [i for i in ALL if i.stage == 2]


def one(word: str) -> str:
    (found,) = [i.rest for i in LAST if i.word == word]
    return found


def test_two_slim_stages_of_one_python() -> None:
    images = [i.rest.split()[0] for i in ALL if i.word == "FROM"]
    assert len(images) == 2
    assert len(set(images)) == 1, "a venv does not move between Pythons"
    assert images[0].endswith("-slim")


def test_the_second_stage_takes_the_venv_and_builds_nothing() -> None:
    assert "--from=build /opt/edge /opt/edge" in [i.rest for i in LAST if i.word == "COPY"]
    runs = [i.rest for i in LAST if i.word == "RUN"]
    assert not [rest for rest in runs if re.search(r"pip|gcc|make", rest)]
    (install,) = [rest for rest in runs if "apt-get" in rest]
    packages = install.partition("install ")[2].partition(" &&")[0].split()
    assert [word for word in packages if not word.startswith("--")] == ["espeak-ng"], "what it runs, not what builds it"


def test_it_does_not_run_as_root() -> None:
    assert int(one("USER")) > 0
    words = [i.word for i in LAST]
    assert words.index("USER") < words.index("CMD")


def test_it_serves() -> None:
    assert json.loads(one("ENTRYPOINT")) + json.loads(one("CMD"))[:1] == ["edge", "serve"]


def test_its_health_is_checked_without_a_program_that_is_not_there() -> None:
    command = json.loads(one("HEALTHCHECK").partition("CMD ")[2])
    assert command[:2] == ["python", "-c"]
    compile(command[2], "HEALTHCHECK", "exec")
    assert "/health" in command[2]


def test_what_it_copies_exists_and_is_sent_to_the_engine() -> None:
    ignored = (ROOT / ".dockerignore").read_text().split()
    for instruction in ALL:
        if instruction.word != "COPY" or instruction.rest.startswith("--from"):
            continue
        for source in instruction.rest.split()[:-1]:
            assert (ROOT / source).exists(), source
            assert f"!{source.split('/')[0]}" in ignored, source
