"""What an INVITE says of its call before anything is looked up: the beginning of its record.

The router begins each call here, and `explain` each call that somebody only asks about, so both read the same.
"""

from __future__ import annotations

from edge.numbers.e164 import read_dialed
from edge.sessions.calls.caller import identify
from edge.sessions.calls.record import Attempt, wall_micros
from edge.sessions.dialed import PLAIN, by_rules, caller, read_field
from edge.sessions.entrance import Entry
from edge.sip.message import Malformed, Request
from edge.sip.peer import Peer, shown
from edge.store.metadata import new_id, storable


def arrived(request: Request, peer: Peer) -> Attempt:
    """What is known of a call by its INVITE alone. Raises Malformed for one that cannot be read."""
    source, name = request.caller
    return _begun(request, peer, source, name)


def salvaged(request: Request, peer: Peer) -> Attempt:
    """The same of one that cannot be read in full."""
    try:
        source, name = request.caller
    except Malformed:
        source, name = request.headers.get("from") or "", ""
    return _begun(request, peer, source, name)


def _begun(request: Request, peer: Peer, source: str, name: str) -> Attempt:
    attempt = Attempt(
        id=new_id(),
        call_id=request.headers.get("call-id") or "",
        remote=peer.remote[0],
        dialed=request.uri,
        source=source,
        source_name=name,
        tm_create=wall_micros(),
    )
    attempt.transport, attempt.local = peer.transport, shown(peer.local)
    if peer.subject:  # who its certificate names, before anything else
        attempt.auth = f"tls:{peer.subject.partition(' ')[0]}"
    return attempt


def entered(attempt: Attempt, entry: Entry, request: Request | None = None) -> None:
    """By which trunk it came, and what the trunk's rules make of it. Without a request what was dialed is what the
    attempt says."""
    trunk = entry.trunk
    attempt.trunk, attempt.trunk_id, attempt.country = trunk.name, trunk.id, trunk.country
    attempt.remote, attempt.proxy = entry.address, entry.proxy
    attempt.auth = entry.auth or attempt.auth
    if request is not None and trunk.dialed_from != PLAIN:
        text, attempt.dialed_from = read_field(request, trunk.dialed_from)
        attempt.dialed = storable(text)
    if trunk.dialed_rules:
        attempt.dialed_rewritten = by_rules(attempt.dialed, trunk.dialed_rules)
    if request is not None:
        identify(attempt, request, trunk.trusted_headers)
    source = caller(attempt.source, trunk)
    if source != attempt.source:
        attempt.source, attempt.source_raw = source, attempt.source_raw or attempt.source


def dialed(attempt: Attempt) -> str:
    """The number that was dialed, in E.164. Raises EdgeError for what is none."""
    wanted = attempt.dialed_rewritten or attempt.dialed
    attempt.number = attempt.destination = read_dialed(wanted, attempt.country)
    return attempt.number
