"""The number: one frozen class from the SQL row to the value in Redis to the body of the API."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from edge.errors import Fault, Invalid
from edge.numbers.release import Release
from edge.store.metadata import NIL, instant_text, is_id, new_id

E164 = re.compile(r"\+[1-9][0-9]{6,14}")  # the whole of a stored number, tested with `fullmatch`
VIRTUAL = re.compile(r"\+899[0-9]{9}")
TRUNKS: Final = 32  # that a number may be bound to, short of all of them
RESERVED = "+899000"  # virtual numbers kept for the operator

Status = Literal["pending", "active", "suspended", "failed", "released"]
Kind = Literal["normal", "virtual"]


def read_flow_id(value: Any) -> Any:
    """Unbound is written as nil, the empty string or null; anything else must be a UUID."""
    if value is None or value == "":
        return NIL
    if isinstance(value, str) and is_id(value.lower()):
        return value.lower()
    raise ValueError("neither a UUID nor empty")


RELEASES: Final[dict[str, tuple[str, Literal["call", "message"]]]] = {  # by slot: where its release stands, its medium
    "call_flow_id": ("call_flow_release", "call"),
    "message_flow_id": ("message_flow_release", "message"),
}
_JSON_COLUMNS: Final = ("metadata", "call_flow_release", "message_flow_release", "trunk_ids")


def read_trunk_ids(ids: tuple[str, ...]) -> tuple[str, ...]:
    """Each once."""
    if any(not is_id(one) for one in ids):
        raise ValueError("has what is no UUID")
    return (*dict.fromkeys(ids),)


FlowId = Annotated[str, BeforeValidator(read_flow_id)]


# The trunks that a number answers on; empty: all.
TrunkIds = Annotated[tuple[str, ...], Field(max_length=TRUNKS), AfterValidator(read_trunk_ids)]


class NumberMetadata(BaseModel):
    """Switches of a number."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rtp_debug: bool = Field(default=False, description="Record the packets of this number's calls.")
    keywords: Literal["edge", "both", "flow"] = Field(
        default="edge",
        description="Who gets texts such as STOP and HELP. edge: they are answered, and no flow sees them; both: they"
        " are answered, and the flow runs too; flow: only the flow, and nobody opts out by them.",
    )


class Number(BaseModel):
    """One number. `version` grows with each change of the same digits, also across release and re-creation."""

    model_config = ConfigDict(frozen=True)

    id: str
    customer_id: str
    number: str
    type: Kind = "normal"
    call_flow_id: FlowId = NIL
    message_flow_id: FlowId = NIL
    fallback_flow_id: FlowId = NIL
    call_flow_release: Release | None = None
    message_flow_release: Release | None = None
    name: str = Field(default="", max_length=255)
    detail: str = Field(default="", max_length=2000)
    status: Status = "active"
    t38_enabled: bool = False
    emergency_enabled: bool = False
    metadata: NumberMetadata = NumberMetadata()
    trunk_ids: TrunkIds = ()
    tm_purchase: datetime | None = None
    tm_renew: datetime | None = None
    tm_create: datetime
    tm_update: datetime | None = None
    tm_delete: datetime | None = None
    provider_name: str = ""
    provider_reference_id: str = ""
    version: int = 1

    def to_json(self) -> bytes:
        """As it lies in Redis."""
        return self.model_dump_json().encode()

    @classmethod
    def from_json(cls, body: bytes) -> Number:
        """Raises ValueError for a body that is none."""
        return cls.model_validate_json(body)

    @classmethod
    def from_columns(cls, columns: Mapping[str, Any]) -> Number:
        """Out of a row, whose JSON columns may still be their texts."""
        values = {name: json.loads(columns[name]) for name in _JSON_COLUMNS if isinstance(columns[name], str)}
        return cls.model_validate({**columns, **values})

    def columns(self) -> dict[str, Any]:
        """As a row."""
        return self.model_dump()

    def public(self) -> dict[str, Any]:
        """As the API shows it: without what only we and the provider need to know."""
        body = self.model_dump(exclude={"provider_name", "provider_reference_id", "version"})
        return {name: instant_text(value) if isinstance(value, datetime) else value for name, value in body.items()}


class NumberDraft(BaseModel):
    """What it takes to make a number. `reserved` is the operator's right to a +899000 number."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    customer_id: str
    number: str
    type: Kind = "normal"
    call_flow_id: FlowId = NIL
    message_flow_id: FlowId = NIL
    fallback_flow_id: FlowId = NIL
    name: str = Field(default="", max_length=255)
    detail: str = Field(default="", max_length=2000)
    status: Literal["pending", "active"] = "active"
    t38_enabled: bool = False
    emergency_enabled: bool = False
    metadata: NumberMetadata = NumberMetadata()
    trunk_ids: TrunkIds = ()
    tm_purchase: datetime | None = None
    provider_name: str = ""
    provider_reference_id: str = ""
    reserved: bool = False

    @model_validator(mode="after")
    def _fits_its_type(self) -> NumberDraft:
        what = fault_of(self.number, self.type, reserved=self.reserved)
        if what:
            raise ValueError(what)
        return self

    def number_at(self, now: datetime) -> Number:
        """The number it makes, of version 1."""
        fields = self.model_dump(exclude={"reserved"})
        return Number(id=new_id(), tm_create=now, tm_renew=self.tm_purchase, **fields)


def fault_of(number: str, kind: str, *, reserved: bool = False) -> str | None:
    """What is wrong with the digits for that type; None when nothing is."""
    if kind == "virtual":
        if not VIRTUAL.fullmatch(number):
            return "a virtual number is +899 and nine digits"
        if number.startswith(RESERVED) and not reserved:
            return "numbers that begin with +899000 are reserved"
        return None
    if not E164.fullmatch(number):
        return "not an E.164 number: + and 7 to 15 digits, the first of them not 0"
    if number.startswith("+899"):
        return "numbers that begin with +899 are virtual ones"
    return None


def faults_of(error: ValidationError) -> list[Fault]:
    """pydantic's findings as faults; what concerns the draft as a whole is about its digits."""
    return [
        Fault(".".join(map(str, found["loc"])) or "number", found["msg"].removeprefix("Value error, "))
        for found in error.errors(include_url=False)
    ]


def draft(**fields: Any) -> NumberDraft:
    """A draft from what a client sent. Raises Invalid with one fault per field."""
    try:
        return NumberDraft.model_validate(fields)
    except ValidationError as error:
        raise Invalid("the number is not usable", faults=faults_of(error)) from None
