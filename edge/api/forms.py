"""Resources as the API shows them, for events that tell of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edge.api.calls import Call
from edge.api.flows import shown_whole
from edge.api.numbers import Number as NumberForm
from edge.api.recordings import Recording
from edge.flows.table import StoredFlow
from edge.numbers.number import Number
from edge.sessions.events.journal import Forms


def _number(number: Number) -> dict[str, Any]:
    return NumberForm.model_validate(number.public()).model_dump(mode="json")


def _flow(flow: StoredFlow) -> dict[str, Any]:
    return shown_whole(flow).model_dump(mode="json")


def call_form(shown: Mapping[str, Any]) -> dict[str, Any]:
    """Of a call in its public form."""
    return Call.model_validate(shown).model_dump(mode="json")


def recording_form(shown: Mapping[str, Any]) -> dict[str, Any]:
    """Of a recording in its public form."""
    return Recording.model_validate(shown).model_dump(mode="json")


FORMS = Forms(number=_number, flow=_flow)
