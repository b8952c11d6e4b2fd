"""One turn of an agent: events to its user, messages out, what cannot be sent back in as a loss.

It reads no clock and knows no socket; `transport.py` runs it after each batch, each deadline and each verb of the user.
"""

from __future__ import annotations

from collections.abc import Callable

from edge.log import get_logger
from edge.sip.agent import Agent
from edge.sip.events import CallOffered, CallProgress, Event, Reoffered, TextOffered
from edge.sip.peer import Peer

log = get_logger("sip")

Trace = Callable[[bool, Peer, bytes], None]  # whether we sent it, to or from whom, what


class Turn:
    """The turns of one agent; one cannot begin within another."""

    __slots__ = ("_agent", "_handle", "_running", "_send", "_trace")

    def __init__(
        self,
        agent: Agent,
        handle: Callable[[Event], None],
        send: Callable[[Peer, bytes], bool],
        trace: Trace | None = None,
    ) -> None:
        """`handle` is the user; `send` returns False for a peer that cannot be reached."""
        self._trace = trace
        self._agent = agent
        self._handle = handle
        self._send = send
        self._running = False

    def begin(self) -> bool:
        """False: one is running, and will do."""
        if self._running:
            return False
        self._running = True
        return True

    def receive(self, data: bytes, peer: Peer, now: float) -> None:
        """One message, whatever is in it."""
        if self._trace is not None:
            self._trace(False, peer, data)
        try:
            self._agent.receive(data, peer, now)
        except Exception:
            log.exception("message not handled", peer=peer.remote[0], size=len(data))

    def wake(self, now: float) -> None:
        """The time of a deadline has come."""
        try:
            self._agent.handle_timer(now)
        except Exception:
            log.exception("deadline not handled")

    def end(self, now: float) -> None:
        """Tell and send all there is."""
        agent, send = self._agent, self._send
        try:
            while True:
                while (event := agent.next_event()) is not None:
                    try:
                        self._handle(event)
                    except Exception:
                        log.exception("event not handled", kind=type(event).__name__)
                        self._excuse(event, now)
                out = agent.to_send(now)
                if self._trace is not None:
                    for peer, data in out:
                        self._trace(True, peer, data)
                lost = {peer for peer, data in out if not send(peer, data)}
                if not lost:
                    return
                for peer in lost:
                    agent.lost(peer, now)
        finally:
            self._running = False

    def _excuse(self, event: Event, now: float) -> None:
        """A fault of the user ends the one call or text it happened in, decently."""
        match event:
            case CallOffered(offer):
                self._agent.reject(offer, 500, now)
            case TextOffered(text):
                self._agent.take_text(text, 500, now)
            case Reoffered(reoffer):
                self._agent.refuse(reoffer, 500, now)
            case CallProgress(outgoing):
                self._agent.cancel(outgoing, now)
            case _ if (call := getattr(event, "call", None)) is not None:
                self._agent.give_up(call, now)
