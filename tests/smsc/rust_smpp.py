"""An SMSC of PyPI's `smpp34`, in a process of its own, for it takes its interpreter down with it now and then."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import Any

import smpp34


def tell(**event: Any) -> None:
    print(json.dumps(event), flush=True)


class Smsc:
    def __init__(self, port: int) -> None:
        self.server = smpp34.Server("127.0.0.1", port, system_id="rust")
        self.esmes: list[Any] = []
        self.answers: list[dict[str, Any]] = []
        self.ids = 0

    async def serve(self) -> None:
        while True:
            event = await self.server.next()
            if isinstance(event, smpp34.Esme):
                self.esmes.append(event)
                tell(event="bind", system_id=event.system_id, receives=event.can_receive)
            elif isinstance(event, smpp34.SubmitSmEvent):
                self.submitted(event)
            elif isinstance(event, smpp34.Unbound):
                self.esmes = [esme for esme in self.esmes if esme.session_id != event.session_id]
                tell(event="closed")

    def submitted(self, event: Any) -> None:
        how = self.answers.pop(0) if self.answers else {}
        said = {
            "event": "submit",
            "source": event.source_addr,
            "destination": event.destination_addr,
            "source_ton": event.source_addr_ton,
            "destination_ton": event.dest_addr_ton,
            "coding": event.data_coding,
            "esm_class": event.esm_class,
            "registered": event.registered_delivery,
            "octets": event.short_message.hex(),
            "tlvs": {str(tlv.tag): tlv.value.hex() for tlv in event.tlvs},
            "status": how.get("status", 0),
        }
        if "status" in how:
            event.reject(how["status"])
            tell(**said)
            return
        self.ids += 1
        event.accept(f"r-{self.ids}")
        tell(**said, id=f"r-{self.ids}")

    async def deliver(self, command: dict[str, Any]) -> None:
        fields = command["fields"]
        esme = next(esme for esme in self.esmes if esme.can_receive)
        try:
            answer = await esme.deliver_sm(
                fields.pop("destination_addr"),
                bytes.fromhex(fields.pop("short_message", "")),
                tlvs=[smpp34.Tlv(tag, bytes.fromhex(value)) for tag, value in fields.pop("tlvs", [])],
                **fields,
            )
        except smpp34.SmppError as error:
            tell(event="answered", tag=command.get("tag"), error=str(error))
        else:
            tell(event="answered", tag=command.get("tag"), status=answer.command_status)

    async def unbind(self) -> None:
        for esme in list(self.esmes):
            await esme.unbind()
        tell(event="unbound")


async def main() -> None:
    port = int(sys.argv[1])
    smsc = Smsc(port)
    await smsc.server.start()
    tell(event="listening", port=port)
    serving = asyncio.create_task(smsc.serve())
    doing: set[asyncio.Task[None]] = set()
    while line := await asyncio.to_thread(sys.stdin.readline):
        command = json.loads(line)
        match command["do"]:
            case "deliver":
                doing.add(asyncio.create_task(smsc.deliver(command)))
            case "unbind":
                doing.add(asyncio.create_task(smsc.unbind()))
            case "answer":
                smsc.answers = command["how"]
        tell(event="did")
    serving.cancel()


if __name__ == "__main__":
    asyncio.run(main())
    sys.stdout.flush()
    os._exit(0)  # without its destructors
