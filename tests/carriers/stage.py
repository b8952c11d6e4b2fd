"""Where carriers are tested: a site with a wire and a web that only note what they are given."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from multidict import CIMultiDict

from edge.carriers.site import PLAIN_TEXT, Ask, Site
from edge.errors import Invalid, Unauthenticated
from edge.http import Answer, Guard, HttpSection
from edge.sip.peer import Peer
from edge.sms.carrier import Busy, Called, Carrier, Hook, NotNow, Refused
from edge.sms.text import OutgoingText, Report, Text
from edge.trunks.resolve import Targets
from edge.trunks.table import TrunkTable
from edge.trunks.trunk import Trunk
from tests.web import Web as Played
from tests.web import web_server

NOW = datetime(2026, 8, 1, 9, tzinfo=UTC)
DATA = Path(__file__).parent / "data"
TEXT = OutgoingText("m1", "c1", "+14155550100", "+14155550111", "hi there")


def cases(kind: str, part: str) -> list[Any]:
    found: list[Any] = json.loads((DATA / f"{kind}.json").read_text())[part]
    return found


def options(kind: str) -> dict[str, Any]:
    """The least that a carrier's section needs."""
    document = json.loads((DATA / f"{kind}.json").read_text())
    return document.get("section", {}) if isinstance(document, dict) else {}


class Wire:
    """Answers each MESSAGE with a status, or raises."""

    def __init__(self, answer: int | Exception = 202) -> None:
        self.answer = answer
        self.sent: list[tuple[Peer, str, str, bytes]] = []
        self.types: list[str] = []

    async def send(
        self, peer: Peer, *, uri: str, from_user: str, body: bytes, trunk: Trunk, content_type: str = PLAIN_TEXT
    ) -> int:
        self.types.append(content_type)
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


async def nobody(*_: Any, **__: Any) -> Answer:
    """Whom nothing of these tests may ask."""
    raise AssertionError("nobody was to be asked")


def site(
    *trunks: Trunk,
    wire: Wire | None = None,
    web: Web | None = None,
    ask: Ask = nobody,
    public_url: str | None = None,
) -> Site:
    return Site(wire or Wire(), web or Web(), TrunkTable(trunks), Targets(trunks), ask, public_url)


def hook(carrier: Any, suffix: str, method: str = "POST") -> Hook:
    """A hook of a carrier by its name."""
    (found,) = [one for one in carrier.routes() if (one.suffix, one.method) == (suffix, method)]
    assert isinstance(found, Hook)
    return found


def rung(hook: Hook, url: str, body: bytes, headers: Mapping[str, str], now: datetime = NOW) -> Sequence[Text | Report]:
    """What a hook reads in a request."""
    return hook.read(Called(url, CIMultiDict(headers), body, now))


def refused(hook: Hook, url: str, body: bytes, headers: Mapping[str, str], now: datetime = NOW) -> str:
    """Why a hook refuses a request: the reason of the error, or the places that are wrong."""
    try:
        rung(hook, url, body, headers, now)
    except Unauthenticated as error:
        return error.reason
    except Invalid as error:
        return " ".join(fault.where for fault in error.faults)
    return ""


def told(found: Sequence[Text | Report], cases: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What was found, as far as the cases say anything of it; whether it is a report too."""
    facts = [{"report": isinstance(one, Report), **asdict(one)} for one in found]
    for one in facts:
        if "media" in one:
            one["media"] = list(one["media"])
    return [{name: one.get(name) for name in case} for one, case in zip(facts, cases, strict=True)]


async def tried(carrier: Carrier, text: OutgoingText = TEXT) -> dict[str, Any]:
    """What became of one try, with all that an error says."""
    try:
        receipt = await carrier.send(text)
    except Refused as error:
        kind = "refused elsewhere" if error.elsewhere else "refused"
        return {"outcome": kind, "code": error.code, "says": error.sentence}
    except Busy as error:
        return {"outcome": "busy", "code": error.code, "says": error.sentence, "after": error.after}
    except NotNow as error:
        return {"outcome": "not now", "code": error.code, "says": error.sentence}
    return {"outcome": "sent", "ids": list(receipt.ids)}


@asynccontextmanager
async def played() -> AsyncIterator[tuple[Played, Ask]]:
    """A server that plays a carrier, and the client that asks it."""
    guard = Guard(HttpSection(), own=True)
    with web_server() as web:
        try:
            yield web, guard.request
        finally:
            await guard.close()


async def outcome(carrier: Carrier, text: OutgoingText) -> tuple[str, str, str]:
    """What became of one try: (sent, refused or not now; code; sentence)."""
    try:
        await carrier.send(text)
    except Refused as error:
        return "refused", error.code, error.sentence
    except NotNow as error:
        return "not now", error.code, error.sentence
    return "sent", "", ""
