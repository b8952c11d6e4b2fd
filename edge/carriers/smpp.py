"""Texts by SMPP 3.4: the edge is the ESME, and connects to the carrier's SMSCs.

    [[carriers]]
    kind = "smpp"
    hosts = ["smsc1.example.com:2775", "smsc2.example.com:2775"]
    system_id = "edge"
    password_file = "/etc/edge/smsc.password"
    binds = 2

A deliver_sm is answered once what it brought is in SQL:

    kept, for a number of ours                      ESME_ROK
    kept as rejected: no number of ours             ESME_RINVDSTADR
    kept as rejected: suspended, released           ESME_RX_P_APPN
    not kept, for SQL is away                       ESME_RX_T_APPN: it comes again
    cannot be read                                  what is wrong with it, e.g. ESME_RINVMSGLEN

Many are at work at the same time, so that one commit serves them, and their answers leave in any order.

A text that goes out is taken when the SMSC has taken all its parts. Those it took are remembered, so that a later try
sends only the others. Of a submit_sm without an answer nobody knows whether it was taken: it is sent again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from edge.carriers.site import Site
from edge.errors import EdgeError, Fault, Invalid, Unavailable
from edge.log import get_logger
from edge.sms.carrier import Busy, Carrier, Desk, Refused
from edge.sms.smpp import limits, status
from edge.sms.smpp.counts import Counts
from edge.sms.smpp.incoming import Brought, Reader, answer
from edge.sms.smpp.outgoing import messages
from edge.sms.smpp.pdu import Malformed, Message
from edge.sms.smpp.repeats import REMEMBERED, WINDOW
from edge.sms.smpp.section import SmppSection
from edge.sms.smpp.session import Session
from edge.sms.smpp.transport.binds import Binds
from edge.sms.smpp.transport.link import Link
from edge.sms.text import OutgoingText, Receipt, Report

log = get_logger("smpp")

AGAIN_SECONDS: Final = 1.0  # before SQL is asked again what was kept


class Smpp(Carrier):
    kind = "smpp"
    section = SmppSection
    one_sender = True

    def __init__(
        self,
        section: SmppSection,
        site: Site,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        super().__init__(section.name)
        self._section = section
        self._clock = clock
        self._pause = pause
        self._counts = Counts(section.name)
        self._reader = Reader(section.name, section.country, section.default_alphabet, section.id_tag)
        self._desk: Desk | None = None
        self._taken: dict[str, dict[int, str]] = {}  # of texts that were begun: what the SMSC calls their parts
        try:
            self._binds = Binds(section, self._counts, self._deliver)
        except OSError as error:
            raise Invalid(
                "a file of a carrier cannot be read", faults=[Fault(f"carriers.{section.name}", str(error))]
            ) from None

    @property
    def connections(self) -> Sequence[Link]:
        """Those that are there, bound or about to be."""
        return self._binds.links

    @property
    def begun(self) -> int:
        """Texts of which the SMSC may have taken some parts and not others."""
        return len(self._taken)

    async def serve(self, desk: Desk) -> None:
        self._desk = desk
        await self._recall(desk)
        await self._binds.serve()

    async def send(self, text: OutgoingText) -> Receipt:
        parts = messages(text, self._section)
        taken = self._begun(text.id) if len(parts) > 1 else {}
        missing = [number for number in range(len(parts)) if number not in taken]
        ends = await asyncio.gather(
            *(self._submit(parts[number], number, taken) for number in missing), return_exceptions=True
        )
        for kind in (Refused, Busy, BaseException):  # what is worst is what became of the text
            for end in ends:
                if isinstance(end, kind):
                    if kind is Refused:
                        self._taken.pop(text.id, None)
                    raise end
        self._taken.pop(text.id, None)
        return Receipt(tuple(id for _, id in sorted(taken.items()) if id))

    async def _submit(self, message: Message, number: int, taken: dict[int, str]) -> None:
        try:
            answered = await self._binds.submit(message)
        except ValueError as error:
            raise Refused(str(error)) from None
        if answered.status != status.ROK:
            section = self._section
            raise status.error(
                answered.status, self.name, wait=section.throttle_seconds, passing=section.retry_statuses
            )
        taken[number] = answered.message_id

    def _begun(self, text_id: str) -> dict[int, str]:
        """What the SMSC calls the parts of a text that it has taken so far."""
        taken = self._taken.setdefault(text_id, {})
        if len(self._taken) > limits.BEGUN:
            del self._taken[next(iter(self._taken))]
        return taken

    # What comes in

    async def _recall(self, desk: Desk) -> None:
        """Learn which texts were kept in the last minutes, by this process or another: they may come again. Those that
        have an id of the carrier's are passed over, but not all may have one.
        """
        while True:
            now = self._clock()
            try:
                ids = await desk.recent(self.name, now - timedelta(seconds=WINDOW), REMEMBERED)
            except Unavailable as error:
                log.warning(
                    "not connecting while it is not known what was kept", carrier=self.name, error=error.message
                )
                await self._pause(AGAIN_SECONDS)
                continue
            count = self._reader.repeats.recall(
                reversed(ids), asyncio.get_running_loop().time(), int(now.timestamp() * 1000)
            )
            if count:
                log.info("texts that may come again", carrier=self.name, count=count)
            return

    async def _deliver(self, session: Session, message: Message) -> int:
        """Keep what a deliver_sm brings; the status to answer it with."""
        now = asyncio.get_running_loop().time()
        try:
            brought = self._reader.read(message, session, now, self._clock())
        except Malformed as error:
            self._counts.ignored["malformed"].inc()
            log.info("a text cannot be read", carrier=self.name, error=error.sentence)
            return error.status
        state = status.RX_T_APPN
        try:
            state = await self._keep(brought)
        except Unavailable:
            pass  # not kept: it comes again
        except EdgeError as error:
            log.error("a text cannot be kept", carrier=self.name, error=error.message)
            state = status.RX_P_APPN
        finally:
            if brought.seen is not None:
                if state == status.RX_T_APPN:
                    brought.seen.refused()
                else:
                    brought.seen.answered(asyncio.get_running_loop().time())
        return state

    async def _keep(self, brought: Brought) -> int:
        desk, what = self._desk, brought.what
        assert desk is not None  # nothing comes before `serve`
        if what is None:
            self._counts.ignored["receipt"].inc()
            return status.ROK
        if isinstance(what, Report):
            await desk.report(what)
            return status.ROK
        return answer(await desk.keep(what))
