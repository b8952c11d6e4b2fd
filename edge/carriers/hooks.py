"""What the hooks of several carriers are read with: how old they may be, JSON and forms in them, the words of a text.

A hook is proven before it is read. `STALE_SECONDS` bounds how long one that somebody has overheard can be played again;
within them it finds the text that it brought before.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final, TypeVar
from urllib.parse import parse_qsl

from pydantic import BaseModel, ValidationError

from edge.errors import Fault, Invalid, Unauthenticated, faults_of
from edge.sms.carrier import Called

M = TypeVar("M", bound=BaseModel)

STALE_SECONDS: Final = 300.0
FIELDS: Final = 200  # of a form; a text with ten pictures has fewer than 50
ID_LIMIT: Final = 255  # characters of what a carrier calls a text; an index takes no more than some thousand bytes
REASON_LIMIT: Final = 500  # characters that are kept of why a text was not delivered

_PARTS: Final = re.compile(r"[1-9][0-9]{0,2}", re.ASCII)


def proof(called: Called, name: str) -> str:
    """The header field that proves a request. Raises Unauthenticated."""
    value = called.headers.get(name, "")
    if not value:
        raise Unauthenticated(f"{name} is missing", reason="SIGNATURE_MISSING")
    return value


def unproven(what: str = "the signature is wrong") -> Unauthenticated:
    return Unauthenticated(what, reason="SIGNATURE_WRONG")


def check_age(sent_at: float, now: datetime) -> None:
    """Raises Unauthenticated for what was signed too long ago, or will be."""
    if not abs(now.timestamp() - sent_at) <= STALE_SECONDS:
        raise Unauthenticated("it was signed too long ago", reason="STALE")


def read(model: type[M], body: bytes) -> M:
    """A JSON body as a model. Raises Invalid with every place that is wrong."""
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise Invalid("the body is not usable", faults=faults_of(error)) from None


def read_part(model: type[M], value: object, where: str) -> M:
    """A part of one that was read, `where` is its place. Raises Invalid."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        faults = [Fault(f"{where}.{fault.where}", fault.what) for fault in faults_of(error)]
        raise Invalid("the body is not usable", faults=faults) from None


def read_form(text: bytes | str) -> list[tuple[str, str]]:
    """Names and values of a form or a query, in their order. Raises Invalid.

    Bytes that are no UTF-8 stay what they are, as halves of surrogate pairs: a signature may be over them.
    """
    if isinstance(text, bytes):
        text = text.decode("ascii", "surrogateescape")
    try:
        return parse_qsl(text, keep_blank_values=True, errors="surrogateescape", max_num_fields=FIELDS)
    except ValueError:
        raise Invalid("the form is not usable", faults=[Fault("body", f"has more than {FIELDS} fields")]) from None


def words(text: str) -> str:
    """The words of a text, with what cannot be stored replaced: nobody has more of the rest for losing them."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()


def parts(count: object) -> int:
    """How many short messages a text came in, as its carrier counted, who may not say or say it in digits."""
    digits = str(count)
    return int(digits) if _PARTS.fullmatch(digits) else 1


def sentence(text: str) -> str:
    """What a carrier says of a failure, as it may be kept and shown."""
    return words(text)[:REASON_LIMIT]
