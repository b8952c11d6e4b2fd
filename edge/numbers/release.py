"""Which version of its flow a number runs: the newest (no release), one that is pinned, or a split between a few.

    {"versions": [{"version": 12, "percent": 95}, {"version": 13, "percent": 5}],
     "rollback_percent": 10, "rollback_runs": 20}

A split is sticky: the same caller gets the same version as long as the shares do, and a share that grows keeps the
callers it had when it is the last one. The newest version of a split is on trial. When more than `rollback_percent` of
its runs since the release began have failed, and there were at least `rollback_runs`, its share goes to the others
(`sessions/canary.py`).
"""

from __future__ import annotations

from typing import Annotated
from zlib import crc32

from pydantic import BaseModel, ConfigDict, Field, model_validator

VERSIONS = 5  # of one split


class Share(BaseModel):
    """The part of the callers who get one version."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: int = Field(ge=1, lt=2**53, description="The version of the flow.")
    percent: int = Field(ge=1, le=100, description="Of the callers.")


class Release(BaseModel):
    """The versions of a flow that a number runs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    versions: Annotated[tuple[Share, ...], Field(min_length=1, max_length=VERSIONS)] = Field(
        description="One version to pin it, several to split the callers between them; 100 percent in all."
    )
    rollback_percent: int = Field(
        default=10,
        ge=0,
        le=100,
        description="When more of its runs fail, the newest version of a split loses its share; 100: never.",
    )
    rollback_runs: int = Field(default=20, ge=1, le=1_000_000, description="So many runs before that is looked at.")
    tm_start: str = Field(default="", description="When it was set; runs since then count. Set by the edge.")
    rolled_back: str = Field(default="", description="Why a version lost its share, if one did. Set by the edge.")

    @model_validator(mode="after")
    def _adds_up(self) -> Release:
        numbers = [share.version for share in self.versions]
        if len(set(numbers)) < len(numbers):
            raise ValueError("a version is there twice")
        if (total := sum(share.percent for share in self.versions)) != 100:
            raise ValueError(f"the shares make {total} percent, not 100")
        return self

    def pick(self, who: str) -> int:
        """The version for a caller."""
        place = crc32(who.encode()) % 100
        for share in self.versions:
            place -= share.percent
            if place < 0:
                return share.version
        raise AssertionError("the shares make 100")

    @property
    def on_trial(self) -> int | None:
        """The newest version of a split."""
        return max(share.version for share in self.versions) if len(self.versions) > 1 else None

    def without(self, version: int, why: str) -> Release:
        """The others share its callers, in the proportion they have."""
        rest = [share for share in self.versions if share.version != version]
        total = sum(share.percent for share in rest)
        shares = [max(1, share.percent * 100 // total) for share in rest]
        shares[shares.index(max(shares))] += 100 - sum(shares)
        versions = tuple(
            share.model_copy(update={"percent": percent}) for share, percent in zip(rest, shares, strict=True)
        )
        return self.model_copy(update={"versions": versions, "rolled_back": why})
