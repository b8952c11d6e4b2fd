"""Certificates by their URLs: fetched, checked and remembered.

Anybody who calls can name a URL, so nothing that he names costs much: https only, no redirects, nothing in private
networks, little to read and little time for it, a few fetches at once, one for all that want the same URL. What was
found is remembered as long as its server says (`Cache-Control`), within bounds, and no longer than it is valid; what is
bad or away is remembered too, shorter.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple, Protocol

from cryptography.x509 import Certificate

from edge.errors import EdgeError, Forbidden, Invalid, NotFound, TooLarge
from edge.http import Answer, Method, read_url
from edge.metrics import counter
from edge.stir.credential import Credential, read_credential
from edge.stir.section import StirSection
from edge.stir.verdict import BAD_INFO, Doubt

REMEMBERED: Final = 1_024  # URLs; the one that was fetched first goes
FETCHES: Final = 32  # at once; more are refused
SHORTEST: Final = 60.0  # s that a certificate is kept, whatever its server says
UNSAID: Final = 3_600.0  # s, where it says nothing
BAD_SECONDS: Final = 60.0  # that a bad one is remembered
AWAY_SECONDS: Final = 10.0  # that one is which could not be had

FETCHED = counter("stir_certificates_total", "Certificates of signed callers that were fetched.", ("outcome",))
_COUNT: Final = {outcome: FETCHED.labels(outcome) for outcome in ("good", "bad", "away", "refused")}
_max_age: Final = re.compile(r"(?:^|[,\s])max-age=\"?([0-9]{1,9})", re.IGNORECASE).search


class Ask(Protocol):
    """How a URL is asked (`http.Guard.request`)."""

    def __call__(
        self, method: Method, url: str, *, max_bytes: int | None, deadline: float | None, follow: bool
    ) -> Awaitable[Answer]: ...


class _Known(NamedTuple):
    found: Credential | Doubt
    until: float


class Repository:
    """One for the process. `clock` says seconds since the epoch."""

    def __init__(
        self, section: StirSection, anchors: Sequence[Certificate], ask: Ask, clock: Callable[[], float]
    ) -> None:
        self._section = section
        self._anchors = tuple(anchors)
        self._ask = ask
        self._clock = clock
        self._known: dict[str, _Known] = {}
        self._coming: dict[str, asyncio.Task[Credential | Doubt]] = {}

    def __len__(self) -> int:
        return len(self._known)

    @property
    def anchored(self) -> bool:
        return bool(self._anchors)

    def trust(self, anchors: Sequence[Certificate]) -> None:
        """Take other anchors; what led to the old ones is looked at again."""
        self._anchors = tuple(anchors)
        self._known.clear()

    def peek(self, url: str) -> Credential | Doubt | None:
        """What is known of a URL now; None: it has to be fetched."""
        known = self._known.get(url)
        if known is None:
            return None
        if self._clock() >= known.until:
            del self._known[url]
            return None
        return known.found

    async def find(self, url: str, seconds: float) -> Credential | Doubt:
        """What is known of a URL, fetched if need be. Who waits longer than that is told it is away; it comes all the
        same, for the next one."""
        known = self.peek(url)
        if known is not None:
            return known
        coming = self._coming.get(url)
        if coming is None:
            if len(self._coming) >= FETCHES:
                _COUNT["refused"].inc()
                return Doubt(BAD_INFO, "too many certificates are being fetched", away=True)
            coming = self._coming[url] = asyncio.create_task(self._fetch(url), name="certificate")
            coming.add_done_callback(lambda _: self._coming.pop(url, None))
        await asyncio.wait({coming}, timeout=seconds)
        if not coming.done() or coming.cancelled():
            return Doubt(BAD_INFO, f"its certificate did not come within {seconds:g} seconds", away=True)
        return coming.result()

    async def close(self) -> None:
        """Give up what is still coming."""
        coming = list(self._coming.values())
        for task in coming:
            task.cancel()
        await asyncio.gather(*coming, return_exceptions=True)

    async def _fetch(self, url: str) -> Credential | Doubt:
        anchors = self._anchors
        try:
            found, seconds = await self._read(url)
        except Doubt as doubt:
            found, seconds = doubt, AWAY_SECONDS if doubt.away else BAD_SECONDS
            _COUNT["away" if doubt.away else "bad"].inc()
        else:
            _COUNT["good"].inc()
        now = self._clock()
        until = now + seconds if isinstance(found, Doubt) else min(now + seconds, found.until)
        if anchors is self._anchors:
            while len(self._known) >= REMEMBERED:
                del self._known[next(iter(self._known))]
            self._known[url] = _Known(found, until)
        return found

    async def _read(self, url: str) -> tuple[Credential | Doubt, float]:
        """A certificate and how long to keep it. Raises Doubt."""
        section = self._section
        self._require(url)
        try:
            answer = await self._ask(
                "GET", url, max_bytes=section.max_bytes, deadline=section.deadline_seconds, follow=False
            )
        except (Forbidden, Invalid, NotFound, TooLarge) as error:
            raise Doubt(BAD_INFO, error.message) from None
        except EdgeError as error:
            raise Doubt(BAD_INFO, error.message, away=True) from None
        if answer.status != 200:
            raise Doubt(BAD_INFO, f"its certificate is not there ({answer.status})", away=answer.status >= 500)
        now = datetime.fromtimestamp(self._clock(), UTC)
        return read_credential(answer.body, self._anchors, now), self._kept(answer.cache_control)

    def _require(self, url: str) -> None:
        """Raises Doubt for a URL that is never asked."""
        section = self._section
        try:
            read = read_url(url)
        except Invalid:
            raise Doubt(BAD_INFO, "info is no URL") from None
        if read.scheme != "https" and not section.allow_http:
            raise Doubt(BAD_INFO, "info is no https URL")
        if read.user is not None or read.password is not None:
            raise Doubt(BAD_INFO, "info has a user in it")
        if section.hosts and (read.host or "").lower() not in {host.lower() for host in section.hosts}:
            raise Doubt(BAD_INFO, "info leads to a host that certificates are not fetched from")

    def _kept(self, said: str) -> float:
        """Seconds (RFC 9111 §5.2.2). What must not be kept is kept shortly: the next call comes at once."""
        if "no-store" in said.lower() or "no-cache" in said.lower():
            return SHORTEST
        match = _max_age(said)
        seconds = float(match[1]) if match is not None else UNSAID
        return min(max(seconds, SHORTEST), float(self._section.cache_seconds))
