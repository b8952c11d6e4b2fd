"""The router: from an offered call to its answer and its record, with the real agent, directory and flows."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge.errors import Unavailable
from edge.numbers.directory import Directory
from edge.numbers.number import Number
from edge.sessions.calls.record import CallRecords
from edge.sessions.calls.router import REFUSED, Router
from edge.sip.events import TextDone
from edge.store.metadata import NIL
from edge.store.tiers import Found
from tests.logged import logged
from tests.sessions.line import CALLER, NUMBER, Line, exchange, tag
from tests.sip.ladder import invite, request

REDIRECT = {"id": "away", "type": "redirect", "option": {"destinations": ["sip:desk@pbx.example", "tel:+14155550177"]}}
CONTACTS = ["<sip:desk@pbx.example", "<tel:+14155550177"]
ANSWER = {"id": "up", "type": "answer"}
WAIT = {"id": "wait", "type": "sleep", "option": {"duration": 60_000}}
FAIL = {
    "id": "fail",
    "type": "message_send",
    "option": {"destinations": ["+14155550122"], "text": "${no.such.variable}"},
}


@pytest.fixture
async def line(migrated_sqlite: Path, tmp_path: Path) -> AsyncIterator[Line]:
    async with exchange(tmp_path, migrated_sqlite) as opened:
        yield opened


def refused(reason: str) -> float:
    return REFUSED.labels(reason).value


async def test_a_call_whose_number_is_in_memory_is_over_in_the_turn_it_came_in(line: Line) -> None:
    number = await line.number(REDIRECT)
    line >> invite() << 100  # nobody knows the number yet
    await line.comes(302)
    first = await line.over()
    line >> request("ACK", branch="one", to_tag=tag(line.header("to")))
    line >> invite(call_id="call-2", branch="two") << 302
    assert [contact.partition(">")[0] for contact in line.last.headers.values("contact")] == CONTACTS
    assert (line.quiet(), line.book.active) == (True, 0)
    second = await line.over()
    for record, call_id, source in ((first, "call-1", "sql"), (second, "call-2", "memory")):
        assert (record["call_id"], record["lookup_source"]) == (call_id, source)
        assert (record["outcome"], record["sip_code"], record["error"]) == ("redirected", 302, "")
        assert (record["number"], record["number_id"], record["customer_id"]) == (
            NUMBER,
            number.id,
            number.customer_id,
        )
        assert (record["flow_id"], record["flow_version"]) == (number.call_flow_id, 1)
        assert (record["trunk"], record["remote"], record["source"]) == ("loopback", "127.0.0.2", CALLER)
        assert [(step["step"], step["type"]) for step in record["steps"]] == [("away", "redirect")]
        assert record["tm_hangup"] >= record["tm_create"]


@pytest.mark.parametrize(
    ("dialed", "status", "reason", "error"),
    [
        ("sip:+14155550101@edge", 404, "Q.850;cause=1", "NumberUnknown"),
        ("sip:415@edge", 484, "Q.850;cause=28", "NumberIncomplete"),
        ("sip:unbound@edge", 404, 'Q.850;cause=1;text="no flow bound"', "FlowUnbound"),
        ("sip:released@edge", 410, "Q.850;cause=22", "NumberReleased"),
        ("sip:suspended@edge", 403, "Q.850;cause=21", "NumberSuspended"),
        ("sip:account@edge", 403, "Q.850;cause=21", "NumberSuspended"),
    ],
)
async def test_a_call_that_is_refused_gets_its_answer_its_record_and_its_count(
    line: Line, dialed: str, status: int, reason: str | None, error: str
) -> None:
    case = dialed[4:].partition("@")[0]
    if case == "unbound":
        await line.number()
    elif not case.startswith(("+", "4", "t")):
        number = await line.number(REDIRECT)
        if case == "released":
            await line.stores.numbers.release(number.id)
        elif case == "suspended":
            await line.stores.numbers.update(number.id, None, {"status": "suspended"})
        elif case == "account":
            await line.stores.customers.update(number.customer_id, {"status": "suspended"})
    uri = f"sip:{NUMBER}@edge" if case.isalpha() else dialed
    before = refused(error)
    line >> invite(uri=uri)
    await until_final(line, status)
    assert line.last.headers.get("reason") == reason
    record = await line.over()
    assert (record["outcome"], record["sip_code"], record["dialed"]) == ("rejected", status, uri)
    assert record["error"] != ""
    assert record["steps"] == []
    assert refused(error) == before + 1
    e164 = "" if case == "415" else dialed[4:16] if case.startswith("+") else NUMBER
    assert record["number"] == e164
    known = error not in ("NumberUnknown", "NumberIncomplete", "NumberReleased")
    assert (record["customer_id"] != NIL) == (record["number_id"] != NIL) == known


async def until_final(line: Line, status: int) -> None:
    """The final answer, behind a 100 if the call had to wait."""
    if line.out and line.out[0][1].startswith(b"SIP/2.0 100 "):
        line << 100
    await line.comes(status)


class Broken(Directory):
    """A directory whose stores fail."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.peek = lambda key, now: None

    async def find(self, e164: str) -> Found[Number]:
        await asyncio.sleep(0)
        raise self.error


def break_directory(line: Line, error: Exception) -> None:
    routes = replace(line.stores.routes, directory=Broken(error))
    line.router = line.wired(Router, routes, CallRecords(line.writer))


async def test_with_the_stores_away_a_number_not_remembered_is_503_without_retry_after(line: Line) -> None:
    break_directory(line, Unavailable("the database does not answer"))
    line >> invite() << 100
    await line.comes(503)
    assert line.last.headers.get("retry-after") is None
    record = await line.over()
    assert (record["outcome"], record["error"]) == ("rejected", "the database does not answer")


async def test_what_nobody_expected_ends_one_call_with_500_and_a_trace_in_the_log(line: Line) -> None:
    break_directory(line, RuntimeError("a bug"))
    with logged() as lines:
        line >> invite() << 100
        await line.comes(500)
        record = await line.over()
    assert (record["outcome"], record["sip_code"], record["error"]) == ("failed", 500, "RuntimeError: a bug")
    (failed,) = [one for one in lines() if one["event"] == "call failed"]
    assert failed["call_id"] == "call-1"
    assert "a bug" in failed["exception"]
    assert line.book.active == 0


async def test_a_flow_that_fails_before_its_answer_is_500(line: Line) -> None:
    await line.number(FAIL)
    line >> invite() << 100
    await line.comes(500)
    record = await line.over()
    assert (record["outcome"], record["sip_code"], record["hangup_by"]) == ("failed", 500, "local")
    assert record["error"] != ""
    assert [step["step"] for step in record["steps"]] == ["fail"]


async def test_a_flow_that_fails_after_its_answer_ends_in_a_bye(line: Line) -> None:
    await line.number(ANSWER, FAIL)
    line >> invite() << 100
    await line.comes(200)
    line.ack()
    await line.comes("BYE")
    assert line.header("reason") == "Q.850;cause=18"
    record = await line.over()
    assert (record["outcome"], record["sip_code"], record["hangup_reason"]) == ("answered", 200, "failed")


async def test_the_end_of_a_flow_is_the_end_of_its_call(line: Line) -> None:
    await line.number(ANSWER)
    line >> invite() << 100
    await line.comes(200)
    line.ack()
    await line.comes("BYE")
    assert line.header("reason") == "Q.850;cause=16"
    assert (await line.over())["hangup_reason"] == "normal"


async def test_a_flow_that_ends_without_an_answer_declines(line: Line) -> None:
    await line.number({"id": "s", "type": "stop"})
    line >> invite() << 100
    await line.comes(603)
    assert (await line.over())["outcome"] == "rejected"


async def test_a_caller_who_gives_up_while_we_look_is_gone_before_the_flow(line: Line) -> None:
    await line.number(ANSWER)
    line >> invite() << 100
    line >> request("CANCEL", branch="one") << 200 << 487
    record = await line.over()
    assert (record["outcome"], record["sip_code"], record["hangup_by"]) == ("cancelled", 487, "remote")
    assert (record["steps"], record["error"]) == ([], "")
    assert line.quiet()


async def test_a_caller_who_hangs_up_ends_the_run_where_it_waits(line: Line) -> None:
    await line.number(ANSWER, WAIT, REDIRECT)
    line >> invite() << 100
    await line.comes(200)
    line.ack().bye() << 200
    record = await line.over()
    assert (record["outcome"], record["hangup_by"], record["hangup_reason"]) == ("answered", "remote", "normal")
    assert [(step["step"], step["outcome"]) for step in record["steps"]] == [("up", "done"), ("wait", "ended")]
    assert line.quiet()


async def test_hanging_up_all_ends_each_call_as_it_has_to(line: Line) -> None:
    """The end of a drain: 503 before the answer, BYE after it."""
    await line.number(ANSWER, WAIT)
    await line.number(WAIT, number="+14155550101")
    line >> invite() << 100
    await line.comes(200)
    line.ack()
    line >> invite(call_id="call-2", branch="two", uri="sip:+14155550101@edge") << 100
    assert line.book.active == 2
    line.book.hang_up_all()
    assert sorted(data.split(b"\r\n")[0].split()[:2] for _, data in line.out) == [
        [b"BYE", b"sip:them@192.0.2.9:5062"],
        [b"SIP/2.0", b"503"],
    ]
    assert sorted((row["call_id"], row["outcome"], row["sip_code"]) for row in await all_over(line)) == [
        ("call-1", "answered", 200),
        ("call-2", "rejected", 503),
    ]


async def all_over(line: Line) -> list[dict[str, Any]]:
    await line.over()
    return await line.records()


async def test_closing_ends_the_flows_that_still_run(line: Line) -> None:
    await line.number(WAIT)
    line >> invite() << 100
    await asyncio.sleep(0)
    await line.router.close()
    line.drain()
    await line.comes(503)
    assert (await line.over())["outcome"] == "rejected"


async def test_the_idle_router_says_so(line: Line) -> None:
    await line.number(ANSWER, WAIT)
    await asyncio.wait_for(line.book.idle(), 1)
    line >> invite() << 100
    waiting = asyncio.create_task(line.book.idle())
    await line.comes(200)
    line.ack()
    assert not waiting.done()
    line.bye() << 200
    await asyncio.wait_for(waiting, 5)


async def test_texts_go_to_their_desk_and_other_news_to_who_waits_for_it(line: Line) -> None:
    line >> request("MESSAGE", body=b"hello", kind="text/plain")
    assert [text.text for text in line.texts] == ["hello"]
    news = TextDone(7, 200)
    line.router.handle(news)
    assert line.others == [news]
    assert line.book.active == 0


async def test_a_call_is_one_line_of_the_log_and_tells_no_number(line: Line) -> None:
    await line.number(REDIRECT)
    with logged(private=False) as lines:
        line >> invite() << 100
        await line.comes(302)
        await line.over()
    (said,) = [one for one in lines() if one["event"] == "call ended"]
    assert (said["call_id"], said["trunk"], said["outcome"], said["code"]) == ("call-1", "loopback", "redirected", 302)
    assert said["source"] == "…199"
    assert said["destination"] == "…100"
    assert NUMBER not in json.dumps(lines())


async def test_a_flow_that_is_gone_is_503_and_one_that_is_another_s_too(line: Line) -> None:
    number = await line.number(REDIRECT)
    other = await line.number(REDIRECT, number="+14155550101")
    await line.stores.numbers.update(number.id, None, {"call_flow_id": other.call_flow_id})
    line >> invite() << 100
    await line.comes(503)
    assert (await line.over())["steps"] == []


async def test_a_running_call_keeps_its_version_of_the_flow(line: Line) -> None:
    press = {"id": "press", "type": "digits_receive", "option": {"length": 1, "duration": 60_000}}
    number = await line.number(ANSWER, press, REDIRECT)
    line >> invite() << 100
    await line.comes(200)
    line.ack()
    ours = tag(line.header("to"))
    await line.stores.flows.update(number.call_flow_id, None, {"name": "new", "actions": [ANSWER]})
    (
        line
        >> request("INFO", branch="info", cseq=2, to_tag=ours, kind="application/dtmf-relay", body=b"Signal=1\r\n")
        << 200
    )
    await line.comes("REFER")
    line.bye() << 200
    assert (await line.over())["flow_version"] == 1
    line >> invite(call_id="call-2", branch="two") << 100
    await line.comes(200)
    line.ack()
    await line.comes("BYE")
    assert (await line.over())["flow_version"] == 2


async def test_an_invite_that_cannot_be_read_leaves_a_record(line: Line) -> None:
    line >> invite(fields={"Contact": "<<"}) << 400
    line >> invite(branch="b2", call_id="x" * 2000, fields={"CSeq": "1 BYE"}) << 400
    first, second = await line.records()
    assert (first["sip_code"], first["outcome"], first["reason"]) == (400, "rejected", "Protocol")
    assert (first["trunk"], first["number"], first["transport"]) == ("loopback", NUMBER, "udp")
    assert (first["remote"], first["local"]) == ("127.0.0.2", "127.0.0.1:5060")
    assert first["error"].startswith("contacts")
    assert (second["sip_code"], second["call_id"]) == (400, "x" * 512)
