"""Sockets around an agent: real ones, on the loopback, at ports the system chose."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import count
from typing import Any

import pytest

from edge.metrics import REGISTRY
from edge.sip import connection, limits
from edge.sip.agent import Agent
from edge.sip.connection import Connection, Crowd
from edge.sip.events import (
    CallAnswered,
    CallConfirmed,
    CallEnded,
    CallFailed,
    CallOffered,
    CallProgress,
    DigitsReceived,
    Event,
    ReinviteAnswered,
    Reoffered,
    TextDone,
    TextOffered,
)
from edge.sip.message import parse
from edge.sip.peer import LOOP, Peer
from edge.sip.transport import Endpoint, datagrams, endpoint, is_address, outward
from tests.sip.ladder import OURS, SDP, invite, request

US = "127.0.0.1"
THEM = "127.0.0.2"


class Edge:
    """An endpoint, and what its user was told."""

    def __init__(self, handle: Callable[[Event], None] | None = None) -> None:
        tokens = count()
        self.agent = Agent(lambda: f"t{next(tokens)}")
        self.events: asyncio.Queue[Event] = asyncio.Queue()
        self.admitted = True
        self.endpoint = Endpoint(
            self.agent, handle or self.events.put_nowait, lambda _address, _transport: self.admitted
        )
        self.ports: dict[str, int] = {}

    async def listen(self, *binds: str) -> Edge:
        assert not self.endpoint.listening.is_set()
        for bind, bound in zip(binds, await self.endpoint.listen(binds), strict=True):
            assert bound.rpartition(":")[0] == bind.rpartition(":")[0]
            self.ports[bind.partition(":")[0]] = int(bound.rpartition(":")[2])
        return self

    async def event(self) -> Event:
        return await asyncio.wait_for(self.events.get(), 2)


class Phone:
    """A plain UDP socket."""

    def __init__(self, edge: Edge, host: str = THEM) -> None:
        self.sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.setblocking(False)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, datagrams.BUFFER)
        self.sock.bind((host, 0))
        self.host = host
        self.port = self.sock.getsockname()[1]
        self.edge = ("::1" if ":" in host else US, edge.ports["udp"])

    def via(self) -> str:
        return f"SIP/2.0/UDP {f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"

    def send(self, data: bytes) -> None:
        self.sock.sendto(data, self.edge)

    async def receive(self) -> bytes:
        return await asyncio.wait_for(asyncio.get_running_loop().sock_recv(self.sock, 65535), 10)


@pytest.fixture
async def make() -> AsyncIterator[Callable[..., Awaitable[Edge]]]:
    made: list[Edge] = []

    async def make(*binds: str, handle: Callable[[Event], None] | None = None) -> Edge:
        made.append(Edge(handle))
        return await made[-1].listen(*(binds or (f"udp:{US}:0", f"tcp:{US}:0")))

    yield make
    for edge in made:
        await edge.endpoint.close()


Make = Callable[..., Awaitable[Edge]]


def status(data: bytes) -> int:
    match = re.match(rb"SIP/2\.0 (\d{3}) ", data)
    assert match, data
    return int(match[1])


def discarded(why: str) -> float:
    return REGISTRY.get_sample_value("edge_sip_discarded_total", {"why": why}) or 0.0


async def test_a_call_over_udp(make: Make) -> None:
    edge = await make()
    phone = Phone(edge)
    phone.send(invite(via=phone.via()))
    assert status(await phone.receive()) == 100
    offered = await edge.event()
    assert isinstance(offered, CallOffered)
    assert offered.offer.peer == Peer("udp", (US, edge.ports["udp"]), (THEM, phone.port))
    call = edge.agent.answer(offered.offer, OURS, edge.endpoint.now())
    edge.endpoint.flush()
    assert status(await phone.receive()) == 200
    phone.send(request("ACK", branch="ack", to_tag=call.local_tag, via=phone.via()))
    await edge.event()
    phone.send(request("BYE", branch="bye", to_tag=call.local_tag, cseq=2, via=phone.via()))
    assert status(await phone.receive()) == 200
    assert isinstance(await edge.event(), CallEnded)


async def test_an_answer_while_being_told_spares_the_100(make: Make) -> None:
    edge: Edge

    def handle(event: Event) -> None:
        assert isinstance(event, CallOffered)
        edge.agent.redirect(event.offer, ["sip:a@b"], edge.endpoint.now())
        edge.endpoint.flush()  # within a turn: nothing

    edge = await make(handle=handle)
    phone = Phone(edge)
    phone.send(invite(via=phone.via()))
    assert status(await phone.receive()) == 302


async def test_repeats_come_by_the_clock(make: Make) -> None:
    edge = await make()
    phone = Phone(edge)
    phone.send(invite(via=phone.via()))
    assert status(await phone.receive()) == 100
    offered = await edge.event()
    assert isinstance(offered, CallOffered)
    edge.agent.reject(offered.offer, 404, edge.endpoint.now())
    edge.endpoint.flush()
    assert status(await phone.receive()) == 404
    began = edge.endpoint.now()
    assert status(await phone.receive()) == 404
    assert 0.4 < edge.endpoint.now() - began < 1.0


async def test_ipv6(make: Make) -> None:
    edge = await make("udp:[::1]:0")
    phone = Phone(edge, "::1")
    phone.send(invite(via=phone.via()))
    assert status(await phone.receive()) == 100
    offered = await edge.event()
    assert isinstance(offered, CallOffered)
    assert offered.offer.peer.remote == ("::1", phone.port)


async def test_a_socket_bound_everywhere_knows_where_it_answers_from(make: Make) -> None:
    edge = await make("udp:0.0.0.0:0")
    phone = Phone(edge)
    phone.send(invite(via=phone.via()))
    answer = await phone.receive()
    assert status(answer) == 100
    offered = await edge.event()
    assert isinstance(offered, CallOffered)
    assert offered.offer.peer.local[0].startswith("127.")
    edge.agent.ring(offered.offer, edge.endpoint.now())
    edge.endpoint.flush()
    assert b"Contact: <sip:127." in await phone.receive()


async def test_who_is_not_admitted_hears_nothing(make: Make) -> None:
    edge = await make()
    edge.admitted = False
    before = discarded("source")
    phone = Phone(edge)
    phone.send(request("OPTIONS", via=phone.via()))
    while discarded("source") == before:
        await asyncio.sleep(0)
    _, writer = await asyncio.open_connection(US, edge.ports["tcp"])
    writer.write(request("OPTIONS", via="SIP/2.0/TCP a"))
    while discarded("source") == before + 1:
        await asyncio.sleep(0)
    writer.close()
    edge.admitted = True
    phone.send(request("OPTIONS", via=phone.via(), call_id="second"))
    assert b"second" in await phone.receive()  # and no answer to the first
    assert edge.endpoint.connections == 0


async def test_a_keep_alive_is_nothing(make: Make) -> None:
    edge = await make()
    phone = Phone(edge)
    before = discarded("malformed")
    phone.send(b"\r\n\r\n")
    phone.send(b"")
    phone.send(request("OPTIONS", via=phone.via()))
    assert status(await phone.receive()) == 200
    assert discarded("malformed") == before


async def test_more_than_a_batch(make: Make) -> None:
    edge = await make()
    phone = Phone(edge)
    for n in range(2 * endpoint.BATCH + 1):
        phone.send(request("OPTIONS", via=phone.via(), branch=str(n), call_id=f"ping-{n}"))
    answers = [await phone.receive() for _ in range(2 * endpoint.BATCH + 1)]
    assert {status(answer) for answer in answers} == {200}


@pytest.mark.parametrize(
    ("data", "expected"),
    [(invite(), 500), (request("MESSAGE", body=b"x", kind="text/plain"), 500)],
)
async def test_a_fault_of_the_user_ends_one_session_only(make: Make, data: bytes, expected: int) -> None:
    seen = []

    def handle(event: Event) -> None:
        seen.append(event)
        raise RuntimeError("a fault of the router")

    edge = await make(handle=handle)
    phone = Phone(edge)
    phone.send(data.replace(b"SIP/2.0/UDP 192.0.2.9:5062", phone.via().encode()))
    assert status(await phone.receive()) == expected
    phone.send(request("OPTIONS", via=phone.via(), branch="still", call_id="here"))
    assert status(await phone.receive()) == 200
    assert len(seen) == 1


async def test_a_fault_of_the_user_within_a_call_ends_it(make: Make) -> None:
    edge: Edge

    def handle(event: Event) -> None:
        if isinstance(event, CallOffered):
            edge.agent.answer(event.offer, OURS, edge.endpoint.now())
        elif isinstance(event, DigitsReceived):
            raise RuntimeError("a fault of the router")

    edge = await make(handle=handle)
    phone = Phone(edge)
    phone.send(invite(via=phone.via(), fields={"Contact": f"<sip:{THEM}:{phone.port}>"}))
    assert status(await phone.receive()) == 200
    phone.send(request("ACK", branch="ack", to_tag="t0", via=phone.via()))
    phone.send(request("INFO", branch="i", to_tag="t0", cseq=2, via=phone.via(), body=b"5", kind="application/dtmf"))
    assert status(await phone.receive()) == 200
    assert (await phone.receive()).startswith(b"BYE ")


async def test_a_fault_of_the_user_while_it_rings_cancels_the_call(make: Make) -> None:
    def handle(event: Event) -> None:
        if isinstance(event, CallProgress):
            raise RuntimeError("a fault of the router")

    edge = await make(handle=handle)
    phone = Phone(edge)
    peer = Peer("udp", (US, edge.ports["udp"]), (THEM, phone.port))
    edge.agent.invite(peer=peer, uri="sip:a@b", from_="sip:c@d", to="sip:a@b", sdp=OURS, now=edge.endpoint.now())
    edge.endpoint.flush()
    sent = parse(await phone.receive())
    lines = [f"{name}: {sent.headers.get(name)}" for name in ("via", "from", "to", "call-id", "cseq")]
    phone.send("\r\n".join(["SIP/2.0 180 Ringing", *lines, "", ""]).encode())
    assert (await phone.receive()).startswith(b"CANCEL ")


async def test_a_fault_of_ours_does_not_stop_the_reader(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    edge = await make()
    phone = Phone(edge)
    real = edge.agent._calls.find

    def broken(_self: Any, _request: Any, _peer: Any) -> Any:
        monkeypatch.setattr(type(edge.agent._calls), "find", lambda _self, request, peer: real(request, peer))
        raise RuntimeError("a fault of the agent")

    monkeypatch.setattr(type(edge.agent._calls), "find", broken)
    phone.send(request("BYE", via=phone.via()))
    phone.send(request("OPTIONS", via=phone.via()))
    assert status(await phone.receive()) == 200


# TCP


async def read_message(reader: asyncio.StreamReader) -> bytes:
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 2)
    length = re.search(rb"Content-Length: (\d+)", head)
    return head + await reader.readexactly(int(length[1]) if length else 0)


async def test_a_call_over_tcp_in_pieces(make: Make) -> None:
    edge = await make()
    reader, writer = await asyncio.open_connection(US, edge.ports["tcp"])
    data = b"\r\n\r\n" + invite(via="SIP/2.0/TCP 127.0.0.1") + request("OPTIONS", via="SIP/2.0/TCP 127.0.0.1")
    for start in range(0, len(data), 100):
        writer.write(data[start : start + 100])
        await writer.drain()
        await asyncio.sleep(0)
    assert await asyncio.wait_for(reader.readexactly(2), 2) == b"\r\n"  # the pong of the ping
    assert status(await read_message(reader)) == 100
    assert status(await read_message(reader)) == 200
    offered = await edge.event()
    assert isinstance(offered, CallOffered)
    assert offered.offer.peer.connection != 0
    writer.close()


async def test_a_stream_that_cannot_be_followed_is_answered_and_closed(make: Make) -> None:
    edge = await make()
    reader, writer = await asyncio.open_connection(US, edge.ports["tcp"])
    writer.write(request("OPTIONS", via="SIP/2.0/TCP 127.0.0.1", fields={"Content-Length": "-1"}))
    assert status(await read_message(reader)) == 400
    assert await asyncio.wait_for(reader.read(), 2) == b""
    writer.close()


async def test_a_call_of_ours_over_tcp_and_its_bye_on_a_new_connection(make: Make) -> None:
    edge, phone = await make(), await make()
    peer = Peer("tcp", (US, edge.ports["tcp"]), (US, phone.ports["tcp"]))
    uri = f"sip:{US}:{phone.ports['tcp']}"
    edge.agent.invite(peer=peer, uri=uri, from_="sip:a@b", to=uri, sdp=SDP, now=edge.endpoint.now())
    edge.endpoint.flush()
    offered = await phone.event()
    assert isinstance(offered, CallOffered)
    theirs = phone.agent.answer(offered.offer, OURS, phone.endpoint.now())
    phone.endpoint.flush()
    while not isinstance(event := await edge.event(), CallAnswered):
        pass
    await phone.event()  # the ACK came
    assert (edge.endpoint.connections, phone.endpoint.connections) == (1, 1)
    for stream in phone.endpoint._streams._open.values():
        stream.close()
    while edge.endpoint.connections or phone.endpoint.connections:
        await asyncio.sleep(0.001)
    phone.agent.end(theirs, phone.endpoint.now())
    phone.endpoint.flush()
    ended = await edge.event()
    assert isinstance(ended, CallEnded)
    assert ended.call is event.call
    assert len(phone.endpoint._streams) == 1


async def test_nobody_listens_there(make: Make) -> None:
    edge = await make()
    with socket.socket() as probe:
        probe.bind((US, 0))
        closed = probe.getsockname()[1]
    for peer in (
        Peer("tcp", (US, edge.ports["tcp"]), (US, closed)),
        Peer("udp", (US, edge.ports["udp"]), ("phone.example.invalid", 5060)),  # no name is looked up
        Peer("tcp", (US, edge.ports["tcp"]), ("phone.example.invalid", 5060)),
        Peer("tcp", (US, edge.ports["tcp"]), (US, closed), 99),
    ):
        edge.agent.send_text(
            peer=peer, uri="sip:a@b", from_="sip:a@b", to="sip:a@b", body=b"x", now=edge.endpoint.now()
        )
        edge.endpoint.flush()
        done = await edge.event()
        assert isinstance(done, TextDone)
        assert done.status == 503
    outgoing = edge.agent.invite(
        peer=Peer("tcp", (US, edge.ports["tcp"]), (US, closed)),
        uri="sip:a@b",
        from_="sip:a@b",
        to="sip:a@b",
        sdp=SDP,
        now=0.0,
    )
    edge.endpoint.flush()
    failed = await edge.event()
    assert isinstance(failed, CallFailed)
    assert (failed.outgoing, failed.status) == (outgoing, 503)


async def test_a_text_and_its_reply_share_a_connection(make: Make) -> None:
    edge, phone = await make(), await make()
    peer = Peer("tcp", (US, phone.ports["tcp"]), (US, edge.ports["tcp"]))
    phone.agent.send_text(peer=peer, uri="sip:a@b", from_="sip:c@d", to="sip:a@b", body=b"hello", now=0.0)
    phone.endpoint.flush()
    offered = await edge.event()
    assert isinstance(offered, TextOffered)
    edge.agent.take_text(offered.text, 202, edge.endpoint.now())
    edge.agent.send_text(
        peer=offered.text.peer, uri="sip:c@d", from_="sip:a@b", to="sip:c@d", body=b"you too", now=edge.endpoint.now()
    )
    edge.endpoint.flush()
    told = [await phone.event(), await phone.event()]
    assert any(isinstance(event, TextDone) and event.status == 202 for event in told)
    assert any(isinstance(event, TextOffered) and event.text.text == "you too" for event in told)
    assert (edge.endpoint.connections, phone.endpoint.connections) == (1, 1)


async def test_connections_of_one_source_are_counted(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "CONNECTIONS_PER_SOURCE", 1)
    edge = await make()
    reader, writer = await asyncio.open_connection(US, edge.ports["tcp"])
    writer.write(request("OPTIONS", via="SIP/2.0/TCP 127.0.0.1"))
    assert status(await read_message(reader)) == 200
    second, _ = await asyncio.open_connection(US, edge.ports["tcp"])
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await asyncio.wait_for(second.readexactly(1), 2)
    writer.close()
    while edge.endpoint.connections:
        await asyncio.sleep(0.001)
    reader, writer = await asyncio.open_connection(US, edge.ports["tcp"])
    writer.write(request("OPTIONS", via="SIP/2.0/TCP 127.0.0.1"))
    assert status(await read_message(reader)) == 200
    writer.close()


# To ourselves


async def test_a_call_to_ourselves(make: Make) -> None:
    told: list[Event] = []
    edge: Edge

    def handle(event: Event) -> None:
        told.append(event)
        now = edge.endpoint.now()
        match event:
            case CallOffered(offer):
                edge.agent.answer(offer, SDP, now)
            case CallAnswered(_, call):
                edge.agent.reinvite(call, OURS, now)
            case Reoffered(reoffer):
                edge.agent.accept(reoffer, SDP, now)
            case ReinviteAnswered(call):
                edge.agent.end(call, now)

    edge = await make(handle=handle)
    edge.admitted = False  # nobody may talk to us but we
    peer = Peer(LOOP, (US, edge.ports["udp"]), (US, edge.ports["udp"]))
    edge.agent.invite(peer=peer, uri="sip:2@a", from_="sip:1@a", to="sip:2@a", sdp=OURS, now=edge.endpoint.now())
    edge.endpoint.flush()
    assert not told  # in a later turn
    async with asyncio.timeout(2):
        while sum(isinstance(event, CallEnded) for event in told) < 2:
            await asyncio.sleep(0)
    assert [type(event) for event in told] == [
        CallOffered,
        CallAnswered,
        CallConfirmed,
        Reoffered,
        ReinviteAnswered,
        CallEnded,
        CallEnded,
    ]
    assert isinstance(told[0], CallOffered)
    assert told[0].offer.peer == peer
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert edge.agent.stats()["dialogs"] == 0


async def test_many_calls_to_ourselves_leave_the_others_their_turn(make: Make) -> None:
    edge = await make()
    peer = Peer(LOOP, (US, edge.ports["udp"]), (US, edge.ports["udp"]))
    for number in range(3 * endpoint.BATCH):
        to = f"sip:{number}@a"
        edge.agent.invite(peer=peer, uri=to, from_="sip:1@a", to=to, sdp=OURS, now=edge.endpoint.now())
    edge.endpoint.flush()
    await asyncio.sleep(0)
    assert edge.events.qsize() == endpoint.BATCH
    offered = [await edge.event() for _ in range(3 * endpoint.BATCH)]
    assert sum(isinstance(event, CallOffered) for event in offered) > endpoint.BATCH


async def test_there_is_an_end_to_what_we_say_to_ourselves(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "INSIDE", 2)
    edge = await make()
    before = discarded("unsent")
    peer = Peer(LOOP, (US, edge.ports["udp"]), (US, edge.ports["udp"]))
    for _ in range(3):
        edge.agent.invite(peer=peer, uri="sip:2@a", from_="sip:1@a", to="sip:2@a", sdp=OURS, now=edge.endpoint.now())
    edge.endpoint.flush()
    for _ in range(3):
        event = await edge.event()
        assert isinstance(event, CallFailed)
        assert event.status == 503
    assert discarded("unsent") == before + 1


async def test_what_we_said_to_ourselves_is_not_heard_after_the_end() -> None:
    edge = await Edge().listen(f"udp:{US}:0")
    peer = Peer(LOOP, (US, edge.ports["udp"]), (US, edge.ports["udp"]))
    edge.agent.invite(peer=peer, uri="sip:2@a", from_="sip:1@a", to="sip:2@a", sdp=OURS, now=edge.endpoint.now())
    edge.endpoint.flush()
    await edge.endpoint.close()
    await asyncio.sleep(0)
    assert edge.events.empty()


async def test_a_message_that_says_it_is_ours_is_none(make: Make) -> None:
    edge = await make()
    phone = Phone(edge)
    phone.send(invite(via=f"SIP/2.0/LOOP {US}:{edge.ports['udp']}"))
    assert status(await phone.receive()) == 100  # to where it came from
    offered = await edge.event()
    assert isinstance(offered, CallOffered)
    assert (offered.offer.peer.transport, offered.offer.peer.inside) == ("udp", False)


def test_a_connection_that_is_slow_or_idle() -> None:
    one = Connection(0.0)
    assert one.fault(limits.IDLE) is None
    assert one.fault(limits.IDLE + 1) == "idle"
    half = request("OPTIONS")[:50]
    assert one.feed(half, 100.0) == []
    for second in range(1, int(limits.SLOW)):
        one.feed(b"x", 100.0 + second)  # an octet a second does not keep it alive
    assert one.fault(100.0 + limits.SLOW) is None
    assert one.fault(100.1 + limits.SLOW) == "slow"


def test_a_fast_connection_is_never_slow() -> None:
    one = Connection(0.0)
    whole = request("OPTIONS")
    rest = b""
    for second in range(100):
        data = rest + whole
        messages = one.feed(data[:-10], float(second))
        assert len(messages) == (1 if second else 0)
        rest = data[-10:]
        assert one.fault(float(second)) is None


def test_a_crowd() -> None:
    crowd = Crowd()
    assert all(crowd.enter("a") for _ in range(limits.CONNECTIONS_PER_SOURCE))
    assert not crowd.enter("a")
    assert crowd.enter("b")
    crowd.leave("a")
    assert crowd.enter("a")


async def test_binds(make: Make) -> None:
    edge = await make()
    with pytest.raises(ValueError, match="sctp"):
        await edge.endpoint.listen(["sctp:127.0.0.1:5060"])
    with pytest.raises(OSError, match=f"udp:{US}:{edge.ports['udp']}"):
        await edge.endpoint.listen([f"udp:{US}:{edge.ports['udp']}"])


@pytest.mark.parametrize(("host", "verdict"), [("127.0.0.1", True), ("::1", True), ("a.example", False), ("", False)])
def test_what_is_an_address(host: str, verdict: bool) -> None:
    assert is_address(host) is verdict


def test_the_way_out() -> None:
    assert outward((US, 9), socket.AF_INET) == US
