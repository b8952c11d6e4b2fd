"""The simulator tells the truth: the same flow with the same caller, once on the wire and once simulated, takes the
same steps and ends the same way. And nobody but the one who asked notices a simulation."""

from __future__ import annotations

import urllib.request
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from tests.calls.caller import Call, Caller
from tests.calls.exchange import ANSWER, Action, Exchange, hangup, redirect, sleep
from tests.calls.rtp import Described, offer, presses


def step(id: str, type: str, **option: Any) -> Action:
    return {"id": id, "type": type, "option": option}


def type_keys(keys: str) -> Callable[[Caller, Call], None]:
    def act(caller: Caller, call: Call) -> None:
        there = Described.read(call.answered().body).address
        for packets in presses(keys):
            for packet in packets:
                caller.rtp.sendto(bytes(packet), there)

    return act


def hang_up(caller: Caller, call: Call) -> None:
    call.answered()
    call.hang_up()


class Story(NamedTuple):
    """`act` is what the caller does on the wire, `script` the same for the simulator."""

    about: str
    flow: list[Action]
    script: dict[str, Any]
    act: Callable[[Caller, Call], None] | None = None  # None: he waits for a refusal


MENU = [
    ANSWER,
    step("ask", "digits_receive", duration=1500, length=1),
    step("menu", "branch", target_ids={"1": "one", "2": "two"}, default_target_id="again"),
    step("again", "goto", target_id="ask", loop_count=1),
    {**hangup("noanswer"), "id": "bye"},
    step("one", "variable_set", key="way", value="${voipbin.call.source.target} one"),
    step("check", "condition_variable", variable="${way}", value_string="+14155550199 one", false_target_id="bye"),
    {**hangup("busy"), "id": "two"},
]

STORIES = [
    Story("a refusal", [step("wait", "sleep", duration=100), {**hangup("busy"), "id": "no"}], {}),
    Story("a redirect", [{**redirect("sip:desk@example.com"), "id": "desk"}], {}),
    Story("a flow that fails before the answer", [step("b", "branch", variable="x", target_ids={"1": "b"})], {}),
    Story("a flow that ends without an answer", [step("set", "variable_set", key="x", value="y")], {}),
    Story(
        "a condition that does not hold",
        [
            step("first", "condition_variable", variable="a", value_string="b", false_target_id="shut"),
            {**hangup("normal"), "id": "open"},
            {**hangup("busy"), "id": "shut"},
        ],
        {},
    ),
    Story("a key", MENU, {"digits": "1"}, type_keys("1")),
    Story("another key at the second try", MENU, {"digits": "72"}, type_keys("72")),
    Story("the caller hangs up", [ANSWER, sleep(60_000)], {"hangup": 0.5}, hang_up),
]


def simulate(exchange: Exchange, flow_id: str, script: dict[str, Any]) -> dict[str, Any]:
    return exchange.daemon.ask("POST", f"/v1.0/flows/{flow_id}/simulate", script)


def taken(transcript: dict[str, Any]) -> list[str]:
    """The actions in the order they were taken."""
    turns = {event["turn"]: event["action"] for event in transcript["runs"][0]["events"] if event["turn"]}
    return [turns[turn] for turn in sorted(turns)]


@pytest.mark.parametrize("story", STORIES, ids=[story.about for story in STORIES])
def test_a_call(exchange: Exchange, caller: Caller, story: Story) -> None:
    number = exchange.provision(*story.flow)
    found = simulate(exchange, number["call_flow_id"], {**story.script, "caller": "+14155550199"})
    last = [event["what"] for event in found["runs"][0]["events"]][-1]
    call = caller.call(number["number"], offer(caller.media, "0 101", event=101))
    if story.act is None:
        status = call.final().status
        assert last.endswith(f": {status}"), last
    else:
        story.act(caller, call)
        if story.act is not hang_up:
            cause = call.ended().texts("Reason")[0].partition("=")[2]
            assert last == f"hangs up: BYE, cause {cause}"
    record = exchange.record(call.id)
    assert [entry["type"] for entry in record["steps"]] == taken(found)
    assert (found["runs"][0]["why"] == "the caller hung up") == (record["hangup_by"] == "remote")
    assert (found["runs"][0]["outcome"] == "failed") == (record["outcome"] == "failed")


def test_nobody_notices_a_simulation_and_the_picture_counts_real_calls_only(exchange: Exchange, caller: Caller) -> None:
    number = exchange.provision(ANSWER, {**hangup(), "id": "end"})
    names = ("edge_calls_total", "edge_flow_runs_total", "edge_actions_total")
    before = [exchange.counted(name) for name in names]
    for _ in range(3):
        assert taken(simulate(exchange, number["call_flow_id"], {})) == ["answer", "hangup"]
    assert [exchange.counted(name) for name in names] == before
    assert exchange.daemon.ask("GET", f"/v1.0/calls?number=%2B{number['number'][1:]}")["result"] == []
    call = caller.call(number["number"], offer(caller.media))
    call.answered()
    call.ended()
    exchange.record(call.id)
    request = urllib.request.Request(
        f"{exchange.daemon.url}/v1.0/flows/{number['call_flow_id']}/graph.svg?counts=true",
        headers={"Authorization": f"Bearer {exchange.daemon.token}"},
    )
    with urllib.request.urlopen(request, timeout=10) as response:
        picture = response.read().decode()
    assert picture.count("1 time, in 100 % of the runs") == 2
