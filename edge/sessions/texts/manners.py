"""Manners: whom we do not text, though a flow or a user says so. Every text that is to be sent is asked about here.

    OPTED_OUT        who opted out of the texts of this number (`opt_outs.py`)
    NOT_ANSWERED     short codes, names, and our own number: machines that cannot be answered, or answer themselves
    TEXT_LOOP        somebody whom this number texted too often within a minute: most likely a machine that answers

A refusal is an error with its reason: a step fails with it and the flow goes on as after any failure, a user of the API
is told. What came in is kept, and its flow runs, whatever becomes of the answer.

Loops are counted in memory, each process by itself: where several share the texts of a pair of numbers, each lets so
many pass. Texts that answer one and the same text count once, for a flow may have more than one thing to say. A loop is
over when a minute has gone by without a try, which is what happens when the other side is a machine and hears nothing.
"""

from __future__ import annotations

import re
import uuid
from collections import OrderedDict
from collections.abc import Callable, Collection
from typing import Final, Literal

from pydantic import Field, NonNegativeInt

from edge.errors import Conflict, Exhausted, Forbidden, Unavailable
from edge.log import get_logger
from edge.metrics import counter
from edge.sessions.route import Owns
from edge.sessions.texts.opt_outs import OptOuts
from edge.sessions.texts.outbox import Outgoing
from edge.settings import Section
from edge.sms.carrier import NotNow, Refused
from edge.store.metadata import NIL

log = get_logger("sessions")

MINUTE: Final = 60.0
PAIRS: Final = 100_000  # pairs of numbers that are counted, those that texted last

REFUSED = counter("texts_refused_total", "Texts that were not sent for the sake of manners, by reason.", ("reason",))
LOOPS = counter("text_loops_total", "Loops of texts that were stopped.")
_REFUSED: Final = {reason: REFUSED.labels(reason) for reason in ("opted_out", "not_answered", "loop")}

Mute = Literal["short_codes", "names", "itself"]

_SHORT_CODE = re.compile(r"[0-9*#]{1,8}")
_NUMBER = re.compile(r"\+?[0-9]{7,15}")


_NAMESPACE: Final = uuid.UUID("8a0f5c1e-3d0b-5b7e-9a54-6f2b7d9c4e13")


class MannersSection(Section):
    """Whom texts are not sent to, and how many."""

    a_minute: NonNegativeInt = Field(
        default=15,
        description="Texts that one number may be sent by another within a minute, answers to one text counted once;"
        " more are taken for a loop, until a minute goes by without. 0: any number.",
    )
    answer: tuple[Mute, ...] = Field(
        default=(),
        description="Who is texted though he is most likely a machine: short_codes, names (letters in place of a"
        " number), itself (a number its own texts).",
    )


class LoopGuard:
    """Counts the texts of each pair. `clock` gives monotonic seconds; `stops` is told of each loop, once."""

    def __init__(
        self, limit: int, clock: Callable[[], float], stops: Callable[[tuple[str, str]], None] = lambda pair: None
    ) -> None:
        self._limit = limit
        self._clock = clock
        self._stops = stops
        self._pairs: OrderedDict[tuple[str, str], _Pair] = OrderedDict()

    def __len__(self) -> int:
        return len(self._pairs)

    def admits(self, pair: tuple[str, str], reference_id: str) -> bool:
        """Whether one more is no loop. `reference_id`: what it answers, NIL when nothing."""
        if not self._limit:
            return True
        now = self._clock()
        found = self._pairs.get(pair)
        if found is None or now - (found.last if found.stopped else found.began) >= MINUTE:
            self._pairs[pair] = found = _Pair(now)
        self._pairs.move_to_end(pair)
        found.last = now
        if not found.stopped and (reference_id == NIL or reference_id != found.reference_id):
            found.count += 1
            found.reference_id = reference_id
            if found.count > self._limit:
                found.stopped = True
                self._stops(pair)
        while len(self._pairs) > PAIRS or now - next(iter(self._pairs.values())).last >= MINUTE:
            self._pairs.popitem(last=False)
        return not found.stopped


class _Pair:
    __slots__ = ("began", "count", "last", "reference_id", "stopped")

    def __init__(self, now: float) -> None:
        self.began = self.last = now
        self.count = 0
        self.reference_id = ""
        self.stopped = False


class Manners:
    """What every text that is to be sent is asked about.

    `owns` finds the live number of a customer that a text still has to be from when it leaves; without it none is asked
    for.
    """

    def __init__(
        self, section: MannersSection, opt_outs: OptOuts, clock: Callable[[], float], owns: Owns | None = None
    ) -> None:
        self._owns = owns
        self._answer: Collection[str] = section.answer
        self._opt_outs = opt_outs
        self._guard = LoopGuard(section.a_minute, clock, _stopped)

    async def hand_over(self, text: Outgoing) -> None:
        """The last question, when a text leaves: it may have waited since before its receiver opted out, or since its
        number was another account's.

        Raises Refused, or NotNow when that cannot be known.
        """
        if self._owns is not None:
            try:
                owned = await self._owns(text.number, text.customer_id)
            except Unavailable as error:
                raise NotNow(f"whose {text.number} is by now is not known: {error.message}") from error
            if owned is None:
                raise Refused(f"{text.number} is no active number of this account any more", code="SOURCE_NOT_ALLOWED")
        if not self._opt_outs.suspects(text.conversation_id) or text.id == confirmation_id(text.reference_id):
            return
        try:
            out = await self._opt_outs.holds(text.conversation_id)
        except Unavailable as error:
            raise NotNow(f"whether {text.peer} has opted out is not known: {error.message}") from error
        if out:
            _REFUSED["opted_out"].inc()
            raise Refused(opted_out(text.number, text.peer), code="OPTED_OUT")

    async def may_again(self, id: str, number: str, peer: str) -> None:
        """Raises Conflict when who is in that conversation has opted out since a text to him failed."""
        if await self._opt_outs.holds(id):
            raise Conflict(opted_out(number, peer), reason="OPTED_OUT")

    async def permit(self, text: Outgoing, *, confirms: bool = False) -> None:
        """Raises Forbidden or Exhausted for one that is not to be sent, Unavailable when that cannot be known.

        `confirms`: it tells somebody that he opted out.
        """
        mute = mute_kind(text.number, text.peer)
        if mute is not None and mute not in self._answer:
            _REFUSED["not_answered"].inc()
            raise Forbidden(not_answered(text.peer, mute), reason="NOT_ANSWERED")
        if not confirms and await self._opt_outs.holds(text.conversation_id):
            _REFUSED["opted_out"].inc()
            raise Forbidden(opted_out(text.number, text.peer), reason="OPTED_OUT")
        if not self._guard.admits((text.number, text.peer), text.reference_id):
            _REFUSED["loop"].inc()
            raise Exhausted(too_often(text.number, text.peer), reason="TEXT_LOOP")


def confirmation_id(text_id: str) -> str:
    """The id of what answers a keyword, in every run."""
    return str(uuid.uuid5(_NAMESPACE, text_id))


def _stopped(pair: tuple[str, str]) -> None:
    LOOPS.inc()
    log.warning("texts go round in circles", number=pair[0], peer_number=pair[1])


def too_often(number: str, peer: str) -> str:
    """Why a loop is stopped."""
    return f"{number} texts {peer} too often: a loop, until a minute goes by without"


def opted_out(number: str, peer: str) -> str:
    """Why nothing is sent to who opted out."""
    return f"{peer} has opted out of texts from {number}"


def not_answered(peer: str, mute: Mute) -> str:
    """Why nothing is sent to a machine."""
    what = {"short_codes": "is a short code", "names": "is no number", "itself": "is the number that sends"}[mute]
    return f"{peer[:40] or 'who sent no number'} {what}, which is not answered"


def mute_kind(number: str, peer: str) -> Mute | None:
    """What makes a peer somebody whom one does not text; None: nothing does."""
    if peer == number:
        return "itself"
    if _SHORT_CODE.fullmatch(peer):
        return "short_codes"
    if _NUMBER.fullmatch(peer) or peer.lower().startswith(("sip:", "sips:")):
        return None
    return "names"
