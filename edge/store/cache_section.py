"""The settings of the tiers: how much is remembered, and for how long."""

from __future__ import annotations

from pydantic import Field, PositiveFloat, PositiveInt

from edge.settings import Section


class CacheSection(Section):
    """How long what was looked up is believed."""

    entries: PositiveInt = Field(default=100_000, description="Entries of each kind kept in memory, at most.")
    memory_seconds: PositiveFloat = Field(default=60.0, description="In memory, while Redis tells about every change.")
    untracked_seconds: PositiveFloat = Field(
        default=0.5, description="In memory, while there is no Redis to tell: the time until a change is seen."
    )
    negative_seconds: PositiveFloat = Field(default=10.0, description="A miss in memory.")
    redis_seconds: PositiveFloat = Field(default=600.0, description="In Redis.")
    redis_negative_seconds: PositiveFloat = Field(default=60.0, description="A miss in Redis.")
    stale_seconds: PositiveFloat = Field(
        default=86_400.0, description="With Redis and SQL away, what is in memory is served up to this age."
    )
    sql_seconds: PositiveFloat = Field(default=0.5, description="SQL that has not answered after this time has failed.")
