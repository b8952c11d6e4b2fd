"""Whether somebody vouches for the caller of one call: all its Identity fields, and what they come to together.

A PASSporT vouches for a call when it was signed by a certificate that leads to an anchor and may speak for the caller's
number, just now, for that caller and the number that was dialed. A call that was sent on has one more for each time
(`div`): the one that names the dialed number has to be fresh, and they have to lead back, from number to number, to the
one that the first caller's network signed, each signed by one who may speak for the number that sent the call on. A
PASSporT that is played again, later or to another number, vouches for nothing.

What was signed by a bad certificate counts for nothing at all: `attestation` is empty unless everything is right.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from edge.metrics import tally
from edge.stir.credential import Credential
from edge.stir.passport import Passport, Said, digits, read_identity
from edge.stir.repository import Repository
from edge.stir.section import StirSection
from edge.stir.verdict import BAD_CREDENTIAL, BAD_IDENTITY, FAILED, NO_IDENTITY, NONE, PASSED, STALE, Doubt, Verdict

FIELDS: Final = 8  # Identity fields that are looked at; a call that was sent on six times has seven
FORWARDED_SECONDS: Final = 600  # how old the first PASSporT of a call may be that was sent on, by who did not answer

VERIFIED = tally("stir_verifications_total", "Callers that were verified, by what it came to.", ("result",))
_RESULTS: Final = {
    0: "passed",
    403: "stale",
    428: "unsigned",
    436: "bad_info",
    437: "bad_credential",
    438: "bad_identity",
}
_COUNT: Final = {status: VERIFIED.labels(result) for status, result in _RESULTS.items()}
_AWAY: Final = VERIFIED.labels("away")
NAMELESS: Final = Verdict(NONE, status=NO_IDENTITY, why="the caller shows no number that anybody could vouch for")
UNSIGNED: Final = Verdict(NONE, status=NO_IDENTITY, why="nobody has signed for the caller")


class Signed(NamedTuple):
    """A call that wants to be verified. Numbers as they are read: +14155550199."""

    identities: Sequence[str]  # the fields, as they came
    caller: str
    dialed: str
    date: str = ""  # the field Date


class Verifier:
    """One for the process. `clock` says seconds since the epoch."""

    def __init__(self, section: StirSection, repository: Repository, clock: Callable[[], float]) -> None:
        self._section = section
        self._repository = repository
        self._clock = clock

    @property
    def able(self) -> bool:
        """Whether there is an anchor that anything could lead to."""
        return self._repository.anchored

    def unsigned(self) -> Verdict:
        """What is known of a call without an Identity."""
        _COUNT[NO_IDENTITY].inc()
        return UNSIGNED

    def look(self, call: Signed) -> Verdict | None:
        """What is known without waiting; None: a certificate must be fetched, see `verify`."""
        if not digits(call.caller):
            _COUNT[NO_IDENTITY].inc()
            return NAMELESS
        passports, doubts = _read(call)
        found: dict[str, Credential | Doubt] = {}
        for passport in passports:
            known = self._repository.peek(passport.url)
            if known is None:
                return None
            found[passport.url] = known
        return self._told(call, passports, found, doubts)

    async def verify(self, call: Signed) -> Verdict:
        """The same, with all certificates that can be had in time."""
        passports, doubts = _read(call)
        urls = list({passport.url for passport in passports})
        seconds = self._section.deadline_seconds
        found = await asyncio.gather(*(self._repository.find(url, seconds) for url in urls))
        return self._told(call, passports, dict(zip(urls, found, strict=True)), doubts)

    def _told(
        self, call: Signed, passports: list[Passport], found: Mapping[str, Credential | Doubt], doubts: list[Verdict]
    ) -> Verdict:
        verdict = self._judge(call, passports, found, doubts)
        (_AWAY if verdict.status and verdict.verstat == NONE and passports else _COUNT[verdict.status]).inc()
        return verdict

    def _judge(
        self, call: Signed, passports: list[Passport], found: Mapping[str, Credential | Doubt], doubts: list[Verdict]
    ) -> Verdict:
        caller, now = digits(call.caller), self._clock()
        good: list[Passport] = []
        for passport in sorted(passports, key=lambda one: one.kind == "div"):
            try:
                _prove(passport, found[passport.url], caller)
            except Doubt as doubt:
                doubts.append(_doubted(doubt, passport.signature))
            else:
                good.append(passport)
        for origin in (one for one in good if one.kind != "div"):
            try:
                self._lead(origin, good, digits(call.dialed), now)
            except Doubt as doubt:
                doubts.append(_doubted(doubt, origin.signature))
            else:
                return Verdict(PASSED, origin.attestation, origin.origination_id, signature=origin.signature)
        if not doubts and good:  # diversions of a call that nobody has signed
            return _doubted(Doubt(BAD_IDENTITY, "div leads back to no other PASSporT"), good[0].signature)
        return doubts[0] if doubts else UNSIGNED

    def _lead(self, origin: Passport, good: list[Passport], dialed: str, now: float) -> None:
        """Raises Doubt unless a PASSporT is for the dialed number, or led there by diversions (RFC 8946 §5)."""
        last, number, left = origin, dialed, [one for one in good if one.kind == "div"]
        while number not in origin.called:
            step = next((one for one in left if number in one.called), None)
            if step is None:
                raise Doubt(BAD_IDENTITY, "dest is not the dialed number")
            if last is origin:
                last = step
            left.remove(step)
            number = step.diverted
            self._require_time(step, now, last)
        self._require_time(origin, now, last)

    def _require_time(self, passport: Passport, now: float, last: Passport) -> None:
        """Raises Doubt. The last one has to be fresh; those before it as old as calls get that ring."""
        fresh = self._section.fresh_seconds
        oldest = fresh if passport is last else max(FORWARDED_SECONDS, fresh)
        age = now - passport.issued
        if not -fresh <= age <= oldest:
            when = f"{age:.0f} seconds old" if age >= 0 else f"{-age:.0f} seconds ahead"
            raise Doubt(STALE, f"it was signed at another time ({when})")


def _read(call: Signed) -> tuple[list[Passport], list[Verdict]]:
    """The PASSporTs, and what is wrong with those that cannot be read."""
    passports, doubts = [], []
    said = Said(digits(call.caller), digits(call.dialed), call.date)
    for field in call.identities[:FIELDS]:
        try:
            passport = read_identity(field, said)
        except Doubt as doubt:
            doubts.append(_doubted(doubt, ""))
        else:
            if passport is not None:
                passports.append(passport)
    return passports, doubts


def _prove(passport: Passport, found: Credential | Doubt, caller: str) -> None:
    """Raises Doubt unless it was signed, and by one who may, for that caller."""
    if isinstance(found, Doubt):
        raise Doubt(found.status, found.why, away=found.away)  # a new one: it is raised for many calls
    passport.prove(found.key)
    if passport.caller != caller:
        raise Doubt(BAD_IDENTITY, "orig is not who calls")
    signs_for = passport.diverted or passport.caller
    if not found.speaks_for(signs_for):
        raise Doubt(BAD_CREDENTIAL, "its certificate is for other numbers")


def _doubted(doubt: Doubt, signature: str) -> Verdict:
    return Verdict(NONE if doubt.away else FAILED, status=doubt.status, why=doubt.why, signature=signature)
