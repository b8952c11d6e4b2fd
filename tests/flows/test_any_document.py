"""Whatever JSON comes in: it is a flow or Invalid, and a flow runs to an outcome."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from edge.errors import Fault, Invalid
from edge.flows.action import ACTIONS, FINISH, NEXT, START
from edge.flows.flow import compile_flow
from edge.flows.run import OUTCOMES
from edge.plugins import load
from edge.store.metadata import NIL
from tests.flows.scripted import run_through, session_for

load("edge.actions")

IDS = st.sampled_from(["a", "b", "c", "", NIL, START, FINISH, NEXT, "${v}", "mars", None])
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 10**20),
    st.floats(),
    st.text(max_size=6),
    st.sampled_from(["${v}", "${x}", "09:00", "UTC", "==", ">", "1", "+14155550100", "sip:a@b"]),
    IDS,
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def steps(draw: st.DrawFn) -> Any:
    """A step that is nearly right: an action that there is, some of its options, values of all sorts."""
    name = draw(st.sampled_from(ACTIONS.names()))
    model = ACTIONS.get(name)
    assert model is not None
    option = {
        field.alias or key: draw(JSON)
        for key, field in model.model_fields.items()
        if field.is_required() or draw(st.booleans())
    }
    return {"id": draw(IDS), "type": name, "option": option, "next_id": draw(IDS)}


@settings(max_examples=60, deadline=None)
@given(JSON | st.fixed_dictionaries({"name": JSON, "actions": st.lists(JSON | steps(), max_size=4)}))
def test_nothing_but_invalid_is_raised(document: Any) -> None:
    faults: tuple[Fault, ...] = ()
    try:
        compile_flow(document)
    except Invalid as error:
        faults = error.faults or (Fault("", ""),)
    assert all(isinstance(fault.what, str) and fault.what for fault in faults)


@settings(max_examples=60, deadline=None)
@given(st.lists(steps(), min_size=1, max_size=4), st.dictionaries(st.sampled_from(["v", "x"]), st.text(max_size=5)))
def test_what_compiles_runs_to_an_outcome(actions: list[Any], variables: dict[str, str]) -> None:
    try:
        flow = compile_flow({"actions": actions})
    except Invalid:
        return
    assert compile_flow(json.loads(json.dumps(flow.document()))).media == flow.media
    for medium in flow.media:
        run = asyncio.run(run_through(flow, session_for(medium), variables))
        assert run.outcome in OUTCOMES
        assert run.exception is None or isinstance(run.exception, Exception)
        assert "Error:" not in (run.error or "")  # a fault of ours
