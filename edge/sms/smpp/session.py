"""One connection to an SMSC, from its bind to its end (SMPP 3.4 §2.2, §2.7, §4), without I/O.

    Fresh ─ open ─▶ Binding ─ ok ─▶ Up ─ unbind, ours or theirs ─▶ Leaving ─▶ Closed
                       └─ refused, silence ──┴─ silence, garbage ──────────────▲

The machine is told bytes, the time, and what its user wants; it gives bytes and events. Its rules:

- A submit is answered within `answer` seconds, or counts as lost (`Unanswered`). A bind or an enquire_link without its
  answer is the end of the connection.
- enquire_link goes out when for `enquire` seconds nothing came, or nothing was sent: some carriers wait for it though
  they talk to us. And when a response of ours has gone out and nothing was asked since, for the sake of `proven`.
- A response that fits nothing we asked, by its sequence number or by its kind, is `Ignored`: it may be late, or twice.
- Each deliver_sm waits for `respond`, in any order. What cannot be read is answered at once with what is wrong with it.
- Whoever leaves first finishes what is at work, for a second.

`proven` is the time up to which the other side has surely read what we sent: it has answered something that was sent
later, and TCP keeps the order. From that `repeats.py` knows which of our responses may have been lost.
"""

from __future__ import annotations

from collections import deque
from enum import Enum, auto
from math import inf
from typing import Final, Literal, NamedTuple

from edge.sms.smpp import limits, pdu, status
from edge.sms.smpp.pdu import Bind, Bound, Malformed, Message, Pdu, Stream, read_id

Mode = Literal["transceiver", "transmitter", "receiver"]
BINDS: Final[dict[Mode, int]] = {
    "transceiver": pdu.BIND_TRANSCEIVER,
    "transmitter": pdu.BIND_TRANSMITTER,
    "receiver": pdu.BIND_RECEIVER,
}


class Up(NamedTuple):
    """The bind was taken."""

    system_id: str
    version: int | None


class Delivered(NamedTuple):
    """A deliver_sm or data_sm, to be answered with `respond`."""

    sequence: int
    message: Message
    command: int = pdu.DELIVER_SM


class Answered(NamedTuple):
    """The response to a submit."""

    sequence: int
    status: int
    message_id: str
    seconds: float


class Unanswered(NamedTuple):
    """No response to a submit came in time; it may have been taken all the same."""

    sequence: int


class Ignored(NamedTuple):
    """Something came that means nothing here."""

    reason: Literal["response", "command", "malformed", "outbind", "alert", "state"]
    what: str


class Closed(NamedTuple):
    """The end, once. `status` is that of a bind that was refused."""

    reason: str
    status: int | None = None


Event = Up | Delivered | Answered | Unanswered | Ignored | Closed


class _State(Enum):
    FRESH = auto()
    BINDING = auto()
    UP = auto()
    LEAVING = auto()  # what is at work may end; then `_unbind` goes out
    UNBINDING = auto()  # our unbind went out
    CLOSED = auto()


class Session:
    """One connection. After each verb take `to_send`, then the events, then look at `get_timer` anew."""

    __slots__ = (
        "_alive",
        "_answer",
        "_asked",
        "_bind",
        "_enquire",
        "_events",
        "_heard",
        "_leaving",
        "_mode",
        "_order",
        "_out",
        "_said",
        "_sequence",
        "_state",
        "_stop",
        "_stream",
        "_unproven",
        "_working",
        "proven",
    )

    def __init__(self, bind: Bind, mode: Mode, *, enquire: float, answer: float) -> None:
        self._bind = bind
        self._mode = mode
        self._enquire = enquire
        self._answer = answer
        self._state = _State.FRESH
        self._stream = Stream()
        self._out: list[bytes] = []
        self._events: deque[Event] = deque()
        self._sequence = 0
        self._asked: dict[int, tuple[int, float]] = {}  # what of ours has no answer: command, when it was sent
        self._order: deque[tuple[float, int]] = deque()  # submits by time, with some that are answered
        self._working = 0  # deliver_sm without our response
        self._heard = self._said = 0.0
        self._stop = inf  # when binding or leaving has taken too long
        self._alive = inf  # when the answer to an enquire_link is due
        self._leaving: Pdu | None = None  # what goes out once nothing is at work: their unbind_resp, or our unbind
        self._unproven = inf  # when the first response went out after which nothing was asked
        self.proven = -inf

    # Verbs

    def open(self, now: float) -> None:
        """The connection is there: bind."""
        self._state = _State.BINDING
        self._stop = now + limits.BIND
        self._heard = now
        self._ask(BINDS[self._mode], self._bind.write(), now)

    def submit(self, message: Message, now: float) -> int:
        """Send a text; its sequence number. Only while `up`. Raises ValueError for what no field takes."""
        sequence = self._ask(pdu.SUBMIT_SM, message.write(), now)
        self._order.append((now, sequence))
        return sequence

    def respond(self, delivered: Delivered, state: int, now: float) -> None:
        """Answer what was delivered. Nothing, once the connection is closed."""
        if self._state is _State.CLOSED:
            return
        self._working -= 1
        # §4.6.2: the message_id of a deliver_sm_resp is unused, one NUL
        self._send(Pdu(delivered.command | pdu.RESP, delivered.sequence, state, b"\0"), now)
        self._unproven = min(self._unproven, now)
        self._leave(now)

    def unbind(self, now: float) -> None:
        """Take leave: finish what is at work, unbind, close."""
        if self._state is _State.UP:
            self._state = _State.LEAVING
            self._stop = now + limits.LEAVE
            self._leave(now)
        elif self._state in (_State.FRESH, _State.BINDING):
            self._close("closed by us")

    def lost(self, why: str) -> None:
        """The connection is gone."""
        self._close(why)

    def receive(self, data: bytes, now: float) -> None:
        """Octets that came."""
        if self.closed:
            return
        self._heard = now
        found, fault = self._stream.take(data)
        for one in found:
            if self.closed:
                return
            if one.command & pdu.RESP:
                self._answered(one, now)
            else:
                self._asked_by_them(one, now)
        if fault is not None and not self.closed:
            self._send(Pdu(pdu.GENERIC_NACK, 0, fault.status), now)
            self._close(f"the SMSC sent {fault.sentence}")

    def get_timer(self) -> float | None:
        """When to call `handle_timer`; None: never."""
        if self._state in (_State.FRESH, _State.CLOSED):
            return None
        due = min(self._stop, self._alive)
        while self._order and self._order[0][1] not in self._asked:
            self._order.popleft()
        if self._order:
            due = min(due, self._order[0][0] + self._answer)
        return min(due, self._enquire_due)

    def handle_timer(self, now: float) -> None:
        """The time of `get_timer` has come."""
        if self._state in (_State.FRESH, _State.CLOSED):
            return
        while self._order and (self._order[0][1] not in self._asked or self._order[0][0] + self._answer <= now):
            sequence = self._order.popleft()[1]
            if self._asked.pop(sequence, None) is not None:
                self._events.append(Unanswered(sequence))
                self._leave(now)
        if now >= self._alive:
            self._close("the SMSC did not answer an enquire_link")
        elif now >= self._stop:
            self._too_long(now)
        elif now >= self._enquire_due:
            self._ask(pdu.ENQUIRE_LINK, b"", now)
            self._alive = now + limits.ALIVE

    def resume(self, now: float) -> None:
        """What came was left unread for a while: an answer may lie there."""
        self._heard = now
        if self._alive != inf:
            self._alive = now + limits.ALIVE

    # What the user looks at

    @property
    def up(self) -> bool:
        """Whether it may submit."""
        return self._state is _State.UP

    @property
    def sends(self) -> bool:
        """Whether texts go out by it, once it is up."""
        return self._mode != "receiver"

    @property
    def closed(self) -> bool:
        return self._state is _State.CLOSED

    @property
    def working(self) -> int:
        """How many were delivered and have no response."""
        return self._working

    def to_send(self) -> bytes:
        """All that is to go out now."""
        if not self._out:
            return b""
        out = b"".join(self._out)
        self._out.clear()
        return out

    def next_event(self) -> Event | None:
        return self._events.popleft() if self._events else None

    @property
    def _enquire_due(self) -> float:
        """When to ask whether they live: not while they have not answered that."""
        if self._state is not _State.UP or self._alive != inf:
            return inf
        return min(self._heard + self._enquire, self._said + self._enquire, self._unproven + limits.PROVE)

    # What they answer

    def _answered(self, answer: Pdu, now: float) -> None:
        asked = self._asked.get(answer.sequence)
        if asked is None or (answer.command != pdu.GENERIC_NACK and answer.command != asked[0] | pdu.RESP):
            self._events.append(Ignored("response", str(answer)))
            return
        command, at = self._asked.pop(answer.sequence)
        self.proven = max(self.proven, at)
        nacked = answer.command == pdu.GENERIC_NACK
        if command == pdu.SUBMIT_SM:
            state = answer.status or (status.RSYSERR if nacked else status.ROK)
            said = read_id(answer.body) if state == status.ROK else ""
            self._events.append(Answered(answer.sequence, state, said, now - at))
            self._leave(now)
        elif command == pdu.UNBIND:
            self._close("unbound by us")
        elif command == pdu.ENQUIRE_LINK:
            self._alive = inf
        else:
            self._bound(answer, nacked)

    def _bound(self, answer: Pdu, nacked: bool) -> None:
        if answer.status or nacked:
            state = answer.status or status.RBINDFAIL
            self._close(f"the SMSC refused the bind: {status.name(state)}", state)
            return
        self._state = _State.UP
        self._stop = inf
        body = Bound.read(answer.body)
        self._events.append(Up(body.system_id, body.version))

    # What they ask

    def _asked_by_them(self, request: Pdu, now: float) -> None:
        match request.command:
            case pdu.DELIVER_SM | pdu.DATA_SM:
                self._delivered(request, now)
            case pdu.ENQUIRE_LINK:
                self._send(Pdu(pdu.ENQUIRE_LINK | pdu.RESP, request.sequence), now)
            case pdu.UNBIND:
                self._unbound(request, now)
            case pdu.OUTBIND:  # §4.1.7: asks for a bind, and we have sent one
                self._events.append(Ignored("outbind", str(request)))
            case pdu.ALERT_NOTIFICATION:  # §4.12: a handset is there; has no response
                self._events.append(Ignored("alert", str(request)))
            case _:
                self._events.append(Ignored("command", str(request)))
                self._send(Pdu(pdu.GENERIC_NACK, request.sequence, status.RINVCMDID), now)

    def _delivered(self, request: Pdu, now: float) -> None:
        refusal = status.ROK
        if self._state is _State.LEAVING or self._state is _State.UNBINDING:
            refusal = status.RX_T_APPN  # it comes again, by another connection
        elif self._state is not _State.UP or self._mode == "transmitter":
            refusal = status.RINVBNDSTS
            self._events.append(Ignored("state", str(request)))
        else:
            try:
                data = request.command == pdu.DATA_SM
                message = Message.read_data(request.body) if data else Message.read(request.body)
            except Malformed as error:
                refusal = error.status
                self._events.append(Ignored("malformed", f"{request}: {error.sentence}"))
            else:
                self._working += 1
                self._events.append(Delivered(request.sequence, message, request.command))
                return
        self._send(Pdu(request.command | pdu.RESP, request.sequence, refusal, b"\0"), now)

    def _unbound(self, request: Pdu, now: float) -> None:
        """§4.2: whoever gets an unbind answers it; then the connection is closed."""
        answer = Pdu(pdu.UNBIND | pdu.RESP, request.sequence)
        if self._state is _State.UP:
            self._state, self._leaving = _State.LEAVING, answer
            self._stop = now + limits.LEAVE
            self._leave(now)
            return
        self._send(answer, now)
        if self._state is not _State.LEAVING:
            self._close("unbound by the SMSC")

    # The end

    def _leave(self, now: float, hurry: bool = False) -> None:
        """Go on with leaving when nothing is at work any more, or there is no more time."""
        if self._state is not _State.LEAVING:
            return
        if not hurry and (self._working or any(command == pdu.SUBMIT_SM for command, _ in self._asked.values())):
            return
        if self._leaving is not None:
            self._send(self._leaving, now)
            self._close("unbound by the SMSC")
        else:
            self._state = _State.UNBINDING
            self._stop = now + limits.UNBIND
            self._ask(pdu.UNBIND, b"", now)

    def _too_long(self, now: float) -> None:
        if self._state is _State.LEAVING:
            self._leave(now, hurry=True)
        elif self._state is _State.UNBINDING:
            self._close("unbound by us, without an answer")
        else:
            self._close("the SMSC did not answer the bind")

    def _close(self, reason: str, state: int | None = None) -> None:
        if self._state is not _State.CLOSED:
            self._state = _State.CLOSED
            self._asked.clear()
            self._order.clear()
            self._events.append(Closed(reason, state))

    def _ask(self, command: int, body: bytes, now: float) -> int:
        sequence = self._sequence % limits.SEQUENCES + 1
        while sequence in self._asked:
            sequence = sequence % limits.SEQUENCES + 1
        self._sequence = sequence
        self._asked[sequence] = (command, now)
        self._unproven = inf  # its answer proves what was sent before
        self._send(Pdu(command, sequence, 0, body), now)
        return sequence

    def _send(self, one: Pdu, now: float) -> None:
        self._out.append(one.write())
        self._said = now
