"""Session timers (RFC 4028): who refreshes a session, how often, and when it is over for want of a refresh.

Each 2xx to an INVITE, re-INVITE or UPDATE within an answered call says anew whether there is an interval, and which
side refreshes; one that says nothing turns the timer off (§7.2). Who refreshes does so at half of the interval (§10);
both sides hang up a little before its end when no refresh came or none was answered. A call has one deadline for this.

We are asked for an interval, or ask where the terms say so. Without a word of the other side that it serves timers we
begin none: it would turn them off with its next answer. An interval that is asked for may only be made shorter (§9),
and never shorter than what its asker says he takes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from edge.sip.extension import TIMER, supports
from edge.sip.grammar import Params, Unreadable, number
from edge.sip.limits import REFRESH_AGAIN, SESSION_MAX
from edge.sip.terms import MIN_SE, Terms
from edge.sip.timers import Timed, Timers
from edge.sip.values import refusal

if TYPE_CHECKING:
    from edge.sip.handle import Call
    from edge.sip.message import Message, Request, Response

TOO_SMALL: Final = 422
EXPIRED: Final = 'Q.850;cause=102;text="session expired"'  # 102: recovery on timer expiry

Refresher = Literal["uac", "uas"]
Fields = tuple[tuple[str, str], ...]

_ROLES: Final[dict[str, Refresher]] = {"uac": "uac", "uas": "uas"}


class Interval(NamedTuple):
    """A Session-Expires."""

    seconds: int
    refresher: Refresher | None = None

    def __str__(self) -> str:
        return f"{self.seconds};refresher={self.refresher}" if self.refresher else str(self.seconds)


def read_interval(message: Message) -> Interval | None:
    """What Session-Expires says; None without one. Raises Unreadable."""
    text = message.headers.first.get("session-expires")
    if text is None:
        return None
    seconds, semicolon, rest = text.partition(";")
    role = Params.parse(semicolon + rest).get("refresher") if rest else None
    return Interval(min(number(seconds.strip(" \t"), 1 << 32), SESSION_MAX), _ROLES.get((role or "").lower()))


def least(message: Message) -> int:
    """What Min-SE says, and what it is when it says nothing (§5)."""
    text = message.headers.first.get("min-se", "").partition(";")[0].strip(" \t")
    return max(min(int(text), SESSION_MAX), MIN_SE) if text.isascii() and text.isdigit() and len(text) < 10 else MIN_SE


def too_small(request: Request, terms: Terms) -> tuple[int, Fields] | None:
    """What is to be answered to an interval that is shorter than we take (§9): only who serves timers understands it.
    Raises `Malformed`."""
    try:
        asked = read_interval(request)
    except Unreadable as fault:
        raise refusal(400, f"session-expires: {fault}", request) from None
    if asked is None or asked.seconds >= terms.min_se or not supports(request, TIMER):
        return None
    return TOO_SMALL, (("Min-SE", str(terms.min_se)),)


def agree(request: Request, terms: Terms, running: SessionTimer | None) -> Interval | None:
    """The interval of a session that this request of theirs begins or refreshes, for our 2xx; None for no timer."""
    try:
        asked = read_interval(request)
    except Unreadable:
        return None
    theirs = supports(request, TIMER)
    role: Refresher | None = None if running is None else "uas" if running.ours else "uac"
    if asked is None:
        wish = terms.session_expires if running is None else running.seconds
        if wish is None or not theirs:
            return None
        return Interval(max(wish, terms.min_se, least(request)), role or "uas")
    seconds = asked.seconds
    if seconds < terms.min_se:  # and it cannot be told (422)
        return None
    if terms.session_expires is not None:
        seconds = min(seconds, max(terms.session_expires, terms.min_se, least(request)))
    if not theirs:  # §9, table 2: a proxy asked
        return Interval(seconds, "uas")
    return Interval(seconds, asked.refresher or role or "uac")


def opening(terms: Terms) -> Fields:
    """What an INVITE of ours says (§7.1): who refreshes is left to the other side."""
    shortest = (("Min-SE", str(terms.min_se)),) if terms.min_se > MIN_SE else ()
    if terms.session_expires is None:
        return shortest
    return (("Session-Expires", str(max(terms.session_expires, terms.min_se))), *shortest)


class SessionTimer(Timed):
    """The timer of one call, from one refresh to the next."""

    __slots__ = ("_asked", "_expires", "_over", "_refresh", "_timers", "min_se", "ours", "seconds")

    def __init__(
        self,
        timers: Timers,
        seconds: int,
        now: float,
        *,
        ours: bool,
        min_se: int,
        refresh: Callable[[float], None],
        over: Callable[[float], None],
    ) -> None:
        """`ours`: the refreshes are up to us. `refresh` is called when it is time for one, `over` when the session is
        to be ended."""
        self.due = inf
        self.seconds = seconds
        self.ours = ours
        self.min_se = min_se  # the least that is taken, as far as is known
        self._timers = timers
        self._refresh = refresh
        self._over = over
        self._asked = False  # a refresh is under way
        self._expires = now + seconds - min(32.0, seconds / 3)  # §10
        timers.set_before(self, now, seconds / 2 if ours else seconds, self._expires)

    def stop(self) -> None:
        """Its place among the deadlines may outlive the call for long; the call is not to be kept there."""
        self._timers.stop(self)
        self._refresh = self._over = _ignore

    def again(self, now: float, seconds: float = REFRESH_AGAIN) -> None:
        """A refresh was refused: try another one a little later, if there is time."""
        if self.ours and now < self._expires:
            self._asked = False
            self._timers.set_before(self, now, seconds, self._expires)

    def expire(self, now: float) -> None:
        if not self.ours or self._asked or now >= self._expires:
            self._over(now)
            return
        self._asked = True
        self._timers.set_before(self, now, inf, self._expires)
        self._refresh(now)


class SessionTimers:
    """The session timers of one agent."""

    __slots__ = ("_over", "_refresh", "_timers")

    def __init__(
        self, timers: Timers, refresh: Callable[[Call, float], None], over: Callable[[Call, float], None]
    ) -> None:
        """`refresh` sends a refresh, `over` ends a call whose session ran out."""
        self._timers = timers
        self._refresh = refresh
        self._over = over

    def answering(self, call: Call, request: Request, now: float) -> Fields:
        """The fields of our 2xx to an INVITE or UPDATE of theirs; from now on it counts."""
        running = call._session
        if running is None and call.terms.session_expires is None and "session-expires" not in request.headers.first:
            return ()
        agreed = agree(request, call.terms, running)
        self._set(call, agreed, now, ours=agreed is not None and agreed.refresher == "uas")
        if agreed is None:
            return ()
        field = ("Session-Expires", str(agreed))
        return (field, ("Require", TIMER)) if supports(request, TIMER) else (field,)  # §9

    def asking(self, call: Call) -> Fields:
        """The fields of an INVITE or UPDATE of ours within a call (§7.4)."""
        running = call._session
        if running is None:
            return ()
        interval = Interval(max(running.seconds, running.min_se), "uac" if running.ours else "uas")
        shortest = (("Min-SE", str(running.min_se)),) if running.min_se > MIN_SE else ()
        return (("Session-Expires", str(interval)), *shortest)

    def answered(self, call: Call, response: Response, now: float) -> None:
        """A 2xx to an INVITE or UPDATE of ours (§7.2)."""
        try:
            agreed = read_interval(response)
        except Unreadable:
            agreed = None
        if agreed is not None and agreed.seconds < MIN_SE:  # not allowed (§4), and nothing to be hurried by
            agreed = agreed._replace(seconds=MIN_SE)
        self._set(call, agreed, now, ours=agreed is not None and agreed.refresher != "uas")

    def raised(self, call: Call, response: Response) -> bool:
        """A 422: ask for as much as they want (§7.3). False: that was known before."""
        running = call._session
        if running is None or least(response) <= max(running.min_se, running.seconds):
            return False
        running.min_se = least(response)
        return True

    def stop(self, call: Call) -> None:
        if call._session is not None:
            call._session.stop()
            call._session = None

    def _set(self, call: Call, agreed: Interval | None, now: float, *, ours: bool) -> None:
        before = call._session
        self.stop(call)
        if agreed is None or call._ended:
            return
        call._session = SessionTimer(
            self._timers,
            agreed.seconds,
            now,
            ours=ours,
            min_se=call.terms.min_se if before is None else before.min_se,
            refresh=partial(self._refresh, call),
            over=partial(self._over, call),
        )


def _ignore(_now: float) -> None:
    """Nobody is to be told any more."""
