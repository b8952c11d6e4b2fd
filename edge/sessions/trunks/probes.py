"""Whether targets answer: an OPTIONS to each now and then, where a trunk has `probe_seconds`.

Whatever a target answers, it is there (RFC 3261 §11), but for 503, which says that it takes nothing now, and a 408 of
somebody on the way. One that says nothing for a few seconds is down until it answers again. A target that is down is
not given up: requests try it last (`Targets.order`).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

from edge.log import get_logger
from edge.metrics import gauge
from edge.sessions.trunks.asking import Asking
from edge.sip.grammar import print_host
from edge.trunks.target import Target
from edge.trunks.trunk import Trunk

log = get_logger("trunks")

State = Literal["unknown", "up", "down"]

ANSWER_SECONDS: Final = 4.0  # over UDP it was sent four times by then
LOOK_SECONDS: Final = 0.5  # between two looks at which trunks there are
DOWN: Final = frozenset({408, 503})
UNSENT: Final = 503  # no address, or no connection

UP = gauge("trunk_target_up", "1 while a target that is probed answers, 0 while it does not.", ("trunk", "target"))
TOOK = gauge("trunk_probe_seconds", "How long a target took to answer the last probe.", ("trunk", "target"))


@dataclass(frozen=True, slots=True)
class TargetStatus:
    """How a target is now."""

    target: Target
    state: State = "unknown"
    since: datetime | None = None  # it is so
    status: int = 0  # the last answer; 408: none, 503 also: it could not be sent
    seconds: float | None = None  # that the last answer took


class _Probed:
    """One target of one trunk that is probed."""

    def __init__(self, trunk: str, target: Target, seconds: float) -> None:
        self.trunk = trunk
        self.seconds = seconds
        self.status = TargetStatus(target)
        self.task: asyncio.Task[None] | None = None


class Probes:
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
        self._probed: dict[tuple[str, Target], _Probed] = {}
        self._seen: tuple[Trunk, ...] = ()

    def replace(self, trunks: Iterable[Trunk]) -> None:
        """Other trunks: what is new is probed, what is gone is forgotten."""
        seen = tuple(trunks)
        if len(seen) == len(self._seen) and all(one is other for one, other in zip(seen, self._seen, strict=True)):
            return
        self._seen = seen
        wanted = {
            (trunk.name, target): trunk.probe_seconds
            for trunk in seen
            if trunk.probe_seconds
            for target in trunk.targets
        }
        for key in [key for key, probed in self._probed.items() if wanted.get(key) != probed.seconds]:
            self._end(key, self._probed.pop(key), gone=key not in wanted)
        for key, seconds in wanted.items():
            if key not in self._probed:
                probed = self._probed[key] = _Probed(*key, seconds)
                probed.task = asyncio.get_running_loop().create_task(self._probe(probed))

    async def watch(self, trunks: Iterable[Trunk]) -> None:
        """See for ever which trunks there are; it ends by cancellation."""
        await self._asking.endpoint.listening.wait()
        while True:
            self.replace(trunks)
            await self._sleep(LOOK_SECONDS)

    def status(self, trunk: Trunk) -> list[TargetStatus]:
        """How each of its targets is; unknown where nobody asks."""
        order = self._asking.targets.order(trunk)
        found = ((target, self._probed.get((trunk.name, target))) for target in order)
        return [TargetStatus(target) if probed is None else probed.status for target, probed in found]

    async def close(self) -> None:
        """Ask no more."""
        tasks = [probed.task for probed in self._probed.values() if probed.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # One of them

    def _end(self, key: tuple[str, Target], probed: _Probed, *, gone: bool) -> None:
        if probed.task is not None:
            probed.task.cancel()
        if gone:
            self._asking.targets.mark(*key, down=False)
        if gone and probed.status.state != "unknown":
            UP.remove(key[0], str(key[1]))
        if gone and probed.status.seconds is not None:
            TOOK.remove(key[0], str(key[1]))

    async def _probe(self, probed: _Probed) -> None:
        """For ever. The first one comes soon, the others by the clock, each a little early or late."""
        await self._sleep(self._chance() * min(1.0, probed.seconds))
        while True:
            try:
                await self._ask(probed)
            except Exception:
                log.exception("probe not sent", trunk=probed.trunk, target=str(probed.status.target))
                self._note(probed, UNSENT, None)
            await self._sleep(probed.seconds * (0.9 + 0.2 * self._chance()))

    async def _ask(self, probed: _Probed) -> None:
        target, asking = probed.status.target, self._asking
        peer = asking.peer(target)
        if peer is None:
            self._note(probed, UNSENT, None)
            return
        host, port = peer.local
        began = asking.endpoint.now()
        done = await asking.ask(
            "OPTIONS",
            peer,
            uri=str(target),
            from_=f"<sip:{print_host(host)}:{port}>",
            to=f"<{target}>",
            seconds=min(ANSWER_SECONDS, probed.seconds),
            fields=(("Accept", "application/sdp"),),
        )
        self._note(probed, done.status, asking.endpoint.now() - began if done.response is not None else None)

    def _note(self, probed: _Probed, status: int, seconds: float | None) -> None:
        before, target = probed.status, probed.status.target
        state: State = "down" if status in DOWN else "up"
        since = before.since if state == before.state else datetime.now(UTC)
        took = seconds if seconds is not None else before.seconds
        probed.status = TargetStatus(target, state, since, status, took)
        self._asking.targets.mark(probed.trunk, target, down=state == "down")
        UP.labels(probed.trunk, str(target)).set(state == "up")
        if took is not None:
            TOOK.labels(probed.trunk, str(target)).set(took)
        if state == "down" and before.state != "down":
            log.warning("target down", trunk=probed.trunk, target=str(target), code=status)
        elif state == "up" and before.state == "down":
            log.info("target up again", trunk=probed.trunk, target=str(target), code=status)
