"""A flow that waits for the next text of a person waits over a `kill -9` and a restart, and so does its timer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.calls.daemon import Daemon, daemon
from tests.processes.line import Line, Packet, call_id_of, line

pytestmark = pytest.mark.server

NUMBER = "+14155550100"
CALLER = "+14156660001"
SIP = """
[[carriers]]
kind = "sip"
"""


def reply(text: str, id: str = "") -> dict[str, Any]:
    return {**({"id": id} if id else {}), "type": "reply", "option": {"text": text}}


@pytest.fixture
def edge(tmp_path: Path) -> Iterator[Daemon]:
    with daemon(tmp_path, SIP) as it:
        yield it


def ask(sip: Line, body: str) -> str:
    """Send a text, and take the answer to it."""
    request = sip.text(NUMBER, body, caller=CALLER)
    assert sip.hear(lambda packet: packet.answers(call_id_of(request))).status == 202
    return told(sip)


def told(sip: Line) -> str:
    packet = sip.hear(_is_text)
    sip.take(packet)
    return packet.body


def kill_once_it_waits(edge: Daemon) -> None:
    """Not before the reply is written down as sent, or it would be sent again."""
    edge.wait_until(lambda: edge.metric("edge_flow_runs_total", outcome="parked") == 1, "the parked run")
    sent = {"carrier": "sip", "direction": "outbound", "outcome": "sent"}
    edge.wait_until(lambda: edge.metric("edge_texts_total", **sent) == 1, "the receipt of the reply")
    edge.kill()


def _is_text(packet: Packet) -> bool:
    return packet.request and packet.method == "MESSAGE"


def test_the_answer_after_a_crash_goes_to_the_flow_that_asked(edge: Daemon) -> None:
    customer = edge.account()
    wait = {"type": "text_receive", "option": {"duration": 3_600_000}}
    flow = edge.flow(customer, reply("Your name?"), wait, reply("Hello ${voipbin.conversation_message.text}"))
    edge.own(customer, NUMBER, message_flow_id=flow)
    with line(edge) as sip:
        assert ask(sip, "hi") == "Your name?"
        kill_once_it_waits(edge)
        edge.start()
        assert ask(sip, "Ann") == "Hello Ann"


def test_a_timer_that_was_due_while_nobody_was_there_comes_after_the_start(edge: Daemon) -> None:
    customer = edge.account()
    wait = {"type": "text_receive", "option": {"duration": 1_000, "timeout_target_id": "late"}}
    flow = edge.flow(customer, reply("Your name?"), wait, reply("Hello"), reply("Too late", "late"))
    edge.own(customer, NUMBER, message_flow_id=flow)
    with line(edge) as sip:
        assert ask(sip, "hi") == "Your name?"
        kill_once_it_waits(edge)
        edge.start()
        assert told(sip) == "Too late"
