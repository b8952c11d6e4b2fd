"""Registers at each carrier that wants it, and says whether that worked (`sip/registration.py`).

Each edge registers for itself, with a Contact of its own: a carrier that keeps several sends calls to any of them, one
that keeps the newest sends them to whoever refreshed last. Trunks come and go while it runs. One that changed in what
matters here is taken leave of first, for its Contact may be the same.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, NamedTuple
from urllib.parse import quote

from edge.log import get_logger
from edge.metrics import gauge
from edge.sessions.proofs import login_of
from edge.sessions.trunks.asking import Asking
from edge.sip.peer import Peer
from edge.sip.prover import Prover
from edge.sip.registration import Registration, State
from edge.store.metadata import take_chance
from edge.trunks.target import SIP_PORT, Target
from edge.trunks.trunk import Credentials, Trunk
from edge.trunks.trunk import Registration as Wanted

log = get_logger("trunks")

ANSWER_SECONDS: Final = 8.0  # for one REGISTER; over UDP it was sent five times by then
LEAVE_SECONDS: Final = 2.0  # for a carrier to hear that we leave
LOOK_SECONDS: Final = 0.5  # between two looks at which trunks there are
SAFE_IN_USER: Final = "-_.!~*'()&=+$,;?/"  # RFC 3261 §25.1

REGISTERED = gauge("trunk_registered", "1 while this edge is registered at a trunk's carrier.", ("trunk",))


class _Terms(NamedTuple):
    """What a registration hangs on. Another trunk that has the same goes on with it."""

    wanted: Wanted
    credentials: Credentials | None
    registrars: tuple[Target, ...]
    advertise: str | None


@dataclass(frozen=True, slots=True)
class RegistrationStatus:
    """How it is now."""

    state: State
    since: datetime  # it is so
    status: int  # the last final answer, 0 before the first
    registrar: str  # where it is, or is tried
    granted: int  # s, the last time that it worked
    address: str  # ours there


class _Kept:
    """One that is kept up."""

    def __init__(self, trunk: str, terms: _Terms, machine: Registration) -> None:
        registrar = terms.registrars[0]
        port = "" if registrar.port == SIP_PORT else f":{registrar.port}"
        host = f"[{registrar.host}]" if ":" in registrar.host else registrar.host
        credentials = terms.credentials
        name = terms.wanted.user or (credentials.username if credentials is not None else "")
        self.trunk = trunk
        self.terms = terms
        self.machine = machine
        self.user = quote(name, safe=SAFE_IN_USER)
        self.domain = terms.wanted.domain or host + port
        self.call_id = take_chance(12).hex()
        self.number = 0  # the last CSeq
        self.peers: dict[int, Peer] = {}  # where it was sent, by place: known still when its trunk is gone
        self.prover = None if credentials is None else Prover(login_of(credentials), lambda: take_chance(8).hex())
        self.state: State = "unregistered"
        self.since = datetime.now(UTC)
        self.task: asyncio.Task[None] | None = None


class Registrations:
    """One for the daemon."""

    def __init__(
        self,
        asking: Asking,
        chance: Callable[[], float] = random.random,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._asking = asking
        self._chance = chance
        self._sleep = sleep
        self._kept: dict[str, _Kept] = {}  # by the trunk's name
        self._leaving: set[asyncio.Task[None]] = set()
        self._seen: tuple[Trunk, ...] = ()
        self._closed = False

    def replace(self, trunks: Iterable[Trunk]) -> None:
        """Other trunks: what is new begins, what is gone ends, what is the same goes on."""
        seen = tuple(trunks)
        if self._closed or (len(seen) == len(self._seen) and all(map(_is, seen, self._seen))):
            return
        self._seen = seen
        wanted = {trunk.name: terms for trunk in seen if (terms := _terms(trunk)) is not None}
        for name in [name for name, kept in self._kept.items() if wanted.get(name) != kept.terms]:
            leaving = self._end(self._kept.pop(name))
            if name in wanted:
                self._begin(name, wanted[name], leaving)
            else:
                REGISTERED.remove(name)
        for name, terms in wanted.items():
            if name not in self._kept:
                self._begin(name, terms, None)

    async def watch(self, trunks: Iterable[Trunk]) -> None:
        """See for ever which trunks there are; it ends by cancellation."""
        await self._asking.endpoint.listening.wait()
        while True:
            self.replace(trunks)
            await self._sleep(LOOK_SECONDS)

    def status(self, trunk: str) -> RegistrationStatus | None:
        """How the registration of a trunk is; None: it has none."""
        kept = self._kept.get(trunk)
        if kept is None:
            return None
        self._note(kept)
        machine, terms = kept.machine, kept.terms
        return RegistrationStatus(
            kept.state,
            kept.since,
            machine.status,
            str(terms.registrars[machine.place]),
            machine.granted,
            f"sip:{kept.user}@{kept.domain}",
        )

    async def close(self) -> None:
        """Take leave of all; returns when they know, or soon after."""
        self._closed = True
        while self._kept:
            name, kept = self._kept.popitem()
            self._end(kept)
            REGISTERED.remove(name)  # an edge that leaves has lost nothing
        await asyncio.gather(*self._leaving, return_exceptions=True)

    # One of them

    def _begin(self, name: str, terms: _Terms, after: asyncio.Task[None] | None) -> None:
        machine = Registration(len(terms.registrars), terms.wanted.expires, self._chance)
        kept = self._kept[name] = _Kept(name, terms, machine)
        now = self._asking.endpoint.now
        REGISTERED.labels(name).set_function(lambda: machine.state(now()) == "registered")
        kept.task = asyncio.get_running_loop().create_task(self._keep(kept, after))

    def _end(self, kept: _Kept) -> asyncio.Task[None]:
        if kept.task is not None:
            kept.task.cancel()
        leaving = asyncio.get_running_loop().create_task(self._leave(kept))
        self._leaving.add(leaving)
        leaving.add_done_callback(self._leaving.discard)
        return leaving

    async def _keep(self, kept: _Kept, after: asyncio.Task[None] | None) -> None:
        """For ever."""
        if after is not None:
            await asyncio.wait([after])
        machine, now = kept.machine, self._asking.endpoint.now
        while True:
            await self._sleep(max(0.0, machine.due - now()))
            if machine.due > now():
                continue
            place, expires = machine.next()
            try:
                await self._register(kept, place, expires, ANSWER_SECONDS)
            except Exception:
                log.exception("registration not sent", trunk=kept.trunk)
                machine.unreachable(now())
            self._note(kept)

    async def _register(self, kept: _Kept, place: int, expires: int, seconds: float) -> None:
        asking, machine = self._asking, kept.machine
        peer = asking.peer(kept.terms.registrars[place]) or (None if expires else kept.peers.get(place))
        if peer is None:
            machine.unreachable(asking.endpoint.now())
            return
        kept.peers[place] = peer
        address = f"<sip:{kept.user}@{kept.domain}>" if kept.user else f"<sip:{kept.domain}>"
        contact = asking.endpoint.agent.contact(peer, kept.user, kept.terms.advertise)
        done = await asking.ask(
            "REGISTER",
            peer,
            uri=f"sip:{kept.domain}",
            from_=address,
            to=address,
            seconds=seconds,
            call_id=kept.call_id,
            number=kept.number + 1,
            fields=(("Contact", contact), ("Expires", str(expires))),
            prover=kept.prover,
            advertise=kept.terms.advertise,
        )
        kept.number = done.number
        if expires:
            machine.answered(done.status, done.response, contact, asking.endpoint.now())

    async def _leave(self, kept: _Kept) -> None:
        if kept.task is not None:
            await asyncio.wait([kept.task])
        for place, expires in kept.machine.leave(self._asking.endpoint.now()):
            try:
                await self._register(kept, place, expires, LEAVE_SECONDS)
            except Exception:
                log.exception("registration not taken back", trunk=kept.trunk)
        log.info("registration left", trunk=kept.trunk)

    def _note(self, kept: _Kept) -> None:
        """See whether it is otherwise than before, and say so once."""
        machine = kept.machine
        state = machine.state(self._asking.endpoint.now())
        if state == kept.state:
            return
        kept.state, kept.since = state, datetime.now(UTC)
        registrar = str(kept.terms.registrars[machine.place])
        if state == "registered":
            log.info("registered", trunk=kept.trunk, registrar=registrar, seconds=machine.granted)
        else:
            log.warning("not registered", trunk=kept.trunk, registrar=registrar, code=machine.status)


def _terms(trunk: Trunk) -> _Terms | None:
    if trunk.registration is None or not trunk.registrars:
        return None
    return _Terms(trunk.registration, trunk.credentials, trunk.registrars, trunk.advertise)


def _is(one: Trunk, other: Trunk) -> bool:
    return one is other
