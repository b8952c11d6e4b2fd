"""The kinds of values that more than one resource's models hold."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, WithJsonSchema

from edge.errors import Fault, Invalid
from edge.store.metadata import NIL, instant_text

UUID_PATTERN = "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"
E164_PATTERN = r"^\+[1-9][0-9]{6,14}$"
_UUID = re.compile(UUID_PATTERN)
_MOMENT = re.compile(
    r"^\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])[Tt ](?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,9})?"
    r"(?:[Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)$",
    re.ASCII,
)


class Model(BaseModel):
    """Base of the bodies and queries of the API: frozen, unknown keys refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Change(Model):
    """Base of bodies whose keys may all be left out, but not all at once: see `changes`.

    Such fields have a `default_factory`, which nobody reads and no schema shows.
    """

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})


class Result(BaseModel):
    """Base of what the API answers."""

    model_config = ConfigDict(frozen=True)


def read_uuid(value: Any) -> str:
    if not isinstance(value, str) or not _UUID.fullmatch(value):
        raise ValueError("must be a UUID such as 6f1c3f0e-8a55-4c8e-9f39-6c2f5c0d3a11")
    return value.lower()


def read_binding(value: Any) -> str:
    """A flow's id, or NIL for unbound: `""`, null and the nil UUID all mean that."""
    if value is None or value == "":
        return NIL
    if not isinstance(value, str) or not _UUID.fullmatch(value):
        raise ValueError('must be the id of a flow, or "", null or the nil UUID to unbind')
    return value.lower()


def read_moment(value: Any) -> Any:
    """RFC 3339 §5.6 with an offset, as aware UTC."""
    if isinstance(value, datetime):
        return value
    if not isinstance(value, str) or not _MOMENT.fullmatch(value):
        raise ValueError("must be a time with its offset, such as 2026-08-01T09:00:00Z")
    try:
        return datetime.fromisoformat(value.upper().replace(" ", "T")).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("there is no such time") from None


Id = Annotated[str, BeforeValidator(read_uuid), WithJsonSchema({"type": "string", "format": "uuid"})]
Binding = Annotated[
    str,
    BeforeValidator(read_binding),
    WithJsonSchema(
        {"anyOf": [{"type": "string", "format": "uuid"}, {"const": ""}, {"type": "null"}]}, mode="validation"
    ),
    WithJsonSchema({"type": "string", "format": "uuid"}, mode="serialization"),
]
E164 = Annotated[str, Field(pattern=E164_PATTERN, examples=["+14155550100"])]
Line = Annotated[str, Field(max_length=255, pattern=r"^[^\u0000-\u001f\u007f]*$")]  # one line; PostgreSQL keeps no NUL
Detail = Annotated[str, Field(max_length=2000, pattern=r"^[^\u0000]*$")]
Moment = Annotated[
    datetime,
    BeforeValidator(read_moment),
    PlainSerializer(instant_text, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]


def changes(body: Change) -> dict[str, Any]:
    """The keys that a body gives. Raises Invalid when it gives none."""
    given = body.model_dump(exclude_unset=True)
    if not given:
        names = ", ".join(type(body).model_fields)
        raise Invalid("there is nothing to change", faults=[Fault("body", f"needs at least one of {names}")])
    return given
