"""Texts sent over the API, dead letters begun anew, records deleted."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from edge.sessions.tables import conversations, messages
from edge.sessions.texts.tables import outbox
from edge.store.engine import open_engine
from edge.store.metadata import new_id
from tests.api.world import FREE, World, wheres

PEER = "+12125550122"
SECOND = "+12125550123"
ABROAD = "+4930901820"


async def rows(world: World, table: sa.Table) -> list[dict[str, Any]]:
    engine = await open_engine(world.database_url)
    async with engine.connect() as connection:
        found = [dict(row) for row in (await connection.execute(sa.select(table))).mappings()]
    await engine.dispose()
    return found


async def change(world: World, table: sa.Table, message_id: str, **values: Any) -> None:
    engine = await open_engine(world.database_url)
    async with engine.execution_options(writing=True).begin() as connection:
        await connection.execute(sa.update(table).where(table.c.id == message_id).values(**values))
    await engine.dispose()


def order(*destinations: Any, source: Any = FREE, text: str = "hello", **more: Any) -> dict[str, Any]:
    return {"source": source, "destinations": list(destinations), "text": text, **more}


async def test_a_text_is_sent(each_world: World) -> None:
    world = each_world
    number = await world.number()
    made = await world.did("POST", "/v1.0/messages", order({"type": "tel", "target": PEER}, source=f"tel:{FREE}"))
    assert (made["source"]["target"], made["text"], made["direction"]) == (FREE, "hello", "outbound")
    assert [(t["destination"]["target"], t["status"]) for t in made["targets"]] == [(PEER, "queued")]
    assert (made["edge"]["carrier"], made["edge"]["number_id"]) == ("loopback", number["id"])
    assert (made["others"], made["refused"]) == ([], [])
    shown = await world.did("GET", f"/v1.0/messages/{made['id']}")
    assert {**shown, "others": [], "refused": []} == made
    assert [row["state"] for row in await rows(world, outbox)] == ["queued"]


async def test_each_destination_gets_a_message_of_its_own(each_world: World) -> None:
    world = each_world
    await world.number()
    made = await world.did("POST", "/v1.0/messages", order(PEER, SECOND, PEER, ABROAD))
    assert [other["targets"][0]["destination"]["target"] for other in made["others"]] == [SECOND]
    assert made["refused"] == [
        {
            "destination": ABROAD,
            "reason": "DESTINATION_NOT_ALLOWED",
            "message": f"{ABROAD} is abroad or no number, and this account has no destinations listed",
        }
    ]
    listed = (await world.did("GET", "/v1.0/messages"))["result"]
    assert {message["id"] for message in listed} == {made["id"], made["others"][0]["id"]}


async def test_the_same_order_with_the_same_key_sends_nothing_twice(each_world: World) -> None:
    world = each_world
    await world.number()
    key = {"Idempotency-Key": "6f1c3f0e"}
    status, first, _ = await world.ask("POST", "/v1.0/messages", order(PEER, SECOND), headers=key)
    assert status == 200
    await change(world, outbox, first["id"], state="sent")
    status, again, _ = await world.ask("POST", "/v1.0/messages", order(SECOND, PEER), headers=key)
    assert (status, again["id"], again["others"][0]["id"]) == (200, first["others"][0]["id"], first["id"])
    assert again["others"][0]["targets"][0]["status"] == "sent"
    assert len(await rows(world, outbox)) == 2
    quoted = {"Idempotency-Key": '"6f1c3f0e"'}
    assert (await world.ask("POST", "/v1.0/messages", order(PEER), headers=quoted))[1]["id"] == first["id"]
    error = await world.refused(409, "POST", "/v1.0/messages", order(PEER, text="other"), headers=key)
    assert error["reason"] == "IDEMPOTENCY_KEY_REUSED"
    assert len(await rows(world, outbox)) == 2
    other = {"Idempotency-Key": "another"}
    assert (await world.ask("POST", "/v1.0/messages", order(PEER), headers=other))[1]["id"] != first["id"]
    for wrong in ("", "a b", "x" * 256, "ä"):
        error = await world.refused(400, "POST", "/v1.0/messages", order(PEER), headers={"Idempotency-Key": wrong})
        assert wheres(error) == ["Idempotency-Key"]


async def test_an_order_that_was_done_is_done_whatever_became_of_its_number(each_world: World) -> None:
    world, key = each_world, {"Idempotency-Key": "1"}
    number = await world.number()
    first = (await world.ask("POST", "/v1.0/messages", order(PEER), headers=key))[1]
    await world.did("DELETE", f"/v1.0/numbers/{number['id']}")
    status, again, _ = await world.ask("POST", "/v1.0/messages", order(PEER), headers=key)
    assert (status, again["id"]) == (200, first["id"])
    assert (await world.ask("POST", "/v1.0/messages", order(SECOND), headers=key))[0] == 403


async def test_keys_of_two_accounts_are_not_the_same(each_world: World) -> None:
    world, key = each_world, {"Idempotency-Key": "1"}
    await world.number()
    await world.number("+14155550101", key=world.key_b)
    mine = await world.ask("POST", "/v1.0/messages", order(PEER), headers=key)
    theirs = await world.ask("POST", "/v1.0/messages", order(PEER, source="+14155550101"), key=world.key_b, headers=key)
    assert (mine[0], theirs[0]) == (200, 200)
    assert mine[1]["id"] != theirs[1]["id"]


@pytest.mark.parametrize(
    ("body", "status", "where"),
    [
        ({}, 400, {"source", "destinations", "text"}),
        (order(), 400, {"destinations"}),
        (order(*[PEER] * 21), 400, {"destinations"}),
        (order(PEER, text=""), 400, {"text"}),
        (order(PEER, text="x" * 16_385), 400, {"text"}),
        (order(PEER, text="a\0b"), 400, {"text"}),
        (order("12345"), 400, {"destinations[0]"}),
        (order("sip:ann@example.com"), 400, {"destinations[0]"}),
        (order(PEER, source="ACME"), 400, {"source"}),
        (order(PEER, subject="x"), 400, {"subject"}),
        (order(PEER, customer_id=new_id()), 400, {"customer_id"}),
    ],
)
async def test_what_cannot_be_sent_is_refused_by_its_place(
    each_world: World, body: dict[str, Any], status: int, where: set[str]
) -> None:
    await each_world.number()
    assert set(wheres(await each_world.refused(status, "POST", "/v1.0/messages", body))) == where
    assert await rows(each_world, outbox) == []


async def test_only_from_a_live_number_of_the_account_and_where_it_may(each_world: World) -> None:
    world = each_world
    error = await world.refused(403, "POST", "/v1.0/messages", order(PEER))
    assert error["reason"] == "SOURCE_NOT_ALLOWED"
    await world.number(key=world.key_b)
    assert (await world.refused(403, "POST", "/v1.0/messages", order(PEER)))["reason"] == "SOURCE_NOT_ALLOWED"
    mine = await world.number("+14155550101")
    for wrong in (ABROAD, "+19005551234"):
        error = await world.refused(403, "POST", "/v1.0/messages", order(wrong, source=mine["number"]))
        assert error["reason"] == "DESTINATION_NOT_ALLOWED"
    await world.did("PUT", f"/v1.0/customers/{world.a}", {"destinations": ["+49", "+1"]}, key=world.key_admin)
    await world.did("POST", "/v1.0/messages", order(ABROAD, source=mine["number"]))
    await world.did("DELETE", f"/v1.0/numbers/{mine['id']}")
    error = await world.refused(403, "POST", "/v1.0/messages", order(PEER, source=mine["number"]))
    assert error["reason"] == "SOURCE_NOT_ALLOWED"


async def test_where_the_account_may_not_text_any_more_nothing_goes_on_or_is_sent_again(each_world: World) -> None:
    world, path = each_world, f"/v1.0/customers/{each_world.a}"
    await world.number()
    await world.did("PUT", path, {"destinations": ["+49"]}, key=world.key_admin)
    (one,) = await sent(world, ABROAD, state="failed")
    conversation = (await world.did("GET", f"/v1.0/messages/{one}"))["edge"]["conversation_id"]
    await world.did("PUT", path, {"destinations": []}, key=world.key_admin)
    resend, go_on = f"/v1.0/messages/{one}/resend", f"/v1.0/conversations/{conversation}/messages"
    for wrong in ((resend,), (go_on, {"text": "hi"})):
        assert (await world.refused(403, "POST", *wrong))["reason"] == "DESTINATION_NOT_ALLOWED"
    done = await world.did("POST", "/v1.0/messages/dead_letters/resend", {})
    assert done == {"resent": 0, "refused": 1, "more": False}
    await change(world, conversations, conversation, inbound_id=new_id())  # he texts us: he can be answered
    await world.did("POST", go_on, {"text": "hi"})
    await world.did("POST", resend)


async def test_an_admin_says_for_whom(each_world: World) -> None:
    world = each_world
    await world.number()
    error = await world.refused(400, "POST", "/v1.0/messages", order(PEER), key=world.key_admin)
    assert wheres(error) == ["customer_id"]
    made = await world.did("POST", "/v1.0/messages", order(PEER, customer_id=world.a), key=world.key_admin)
    assert made["customer_id"] == world.a
    await world.refused(404, "GET", f"/v1.0/messages/{made['id']}", key=world.key_b)


async def test_nothing_is_sent_while_draining(each_world: World) -> None:
    each_world.is_draining = True
    assert (await each_world.refused(503, "POST", "/v1.0/messages", order(PEER)))["reason"] == "DRAINING"


async def sent(world: World, *peers: str, **state: Any) -> list[str]:
    """Texts whose carrier answered so; their ids."""
    made = [(await world.did("POST", "/v1.0/messages", order(peer)))["id"] for peer in peers]
    for message_id in made if state else ():
        await change(world, outbox, message_id, **state)
    return made


async def test_dead_letters_are_listed_and_begun_anew(each_world: World) -> None:
    world = each_world
    await world.number()
    one, two = await sent(world, PEER, SECOND, state="failed", code="30", error="no such person", attempts=3)
    (fine,) = await sent(world, PEER, state="delivered")

    async def dead(query: str = "", key: str | None = None) -> list[str]:
        found = await world.did("GET", f"/v1.0/messages/dead_letters{query}", key=key)
        return [message["id"] for message in found["result"]]

    assert await dead() == [two, one]
    assert await dead("?code=30") == await dead("?carrier=loopback") == await dead(key=world.key_admin) == [two, one]
    assert await dead("?code=31") == await dead("?direction=inbound") == await dead(key=world.key_b) == []
    assert await dead(f"?peer={PEER}".replace("+", "%2B")) == [one]
    first = await world.did("GET", "/v1.0/messages/dead_letters?page_size=1")
    assert await dead(f"?page_size=1&page_token={first['next_page_token']}") == [one]
    shown = first["result"][0]
    assert (shown["edge"]["reason"], shown["edge"]["code"]) == ("no such person", "30")

    again = await world.did("POST", f"/v1.0/messages/{one}/resend")
    assert (again["id"], again["targets"][0]["status"], again["edge"]["attempts"]) == (one, "queued", 0)
    assert [past["reason"] for past in again["edge"]["history"]] == ["no such person"]
    for wrong in (one, fine):
        error = await world.refused(409, "POST", f"/v1.0/messages/{wrong}/resend")
        assert error["reason"] == "MESSAGE_NOT_DEAD"
    assert (await world.refused(404, "POST", f"/v1.0/messages/{two}/resend", key=world.key_b))["reason"]
    await world.refused(404, "POST", f"/v1.0/messages/{new_id()}/resend")
    done = await world.did("POST", "/v1.0/messages/dead_letters/resend", {"code": "30", "limit": 10})
    assert done == {"resent": 1, "refused": 0, "more": False}
    assert await dead() == []
    await world.refused(400, "POST", "/v1.0/messages/dead_letters/resend", {"limit": 1001})


async def test_a_dead_letter_of_a_number_that_is_gone_is_not_sent(each_world: World) -> None:
    world = each_world
    number = await world.number()
    (one,) = await sent(world, PEER, state="failed")
    await world.did("DELETE", f"/v1.0/numbers/{number['id']}")
    assert (await world.refused(409, "POST", f"/v1.0/messages/{one}/resend"))["reason"] == "SOURCE_NOT_ALLOWED"
    await world.number()  # the same again, and yet another number
    assert (await world.refused(409, "POST", f"/v1.0/messages/{one}/resend"))["reason"] == "SOURCE_NOT_ALLOWED"
    done = await world.did("POST", "/v1.0/messages/dead_letters/resend", {})
    assert done == {"resent": 0, "refused": 1, "more": False}


async def test_a_record_is_deleted(each_world: World) -> None:
    world = each_world
    await world.number()
    (one,) = await sent(world, PEER, state="sent")
    (waiting,) = await sent(world, SECOND)
    await world.refused(404, "DELETE", f"/v1.0/messages/{one}", key=world.key_b)
    gone = await world.did("DELETE", f"/v1.0/messages/{one}")
    assert (gone["id"], gone["text"]) == (one, "hello")
    assert gone["tm_delete"]
    for method in ("GET", "DELETE"):
        await world.refused(404, method, f"/v1.0/messages/{one}")
    assert [message["id"] for message in (await world.did("GET", "/v1.0/messages"))["result"]] == [waiting]
    assert (await world.refused(409, "DELETE", f"/v1.0/messages/{waiting}"))["reason"] == "MESSAGE_PENDING"
    assert {row["id"]: row["text"] for row in await rows(world, messages)}[one] == ""


async def test_messages_are_listed_by_what_became_of_them(each_world: World) -> None:
    world = each_world
    await world.number()
    made = {state: (await sent(world, PEER, state=state))[0] for state in ("queued", "sent", "delivered", "failed")}

    async def found(query: str) -> list[str]:
        return [message["id"] for message in (await world.did("GET", f"/v1.0/messages?{query}"))["result"]]

    for state, message_id in made.items():
        assert await found(f"status={state}") == [message_id]
    everything = [*made.values()][::-1]
    assert await found("carrier=loopback") == await found("flow_state=none") == everything
    assert await found("carrier=other") == await found("status=received") == await found("flow_state=failed") == []
    conversation = (await world.did("GET", f"/v1.0/messages/{made['sent']}"))["edge"]["conversation_id"]
    assert await found(f"conversation_id={conversation}") == everything
    assert await found(f"conversation_id={new_id()}") == []
    for wrong in ("status=lost", "flow_state=x", "conversation_id=1", "text=hello"):
        await world.refused(400, "GET", f"/v1.0/messages?{wrong}")
