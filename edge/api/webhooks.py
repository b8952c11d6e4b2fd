"""Carriers' routes, as the carriers describe them, under `/v1.0/carriers/<name>/`.

The order is the whole point: read, keep in SQL, and only then answer. A carrier that hears anything but success sends
again. While draining its texts are refused with 503, so that they go to another edge.

A hook is called by strangers who have to prove whom they come from: `Hook.read` looks at the signature before it looks
at anything else. Whatever is refused there is counted by its reason.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime
from typing import Final

from pydantic import BaseModel

from edge.api.auth import scope
from edge.api.operation import AnyOperation, Ask, Nothing, Operation, Raw
from edge.errors import EdgeError, Invalid, TextTooLong, TooLarge, Unauthenticated, Unavailable
from edge.metrics import counter
from edge.sms.carrier import Called, Carrier, Hook, Inbound, Posted, Said, View, Webhooks, path_of
from edge.sms.text import Report, Text, Verdict

Keep = Callable[[Text], Awaitable[Verdict]]  # returns once the text is durable; raises Unavailable
Tell = Callable[[Report], Awaitable[None]]  # the same of a report

REFUSED = counter(
    "hooks_refused_total", "Requests to carriers' webhooks that were refused, by reason.", ("carrier", "reason")
)
PROOFS: Final = frozenset({"SIGNATURE_MISSING", "SIGNATURE_WRONG", "STALE"})  # the reasons of an Unauthenticated
REASONS: Final = (*(reason.lower() for reason in sorted(PROOFS)), "invalid", "too_large", "unavailable", "other")


def operations(
    carriers: Iterable[Carrier], keep: Keep, tell: Tell, clock: Callable[[], datetime]
) -> list[AnyOperation]:
    """One operation per route of every carrier that has some."""

    def operation(name: str, route: Inbound | View | Hook) -> AnyOperation:
        match route:
            case Inbound():
                return _inbound(name, route, keep, tell, clock)
            case View():
                return _view(name, route)
            case Hook():
                return _hook(name, route, keep, tell, clock)

    return [
        operation(carrier.name, route)
        for carrier in carriers
        if isinstance(carrier, Webhooks)
        for route in carrier.routes()
    ]


def _hook(name: str, route: Hook, keep: Keep, tell: Tell, clock: Callable[[], datetime]) -> AnyOperation:
    counted = {reason: REFUSED.labels(name, reason) for reason in REASONS}

    async def receive(ask: Ask[Nothing, Nothing]) -> Said:
        assert ask.came is not None
        return route.answer(await _kept(route.read(Called(*ask.came, clock())), keep, tell))

    return Operation(
        method=route.method,
        path=path_of(name, route.suffix),
        tag="carriers",
        summary=route.summary,
        detail="In the carrier's own form, and proven by its signature.",
        who="anyone",
        query=Nothing,
        body=Nothing,
        result=Nothing,
        handler=receive,
        raw=Raw(route.limit, lambda error: counted[_reason(error)].inc()),
        inbound=True,
    )


async def _kept(found: Sequence[Text | Report], keep: Keep, tell: Tell) -> Sequence[Verdict]:
    """Keep what came; the verdicts of the texts in it."""
    if len(found) == 1 and isinstance(found[0], Text):  # what nearly all are: no task for it
        return (await keep(found[0]),)
    kept = await asyncio.gather(*(keep(one) if isinstance(one, Text) else tell(one) for one in found))
    return [verdict for verdict in kept if verdict is not None]


def _reason(error: EdgeError) -> str:
    match error:
        case Unauthenticated() if error.reason in PROOFS:
            return error.reason.lower()
        case TooLarge() | TextTooLong():
            return "too_large"
        case Invalid():
            return "invalid"
        case Unavailable():
            return "unavailable"
    return "other"


def _inbound(name: str, route: Inbound, keep: Keep, tell: Tell, clock: Callable[[], datetime]) -> AnyOperation:
    async def receive(ask: Ask[Nothing, BaseModel]) -> BaseModel:
        account = None if ask.who is None else scope(ask.who)
        found = route.read(Posted(payload=ask.body, account=account, received_at=clock()))
        return route.answer(await _kept(found, keep, tell))

    return Operation(
        method=route.method,
        path=path_of(name, route.suffix),
        tag="carriers",
        summary=route.summary,
        who=route.scope,
        query=Nothing,
        body=route.payload,
        result=route.result,
        handler=receive,
        inbound=True,
    )


def _view(name: str, route: View) -> AnyOperation:
    async def show(ask: Ask[Nothing, Nothing]) -> BaseModel:
        return route.show(None if ask.who is None else scope(ask.who))

    return Operation(
        method=route.method,
        path=path_of(name, route.suffix),
        tag="carriers",
        summary=route.summary,
        who=route.scope,
        query=Nothing,
        body=Nothing,
        result=route.result,
        handler=show,
    )
