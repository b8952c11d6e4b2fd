"""Documents: what is a flow, what is not and why, what is doubtful."""

from __future__ import annotations

import json
from typing import Any

import pytest

from edge.errors import Fault, Invalid
from edge.flows import limits
from edge.flows.action import FINISH, NEXT, START
from edge.flows.flow import Flow, compile_flow, name_steps, require_medium
from edge.store.metadata import NIL
from tests.flows.scripted import run_through, session_for

STOP = {"id": "end", "type": "stop"}


def step(type: str, id: str | None = None, next_id: Any = "", **option: Any) -> dict[str, Any]:
    return {"id": id, "type": type, "option": option, "next_id": next_id}


def document(*actions: Any, **more: Any) -> dict[str, Any]:
    return {"name": "a flow", "detail": "", "actions": list(actions), **more}


def faults_of(document: Any) -> list[tuple[str, str]]:
    with pytest.raises(Invalid) as raised:
        compile_flow(document)
    assert raised.value.reason == "INVALID_FLOW"
    return [(fault.where, fault.what) for fault in raised.value.faults]


def test_what_the_platform_writes_is_a_flow() -> None:
    first, second = "b0bd3a0e-0000-4000-8000-000000000001", "b0bd3a0e-0000-4000-8000-000000000002"
    flow = compile_flow(
        {
            "name": "main",
            "detail": "from the platform",
            "on_complete_flow_id": NIL,
            "actions": [
                {"id": first, "next_id": NIL, "type": "answer", "option": None, "tm_execute": None},
                {"next_id": None, "type": "play", "option": {"stream_urls": ["a.wav"]}},
                {"id": NIL, "next_id": second, "type": "beep"},
                {"id": second, "next_id": "", "type": "hangup", "option": {"reason": "", "reference_id": NIL}},
            ],
        },
        id="f",
        customer_id="c",
        version=7,
    )
    assert (flow.id, flow.customer_id, flow.version, flow.name, flow.detail) == (
        "f",
        "c",
        7,
        "main",
        "from the platform",
    )
    assert flow.media == {"call"}
    assert [s.type for s in flow.steps] == ["answer", "play", "beep", "hangup"]
    assert [s.next for s in flow.steps] == [1, 2, 3, 4]
    assert len({s.id for s in flow.steps}) == 4  # those that are missing are made
    assert flow.actions[0] == {"id": first, "type": "answer", "option": {}, "next_id": NIL}
    assert flow.actions[2]["next_id"] == second
    assert compile_flow(flow.document()).document() == flow.document()


@pytest.mark.parametrize(
    ("actions", "media"),
    [
        ([STOP], {"call", "message"}),
        ([step("sleep", duration=1), step("beep")], {"call"}),
        ([step("reply", text="x"), STOP], {"message"}),
        ([step("message_send", destinations=["+14155550122"], text="x")], {"call", "message"}),
    ],
)
def test_media_are_what_all_steps_can_do(actions: list[Any], media: set[str]) -> None:
    assert compile_flow(document(*actions)).media == media


@pytest.mark.parametrize(
    ("given", "faults"),
    [
        # not a document
        (None, [("", "a flow is an object with name, detail and actions")]),
        ([], [("", "a flow is an object with name, detail and actions")]),
        ({}, [("actions", "must be a list of at least one step")]),
        (document(), [("actions", "must be a list of at least one step")]),
        ({"actions": {"a": 1}}, [("actions", "must be a list of at least one step")]),
        (document("answer"), [("actions[0]", "must be an object with type and option")]),
        (
            document(STOP, color=1),
            [("color", "unknown key; known are name, detail, actions, on_complete_flow_id, unavailable")],
        ),
        (document(STOP, name=5, detail=[]), [("name", "must be a text"), ("detail", "must be a text")]),
        (document(STOP, name="x" * 256), [("name", "longer than 255 characters")]),
        (document(STOP, detail="a\0b"), [("detail", "holds a NUL character")]),
        (document(STOP, name="\ud800"), [("", "a text holds half a character (a lone surrogate)")]),
        (
            document(STOP, on_complete_flow_id="the other one"),
            [("on_complete_flow_id", "neither a UUID nor empty")],
        ),
        (document(*[STOP] * 501), [("actions", "more than 500 steps")]),
        (document(step("reply", text="x" * 300_000)), [("", "larger than 262144 bytes")]),
        # actions
        (document({"id": "a"}), [("actions[0].type", "needs the name of an action")]),
        (document(step("pley")), [("actions[0].type", "there is no action 'pley'; did you mean play?")]),
        (document(STOP, step("amd")), [("actions[1].type", "amd is not available here")]),
        (document(step("empty")), [("actions[0].type", "empty is not available here")]),
        (
            document({"id": "a", "type": "stop", "when": 1}),
            [("actions[0].when", "unknown key; known are id, type, option, next_id, failure_id")],
        ),
        # ids
        (document(step("beep", "a"), step("beep", "a")), [("actions[1].id", "actions[0] has the id a too")]),
        (
            document(step("beep", 5)),  # type: ignore[arg-type]
            [("actions[0].id", "must be a printable text of at most 255 characters")],
        ),
        (
            document(step("beep", "a\nb")),
            [("actions[0].id", "must be a printable text of at most 255 characters")],
        ),
        (document(step("beep", START)), [("actions[0].id", f"{START} is reserved")]),
        # jumps
        (document(step("beep", next_id="mars")), [("actions[0].next_id", "there is no step 'mars'")]),
        (document({**step("beep"), "failure_id": "mars"}), [("actions[0].failure_id", "there is no step 'mars'")]),
        (
            document(step("goto", target_id="mars", loop_count=1)),
            [("actions[0].option.target_id", "there is no step 'mars'")],
        ),
        (document(step("goto", target_id="")), [("actions[0].option.target_id", "needs the id of a step")]),
        (document(step("goto")), [("actions[0].option.target_id", "is needed")]),
        (
            document(step("branch", target_ids={"1": "mars", "2": NIL}, default_target_id="venus")),
            [
                ("actions[0].option.target_ids.1", "there is no step 'mars'"),
                ("actions[0].option.target_ids.2", "needs the id of a step"),
                ("actions[0].option.default_target_id", "there is no step 'venus'"),
            ],
        ),
        (
            document(step("condition_variable", false_target_id="mars")),
            [("actions[0].option.false_target_id", "there is no step 'mars'")],
        ),
        (
            document(step("condition_datetime", hour=3, false_target_id="mars")),
            [("actions[0].option.false_target_id", "there is no step 'mars'")],
        ),
        # options
        (document({"type": "stop", "option": []}), [("actions[0].option", "must be an object")]),
        (document(step("stop", x=1)), [("actions[0].option.x", "stop has no such option; it has none")]),
        (
            document(STOP, step("digits_receive", length="two", duraton=1)),
            [
                ("actions[1].option.length", "input should be a valid integer, unable to parse string as an integer"),
                (
                    "actions[1].option.duraton",
                    "digits_receive has no such option; it has duration, key, length",
                ),
            ],
        ),
        (
            document(step("play", stream_urls=[])),
            [("actions[0].option.stream_urls", "list should have at least 1 item after validation, not 0")],
        ),
        (
            document(step("play", stream_urls="a.wav")),
            [("actions[0].option.stream_urls", "input should be a valid list")],
        ),
        (
            document(step("play", stream_urls=["a.wav", "../a.wav", "/a.wav", "ftp://a/a.wav"])),
            [
                ("actions[0].option.stream_urls[1]", "leaves the prompts directory"),
                ("actions[0].option.stream_urls[2]", "is absolute; file names are relative to the prompts directory"),
                ("actions[0].option.stream_urls[3]", "is neither a file name nor an http or https URL"),
            ],
        ),
        (
            document(step("sleep", duration=-1)),
            [("actions[0].option.duration", "input should be greater than or equal to 0")],
        ),
        (
            document(step("sleep", duration=3_600_001)),
            [("actions[0].option.duration", "input should be less than or equal to 3600000")],
        ),
        (
            document(step("condition_datetime", weekdays=[1, 7], timezone="Mars/Olympus", **{"from": "25:00"})),
            [
                (
                    "actions[0].option.timezone",
                    "there is no time zone 'Mars/Olympus'; one is called like Europe/Berlin",
                ),
                ("actions[0].option.weekdays[1]", "input should be less than or equal to 6"),
                (
                    "actions[0].option.from",
                    "string should match pattern '^([01]?\\d|2[0-3]):[0-5]\\d$'",
                ),
            ],
        ),
        (
            document(step("condition_datetime", holidays=["12-25", "12-32", "2027-02-29"])),
            [
                (
                    "actions[0].option.holidays[1]",
                    "there is no day '12-32'; one is written 2026-12-25, or 12-25 for every year",
                ),
                (
                    "actions[0].option.holidays[2]",
                    "there is no day '2027-02-29'; one is written 2026-12-25, or 12-25 for every year",
                ),
            ],
        ),
        (
            document(step("variable_set", key="voipbin.call.digits", value="1")),
            [
                (
                    "actions[0].option.key",
                    "voipbin.call.digits can only be read; names of your own do not begin with voipbin. or edge.",
                )
            ],
        ),
        (
            document(step("hangup", reference_id="b0bd3a0e-0000-4000-8000-000000000001")),
            [("actions[0].option.reference_id", "the reason of another call is not available here; leave it empty")],
        ),
        (
            document(step("redirect", destinations=["sip:a@b", {"type": "agent", "target": "x"}])),
            [
                (
                    "actions[0].option.destinations[1]",
                    "an address of type 'agent' is not available here; tel and sip are",
                )
            ],
        ),
        # what is plain in a step with variables is checked all the same
        (
            document(step("digits_receive", length="${n}", key="x", other="${y}")),
            [
                ("actions[0].option.key", "string should match pattern '^[0-9A-Da-d*#]*$'"),
                ("actions[0].option.other", "digits_receive has no such option; it has duration, key, length"),
            ],
        ),
        (
            document(step("reply", other="${y}")),
            [
                ("actions[0].option.text", "is needed"),
                ("actions[0].option.other", "reply has no such option; it has text"),
            ],
        ),
        # variables
        (
            document(
                STOP,
                step("redirect", "r", destinations=["sip:a@b", {"type": "tel", "target": "${edge.nmber.name}"}]),
                step("branch", variable="voipbin.queue.id", default_target_id="end"),
                step("variable_set", key="k", value="${k} ${voipbin.call.digts:-none} ${edge.x}"),
            ),
            [
                (
                    "actions[1].option.destinations[1].target",
                    "there is no variable edge.nmber.name; did you mean edge.number.name?",
                ),
                ("actions[2].option.variable", "the variable voipbin.queue.id is not available here"),
                (
                    "actions[3].option.value",
                    "there is no variable voipbin.call.digts; did you mean voipbin.call.digits?",
                ),
                ("actions[3].option.value", "there is no variable edge.x"),
            ],
        ),
        # media
        (
            document(step("beep", "tone"), STOP, step("reply", "thanks", text="x")),
            [
                (
                    "actions",
                    "no session can run all of them: actions[0] (beep, id tone) needs a call, "
                    "actions[2] (reply, id thanks) needs a message",
                )
            ],
        ),
        # everything at once
        (
            document(step("amd"), step("beep", "a", next_id="b"), step("sleep", "a", duration="x"), name=1),
            [
                ("name", "must be a text"),
                ("actions[0].type", "amd is not available here"),
                ("actions[2].option.duration", "input should be a valid integer, unable to parse string as an integer"),
                ("actions[2].id", "actions[1] has the id a too"),
                ("actions[1].next_id", "there is no step 'b'"),
            ],
        ),
    ],
)
def test_faults(given: Any, faults: list[tuple[str, str]]) -> None:
    assert faults_of(given) == faults


def test_what_goes_too_deep_is_found_before_anything_follows_it() -> None:
    deep: Any = "x"
    for _ in range(100_000):
        deep = [deep]
    assert faults_of(document(step("reply", text=deep))) == [("", "lists and objects go deeper than 12 levels")]


def test_many_faults_are_told_up_to_a_limit() -> None:
    with pytest.raises(Invalid, match=r"the flow is wrong: .* and 199 more") as raised:
        compile_flow(document(*[step("nothing")] * 200))
    assert len(raised.value.faults) == limits.FAULTS


@pytest.mark.parametrize(
    ("actions", "where"),
    [
        ([STOP, step("beep")], ["actions[1]"]),
        ([step("beep", "a", next_id="c"), step("beep", "b"), step("beep", "c")], ["actions[1]"]),
        ([step("beep", "a", next_id=FINISH), step("beep", "b")], ["actions[1]"]),
        ([step("beep", "a", next_id=NEXT), step("beep", "b")], []),
        ([{**step("beep", "a", next_id="c"), "failure_id": "b"}, step("beep", "b"), step("beep", "c")], []),
        ([step("branch", default_target_id="c"), step("beep", "b"), step("beep", "c")], ["actions[1]"]),
        ([step("branch", default_target_id="${x}"), step("beep", "b"), step("beep", "c")], []),
        ([step("hangup"), step("goto", "g", target_id="g", loop_count=1)], ["actions[1]"]),
        ([step("redirect", destinations=["sip:a@b"]), STOP], []),  # it can fail
        ([step("branch")], ["actions[0].option.default_target_id"]),
        ([step("goto", "g", target_id="g")], ["actions[0].option.loop_count"]),
        (
            [step("condition_datetime", **{"from": "09:00", "to": "09:00"})],
            ["actions[0].option.false_target_id", "actions[0].option.to"],
        ),
        (
            [step("condition_datetime", hour=-1)],
            ["actions[0].option.false_target_id", "actions[0].option.condition"],
        ),
        (
            [step("condition_datetime", "c", hour=9, condition=">=", false_target_id="c")],
            ["actions[0].option.condition", "actions[0]"],
        ),
        ([step("condition_datetime", "c", hour=9, condition="!=", false_target_id="c")], ["actions[0]"]),
    ],
)
def test_warnings(actions: list[Any], where: list[str]) -> None:
    assert [warning.where for warning in compile_flow(document(*actions)).warnings] == where


def test_a_fault_names_the_step_if_the_document_did() -> None:
    with pytest.raises(Invalid) as raised:
        compile_flow(document(step("pley", "hello"), step("sleep", duration="x"), step("beep", "b", next_id="c"), x=1))
    assert [str(fault) for fault in raised.value.faults] == [
        "x: unknown key; known are name, detail, actions, on_complete_flow_id, unavailable",
        "actions[0].type (id hello): there is no action 'pley'; did you mean play?",
        "actions[1].option.duration: input should be a valid integer, unable to parse string as an integer",
        "actions[2].next_id (id b): there is no step 'c'",
    ]


FOREIGN = document(
    step(
        "queue_join", "q", queue_id="b0bd3a0e-0000-4000-8000-000000000001", music={"a": [None, "${voipbin.queue.id}"]}
    ),
    step("condition_variable", "c", variable="${voipbin.queue.name}", value_string="x", false_target_id="r"),
    step("transcribe_stop", "t"),
    step("branch", "r", variable="voipbin.aicall.id", default_target_id="end"),
    STOP,
)


def test_a_flow_of_the_platform_is_refused_with_the_names_of_what_is_not_here() -> None:
    for asked in ({}, {"unavailable": "refuse"}, {"unavailable": None}):
        assert faults_of({**FOREIGN, **asked}) == [
            ("actions[0].type", "queue_join is not available here"),
            ("actions[1].option.variable", "the variable voipbin.queue.name is not available here"),
            ("actions[2].type", "transcribe_stop is not available here"),
            ("actions[3].option.variable", "the variable voipbin.aicall.id is not available here"),
        ]


async def test_or_it_is_stored_as_it_is_and_they_are_skipped() -> None:
    flow = compile_flow({**FOREIGN, "unavailable": "skip"})
    assert flow.media == {"call", "message"}
    assert flow.actions[0]["option"] == FOREIGN["actions"][0]["option"]
    assert flow.document()["unavailable"] == "skip"
    assert Flow.from_json(flow.to_json()).document() == flow.document()
    assert [(warning.where, warning.step, warning.what) for warning in flow.warnings] == [
        ("actions[0].type", "q", "queue_join is not available here and will be skipped"),
        ("actions[2].type", "t", "transcribe_stop is not available here and will be skipped"),
    ]
    for medium in flow.media:
        run = await run_through(flow, session_for(medium))
        assert run.outcome == "stopped"
        assert [(entry.step, entry.type, entry.outcome, entry.note) for entry in run.log if entry.step in "qt"] == [
            ("q", "queue_join", "done", "skipped: queue_join is not available here"),
        ]


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        (step("queue_joni"), ("actions[0].type", "there is no action 'queue_joni'; known are")),
        ({"type": "queue_join", "option": []}, ("actions[0].option", "must be an object")),
        (step("queue_join", next_id="mars"), ("actions[0].next_id", "there is no step 'mars'")),
        (step("sleep", duration="${voipbin.call.digts}"), ("actions[0].option.duration", "there is no variable")),
        (step("queue_join", "q", next_id="q"), ("actions[0]", "goes round for ever without a wait: q → q")),
    ],
)
def test_what_is_wrong_stays_wrong(given: Any, fault: tuple[str, str]) -> None:
    ((where, what),) = faults_of(document(given, STOP, unavailable="skip"))
    assert where == fault[0]
    assert what.startswith(fault[1])


@pytest.mark.parametrize("value", ["no", 1, ["skip"], True])
def test_what_to_do_with_the_unavailable_is_one_of_two(value: Any) -> None:
    assert faults_of(document(STOP, unavailable=value)) == [("unavailable", "must be refuse or skip")]


def test_a_null_option_was_not_given() -> None:
    flow = compile_flow(document(step("digits_receive", duration=100, key=None, length=None)))
    assert flow.steps[0].action == compile_flow(document(step("digits_receive", duration=100))).steps[0].action


def test_plain_options_are_validated_once() -> None:
    flow = compile_flow(document(step("reply", text="x"), step("reply", text="${x}"), step("reply", text="${x")))
    assert [s.action is None for s in flow.steps] == [False, True, False]


def test_a_medium_can_be_required() -> None:
    flow = compile_flow(document(STOP, step("beep", "tone")))
    require_medium(flow, "call", "call_flow_id")
    with pytest.raises(Invalid) as raised:
        require_medium(flow, "message", "message_flow_id")
    what = "the flow cannot run for a message: actions[1] (beep, id tone) needs a call"
    assert raised.value.faults == (Fault("message_flow_id", what),)
    assert raised.value.reason == "FLOW_MEDIUM_MISMATCH"


def test_a_flow_goes_through_redis_and_back() -> None:
    flow = compile_flow(document(step("reply", "a", text="für ${x}"), STOP), id="f", customer_id="c", version=3)
    again = Flow.from_json(flow.to_json())
    assert (again.id, again.customer_id, again.version) == ("f", "c", 3)
    assert again.document() == flow.document()
    assert again.places == flow.places


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"7",
        b"[]",
        b'["f","c",1]',
        b'["f","c",1,{}]',
        json.dumps(["f", "c", 1, document(step("x"))]).encode(),
    ],
)
def test_what_is_no_flow_in_redis_is_a_value_error(body: bytes) -> None:
    with pytest.raises(ValueError):
        Flow.from_json(body)


@pytest.mark.parametrize(
    ("option", "where", "what"),
    [
        ({"external_host": "agent"}, ".external_host", "is neither host:port nor a ws or wss URL"),
        ({"external_host": "agent:0"}, ".external_host", "is neither host:port"),
        ({"external_host": "http://agent:80"}, ".external_host", "is neither host:port"),
        ({"external_host": "::1:80"}, ".external_host", "an IPv6 address stands in brackets"),
        ({"encapsulation": "audiosocket"}, ".encapsulation", "audiosocket is not available here"),
        ({"encapsulation": "websocket"}, "", "external_host is the address of rtp, not of websocket"),
        ({"external_host": "ws://a/", "encapsulation": "rtp"}, "", "is the address of websocket, not of rtp"),
        ({"transport": "tcp"}, "", "external_host is the address of rtp, which does not go over tcp"),
        (
            {"external_host": "ws://a/", "transport": "udp"},
            "",
            "external_host is the address of websocket, which does not go over udp",
        ),
        ({"transport_data": "x"}, ".transport_data", "is not available here; leave it empty"),
        ({"connection_type": "server"}, ".connection_type", "server is not available here, only client"),
        ({"direction_speak": "in"}, ".direction_speak", "is not available here"),
        ({"direction_listen": "all"}, ".direction_listen", "'none', 'in', 'out' or 'both'"),
        ({"format": "opus"}, ".format", "'ulaw', 'alaw', 'slin' or 'slin16'"),
    ],
)
def test_what_a_fork_cannot_be_is_told_when_stored(option: dict[str, Any], where: str, what: str) -> None:
    start = step("external_media_start", **{"external_host": "198.51.100.9:4000", **option})
    ((place, told),) = faults_of(document(start))
    assert place == f"actions[0].option{where}"
    assert what in told


def test_talking_while_the_flow_goes_on_is_no_wait() -> None:
    talk = step("talk", "t", next_id="t", text="Hello", **{"async": True})
    ((_, told),) = faults_of(document(talk))
    assert "without a wait" in told
    assert compile_flow(document(step("talk", "t", next_id="t", text="Hello")))


def test_steps_without_an_id_can_be_given_one_that_is_the_same_each_time() -> None:
    plain = document(step("answer"), step("beep", NIL), step("beep", "step-1"), "no step", STOP)
    named = name_steps(plain)
    assert [action["id"] for action in named["actions"] if action != "no step"] == [
        "step-1-",
        "step-2",
        "step-1",
        "end",
    ]
    assert plain["actions"][0]["id"] is None
    assert named == name_steps(plain)
    others: list[Any] = [[], {}, {"actions": {}}, None]
    for other in others:
        assert name_steps(other) == other
