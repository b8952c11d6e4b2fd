"""The JSON schema of a step, put together from the actions that are there, so that the document shows every option.

A step's options are checked by `compile_flow`, which tells all faults of a flow at once; this is its description.
What a schema cannot say: any option may be a text with `${variables}` in it.
"""

from __future__ import annotations

from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from edge.flows.action import ACTIONS
from edge.flows.limits import STEP_ID_CHARACTERS
from edge.store.metadata import NIL

STEP_ID = {"anyOf": [{"type": "string", "maxLength": STEP_ID_CHARACTERS}, {"type": "null"}]}


class StepDocument:
    """A step as its owner writes it: any JSON to pydantic, one of the actions to a reader."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.any_schema()

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"anyOf": [_step(name) for name in ACTIONS.names()]}


def _step(name: str) -> dict[str, Any]:
    model = ACTIONS.get(name)
    assert model is not None
    option = inlined(model.model_json_schema(by_alias=True))
    text = option.pop("description", "")
    option.pop("title", None)
    schema: dict[str, Any] = {
        "type": "object",
        "title": name,
        "description": text.partition("\n    {")[0].strip(),
        "properties": {
            "id": {**STEP_ID, "description": "Unique in the flow; one is made when it is missing."},
            "type": {"const": name},
            "option": option,
            "next_id": {**STEP_ID, "description": "The step that follows, if it is not the next one.", "default": NIL},
            "failure_id": {**STEP_ID, "description": "The step that follows when this one fails.", "default": NIL},
        },
        "required": ["type", *(["option"] if option.get("required") else [])],
        "additionalProperties": False,
        "examples": [model.example()],
    }
    return schema


def inlined(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema without `$defs`: each reference replaced by what it means."""
    known = schema.get("$defs", {})

    def walk(value: Any) -> Any:
        if isinstance(value, list):
            return [walk(item) for item in value]
        if not isinstance(value, dict):
            return value
        if "$ref" in value:
            return walk({**known[value["$ref"].rpartition("/")[2]], **{k: v for k, v in value.items() if k != "$ref"}})
        return {key: walk(item) for key, item in value.items() if key != "$defs"}

    result: dict[str, Any] = walk(schema)
    return result
