"""A message as the API shows it, and the table it is read from: lists, single ones, and the end of old ones."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, Literal

import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncEngine

from edge.sessions.tables import messages, outbox, sent_parts
from edge.sms.split import count
from edge.store.engine import reading, writing
from edge.store.metadata import instant_text
from edge.store.page import SIZE_MAX, Place
from edge.store.page import after as behind

Direction = Literal["inbound", "outbound"]
Status = Literal["received", "rejected", "queued", "sent", "delivered", "failed"]


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


class Facts(_Model):
    """What only the edge knows of a message."""

    carrier: str = Field(description="The carrier it came or goes by.")
    carrier_id: str = Field(description="What its carrier calls it.")
    number_id: str = Field(description="Our number's id.")
    conversation_id: str = Field(description="The same for all messages between two numbers of one account.")
    reference_id: str = Field(description="The call or message whose flow sent this one.")
    reason: str = Field(description="Why it was rejected or failed.")
    code: str = Field(description="The carrier's code for that, if it gave one.")
    attempts: int = Field(description="Runs begun of an incoming message's flow; tries to send an outgoing one.")
    lookup_source: str = Field(description="Which tier knew the number: memory, redis, sql or stale.")
    flow_id: str = Field(description="The flow that an incoming message ran.")
    flow_version: int = Field(description="Its version, 0 before it ran.")
    flow_state: str = Field(description="none, pending, done or failed.")
    outcome: str = Field(description="How the run came out: finished, stopped, ended, failed or cut.")
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
    tm_delete: None = Field(default=None, description="Always null.")
    edge: Facts = Field(description="What only the edge knows.")


_OUT: Final = ("state", "attempts", "carrier_id", "code", "error", "tm_update")
_SELECT: Final = (
    sa.select(messages, *(outbox.c[name].label(f"out_{name}") for name in _OUT))
    .outerjoin(outbox, outbox.c.id == messages.c.id)
    .where(sa.or_(messages.c.direction == "inbound", outbox.c.id.is_not(None)))  # without its row it was never accepted
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
            row = (await connection.execute(query)).mappings().one_or_none()
        return _message(row) if row is not None else None

    async def list(
        self,
        customer_id: str | None,
        *,
        number: str | None = None,
        peer: str | None = None,
        direction: Direction | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        after: Place | None = None,
        size: int = SIZE_MAX,
    ) -> Sequence[Message]:
        """Newest first, `since` ≤ tm_create < `until`, from behind the place `after` on; of None: everybody's."""
        conditions = (
            (messages.c.customer_id, customer_id),
            (messages.c.number, number),
            (messages.c.peer, peer),
            (messages.c.direction, direction),
        )
        query = _SELECT.where(*(column == value for column, value in conditions if value is not None))
        if since is not None:
            query = query.where(messages.c.tm_create >= since)
        if until is not None:
            query = query.where(messages.c.tm_create < until)
        if after is not None:
            query = query.where(behind(after, messages.c.tm_create, messages.c.id))
        query = query.order_by(messages.c.tm_create.desc(), messages.c.id.desc()).limit(size)
        async with reading(self._engine) as connection:
            return [_message(row) for row in (await connection.execute(query)).mappings()]

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


def _message(row: sa.RowMapping) -> Message:
    inbound = row["direction"] == "inbound"
    status: Status = row["out_state"] if not inbound else "rejected" if row["refusal"] else "received"
    updated = row["tm_update"] if inbound else row["out_tm_update"]
    tm_update = instant_text(updated) if updated is not None else None
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
        edge=Facts(
            **{name: row[name] for name in (*names, "flow_state", "outcome", "error", "cut_by", "steps", "media")},
            carrier_id=row["carrier_id"] if inbound else row["out_carrier_id"],
            reason=row["refusal"] if inbound else row["out_error"],
            code="" if inbound else row["out_code"],
            attempts=row["attempts"] if inbound else row["out_attempts"],
        ),
    )
