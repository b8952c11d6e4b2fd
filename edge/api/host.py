"""The host: mounts operations, and stands around each of them.

Order within one request: route, drain, who asks, path, query, body, handler. So a stranger learns nothing but that a
key is needed, and a body is read only for somebody who may send it. Errors become the envelope here and nowhere else;
an unexpected one is logged once with its stack and answered 500. One line of log per request, without the query,
which may hold a key or a number. Metrics know a request by the template of its route only.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Literal

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Handler, Middleware
from prometheus_client import Histogram
from pydantic import BaseModel

from edge.api import refusal
from edge.api.auth import Door
from edge.api.download import send, send_lines
from edge.api.openapi import PARAMETERS
from edge.api.operation import Answer, AnyOperation, Ask, Came, Download, Lines, Nothing
from edge.api.proxies import Proxies
from edge.api.reading import read_body, read_key, read_match, read_query
from edge.errors import Conflict, EdgeError, Fault, Internal, Invalid, TooLarge, Unavailable
from edge.log import enabled, get_logger
from edge.metrics import histogram, tally
from edge.sms.carrier import Said
from edge.store.metadata import take_chance

REQUESTS = tally("http_requests_total", "HTTP requests answered.", ("route", "method", "code"))
SECONDS = histogram("http_request_seconds", "Time from a request's header to the end of its answer.", ("route",))

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})  # others are counted as one
UNMATCHED = "unmatched"
QUIET = frozenset({"/health", "/ready", "/metrics"})  # asked every few seconds by machines: no line while all is well
REQUEST_ID = web.RequestKey("request_id", str)
ASKER = web.RequestKey("asker", str)

_GIVEN_ID = re.compile(r"^[A-Za-z0-9._-]{1,64}$")  # a client's own X-Request-Id; anything else is replaced
_UUID = re.compile(r"^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$")
_NOTHING = Nothing()
_log = get_logger("api")
_seconds: dict[str, Histogram] = {}  # by route, bound once; there are as many as paths


def mount(
    app: web.Application,
    operations: Sequence[AnyOperation],
    door: Door,
    draining: Callable[[], bool],
    proxies: Proxies,
) -> None:
    """Enter the operations; every path answers its other methods 405."""
    by_path: dict[str, list[AnyOperation]] = {}
    for operation in operations:
        by_path.setdefault(operation.path, []).append(operation)
    for path, served in by_path.items():
        mount_plain(app, path, {o.method: _mounted(o, door, draining, proxies) for o in served})


def mount_plain(app: web.Application, path: str, endpoints: dict[str, Handler]) -> None:
    """Enter handlers of aiohttp's own kind by method; HEAD goes where GET goes."""
    allowed = {*endpoints, *(["HEAD"] if "GET" in endpoints else [])}

    async def refuse(request: web.Request) -> web.StreamResponse:
        raise refusal.MethodRefused(allowed)

    resource = app.router.add_resource(path)
    for method, handler in endpoints.items():
        resource.add_route(method, handler)
        if method == "GET":
            resource.add_route("HEAD", handler)
    resource.add_route("*", refuse)


def _mounted(operation: AnyOperation, door: Door, draining: Callable[[], bool], proxies: Proxies) -> Handler:
    if operation.raw is not None:
        return _raw(operation, draining, proxies)
    return _endpoint(operation, door, draining)


def _raw(
    operation: AnyOperation, draining: Callable[[], bool], proxies: Proxies
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """The endpoint of a raw operation: the order is drain, size, and then all is up to the handler."""
    raw = operation.raw
    assert raw is not None

    async def handle(request: web.Request) -> web.StreamResponse:
        url = proxies.url(request)
        try:
            if operation.inbound and draining():
                raise refusal.Draining
            came = Came(url, request.headers, await _read(request, raw.limit))
            ask: Ask[Nothing, Nothing] = Ask(None, _NOTHING, _NOTHING, {}, None, request[REQUEST_ID], came)
            said = await operation.handler(ask)
        except EdgeError as error:
            raw.refused(error)
            if error.http < 500:  # the others have a line anyway; there may be a text in the query, so it is left out
                _log.info("hook refused", request_id=request[REQUEST_ID], url=url.partition("?")[0], error=error.story)
            raise
        assert isinstance(said, Said)
        return web.Response(body=said.body or None, status=said.status, content_type=said.content_type)

    return handle


async def _read(request: web.Request, limit: int) -> bytes:
    """The body as it came, given up as soon as it is too large. Raises TooLarge, Invalid."""
    body = b""
    try:
        while (request.content_length or 0) <= limit:
            piece = await request.content.readany()
            if not piece:
                return body
            body += piece
            if len(body) > limit:
                break
    except (web.RequestPayloadError, HttpProcessingError):
        raise Invalid("the body did not come whole", faults=[Fault("body", "did not come whole")]) from None
    raise TooLarge(f"the body has more than {limit} bytes", reason="BODY_TOO_LARGE")


def _endpoint(
    operation: AnyOperation, door: Door, draining: Callable[[], bool]
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handle(request: web.Request) -> web.StreamResponse:
        if operation.inbound and draining():
            raise refusal.Draining
        who = None
        if operation.who != "anyone":
            who = await door.admit(request, operation.who)
            request[ASKER] = who.customer_id or "admin"
        ask: Ask[BaseModel, BaseModel] = Ask(
            who=who,
            path=_path(request),
            query=read_query(operation.query, request.query),
            body=await _body(request, operation),
            match=read_match(request.headers.get("If-Match")) if operation.conditional else None,
            request_id=request[REQUEST_ID],
            key=read_key(request.headers.get("Idempotency-Key")) if operation.repeatable else None,
        )
        try:
            found = await operation.handler(ask)
        except Conflict as error:
            if ask.match is not None and error.reason == "VERSION_MISMATCH":
                raise refusal.Stale(error.message) from None
            raise
        if isinstance(found, Download):
            return await send(request, found, {"X-Request-Id": ask.request_id})
        if isinstance(found, Lines):
            return await send_lines(request, found, {"X-Request-Id": ask.request_id})
        headers = {}
        if isinstance(found, Answer):
            headers["ETag"] = f'"{found.version}"'
            found = found.result
        assert not isinstance(found, Said)  # only a raw operation says that
        return web.Response(
            text=found.model_dump_json(),
            status=operation.success,
            headers=headers,
            content_type="application/json",
        )

    return handle


def _path(request: web.Request) -> dict[str, str]:
    """The path's variables, checked. Raises Invalid: what cannot be an id is no missing thing but a wrong request."""
    found = dict(request.match_info)
    for name, value in found.items():
        if PARAMETERS[name].get("format") == "uuid":
            found[name] = value.lower()
            if not _UUID.fullmatch(found[name]):
                raise Invalid("the id is no UUID", faults=[Fault(name, "must be a UUID")], reason="INVALID_ID")
        elif not (value.isascii() and value.isdigit() and 1 <= int(value[:11]) <= PARAMETERS[name]["maximum"]):
            what = f"must be a whole number from 1 to {PARAMETERS[name]['maximum']}"
            raise Invalid("the path is not usable", faults=[Fault(name, what)], reason="INVALID_ID")
    return found


async def _body(request: web.Request, operation: AnyOperation) -> BaseModel:
    if operation.body is Nothing:
        return Nothing()
    if request.content_type != "application/json" or (request.charset or "utf-8").lower() not in ("utf-8", "us-ascii"):
        raise refusal.TypeRefused
    body: BaseModel = read_body(operation.body, await request.read())
    return body


def around(proxies: Proxies) -> Middleware:
    """Around every request: its id, its error answers, its count and its line."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        started = time.perf_counter()
        given = request.headers.get("X-Request-Id", "")
        request_id = request[REQUEST_ID] = given if _GIVEN_ID.match(given) else take_chance(8).hex()
        response: web.StreamResponse
        try:
            response = await handler(request)
        except EdgeError as error:
            if isinstance(error, Internal):
                _log.exception("request failed", request_id=request_id, path=request.path)
            elif isinstance(error, Unavailable):
                _log.warning("request not served", request_id=request_id, path=request.path, error=error.message)
            response = refuse(error, request_id)
        except web.HTTPRequestEntityTooLarge:
            response = refuse(TooLarge("the body is too large", reason="BODY_TOO_LARGE"), request_id)
        except web.HTTPNotFound:
            response = refuse(refusal.RouteUnknown(), request_id)
        except web.HTTPRedirection as redirection:
            response = web.Response(status=redirection.status, headers={"Location": redirection.headers["Location"]})
        except (asyncio.CancelledError, ConnectionError):  # the client went away
            raise
        except Exception:
            _log.exception("request failed", request_id=request_id, path=request.path)
            response = refuse(Internal("unexpected"), request_id)
        if not response.prepared:
            response.headers["X-Request-Id"] = request_id
        _note(request, response.status, time.perf_counter() - started, proxies.client(request))
        return response

    return middleware


def refuse(error: EdgeError, request_id: str) -> web.Response:
    """The answer to an error."""
    return web.Response(
        text=refusal.envelope(error, request_id).model_dump_json(exclude_none=True),
        status=error.http,
        headers=refusal.headers(error),
        content_type="application/json",
    )


def _note(request: web.Request, status: int, seconds: float, remote: str) -> None:
    resource = request.match_info.route.resource
    route = resource.canonical if resource is not None else UNMATCHED
    method = request.method if request.method in METHODS else "other"
    REQUESTS.labels(route, method, str(status)).inc()
    series = _seconds.get(route)
    if series is None:
        series = _seconds[route] = SECONDS.labels(route)
    series.observe(seconds)
    level: Literal["debug", "info"] = "debug" if route in QUIET and status < 400 else "info"
    if not enabled(level):
        return
    write = _log.debug if level == "debug" else _log.info
    write(
        "request",
        method=request.method,
        path=request.path,
        status=status,
        ms=round(seconds * 1000, 1),
        remote=remote,
        customer=request.get(ASKER),
        request_id=request[REQUEST_ID],
    )
