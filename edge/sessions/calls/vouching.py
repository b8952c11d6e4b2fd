"""Who vouches for a caller (`edge/stir`), and what his trunk makes of it.

    off         nobody looks
    annotate    it is noted for flows and the record; no call is refused for it, and none gets an attestation that is
                not proven
    refuse      a caller whom nobody vouches for is refused, with the status of RFC 8224 §6.2.2 and the Reason of RFC
                9410

Without anchors there is nothing to look at for `annotate`; `refuse` then refuses all, for nobody could be believed.
"""

from __future__ import annotations

from edge.errors import Forbidden
from edge.metrics import tally
from edge.sessions.calls.record import Attempt
from edge.sessions.memory import peer_of
from edge.sip.message import Request, Unreadable
from edge.stir.verdict import Verdict
from edge.stir.verifier import Signed, Verifier
from edge.trunks.trunk import Trunk

REFUSED = tally("stir_refused_total", "Calls refused because nobody vouched for their callers, by status.", ("code",))


class NotVerified(Forbidden):
    """A caller whom nobody vouches for, on a trunk that refuses such."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(f"the caller is not verified: {verdict.why}")
        self.verdict = verdict


class Vouching:
    """One for the daemon."""

    def __init__(self, verifier: Verifier) -> None:
        self._verifier = verifier

    def wants(self, trunk: Trunk) -> bool:
        """Whether callers of that trunk are looked at."""
        return trunk.stir == "refuse" or (trunk.stir == "annotate" and self._verifier.able)

    async def settle(self, attempt: Attempt, request: Request, trunk: Trunk) -> None:
        """Note who vouches for a caller; waits only for certificates that are not here. Raises NotVerified."""
        if "identity" in request.headers.first:
            call = Signed(
                identities(request),
                peer_of(attempt.source, attempt.country),
                attempt.number,
                request.headers.first.get("date", ""),
            )
            verdict = self._verifier.look(call) or await self._verifier.verify(call)
        else:
            verdict = self._verifier.unsigned()
        attempt.verstat, attempt.verstat_why = verdict.verstat, verdict.why
        attempt.attestation, attempt.origination_id = verdict.attestation, verdict.origination_id
        if verdict.status and trunk.stir == "refuse":
            REFUSED.labels(str(verdict.status)).inc()
            raise NotVerified(verdict)


def identities(request: Request) -> list[str]:
    """The Identity fields; several may stand in one line."""
    try:
        return request.headers.values("identity")
    except Unreadable:
        return request.headers.all("identity")
