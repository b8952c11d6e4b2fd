"""Texts that leave by SIP MESSAGE: who waits gets the answer to his own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from edge.carriers.site import ANY_LOCAL
from edge.sessions.texts.sip_messages import SipMessages
from edge.sip.events import TextDone
from edge.sip.peer import Peer
from tests.sessions.line import NUMBER, OUT, PEER, Line, talking
from tests.sip.ladder import reply_to

URI = "sip:+14155550199@127.0.0.2"


@pytest.fixture
async def line(tmp_path: Path) -> AsyncIterator[Line]:
    async with talking(tmp_path) as opened:
        yield opened


@pytest.fixture
def messages(line: Line) -> SipMessages:
    made = SipMessages(line.desk.endpoint)
    line.other = made.handle
    return made


def sending(messages: SipMessages, body: str = "hello", peer: Peer = PEER) -> asyncio.Task[int]:
    return asyncio.create_task(messages.send(peer, uri=URI, from_user=NUMBER, body=body.encode(), trunk=OUT))


@pytest.mark.parametrize("status", [200, 202, 302, 404, 480, 503, 603])
async def test_who_sends_gets_the_final_status(line: Line, messages: SipMessages, status: int) -> None:
    sent = sending(messages)
    await line.comes("MESSAGE")
    assert (line.request.uri, line.header("to")) == (URI, f"<{URI}>")
    assert line.header("from").startswith(f"<sip:{NUMBER}@127.0.0.1:5060>;tag=")
    assert bytes(line.last).endswith(b"\r\n\r\nhello")
    line >> reply_to(line, 100)
    await asyncio.sleep(0)
    assert not sent.done()
    line >> reply_to(line, status, to_tag="them")
    assert await sent == status


async def test_without_an_answer_it_is_408(line: Line, messages: SipMessages) -> None:
    sent = sending(messages)
    await line.comes("MESSAGE")
    line.later(40)
    assert await sent == 408


async def test_an_address_of_ours_is_found_where_any_will_do(line: Line, messages: SipMessages) -> None:
    sent = sending(messages, peer=PEER._replace(local=ANY_LOCAL))
    await line.comes("MESSAGE")
    assert line.to == PEER
    line >> reply_to(line, 200, to_tag="them")
    assert await sent == 200


async def test_before_the_endpoint_listens_it_waits(line: Line, messages: SipMessages) -> None:
    line.desk.endpoint.listening.clear()  # the outbox has texts of the run before, and begins with them
    sent = sending(messages)
    await asyncio.sleep(0)
    assert (sent.done(), line.quiet()) == (False, True)
    line.desk.endpoint.listening.set()
    await line.comes("MESSAGE")
    line >> reply_to(line, 200, to_tag="them")
    assert await sent == 200


async def test_where_none_fits_it_says_so(line: Line, messages: SipMessages) -> None:
    with pytest.raises(OSError, match="no address of ours"):
        await sending(messages, peer=Peer("tcp", ANY_LOCAL, PEER.remote))
    assert line.quiet()


async def test_two_at_once_get_each_their_own_answer(line: Line, messages: SipMessages) -> None:
    one, two = sending(messages, "one"), sending(messages, "two")
    await line.comes("MESSAGE")
    to_one = reply_to(line, 404, to_tag="them")
    await line.comes("MESSAGE")
    line >> reply_to(line, 200, to_tag="them") >> to_one
    assert (await one, await two) == (404, 200)


async def test_an_answer_for_one_who_has_given_up_disturbs_nobody(line: Line, messages: SipMessages) -> None:
    sent = sending(messages)
    await line.comes("MESSAGE")
    sent.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sent
    line >> reply_to(line, 200, to_tag="them")
    messages.handle(TextDone(4711, 200))
    assert line.quiet()
