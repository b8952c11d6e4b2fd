"""What a flow can read of its text."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from edge.flows.variables import KNOWN, what_is_wrong
from edge.numbers.number import Number
from edge.sessions.texts.incoming import Incoming
from edge.sessions.texts.session import run_id
from edge.sessions.texts.variables import TextVariables
from edge.store.metadata import NIL

TEXT = Incoming(
    id="01910000-0000-7000-8000-000000000001",
    carrier="loopback",
    carrier_id="c-1",
    number="+14155550100",
    peer="+14155550199",
    text="hello ${voipbin.conversation.id}",
    route="",
    tm_create=1,
    customer_id="11111111-1111-4111-8111-111111111111",
    number_id="44444444-4444-4444-8444-444444444444",
    conversation_id="55555555-5555-4555-8555-555555555555",
    flow_id="66666666-6666-4666-8666-666666666666",
)
NUMBER = Number(
    id=TEXT.number_id,
    customer_id=TEXT.customer_id,
    number=TEXT.number,
    name="Main",
    detail="the desk",
    tm_create=datetime(2026, 8, 1, tzinfo=UTC),
)


def test_every_name_and_its_value() -> None:
    found = dict(TextVariables(TEXT, NUMBER))
    whole = json.loads(found.pop("voipbin.flow.reference_data"))
    assert found == {
        "voipbin.activeflow.id": run_id(TEXT.id),
        "voipbin.activeflow.flow_id": TEXT.flow_id,
        "voipbin.activeflow.reference_type": "conversation",
        "voipbin.activeflow.reference_id": TEXT.conversation_id,
        "voipbin.activeflow.reference_activeflow_id": NIL,
        "voipbin.activeflow.complete_count": "0",
        "voipbin.conversation.id": TEXT.conversation_id,
        "voipbin.conversation.owner_id": NIL,
        "voipbin.conversation.self.name": "Main",
        "voipbin.conversation.self.detail": "the desk",
        "voipbin.conversation.self.target": TEXT.number,
        "voipbin.conversation.self.target_name": "",
        "voipbin.conversation.self.type": "tel",
        "voipbin.conversation.peer.name": "",
        "voipbin.conversation.peer.detail": "",
        "voipbin.conversation.peer.target": TEXT.peer,
        "voipbin.conversation.peer.target_name": "",
        "voipbin.conversation.peer.type": "tel",
        "voipbin.conversation_message.id": TEXT.id,
        "voipbin.conversation_message.text": "hello ${voipbin.conversation.id}",
        "voipbin.conversation_message.direction": "inbound",
        "edge.message.media.count": "0",
        "edge.number.id": TEXT.number_id,
        "edge.number.name": "Main",
        "edge.number.detail": "the desk",
    }
    assert (whole["id"], whole["customer_id"], whole["type"]) == (TEXT.conversation_id, TEXT.customer_id, "message")
    assert (whole["self"]["target"], whole["self"]["name"], whole["peer"]["target"]) == (TEXT.number, "Main", TEXT.peer)


def test_the_number_need_not_be_known() -> None:
    nameless = TextVariables(replace(TEXT, peer="sip:bob@h"), None)
    assert (nameless["edge.number.name"], nameless["voipbin.conversation.self.detail"]) == ("", "")
    assert nameless["voipbin.conversation.peer.type"] == "sip"


def test_what_came_beside_the_words_is_told_one_by_one() -> None:
    urls = ("https://media.example/1.jpg", "https://media.example/2.mp4")
    view = TextVariables(replace(TEXT, media=urls), NUMBER)
    assert view["edge.message.media.count"] == "2"
    assert tuple(view[f"edge.message.media.{index}"] for index in range(2)) == urls
    for index in ("2", "-1", "", "00"):
        assert view.get(f"edge.message.media.{index}") is None
    assert len(view) == len(list(view)) == len(TextVariables(TEXT, NUMBER)) + 2
    assert what_is_wrong("edge.message.media.7") is None


OF_TEXTS = ("voipbin.activeflow.", "voipbin.flow.", "voipbin.conversation", "edge.number.", "edge.message.")


def test_what_is_known_of_texts_is_given() -> None:
    view = TextVariables(TEXT, NUMBER)
    assert {name for name in KNOWN if name.startswith(OF_TEXTS) and not name.endswith(".*")} == set(view)
    assert len(view) == len(list(view))


def test_an_unknown_name_is_not_there() -> None:
    view = TextVariables(TEXT, NUMBER)
    assert "voipbin.call.id" not in view
    with pytest.raises(KeyError):
        view["voipbin.call.id"]
