"""Who calls, by what his trunk is believed in.

The number is read from P-Asserted-Identity where the trunk is trusted with it, else from Remote-Party-ID where it is
trusted with that, else from From. All that goes by who calls (lists of callers, memory, the way of a release) goes by
that one number; a field that is not trusted is there for flows to read, and decides nothing.

Who wants his number withheld is `anonymous` to whom he calls: to the flow, webhooks, events, the account's own records
and the log (RFC 3323, RFC 3325 §7). That is his own wish and no claim, so it counts whoever passes it on. The record
keeps the number for the operator, and a call that is passed on takes it along under `Privacy: id`, to trunks only.

Costs a trunk without trusted headers a few looks into the header fields of its INVITE.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import Final

from edge.errors import EdgeError
from edge.numbers.e164 import read_dialed
from edge.sessions.calls.record import ANONYMOUS, LONGEST, Attempt
from edge.sessions.memory import peer_of
from edge.sip import party
from edge.sip.message import Malformed, Request, Uri
from edge.store.metadata import storable

INSIDE: Final = ("p-asserted-identity", "privacy")  # what a call from within the edge is believed in

_YES: Final = {True: "true", False: "false"}


def identify(attempt: Attempt, request: Request, trusted: Container[str]) -> None:
    """Note who calls, who sent the call on, and whether that is for everybody's eyes."""
    first = request.headers.first
    if trusted:
        found = party.caller(request, trusted)
        if found.uri is not None:
            attempt.source_from = found.field
            attempt.source_name = storable(found.name[:LONGEST])
            attempt.source = storable(_in_context(found.uri, attempt)[:LONGEST])
        if "diversion" in first or "history-info" in first:
            sent_on = (party.diversions(request) if "diversion" in trusted else []) or (
                party.forwarded(request) if "history-info" in trusted else []
            )
            if sent_on:
                attempt.diversion = _number(sent_on[0].uri, sent_on[0].withheld, attempt)
    if "privacy" in first or "remote-party-id" in first or attempt.source_from != "from":
        try:
            if party.is_withheld(request):
                attempt.privacy = ";".join(sorted(party.privacy(request))) or "id"
        except Malformed:  # a From that nobody can read withholds nothing
            pass


class Parties:
    """What the fields of an INVITE say of who takes part, for a flow to read; each looked at when it is asked for."""

    __slots__ = ("_attempt", "_request", "_trusted")

    def __init__(self, request: Request, trusted: Container[str], attempt: Attempt) -> None:
        self._request = request
        self._trusted = trusted
        self._attempt = attempt

    def trusts(self, field: str) -> str:
        """Whether a field that is there is believed; "" for one that is not there."""
        return _YES[field in self._trusted] if field in self._request.headers.first else ""

    @property
    def from_number(self) -> str:
        return self._callers(self._request.from_.uri)

    @property
    def from_name(self) -> str:
        return self._named(self._request.from_.display)

    @property
    def asserted(self) -> str:
        found = party.asserted(self._request)
        return self._callers(found[0].uri) if found else ""

    @property
    def asserted_name(self) -> str:
        return self._named(next((one.display for one in party.asserted(self._request) if one.display), ""))

    @property
    def remote_party(self) -> str:
        found = party.remote_party(self._request)
        return self._callers(found.uri) if found is not None else ""

    @property
    def remote_party_name(self) -> str:
        found = party.remote_party(self._request)
        return self._named(found.display) if found is not None else ""

    @property
    def remote_party_screened(self) -> str:
        found = party.remote_party(self._request)
        return _text((found.params.get("screen") or "no").lower()) if found is not None else ""

    @property
    def privacy(self) -> str:
        return _text(";".join(sorted(party.privacy(self._request))))

    @property
    def diversion(self) -> str:
        found = self._diversions()[0]
        return _number(found[0].uri, found[0].withheld, self._attempt) if found else ""

    @property
    def diversion_reason(self) -> str:
        found = self._diversions()[0]
        return _text(found[0].reason) if found else ""

    @property
    def diversion_trusted(self) -> str:
        found, field = self._diversions()
        return _YES[field in self._trusted] if found else ""

    @property
    def diversions(self) -> str:
        return str(len(self._diversions()[0]))

    @property
    def original_called(self) -> str:
        found = self._first_called()
        return _number(found[0], found[1], self._attempt) if found is not None else ""

    @property
    def original_called_trusted(self) -> str:
        found = self._first_called()
        return _YES[found[2] in self._trusted] if found is not None else ""

    @property
    def called_party(self) -> str:
        found = party.called_party(self._request)
        return _number(found.uri, False, self._attempt) if found is not None else ""

    @property
    def _withheld(self) -> bool:
        return self._attempt.withheld or party.is_withheld(self._request)

    def _callers(self, uri: Uri) -> str:
        return _number(uri, self._withheld, self._attempt)

    def _named(self, name: str) -> str:
        return "" if self._withheld else _text(name)

    def _diversions(self) -> tuple[list[party.Diversion], str]:
        """Those of the field that is believed, or of Diversion before History-Info."""
        read: dict[str, Callable[[Request], list[party.Diversion]]] = {
            "diversion": party.diversions,
            "history-info": party.forwarded,
        }
        for field in sorted(read, key=lambda field: field not in self._trusted):
            if found := read[field](self._request):
                return found, field
        return [], ""

    def _first_called(self) -> tuple[Uri, bool, str] | None:
        """Who was dialed first, whether he wants to be seen, and the field that says so."""
        said: list[tuple[Uri, bool, str]] = []
        if stations := party.history(self._request):
            said.append((stations[0].uri, stations[0].withheld, "history-info"))
        if diversions := party.diversions(self._request):
            said.append((diversions[-1].uri, diversions[-1].withheld, "diversion"))
        return min(said, key=lambda one: one[2] not in self._trusted, default=None)


def _in_context(uri: Uri, attempt: Attempt) -> str:
    """The number of a caller; a local one (RFC 3966 §5.1.5) as E.164, where its context says which that is."""
    if "phone-context" in uri.params and not uri.user.startswith("+"):
        try:
            number = read_dialed(str(uri), attempt.country)
        except EdgeError:
            return uri.user
        attempt.source_raw = storable(str(uri)[:LONGEST])
        return number
    return uri.user


def _number(uri: Uri, withheld: bool, attempt: Attempt) -> str:
    """A number as E.164 where it can be read so; else the user part, or the URI that has none."""
    if withheld:
        return ANONYMOUS
    try:
        return read_dialed(str(uri), attempt.country)
    except EdgeError:
        return _text(peer_of(uri.user, attempt.country) or str(uri))


def _text(value: str) -> str:
    """What others wrote, as it may be stored and sent."""
    return storable(value[:LONGEST])
