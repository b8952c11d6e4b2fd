"""Simulated texts: each a run, in the order of the script."""

from __future__ import annotations

from typing import Any

from edge.sessions.texts.manners import MannersSection
from tests.sessions.simulation.trying import attempt, told

ECHO = {"id": "echo", "type": "reply", "option": {"text": "You wrote: ${voipbin.conversation_message.text}"}}


async def test_each_text_is_a_run() -> None:
    found = await attempt(ECHO, texts=["hi", "bye"], every=60)
    assert [(run.begins, run.text, run.outcome) for run in found.runs] == [
        (0.0, "hi", "finished"),
        (60.0, "bye", "finished"),
    ]
    assert [told(found, run) for run in (0, 1)] == [
        ['0.0 echo: replies: "You wrote: hi"'],
        ['60.0 echo: replies: "You wrote: bye"'],
    ]


async def test_a_text_waits_for_the_run_before_it() -> None:
    found = await attempt({"id": "s", "type": "sleep", "option": {"duration": 90_000}}, ECHO, texts=["a", "b"])
    assert [run.begins for run in found.runs] == [0.0, 90.0]


async def test_steps_are_reached_by_any_of_the_texts() -> None:
    word = {
        "id": "word",
        "type": "branch",
        "option": {
            "variable": "voipbin.conversation_message.text",
            "target_ids": {"a": "one", "b": "two"},
            "default_target_id": "three",
        },
    }
    steps = [{"id": id, "type": "stop"} for id in ("one", "two", "three")]
    found = await attempt(word, *steps, texts=["b", "a"])
    assert (found.reached, found.never_reached) == (("word", "one", "two"), ("three",))
    assert told(found)[0] == '0.0 word: voipbin.conversation_message.text is "b" → to two'


async def test_an_empty_reply_fails_as_it_would() -> None:
    found = await attempt({"id": "r", "type": "reply", "option": {"text": "${x}"}}, texts=["hi"])
    assert told(found)[0].startswith("0.0 r: fails: ")


WAIT: list[dict[str, Any]] = [
    {"id": "ask", "type": "reply", "option": {"text": "Your name?"}},
    {"id": "name", "type": "text_receive", "option": {"duration": 60_000, "timeout_target_id": "never-mind"}},
    {"id": "hello", "type": "reply", "option": {"text": "Hello ${voipbin.conversation_message.text}"}},
    {"id": "done", "type": "stop"},
    {"id": "never-mind", "type": "reply", "option": {"text": "Never mind."}},
]


async def test_a_flow_that_waits_goes_on_with_the_next_text() -> None:
    found = await attempt(*WAIT, texts=["hi", "Ann"], every=10)
    assert [(run.kind, run.begins, run.outcome) for run in found.runs] == [
        ("session", 0.0, "parked"),
        ("session", 10.0, "stopped"),
    ]
    assert told(found, 1)[0] == '10.0 hello: replies: "Hello Ann"'
    assert found.never_reached == ("never-mind",)


async def test_a_text_that_comes_too_late_begins_anew() -> None:
    found = await attempt(*WAIT, texts=["hi", "Ann"], every=100)
    assert [(run.kind, run.begins) for run in found.runs] == [
        ("session", 0.0),
        ("timeout", 60.0),
        ("session", 100.0),
        ("timeout", 160.0),
    ]
    assert told(found, 1) == ['60.0 never-mind: replies: "Never mind."']
    assert "    60.0  no text came in time" in list(found.lines())


async def test_what_is_remembered_is_there_with_the_next_text() -> None:
    count: list[dict[str, Any]] = [
        {"id": "again", "type": "reply", "option": {"text": "Before: ${memory.last:-nothing}"}},
        {
            "id": "keep",
            "type": "variable_set",
            "option": {"key": "memory.last", "value": "${voipbin.conversation_message.text}"},
        },
    ]
    found = await attempt(*count, texts=["a", "b"])
    assert told(found)[0] == '0.0 again: replies: "Before: nothing"'
    assert told(found, 1)[0] == '5.0 again: replies: "Before: a"'


async def test_keywords_are_answered_and_run_no_flow() -> None:
    found = await attempt(ECHO, texts=["hi", "Stop!", "stop", "hello?", "help", "START", "start"])
    assert [(run.kind, run.outcome) for run in found.runs] == [
        ("session", "finished"),
        ("keyword", "opted_out"),
        ("keyword", "opted_out"),
        ("session", "finished"),
        ("keyword", "helped"),
        ("keyword", "opted_in"),
        ("session", "finished"),
    ]
    said = [
        "STOP is a keyword",
        'replies: "You will get no more texts from +14155550100. Reply START to get them again."',
    ]
    assert [event.what for event in found.runs[1].events] == said
    assert [event.what for event in found.runs[2].events] == said[:1]
    assert "has opted out of texts from" in told(found, 3)[0]
    lines = [line.strip() for line in found.lines() if "end: " in line]
    assert lines[1] == "5.0  end: the sender has opted out; no flow runs"
    assert lines[2] == "10.0  end: the sender had opted out before; no flow runs"
    assert lines[5] == "25.0  end: the sender gets texts again; no flow runs"


async def test_a_keyword_leaves_a_flow_that_waits_as_it_is() -> None:
    found = await attempt(*WAIT, texts=["hi", "info", "Ann"], every=10)
    assert [(run.kind, run.outcome) for run in found.runs] == [
        ("session", "parked"),
        ("keyword", "helped"),
        ("session", "stopped"),
    ]


async def test_a_machine_and_a_loop_are_not_answered() -> None:
    found = await attempt(ECHO, texts=["hi"], caller="12345")
    assert "12345 is a short code, which is not answered" in told(found)[0]
    found = await attempt(ECHO, texts=[str(n) for n in range(20)], every=1)
    assert ["too often" in told(found, n)[0] for n in range(20)] == [False] * 15 + [True] * 5


async def test_manners_are_those_of_the_settings() -> None:
    manners = MannersSection(a_minute=3, answer=("short_codes",))
    found = await attempt(ECHO, texts=[str(n) for n in range(5)], every=1, caller="12345", manners=manners)
    assert ["too often" in told(found, n)[0] for n in range(5)] == [False] * 3 + [True] * 2
