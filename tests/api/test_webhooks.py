"""Carriers' routes: kept first, then answered."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from structlog.testing import capture_logs

from edge.api.refusal import RETRY_SECONDS
from edge.api.section import ApiSection
from edge.api.webhooks import REFUSED, _reason
from edge.errors import Invalid, TextTooLong, Unavailable
from edge.sms.text import BODY_LIMIT
from tests.api.world import Bell, Residents, World, on_still, running, wheres

INBOUND = "/v1.0/carriers/loopback/inbound"
TEXT = {"id": "1", "from": "+14155550111", "to": "+14155550100", "text": "hello"}


async def test_a_text_is_kept_then_answered(world: World) -> None:
    answer = await world.did("POST", INBOUND, TEXT)
    (kept,) = world.mailbox.texts
    assert (answer["status"], answer["reason"]) == ("received", "")
    assert (kept.source, kept.destination, kept.body) == ("+14155550111", "+14155550100", "hello")
    assert (kept.account, kept.received_at) == (world.a, world.clock.now)
    await world.did("POST", INBOUND, TEXT, key=world.key_admin)
    assert world.mailbox.texts[1].account is None


async def test_what_could_not_be_kept_is_not_acknowledged(world: World) -> None:
    world.mailbox.failure = Unavailable("the disk is full")
    error = await world.refused(503, "POST", INBOUND, TEXT)
    assert "disk" not in error["message"]


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({**TEXT, "form": "x"}, "form"),
        ({name: value for name, value in TEXT.items() if name != "to"}, "to"),
        ({**TEXT, "text": 5}, "text"),
        ({**TEXT, "text": "a\u0000b"}, "text"),
    ],
)
@on_still
async def test_texts_that_are_refused(still: World, body: dict[str, Any], where: str) -> None:
    assert where in wheres(await still.refused(400, "POST", INBOUND, body))
    assert still.mailbox.texts == []


@on_still
async def test_a_text_that_is_too_long_to_be_kept_says_so(still: World) -> None:
    assert wheres(await still.refused(413, "POST", INBOUND, {**TEXT, "text": "x" * (BODY_LIMIT + 1)})) == ["text"]
    assert still.mailbox.texts == []


def test_what_a_refused_hook_is_counted_as() -> None:
    assert _reason(TextTooLong("the text cannot be kept")) == "too_large"
    assert _reason(Invalid("the form is not usable")) == "invalid"


@on_still
async def test_a_webhook_needs_a_key_and_a_carrier(still: World) -> None:
    await still.refused(401, "POST", INBOUND, TEXT, key="")
    await still.refused(404, "POST", "/v1.0/carriers/telnyx/inbound", TEXT)
    assert await still.did("GET", "/v1.0/carriers/loopback/outbound") == {"result": []}


# Hooks

HOOK = "/v1.0/carriers/bell/hook"
PROVEN = {"X-Bell": Bell.WORD}


async def ring(world: World, body: bytes, proof: str = Bell.WORD, **more: Any) -> tuple[int, Any]:
    headers = {"X-Bell": proof, **more.pop("headers", {})}
    status, answer, _ = await world.ask("POST", HOOK, key="", data=body, headers=headers, **more)
    return status, answer


@contextmanager
def counting(reason: str) -> Iterator[None]:
    series = REFUSED.labels("bell", reason)
    before = series._value.get()
    yield
    assert series._value.get() == before + 1


async def test_what_a_hook_is_told_is_kept_then_answered_in_the_carriers_form(world: World) -> None:
    assert await ring(world, b"+1 +2 hello") == (202, "<1/>")
    assert await ring(world, b"+1 +2 one\nid7 delivered\n+1 +3 two") == (202, "<2/>")
    assert await ring(world, b"id8 delivered") == (200, "")
    assert await ring(world, b"") == (200, "")
    assert [(text.carrier, text.destination, text.body) for text in world.mailbox.texts] == [
        ("bell", "+2", "hello"),
        ("bell", "+2", "one"),
        ("bell", "+3", "two"),
    ]
    assert [report.carrier_id for report in world.mailbox.reports] == ["id7", "id8"]


async def test_a_hook_gets_the_request_as_it_came(world: World) -> None:
    await ring(world, b"\xff\x00", proof="")
    query = f"{HOOK}?b=%2B1&a=x+y"
    await world.ask("GET", query, key="", headers=PROVEN)
    posted, got = world.bell.called
    assert (posted.body, posted.headers["x-bell"]) == (b"\xff\x00", "")
    assert (got.url, got.body) == (f"{world.url}/v1.0/carriers/bell/hook?b=%2B1&a=x+y", b"")
    assert got.received_at == world.clock.now


async def test_a_hook_that_is_refused_says_why_and_is_counted(world: World) -> None:
    with counting("signature_wrong"):
        await world.refused(401, "POST", HOOK, key="")
    with counting("stale"):
        assert (await ring(world, b"+1 +2 hello", "yesterday"))[0] == 401
    with counting("invalid"):
        status, answer = await ring(world, b"+1 +2 fine\nwhat is this thing")
        assert (status, answer["error"]["details"][0]["where"]) == (400, "line[1]")
    with counting("too_large"):
        assert (await ring(world, b"x" * (Bell.LIMIT + 1)))[0] == 413
    assert world.mailbox.texts == []


async def test_the_log_says_why_a_hook_was_refused_and_for_which_url_but_nothing_of_a_text(world: World) -> None:
    with capture_logs() as lines:
        await world.refused(401, "GET", f"{HOOK}?Body=private", key="")
        await ring(world, b"+1 +2 fine\nwhat is this thing")
    told = [(line["url"], line["error"]) for line in lines if line["event"] == "hook refused"]
    assert told[0] == (world.url + HOOK, "not proven")
    assert told[1][0] == world.url + HOOK
    assert "line[1]: " in told[1][1]
    assert "private" not in str(told)


async def test_a_body_that_grows_too_large_on_its_way_is_not_read_to_its_end(world: World) -> None:
    async def endless() -> Any:
        while True:
            yield b"x" * 50
            await asyncio.sleep(0)

    with counting("too_large"):
        status, _ = await ring(world, endless())
    assert status == 413


async def test_what_a_hook_brought_and_could_not_be_kept_comes_again(world: World) -> None:
    world.mailbox.failure = Unavailable("the disk is full")
    for body in (b"+1 +2 hello", b"id7 delivered", b"+1 +2 hello\nid7 delivered"):
        with counting("unavailable"):
            status, answer, response = await world.ask("POST", HOOK, key="", data=body, headers=PROVEN)
        assert (status, response.headers["Retry-After"]) == (503, str(RETRY_SECONDS))
        assert "disk" not in answer["error"]["message"]


async def test_while_draining_a_hook_sends_its_carrier_elsewhere(world: World) -> None:
    world.is_draining = True
    with counting("unavailable"):
        status, answer, response = await world.ask("POST", HOOK, key="", data=b"+1 +2 hello", headers=PROVEN)
    assert (status, answer["error"]["reason"]) == (503, "DRAINING")
    assert response.headers["Retry-After"] == str(RETRY_SECONDS)
    assert world.bell.called == []


@pytest.mark.parametrize(
    "rest",
    [
        b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n",
        b"Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello",
    ],
    ids=["chunks", "packed"],
)
async def test_a_body_that_does_not_come_whole_is_malformed(world: World, rest: bytes) -> None:
    host, port = world.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"POST {HOOK} HTTP/1.1\r\nHost: edge\r\nX-Bell: {Bell.WORD}\r\n".encode() + rest)
    assert b" 400 " in await reader.readline()
    writer.close()


@pytest.mark.parametrize(
    ("section", "headers", "url"),
    [
        ({}, {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil.example"}, "http://{here}"),
        ({"trusted_proxies": ["127.0.0.0/8"]}, {"X-Forwarded-Proto": "https"}, "https://{here}"),
        (
            {"trusted_proxies": ["127.0.0.1"]},
            {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "edge.example:8443"},
            "https://edge.example:8443",
        ),
        ({"public_url": "https://edge.example/texts/"}, {"X-Forwarded-Host": "evil"}, "https://edge.example/texts"),
    ],
)
async def test_a_hook_sees_the_url_that_was_called(
    settled: tuple[Any, Residents], tmp_path: Any, section: dict[str, Any], headers: dict[str, str], url: str
) -> None:
    template, residents = settled
    (tmp_path / "edge.sqlite3").write_bytes(template.read_bytes())
    made = ApiSection.model_validate({"port": 0, **section})
    async with running(f"sqlite:///{tmp_path}/edge.sqlite3", made, residents) as world:
        with capture_logs() as lines:
            await ring(world, b"", headers={**headers, "X-Forwarded-For": "203.0.113.7"})
        here = world.url.removeprefix("http://")
        assert world.bell.called[0].url == url.format(here=here) + HOOK
        assert lines[-1]["remote"] == ("203.0.113.7" if "trusted_proxies" in section else "127.0.0.1")
