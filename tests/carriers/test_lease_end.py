"""The end of a lease beside a carrier that answers nothing: its connections are gone before another may come."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial

from edge.sessions.queues.leases import ANSWER_SECONDS, SECONDS, Lease
from edge.sessions.queues.sender import Sender
from edge.sessions.texts.outbox import BOOKS, OutboxSection, Outgoing
from edge.sms.smpp import pdu
from tests import jumping
from tests.carriers.smpp_stage import Desk, Door, carrier
from tests.carriers.stage import TEXT
from tests.sessions.ground import Clock, Frail, Pauses
from tests.sessions.texts.test_outbox import text

MUTE = {pdu.SUBMIT_SM, pdu.UNBIND, pdu.ENQUIRE_LINK}


async def _story() -> float:
    """Seconds from the last renewal until nothing of it is left."""
    door, desk = Door(lambda smsc: smsc.silent.update(MUTE)), Desk()
    await door.open()
    smpp = carrier(door.host, binds=2)

    async def send(_: Outgoing) -> str:
        await asyncio.Event().wait()
        return ""

    writer = Frail.__new__(Frail).as_writer()
    sender = Sender("pigeon", send, BOOKS, OutboxSection(), writer, Clock(), Pauses(), lambda: 0.5, lambda: None)
    mine = text()
    assert sender.hold(mine, 0)
    sender.add(mine, 0)

    async def sending() -> None:
        try:
            sender.begin_due()
            await asyncio.Event().wait()
        finally:
            await sender.stop(ANSWER_SECONDS)

    loop = asyncio.get_running_loop()
    lease = Lease("bind", loop.time, asyncio.sleep)
    lease.during("sending", sending)
    lease.during("serving", partial(smpp.serve, desk))
    renewed = loop.time()
    lease.extend(renewed)
    await door.until(lambda: len(door.all) == 2)
    await door.until(lambda: all(link.session.up for link in smpp.connections))
    desk.open.clear()  # what comes is never kept, so it stays at work
    for smsc in door.all:
        smsc.deliver()
    door.flush()
    await door.until(lambda: all(link.session.working for link in smpp.connections))
    submitted = asyncio.create_task(smpp.send(TEXT))
    while lease._task is not None:
        await asyncio.wait([lease._task])
    end = loop.time()
    assert not smpp.connections
    await sender.close()
    submitted.cancel()
    with suppress(asyncio.CancelledError, Exception):
        await submitted
    await door.close()
    return end - renewed


def test_who_leaves_a_carrier_that_answers_nothing_has_left_it_before_another_may_come() -> None:
    assert SECONDS - 2.0 < jumping.run(_story()) < SECONDS
