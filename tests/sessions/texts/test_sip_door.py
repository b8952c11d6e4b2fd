"""The door for SIP MESSAGE: kept first, answered then; with the real agent, directory, inbox and database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from edge.carriers.sip import Sip, SipSection
from edge.carriers.site import Site
from edge.config import LOOPBACK, Config
from edge.errors import Unavailable
from edge.metrics import REGISTRY
from edge.sessions.entrance import Entrance
from edge.sessions.tables import messages
from edge.sessions.texts.desk import TextDesk
from edge.sessions.texts.inbox import Inbox, InboxSection
from edge.sessions.texts.incoming import Incoming, Performed
from edge.sessions.texts.sip_door import SipDoor
from edge.sms.text import Text, Verdict
from edge.store.engine import reading
from edge.trunks.resolve import Targets
from edge.trunks.table import TrunkTable
from edge.trunks.trunk import Trunk
from tests.logged import logged
from tests.sessions.ground import Clock
from tests.sessions.line import NUMBER, Line, exchange
from tests.sip.ladder import request

REPLY = {"id": "r", "type": "reply", "option": {"text": "thanks"}}
OTHERS = Trunk.model_validate({"name": "others", "networks": ["192.0.2.0/24"]})


@dataclass
class Office:
    """The line, the desk behind its door, and what ran."""

    line: Line
    desk: TextDesk
    ran: list[Incoming]

    def open(self, *, carrier: bool = True, trunk: Trunk = LOOPBACK, desk: TextDesk | None = None) -> SipDoor:
        trunks = TrunkTable([trunk])
        nobody: Any = None
        site = Site(messages=nobody, post=nobody, trunks=trunks, targets=Targets(trunks), ask=nobody)
        door = SipDoor(
            Sip(SipSection(), site) if carrier else None,
            Entrance(trunks),
            desk or self.desk,
            self.line.desk.endpoint,
            lambda: datetime.now(UTC),
            self.line.proofs,
        )
        self.line.take_text = door.take
        return door

    async def kept(self) -> list[dict[str, Any]]:
        async with reading(self.line.stores.engine) as connection:
            return [dict(row) for row in (await connection.execute(sa.select(messages))).mappings()]


@pytest.fixture
async def office(migrated_sqlite: Path, tmp_path: Path) -> AsyncIterator[Office]:
    ran: list[Incoming] = []

    async def perform(text: Incoming) -> Performed:
        ran.append(text)
        return Performed(outcome="finished", error="", cut_by="", steps="[]", flow_version=1)

    async with exchange(tmp_path, migrated_sqlite) as line:
        inbox = Inbox(InboxSection(), line.stores.engine, line.writer, perform, node="one")
        await inbox.start()
        yield Office(line, TextDesk(line.stores.directory, inbox, account=line.stores.routes.account), ran)
        await inbox.close()


async def bound(line: Line, number: str = NUMBER) -> Any:
    made = await line.number(number=number)
    flow = await line.flow([REPLY], made.customer_id)
    return await line.stores.numbers.update(made.id, None, {"message_flow_id": flow})


def message(body: bytes = b"hello", uri: str = f"sip:{NUMBER}@edge", **more: Any) -> bytes:
    return request("MESSAGE", uri=uri, body=body, kind="text/plain", **more)


async def test_a_text_is_202_once_it_is_kept(office: Office) -> None:
    number = await bound(office.line)
    door = office.open()
    office.line >> message("grüße".encode())
    assert office.line.quiet()  # nothing is said before
    await office.line.comes(202)
    (row,) = await office.kept()
    assert (row["carrier"], row["number"], row["peer"], row["text"]) == ("sip", NUMBER, "+14155550199", "grüße")
    assert (row["customer_id"], row["direction"], row["refusal"]) == (number.customer_id, "inbound", "")
    await door.idle()


@pytest.mark.parametrize(
    ("case", "uri", "status", "refusal"),
    [
        ("unknown", "sip:+14155550101@edge", 404, "NumberUnknown"),
        ("incomplete", "sip:415@edge", 484, "NumberIncomplete"),
        ("released", f"sip:{NUMBER}@edge", 410, "NumberReleased"),
        ("suspended", f"sip:{NUMBER}@edge", 403, "NumberSuspended"),
        ("account", f"sip:{NUMBER}@edge", 403, "NumberSuspended"),
        ("unbound", f"sip:{NUMBER}@edge", 202, ""),
    ],
)
async def test_a_text_that_nobody_runs_is_kept_and_told(
    office: Office, case: str, uri: str, status: int, refusal: str
) -> None:
    stores = office.line.stores
    number = await office.line.number() if case == "unbound" else await bound(office.line)
    if case == "released":
        await stores.numbers.release(number.id)
    elif case == "suspended":
        await stores.numbers.update(number.id, None, {"status": "suspended"})
    elif case == "account":
        await stores.customers.update(number.customer_id, {"status": "suspended"})
    office.open()
    office.line >> message(uri=uri)
    await office.line.comes(status)
    (row,) = await office.kept()
    assert (row["refusal"], row["flow_state"], row["text"]) == (refusal, "none", "hello")
    assert office.ran == []


async def test_a_repeated_text_gets_the_same_answer_and_is_kept_once(office: Office) -> None:
    await bound(office.line)
    door = office.open()
    office.line >> message() >> message()  # the same transaction
    await office.line.comes(202)
    office.line >> message() << 202  # the transaction remembers
    office.line.later(40)  # the transaction is forgotten
    office.line >> message(branch="two")  # sent anew: the same Call-ID, CSeq and From-tag
    await office.line.comes(202)
    await door.idle()
    assert office.line.quiet()
    assert len(await office.kept()) == 1


@pytest.mark.parametrize("case", ["no carrier", "no trunk"])
async def test_texts_that_we_do_not_take_by_sip_are_403_and_not_kept(office: Office, case: str) -> None:
    await bound(office.line)
    office.open(carrier=case != "no carrier", trunk=OTHERS if case == "no trunk" else LOOPBACK)
    office.line >> message()
    await office.line.comes(403)
    assert await office.kept() == []


async def test_that_no_carrier_takes_texts_by_sip_is_said_once_a_minute_and_counted(office: Office) -> None:
    def refused() -> float:
        return REGISTRY.get_sample_value("edge_sip_texts_refused_total", {"reason": "no_carrier"}) or 0.0

    door, clock, before = office.open(carrier=False), Clock(), refused()
    door._clock = clock
    with logged() as lines:
        for n, seconds in enumerate((0, 1, 58, 1, 1)):
            clock.move(seconds)
            office.line >> message(branch=f"b{n}", call_id=f"call-{n}")
            await office.line.comes(403)
    said = [one for one in lines() if one["event"] == "texts by SIP are refused"]
    assert [(one["count"], one["error"]) for one in said] == [
        (1, 'no carrier of kind "sip" is configured'),
        (3, 'no carrier of kind "sip" is configured'),
    ]
    assert refused() == before + 5


async def test_a_newcomers_configuration_takes_texts_by_sip() -> None:
    assert [section.kind for section in Config().carriers] == ["sip"]


class Failing(TextDesk):
    """A desk whose database is away, or that has a bug."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    async def receive(self, text: Text) -> Verdict:
        raise self.error


async def test_what_cannot_be_kept_is_503(office: Office) -> None:
    office.open(desk=Failing(Unavailable("the database is away")))
    with logged() as lines:
        office.line >> message()
        await office.line.comes(503)
    (said,) = [one for one in lines() if one["event"] == "text refused"]
    assert (said["call_id"], said["code"], said["error"]) == ("call-1", 503, "the database is away")


async def test_a_bug_is_500_and_leaves_a_trace(office: Office) -> None:
    office.open(desk=Failing(RuntimeError("a bug")))
    with logged() as lines:
        office.line >> message()
        await office.line.comes(500)
    (said,) = [one for one in lines() if one["event"] == "text failed"]
    assert "a bug" in said["exception"]


async def test_waiting_for_the_idle_door_is_waiting_for_every_answer(office: Office) -> None:
    await bound(office.line)
    door = office.open()
    await door.idle()
    for n in range(3):
        office.line >> message(branch=f"b{n}", call_id=f"call-{n}")
    await door.idle()
    assert len(office.line.out) == 3
    assert len(await office.kept()) == 3


async def test_a_text_is_for_whom_its_trunk_s_rules_say(office: Office) -> None:
    line = office.line
    rules = [{"prefix": "99", "strip": 2, "add": "+"}]
    more = {"dialed_from": ["to"], "dialed_rules": rules, "caller_rules": [{"prefix": "7", "strip": 1}]}
    trunk = Trunk.model_validate({"name": "t", "networks": ["127.0.0.0/8"], "country": "US", **more})
    await bound(line)
    office.open(trunk=trunk)
    fields = {"To": "<sip:9914155550100@edge>", "From": "<sip:74155550199@them>;tag=them"}
    line >> message(uri="sip:pilot@edge", fields=fields)
    await line.comes(202)
    (row,) = await office.kept()
    assert (row["number"], row["peer"], row["refusal"]) == (NUMBER, "+14155550199", "")


async def test_a_text_for_a_number_on_another_trunk_is_404(office: Office) -> None:
    number = await bound(office.line)
    await office.line.stores.numbers.update(number.id, None, {"trunk_ids": [OTHERS.id]})
    office.open()
    office.line >> message()
    await office.line.comes(404)
    (row,) = await office.kept()
    assert (row["refusal"], row["flow_state"]) == ("NumberUnknown", "none")
