"""One way to simulate a few steps, for the tests here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge.errors import NotFound
from edge.flows.flow import Flow, compile_flow
from edge.media.audio import write_wav
from edge.plugins import load
from edge.sessions.simulation.prompt import Lengths
from edge.sessions.simulation.script import Script
from edge.sessions.simulation.simulator import simulate
from edge.sessions.simulation.transcript import Transcript
from edge.sessions.texts.manners import MannersSection

load("edge.actions")

AT = "2026-12-25T09:00:00+00:00"  # a Friday


async def attempt(
    *actions: dict[str, Any],
    prompts: Path | None = None,
    others: Mapping[str, Flow] | None = None,
    on_complete: str = "",
    manners: MannersSection | None = None,
    **script: Any,
) -> Transcript:
    """The transcript of a flow of these steps."""

    async def find(flow_id: str) -> Flow:
        if others is None or flow_id not in others:
            raise NotFound(f"there is no flow {flow_id}")
        return others[flow_id]

    flow = compile_flow({"name": "tried", "on_complete_flow_id": on_complete, "actions": list(actions)})
    lengths = Lengths([prompts] if prompts else [])
    told = Script.model_validate({"at": AT, **script})
    return await simulate(flow, told, lengths=lengths, find_flow=find, manners=manners)


def told(transcript: Transcript, run: int = 0) -> list[str]:
    """What happened in one run: `0.0 step: what`."""
    return [
        f"{event.at:.1f} {event.step}: {'assumed: ' if event.kind == 'assumed' else ''}{event.what}"
        for event in transcript.runs[run].events
    ]


def wav(folder: Path, name: str, seconds: float) -> None:
    (folder / name).write_bytes(write_wav(bytes(int(seconds * 8000) * 2)))
