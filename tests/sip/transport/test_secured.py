"""Connections over TLS: who gets one, who does not, and what ends it."""

from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import count
from pathlib import Path

import pytest

from edge.sip import limits
from edge.sip.agent import Agent
from edge.sip.events import CallAnswered, CallEnded, CallFailed, CallOffered, Event, TextOffered
from edge.sip.peer import Peer
from edge.sip.reading import BODY_MAX, HEAD_MAX
from edge.sip.section import TlsSection
from edge.sip.secure import Secured
from edge.sip.transport import Endpoint, streams
from edge.sip.transport.tls import Tls
from tests.certificates import Authority, Pair
from tests.logged import logged
from tests.sip.ladder import OURS, SDP, invite, request
from tests.sip.transport.test_endpoint import US, discarded, read_message, status

REFUSED = (ConnectionError, ssl.SSLError, asyncio.IncompleteReadError)
VIA = "SIP/2.0/TLS 127.0.0.1"


class Edge:
    """An endpoint that listens for TLS, and what its user was told."""

    def __init__(self, tls: Tls) -> None:
        tokens = count()
        self.agent = Agent(lambda: f"t{next(tokens)}")
        self.events: asyncio.Queue[Event] = asyncio.Queue()
        self.admitted = True
        self.endpoint = Endpoint(
            self.agent, self.events.put_nowait, lambda _address, _transport: self.admitted, tls=tls
        )
        self.port = 0

    async def event(self) -> Event:
        return await asyncio.wait_for(self.events.get(), 2)

    async def offered(self) -> CallOffered:
        event = await self.event()
        assert isinstance(event, CallOffered)
        return event

    def call(self, to: Edge, subject: str) -> None:
        peer = Peer("tls", (US, self.port), (US, to.port), subject=subject)
        uri = f"sip:{US}:{to.port};transport=tls"
        now = self.endpoint.now()
        self.agent.invite(peer=peer, uri=uri, from_="sip:a@b", to=uri, sdp=SDP, now=now)
        self.endpoint.flush()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


Make = Callable[..., Awaitable[Edge]]


@pytest.fixture
async def make(authority: Authority) -> AsyncIterator[Make]:
    made: list[Edge] = []

    async def make(pair: Pair | None = None, **more: object) -> Edge:
        pair = pair or authority.issue(US)
        section = TlsSection.model_validate({**pair._asdict(), "ca": authority.file, **more})
        edge = Edge(Tls.read(section))
        made.append(edge)
        (bound,) = await edge.endpoint.listen([f"tls:{US}:0"])
        edge.port = int(bound.rpartition(":")[2])
        return edge

    yield make
    for edge in made:
        await edge.endpoint.close()


async def connect(
    edge: Edge, authority: Authority, pair: Pair | None = None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection(US, edge.port, ssl=authority.client(pair))


async def greet(edge: Edge, authority: Authority, pair: Pair | None = None) -> None:
    """A client hears of a refusal only when it reads (TLS 1.3)."""
    reader, writer = await connect(edge, authority, pair)
    writer.write(request("OPTIONS", via=VIA))
    await reader.readexactly(1)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(2):
        while not condition():
            await asyncio.sleep(0.001)


async def test_a_call_in_pieces(make: Make, authority: Authority) -> None:
    edge = await make()
    reader, writer = await connect(edge, authority)
    data = b"\r\n\r\n" + invite(via=VIA) + request("OPTIONS", via=VIA)
    for start in range(0, len(data), 100):
        writer.write(data[start : start + 100])
        await writer.drain()
        await asyncio.sleep(0)
    assert await asyncio.wait_for(reader.readexactly(2), 2) == b"\r\n"  # the pong of the ping
    assert status(await read_message(reader)) == 100
    assert status(await read_message(reader)) == 200
    offer = (await edge.offered()).offer
    assert offer.peer.transport == "tls"
    assert offer.peer.subject == ""
    edge.agent.answer(offer, OURS, edge.endpoint.now())
    edge.endpoint.flush()
    answer = await read_message(reader)
    assert f"Contact: <sip:{US}:{edge.port};transport=tls>".encode() in answer
    writer.close()
    await until(lambda: edge.endpoint.connections == 0)


async def test_a_sips_uri_is_answered_by_one(make: Make, authority: Authority) -> None:
    edge = await make()
    reader, writer = await connect(edge, authority)
    writer.write(invite(via=VIA).replace(b"INVITE sip:", b"INVITE sips:"))
    assert status(await read_message(reader)) == 100
    edge.agent.answer((await edge.offered()).offer, OURS, edge.endpoint.now())
    edge.endpoint.flush()
    assert f"Contact: <sips:{US}:{edge.port}>".encode() in await read_message(reader)
    writer.close()


async def test_who_says_goodbye_behind_a_request_gets_its_answer(make: Make, authority: Authority) -> None:
    edge = await make()
    reader, writer = await asyncio.open_connection(US, edge.port)
    client = Secured(authority.client(), wanted=[US])
    client.begin()
    while not client.stands:
        writer.write(client.take())
        client.feed(await reader.read(65_536))
    writer.write(client.take() + client.seal(request("OPTIONS", via=VIA)) + client.finish())
    answer = b""
    while data := await asyncio.wait_for(reader.read(65_536), 2):
        answer += client.feed(data)
    assert status(answer) == 200
    assert client.over
    writer.close()


async def test_a_message_of_several_records(make: Make, authority: Authority) -> None:
    edge = await make()
    _, writer = await connect(edge, authority)
    writer.write(request("MESSAGE", via=VIA, body=b"x" * 15_000, kind="text/plain", fields={"Subject": "y" * 40_000}))
    event = await edge.event()
    assert isinstance(event, TextOffered)
    assert event.text.text == "x" * 15_000
    writer.close()


async def test_whom_nobody_knows_is_gone_before_the_handshake(make: Make, authority: Authority) -> None:
    edge = await make()
    edge.admitted = False
    before = discarded("source")
    with pytest.raises(REFUSED):
        await connect(edge, authority)
    assert discarded("source") == before + 1
    assert edge.endpoint.connections == 0


@pytest.mark.parametrize("data", [b"INVITE sip:a@b SIP/2.0\r\n\r\n", b"\x16\x03\x01\x00\x05aaaaa", b"\x00" * 300])
async def test_what_is_no_tls_ends_the_connection_only(make: Make, authority: Authority, data: bytes) -> None:
    edge = await make()
    before = discarded("handshake")
    reader, writer = await asyncio.open_connection(US, edge.port)
    writer.write(data)
    await asyncio.wait_for(reader.read(), 2)
    assert discarded("handshake") == before + 1
    writer.close()
    _, writer = await connect(edge, authority)
    writer.close()


async def test_garbage_within_ends_the_connection_only(make: Make, authority: Authority) -> None:
    edge = await make()
    before = discarded("framing")
    reader, writer = await connect(edge, authority)
    writer.write(b"\x00\x01garbage")
    assert await asyncio.wait_for(reader.read(), 2) == b""
    assert discarded("framing") == before + 1
    reader, writer = await connect(edge, authority)
    writer.write(request("OPTIONS", via=VIA))
    assert status(await read_message(reader)) == 200
    writer.close()


async def test_a_head_and_a_body_have_an_end(make: Make, authority: Authority) -> None:
    edge = await make()
    reader, writer = await connect(edge, authority)
    writer.write(b"OPTIONS sip:a@b SIP/2.0\r\nSubject: " + b"x" * HEAD_MAX)
    assert await asyncio.wait_for(reader.read(), 2) == b""
    reader, writer = await connect(edge, authority)
    writer.write(request("MESSAGE", via=VIA, fields={"Content-Length": str(BODY_MAX + 1)}))
    assert status(await asyncio.wait_for(reader.read(), 2)) == 513
    writer.close()


async def test_a_handshake_has_a_deadline_and_there_are_not_many_at_once(
    make: Make, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    edge = await make()
    _, slow = await asyncio.open_connection(US, edge.port)
    await until(lambda: edge.endpoint.connections == 1)
    monkeypatch.setattr(streams, "HANDSHAKES", 1)
    before = discarded("connections")
    with pytest.raises(REFUSED):
        await connect(edge, authority)
    assert discarded("connections") == before + 1
    (stream,) = edge.endpoint._streams._open.values()
    stream.look(edge.endpoint.now() + limits.HANDSHAKE - 1)
    assert edge.endpoint.connections == 1
    before = discarded("slow")
    stream.look(edge.endpoint.now() + limits.HANDSHAKE + 1)
    await until(lambda: edge.endpoint.connections == 0)
    assert discarded("slow") == before + 1
    for _ in range(3):  # those that are over count no more
        _, writer = await connect(edge, authority)
        await until(lambda: edge.endpoint._streams._shaking == 0)
    slow.close()
    writer.close()


@pytest.mark.parametrize(("rest", "seconds", "slow"), [(b"OPTIONS sip:a@b SIP", limits.SLOW, 1), (b"", limits.IDLE, 0)])
async def test_a_slow_and_an_idle_one(make: Make, authority: Authority, rest: bytes, seconds: float, slow: int) -> None:
    edge = await make()
    before = discarded("slow")
    reader, writer = await connect(edge, authority)
    writer.write(b"\r\n\r\n" + rest)
    assert await asyncio.wait_for(reader.readexactly(2), 2) == b"\r\n"
    (stream,) = edge.endpoint._streams._open.values()
    stream.look(edge.endpoint.now() + seconds - 1)
    assert edge.endpoint.connections == 1
    stream.look(edge.endpoint.now() + seconds + 1)
    await until(lambda: edge.endpoint.connections == 0)
    assert discarded("slow") == before + slow
    writer.close()


async def test_one_that_does_not_read_is_cut_off(make: Make, authority: Authority) -> None:
    edge = await make()
    before = discarded("unsent")
    _, writer = await connect(edge, authority)
    await until(lambda: edge.endpoint._streams._shaking == 0)
    (stream,) = edge.endpoint._streams._open.values()
    while stream.send(b"x" * 65_536):  # the client never reads: its buffers and the kernel's fill
        pass
    await until(lambda: edge.endpoint.connections == 0)
    assert discarded("unsent") == before + 1
    writer.close()


async def test_handshakes_that_fail_are_told_at_a_bounded_rate(make: Make) -> None:
    edge = await make()
    before = discarded("handshake")
    with logged() as lines:
        for _ in range(5):
            reader, writer = await asyncio.open_connection(US, edge.port)
            writer.write(b"no TLS at all")
            await asyncio.wait_for(reader.read(), 2)
            writer.close()
        told = [line for line in lines() if line["event"] == "no TLS"]
    assert discarded("handshake") == before + 5
    assert len(told) == 1
    assert (told[0]["opened_by"], told[0]["why"]) == ("them", "wrong version number")


async def test_connections_of_one_source_have_an_end(
    make: Make, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.sip.connection.CONNECTIONS_PER_SOURCE", 1)
    edge = await make()
    _, writer = await connect(edge, authority)
    with pytest.raises(REFUSED):
        await connect(edge, authority)
    writer.close()


@pytest.mark.parametrize(
    ("version", "served"), [("tls1", False), ("tls1_1", False), ("tls1_2", True), ("tls1_3", True)]
)
async def test_versions(make: Make, authority: Authority, version: str, served: bool) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not here: apt-get install openssl")
    edge = await make()
    command = ["openssl", "s_client", "-connect", f"{US}:{edge.port}", f"-{version}", "-CAfile", str(authority.file)]
    ciphers = ["-cipher", "DEFAULT@SECLEVEL=0"]  # without it OpenSSL refuses the old ones by itself
    client = await asyncio.create_subprocess_exec(
        *command, *ciphers, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    said, _ = await asyncio.wait_for(client.communicate(), 10)
    assert (b"Verify return code: 0 (ok)" in said and b"Cipher is (NONE)" not in said) is served, said.decode()
    assert (b"protocol version" in said) is not served


# Who proves to be whom


async def test_a_client_shows_who_it_is(make: Make, authority: Authority) -> None:
    edge = await make(clients="require")
    carrier = authority.issue("gw.example.com", uris=["sip:example.com"])
    _, writer = await connect(edge, authority, carrier)
    writer.write(invite(via=VIA))
    assert (await edge.offered()).offer.peer.subject == "sip:example.com gw.example.com"
    writer.close()


@pytest.mark.parametrize("clients", ["ask", "require"])
async def test_a_client_whom_nobody_vouches_for(make: Make, authority: Authority, clients: str, tmp_path: Path) -> None:
    edge = await make(clients=clients)
    (tmp_path / "other").mkdir()
    before = discarded("handshake")
    stranger = Authority(tmp_path / "other", "other").issue("gw.example.com")
    with pytest.raises(REFUSED):
        await greet(edge, authority, stranger)
    assert discarded("handshake") == before + 1


async def test_a_client_that_shows_nothing(make: Make, authority: Authority) -> None:
    asks, requires = await make(clients="ask"), await make(clients="require")
    reader, writer = await connect(asks, authority)
    writer.write(request("OPTIONS", via=VIA))
    assert status(await read_message(reader)) == 200
    writer.close()
    with pytest.raises(REFUSED):
        await greet(requires, authority)


# Ours to others


@pytest.mark.parametrize(("hosts", "wanted"), [([US], US), (["gw.example.com"], "gw.example.com")])
async def test_a_call_of_ours_and_the_way_back(make: Make, authority: Authority, hosts: list[str], wanted: str) -> None:
    edge, phone = await make(), await make(authority.issue(*hosts))
    edge.call(phone, wanted)
    offered = await phone.offered()
    assert offered.offer.request.via.transport == "TLS"
    theirs = phone.agent.answer(offered.offer, OURS, phone.endpoint.now())
    phone.endpoint.flush()
    while not isinstance(await edge.event(), CallAnswered):
        pass
    await phone.event()
    phone.agent.end(theirs, phone.endpoint.now())
    phone.endpoint.flush()
    assert isinstance(await edge.event(), CallEnded)
    assert (edge.endpoint.connections, phone.endpoint.connections) == (1, 1)  # all over the same one


async def test_whom_we_may_call_over_his_own_connection(make: Make, authority: Authority) -> None:
    """RFC 5923: he shows a certificate, and an alias."""
    edge = await make(clients="ask")
    carrier, nobody = await make(authority.issue("gw.example.com")), await make()
    via = f"SIP/2.0/TLS {US}:{carrier.port};alias"
    reader, writer = await connect(edge, authority, authority.issue("gw.example.com", file="again"))
    writer.write(request("OPTIONS", via=via))
    assert status(await read_message(reader)) == 200
    edge.call(carrier, "gw.example.com")
    assert (await read_message(reader)).startswith(b"INVITE ")
    assert carrier.endpoint.connections == 0
    edge.call(carrier, "other.example.com")  # not who that one proved to be
    await until(lambda: discarded("handshake"))
    assert isinstance(await edge.event(), CallFailed)
    edge.call(nobody, US)  # nor at that port
    await nobody.offered()
    writer.close()
    while not isinstance(await edge.event(), CallFailed):  # what waited for an answer over it
        pass
    edge.call(carrier, "gw.example.com")
    await carrier.offered()


@pytest.mark.parametrize(
    ("data", "port"),
    [
        (request("OPTIONS", via="SIP/2.0/TLS 192.0.2.1:5071;alias"), 5071),
        (request("OPTIONS", via="SIP/2.0/TLS [2001:db8::1];alias"), 5061),
        (request("OPTIONS", via="SIP/2.0/TLS 192.0.2.1"), None),
        (request("OPTIONS", via="SIP/2.0/TCP 192.0.2.1;alias"), None),
        (b"SIP/2.0 200 OK\r\nVia: SIP/2.0/TLS 192.0.2.1;branch=z9hG4bK1;alias\r\n\r\n", None),
        (b"OPTIONS", None),
    ],
)
def test_who_says_so(data: bytes, port: int | None) -> None:
    assert streams.alias(data) == port


async def test_another_than_was_meant_gets_nothing(make: Make, authority: Authority, tmp_path: Path) -> None:
    edge, phone = await make(), await make(authority.issue("other.example.com"))
    edge.call(phone, "gw.example.com")
    failed = await edge.event()
    assert isinstance(failed, CallFailed)
    assert failed.status == 503
    (tmp_path / "other").mkdir()
    stranger = Authority(tmp_path / "other", "other")
    edge.endpoint.secure(Tls.read(TlsSection(ca=stranger.file)))
    edge.call(phone, "other.example.com")
    assert isinstance(await edge.event(), CallFailed)
    assert phone.events.empty()
    await until(lambda: edge.endpoint.connections == 0)


async def test_one_that_never_shakes_hands(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "CONNECT", 0.05)
    edge, phone = await make(), await make()
    with socket.create_server((US, 0)) as silent:
        phone.port = silent.getsockname()[1]
        edge.call(phone, US)
        assert isinstance(await edge.event(), CallFailed)
    assert edge.endpoint.connections == 0


# Another certificate


async def test_what_is_read_again_is_for_new_connections(make: Make, authority: Authority) -> None:
    edge = await make()
    old, old_writer = await connect(edge, authority)
    new_pair = authority.issue(US, "new.example.com")
    edge.endpoint.secure(Tls.read(TlsSection(**new_pair._asdict())))
    _, new_writer = await connect(edge, authority)
    shown = new_writer.get_extra_info("peercert")
    assert ("DNS", "new.example.com") in shown["subjectAltName"]
    old_writer.write(request("OPTIONS", via=VIA))
    assert status(await read_message(old)) == 200
    old_writer.close()
    new_writer.close()
