"""The connections of one carrier: made, kept up, used, and taken leave of.

Each has a place of its own among the hosts to begin with. One that cannot be made goes on to the next host at once;
when none can be reached, or a bind is refused, there is a pause that doubles. A password that is refused has the
longest one: who keeps trying is locked out.

A text goes by the connection with the most room. While all windows are full it waits for one of them; while nothing is
bound there is nothing to wait for.
"""

from __future__ import annotations

import asyncio
import random
import ssl
from collections import deque
from collections.abc import Callable

from edge.log import get_logger
from edge.sms.carrier import LEAVE_SECONDS, Busy, NotNow
from edge.sms.smpp import limits, status
from edge.sms.smpp.counts import Counts
from edge.sms.smpp.pdu import Message
from edge.sms.smpp.section import SmppSection
from edge.sms.smpp.session import Answered, Closed, Mode, Session, Unanswered
from edge.sms.smpp.transport.link import Deliver, Link

log = get_logger("smpp")


class Binds:
    """`serve` keeps them up until it is cancelled. `chance` gives numbers from 0 to 1 that spread the pauses."""

    def __init__(
        self, section: SmppSection, counts: Counts, deliver: Deliver, *, chance: Callable[[], float] = random.random
    ) -> None:
        self._section = section
        self._counts = counts
        self._deliver = deliver
        self._chance = chance
        self._tls = _tls(section)
        self._bind = section.bind
        self.links: list[Link] = []
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._leaving = False
        counts.watch(
            lambda: sum(link.waiting for link in self.links[:]),
            lambda: sum(link.session.working for link in self.links[:]),
        )

    async def serve(self) -> None:
        """Connect, and stay connected. Takes leave of everybody when it is cancelled."""
        self._leaving = False
        modes: tuple[Mode, ...] = ("transmitter", "receiver") if self._section.mode == "pair" else (self._section.mode,)
        places = [(place, mode) for place in range(self._section.binds) for mode in modes]
        tasks = [asyncio.create_task(self._keep_up(place, mode)) for place, mode in places]
        try:
            await asyncio.gather(*tasks)
        finally:
            self._leaving = True
            await asyncio.shield(self._leave(tasks))

    async def submit(self, message: Message) -> Answered:
        """Send one. Raises NotNow when nobody answered, Busy when nothing is bound, ValueError."""
        while True:
            link = max(self._senders, key=_room, default=None)
            if link is None:
                raise Busy(f"carrier {self._section.name} is not connected", after=limits.FIRST_PAUSE)
            if link.room > 0:
                break
            waiting = asyncio.get_running_loop().create_future()
            self._waiting.append(waiting)
            try:
                await waiting
            except asyncio.CancelledError:
                self._changed()  # somebody else may have the room
                raise
        match await link.submit(message):
            case Answered() as answered:
                return answered
            case Unanswered():
                raise NotNow(f"carrier {self._section.name} did not answer in time")
            case Closed(reason):
                raise NotNow(f"carrier {self._section.name} was lost before it answered: {reason}")

    @property
    def _senders(self) -> list[Link]:
        return [link for link in self.links if link.session.sends and link.session.up]

    def _changed(self) -> None:
        """A window has room, or a connection came or went: those who wait look again."""
        room = sum(link.room for link in self._senders)
        while self._waiting and (room > 0 or not self._senders):
            waiting = self._waiting.popleft()
            if not waiting.done():
                waiting.set_result(None)
                room -= 1

    async def _keep_up(self, place: int, mode: Mode) -> None:
        hosts, section = self._section.addresses, self._section
        at, failed, pause = place, 0, limits.FIRST_PAUSE
        loop = asyncio.get_running_loop()
        while not self._leaving:
            host, port = hosts[at % len(hosts)]
            began = loop.time()
            end = await self._connection(host, port, mode)
            lasted = loop.time() - began
            if end is not None and end.status is None and lasted >= limits.STEADY:
                failed, pause = 0, limits.FIRST_PAUSE
                at += end.reason == "unbound by the SMSC"  # it is about to stop
            else:
                at += 1
                failed += 1
                if failed % len(hosts) and (end is None or end.status is None):
                    continue  # the next host, at once
            if end is not None and end.status in status.HOPELESS:
                pause = section.reconnect_seconds
            await asyncio.sleep(min(pause, section.reconnect_seconds) * (1 + limits.SPREAD * (2 * self._chance() - 1)))
            pause = min(2 * pause, section.reconnect_seconds)

    async def _connection(self, host: str, port: int, mode: Mode) -> Closed | None:
        """One connection, from its beginning to its end; None when there was none."""
        where = f"{host}:{port}"
        section = self._section
        link = Link(
            Session(self._bind, mode, enquire=section.enquire_seconds, answer=section.answer_seconds),
            self._deliver,
            self._counts,
            window=section.window,
            at_once=section.at_once,
            changed=self._changed,
        )
        try:
            async with asyncio.timeout(limits.CONNECT):
                await asyncio.get_running_loop().create_connection(
                    lambda: link, host, port, ssl=self._tls, server_hostname=host if self._tls is not None else None
                )
        except (OSError, TimeoutError, UnicodeError) as error:
            self._counts.connects["failed"].inc()
            log.warning("SMSC not reached", carrier=section.name, host=where, error=str(error) or type(error).__name__)
            return None
        self.links.append(link)
        try:
            if await asyncio.shield(link.opened) is None:
                self._counts.connects["bound"].inc()
                log.info("bound to an SMSC", carrier=section.name, host=where, mode=mode)
            end = await asyncio.shield(link.closed)
            if link.opened.result() is not None:
                self._counts.connects["refused"].inc()
            if not self._leaving:
                log.warning("SMSC lost", carrier=section.name, host=where, mode=mode, reason=end.reason)
            return end
        finally:
            if link.session.closed:
                self.links.remove(link)

    async def _leave(self, tasks: list[asyncio.Task[None]]) -> None:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        links, self.links = self.links, []
        for link in links:
            link.unbind()
        if links:
            await asyncio.wait([link.closed for link in links], timeout=LEAVE_SECONDS)
        for link in links:
            link.abort()
        self._changed()


def _room(link: Link) -> int:
    return link.room


def _tls(section: SmppSection) -> ssl.SSLContext | None:
    """Raises OSError for files that are none of what they should be."""
    if not section.tls:
        return None
    trusted, own = section.certificates
    context = ssl.create_default_context(cafile=trusted)
    if own is not None:
        context.load_cert_chain(own)
    return context
