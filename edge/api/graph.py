"""Pictures of flows: what leads where, and how often each step ran."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from pydantic import Field

from edge.api.auth import scope
from edge.api.download import held
from edge.api.field import Model
from edge.api.operation import AnyOperation, Ask, Download, Nothing, Operation
from edge.errors import NotFound
from edge.flows.drawing import svg
from edge.flows.graph import Graph, graph_of, mermaid
from edge.flows.table import FlowTable
from edge.sessions.step_counts import StepCounts

SVG: Final = "image/svg+xml"
MERMAID: Final = "text/vnd.mermaid"  # https://www.iana.org/assignments/media-types/text/vnd.mermaid


class GraphQuery(Model):
    version: int | None = Field(default=None, ge=1, le=2**31 - 1, description="This version instead of the newest.")
    counts: bool = Field(default=False, description="With how often each step of that version ran lately.")


class Graphs:
    """The operations that draw flows."""

    def __init__(self, flows: FlowTable, counts: StepCounts) -> None:
        self._flows = flows
        self._counts = counts

    async def svg(self, ask: Ask[GraphQuery, Nothing]) -> Download:
        return await self._drawn(ask, svg, f"flow-{ask.id}.svg", SVG)

    async def mermaid(self, ask: Ask[GraphQuery, Nothing]) -> Download:
        return await self._drawn(ask, mermaid, f"flow-{ask.id}.mmd", MERMAID)

    async def _drawn(self, ask: Ask[GraphQuery, Nothing], draw: Any, filename: str, kind: str) -> Download:
        customer_id, version = scope(ask.asker), ask.query.version
        stored = (
            await self._flows.get(ask.id, customer_id)
            if version is None
            else await self._flows.version(ask.id, version, customer_id)
        )
        if stored is None:
            raise NotFound("there is no such flow", reason="FLOW_NOT_FOUND")
        flow = stored.compiled()
        counts = await self._counts.of(flow) if ask.query.counts else None
        graph: Graph = graph_of(flow)
        text: str = await asyncio.to_thread(draw, graph, counts)  # a large one takes a while
        return held(filename, kind, text.encode())

    def operations(self) -> list[AnyOperation]:
        detail = "Of a stored flow; a step that nothing leads to is dashed."
        return [
            Operation(
                method="GET",
                path="/v1.0/flows/{id}/graph.svg",
                tag="flows",
                summary="Draw a flow",
                detail=detail,
                query=GraphQuery,
                body=Nothing,
                result=Nothing,
                files=(SVG,),
                handler=self.svg,
            ),
            Operation(
                method="GET",
                path="/v1.0/flows/{id}/graph.mmd",
                tag="flows",
                summary="Draw a flow in the language of Mermaid",
                detail=detail,
                query=GraphQuery,
                body=Nothing,
                result=Nothing,
                files=(MERMAID,),
                handler=self.mermaid,
            ),
        ]
