"""What verifying a caller comes to, and what a SIP response says of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Verstat = Literal["TN-Validation-Passed", "TN-Validation-Failed", "No-TN-Validation"]  # 3GPP TS 24.229 §7.2A.20

PASSED: Final = "TN-Validation-Passed"
FAILED: Final = "TN-Validation-Failed"
NONE: Final = "No-TN-Validation"

STALE, NO_IDENTITY, BAD_INFO, BAD_CREDENTIAL, BAD_IDENTITY = 403, 428, 436, 437, 438
PHRASES: Final = {  # RFC 8224 §6.2.2
    STALE: "Stale Date",
    NO_IDENTITY: "Use Identity Header",
    BAD_INFO: "Bad Identity Info",
    BAD_CREDENTIAL: "Unsupported Credential",
    BAD_IDENTITY: "Invalid Identity Header",
}


class Doubt(Exception):  # it is told, not thrown at anybody
    """Why a PASSporT vouches for nobody. `away`: its certificate could not be had now, which says nothing of it."""

    def __init__(self, status: int, why: str, *, away: bool = False) -> None:
        super().__init__(why)
        self.status = status
        self.why = why
        self.away = away


@dataclass(frozen=True, slots=True)
class Verdict:
    """Who vouches for a caller, or why nobody does."""

    verstat: Verstat
    attestation: str = ""  # A, B or C
    origination_id: str = ""  # where in the signer's network the call began
    status: int = 0  # what RFC 8224 answers; 0: all is well
    why: str = ""  # a clause for people
    signature: str = ""  # of the PASSporT that it is about

    @property
    def phrase(self) -> str:
        return PHRASES.get(self.status, "")

    @property
    def reason(self) -> str:
        """The Reason field of a response (RFC 3326 with RFC 9410: the PASSporT is named by its signature)."""
        named = f';ppi="..{self.signature}"' if self.signature else ""
        return f'STIR;cause={self.status};text="{self.phrase}"{named}'
