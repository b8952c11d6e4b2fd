"""The OpenAPI 3.1 document, derived from the operations and their models."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from edge.api.download import NDJSON
from edge.api.operation import AnyOperation, Nothing
from edge.api.refusal import Draining, Envelope, MethodRefused, RangeRefused, Stale, TypeRefused
from edge.errors import EdgeError, Forbidden, Internal, Invalid, NotFound, TooLarge, Unauthenticated, Unavailable

REF = "#/components/schemas/{model}"
PARAMETERS: dict[str, dict[str, Any]] = {
    "id": {"type": "string", "format": "uuid"},
    "version": {"type": "integer", "minimum": 1, "maximum": 2**31 - 1},
}
SENTENCES: dict[int, str] = {
    400: "Something in the request is wrong; details say what and where.",
    401: "No usable access key came with the request.",
    403: "This key may not do that.",
    404: "There is no such thing, or it belongs to another customer.",
    405: "Not a method of this path.",
    409: "It contradicts what is there.",
    412: "If-Match names an old version.",
    413: "The body is too large.",
    415: "The body is not application/json.",
    416: "The file is shorter than what was asked for.",
    429: "A limit is reached.",
    500: "A fault of the edge; its log has the rest under the request id.",
    503: "Something needed is away just now.",
}
UNPROVEN = "The request does not prove that it comes from the carrier, or not that it was sent just now."


def document(operations: Sequence[AnyOperation], version: str) -> dict[str, Any]:
    """The whole document."""
    schemas = _Schemas(operations)
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, schemas)
    tags = list(dict.fromkeys(o.tag for o in operations))
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "edge",
            "version": version,
            "summary": "Numbers, flows, calls and messages of the edge of a voice platform.",
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": tag} for tag in tags],
        "paths": paths,
        "components": {
            "schemas": schemas.definitions,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "An access key, vb_…"},
                "accesskey": {"type": "apiKey", "in": "query", "name": "accesskey"},
            },
        },
    }


def refusals(operation: AnyOperation) -> list[type[EdgeError]]:
    """All errors an operation may answer: its own, and those that follow from its description."""
    errors: list[type[EdgeError]] = [Invalid, MethodRefused, Internal, Unavailable, *operation.errors]
    if operation.who != "anyone":
        errors += [Unauthenticated, Forbidden]
    if "{" in operation.path:
        errors.append(NotFound)
    if operation.body is not Nothing:
        errors += [TooLarge, TypeRefused]
    if operation.conditional:
        errors.append(Stale)
    if operation.files:
        errors.append(RangeRefused)
    if operation.inbound:
        errors.append(Draining)
    if operation.raw is not None:
        errors += [Unauthenticated, TooLarge]
    return errors


class _Schemas:
    """The models' schemas: bodies as they are read, results as they are written."""

    def __init__(self, operations: Sequence[AnyOperation]) -> None:
        used: dict[tuple[type[BaseModel], JsonSchemaMode], None] = {(Envelope, "serialization"): None}
        for operation in operations:
            if operation.body is not Nothing:
                used[operation.body, "validation"] = None
            if not operation.files and operation.raw is None:
                used[operation.result, "serialization"] = None
        self._refs, whole = models_json_schema(list(used), ref_template=REF)
        self.definitions: dict[str, Any] = whole.get("$defs", {})

    def ref(self, model: type[BaseModel], mode: JsonSchemaMode) -> dict[str, Any]:
        return self._refs[model, mode]


def _operation(operation: AnyOperation, schemas: _Schemas) -> dict[str, Any]:
    found: dict[str, Any] = {
        "operationId": operation.name,
        "tags": [operation.tag],
        "summary": operation.summary,
        "security": [] if operation.who == "anyone" else [{"bearer": []}, {"accesskey": []}],
        "responses": dict(_responses(operation, schemas)),
    }
    detail = operation.detail + (" Admin keys only." if operation.who == "admin" else "")
    if detail:
        found["description"] = detail.strip()
    parameters = list(_parameters(operation))
    if parameters:
        found["parameters"] = parameters
    if operation.raw is not None and operation.method != "GET":
        found["requestBody"] = {"required": True, "content": {"*/*": {}}}
    if operation.body is not Nothing:
        content = {"application/json": {"schema": schemas.ref(operation.body, "validation")}}
        found["requestBody"] = {"required": True, "content": content}
    return found


def _parameters(operation: AnyOperation) -> Iterator[dict[str, Any]]:
    for name in re.findall(r"{(\w+)}", operation.path):
        yield {"name": name, "in": "path", "required": True, "schema": PARAMETERS[name]}
    schema = operation.query.model_json_schema()
    for name, field in schema.get("properties", {}).items():
        field = {key: value for key, value in field.items() if key != "title"}
        found = {"name": name, "in": "query", "required": name in schema.get("required", ()), "schema": field}
        if "description" in field:
            found["description"] = field.pop("description")
        yield found
    if operation.files:
        sentence = "A part of the file: bytes=0-999, bytes=1000- or bytes=-500."
        yield {
            "name": "Range",
            "in": "header",
            "required": False,
            "description": sentence,
            "schema": {"type": "string"},
        }
    if operation.conditional:
        sentence = "Do it only if this is still the version, as the ETag said."
        schema = {"type": "string", "pattern": '^"[0-9]{1,18}"$'}
        yield {"name": "If-Match", "in": "header", "required": False, "description": sentence, "schema": schema}

    if operation.repeatable:
        sentence = "The client's name for this request: the same request with the same key again does nothing new."
        schema = {"type": "string", "pattern": '^"?[!#-~]{1,255}"?$'}
        yield {"name": "Idempotency-Key", "in": "header", "required": False, "description": sentence, "schema": schema}


def _responses(operation: AnyOperation, schemas: _Schemas) -> Iterator[tuple[str, dict[str, Any]]]:
    if operation.files:
        file: dict[str, Any] = {"content": {kind: {} for kind in operation.files}}
        yield "206", {"description": "The part that was asked for.", **file}
        success: dict[str, Any] = {"description": "The file.", **file}
    elif operation.raw is not None:
        success = {"description": "Kept; the carrier need not send it again."}
    else:
        kind = NDJSON if operation.lines else "application/json"
        content = {kind: {"schema": schemas.ref(operation.result, "serialization")}}
        success = {"description": "Done.", "content": content}
    if operation.versioned:
        success["headers"] = {"ETag": {"description": "The version.", "schema": {"type": "string"}}}
    yield str(operation.success), success
    envelope = {"application/json": {"schema": schemas.ref(Envelope, "serialization")}}
    sentences = SENTENCES if operation.raw is None else {**SENTENCES, 401: UNPROVEN}
    for status in sorted({error.http for error in refusals(operation)}):
        yield str(status), {"description": sentences[status], "content": envelope}
