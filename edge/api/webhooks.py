"""Carriers' routes, as the carriers describe them, under `/v1.0/carriers/<name>/`.

The order is the whole point: read, keep in SQL, and only then answer. A carrier that hears anything but success sends
again. While draining its texts are refused with 503, so that they go to another edge.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime

from pydantic import BaseModel

from edge.api.auth import scope
from edge.api.operation import AnyOperation, Ask, Nothing, Operation
from edge.sms.carrier import Carrier, Inbound, Posted, View, Webhooks
from edge.sms.text import Text, Verdict

Keep = Callable[[Text], Awaitable[Verdict]]  # returns once the text is durable; raises Unavailable


def operations(carriers: Iterable[Carrier], keep: Keep, clock: Callable[[], datetime]) -> list[AnyOperation]:
    """One operation per route of every carrier that has some."""
    return [
        _inbound(carrier.name, route, keep, clock) if isinstance(route, Inbound) else _view(carrier.name, route)
        for carrier in carriers
        if isinstance(carrier, Webhooks)
        for route in carrier.routes()
    ]


def _inbound(name: str, route: Inbound, keep: Keep, clock: Callable[[], datetime]) -> AnyOperation:
    async def receive(ask: Ask[Nothing, BaseModel]) -> BaseModel:
        account = None if ask.who is None else scope(ask.who)
        texts = route.read(Posted(payload=ask.body, account=account, received_at=clock()))
        return route.answer(await asyncio.gather(*(keep(text) for text in texts)))

    return Operation(
        method=route.method,
        path=_path(name, route.suffix),
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
        path=_path(name, route.suffix),
        tag="carriers",
        summary=route.summary,
        who=route.scope,
        query=Nothing,
        body=Nothing,
        result=route.result,
        handler=show,
    )


def _path(name: str, suffix: str) -> str:
    return f"/v1.0/carriers/{name}/{suffix.lstrip('/')}"
