"""How we prove who we are (RFC 3261 §22.2, §22.3): the client's side of digest.

A `Prover` goes with a dialog, a registration or a single request. It remembers the challenge of each realm that it met,
so that later requests prove it before they are asked, each counted one up. Proxies on the way and the far end may each
want their own; a request bears a proof for all of them.

A refused request is sent once more, and again when only its nonce was too old or when another realm asks. A proof that
was made for this very request and did not please is not repeated (§22.2): the refusal is then the request's end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from edge.sip.digest import Challenge, Login
from edge.sip.grammar import Unreadable

if TYPE_CHECKING:
    from edge.sip.message import Response

ASKS: Final = {401: "www-authenticate", 407: "proxy-authenticate"}
ANSWERS: Final = {401: "Authorization", 407: "Proxy-Authorization"}
REALMS_MAX: Final = 4  # that one dialog is asked for; honest ways have two
ROUNDS_MAX: Final = 4  # times that one request is sent again, whatever is asked of it

Realm = tuple[int, str]  # asked by 401 or 407, and which
Field = tuple[str, str]


class _Known:
    """A challenge, and how often it was answered."""

    __slots__ = ("challenge", "count")

    def __init__(self, challenge: Challenge) -> None:
        self.challenge = challenge
        self.count = 0


class Rounds:
    """What one request was asked for so far."""

    __slots__ = ("answered", "count")

    def __init__(self) -> None:
        self.answered: set[Realm] = set()
        self.count = 0


class Prover:
    """Proves one login, by challenges as they come."""

    __slots__ = ("_known", "_login", "_token")

    def __init__(self, login: Login, token: Callable[[], str]) -> None:
        """`token` gives a fresh random word each time."""
        self._login = login
        self._token = token
        self._known: dict[Realm, _Known] = {}

    def fields(self, method: str, uri: str, body: bytes = b"") -> tuple[Field, ...]:
        """The header fields that prove a request, for each realm that has asked so far."""
        made = []
        for (status, _), known in self._known.items():
            known.count += 1
            proof = known.challenge.answer(self._login, method, uri, known.count, self._token(), body)
            made.append((ANSWERS[status], str(proof)))
        return tuple(made)

    def takes(self, response: Response, rounds: Rounds) -> bool:
        """Whether a request is worth sending again after this refusal; its next `fields` are made for it."""
        status = response.status
        if status not in ASKS or rounds.count >= ROUNDS_MAX:
            return False
        asked = _best(response, status)
        if not asked:
            return False
        for realm, challenge in asked.items():
            if realm in rounds.answered and not challenge.stale:
                return False
            if realm not in self._known and len(self._known) >= REALMS_MAX:
                return False
        for realm, challenge in asked.items():
            known = self._known.get(realm)
            if known is None or known.challenge.nonce != challenge.nonce:  # a nonce goes on being counted
                self._known[realm] = _Known(challenge)
            else:
                known.challenge = challenge
            rounds.answered.add(realm)
        rounds.count += 1
        return True


def _best(response: Response, status: int) -> dict[Realm, Challenge]:
    """For each realm the challenge with the strongest algorithm that we know (RFC 8760 §2.4 leaves us the choice)."""
    best: dict[Realm, Challenge] = {}
    ranks: dict[Realm, int] = {}
    for text in response.headers.all(ASKS[status]):
        try:
            challenge = Challenge.parse(text)
        except Unreadable:
            continue
        rank, realm = challenge.rank, (status, challenge.realm)
        if rank is not None and (realm not in ranks or rank < ranks[realm]):
            best[realm], ranks[realm] = challenge, rank
    return best
