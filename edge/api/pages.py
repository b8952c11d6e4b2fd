"""What the door serves that is no operation: the OpenAPI document, the page that draws it, and /metrics."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import re
from collections.abc import Sequence
from importlib import resources

from aiohttp import web
from aiohttp.typedefs import Handler
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

from edge.api.auth import Door
from edge.api.openapi import document
from edge.api.operation import AnyOperation
from edge.metrics import REGISTRY


def openapi(operations: Sequence[AnyOperation], version: str) -> Handler:
    """Made when it is first asked for, in a thread: it takes a quarter of a second, in which no call may wait."""
    made: asyncio.Future[str] | None = None

    def make() -> str:
        return json.dumps(document(operations, version), ensure_ascii=False)

    async def handle(request: web.Request) -> web.StreamResponse:
        nonlocal made
        if made is None:
            made = asyncio.ensure_future(asyncio.to_thread(make))
        return web.Response(text=await asyncio.shield(made), content_type="application/json")

    return handle


def docs() -> Handler:
    """The page; it may run its own script and style, by their hashes, and ask this server, nothing else."""
    page = resources.files("edge.api").joinpath("docs.html").read_text(encoding="utf-8")
    script, style = (_hash(page, tag) for tag in ("script", "style"))
    policy = (
        f"default-src 'none'; script-src '{script}'; style-src '{style}'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )

    async def handle(request: web.Request) -> web.StreamResponse:
        headers = {"Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff"}
        return web.Response(text=page, content_type="text/html", headers=headers)

    return handle


def _hash(page: str, tag: str) -> str:
    found = re.search(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
    assert found is not None
    return "sha256-" + base64.b64encode(hashlib.sha256(found[1].encode()).digest()).decode()


async def to_docs(request: web.Request) -> web.StreamResponse:
    raise web.HTTPFound("/docs")


def metrics(door: Door, everyone: bool) -> Handler:
    """All series as text. Made in a thread: it takes milliseconds, in which no call may wait."""

    async def handle(request: web.Request) -> web.StreamResponse:
        if not everyone:
            await door.admit(request, "admin")
        body = await asyncio.to_thread(generate_latest, REGISTRY)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})

    return handle
