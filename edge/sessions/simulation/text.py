"""A simulated text and its sender, who sends the other texts of the script when their time has come."""

from __future__ import annotations

from edge.flows.session import MessageSession
from edge.flows.variables import quoted
from edge.sessions.simulation.session import SimulatedSession
from edge.sessions.texts.session import check_body


class SimulatedText(SimulatedSession):
    """Implements `flows.session.MessageSession`."""

    async def reply(self, text: str) -> str:
        check_body(text)
        self._outside.manners.permit(self.script.called, self.script.source, self.id)
        self.stage.note(f"replies: {quoted(text)}")
        return self.stage.id()


_is_a_message_session: type[MessageSession] = SimulatedText
