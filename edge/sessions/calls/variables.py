"""What a flow can read of its call: the platform's names, each computed only when a step asks for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from edge.numbers.number import Number
from edge.sessions.calls.record import Attempt, kind_of
from edge.sessions.memory import peer_of
from edge.store.metadata import NIL, json_text

_Read = Callable[[Attempt, Number], str]


def _of_recording(name: str) -> _Read:
    """What is known of the recording that was begun last; "" before the first."""
    return lambda attempt, number: getattr(attempt.recording, name) if attempt.recording is not None else ""


_NAMES: Final[dict[str, _Read]] = {
    "voipbin.activeflow.id": lambda attempt, number: attempt.id,
    "voipbin.activeflow.flow_id": lambda attempt, number: attempt.flow_id,
    "voipbin.activeflow.reference_type": lambda attempt, number: "call",
    "voipbin.activeflow.reference_id": lambda attempt, number: attempt.id,
    "voipbin.activeflow.reference_activeflow_id": lambda attempt, number: NIL,
    "voipbin.activeflow.complete_count": lambda attempt, number: "0",
    "voipbin.flow.reference_data": lambda attempt, number: json_text(attempt.public()),
    "voipbin.call.id": lambda attempt, number: attempt.id,
    "voipbin.call.direction": lambda attempt, number: attempt.direction,
    "voipbin.call.master_call_id": lambda attempt, number: attempt.master_call_id,
    "voipbin.call.digits": lambda attempt, number: "",  # until `digits_receive` sets it
    "voipbin.call.source.type": lambda attempt, number: kind_of(attempt.source),
    "voipbin.call.source.target": lambda attempt, number: attempt.source,
    "voipbin.call.source.target_name": lambda attempt, number: attempt.source_name,
    "voipbin.call.source.name": lambda attempt, number: "",
    "voipbin.call.source.detail": lambda attempt, number: "",
    "voipbin.call.destination.type": lambda attempt, number: "tel",
    "voipbin.call.destination.target": lambda attempt, number: attempt.destination,
    "voipbin.call.destination.target_name": lambda attempt, number: "",
    "voipbin.call.destination.name": lambda attempt, number: number.name,
    "voipbin.call.destination.detail": lambda attempt, number: number.detail,
    "voipbin.recording.id": _of_recording("id"),
    "voipbin.recording.reference_type": _of_recording("reference_type"),
    "voipbin.recording.reference_id": _of_recording("reference_id"),
    "voipbin.recording.format": _of_recording("format"),
    "voipbin.recording.recording_name": _of_recording("recording_name"),
    "voipbin.recording.filenames": _of_recording("filename"),
    "edge.call.status": lambda attempt, number: attempt.status_now,
    "edge.call.attestation": lambda attempt, number: attempt.attestation,
    "edge.call.caller": lambda attempt, number: peer_of(attempt.source, attempt.country),
    "edge.call.sip_call_id": lambda attempt, number: attempt.call_id,
    "edge.call.trunk": lambda attempt, number: attempt.trunk,
    "edge.number.id": lambda attempt, number: number.id,
    "edge.number.name": lambda attempt, number: number.name,
    "edge.number.detail": lambda attempt, number: number.detail,
}


class CallVariables(Mapping[str, str]):
    """A view of one call's attempt and number; copies nothing."""

    __slots__ = ("_attempt", "_number")

    def __init__(self, attempt: Attempt, number: Number) -> None:
        self._attempt = attempt
        self._number = number

    def __getitem__(self, name: str) -> str:
        return _NAMES[name](self._attempt, self._number)

    def __iter__(self) -> Iterator[str]:
        return iter(_NAMES)

    def __len__(self) -> int:
        return len(_NAMES)
