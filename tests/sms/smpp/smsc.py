"""An SMSC without I/O, as the other end of a session: it notes what it gets, and sends what a test tells it to."""

from __future__ import annotations

from collections.abc import Callable

from edge.sms.smpp import pdu
from edge.sms.smpp.pdu import Bound, Message, Pdu, Stream, write_id
from edge.sms.smpp.session import Event, Mode, Session

BIND = pdu.Bind("edge", "secret", "vma")
TEXT = Message(pdu.Address("14155550111", 1, 1), pdu.Address("14155550100", 1, 1), b"hello")


class Smsc:
    """Answers binds, enquire_links and unbinds by itself, submits with ids of its own, unless `silent`."""

    def __init__(self) -> None:
        self.got: list[Pdu] = []
        self.silent: set[int] = set()  # commands that it does not answer
        self.status: dict[int, int] = {}  # how it answers a command, if not with ESME_ROK
        self._stream = Stream()
        self._out: list[Pdu] = []
        self._sequence = 1000
        self._ids = 0

    def receive(self, data: bytes) -> None:
        found, fault = self._stream.take(data)
        assert fault is None
        for one in found:
            self.got.append(one)
            if one.command & pdu.RESP or one.command in self.silent:
                continue
            status = self.status.get(one.command, 0)
            body = b""
            if one.command == pdu.SUBMIT_SM:
                self._ids += 1
                body = b"" if status else write_id(f"m{self._ids}")
            elif one.command in (pdu.BIND_TRANSCEIVER, pdu.BIND_TRANSMITTER, pdu.BIND_RECEIVER):
                body = b"" if status else Bound("smsc", ((pdu.SC_INTERFACE_VERSION, b"\x34"),)).write()
            self.say(Pdu(one.command | pdu.RESP, one.sequence, status, body))

    def say(self, one: Pdu) -> None:
        self._out.append(one)

    def ask(self, command: int, body: bytes = b"") -> int:
        self._sequence += 1
        self.say(Pdu(command, self._sequence, 0, body))
        return self._sequence

    def deliver(self, message: Message = TEXT) -> int:
        return self.ask(pdu.DELIVER_SM, message.write())

    def to_send(self) -> bytes:
        out = b"".join(one.write() for one in self._out)
        self._out.clear()
        return out

    def named(self, name: str) -> list[Pdu]:
        return [one for one in self.got if one.name == name]


class Pair:
    """A session and an SMSC, and the wire between them, which cuts as it is told."""

    def __init__(self, mode: Mode = "transceiver", cut: Callable[[bytes], list[bytes]] = lambda data: [data]) -> None:
        self.now = 100.0
        self.esme = Session(BIND, mode, enquire=30.0, answer=20.0)
        self.smsc = Smsc()
        self.events: list[Event] = []
        self._cut = cut

    def open(self) -> Pair:
        self.esme.open(self.now)
        return self.run()

    def run(self) -> Pair:
        """Carry octets until both have nothing more to say."""
        while True:
            ours, theirs = self.esme.to_send(), self.smsc.to_send()
            while (event := self.esme.next_event()) is not None:
                self.events.append(event)
            if not ours and not theirs:
                return self
            for piece in self._cut(ours):
                self.smsc.receive(piece)
            for piece in self._cut(theirs):
                self.esme.receive(piece, self.now)

    def wait(self, seconds: float) -> Pair:
        """Let time pass, with every deadline on the way."""
        self.run()
        end = self.now + seconds
        while (due := self.esme.get_timer()) is not None and due <= end:
            self.now = max(self.now, due)
            self.esme.handle_timer(self.now)
            self.run()
        self.now = end
        return self

    def of(self, *kinds: type) -> list[Event]:
        """The events of some kinds so far, taken."""
        found = [event for event in self.events if isinstance(event, kinds)]
        self.events = [event for event in self.events if not isinstance(event, kinds)]
        return found
