"""Send the call's audio to a host, and play what comes back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from edge.flows import limits
from edge.flows.action import Action, Next
from edge.flows.external_media import Direction, ExternalMedia, MediaFormat, is_websocket, read_host
from edge.flows.run import Run
from edge.flows.session import CallSession

NOT_HERE: Final = "is not available here"


def _host(value: str) -> str:
    if not is_websocket(value):
        read_host(value)
    return value


def _encapsulation(value: object) -> object:
    if value == "audiosocket":
        raise ValueError(f"audiosocket {NOT_HERE}, only rtp and websocket")
    return value


def _connection(value: object) -> object:
    if value == "server":
        raise ValueError(f"server {NOT_HERE}, only client: we connect to the host")
    return value


def _none(value: str) -> str:
    if value:
        raise ValueError(f"{NOT_HERE}; leave it empty")
    return value


def _speak(value: object) -> object:
    if value == "in":
        raise ValueError(f"in, to be heard as the caller is, {NOT_HERE}; out is heard by the caller")
    return value


class ExternalMediaStart(Action):
    """Send the call's audio to a host and play what it sends back, until the step `external_media_stop`, the host or
    the caller ends it; the flow goes on at once.

    A host `name:port` gets RTP and answers to where it came from. A ws or wss URL gets a WebSocket: a JSON message
    `start` with the ids and numbers of the call, the format and `data`, then audio in binary messages, and `digits` for
    keys that are typed. It sends audio back in the same way, and may send the JSON messages `{"type": "clear"}` (play
    nothing of what was sent so far), `{"type": "mark", "name": …}` (answered by `marked` when that has been played) and
    `{"type": "stop"}`. Linear samples are in network byte order in RTP, little-endian in a WebSocket. What flows play
    goes before what is sent.

    On failure (a host that cannot be reached, or is in a private network that is not allowed; too many at once, or a
    second one that speaks) the reason goes into the step log and the next step follows.

        {"id": "agent", "type": "external_media_start", "option": {"external_host": "wss://agent.example.com/calls",
         "encapsulation": "websocket", "format": "slin16", "direction_listen": "in", "direction_speak": "out"}}
    """

    type = "external_media_start"
    instant = True

    external_host: Annotated[str, AfterValidator(_host)] = Field(
        min_length=1, max_length=limits.SOURCE_CHARACTERS, description="Where to: host:port, or a ws or wss URL."
    )
    encapsulation: Annotated[Literal["", "rtp", "websocket"], BeforeValidator(_encapsulation)] = Field(
        default="", description="rtp or websocket; empty: what the host is an address of."
    )
    transport: Literal["", "udp", "tcp", "websocket"] = Field(
        default="", description="udp for rtp, tcp or websocket for a WebSocket; empty: what fits."
    )
    transport_data: Annotated[str, AfterValidator(_none)] = Field(
        default="", description="For other transports: not available here, only empty."
    )
    connection_type: Annotated[Literal["", "client"], BeforeValidator(_connection)] = Field(
        default="client", description="client: we connect to the host."
    )
    format: Literal["", MediaFormat] = Field(
        default="ulaw", description="ulaw, alaw, slin (linear, 8 kHz) or slin16 (linear, 16 kHz)."
    )
    direction_listen: Literal["", Direction] = Field(
        default="in",
        description="What it hears. in: the caller; out: what the caller is told; both, mixed; none. Empty: in.",
    )
    direction_speak: Annotated[Literal["", "out", "both", "none"], BeforeValidator(_speak)] = Field(
        default="out", description="Who hears what it sends. out, both: the caller; none: nobody. Empty: out."
    )
    data: str = Field(
        default="", max_length=limits.MEDIA_DATA_CHARACTERS, description="For the start message of a WebSocket."
    )

    @model_validator(mode="after")
    def _fits(self) -> ExternalMediaStart:
        kind = "websocket" if is_websocket(self.external_host) else "rtp"
        if self.encapsulation not in ("", kind):
            raise ValueError(f"external_host is the address of {kind}, not of {self.encapsulation}")
        if self.transport not in ("", *(("tcp", "websocket") if kind == "websocket" else ("udp",))):
            raise ValueError(f"external_host is the address of {kind}, which does not go over {self.transport}")
        return self

    def doubts(self) -> Iterable[tuple[str, str]]:
        if self.data and not is_websocket(self.external_host):
            yield "data", "RTP has no place for it"
        if self.direction_listen == "none" and self.direction_speak == "none":
            yield "direction_listen", "with both directions none nothing is sent and nothing is heard"

    async def run(self, session: CallSession, run: Run) -> Next:
        media = ExternalMedia(
            host=self.external_host,
            format=self.format or "ulaw",
            listen=self.direction_listen or "in",
            speak=self.direction_speak != "none",
            data=self.data,
        )
        run.note = await session.start_external_media(media)
        return None
