"""The guarded HTTP client: asks what a customer's flow names, and reaches nothing that only we can reach.

- The address is checked where the socket for it is made: what is checked is what is connected to, whatever a name
  resolved to a moment ago, and for each redirect anew. Private, loopback, link-local, multicast and reserved networks
  are refused unless the configuration allows them, IPv4 addresses inside IPv6 ones too.
- Only http and https, at most three redirects and those of GET only, no proxy, no cookies.
- One deadline for everything, and a limit on the size that counts while the body comes in, unpacked.

What it raises says which URL, without its query and password: Invalid for what is no URL of ours to ask, Forbidden for
an address, NotFound, TooLarge, and Unavailable for all that may be better next time.
"""

from __future__ import annotations

import asyncio
import errno
import json
import socket
import zlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any, Final, Literal, NamedTuple

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from pydantic import Field, IPvAnyNetwork, PositiveFloat, PositiveInt
from yarl import URL

from edge.errors import EdgeError, Forbidden, Invalid, NotFound, TooLarge, Unavailable
from edge.metrics import counter
from edge.names import look_up
from edge.settings import Section

REDIRECTS: Final = 3
REDIRECT_STATUS: Final = frozenset({301, 302, 303, 307, 308})
URL_CHARACTERS: Final = 2_048
CHUNK_BYTES: Final = 65_536
CONNECTIONS: Final = 200  # at once; more wait, and their deadline runs
PER_HOST: Final = 20  # of them to one host, so that one that hangs is felt by its own askers only
WS_CLOSE_SECONDS: Final = 1.0  # for the other side's last word

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
Address = IPv4Address | IPv6Address
WebSocket = aiohttp.ClientWebSocketResponse[bool]

# Besides what the address registries call not global (RFC 6890 and its successors).
REFUSED: Final = tuple(
    map(
        IPv4Network,
        (
            "100.64.0.0/10",  # shared by carriers, RFC 6598; some clouds keep their metadata there
            "168.63.129.16/32",  # a cloud's host, reachable from its guests only
            "192.0.0.0/24",  # protocol assignments, RFC 6890
            "192.88.99.0/24",  # 6to4 relays, RFC 7526
            "198.18.0.0/15",  # benchmarks, RFC 2544
        ),
    )
)
GLOBAL_UNICAST: Final = IPv6Network("2000::/3")  # RFC 4291 §2.4; nothing else of IPv6 is the Internet
NAT64: Final = IPv6Network("64:ff9b::/96")  # RFC 6052

_FETCHES = counter("http_fetches_total", "Requests to URLs in flows, by outcome.", ("outcome",))
_FETCHED, _REFUSED, _FAILED = (_FETCHES.labels(outcome) for outcome in ("fetched", "refused", "failed"))


class HttpSection(Section):
    """What flows may ask by http and https."""

    allow_private: list[IPvAnyNetwork] = Field(
        default_factory=list,
        description="Private networks that may be reached all the same, e.g. that of a server with prompts.",
    )
    deadline_seconds: PositiveFloat = Field(
        default=10.0, description="A request takes at most this long, redirects included."
    )
    max_bytes: PositiveInt = Field(default=20_000_000, description="A body is at most this large, unpacked.")


class Answer(NamedTuple):
    """What a URL answered. `content_type` is lower-case and without parameters: `audio/wav`."""

    status: int
    body: bytes
    content_type: str
    retry_after: str = ""  # the header fields, as they came
    cache_control: str = ""


class Guard:
    """The client. One for the process; `close` it at the end.

    Another one, `own`, asks what the operator himself has named, a carrier's API: it may be at any address, and
    connections to it are kept open.
    """

    def __init__(self, section: HttpSection, *, own: bool = False) -> None:
        self._section = section
        self._own = own
        self._session: aiohttp.ClientSession | None = None
        self._sockets: aiohttp.ClientSession | None = None  # for connections that last

    async def fetch(self, url: str, *, max_bytes: int | None = None, deadline: float | None = None) -> bytes:
        """The body behind a URL, if it is answered 200. The limits are those of `request`. Raises EdgeError."""
        answer = await self.request("GET", url, max_bytes=max_bytes, deadline=deadline)
        if answer.status == 200:
            return answer.body
        at = shown(URL(url))
        if answer.status in (404, 410):
            raise NotFound(f"{at} is not there ({answer.status})", reason="URL_NOT_FOUND")
        raise Unavailable(f"{at} was answered {answer.status}")

    async def post(self, url: str, body: dict[str, Any]) -> int:
        """POST JSON; returns the status of the answer, whose body is not looked at. Raises EdgeError."""
        headers = {"Content-Type": "application/json"}
        return (await self.request("POST", url, headers=headers, body=json.dumps(body).encode(), max_bytes=0)).status

    async def request(
        self,
        method: Method,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        max_bytes: int | None = None,
        deadline: float | None = None,
        follow: bool = True,
    ) -> Answer:
        """What a URL answers, whatever the status. Raises EdgeError, see above, when it gives no answer.

        `deadline` in seconds; the limits default to the section's, and with `max_bytes` 0 the body is not looked at.
        A redirect is followed only for GET and with `follow`, for the next host is not the one that was named;
        otherwise it is the answer. Works in a task of its own, so that a run that has none yet can wait for it.
        """
        limit = self._section.max_bytes if max_bytes is None else max_bytes
        seconds = self._section.deadline_seconds if deadline is None else deadline
        hops = REDIRECTS if follow and method == "GET" else 0
        asking = self._request(method, url, dict(headers or {}), body, limit, seconds, hops)
        if self._own:
            return await asyncio.create_task(asking, name="fetch")
        try:
            answer = await asyncio.create_task(asking, name="fetch")
        except EdgeError as error:
            (_REFUSED if isinstance(error, (Forbidden, Invalid)) else _FAILED).inc()
            raise
        (_FETCHED if answer.status < 300 else _FAILED).inc()
        return answer

    async def websocket(self, url: str, *, deadline: float, max_bytes: int, heartbeat: float) -> WebSocket:
        """An open WebSocket (ws or wss), whose messages are at most so large, and which is closed when no pong comes.

        Works in a task of its own, as `request`. Raises EdgeError, see above.
        """
        return await asyncio.create_task(self._websocket(url, deadline, max_bytes, heartbeat), name="websocket")

    def require(self, text: str) -> None:
        """Raises Invalid for what is no URL that could ever be asked, Forbidden for one that names an address that is
        not allowed. Where a name leads is looked at when it is asked."""
        host = read_url(text).host or ""
        try:
            address = ip_address(host.partition("%")[0])
        except ValueError:
            return
        if not self._allows(address):
            raise Forbidden(f"{host} is not allowed")

    async def resolve(self, host: str, port: int, *, deadline: float) -> tuple[str, int]:
        """An address that datagrams to a host may be sent to. Raises Forbidden when it has only others; Unavailable."""
        try:
            async with asyncio.timeout(deadline):
                found = await look_up(host, port, kind=socket.SOCK_DGRAM)
        except TimeoutError:
            raise Unavailable(f"{host} was not found within {deadline:g} seconds") from None
        except OSError as error:
            raise Unavailable(f"{host} was not found: {error.strerror}") from None
        for *_, address in found:
            if self._allows(ip_address(str(address[0]).partition("%")[0])):
                return str(address[0]), port
        raise Forbidden(f"{host} is at an address that is not allowed")

    async def close(self) -> None:
        for session in (self._session, self._sockets):
            if session is not None:
                await session.close()

    async def _request(
        self, method: str, text: str, headers: dict[str, str], body: bytes | None, limit: int, seconds: float, hops: int
    ) -> Answer:
        trip = _Trip(read_url(text))
        async with trip.told(seconds):
            for _ in range(hops + 1):
                async with self._client().request(
                    method, trip.at, headers=headers, data=body, allow_redirects=False
                ) as response:
                    if not hops or response.status not in REDIRECT_STATUS:
                        return await _read(response, trip.url, limit)
                    trip.at = _follow(trip.at, response.headers.get("Location"))
        raise Unavailable(f"{shown(trip.url)} redirects more than {hops} times")

    async def _websocket(self, text: str, seconds: float, limit: int, heartbeat: float) -> WebSocket:
        if not text.lower().startswith(("ws://", "wss://")):
            raise Invalid(f"not a ws or wss URL: {text[:100]!r}")
        trip = _Trip(read_url(f"http{text[2:]}").with_scheme(text.partition(":")[0].lower()))
        if self._sockets is None:
            self._sockets = self._open(0, 0)  # no limit: that is whoever asks for them
        async with trip.told(seconds):
            try:
                return await self._sockets.ws_connect(
                    trip.url,
                    max_msg_size=limit,
                    heartbeat=heartbeat,
                    compress=0,
                    timeout=aiohttp.ClientWSTimeout(ws_close=WS_CLOSE_SECONDS),
                )
            except aiohttp.WSServerHandshakeError as error:
                raise Unavailable(f"{shown(trip.url)} opens no WebSocket: it was answered {error.status}") from None

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = self._open(CONNECTIONS, PER_HOST)
        return self._session

    def _open(self, connections: int, per_host: int) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                socket_factory=self._socket,
                resolver=_Names(),
                use_dns_cache=False,
                force_close=not self._own,
                limit=connections,
                limit_per_host=per_host,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),  # whoever asks has the one deadline
            headers={"Accept-Encoding": "gzip", "User-Agent": "edge"},
            auto_decompress=False,  # `_Unpacked` knows when to stop
            trust_env=False,
        )

    def _socket(self, info: tuple[Any, ...]) -> socket.socket:
        """The socket to one address, the last moment to refuse it."""
        family, kind, protocol, _, (host, *_) = info
        if not self._allows(ip_address(host.partition("%")[0])):
            raise PermissionError(errno.EACCES, f"{host} is not allowed")
        return socket.socket(family, kind, protocol)

    def _allows(self, address: Address) -> bool:
        if self._own:
            return True
        inner = embedded(address)
        allowed = (address, inner) if inner is not None else (address,)
        if any(one in network for one in allowed for network in self._section.allow_private):
            return True
        return is_public(address)


class _Names(AbstractResolver):
    """How aiohttp comes to addresses. An address is none of its business."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await look_up(host, port, kind=socket.SOCK_STREAM, family=family, flags=socket.AI_ADDRCONFIG)
        return [
            ResolveResult(
                hostname=host,
                host=str(address[0]),
                port=int(address[1]),
                family=its,
                proto=protocol,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for its, _, protocol, _, address in found
        ]

    async def close(self) -> None:
        """The threads are everybody's."""


class _Trip:
    """The way to one URL: `at` is where redirects have led so far."""

    def __init__(self, url: URL) -> None:
        self.url = self.at = url

    @asynccontextmanager
    async def told(self, seconds: float) -> AsyncIterator[None]:
        """What goes wrong within, and what takes longer, told as an EdgeError."""
        url = self.url
        try:
            async with asyncio.timeout(seconds):
                yield
        except TimeoutError:
            raise Unavailable(f"{shown(url)} did not come within {seconds:g} seconds") from None
        except aiohttp.ClientConnectorError as error:
            at = self.at
            if error.os_error.errno == errno.EACCES:
                raise Forbidden(f"{_via(url, at)} is at an address that is not allowed: {error.host}") from None
            raise Unavailable(f"cannot connect to {_via(url, at)}: {error.os_error}") from None
        except aiohttp.InvalidURL:
            raise Invalid(f"not a URL: {_via(url, self.at)}") from None
        except (aiohttp.ClientError, OSError) as error:
            raise Unavailable(f"cannot fetch {_via(url, self.at)}: {error or type(error).__name__}") from None


def is_public(address: Address) -> bool:
    """Whether anybody on the Internet could reach it, so that reaching it for somebody gives nothing away."""
    inner = embedded(address)
    if inner is not None:
        return is_public(inner)
    if not address.is_global or address.is_multicast:
        return False
    if isinstance(address, IPv6Address):
        return address in GLOBAL_UNICAST
    return not any(address in network for network in REFUSED)


def embedded(address: Address) -> IPv4Address | None:
    """The IPv4 address that packets to this IPv6 address end up at: mapped, 6to4 or NAT64. (Teredo is not global.)"""
    if isinstance(address, IPv4Address):
        return None
    if address in NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour


def shown(url: URL) -> str:
    """A URL as it may be logged: without user, password, query and fragment."""
    return str(url.with_user(None).with_query(None).with_fragment(None))


def read_url(text: str) -> URL:
    """Raises Invalid for what is no http or https URL, whatever is there."""
    if len(text) > URL_CHARACTERS:
        raise Invalid(f"a URL of more than {URL_CHARACTERS} characters: {text[:40]}…")
    try:
        url = URL(text)
    except ValueError:
        raise Invalid(f"not a URL: {text[:100]!r}") from None
    if url.scheme not in ("http", "https") or not url.host:
        raise Invalid(f"not an http or https URL: {text[:100]!r}")
    return url


def _follow(at: URL, location: str | None) -> URL:
    if location is None:
        raise Unavailable(f"{shown(at)} redirects to nowhere")
    try:
        return read_url(str(at.join(URL(location))))
    except (ValueError, Invalid) as error:
        raise Forbidden(f"{shown(at)} redirects to what cannot be fetched: {error}") from None


def _via(url: URL, at: URL) -> str:
    return shown(url) if at == url else f"{shown(at)} (by redirect from {shown(url)})"


async def _read(response: aiohttp.ClientResponse, url: URL, limit: int) -> Answer:
    """The answer with its body unpacked, given up as soon as it is too large."""
    said = response.headers.get("Retry-After", ""), response.headers.get("Cache-Control", "")
    if not limit:
        return Answer(response.status, b"", response.content_type, *said)
    if (response.content_length or 0) > limit:
        raise _too_large(url, limit)
    unpacked = _Unpacked(response.headers.get("Content-Encoding", ""), url)
    body = bytearray()
    async for chunk in response.content.iter_chunked(CHUNK_BYTES):
        body += unpacked.feed(chunk, limit + 1 - len(body))
        if len(body) > limit:
            raise _too_large(url, limit)
    unpacked.end()
    return Answer(response.status, bytes(body), response.content_type, *said)


class _Unpacked:
    """Unpacks a body piece by piece, and no more of it than asked for: a small one can hold gigabytes."""

    def __init__(self, encoding: str, url: URL) -> None:
        self._url = url
        match encoding.strip().lower():
            case "" | "identity":
                self._inflate = None
            case "gzip" | "x-gzip" | "deflate":
                self._inflate = zlib.decompressobj(wbits=47)  # gzip and zlib, told apart by their headers
            case other:
                raise Unavailable(f"{shown(url)} came packed as {other[:20]!r}, which nobody asked for")

    def feed(self, chunk: bytes, room: int) -> bytes:
        """The next bytes, `room` at most; the rest is dropped, for the caller gives up then."""
        if self._inflate is None:
            return chunk
        try:
            return self._inflate.decompress(chunk, room)
        except zlib.error as error:
            raise Unavailable(f"{shown(self._url)} came damaged: {error}") from None

    def end(self) -> None:
        if self._inflate is not None and not self._inflate.eof:
            raise Unavailable(f"{shown(self._url)} came damaged: it ends too early")


def _too_large(url: URL, limit: int) -> TooLarge:
    return TooLarge(f"{shown(url)} is larger than {limit} bytes")
