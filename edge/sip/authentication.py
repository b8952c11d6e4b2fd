"""Whether a request proves by digest who sent it (RFC 3261 §22.1, RFC 8760): the server's side.

    nothing, or nothing that can be read   401 with a challenge for each algorithm, SHA-256 first
    right, by an old nonce, or once more   401 with fresh challenges that say stale=true
    wrong, by a nonce of ours              403
    wrong, by a nonce of nobody            401: its sender may have it from before
    right                                  a `Proof`

What is proved is the Request-URI that was signed: its user part, the dialed number, must be the one that came.
Signatures without one are let pass (clients exist that sign the host alone), and so are others where a proxy may have
rewritten it.
"""

from __future__ import annotations

import hmac
from dataclasses import replace
from typing import Final, Literal, NamedTuple

from edge.sip.digest import AUTH, MD5, OFFERED, Challenge, Credentials, Login
from edge.sip.grammar import Unreadable
from edge.sip.message import Request, Uri
from edge.sip.nonce import UNCOUNTED, Issued, Nonces
from edge.sip.terms import Refused

FIELDS_MAX: Final = 8  # Authorization fields that are looked at; honest requests have one for each realm

REQUIRED: Final = "AuthenticationRequired"  # a challenge, which is no refusal yet
FAILED: Final = "AuthenticationFailed"

Result = Literal["asked", "unreadable", "stale", "replayed", "wrong", "right"]


class Proof(NamedTuple):
    """A right one. It is good once: its nonce counts as used that often now."""

    username: str
    issued: Issued
    times: int


class Answer(NamedTuple):
    """What became of the question. `outcome` is what to say to the sender, or his proof."""

    result: Result
    outcome: Proof | Refused
    username: str = ""  # whom the sender says that he is


class Demand(NamedTuple):
    """What is to be proved."""

    login: Login
    realm: str
    algorithms: tuple[str, ...] = OFFERED  # best first; one challenge each (RFC 8760 §2.3)

    def challenge(self, nonce: str, *, stale: bool = False) -> Refused:
        """A 401 with a fresh nonce."""
        made = (Challenge(self.realm, nonce, algorithm, (AUTH,), stale=stale) for algorithm in self.algorithms)
        return Refused(401, tuple(("WWW-Authenticate", str(each)) for each in made), REQUIRED)


def ask(
    request: Request,
    demand: Demand,
    whom: str,
    now: float,
    nonces: Nonces,
    *,
    shared: bool = False,
    rewritten: bool = False,
) -> Answer:
    """Have a request prove who it is from. `whom` is what a nonce is bound to.

    `shared`: a nonce that another edge made is taken here, for somebody can be asked whether it was used before.
    `rewritten`: a proxy that we trust may have changed the Request-URI. Raises `Malformed` for one that is no URI.
    """
    found, unreadable = _credentials(request, demand)
    if found is None:
        return Answer("unreadable" if unreadable else "asked", demand.challenge(nonces.make(whom, now)))
    right = _is_right(found, request, demand.login) and (rewritten or _is_for(found, request))
    issued = nonces.read(found.nonce, whom, now)
    if issued is None or not (issued.ours or shared):
        return Answer(
            "stale" if right else "wrong", demand.challenge(nonces.make(whom, now), stale=right), found.username
        )
    if not right:
        return Answer("wrong", Refused(403, (), FAILED), found.username)
    count = UNCOUNTED if found.count is None else found.count
    if not nonces.used(issued, count, now):
        return Answer("replayed", demand.challenge(nonces.make(whom, now), stale=True), found.username)
    return Answer("right", Proof(demand.login.username, issued, count), found.username)


def _credentials(request: Request, demand: Demand) -> tuple[Credentials | None, bool]:
    """Those for our realm by an algorithm that we offer, and whether some could not be read."""
    unreadable = False
    for text in request.headers.all("authorization")[:FIELDS_MAX]:
        try:
            found = Credentials.parse(text)
        except Unreadable:
            unreadable = True
            continue
        offered = (found.algorithm or MD5).upper() in demand.algorithms
        if offered and found.realm == demand.realm and found.qop in (None, AUTH):
            return found, unreadable
    return None, unreadable


def _is_right(found: Credentials, request: Request, login: Login) -> bool:
    """In a time that says nothing of where they differ."""
    expected = replace(found, username=login.username).signed(login.password, request.method)
    same_name = hmac.compare_digest(_octets(found.username), _octets(login.username))
    return hmac.compare_digest(_octets(found.response), _octets(expected.response)) & same_name


def _is_for(found: Credentials, request: Request) -> bool:
    if found.uri == request.uri:
        return True
    try:
        signed = Uri.parse(found.uri)
    except Unreadable:
        return False
    return not signed.user or signed.plain_user == request.target.plain_user


def _octets(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
