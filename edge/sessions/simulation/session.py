"""What a simulated session does whatever its medium; alone it is one that is over and whose completion runs."""

from __future__ import annotations

from edge.errors import Fault, Invalid
from edge.flows.outside import Outside
from edge.flows.session import Session
from edge.flows.variables import quoted
from edge.numbers.number import E164
from edge.sessions.simulation.outside import SimulatedOutside
from edge.sessions.simulation.script import Script
from edge.sessions.simulation.stage import Stage
from edge.sessions.texts.session import check_body


class SimulatedSession:
    """Implements `flows.session.Session`; the base of `SimulatedCall` and `SimulatedText`."""

    def __init__(self, stage: Stage, script: Script, outside: SimulatedOutside, customer_id: str) -> None:
        self.customer_id = customer_id
        self.stage = stage
        self.script = script
        self.id = stage.id()
        self._outside = outside

    @property
    def outside(self) -> Outside:
        return self._outside

    async def sleep(self, seconds: float) -> None:
        self.stage.note(f"waits {seconds:g} s")
        self.stage.now += seconds

    async def send_text(self, source: str, destination: str, text: str) -> str:
        if E164.fullmatch(destination) is None:
            raise Invalid("the text cannot be sent", faults=[Fault("destination", "is no number in E.164")])
        check_body(text)
        self._outside.manners.permit(source, destination, self.id)
        if source != self.script.called:
            self.stage.note(f"{source} is an active number of this account", "assumed")
        self.stage.note(f"texts {destination} from {source}: {quoted(text)}")
        return self.stage.id()


_is_a_session: type[Session] = SimulatedSession
