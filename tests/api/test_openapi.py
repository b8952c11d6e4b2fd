"""The document, the page that draws it, and that shapes are the platform's."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from typing import Any

import pytest

from edge.api.app import operations
from edge.errors import NotFound
from edge.flows.action import ACTIONS
from edge.numbers.number import Number as StoredNumber
from tests.api.world import World, on_still

# What the platform's clients read, as its facts list it; "direct_hash" of a flow is a link to its own web client.
PLATFORM = {
    "Number": "id customer_id number type call_flow_id message_flow_id name detail status t38_enabled emergency_enabled"
    " metadata tm_purchase tm_renew tm_create tm_update tm_delete",
    "AvailableNumber": "number country region postal_code features",
    "Flow": "id customer_id type name detail actions on_complete_flow_id tm_create tm_update tm_delete",
    "Step": "id next_id type option",
    "Call": "id customer_id owner_type owner_id flow_id activeflow_id type master_call_id chained_call_ids recording_id"
    " recording_ids groupcall_id source destination status action metadata direction mute_direction hangup_by"
    " hangup_reason tm_progressing tm_ringing tm_hangup tm_create tm_update tm_delete",
    "Address": "type target target_name name detail",
    "Message": "id customer_id type source targets text direction tm_create tm_update tm_delete",
    "Target": "destination status parts tm_update",
    "Error": "status reason message request_id details",
}
OURS = {
    "Step": {"failure_id"},
    "Number": {"fallback_flow_id", "call_flow_release", "message_flow_release", "trunk_ids"},
    "Flow": {"version", "media", "warnings", "unavailable"},
    "Call": {"edge"},
    "Message": {"edge"},
}


def walk(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for item in value.values():
            yield from walk(item)
    elif isinstance(value, list):
        for item in value:
            yield from walk(item)


@on_still
@pytest.mark.parametrize("model", PLATFORM)
async def test_shapes_are_the_platforms(still: World, model: str) -> None:
    schema = (await still.did("GET", "/openapi.json", key=""))["components"]["schemas"][model]
    assert set(schema["properties"]) == set(PLATFORM[model].split()) | OURS.get(model, set())


@on_still
async def test_every_operation_is_described(still: World) -> None:
    document = await still.did("GET", "/openapi.json", key="")
    served = operations(still.services)
    described = {(path, method.upper()) for path, item in document["paths"].items() for method in item}
    assert described == {(operation.path, operation.method) for operation in served}
    names = [item["operationId"] for paths in document["paths"].values() for item in paths.values()]
    assert len(set(names)) == len(names)
    for operation in served:
        item = document["paths"][operation.path][operation.method.lower()]
        assert item["summary"]
        assert (item["security"] == []) == (operation.who == "anyone")
        assert str(operation.success) in item["responses"]
        assert {"400", "405", "500", "503"} <= set(item["responses"])
        assert ("401" in item["responses"]) == (operation.who != "anyone" or operation.raw is not None)
        assert ("404" in item["responses"]) == ("{" in operation.path or NotFound in operation.errors)
        assert ("requestBody" in item) == (
            "415" in item["responses"] or (operation.raw is not None and operation.method == "POST")
        )


@on_still
async def test_references_lead_somewhere_and_fields_have_their_sentence(still: World) -> None:
    document = await still.did("GET", "/openapi.json", key="")
    schemas = document["components"]["schemas"]
    for node in walk(document):
        if "$ref" in node:
            assert node["$ref"].removeprefix("#/components/schemas/") in schemas
    bare = [
        f"{model}.{name}"
        for model, schema in schemas.items()
        for name, field in schema.get("properties", {}).items()
        if not field.get("description") and not {"$ref"} & field.keys()
    ]
    assert bare == []
    for path, item in document["paths"].items():
        for operation in item.values():
            for parameter in operation.get("parameters", ()):
                assert parameter["in"] == "path" or parameter.get("description"), (path, parameter["name"])


@on_still
async def test_every_action_is_described_with_its_options(still: World) -> None:
    schemas = (await still.did("GET", "/openapi.json", key=""))["components"]["schemas"]
    steps = {step["title"]: step for step in schemas["FlowCreate"]["properties"]["actions"]["items"]["anyOf"]}
    assert sorted(steps) == ACTIONS.names()
    assert steps["digits_receive"]["properties"]["option"]["properties"]["length"]["description"]
    assert steps["play"]["required"] == ["type", "option"]


def test_the_number_that_is_shown_is_the_number_that_is_stored() -> None:
    internal = {"provider_name", "provider_reference_id", "version"}
    assert set(StoredNumber.model_fields) - internal == set(PLATFORM["Number"].split()) | OURS["Number"]


@on_still
async def test_the_page_needs_nothing_from_elsewhere(still: World) -> None:
    status, page, response = await still.ask("GET", "/docs", key="")
    assert (status, response.content_type) == (200, "text/html")
    assert not re.search(r"(?:src|href)\s*=\s*[\"']?(?:https?:)?//|@import|url\(", page)
    assert 'fetch("openapi.json")' in page
    policy = response.headers["Content-Security-Policy"]
    for tag in ("script", "style"):
        (content,) = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert "innerHTML" not in page
