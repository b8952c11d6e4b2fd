"""The guarded client against real servers on loopback: what it fetches, and what it refuses to touch."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import threading
import zlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from edge.errors import EdgeError, Forbidden, Invalid, NotFound, TooLarge, Unavailable
from edge.http import Answer, Guard, HttpSection, Method, is_public
from edge.trunks.resolve import resolve

LIMIT = 1000
PACKED = {"Content-Encoding": "gzip"}


@dataclass
class Site:
    """A server and what it was asked for."""

    url: str = ""
    other: str = ""  # the same server at an address that is not allowed
    asked: list[str] = field(default_factory=list)
    peers: list[Any] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path)
        self.peers.append(request.transport and request.transport.get_extra_info("peername"))
        match request.path.split("/")[1:]:
            case ["wav"]:
                return web.Response(body=b"RIFF", content_type="audio/wav", headers={"X-Q": request.query_string})
            case ["text"]:
                return web.Response(text="hello", charset="utf-8")
            case ["bytes", count]:
                return web.Response(body=b"x" * int(count))
            case ["stream", count]:
                return await self._stream(request, b"x" * 100, int(count) // 100)
            case ["gzip", count]:
                return web.Response(body=gzip.compress(b"x" * int(count)), headers=PACKED)
            case ["deflate"]:
                return web.Response(body=zlib.compress(b"hello"), headers={"Content-Encoding": "deflate"})
            case ["brotli"]:
                return web.Response(body=b"?", headers={"Content-Encoding": "br"})
            case ["damaged"]:
                return web.Response(body=b"not gzip at all", headers=PACKED)
            case ["cut"]:
                return web.Response(body=gzip.compress(bytes(range(256)))[:-20], headers=PACKED)
            case ["status", code]:
                return web.Response(status=int(code), body=b"?")
            case ["hops", count]:
                target = "/text" if count == "0" else f"/hops/{int(count) - 1}"
                return web.Response(status=302, headers={"Location": target})
            case ["to-other"]:
                return web.Response(status=307, headers={"Location": self.other + "/text"})
            case ["to-file"]:
                return web.Response(status=302, headers={"Location": "file:///etc/passwd"})
            case ["mirror"]:
                heard = {
                    "method": request.method,
                    "body": await request.text(),
                    "headers": dict(request.headers),
                }
                return web.json_response(heard, status=207)
            case ["to-nowhere"]:
                return web.Response(status=302)
            case ["never"]:
                await asyncio.sleep(60)
            case ["drip"]:
                return await self._stream(request, b"x", 1000, pause=0.02)
        return web.Response(status=404)

    async def _stream(self, request: web.Request, piece: bytes, count: int, pause: float = 0.0) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(count):
            await response.write(piece)
            await asyncio.sleep(pause)
        return response


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site = Site()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", site.answer)
    server = TestServer(app, host="0.0.0.0")
    await server.start_server()
    site.url, site.other = f"http://127.0.0.1:{server.port}", f"http://127.0.0.2:{server.port}"
    yield site
    await server.close()


@pytest.fixture
async def guard() -> AsyncIterator[Guard]:
    """It may reach 127.0.0.1 and no other private address."""
    guard = Guard(HttpSection(allow_private=[IPv4Network("127.0.0.1/32")], max_bytes=LIMIT, deadline_seconds=5))
    yield guard
    await guard.close()


@pytest.mark.parametrize(
    ("path", "body", "content_type"),
    [
        ("/wav?token=secret", b"RIFF", "audio/wav"),
        ("/text", b"hello", "text/plain"),
        ("/bytes/0", b"", "application/octet-stream"),
        (f"/bytes/{LIMIT}", b"x" * LIMIT, "application/octet-stream"),
        (f"/stream/{LIMIT}", b"x" * LIMIT, "application/octet-stream"),
        (f"/gzip/{LIMIT}", b"x" * LIMIT, "application/octet-stream"),
        ("/deflate", b"hello", "application/octet-stream"),
        ("/hops/0", b"hello", "text/plain"),
        ("/hops/2", b"hello", "text/plain"),  # three redirects
    ],
)
async def test_fetches(site: Site, guard: Guard, path: str, body: bytes, content_type: str) -> None:
    assert await guard.request("GET", site.url + path) == Answer(200, body, content_type)
    assert await guard.fetch(site.url + path) == body


async def test_what_the_operator_named_may_be_anywhere_and_its_connections_stay(site: Site) -> None:
    own = Guard(HttpSection(), own=True)
    for _ in range(3):
        answer = await own.request("POST", site.other + "/mirror", body=b"hello")
        assert answer.status == 207
    assert (await own.request("POST", site.other + "/to-other")).status == 307  # which it does not follow
    await own.close()
    assert len(set(site.peers)) == 1
    async with asyncio.timeout(5):
        waiting = Guard(HttpSection(), own=True)
        with pytest.raises(Unavailable):
            await waiting.request("GET", site.url + "/never", deadline=0.05)
        await waiting.close()


async def test_an_answer_may_say_when_to_come_again(guard: Guard) -> None:
    async def busy(request: web.Request) -> web.Response:
        return web.Response(status=429, headers={"Retry-After": "7"})

    app = web.Application()
    app.router.add_post("/", busy)
    async with TestServer(app) as server:
        url = f"http://127.0.0.1:{server.port}/"
        for limit in (0, 100):
            assert (await guard.request("POST", url, max_bytes=limit)).retry_after == "7"


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
async def test_what_is_asked_is_what_was_said(site: Site, guard: Guard, method: Method) -> None:
    body = None if method == "GET" else b'{"a": 1}'
    headers = {"Content-Type": "application/json", "X-Own": "yes"}
    answer = await guard.request(method, site.url + "/mirror", headers=headers, body=body)
    assert answer.status == 207
    heard = json.loads(answer.body)
    assert (heard["method"], heard["body"]) == (method, (body or b"").decode())
    assert (
        heard["headers"].items() >= {"Content-Type": "application/json", "X-Own": "yes", "User-Agent": "edge"}.items()
    )


@pytest.mark.parametrize("status", [204, 404, 410, 429, 500])
async def test_any_status_is_an_answer(site: Site, guard: Guard, status: int) -> None:
    assert (await guard.request("POST", f"{site.url}/status/{status}")).status == status


@pytest.mark.parametrize(("method", "follow"), [("POST", True), ("PUT", True), ("DELETE", True), ("GET", False)])
async def test_a_redirect_of_what_is_not_to_be_followed_is_the_answer(
    site: Site, guard: Guard, method: Method, follow: bool
) -> None:
    assert (await guard.request(method, site.url + "/hops/0", body=b"{}", follow=follow)).status == 302
    assert site.asked == ["/hops/0"]


async def test_a_body_that_nobody_wants_is_not_looked_at(site: Site, guard: Guard) -> None:
    answer = await guard.request("GET", f"{site.url}/bytes/{LIMIT + 1}", max_bytes=0)
    assert (answer.status, answer.body) == (200, b"")
    assert await guard.post(f"{site.url}/bytes/{LIMIT + 1}", {"a": 1}) == 200


@pytest.mark.parametrize(
    ("path", "kind", "says"),
    [
        (f"/bytes/{LIMIT + 1}", TooLarge, f"larger than {LIMIT} bytes"),
        (f"/stream/{LIMIT + 100}", TooLarge, f"larger than {LIMIT} bytes"),
        ("/gzip/9000000", TooLarge, f"larger than {LIMIT} bytes"),
        ("/brotli", Unavailable, "packed as 'br'"),
        ("/damaged", Unavailable, "damaged"),
        ("/cut", Unavailable, "ends too early"),
        ("/status/404", NotFound, "not there (404)"),
        ("/status/500", Unavailable, "answered 500"),
        ("/status/204", Unavailable, "answered 204"),
        ("/hops/3", Unavailable, "more than 3 times"),
        ("/to-other", Forbidden, "an address that is not allowed"),
        ("/to-file", Forbidden, "file:///etc/passwd"),
        ("/to-nowhere", Unavailable, "nowhere"),
    ],
)
async def test_gives_up(site: Site, guard: Guard, path: str, kind: type[EdgeError], says: str) -> None:
    with pytest.raises(kind) as raised:
        await guard.fetch(f"{site.url}{path}?token=secret")
    assert says in raised.value.message
    assert site.url + path in raised.value.message  # which URL …
    assert "secret" not in raised.value.message  # … but not what may be a password


async def test_a_redirect_to_an_address_that_is_not_allowed_is_never_followed(site: Site, guard: Guard) -> None:
    with pytest.raises(Forbidden):
        await guard.fetch(site.url + "/to-other")
    assert site.asked == ["/to-other"]


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f.0.0.1", "0.0.0.0", "[::1]", "[::ffff:127.0.0.1]"]
)
async def test_no_spelling_of_a_private_address_gets_through(site: Site, host: str) -> None:
    guard = Guard(HttpSection())
    port = site.url.rpartition(":")[2]
    with pytest.raises((Forbidden, Invalid)):  # Invalid: the spellings that the library itself will not have
        await guard.fetch(f"http://{host}:{port}/text")
    await guard.close()
    assert site.asked == []


async def test_a_mapped_address_is_allowed_as_the_one_inside(site: Site, guard: Guard) -> None:
    port = site.url.rpartition(":")[2]
    assert await guard.fetch(f"http://[::ffff:127.0.0.1]:{port}/text") == b"hello"


@pytest.mark.parametrize("path", ["/never", "/drip"])
async def test_the_deadline_counts_for_everything(site: Site, guard: Guard, path: str) -> None:
    with pytest.raises(Unavailable, match=r"did not come within 0\.05 seconds"):
        await guard.fetch(site.url + path, deadline=0.05, max_bytes=10**6)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com/x",
        "file:///etc/passwd",
        "example.com/x",
        "",
        "http://",
        "http://[::1",
        "http://h:99999/",
        "x" * 3000,
    ],
)
async def test_what_is_no_url(guard: Guard, url: str) -> None:
    with pytest.raises(Invalid):
        await guard.fetch(url)


async def test_nobody_there(guard: Guard, unused_tcp_port: int) -> None:
    with pytest.raises(Unavailable, match="cannot connect"):
        await guard.fetch(f"http://127.0.0.1:{unused_tcp_port}/")


async def test_a_fetch_ends_with_who_waits_for_it(site: Site, guard: Guard) -> None:
    waiting = asyncio.create_task(guard.fetch(site.url + "/never"))
    while not site.asked:
        await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "fetch" and not task.done()]


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("172.32.0.1", True),
        ("2001:4860:4860::8888", True),
        ("::ffff:8.8.8.8", True),
        ("64:ff9b::808:808", True),
        ("2002:808:808::1", True),
        ("10.1.2.3", False),
        ("172.31.255.255", False),
        ("192.168.0.1", False),
        ("127.8.8.8", False),
        ("169.254.169.254", False),  # metadata of clouds …
        ("100.100.100.200", False),
        ("168.63.129.16", False),
        ("192.0.0.192", False),
        ("fd00:ec2::254", False),  # … in IPv6 too
        ("0.0.0.0", False),
        ("100.64.0.1", False),
        ("198.18.0.1", False),
        ("203.0.113.9", False),
        ("224.0.1.1", False),
        ("255.255.255.255", False),
        ("::", False),
        ("::1", False),
        ("::127.0.0.1", False),
        ("::ffff:10.0.0.1", False),
        ("64:ff9b::a00:1", False),
        ("64:ff9b:1::1", False),
        ("2002:a00:1::1", False),
        ("2001:0:4136:e378:8000:63bf:3fff:fdd2", False),
        ("2001:db8::1", False),
        ("fe80::1", False),
        ("fec0::1", False),
        ("fc00::1", False),
        ("ff02::1", False),
    ],
)
def test_which_addresses_are_public(address: str, public: bool) -> None:
    assert is_public(ip_address(address)) is public


def test_networks_of_both_kinds_can_be_allowed() -> None:
    section = HttpSection.model_validate({"allow_private": ["10.0.0.0/8", "fd00::/8"]})
    assert section.allow_private == [IPv4Network("10.0.0.0/8"), IPv6Network("fd00::/8")]


# What lasts, and what has no connection


async def _echo(request: web.Request) -> web.WebSocketResponse:
    made = web.WebSocketResponse()
    await made.prepare(request)
    async for message in made:
        await made.send_str(f"{message.data} {request.headers.get('Cookie', '')}")
    return made


@pytest.fixture
async def echo() -> AsyncIterator[int]:
    """A WebSocket server; its port."""
    app = web.Application()
    app.router.add_get("/echo", _echo)
    async with TestServer(app, host="127.0.0.1") as server:
        assert server.port is not None
        yield server.port


async def _open(guard: Guard, url: str) -> str:
    socket = await guard.websocket(url, deadline=1, max_bytes=1000, heartbeat=10)
    await socket.send_str("hello")
    said = (await socket.receive()).data
    await socket.close()
    return str(said)


async def test_a_websocket_is_opened_where_that_is_allowed(echo: int) -> None:
    guard = Guard(HttpSection(allow_private=[IPv4Network("127.0.0.1/32")]))
    assert await _open(guard, f"ws://127.0.0.1:{echo}/echo") == "hello "
    assert await _open(guard, f"WS://localhost:{echo}/echo") == "hello "
    for url, error in {
        f"ws://127.0.0.2:{echo}/echo": Forbidden,
        f"ws://127.0.0.1:{echo}/other": Unavailable,
        f"http://127.0.0.1:{echo}/echo": Invalid,
        "ws:///": Invalid,
        "wss://": Invalid,
        "ws://127.0.0.1:1/": Unavailable,
    }.items():
        with pytest.raises(error):
            await _open(guard, url)
    await guard.close()
    with pytest.raises(Forbidden):
        await _open(guard := Guard(HttpSection()), f"ws://127.0.0.1:{echo}/echo")
    await guard.close()


@pytest.mark.parametrize(
    ("host", "found"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("192.0.2.1", None),
        ("8.8.8.8", "8.8.8.8"),
        ("2001:4860:4860::8888", "2001:4860:4860::8888"),
        ("10.0.0.1", None),
        ("::1", None),
        ("::ffff:10.0.0.1", None),
        ("0.0.0.0", None),
        ("169.254.169.254", None),
        ("224.0.0.1", None),
    ],
)
async def test_where_datagrams_may_go(host: str, found: str | None) -> None:
    guard = Guard(HttpSection(allow_private=[IPv4Network("127.0.0.1/32")]))
    if found is None:
        with pytest.raises(Forbidden, match=f"{host} is at an address that is not allowed"):
            await guard.resolve(host, 4000, deadline=1)
    else:
        assert await guard.resolve(host, 4000, deadline=1) == (found, 4000)


async def test_a_host_without_an_address() -> None:
    with pytest.raises(Unavailable, match="was not found"):
        await Guard(HttpSection()).resolve("no-such-host.invalid", 1, deadline=5)


async def test_names_that_nobody_answers_for_do_not_keep_the_threads_of_others(
    guard: Guard, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered, real = threading.Event(), socket.getaddrinfo

    def slow(host: Any, *rest: Any, **more: Any) -> Any:
        if str(host).endswith(".example"):
            answered.wait(20)
            raise socket.gaierror("no such name")
        return real(host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    asking: list[asyncio.Future[Any]] = [
        asyncio.ensure_future(guard.request("GET", f"http://{name}.example/")) for name in range(40)
    ]
    asking += [asyncio.ensure_future(resolve(f"{name}.example", 5060)) for name in range(40)]
    try:
        await asyncio.sleep(0)
        async with asyncio.timeout(5):
            assert await asyncio.to_thread(lambda: "read") == "read"
    finally:
        answered.set()
        assert all(isinstance(one, Exception) for one in await asyncio.gather(*asking, return_exceptions=True))
