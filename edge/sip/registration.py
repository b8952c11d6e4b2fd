"""Keeping up a registration (RFC 3261 §10.2): a machine that is told answers and the time, and says what to send when.

It has a few places to register at, the best first, and stays with the one that took it until that fails. Then the next
one is tried at once. When all have failed it waits, longer each time, by a rule like that of RFC 5626 §4.5: the span
doubles, and somewhere in its second half it tries again, so that those who lost the same registrar do not come back
together. The longest span is far below that RFC's half an hour: everybody's calls come by a trunk.

What was granted is refreshed when about 85 % of it have passed, sooner or later by chance. While a refresh fails the
registration holds on until what was granted is over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import inf
from typing import Final, Literal, NamedTuple

from edge.sip.grammar import Unreadable
from edge.sip.message import Address, Malformed, Response, Uri

REFRESH: Final = (0.80, 0.90)  # the span, of what was granted, in which it is refreshed
BASE: Final = 15.0  # s, the first span after all places failed
LONGEST: Final = 300.0  # s, the last one
EXPIRES_MAX: Final = 86_400  # s; what a registrar wants above that is not believed
RETRY_MAX: Final = 1_800.0  # s of a Retry-After that is believed
SHORTEST: Final = 5.0  # s between two refreshes, whatever a registrar grants

State = Literal["unregistered", "registered", "failed"]


class Ask(NamedTuple):
    """A REGISTER to be sent."""

    place: int  # to which of the places
    expires: int  # 0: to be forgotten there


class Registration:
    """One registration. Give it the time and the answers; send what `due` and `next` say."""

    def __init__(self, places: int, expires: int, chance: Callable[[], float]) -> None:
        """`places` is how many there are, `expires` how long it shall last; `chance` gives from 0 to less than 1."""
        self.place = 0  # where it is, or is tried
        self.due = 0.0  # when to call `next`
        self.status = 0  # the last final answer
        self.granted = 0  # s, the last time that it worked
        self._places = places
        self._expires = expires
        self._chance = chance
        self._until = -inf  # when what was granted is over
        self._home = 0  # where it was granted
        self._tried = 0  # places that failed in this round
        self._rounds = 0  # that failed, one after another
        self._brief = False  # the last answer was 423
        self._asking = False  # an answer is still to come

    def state(self, now: float) -> State:
        """`failed`: it is not registered, and not for want of trying."""
        if now < self._until:
            return "registered"
        return "failed" if self.status else "unregistered"

    def next(self) -> Ask:
        """What to send now. Nothing is due until its answer."""
        self.due = inf
        self._asking = True
        return Ask(self.place, self._expires)

    def leave(self, now: float) -> list[Ask]:
        """What to send last: wherever it is registered, or may be by a request whose answer is still to come. It is
        over after that.
        """
        places = {self._home} if now < self._until else set()
        if self._asking:
            places.add(self.place)
        self.due, self._until, self._asking = inf, -inf, False
        return [Ask(place, 0) for place in sorted(places)]

    def answered(self, status: int, response: Response | None, contact: str, now: float) -> None:
        """The final answer to what `next` gave: 408 and 503 are also said of none. `contact` is ours, as we sent it."""
        self.status = status
        self._asking = False
        if 200 <= status < 300 and response is not None:
            granted = min(_granted(response, contact, self._expires), EXPIRES_MAX)
            if granted > 0:
                self._took(granted, now)
                return
        least = _seconds(response, "min-expires") if status == 423 else None
        if least is not None and self._expires < least <= EXPIRES_MAX and not self._brief:  # §10.2.8
            self._expires, self._brief = least, True
            self.due = now
            return
        self._brief = False
        self._failed(response, now)

    def unreachable(self, now: float) -> None:
        """Nothing could be sent to the place: it has no address, or none of ours fits."""
        self.status = 503
        self._asking = False
        self._failed(None, now)

    def _took(self, granted: int, now: float) -> None:
        self.granted = granted
        self._until = now + granted
        self._home = self.place
        self._tried = self._rounds = 0
        self._brief = False
        low, high = REFRESH
        self.due = now + max(granted * (low + (high - low) * self._chance()), min(SHORTEST, granted * low))

    def _failed(self, response: Response | None, now: float) -> None:
        self._tried += 1
        self.place = (self.place + 1) % self._places
        if self._tried < self._places:
            self.due = now
            return
        self._tried = 0
        self._rounds += 1
        span = min(LONGEST, BASE * 2 ** min(self._rounds - 1, 16))
        asked = _seconds(response, "retry-after")
        wait = span * (0.5 + 0.5 * self._chance())
        self.due = now + max(wait, min(asked or 0.0, RETRY_MAX))


def _granted(response: Response, contact: str, asked: int) -> int:
    """For how long our Contact is kept (§10.2.4): what stands with it, else what goes for all, else what we asked for.

    A registrar that writes another address there (of the NAT that it sees) means ours, if it lists but one.
    """
    expires = _seconds(response, "expires")
    general = asked if expires is None else expires
    try:
        listed = response.contacts
        ours = Address.parse(contact).uri
    except (Malformed, Unreadable):
        return general
    same = [one for one in listed if _is_same(one.uri, ours)] or (list(listed) if len(listed) == 1 else [])
    said = [_number(one.params.get("expires")) for one in same]
    found = [seconds for seconds in said if seconds is not None]
    return max(found) if found else general


def _is_same(one: Uri, other: Uri) -> bool:
    return (one.plain_user, one.host, one.port or 5060) == (other.plain_user, other.host, other.port or 5060)


def _seconds(response: Response | None, name: str) -> int | None:
    """The number that a field begins with."""
    text = None if response is None else response.headers.get(name)
    return None if text is None else _number("".join(_digits(text)))


def _digits(text: str) -> Iterable[str]:
    for letter in text.strip(" \t"):
        if not ("0" <= letter <= "9"):
            return
        yield letter


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 11 else None
