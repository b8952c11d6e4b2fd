"""What the schemas cannot say, put right in requests that are meant to be good; loaded by the schemathesis process.

A schema knows no page token that was given out, no trunk, customer or version that is there, and not which steps make a
flow. Requests that are meant to be wrong are left as they are.
"""

from __future__ import annotations

import os
from typing import Any

import schemathesis

from edge.errors import Invalid
from edge.flows.flow import compile_flow
from edge.plugins import load

load("edge.actions")

CUSTOMER = os.environ["EDGE_TEST_CUSTOMER"]
OWN_KEY = os.environ["EDGE_TEST_KEY_ID"]  # must outlive the run
FLOW = [{"type": "stop"}]
TRUNKS: list[int] = []  # that were made
MEANT = {  # fields of a trunk that mean more than a schema says
    *("advertise", "auth", "caller_rules", "certificates", "country", "credentials", "dial_as", "dialed_from"),
    *("dialed_rules", "failover", "outbound", "registration", "target", "trusted_headers"),
}
OPTIONS_OF = {"digits_receive", "stop"}


@schemathesis.hook
def before_load_schema(context: schemathesis.HookContext, raw_schema: dict[str, Any]) -> None:
    """Keep the run short: each action has dozens of cases, and `compile_flow` has tests of its own for all of them."""
    models = raw_schema["components"]["schemas"]
    for model, kept in (("FlowCreate", OPTIONS_OF), ("FlowChange", {"stop"}), ("CallCreate", {"stop"})):
        steps = _items(models[model]["properties"]["actions"])
        steps["anyOf"] = [step for step in steps["anyOf"] if step["title"] in kept]


def _items(schema: dict[str, Any]) -> dict[str, Any]:
    """What a list holds, which may be null instead."""
    items: dict[str, Any] = next(one["items"] for one in schema.get("anyOf", [schema]) if "items" in one)
    return items


@schemathesis.hook
def before_call(context: schemathesis.HookContext, case: schemathesis.Case[Any], kwargs: dict[str, Any]) -> None:
    if case.path_parameters.get("id") == OWN_KEY:
        case.path_parameters["id"] = CUSTOMER
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    for name in ("page_token", "trunk"):
        case.query.pop(name, None)
    if case.operation.label == "GET /v1.0/explain":  # a call that was, or one that might come, from an address
        case.query = {"number": case.query.get("number") or "+14155550100"}
    case.headers.pop("If-Match", None)
    if isinstance(case.body, dict):
        put_right(case.operation.label, case.body)


def put_right(label: str, body: dict[str, Any]) -> None:
    match label:
        case "POST /v1.0/trunks":
            TRUNKS.append(len(TRUNKS))
            for name in MEANT.intersection(body):
                del body[name]
            body.update(name=f"trunk{len(TRUNKS)}", networks=[f"198.51.{len(TRUNKS) // 256}.{len(TRUNKS) % 256}"])
        case "POST /v1.0/accesskeys":
            body.update(customer_id=CUSTOMER, admin=False)
        case "POST /v1.0/numbers":
            body.update(customer_id=CUSTOMER)
            if body.get("type") == "virtual" or str(body["number"]).startswith("+899"):
                body.update(type="virtual", number="+899" + str(body["number"])[1:].zfill(9)[-9:].replace("000", "123"))
        case "POST /v1.0/flows":
            body.update(customer_id=CUSTOMER)
        case "POST /v1.0/flows/simulate" | "POST /v1.0/flows/{id}/simulate":
            body.update(medium="call", texts=[], media=[])
            if "flow" in body:
                body["flow"] = {"actions": FLOW}
        case "POST /v1.0/calls":
            body.update(customer_id=CUSTOMER, source="+14155550100", destinations=["sip:desk@pbx.example.com"])
            body.update(flow_id=None, actions=FLOW, variables={})
        case "POST /v1.0/messages":
            body.update(customer_id=CUSTOMER, source="+14155550100", destinations=["+12125550122"])
        case "POST /v1.0/opt_outs":
            body.update(customer_id=CUSTOMER, number="+14155550100")
        case "POST /v1.0/events/replay":
            body.update(customer_id=CUSTOMER)
        case "POST /v1.0/calendars" | "POST /v1.0/caller_lists":
            body.update(customer_id=CUSTOMER, name="a name")
        case "POST /v1.0/carriers/loopback/inbound":
            body.update({name: body[name] or "x" for name in ("id", "from", "to")})
        case "PUT /v1.0/trunks/{id}" | "PATCH /v1.0/trunks/{id}":
            body.clear()
            body.update(country="DE")
    if "trunk_ids" in body:
        body["trunk_ids"] = []
    for name in ("calendars", "caller_lists"):
        if name in body:
            body[name] = {}
    if "webhook_uri" in body:
        body["webhook_uri"] = "http://127.0.0.1:9/events"
    if "timezone" in body:
        body["timezone"] = "Europe/Berlin"
    if "holidays" in body:
        body["holidays"] = ["12-25"]
    if "entries" in body:
        body["entries"] = [{"match": "+44*", "label": "uk"}]
    if "name" in body and label.endswith(("calendars/{id}", "caller_lists/{id}")):
        body["name"] = "another name"
    for slot in ("call_flow_id", "message_flow_id", "fallback_flow_id", "on_complete_flow_id"):
        if slot in body:
            body[slot] = ""
    for release in ("call_flow_release", "message_flow_release"):
        if release in body:
            body[release] = None
    if "actions" in body and "validate" not in label:
        try:
            compile_flow({"actions": body["actions"]})
        except Invalid:
            body["actions"] = FLOW
