"""Who a request says takes part: who calls, who dialed whom before it came here, who wants to be kept out of sight.

None of it is proven: whether it is believed is for who knows the sender (`caller`). A value that cannot be read is
passed over, for such fields are added on the way by all sorts of elements, and no call fails for them.

    P-Asserted-Identity   RFC 3325 §9.1: who calls, as the network in between knows it; at most a sip and a tel URI
    Remote-Party-ID       an expired draft that lives on; `party=calling`, with `privacy` and `screen`
    Privacy               RFC 3323 §4.2: what is to be withheld
    Diversion             RFC 5806: who diverted the call and why, the last one first
    History-Info          RFC 7044: all targets in their order, which `index` says; RFC 7544 reads diversions out of it
    P-Called-Party-ID     RFC 7315 §4.2: what was dialed, when a registrar rewrote the Request-URI
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator
from typing import Final, NamedTuple
from urllib.parse import unquote

from edge.sip.grammar import Unreadable, split_list
from edge.sip.message import Address, Request, Uri

MOST: Final = 32  # values of one field that are looked at; no call was diverted more often
WITHHELD: Final = frozenset({"id", "user", "header"})  # words of Privacy that want the number kept from the called
NOBODY: Final = "anonymous"
NOBODYS_HOST: Final = "anonymous.invalid"  # RFC 3323 §4.1.1.3
_UNSAID: Final = "unknown"
_words: Final = re.compile("[;,]").split  # §4.2 has only the semicolon; whoever writes commas means the same
REASON_OF: Final = {  # RFC 7544 §3.1: causes of RFC 4458 and the words of Diversion
    "302": "unconditional",
    "404": "unknown",
    "408": "no-answer",
    "480": "deflection",
    "486": "user-busy",
    "487": "deflection",
    "503": "unavailable",
}


class Caller(NamedTuple):
    """Who calls."""

    number: str  # the user part of the URI, as written
    name: str  # shown with it
    field: str = "from"  # that it was read from
    uri: Uri | None = None  # where it is of another field than From


class Diversion(NamedTuple):
    """Somebody who sent the call on."""

    uri: Uri
    reason: str  # user-busy, no-answer, unconditional, deflection …; unknown when it is not said
    withheld: bool = False  # he does not want to be seen by whom it was sent to


class Station(NamedTuple):
    """One target of a call, out of History-Info."""

    place: tuple[int, ...]  # its index: 1, 1.1, 1.2 …
    uri: Uri  # without headers
    cause: str  # of the Reason in it: the SIP status, or the cause, for which the call went on to the next; "" unsaid
    withheld: bool = False


def caller(request: Request, trusted: Container[str]) -> Caller:
    """Who calls: the first of these fields that is there and believed, else From. `trusted` holds canonical names."""
    if "p-asserted-identity" in trusted:
        for address in asserted(request):
            if address.uri.user:
                return Caller(address.uri.user, address.display, "p-asserted-identity", address.uri)
    if "remote-party-id" in trusted:
        party = remote_party(request)
        if party is not None and party.uri.user:
            return Caller(party.uri.user, party.display, "remote-party-id", party.uri)
    return Caller(*request.caller)


def addresses(request: Request, field: str) -> list[Address]:
    """What can be read of a field that is a list of addresses, in order."""
    return list(_addresses(request, field))


def asserted(request: Request) -> list[Address]:
    """P-Asserted-Identity, those with a number first."""
    found = addresses(request, "p-asserted-identity")
    return sorted(found, key=lambda address: not _is_number(address.uri))


def remote_party(request: Request) -> Address | None:
    """Remote-Party-ID of who calls."""
    for address in _addresses(request, "remote-party-id"):
        if (address.params.get("party") or "calling").lower() == "calling":
            return address
    return None


def called_party(request: Request) -> Address | None:
    """P-Called-Party-ID."""
    return next(_addresses(request, "p-called-party-id"), None)


def privacy(request: Request) -> frozenset[str]:
    """The words of Privacy, in lower case; of Remote-Party-ID too, as the words that say the same."""
    words = {word.strip().lower() for value in request.headers.all("privacy") for word in _words(value)}
    if "remote-party-id" in request.headers.first:
        party = remote_party(request)
        if party is not None and (party.params.get("privacy") or "off").lower() not in ("off", "name"):
            words.add("id")
    return frozenset(words - {"", "none"})


def is_withheld(request: Request) -> bool:
    """Whether who calls wants his number kept from whom he calls (RFC 3323 §4.1.1.3, §4.2)."""
    first = request.headers.first
    if NOBODY in first.get("from", "").lower():
        uri = request.from_.uri
        if uri.host == NOBODYS_HOST or uri.user.lower() == NOBODY:
            return True
    return ("privacy" in first or "remote-party-id" in first) and bool(privacy(request) & WITHHELD)


def diversions(request: Request) -> list[Diversion]:
    """Diversion, the last one first, as the field has them (RFC 5806 §4)."""
    found = []
    for address in _addresses(request, "diversion"):
        reason = (address.params.get("reason") or _UNSAID).strip('"').lower()
        withheld = (address.params.get("privacy") or "off").strip('"').lower() not in ("off", "name")
        found.append(Diversion(address.uri, reason, withheld))
    return found


def forwarded(request: Request) -> list[Diversion]:
    """The diversions that History-Info tells of, the last one first (RFC 7544 §4.1): an entry is one that the call went
    on from for a cause."""
    stations = history(request)
    pairs = zip(stations[-2::-1], stations[:0:-1], strict=True)
    return [Diversion(left.uri, cause, left.withheld) for left, taken in pairs if (cause := _cause_of_way(left, taken))]


def history(request: Request) -> list[Station]:
    """History-Info, in the order of its index: what was dialed first comes first."""
    found = []
    for address in _addresses(request, "history-info"):
        headers = {
            name.lower(): value for name, _, value in (one.partition("=") for one in address.uri.headers.split("&"))
        }
        index = _index(address.params.get("index"))
        if index is not None:
            withheld = "history" in unquote(headers.get("privacy", "")).lower().split(";")
            found.append(Station(index, address.uri._replace(headers=""), _cause(headers.get("reason", "")), withheld))
    return sorted(found, key=lambda station: station.place)


def _addresses(request: Request, field: str) -> Iterator[Address]:
    if field not in request.headers.first:
        return
    elements = (one for value in request.headers.all(field)[:MOST] for one in _elements(value))
    for _, element in zip(range(MOST), elements, strict=False):
        try:
            yield Address.parse(element)
        except Unreadable:
            continue


def _elements(value: str) -> list[str]:
    try:
        return split_list(value)
    except Unreadable:
        return []


def _is_number(uri: Uri) -> bool:
    return uri.scheme == "tel" or uri.user.lstrip("+").isdigit()


def _index(text: str | None) -> tuple[int, ...] | None:
    parts = (text or "").split(".")
    return (
        tuple(map(int, parts)) if all(part.isascii() and part.isdigit() and len(part) < 9 for part in parts) else None
    )


def _cause_of_way(before: Station, after: Station) -> str:
    """Why a call went on from one target to the next: the `cause` of the next one's URI (RFC 4458), or the Reason of
    the one that was left; "" when nobody says."""
    code = after.uri.params.get("cause") or before.cause
    return REASON_OF.get(code, _UNSAID) if code else ""


def _cause(escaped: str) -> str:
    for parameter in unquote(escaped).split(";")[1:]:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "cause":
            return value.strip()
    return ""
