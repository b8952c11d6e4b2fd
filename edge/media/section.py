"""What can be configured of media."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

from pydantic import Field, field_validator, model_validator

from edge.media.sdp import MAX_PTIME_MS, MIN_PTIME_MS, PTIME_MS
from edge.settings import Section


class MediaSection(Section):
    """Audio of calls: RTP with G.711."""

    first_port: int = Field(
        default=20000,
        ge=1024,
        le=65534,
        description="First UDP port for media. Keep the range below 32768, where the "
        "ports begin that the system gives to others.",
    )
    last_port: int = Field(
        default=29999, ge=1025, le=65535, description="Last UDP port for media. A call takes two, RTP and RTCP."
    )
    port_rest_seconds: float = Field(
        default=30.0, ge=0, le=3600, description="How long a pair of ports rests before another call gets it."
    )
    advertise: str | None = Field(
        default=None, description="Address to name in SDP instead of the local one, when behind NAT."
    )
    silence_seconds: float = Field(
        default=60.0, ge=0, le=86400, description="A call ends when its other side was not heard for so long; 0: never."
    )
    ptime_ms: int = Field(
        default=PTIME_MS,
        ge=MIN_PTIME_MS,
        le=MAX_PTIME_MS,
        description="Milliseconds of audio in a packet, where the other side does not say.",
    )
    press_ms: int = Field(default=100, ge=40, le=5000, description="How long a key is pressed that we send.")
    gap_ms: int = Field(default=100, ge=40, le=5000, description="The pause after it.")
    dscp: int = Field(default=46, ge=0, le=63, description="Class of service of media packets; 46 is EF, as for voice.")
    prompts: Path = Field(
        default=Path("var/prompts"), description="Directory of the audio files that flows may play (WAV)."
    )
    prompt_cache_mb: int = Field(default=256, ge=1, description="Memory for audio that was read or fetched.")

    @field_validator("advertise")
    @classmethod
    def _is_address(cls, value: str | None) -> str | None:
        return None if value is None else str(ip_address(value))

    @model_validator(mode="after")
    def _is_range(self) -> MediaSection:
        if self.last_port <= self.first_port:
            raise ValueError("last_port must be above first_port")
        return self
