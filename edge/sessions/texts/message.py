"""A message as the API shows it, and the table it is read from: lists, single ones, and the end of old ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Literal, TypedDict, Unpack

import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from edge.sessions.tables import DEAD, messages
from edge.sessions.texts.tables import outbox, sent_parts
from edge.sms.split import count
from edge.store.engine import reading, writing
from edge.store.metadata import instant_text
from edge.store.page import SIZE_MAX, Place
from edge.store.page import after as behind

Direction = Literal["inbound", "outbound"]
Status = Literal["received", "rejected", "queued", "sent", "delivered", "failed"]
FlowState = Literal["none", "pending", "done", "failed"]

DEAD_OUTCOMES: Final = frozenset({"failed", "cut"})  # of the run of an incoming one
_SENT_AS: Final = frozenset({"queued", "sent", "delivered", "failed"})


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Address(_Model):
    """One end of a call or message."""

    type: str = Field(description="tel for a telephone number, sip for a SIP URI.")
    target: str = Field(description="The number or URI.")
    target_name: str = Field(default="", description="The name that came with it.")
    name: str = Field(default="", description="Not used here.")
    detail: str = Field(default="", description="Not used here.")

    @classmethod
    def of(cls, target: str) -> Address:
        return cls(type="sip" if target.startswith(("sip:", "sips:")) else "tel", target=target)


class Target(_Model):
    """One receiver of a message, and how far it got."""

    destination: Address = Field(description="Who the message is for.")
    status: Status = Field(
        description="received or rejected on the way in; queued, sent, delivered or failed on the way out."
    )
    parts: int = Field(default=1, description="Short messages that it came in, or takes to be sent.")
    tm_update: str | None = Field(description="When the status last changed.")


class Receipt(_Model):
    """What a carrier said of a part that a message was sent in."""

    carrier: str = Field(description="The carrier that took it.")
    carrier_id: str = Field(description="What the carrier calls it.")
    status: Status = Field(description="sent, delivered or failed.")
    code: str = Field(description="The carrier's code of a failure.")
    reason: str = Field(description="Why it failed, as the carrier says.")
    tm_update: str | None = Field(description="When the carrier said so.")


class Past(_Model):
    """What became of a message before it was sent again, or its flow run again."""

    status: str = Field(description="failed; of an incoming message how its run came out.")
    carrier: str = Field(description="The carrier it went by.")
    code: str = Field(description="The carrier's code.")
    reason: str = Field(description="Why it failed.")
    attempts: int = Field(description="Tries made.")
    tm_update: str | None = Field(description="When it failed.")


class Facts(_Model):
    """What only the edge knows of a message."""

    carrier: str = Field(description="The carrier it came or goes by.")
    carrier_id: str = Field(description="What its carrier calls it.")
    number_id: str = Field(description="Our number's id.")
    conversation_id: str = Field(description="The same for all messages between two numbers of one account.")
    reference_id: str = Field(description="The call or message whose flow sent this one.")
    reason: str = Field(description="Why it was rejected or failed; of a dead letter that came in, why its run failed.")
    code: str = Field(description="The carrier's code for that, if it gave one.")
    receipts: tuple[Receipt, ...] = Field(description="The parts it was sent in, and what the carrier said of each.")
    history: tuple[Past, ...] = Field(description="What became of it before it was sent or run again, oldest first.")
    attempts: int = Field(description="Runs begun of an incoming message's flow; tries to send an outgoing one.")
    lookup_source: str = Field(description="Which tier knew the number: memory, redis, sql or stale.")
    flow_id: str = Field(description="The flow that an incoming message ran.")
    flow_version: int = Field(description="Its version, 0 before it ran.")
    flow_state: str = Field(description="none, pending, done or failed.")
    outcome: str = Field(
        description="How the run came out: finished, stopped, ended, failed or cut; of a keyword opted_out, opted_in or"
        " helped."
    )
    error: str = Field(description="Why the run failed.")
    cut_by: str = Field(description="The limit that cut the run.")
    steps: Any = Field(description="The last steps of the run.")
    media: tuple[str, ...] = Field(description="URLs of what came beside the words (MMS).")


class Message(_Model):
    """A text message, in or out."""

    id: str = Field(description="Its id.")
    customer_id: str = Field(description="The account; the nil UUID for a message to a number that is nobody's.")
    type: Literal["sms"] = Field(default="sms", description="Always sms.")
    source: Address = Field(description="Who sent it.")
    targets: tuple[Target, ...] = Field(description="Its receivers: one.")
    text: str = Field(description="What it says.")
    direction: Direction = Field(description="inbound or outbound.")
    tm_create: str = Field(description="When it came in or was accepted for sending.")
    tm_update: str | None = Field(description="When it last changed.")
    tm_delete: str | None = Field(default=None, description="When it was deleted; null in all that is listed.")
    edge: Facts = Field(description="What only the edge knows.")


class Filters(TypedDict, total=False):
    """Which messages are wanted; None: whichever. `since` ≤ tm_create < `until`."""

    number: str | None
    peer: str | None
    direction: Direction | None
    status: Status | None
    carrier: str | None
    conversation_id: str | None
    flow_state: FlowState | None
    code: str | None
    since: datetime | None
    until: datetime | None


_OUT: Final = ("state", "attempts", "carrier_id", "code", "error", "tm_update", "history")
_COLUMNS: Final[tuple[Any, ...]] = (messages, *(outbox.c[name].label(f"out_{name}") for name in _OUT))
_SELECT: Final = (
    sa.select(*_COLUMNS)
    .outerjoin(outbox, outbox.c.id == messages.c.id)
    .where(sa.or_(messages.c.direction == "inbound", outbox.c.id.is_not(None)))  # without its row it was never accepted
    .where(messages.c.tm_delete.is_(None))
)
_SENT: Final = (  # by what became of them: an index of the outbox leads
    sa.select(*_COLUMNS).join(outbox, outbox.c.id == messages.c.id).where(messages.c.tm_delete.is_(None))
)


class MessageTable:
    """Reads and purges messages. All methods raise Unavailable."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def get(self, message_id: str, customer_id: str | None = None) -> Message | None:
        """One message. `customer_id` None: whoever it belongs to."""
        query = _SELECT.where(messages.c.id == message_id)
        if customer_id is not None:
            query = query.where(messages.c.customer_id == customer_id)
        async with reading(self._engine) as connection:
            return next(iter(await _shown(connection, query)), None)

    async def list(
        self,
        customer_id: str | None,
        *,
        after: Place | None = None,
        size: int = SIZE_MAX,
        **wanted: Unpack[Filters],
    ) -> Sequence[Message]:
        """Newest first, from behind the place `after` on; of None: everybody's."""
        if wanted.get("code") is not None and wanted.get("status") is None:
            wanted = {**wanted, "status": "failed"}  # what did not fail has no code
        async with reading(self._engine) as connection:
            return await _shown(connection, _wanted(customer_id, wanted, after, size))

    async def dead(
        self,
        customer_id: str | None,
        *,
        after: Place | None = None,
        size: int = SIZE_MAX,
        **wanted: Unpack[Filters],
    ) -> Sequence[Message]:
        """The dead letters among them: outgoing ones that failed, incoming ones whose flow did not come to its end."""
        found: list[Message] = []
        async with reading(self._engine) as connection:
            if wanted.get("direction") != "inbound":
                failed: Filters = {**wanted, "status": "failed"}
                found += await _shown(connection, _wanted(customer_id, failed, after, size))
            if wanted.get("direction") != "outbound" and wanted.get("code") is None:
                found += await _shown(connection, _wanted(customer_id, wanted, after, size, dead=True))
        return sorted(found, key=lambda message: (message.tm_create, message.id), reverse=True)[:size]

    async def purge(self, before: datetime, batch: int) -> int:
        """Delete up to `batch` messages older than `before` with which nothing is left to do; returns how many went."""
        busy = sa.select(outbox.c.id).where(outbox.c.id == messages.c.id, outbox.c.state == "queued").exists()
        old = (
            sa.select(messages.c.id)
            .where(messages.c.tm_create < before, messages.c.flow_state != "pending", ~busy)
            .order_by(messages.c.tm_create)
            .limit(batch)
        )
        async with writing(self._engine) as connection:
            ids = (await connection.execute(old)).scalars().all()
            await connection.execute(sa.delete(messages).where(messages.c.id.in_(ids)))
            await connection.execute(sa.delete(outbox).where(outbox.c.id.in_(ids)))
            await connection.execute(sa.delete(sent_parts).where(sent_parts.c.message_id.in_(ids)))
            alone = sa.select(messages.c.id).where(messages.c.id == outbox.c.id).exists()
            lost = sa.select(outbox.c.id).where(outbox.c.tm_create < before, ~alone).limit(batch)
            await connection.execute(sa.delete(outbox).where(outbox.c.id.in_(lost)))
        return len(ids)


def _wanted(
    customer_id: str | None, wanted: Filters, after: Place | None, size: int, *, dead: bool = False
) -> sa.Select[Any]:
    """A page of the messages that are wanted, or of those of them that came in and are dead.

    What is rare has an index of its own, in whose very words it is asked for. One condition leads, and has the index;
    the others are written so that SQLite, which has no idea how many rows each would leave, takes none of theirs.
    """
    status, flow_state = wanted.get("status"), wanted.get("flow_state")
    query, when, row_id = _SELECT, messages.c.tm_create, messages.c.id
    owner, leader = messages.c.customer_id, ""
    rare: str | None = None
    if status in _SENT_AS:
        query, when, row_id, owner = _SENT, outbox.c.tm_create, outbox.c.id, outbox.c.customer_id
        query = query.where(outbox.c.state == status)
        leader = "customer_id"
    elif status is not None:
        query = query.where(messages.c.direction == "inbound")
        rare = "refusal <> ''" if status == "rejected" else None
    if dead or flow_state == "failed":
        rare = DEAD
    elif flow_state == "pending":
        rare = "flow_state = 'pending'"
    if rare is not None:
        query = query.where(sa.text(rare))
        leader = rare
    if status == "received":
        query = query.where(messages.c.refusal == "")
    conditions = {
        **{messages.c[name]: wanted.get(name) for name in ("conversation_id", "number")},
        owner: customer_id,
        **{messages.c[name]: wanted.get(name) for name in ("carrier", "peer", "direction", "flow_state")},
        outbox.c.code: wanted.get("code"),
    }
    for column, value in conditions.items():
        if value is not None:
            leader = leader or column.name
            query = query.where((column if leader == column.name else column.concat("")) == value)
    if (since := wanted.get("since")) is not None:
        query = query.where(when >= since)
    if (until := wanted.get("until")) is not None:
        query = query.where(when < until)
    if after is not None:
        query = query.where(when <= after.when, behind(after, when, row_id))
    return query.order_by(when.desc(), row_id.desc()).limit(size)


async def _shown(connection: AsyncConnection, query: sa.Select[Any]) -> list[Message]:
    """The messages of a query, with the parts they were sent in."""
    rows = (await connection.execute(query)).mappings().all()
    sent = [row["id"] for row in rows if row["direction"] == "outbound"]
    parts: dict[str, list[Receipt]] = {}
    if sent:
        table = sent_parts.c
        of = sa.select(sent_parts).where(table.message_id.in_(sent)).order_by(table.message_id, table.place)
        for part in (await connection.execute(of)).mappings():
            parts.setdefault(part["message_id"], []).append(_receipt(part))
    return [message_of(row, parts.get(row["id"], ())) for row in rows]


def _receipt(row: sa.RowMapping) -> Receipt:
    said = {name: row[name] for name in ("carrier", "carrier_id", "code", "reason")}
    return Receipt(**said, status=row["state"], tm_update=_text(row["tm_update"]))


def _text(when: datetime | None) -> str | None:
    return instant_text(when) if when is not None else None


def message_of(row: Mapping[str, Any] | sa.RowMapping, receipts: Sequence[Receipt]) -> Message:
    """A message out of its row, with that of the outbox under names with `out_` before them."""
    inbound = row["direction"] == "inbound"
    status: Status = row["out_state"] if not inbound else "rejected" if row["refusal"] else "received"
    tm_update = _text(row["tm_update"] if inbound else row["out_tm_update"])
    dead = row["flow_state"] == "failed" or row["outcome"] in DEAD_OUTCOMES
    source, destination = (row["peer"], row["number"]) if inbound else (row["number"], row["peer"])
    parts = row["parts"] if inbound else count(row["text"]).parts
    names = ("number_id", "conversation_id", "reference_id", "carrier", "lookup_source", "flow_id", "flow_version")
    return Message(
        id=row["id"],
        customer_id=row["customer_id"],
        source=Address.of(source),
        targets=(Target(destination=Address.of(destination), status=status, parts=parts, tm_update=tm_update),),
        text=row["text"],
        direction=row["direction"],
        tm_create=instant_text(row["tm_create"]),
        tm_update=tm_update,
        tm_delete=_text(row["tm_delete"]),
        edge=Facts(
            **{name: row[name] for name in (*names, "flow_state", "outcome", "error", "cut_by", "steps", "media")},
            carrier_id=row["carrier_id"] if inbound else row["out_carrier_id"],
            reason=(row["refusal"] or (row["error"] if dead else "")) if inbound else row["out_error"],
            receipts=receipts,
            history=row["history"] if inbound else row["out_history"],
            code="" if inbound else row["out_code"],
            attempts=row["attempts"] if inbound else row["out_attempts"],
        ),
    )
