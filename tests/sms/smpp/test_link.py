"""One connection on a transport that only notes what it is told."""

from __future__ import annotations

import asyncio

import pytest

from edge.sms.smpp import limits, pdu, status
from edge.sms.smpp.counts import Counts
from edge.sms.smpp.pdu import Bound, Message, Pdu, Stream
from edge.sms.smpp.session import Answered, Closed, Session
from edge.sms.smpp.transport.link import Link
from tests.sms.smpp.smsc import BIND, TEXT


class Transport(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.reading = True
        self.closed = self.aborted = False

    def write(self, data: object) -> None:
        assert isinstance(data, bytes)
        self.writes.append(data)

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = self.aborted = True


class Side:
    """A link that is bound, and what keeps its texts once it is `open`."""

    def __init__(self, at_once: int = 10) -> None:
        self.open = asyncio.Event()
        self.kept = 0
        self.transport = Transport()
        session = Session(BIND, "transceiver", enquire=30, answer=20)
        self.link = Link(session, self._keep, Counts("test"), window=2, at_once=at_once, changed=lambda: None)
        self.link.connection_made(self.transport)
        self.link.data_received(Pdu(pdu.BIND_TRANSCEIVER | pdu.RESP, 1, 0, Bound("smsc").write()).write())
        self.transport.writes.clear()

    def deliver(self, count: int) -> None:
        body = TEXT.write()
        self.link.data_received(b"".join(Pdu(pdu.DELIVER_SM, n + 1, 0, body).write() for n in range(count)))

    async def _keep(self, session: Session, message: Message) -> int:
        await self.open.wait()
        self.kept += 1
        return status.ROK


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_what_one_commit_kept_is_answered_in_one_write() -> None:
    side = Side()
    side.deliver(9)
    await turns()
    assert side.transport.writes == []
    side.open.set()
    await turns()
    (write,) = side.transport.writes
    found, _ = Stream().take(write)
    assert [one.sequence for one in found] == [*range(1, 10)]


async def test_when_so_many_are_at_work_nothing_more_is_read_until_half_are_done() -> None:
    side = Side(at_once=10)
    side.deliver(9)
    assert side.transport.reading
    side.deliver(1)
    assert not side.transport.reading
    side.open.set()
    await turns()
    assert side.kept == 10
    assert side.transport.reading


async def test_nor_while_the_smsc_does_not_read_what_we_answer() -> None:
    side = Side()
    side.link.pause_writing()
    assert not side.transport.reading
    side.open.set()
    side.deliver(1)
    await turns()
    assert not side.transport.reading
    side.link.resume_writing()
    assert side.transport.reading


async def test_what_is_not_read_is_not_late(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    now = loop.time()
    monkeypatch.setattr(loop, "time", lambda: now)
    side = Side()
    side.open.set()
    side.deliver(1)
    await turns()
    now += limits.PROVE
    await turns()
    assert len(side.transport.writes) == 2, "a response, and an enquire_link"
    side.link.pause_writing()
    for _ in range(30):
        now += limits.ALIVE / 10
        await turns()
    assert not side.link.closed.done()
    side.link.resume_writing()
    await turns()
    now += limits.ALIVE - 0.1
    await turns()
    assert not side.link.closed.done(), "it has all its time to answer"
    now += 0.2
    await turns()
    assert side.link.closed.result() == Closed("the SMSC did not answer an enquire_link")


async def test_an_smsc_that_reads_nothing_for_long_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    now = loop.time()
    monkeypatch.setattr(loop, "time", lambda: now)
    side = Side()
    waiting = asyncio.create_task(side.link.submit(TEXT))
    await turns()
    side.link.pause_writing()
    for _ in range(int(limits.UNREAD) + 2):
        now += 1
        await turns()
    assert waiting.done()
    assert await waiting == side.link.closed.result() == Closed("the SMSC reads nothing of what we write")
    assert side.transport.aborted, "what was written would never leave"


async def test_whoever_waits_for_an_answer_hears_of_the_end() -> None:
    side = Side()
    waiting = asyncio.create_task(side.link.submit(TEXT))
    given_up = asyncio.create_task(side.link.submit(TEXT))
    await turns()
    assert side.link.room == 0
    given_up.cancel()
    await turns()
    side.link.connection_lost(ConnectionResetError("reset"))
    assert await waiting == Closed("the connection was lost: reset")
    assert side.transport.closed


async def test_an_answer_for_somebody_who_gave_up_is_let_go() -> None:
    side = Side()
    given_up = asyncio.create_task(side.link.submit(TEXT))
    waiting = asyncio.create_task(side.link.submit(TEXT))
    await turns()
    given_up.cancel()
    await turns()
    for sequence in (2, 3):
        side.link.data_received(Pdu(pdu.SUBMIT_SM | pdu.RESP, sequence, 0, b"x\0").write())
    answered = await waiting
    assert isinstance(answered, Answered)
    assert answered.message_id == "x"
    assert side.link.room == 2
