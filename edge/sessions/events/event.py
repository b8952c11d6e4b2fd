"""An event: something that happened to a resource, as its row, and as it is sent.

    {"id": …, "type": "message_created", "timestamp": "2026-08-01T09:00:00.000000Z", "data": {the resource}}

`data` is the resource as the API showed it when that happened. The id is made of the resource and of what happened to
it, so whoever writes it down twice, after a crash, writes the same event; its receiver can tell by it, too.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

from edge.accounts.event import EventType
from edge.sessions.queues.claims import NOBODY
from edge.store.metadata import instant_text, micros, name_id
from edge.store.writer import Row, Statement, insert

_NAMESPACE: Final = uuid.UUID("3a4b8f52-9d0c-5f0e-8b1e-6f1b1c7d2e90")
COLUMNS: Final = (
    *("id", "customer_id", "type", "resource_id", "body", "tm_create", "tm_queued", "due"),
    *("state", "attempts", "claimed_by", "claimed_until", "code", "error"),
)
KEEP: Final = insert("events.keep", "events", COLUMNS, "ON CONFLICT (id) DO NOTHING")
FORGET: Final = Statement.of("events.forget", "DELETE FROM events WHERE resource_id = ? AND state <> 'queued'")
_encode: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class Event(NamedTuple):
    """Something that happened. `what` tells it from all else that happens to the resource: a version, a status."""

    customer_id: str
    type: EventType
    resource_id: str
    what: object
    data: Mapping[str, Any]
    when: datetime

    @property
    def id(self) -> str:
        return event_id(self.resource_id, self.type, self.what)

    def row(self) -> Row:
        """What `KEEP` writes."""
        event_id, now = self.id, micros(self.when)
        text = body(event_id, self.type, self.when, self.data)
        own = (event_id, self.customer_id, self.type, self.resource_id, text, now, now, now)
        return (*own, "queued", 0, *NOBODY, "", "")


def event_id(resource_id: str, type: str, what: object) -> str:
    return name_id(_NAMESPACE, f"{resource_id} {type} {what}")


def body(event_id: str, type: str, when: datetime, data: Mapping[str, Any]) -> str:
    """What the receiver reads."""
    return _encode({"id": event_id, "type": type, "timestamp": instant_text(when), "data": data})
