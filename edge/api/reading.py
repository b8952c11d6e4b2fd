"""A request's body, query, If-Match and Idempotency-Key, read into models; what is wrong in them, named by its place.

JSON is taken strictly: UTF-8, no NaN, no lone surrogates (they cannot be stored), no key twice. Nothing of a wrong
value is repeated in an answer.
"""

from __future__ import annotations

import json
import re
from typing import Any, TypeVar

from multidict import MultiMapping
from pydantic import BaseModel, ValidationError

from edge.errors import MAX_FAULTS, Fault, Invalid, faults_of

M = TypeVar("M", bound=BaseModel)

KEY_PARAMETER = "accesskey"  # a credential in the query: read by `auth`, unknown to every model, never logged
_KEY = re.compile(r'"?([\x21\x23-\x7e]{1,255})"?')
_ENTITY_TAG = re.compile(r'^(?:W/)?"(\d{1,18})"$')  # RFC 9110 §8.8.3; ours hold a version


def read_json(data: bytes) -> Any:
    """The value of a JSON text (RFC 8259). Raises Invalid naming line and column."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _wrong_json(_position(data.count(b"\n", 0, error.start), 0), "not UTF-8") from None
    try:
        value = _decoder.decode(text)
    except json.JSONDecodeError as error:
        raise _wrong_json(_position(error.lineno - 1, error.colno), error.msg[:1].lower() + error.msg[1:]) from None
    except _Refused as error:
        raise _wrong_json("body", str(error)) from None
    except RecursionError:
        raise _wrong_json("body", "nested too deeply") from None
    except ValueError:  # an integer of more digits than Python converts
        raise _wrong_json("body", "a number is too long") from None
    if b"\\u" in data and _has_surrogate(text):
        try:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
        except UnicodeEncodeError:
            raise _wrong_json("body", "half of a surrogate pair is no character") from None
    return value


def read_body(model: type[M], data: bytes) -> M:
    """The body as a model, nothing converted: `"5"` is no number. Raises Invalid with every place that is wrong."""
    value = read_json(data)
    if not isinstance(value, dict):
        raise Invalid(
            "the body must be a JSON object", faults=[Fault("body", "must be an object")], reason="INVALID_JSON_BODY"
        )
    try:
        return model.model_validate_json(data, strict=True)
    except ValidationError as error:
        raise Invalid("the body is not usable", faults=faults_of(error)) from None


def read_query(model: type[M], query: MultiMapping[str]) -> M:
    """The query as a model. A parameter given twice is a fault, as is an unknown one."""
    values: dict[str, Any] = {name: value for name, value in query.items() if name != KEY_PARAMETER}
    if len(values) < len(query):
        twice = [name for name in values if len(query.getall(name)) > 1]
        if twice:
            faults = [Fault(name, "given more than once") for name in twice[:MAX_FAULTS]]
            raise Invalid("the query is not usable", faults=faults, reason="INVALID_REQUEST_PARAMETER")
    try:
        return model.model_validate(values)
    except ValidationError as error:
        faults = faults_of(error)
        raise Invalid("the query is not usable", faults=faults, reason="INVALID_REQUEST_PARAMETER") from None


def read_match(value: str | None) -> int | None:
    """The version in If-Match (RFC 9110 §13.1.1); None when there is none or it is `*`. Raises Invalid."""
    if value is None or value.strip() == "*":
        return None
    found = _ENTITY_TAG.match(value.strip())
    if found is None:
        fault = Fault("If-Match", 'must be one ETag as it was answered, such as "3"')
        raise Invalid("If-Match is not usable", faults=[fault], reason="INVALID_REQUEST_PARAMETER")
    return int(found[1])


def read_key(value: str | None) -> str | None:
    """The key in Idempotency-Key (draft-ietf-httpapi-idempotency-key-header §2.1, quotes or none). Raises Invalid."""
    if value is None:
        return None
    found = _KEY.fullmatch(value.strip())
    if found is None:
        fault = Fault("Idempotency-Key", "must be 1 to 255 printable ASCII characters, such as a UUID")
        raise Invalid("Idempotency-Key is not usable", faults=[fault], reason="INVALID_REQUEST_PARAMETER")
    return found[1]


class _Refused(ValueError):
    pass


def _refuse_constant(name: str) -> Any:
    raise _Refused(f"{name} is not JSON")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        names = [name for name, _ in pairs]
        raise _Refused(f"the key {next(n for n in names if names.count(n) > 1)!r:.80} stands twice in one object")
    return result


_decoder = json.JSONDecoder(parse_constant=_refuse_constant, object_pairs_hook=_object)


def _has_surrogate(text: str) -> bool:
    return "\\ud" in text or "\\uD" in text


def _position(line: int, column: int) -> str:
    return f"line {line + 1}" + (f" column {column}" if column else "")


def _wrong_json(where: str, what: str) -> Invalid:
    return Invalid("the body is not JSON", faults=[Fault(where, what)], reason="INVALID_JSON_BODY")
