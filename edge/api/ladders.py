"""The SIP messages of a call, as long as the edge that had it remembers them: a ladder, and a capture file.

With the messages of a call come those of the calls that were made for it. They are for who runs the edge: what
carriers write into messages is not for the accounts. Proofs of passwords and keys of media are crossed out.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from pydantic import Field

from edge.api.download import held
from edge.api.field import Model
from edge.api.operation import AnyOperation, Ask, Download, Nothing, Operation
from edge.errors import NotFound
from edge.sessions.calls.book import CallBook
from edge.sessions.calls.record import CallTable
from edge.sip import ladder
from edge.sip.capture import Capture, Passed
from edge.sip.pcap import pcap

TEXT: Final = "text/plain"
SVG: Final = "image/svg+xml"
PCAP: Final = "application/vnd.tcpdump.pcap"


class LadderQuery(Model):
    messages: bool = Field(default=False, description="With the messages themselves below it.")


class Ladders:
    """The operations on the messages of calls."""

    def __init__(self, table: CallTable, book: CallBook, capture: Capture | None) -> None:
        self._table = table
        self._book = book
        self._capture = capture

    async def text(self, ask: Ask[LadderQuery, Nothing]) -> Download:
        passed, _ = await self._passed(ask.id)
        drawn = await asyncio.to_thread(ladder.text, passed, whole=ask.query.messages)
        return held(f"call-{ask.id}.txt", TEXT, drawn.encode())

    async def svg(self, ask: Ask[Nothing, Nothing]) -> Download:
        passed, call_id = await self._passed(ask.id)
        return held(f"call-{ask.id}.svg", SVG, (await asyncio.to_thread(ladder.svg, passed, call_id)).encode())

    async def pcap(self, ask: Ask[Nothing, Nothing]) -> Download:
        passed, _ = await self._passed(ask.id)
        return held(f"call-{ask.id}.pcap", PCAP, await asyncio.to_thread(pcap, passed.messages))

    async def _passed(self, id: str) -> tuple[Passed, str]:
        """The messages of a call and of those made for it, and its Call-ID. Raises NotFound, Unavailable."""
        if self._capture is None:
            raise NotFound("no messages are kept: [sip] trace_mb is 0", reason="MESSAGES_NOT_KEPT")
        call = self._book.find(id)
        found = call.attempt.public() if call is not None else await self._table.get(id)
        if found is None:
            raise NotFound("there is no such call", reason="CALL_NOT_FOUND")
        up = [other.attempt.call_id for other in self._book if other.attempt.master_call_id == id]
        made = [leg["edge"]["call_id"] for leg in await self._table.made_for(id)]
        call_id: str = found["edge"]["call_id"]
        passed = self._capture.of(dict.fromkeys([call_id, *made, *up]))
        if not passed.messages:
            raise NotFound(
                "the messages of that call are not in the memory of this edge, or not any more",
                reason="MESSAGES_NOT_FOUND",
            )
        return passed, call_id

    def operations(self) -> list[AnyOperation]:
        detail = (
            "With those of the calls that were made for it. Only the edge that had the call knows them, for a while."
        )
        common: dict[str, Any] = {
            "method": "GET",
            "tag": "calls",
            "detail": detail,
            "body": Nothing,
            "result": Nothing,
            "who": "admin",
        }
        path = "/v1.0/calls/{id}"
        return [
            Operation(
                path=f"{path}/ladder",
                summary="The SIP messages of a call, as a ladder",
                query=LadderQuery,
                files=(TEXT,),
                handler=self.text,
                **common,
            ),
            Operation(
                path=f"{path}/ladder.svg",
                summary="The SIP messages of a call, as a picture",
                query=Nothing,
                files=(SVG,),
                handler=self.svg,
                **common,
            ),
            Operation(
                path=f"{path}/pcap",
                summary="The SIP messages of a call, as a capture file",
                query=Nothing,
                files=(PCAP,),
                handler=self.pcap,
                **common,
            ),
        ]
