"""Golden transcripts: what a simulation of a flow printed when its owner found it right, kept beside the flow.

They lie in the folder `golden` beside the flows, `flow--case.txt` each, and begin with the command that printed them,
as it is typed in the folder of the flows. So one is made by

    cd config/flows && edge simulate menu.json --digits 1 > golden/menu--sales.txt

and compared with what the flow does today by `edge simulate --check config/flows`.
"""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from edge.errors import EdgeError, Fault, Invalid

if TYPE_CHECKING:
    from edge.sessions.simulation.transcript import Transcript

FOLDER: Final = "golden"
PROMPT: Final = "$ edge simulate "

Transcribe: TypeAlias = Callable[
    [list[str], Path], Awaitable[tuple[str, "Transcript"]]
]  # words, folder → flow's name, transcript


@dataclass(frozen=True, slots=True)
class Golden:
    """One transcript that is kept. `new` is what the same command prints today; `error` why it prints nothing."""

    path: Path
    old: str
    new: str
    flow: str = ""
    transcript: Transcript | None = None
    error: str = ""

    @property
    def same(self) -> bool:
        return not self.error and self.old == self.new

    def diff(self) -> Iterator[str]:
        old, new = self.old.splitlines(keepends=True), self.new.splitlines(keepends=True)
        for line in difflib.unified_diff(old, new, str(self.path), f"{self.path} today"):
            yield line.rstrip("\n")


def printed(words: list[str], transcript: Transcript) -> str:
    """What `edge simulate` with these words prints."""
    return "\n".join([PROMPT + shlex.join(words), *transcript.lines()]) + "\n"


async def replay(folder: Path, transcribe: Transcribe) -> list[Golden]:
    """Every transcript beside the flows in a folder, with what it would be today. Raises Invalid when there is none."""
    paths = sorted((folder / FOLDER).glob("*.txt"))
    if not paths:
        raise Invalid(f"there are no transcripts in {folder / FOLDER}")
    return [await _replay(path, folder, transcribe) for path in paths]


async def _replay(path: Path, folder: Path, transcribe: Transcribe) -> Golden:
    old = path.read_text(encoding="utf-8", errors="replace")
    first = old.partition("\n")[0]
    try:
        words = _words(first)
        flow, transcript = await transcribe(words, folder)
    except EdgeError as error:
        faults = error.faults if isinstance(error, Invalid) else ()
        return Golden(path, old, "", error="; ".join(map(str, faults)) or error.message)
    return Golden(path, old, printed(words, transcript), flow, transcript)


def _words(first: str) -> list[str]:
    if not first.startswith(PROMPT):
        raise Invalid("bad transcript", faults=[Fault("line 1", f"is not a command: {PROMPT}FLOW …")])
    try:
        return shlex.split(first.removeprefix(PROMPT))
    except ValueError as error:
        raise Invalid("bad transcript", faults=[Fault("line 1", str(error))]) from None


def never_reached(goldens: list[Golden]) -> dict[str, list[str]]:
    """The steps of each flow that none of its transcripts reaches."""
    left: dict[str, list[str]] = {}
    for golden in goldens:
        if golden.transcript is not None:
            never = golden.transcript.never_reached
            left[golden.flow] = [step for step in left.get(golden.flow, never) if step in never]
    return {flow: steps for flow, steps in left.items() if steps}
