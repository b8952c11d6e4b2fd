"""Calls and texts from a trunk with `auth` have to prove by digest who sent them (`sip/authentication.py`).

A nonce that an edge made is its own to count. Where edges share a Redis they share the counts too: a proof that is
right is asked about there before anything is done for its call or text, so that it serves once on all of them, and a
nonce of one edge is good on another. Without Redis, or while it is away, a nonce of another edge is stale, and its
sender comes again with one of ours.

A challenge is no refusal: most of those who get one come back at once. It is counted; who does not come back has his
record later (`calls/unproven.py`).

The log says what was wrong, once in a while for each trunk; never what was proved with.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, NamedTuple, Protocol, get_args

from edge.errors import Unauthenticated, Unavailable
from edge.log import get_logger
from edge.metrics import tally
from edge.sessions.entrance import Entry
from edge.sip.authentication import Demand, Result, ask
from edge.sip.digest import Login
from edge.sip.message import Request
from edge.sip.nonce import SKEW, Nonces
from edge.sip.terms import Refused
from edge.trunks.trunk import Credentials

log = get_logger("auth")

PREFIX: Final = "edge:nonce:"  # in Redis, and not among what is tracked there
SAY_EVERY: Final = 10.0  # s between two lines about one trunk
SAID: Final = 1024  # trunks that the log spoke of; when full, all are forgotten
NAME_SHOWN: Final = 64  # characters of a user name that the log shows

RESULTS: Final[tuple[Result, ...]] = get_args(Result)
DIGEST = tally("sip_digest_total", "Calls and texts that had to prove who sent them, by what came of it.", ("result",))
_COUNT: Final = {result: DIGEST.labels(result) for result in RESULTS}


class Ledger(Protocol):
    """Where edges share how often a nonce was used (`store.redis.RedisTier`)."""

    @property
    def up(self) -> bool: ...

    async def count_up(self, key: str, number: int, ttl_ms: int) -> bool:
        """Raise a number; False when it is as high already. Raises Unavailable."""


class NotProven(Unauthenticated):
    """A proof that was right came once too often. `fields` ask for another."""

    def __init__(self, refused: Refused) -> None:
        super().__init__("this proof was used before")
        self.fields = refused.fields


class _Said(NamedTuple):
    until: float
    unsaid: int


class Proofs:
    """One for the daemon."""

    def __init__(
        self,
        nonces: Nonces,
        *,
        realm: str | None = None,
        ledger: Ledger | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`realm` None: that of a trunk is its name. `clock` says seconds since the epoch."""
        self._nonces = nonces
        self._realm = realm
        self._ledger = ledger
        self._clock = clock
        self._said: dict[str, _Said] = {}

    def ask(self, request: Request, entry: Entry, auth: Credentials) -> Entry | Refused:
        """How a request came in, with its proof; or the answer to it."""
        now = self._clock()
        ledger = self._ledger
        shared = ledger is not None and ledger.up
        result, outcome, username = ask(
            *(request, self._demand(entry, auth), _whom(request, entry), now, self._nonces),
            shared=shared,
            rewritten=bool(entry.proxy),
        )
        _COUNT[result].inc()
        if isinstance(outcome, Refused):
            if result not in ("asked", "stale"):
                self._say(entry, request, result, username, now)
            return outcome
        return entry._replace(auth=f"digest:{outcome.username}", proof=outcome if shared else None)

    async def settle(self, request: Request, entry: Entry) -> None:
        """Ask the other edges whether a proof was used before. Raises NotProven."""
        proof, ledger, auth = entry.proof, self._ledger, entry.trunk.auth
        if proof is None or ledger is None or auth is None:
            return
        ttl = proof.issued.made + self._nonces.seconds + SKEW - self._clock()
        try:
            if await ledger.count_up(PREFIX + proof.issued.nonce, proof.times, max(1, int(ttl * 1000))):
                return
            result: Result = "replayed"
        except Unavailable:
            if proof.issued.ours:  # nobody else takes it while Redis is away
                return
            result = "stale"
        now = self._clock()
        _COUNT[result].inc()
        if result == "replayed":
            self._say(entry, request, result, proof.username, now)
        demand = self._demand(entry, auth)
        raise NotProven(demand.challenge(self._nonces.make(_whom(request, entry), now), stale=True))

    def _demand(self, entry: Entry, auth: Credentials) -> Demand:
        trunk = entry.trunk
        return Demand(login_of(auth), self._realm or trunk.name, trunk.auth_algorithms)

    def _say(self, entry: Entry, request: Request, result: Result, username: str, now: float) -> None:
        trunk = entry.trunk.name
        until, unsaid = self._said.get(trunk, (0.0, 0))
        if now < until:
            self._said[trunk] = _Said(until, unsaid + 1)
            return
        if len(self._said) >= SAID:
            self._said.clear()
        self._said[trunk] = _Said(now + SAY_EVERY, 0)
        log.warning(
            "digest not right",
            trunk=trunk,
            result=result,
            address=entry.address,
            username=username[:NAME_SHOWN],
            call_id=request.call_id,
            unsaid=unsaid,
        )


def login_of(credentials: Credentials) -> Login:
    """A user name and a password as the protocol wants them."""
    return Login(credentials.username, credentials.password.get_secret_value())


def _whom(request: Request, entry: Entry) -> str:
    """What a nonce is good for."""
    return f"{entry.trunk.name}\0{entry.address}\0{request.call_id}"
