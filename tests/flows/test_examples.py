"""The flows in config/flows, each run through what it is for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from edge.flows.flow import compile_flow
from edge.flows.session import Medium
from edge.store.metadata import NIL
from tests.flows.scripted import run_through, session_for

EXAMPLES = Path(__file__).parents[2] / "config" / "flows"

GREETING = ["play", "demo-greeting.wav"]
GOODBYE = ["play", "demo-goodbye.wav"]
RECORD = ["start_recording", "wav", 0, "#", 60, True, NIL]
HANG_UP = ["hangup", "normal"]
ASK = ["receive_digits", "", 1, 5.0]
TEXT = "voipbin.conversation_message.text"
CALLER = "voipbin.call.source.target"
ASK_SERVER = ("POST", "https://crm.example.com/callers", "application/json", '{"number":"+14155550199"}')
PARTIES = {"voipbin.conversation.self.target": "+14155550100", "voipbin.conversation.peer.target": "+14155550199"}


class Story(NamedTuple):
    """What happens, and what the session is asked for."""

    flow: str
    about: str
    asked: list[list[Any]]
    outcome: str = "ended"
    medium: Medium = "call"
    script: Mapping[str, list[Any]] = {}
    variables: Mapping[str, str] = {}
    now: str = "2026-08-05T12:00:00+00:00"


STORIES = [
    Story(
        "ask-a-server",
        "a customer is sent to the desk",
        [["call_webhook", *ASK_SERVER], ["redirect", "sip:desk@pbx.example.com"]],
        script={"call_webhook": [[200, '{"group": "customer"}']]},
        variables={CALLER: "+14155550199"},
    ),
    Story(
        "ask-a-server",
        "the office is told of others, also when the server is down",
        [
            ["call_webhook", *ASK_SERVER],
            ["say", "Thank you for calling. We will call you back.", "", "", "", False],
            ["send_email", "office@example.com", "", "Please call back somebody", "+14155550199 called +14155550100."],
            ["send_webhook", "POST", "https://crm.example.com/missed", "application/json", '{"number":"+14155550199"}'],
            ["hangup", "normal"],
        ],
        script={"call_webhook": [[503, ""]]},
        variables={CALLER: "+14155550199", "voipbin.call.destination.target": "+14155550100"},
    ),
    Story(
        "ask-name",
        "a stranger is asked",
        [["reply", "We have not met yet. What is your name?"]],
        outcome="parked",
        medium="message",
        variables={TEXT: "hi"},
    ),
    Story(
        "ask-name",
        "who is known is greeted",
        [["reply", "Hello Ann, we got: hi"]],
        outcome="finished",
        medium="message",
        variables={TEXT: "hi", "memory.name": "Ann"},
    ),
    Story(
        "greeting-menu",
        "1 is sales",
        [["answer"], GREETING, ASK, ["redirect", "sip:sales@pbx.example.com"]],
        script={"receive_digits": ["1"]},
    ),
    Story(
        "greeting-menu",
        "2, at the second try, is support, who cannot be reached",
        [["answer"], GREETING, ASK, GREETING, ASK, ["redirect", "tel:+14155550177"], GOODBYE, ["hangup", "normal"]],
        script={"receive_digits": ["7", "2"], "redirect": [{"raises": "Unavailable", "message": "no REFER"}]},
    ),
    Story(
        "greeting-menu",
        "three times nothing",
        [["answer"], GREETING, ASK, GREETING, ASK, GREETING, ASK, GOODBYE, ["hangup", "normal"]],
    ),
    Story(
        "greeting-menu",
        "hung up during the greeting",
        [["answer"], GREETING],
        script={"play": [{"ended": "remote"}]},
    ),
    Story(
        "business-hours",
        "Wednesday at noon",
        [["redirect", "sip:desk@pbx.example.com", "sip:desk@backup.example.com"]],
    ),
    Story(
        "voice-agent",
        "a person is wanted",
        [
            [
                "say",
                '<speak>You are talking to our assistant. <break time="300ms"/> For a person, press 0 at any time.'
                "</speak>",
                "en-US",
                "",
                "",
                True,
            ],
            ["start_external_media", "wss://agent.example.com/calls", "slin16", "in", True, "caller +14155550199"],
            ["receive_digits", "", 1, 600.0],
            ["stop_external_media"],
            ["redirect", "sip:reception@pbx.example.com"],
        ],
        script={"receive_digits": ["0"]},
        variables={CALLER: "+14155550199"},
    ),
    Story("business-hours", "late", [GOODBYE, ["hangup", "noanswer"]], now="2026-08-05T15:30:00+00:00"),
    Story("business-hours", "Sunday", [GOODBYE, ["hangup", "noanswer"]], now="2026-08-02T12:00:00+00:00"),
    Story("business-hours", "a Christmas", [GOODBYE, ["hangup", "noanswer"]], now="2026-12-24T12:00:00+00:00"),
    Story(
        "office-calendar",
        "a caller on the list",
        [["caller_list", "blocked"], ["hangup", "busy"]],
        script={"caller_list": [{"+14155550166": "sells insurance"}]},
        variables={"edge.call.caller": "+14155550166"},
    ),
    Story(
        "office-calendar",
        "no number",
        [["caller_list", "blocked"], ["hangup", "busy"]],
        variables={"edge.call.caller": "anonymous"},
    ),
    Story(
        "office-calendar",
        "open",
        [["caller_list", "blocked"], ["calendar", "office"], ["redirect", "sip:desk@pbx.example.com"]],
        script={"calendar": [{"hours": [{"weekdays": [3], "from": "09:00", "to": "17:30"}]}]},
        variables={"edge.call.caller": "+14155550199"},
    ),
    Story(
        "office-calendar",
        "closed",
        [["caller_list", "blocked"], ["calendar", "office"], GOODBYE, ["hangup", "noanswer"]],
        script={"calendar": [{"holidays": ["08-05"]}]},
        variables={"edge.call.caller": "+14155550199"},
    ),
    Story("redirect-by-caller", "Bob", [["redirect", "tel:+14155550177"]], variables={CALLER: "+14155550122"}),
    Story("redirect-by-caller", "no number", [["hangup", "busy"]], variables={CALLER: ""}),
    Story("redirect-by-caller", "a hidden number", [["hangup", "busy"]], variables={CALLER: "anonymous"}),
    Story(
        "redirect-by-caller",
        "somebody else",
        [["redirect", "sip:+14155550100@pbx.example.com"]],
        variables={CALLER: "+14155550199", "voipbin.call.destination.target": "+14155550100"},
    ),
    Story(
        "auto-reply",
        "by day",
        [["reply", "Thanks, we got your text and will be with you shortly."]],
        outcome="stopped",
        medium="message",
        now="2026-08-05T12:00:00+00:00",  # 8:00 in New York
    ),
    Story(
        "auto-reply",
        "at night",
        [["reply", "Thanks, we got your text. We are back at eight."]],
        outcome="stopped",
        medium="message",
        now="2026-08-05T11:59:00+00:00",
    ),
    Story(
        "keyword-routing",
        "a word",
        [["reply", "Monday to Friday, 9:00 to 17:30."]],
        outcome="stopped",
        medium="message",
        variables={TEXT: "HOURS"},
    ),
    Story(
        "keyword-routing",
        "no word, and no way to read a variable",
        [["reply", "You wrote: ${voipbin.conversation.owner_id}. We know HOURS and ADDRESS."]],
        outcome="stopped",
        medium="message",
        variables={TEXT: "${voipbin.conversation.owner_id}", "voipbin.conversation.owner_id": "secret"},
    ),
    Story(
        "voicemail",
        "a message that # ends",
        [["answer"], GREETING, RECORD, ["receive_digits", "#", 0, 60.0], GOODBYE, HANG_UP],
        script={"receive_digits": ["#"]},
    ),
    Story(
        "voicemail",
        "hung up after the message",
        [["answer"], GREETING, RECORD, ["receive_digits", "#", 0, 60.0]],
        script={"receive_digits": [{"ended": "remote"}]},
    ),
    Story(
        "forward-text",
        "to both phones",
        [
            ["send_text", "+14155550100", "+14155550122", "From +14155550199: hello"],
            ["send_text", "+14155550100", "+14155550123", "From +14155550199: hello"],
            ["reply", "Thanks, we passed it on."],
        ],
        outcome="finished",
        medium="message",
        variables={**PARTIES, TEXT: "hello"},
    ),
    Story(
        "forward-text",
        "not from a number of ours",
        [
            ["send_text", "+14155550100", "+14155550122", "From +14155550199: hello"],
            ["send_text", "+14155550100", "+14155550123", "From +14155550199: hello"],
        ],
        outcome="failed",
        medium="message",
        script={"send_text": [{"raises": "Forbidden", "message": "+14155550100 is not yours"}]},
        variables={**PARTIES, TEXT: "hello"},
    ),
    Story(
        "ring-the-team",
        "somebody answers",
        [["connect", "tel:+14155550177", "tel:+14155550178", {"together": False, "ring_seconds": 20.0}]],
        outcome="stopped",
        variables={CALLER: "+14155550199"},
    ),
    Story(
        "ring-the-team",
        "nobody does",
        [
            ["connect", "tel:+14155550177", "tel:+14155550178", {"together": False, "ring_seconds": 20.0}],
            ["send_text", "+14155550100", "+14155550178", "Missed call from +14155550199: busy"],
            GOODBYE,
            ["hangup", "noanswer"],
        ],
        script={"connect": [{"outcome": "busy", "status": 486, "destination": "tel:+14155550177"}]},
        variables={CALLER: "+14155550199", "voipbin.call.destination.target": "+14155550100"},
    ),
]


@pytest.mark.parametrize("story", STORIES, ids=[f"{story.flow}: {story.about}" for story in STORIES])
async def test_story(story: Story) -> None:
    flow = compile_flow(json.loads((EXAMPLES / f"{story.flow}.json").read_text()))
    assert flow.warnings == ()
    assert story.medium in flow.media
    session = session_for(story.medium, story.script, now=datetime.fromisoformat(story.now))
    run = await run_through(flow, session, story.variables)
    assert session.asked == story.asked
    assert run.outcome == story.outcome


def test_every_example_has_a_story() -> None:
    assert {story.flow for story in STORIES} == {file.stem for file in EXAMPLES.glob("*.json")}
