"""Flows tried out: the simulator of `edge simulate` over HTTP.

A simulation computes and waits for nothing, so a few of them at once would keep the calls waiting: they take turns, and
when too many want one the next is refused.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from pydantic import Field

from edge.api.auth import scope
from edge.api.operation import AnyOperation, Ask, Nothing, Operation
from edge.errors import Exhausted, NotFound
from edge.flows.flow import Flow, compile_flow, name_steps
from edge.flows.resource import AccountResources, Resources
from edge.flows.table import FlowTable
from edge.sessions.simulation.prompt import Lengths
from edge.sessions.simulation.script import CALLER, Script
from edge.sessions.simulation.simulator import simulate
from edge.sessions.simulation.transcript import Transcript
from edge.sessions.texts.manners import MannersSection
from edge.sms.keywords import Keywords
from edge.store.metadata import NIL

TRIED: Final = 50  # things that happen, told by `explain`
WAITING: Final = 20  # for their turn


class DraftScript(Script):
    """A script, and the flow that is tried."""

    flow: dict[str, Any] = Field(description="The flow, as it would be stored: name, detail, actions.")


class Simulation:
    """The operations that try flows out. `prompts` are the folders in which audio files are looked for."""

    def __init__(
        self,
        flows: FlowTable,
        prompts: Sequence[Path],
        resources: Resources,
        keywords: Keywords,
        manners: MannersSection,
    ) -> None:
        self._keywords = keywords
        self._manners = manners
        self._flows = flows
        self._resources = resources
        self._prompts = prompts
        self._turn = asyncio.Lock()
        self._waiting = 0

    async def stored(self, ask: Ask[Nothing, Script]) -> Transcript:
        customer_id = scope(ask.asker)
        return await self._simulate(await self._find(ask.id, customer_id), ask.body, customer_id)

    async def draft(self, ask: Ask[Nothing, DraftScript]) -> Transcript:
        customer_id = scope(ask.asker)
        flow = compile_flow(name_steps(ask.body.flow))
        return await self._simulate(flow, ask.body, customer_id)

    async def tried(self, flow: Flow, caller: str, called: str, at: datetime | None) -> list[str]:
        """What a flow does with a call that says nothing, as of then: a line for each thing that happens."""
        script = Script(medium="call", caller=caller or CALLER, called=called, at=at)
        transcript = await self._simulate(flow, script, flow.customer_id)
        events = [event for outcomes in transcript.runs for event in outcomes.events]
        return [f"{event.action or 'then'} (id {event.step}): {event.what}" for event in events[:TRIED] if event.step]

    async def _simulate(self, flow: Flow, script: Script, customer_id: str | None) -> Transcript:
        whose = flow.customer_id if flow.customer_id != NIL else customer_id

        async def find(flow_id: str) -> Flow:
            return await self._find(flow_id, customer_id)

        if self._waiting >= WAITING:
            raise Exhausted("too many simulations at once", reason="TOO_MANY_SIMULATIONS")
        self._waiting += 1
        try:
            async with self._turn:
                return await simulate(
                    flow,
                    script,
                    lengths=Lengths(self._prompts),
                    find_flow=find,
                    find_resources=AccountResources(self._resources, whose) if whose is not None else None,
                    keywords=self._keywords,
                    manners=self._manners,
                )
        finally:
            self._waiting -= 1

    async def _find(self, flow_id: str, customer_id: str | None) -> Flow:
        found = await self._flows.get(flow_id, customer_id)
        if found is None:
            raise NotFound("there is no such flow", reason="FLOW_NOT_FOUND")
        return found.compiled()

    def operations(self) -> list[AnyOperation]:
        return [
            Operation(
                method="POST",
                path="/v1.0/flows/simulate",
                tag="flows",
                summary="Try out a flow that is not stored",
                detail="As for a stored one; the flow is in the body.",
                query=Nothing,
                body=DraftScript,
                result=Transcript,
                errors=(Exhausted,),
                handler=self.draft,
            ),
            Operation(
                method="POST",
                path="/v1.0/flows/{id}/simulate",
                tag="flows",
                summary="Try out a flow",
                detail=(
                    "It runs without network and without waiting, by the script in the body. The answer tells what was"
                    " played, asked, sent and decided, and why, and which steps were never reached."
                ),
                query=Nothing,
                body=Script,
                result=Transcript,
                errors=(Exhausted,),
                handler=self.stored,
            ),
        ]
