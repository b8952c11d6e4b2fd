"""The script of a simulation: everything that happens to a flow from outside."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from edge.errors import Invalid
from edge.flows.calendar import Calendar
from edge.flows.caller_list import CallerList
from edge.flows.dial import DialOutcome
from edge.flows.session import Medium
from edge.media import dtmf
from edge.sms.text import BODY_LIMIT, MEDIA_LIMIT, MEDIA_URL_LIMIT, is_media_url

CALLER = "+14155550199"
CALLED = "+14155550100"

DIGITS_MAX = 256  # keys and pauses of one call
TEXTS_MAX = 20  # texts of one script
VARIABLES_MAX = 100
VALUE_MAX = 32_768  # characters of one variable
SECONDS_MAX = 86_400.0
RESOURCES_MAX = 20  # calendars; lists of callers
ANSWERS_MAX = 50
ANSWER_MAX = 262_144  # characters of a body


def _media_url(url: str) -> str:
    if not is_media_url(url):
        raise ValueError("an http or https URL is needed")
    return url


def _keys(text: str) -> str:
    try:
        return dtmf.check(text)
    except Invalid as error:
        raise ValueError(error.message) from None


def read_time(value: Any) -> Any:
    """A time of ISO 8601, as aware as it is written; a zone may stand behind it: `2026-12-25T09:00 Europe/Berlin`."""
    if not isinstance(value, str):
        return value
    text, _, zone = value.strip().rpartition(" ")
    named = bool(text) and zone[:1].isalpha()
    try:
        moment = datetime.fromisoformat(text.strip() if named else value.strip())
        return moment.replace(tzinfo=ZoneInfo(zone)) if named else moment
    except (KeyError, ValueError, OSError):
        raise ValueError(
            "is no time like 2026-12-25T09:00, with +01:00 or a zone like Europe/Berlin behind it"
        ) from None


def _in_our_times(value: datetime | None) -> datetime | None:
    if value is not None and not 1970 <= value.year < 3000:
        raise ValueError("is no time between 1970 and 2999")
    return value


Party = Annotated[str, Field(max_length=255, pattern=r"^[^\u0000-\u001f\u007f]*$")]
Value = Annotated[str, Field(max_length=VALUE_MAX)]
Body = Annotated[str, Field(max_length=BODY_LIMIT)]
MediaUrl = Annotated[str, Field(max_length=MEDIA_URL_LIMIT), AfterValidator(_media_url)]


class WebAnswer(BaseModel):
    """What a web server answers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    status: int = Field(default=200, ge=100, le=599, description="The HTTP status.")
    type: str = Field(default="application/json", max_length=255, description="The media type of the body.")
    body: str = Field(default="", max_length=ANSWER_MAX, description="The body.")


class Script(BaseModel):
    """What happens. A time without a zone is taken as UTC."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    medium: Medium | None = Field(
        default=None, description="call or message; without it what the flow can serve, a call when it can serve both."
    )
    caller: Party = Field(default=CALLER, description="Who calls or texts.")
    called: Party = Field(default=CALLED, description="The number that is called or texted.")
    name: Party = Field(default="", description="The caller's name.")
    anonymous: bool = Field(default=False, description="The caller hides number and name.")
    digits: Annotated[str, Field(max_length=DIGITS_MAX), AfterValidator(_keys)] = Field(
        default="", description="Keys that the caller types once the call is answered; a comma waits a second."
    )
    texts: tuple[Body, ...] = Field(
        default=(), max_length=TEXTS_MAX, description="The texts that come, one after another."
    )
    media: tuple[MediaUrl, ...] = Field(
        default=(), max_length=MEDIA_LIMIT, description="URLs of pictures and other media that come with each text."
    )
    every: float = Field(default=5.0, ge=0, le=SECONDS_MAX, description="Seconds between two texts.")
    at: Annotated[datetime | None, BeforeValidator(read_time), AfterValidator(_in_our_times)] = Field(
        default=None, description="When it begins; without it now. A zone may stand behind it by its name."
    )
    variables: dict[str, Value] = Field(
        default_factory=dict, max_length=VARIABLES_MAX, description="What variables hold at the beginning, by name."
    )
    hangup: float | None = Field(
        default=None, ge=0, le=SECONDS_MAX, description="The caller hangs up so many seconds after the beginning."
    )
    patience: float = Field(
        default=60.0,
        gt=0,
        le=SECONDS_MAX,
        description="Seconds the caller, who has nothing more to type, waits for the flow before he hangs up.",
    )
    connect: DialOutcome = Field(
        default="answered", description="What comes of dialing somebody: a connect, a transfer."
    )
    talk: float = Field(
        default=30.0, ge=0, le=SECONDS_MAX, description="Seconds that who was connected stays before he hangs up."
    )

    answers: dict[str, WebAnswer] = Field(
        default_factory=dict,
        max_length=ANSWERS_MAX,
        description="What web servers answer, by URL; one without a query answers for all queries. Nothing is asked.",
    )
    calendars: dict[str, Calendar] = Field(
        default_factory=dict, max_length=RESOURCES_MAX, description="The calendars of the account, by name."
    )
    caller_lists: dict[str, CallerList] = Field(
        default_factory=dict, max_length=RESOURCES_MAX, description="The account's lists of callers, by name."
    )
    attestation: Literal["", "A", "B", "C"] = Field(
        default="", description="How the caller's number is vouched for; empty: nobody does."
    )

    fallback_flow_id: str = Field(
        default="", max_length=36, description="The flow that takes over when this one fails, as a number names it."
    )

    @property
    def source(self) -> str:
        """The caller's number as the flow sees it; RFC 3323 §4.1.1.3 has the word for one that is hidden."""
        return "anonymous" if self.anonymous else self.caller

    @property
    def source_name(self) -> str:
        return "Anonymous" if self.anonymous else self.name

    def begins(self, now: datetime) -> datetime:
        """When it begins, as an aware time; `now` for a script that does not say."""
        if self.at is None:
            return now
        return self.at if self.at.tzinfo is not None else self.at.replace(tzinfo=UTC)
