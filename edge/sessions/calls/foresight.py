"""What would become of a call or a text, by the very functions that those go through, without anything running.

An INVITE is made up from what is asked; then its trunk, its number, its account and its flow are found as a call's are,
and what was found is a record like a call's, for `story.py` to tell.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple
from urllib.parse import quote

from edge.errors import EdgeError, FlowUnbound, Forbidden, NumberUnknown, Unavailable
from edge.flows.flow import Flow
from edge.flows.session import Medium
from edge.numbers.number import Number
from edge.sessions.calls.arrival import arrived, dialed, entered, salvaged
from edge.sessions.calls.record import Attempt
from edge.sessions.entrance import Entrance, Entry
from edge.sessions.route import Routes, answers_on, bound, reachable
from edge.sip.message import Headers, Malformed, Request
from edge.sip.party import NOBODYS_HOST
from edge.sip.peer import Peer
from edge.store.tiers import Found
from edge.trunks.trunk import Trunk

ACCEPTED: Final = 202  # RFC 3428 §7, of a text
SIP_PORT: Final = 5060


@dataclass(frozen=True, slots=True)
class Question:
    """What somebody asks about. `trunk` None and `address` empty: it comes from nowhere in particular."""

    dialed: str
    caller: str = ""
    trunk: Trunk | None = None
    address: str = ""
    transport: str = "udp"
    medium: Medium = "call"


class Foreseen(NamedTuple):
    """What would be found, as far as it goes."""

    attempt: Attempt
    entry: Entry | None
    found: Found[Number] | None
    flow: Flow | None
    error: EdgeError | None
    refused: bool  # whether the answer is a refusal: a text without a flow is kept all the same


async def foresee(question: Question, entrance: Entrance, routes: Routes, customer_id: str | None) -> Foreseen:
    """For one account (None: everybody), to which the numbers of others are unknown. Raises Unavailable."""
    request, peer = _invite(question)
    try:
        attempt = arrived(request, peer)
    except Malformed:
        attempt = salvaged(request, peer)
    attempt.local = ""
    entry = _entry(question, request, peer, entrance)
    found: Found[Number] | None = None
    flow: Flow | None = None
    if entry is not None:
        entered(attempt, entry, _redialed(request, entry))
    try:
        if question.address and entry is None:
            raise Forbidden(f"{question.address} is of no trunk: over UDP it hears nothing, over TCP it is cut off")
        e164 = dialed(attempt)
        found = _seen(await routes.number(e164), customer_id)
        attempt.lookup_source = found.source
        if entry is not None and found.value is not None and not answers_on(found.value, entry.trunk.id, count=False):
            attempt.nearest = entrance.nearest(found.value, entry.trunk)
            raise NumberUnknown(attempt.nearest)
        if found.value is not None:
            attempt.number_id, attempt.customer_id = found.value.id, found.value.customer_id
        number = reachable(found, e164)
        await routes.account(number)
        attempt.flow_id = bound(number, question.medium)
        flow = await flow_of(routes, number, question.medium, attempt.source)
        attempt.flow_version = flow.version
    except Unavailable:
        raise
    except EdgeError as error:
        attempt.error, attempt.reason = error.message, type(error).__name__
        kept = question.medium == "message" and isinstance(error, FlowUnbound)
        attempt.sip_code, attempt.outcome = (ACCEPTED, "answered") if kept else (error.sip, "rejected")
        if question.address and entry is None:
            attempt.sip_code = 0
        return Foreseen(attempt, entry, found, None, error, not kept)
    return Foreseen(attempt, entry, found, flow, None, False)


async def flow_of(routes: Routes, number: Number, medium: Medium, caller: str) -> Flow:
    """The flow that runs for this caller, in its version. Raises EdgeError."""
    release = number.call_flow_release if medium == "call" else number.message_flow_release
    flow_id = bound(number, medium)
    if release is None:
        return await routes.flow(flow_id, number.customer_id)
    return await routes.version(flow_id, release.pick(f"{number.number} {caller}"), number)


def _invite(question: Question) -> tuple[Request, Peer]:
    """The request that would come, and from where. What is dialed stands in the field that its trunk reads first."""
    host = f"[{question.address}]" if ":" in question.address else question.address or "invalid"
    who = f"<sip:{quote(question.caller, safe='+*')}@{host}>" if question.caller else f"<sip:anonymous@{NOBODYS_HOST}>"
    fields = [
        f"Via: SIP/2.0/{question.transport.upper()} {host};branch=z9hG4bK-explain",
        f"From: {who};tag=explain",
        "To: <sip:explain@invalid>",
        "Call-ID: explain",
        "CSeq: 1 INVITE",
    ]
    local = ("::" if ":" in question.address else "0.0.0.0", SIP_PORT)
    return Request("INVITE", question.dialed, Headers.salvage(fields)), Peer(
        question.transport, local, (question.address, SIP_PORT)
    )


def _redialed(request: Request, entry: Entry) -> Request:
    """The request with what is dialed where the trunk reads it first."""
    (field, *_) = entry.trunk.dialed_from
    if field == "request-uri":
        return request
    is_uri = ":" in request.uri.partition("@")[0]
    uri = request.uri if is_uri else f"sip:{quote(request.uri, safe='+*')}@invalid"
    said = {"from": request.headers.get("from") or "", "to": "<sip:explain@invalid>", field: f"<{uri}>"}
    return Request(request.method, request.uri, Headers.salvage([f"{name}: {value}" for name, value in said.items()]))


def _entry(question: Question, request: Request, peer: Peer, entrance: Entrance) -> Entry | None:
    if question.trunk is None:
        return entrance.find(request, peer) if question.address else None
    return Entry(question.trunk, question.address)


def _seen(found: Found[Number], customer_id: str | None) -> Found[Number]:
    """Another customer's number is an unknown one."""
    foreign = found.value is not None and customer_id not in (None, found.value.customer_id)
    return found._replace(value=None) if foreign else found
