"""What becomes of a text that is a keyword: STOP, START, HELP and their like (`sms/keywords.py`).

Who opts out, or takes that back, has done so once his text is kept (`opt_outs.py`); here he is told. STOP is answered
once: another one of somebody who has opted out is not. START of somebody who has not is a text like any other, and its
flow runs; so does that of every keyword where the number says so:

    edge   keywords are answered here, and no flow sees them
    both   they are answered here, and the flow runs too
    flow   they are the flow's business, and nobody opts out by them

A carrier that answers keywords itself (`opt_out = "carrier"`) need not be echoed: who opts out there has opted out
here, and nothing is said. Where it says what it took a text for (`Text.keyword`), that counts, whatever the words are
and the number says, for the carrier has acted upon it.

The answer has an id made of the text's, so a run that is repeated sends no second one.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from edge.errors import EdgeError, Unavailable
from edge.log import get_logger
from edge.metrics import counter
from edge.numbers.number import Number
from edge.sessions.texts.incoming import Incoming, Performed
from edge.sessions.texts.opt_outs import OptOuts
from edge.sessions.texts.session import TextSending
from edge.sms.keywords import Keyword, Keywords, Kind
from edge.store.metadata import NIL
from edge.store.writer import Then

log = get_logger("sessions")

OUTCOMES: Final[dict[Kind, str]] = {"stop": "opted_out", "start": "opted_in", "help": "helped"}
KEYWORDS = counter("text_keywords_total", "Texts that are keywords, by what they ask for.", ("kind",))
_COUNTED: Final = {kind: KEYWORDS.labels(kind) for kind in OUTCOMES}


class Opting:
    """Answers keywords. `silent`: carriers that do so themselves."""

    def __init__(self, keywords: Keywords, opt_outs: OptOuts, sending: TextSending, silent: Collection[str]) -> None:
        self._keywords = keywords
        self._opt_outs = opt_outs
        self._sending = sending
        self._silent = silent

    def read(self, text: str, number: Number | None, digits: str, peer: str) -> Keyword | None:
        """The keyword that a text is, unless its number leaves them to its flow."""
        found = self._keywords.find(text, digits, peer)
        return found if found is None or number is None or number.metadata.keywords != "flow" else None

    async def kept_with(self, text: Incoming, *, by_carrier: bool) -> tuple[Then, ...]:
        """What is written in the same commit as a keyword, if that is new. `by_carrier`: it is one because its carrier
        says so. Raises Unavailable.
        """
        keyword = self._keywords.find(text.text, text.number, text.peer)
        then = self._opt_outs.told(text, keyword.word if keyword is not None and keyword.kind == text.keyword else "")
        return (*then, *await self._opt_outs.tells(text)) if by_carrier else then

    async def perform(self, text: Incoming, number: Number | None) -> Performed | None:
        """What became of a keyword; None: it is none, or its flow is to run too. Raises Unavailable."""
        keyword = self.read(text.text, number, text.number, text.peer) if text.direction == "inbound" else None
        kind = text.keyword or (keyword.kind if keyword is not None else "")
        if not kind:
            return None
        news = kind == "help" or (await self._opt_outs.standing(text.conversation_id)).message_id == text.id
        if kind == "start" and not news and text.flow_id != NIL:
            return None
        _COUNTED[kind].inc()
        if news and kind != "help":
            await self._opt_outs.announce(text)
        error = ""
        if (
            news
            and keyword is not None
            and keyword.kind == kind
            and keyword.answer
            and text.carrier not in self._silent
        ):
            error = await self._answer(text, number, keyword)
        outcome = OUTCOMES[kind]
        log.info("keyword", message_id=text.id, outcome=outcome, error=error or None)
        if text.has_flow and number is not None and number.metadata.keywords != "edge":
            return None
        return Performed(outcome, error)

    async def _answer(self, text: Incoming, number: Number | None, keyword: Keyword) -> str:
        """Why it was not answered; "" when it was."""
        if number is None or number.status != "active" or text.refusal:
            return f"{text.number} is active no more"
        try:
            await self._sending.confirm(text, keyword.answer)
        except Unavailable:
            raise
        except EdgeError as error:
            return error.message
        return ""
