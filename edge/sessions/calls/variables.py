"""What a flow can read of its call: the platform's names, each computed only when a step asks for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from edge.flows.caller_list import HIDDEN
from edge.numbers.number import Number
from edge.sessions.calls.caller import Parties
from edge.sessions.calls.record import Attempt, kind_of, withheld
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
    "voipbin.flow.reference_data": lambda attempt, number: json_text(withheld(attempt.public())),
    "voipbin.call.id": lambda attempt, number: attempt.id,
    "voipbin.call.direction": lambda attempt, number: attempt.direction,
    "voipbin.call.master_call_id": lambda attempt, number: attempt.master_call_id,
    "voipbin.call.digits": lambda attempt, number: "",  # until `digits_receive` sets it
    "voipbin.call.source.type": lambda attempt, number: kind_of(attempt.shown_source),
    "voipbin.call.source.target": lambda attempt, number: attempt.shown_source,
    "voipbin.call.source.target_name": lambda attempt, number: attempt.shown_name,
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
    "edge.call.verstat": lambda attempt, number: attempt.verstat,
    "edge.call.origination_id": lambda attempt, number: "" if attempt.withheld else attempt.origination_id,
    "edge.call.caller": lambda attempt, number: peer_of(attempt.shown_source, attempt.country),
    "edge.caller.read_from": lambda attempt, number: attempt.source_from,
    "edge.caller.withheld": lambda attempt, number: "true" if _is_nobody(attempt) else "false",
    "edge.call.sip_call_id": lambda attempt, number: attempt.call_id,
    "edge.call.trunk": lambda attempt, number: attempt.trunk,
    "edge.number.id": lambda attempt, number: number.id,
    "edge.number.name": lambda attempt, number: number.name,
    "edge.number.detail": lambda attempt, number: number.detail,
}

_OF_FIELDS: Final[dict[str, Callable[[Parties], str]]] = {  # of an INVITE; "" for a call that we make
    "edge.caller.from": lambda parties: parties.from_number,
    "edge.caller.from_name": lambda parties: parties.from_name,
    "edge.caller.asserted": lambda parties: parties.asserted,
    "edge.caller.asserted_name": lambda parties: parties.asserted_name,
    "edge.caller.asserted_trusted": lambda parties: parties.trusts("p-asserted-identity"),
    "edge.caller.remote_party": lambda parties: parties.remote_party,
    "edge.caller.remote_party_name": lambda parties: parties.remote_party_name,
    "edge.caller.remote_party_screened": lambda parties: parties.remote_party_screened,
    "edge.caller.remote_party_trusted": lambda parties: parties.trusts("remote-party-id"),
    "edge.caller.privacy": lambda parties: parties.privacy,
    "edge.caller.privacy_trusted": lambda parties: parties.trusts("privacy"),
    "edge.call.diversion": lambda parties: parties.diversion,
    "edge.call.diversion_reason": lambda parties: parties.diversion_reason,
    "edge.call.diversion_trusted": lambda parties: parties.diversion_trusted,
    "edge.call.diversions": lambda parties: parties.diversions,
    "edge.call.original_called": lambda parties: parties.original_called,
    "edge.call.original_called_trusted": lambda parties: parties.original_called_trusted,
    "edge.call.called_party": lambda parties: parties.called_party,
}


def _is_nobody(attempt: Attempt) -> bool:
    return attempt.withheld or attempt.source.lower() in HIDDEN


class CallVariables(Mapping[str, str]):
    """A view of one call's attempt and number, and of who takes part by its INVITE; copies nothing."""

    __slots__ = ("_attempt", "_number", "_parties")

    def __init__(self, attempt: Attempt, number: Number, parties: Parties | None = None) -> None:
        self._attempt = attempt
        self._number = number
        self._parties = parties

    def __getitem__(self, name: str) -> str:
        read = _NAMES.get(name)
        if read is not None:
            return read(self._attempt, self._number)
        of_field = _OF_FIELDS[name]
        return of_field(self._parties) if self._parties is not None else ""

    def __iter__(self) -> Iterator[str]:
        yield from _NAMES
        yield from _OF_FIELDS

    def __len__(self) -> int:
        return len(_NAMES) + len(_OF_FIELDS)
