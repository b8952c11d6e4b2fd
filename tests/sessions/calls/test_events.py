"""Events of calls: what the API shows of a call then, written with its record, for who wants to know."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest

from edge.accounts.customer import Customer, CustomerDirectory
from edge.api.forms import FORMS, call_form
from edge.errors import Unavailable
from edge.sessions.calls.events import CallEvents
from edge.sessions.calls.record import Attempt, CallRecords, CallTable
from edge.sessions.events.journal import KIND, Journal
from edge.sessions.tables import events
from edge.store.metadata import micros, new_id
from edge.store.notice import Notices
from edge.store.tiers import Found
from tests.sessions.ground import Clock, Ground, until

ANN = "11111111-1111-4111-8111-111111111111"
NOW = Clock().now


class Accounts:
    """One account, in memory or not, or nowhere to be found."""

    def __init__(self, account: Customer | None, *, remembered: bool) -> None:
        self.account = account
        self.remembered = remembered
        self.away = False

    def peek(self, customer_id: str, now: float) -> Found[Customer] | None:
        return Found(self.account, "memory") if self.remembered else None

    async def find(self, customer_id: str) -> Found[Customer]:
        if self.away:
            raise Unavailable("nobody knows")
        return Found(self.account, "sql")


class World:
    def __init__(self, ground: Ground, accounts: Accounts) -> None:
        self.ground = ground
        self.told: list[str | None] = []
        notices, directory = Notices(), cast("CustomerDirectory", accounts)
        notices.listen(KIND, self.told.append)
        journal = Journal(directory, notices, FORMS, Clock())
        self.events = CallEvents(journal, directory, ground.writer, call_form, Clock(), -0.1)

    async def rows(self) -> list[dict[str, Any]]:
        await self.events.close()
        await self.ground.writer.flush()
        return sorted(await self.ground.rows(events), key=lambda row: row["seq"])


def account(*types: str) -> Customer:
    return Customer.model_validate({"id": ANN, "tm_create": NOW, "webhook_uri": "https://a", "webhook_events": types})


def attempt(**fields: Any) -> Attempt:
    call = Attempt(
        id=new_id(),
        call_id="1@192.0.2.9",
        remote="192.0.2.9",
        dialed="sip:4155550100@edge",
        source="+14155550199",
        source_name="Ann",
        tm_create=micros(NOW),
    )
    for name, value in {"customer_id": ANN, **fields}.items():
        setattr(call, name, value)
    return call


async def test_the_end_of_a_call_is_told_as_its_record_says(ground: Ground) -> None:
    world = World(ground, Accounts(None, remembered=True))
    call = attempt(account=account(), steps='[{"id":"a"}]', recording_ids=(ANN,))
    world.events.tell("call_created", call)
    call.tm_progressing = micros(NOW)
    world.events.tell("call_progressing", call)
    call.tm_hangup, call.hangup_by = micros(NOW), "remote"
    CallRecords(ground.writer).keep(call)
    world.events.tell("call_hangup", call)
    rows = await world.rows()
    told = [json.loads(row["body"]) for row in rows]
    assert [(one["type"], one["data"]["status"]) for one in told] == [
        ("call_created", "ringing"),
        ("call_progressing", "progressing"),
        ("call_hangup", "hangup"),
    ]
    assert {row["resource_id"] for row in rows} == {call.id}
    record = await CallTable(ground.engine).get(call.id)
    assert record is not None
    assert told[2]["data"] == call_form({**record, "recording_ids": [ANN], "recording_id": ANN})
    assert told[2]["data"]["edge"]["steps"] == [{"id": "a"}]
    await until(lambda: world.told == [ANN])  # once for all three


async def test_only_what_is_wanted_is_told(ground: Ground) -> None:
    world = World(ground, Accounts(account(), remembered=True))
    world.events.tell("call_created", attempt(account=account("call_hangup")))
    world.events.tell("call_hangup", attempt(account=account("call_hangup")))
    world.events.tell("call_hangup", attempt())  # an incoming one that nobody's account was found for
    assert [row["type"] for row in await world.rows()] == ["call_hangup"]


@pytest.mark.parametrize("remembered", [True, False])
async def test_of_a_call_that_we_make_the_account_is_looked_up(ground: Ground, remembered: bool) -> None:
    accounts = Accounts(account(), remembered=remembered)
    world, call = World(ground, accounts), attempt(direction="outgoing")
    world.events.tell("call_created", call)
    call.tm_ringing = micros(NOW)  # what comes while it is looked up changes nothing
    world.events.tell("call_hangup", call)
    rows = await world.rows()
    assert [json.loads(row["body"])["data"]["status"] for row in rows] == ["dialing", "hangup"]
    accounts.account = account().model_copy(update={"webhook_uri": ""})
    world.events.tell("call_hangup", attempt(direction="outgoing"))
    accounts.account, accounts.away = None, not remembered
    world.events.tell("call_hangup", attempt(direction="outgoing"))
    assert len(await world.rows()) == 2
