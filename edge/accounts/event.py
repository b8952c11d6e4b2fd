"""The events that an account's server may be told of, by the platform's names."""

from __future__ import annotations

from typing import Final, Literal, get_args

EventType = Literal[
    "message_created",
    "message_updated",
    "message_deleted",
    "opt_out_created",
    "opt_out_deleted",
    "call_created",
    "call_progressing",
    "call_hangup",
    "recording_finished",
    "number_created",
    "number_updated",
    "number_deleted",
    "flow_created",
    "flow_updated",
    "flow_deleted",
]

EVENT_TYPES: Final[tuple[EventType, ...]] = get_args(EventType)
