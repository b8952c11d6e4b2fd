"""Where carriers are tested: a site with a wire and a web that only note what they are given."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from edge.carriers.site import Site
from edge.sip.peer import Peer
from edge.sms.carrier import Carrier, NotNow, Refused
from edge.sms.text import OutgoingText
from edge.trunks.resolve import Targets
from edge.trunks.table import TrunkTable
from edge.trunks.trunk import Trunk

DATA = Path(__file__).parent / "data"
TEXT = OutgoingText("m1", "c1", "+14155550100", "+14155550111", "hi there")


def cases(kind: str, part: str) -> list[Any]:
    found: list[Any] = json.loads((DATA / f"{kind}.json").read_text())[part]
    return found


class Wire:
    """Answers each MESSAGE with a status, or raises."""

    def __init__(self, answer: int | Exception = 202) -> None:
        self.answer = answer
        self.sent: list[tuple[Peer, str, str, bytes]] = []

    async def send(self, peer: Peer, *, uri: str, from_user: str, body: bytes) -> int:
        self.sent.append((peer, uri, from_user, body))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class Web:
    """Answers each POST with a status, or raises."""

    def __init__(self, answer: int | Exception = 200) -> None:
        self.answer = answer
        self.posted: list[tuple[str, dict[str, Any]]] = []

    async def __call__(self, url: str, body: dict[str, Any], /) -> int:
        self.posted.append((url, body))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def trunk(name: str = "loop", target: str | None = None, network: str = "127.0.0.0/8") -> Trunk:
    return Trunk.model_validate({"name": name, "networks": [network], "country": "US", "target": target})


def site(*trunks: Trunk, wire: Wire | None = None, web: Web | None = None) -> Site:
    return Site(wire or Wire(), web or Web(), TrunkTable(trunks), Targets(trunks))


async def outcome(carrier: Carrier, text: OutgoingText) -> tuple[str, str, str]:
    """What became of one try: (sent, refused or not now; code; sentence)."""
    try:
        await carrier.send(text)
    except Refused as error:
        return "refused", error.code, error.sentence
    except NotNow as error:
        return "not now", error.code, error.sentence
    return "sent", "", ""
