"""Callers who are connected: a real daemon between a caller and those whom it rings, with their audio.

What each message has to be is in tests/sessions/calls/test_connecting.py; here it is what the two people get.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge.media.g711 import Codec, convert
from edge.sessions.calls import limits
from tests.calls.callee import Callee, Rung
from tests.calls.caller import Call, Caller
from tests.calls.daemon import new, running
from tests.calls.exchange import ANSWER, STAY, Exchange, hangup, play, sleep
from tests.calls.rtp import (
    QUIET,
    TYPES,
    Described,
    Packet,
    codes,
    filled,
    linear,
    offer,
    payloads,
    presses,
    sound,
    write_wav,
)
from tests.calls.test_recording import heard as recorded_sides
from tests.calls.test_recording import recorded

DESK, DOOR = "+14155550177", "+14155550178"

TRUNK = """
[[trunks]]
name = "{name}"
networks = ["{host}/32"]
country = "US"
target = "sip:{host}:{port}"
outbound = true
pass_caller = {passes}
"""


@pytest.fixture(scope="module")
def sockets() -> Iterator[list[socket.socket]]:
    made = []
    for host in ("127.0.0.5", "127.0.0.6"):
        one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        one.bind((host, 0))
        made.append(one)
    yield made
    for one in made:
        one.close()


@pytest.fixture(scope="module")
def exchange(tmp_path_factory: pytest.TempPathFactory, sockets: list[socket.socket]) -> Iterator[Exchange]:
    trunks = ""
    for name, one, passes in zip(("main", "other"), sockets, ("true", "false"), strict=True):
        host, port = one.getsockname()
        trunks += TRUNK.format(name=name, host=host, port=port, passes=passes)
    made = new(tmp_path_factory.mktemp("connect"), trunks, environ={"EDGE_STORE__LAZY_MS": "20"})
    with running(made):
        yield Exchange(made)
        assert made.alive, made.words()


@pytest.fixture
def callee(exchange: Exchange, sockets: list[socket.socket]) -> Iterator[Callee]:
    with Callee(exchange.daemon.sip, sockets[0]) as found:
        yield found


@pytest.fixture
def other(exchange: Exchange, sockets: list[socket.socket]) -> Iterator[Callee]:
    """Behind the second trunk."""
    with Callee(exchange.daemon.sip, sockets[1]) as found:
        yield found


@pytest.fixture(autouse=True)
def nothing_leaks(exchange: Exchange) -> Iterator[None]:
    """When the story is over no call and no stream is left."""
    yield
    exchange.wait(lambda: exchange.counted("edge_calls_active") == 0, "the end of all calls")
    exchange.wait(lambda: exchange.counted("edge_media_streams") == 0, "the end of all streams")


def connect(*destinations: str, **option: Any) -> dict[str, Any]:
    return {"id": "connect", "type": "connect", "option": {"destinations": list(destinations), **option}}


def talk(exchange: Exchange, caller: Caller, callee: Callee, *after: Any, **option: Any) -> tuple[Call, Rung]:
    """Two who talk, both in µ-law."""
    call = caller.call(exchange.number(connect(DESK, **option), *after), offer(caller.media))
    rung = callee.rung()
    rung.answers(offer(callee.media))
    call.answered()
    return call, rung


def say(phone: Caller, there: tuple[str, int], audio: bytes, codec: Codec, *, first: int = 500) -> None:
    """Send audio in packets of 20 ms, at their pace."""
    for count in range(len(audio) // 160):
        part = audio[160 * count : 160 * (count + 1)]
        phone.rtp.sendto(bytes(Packet(TYPES[codec], count == 0, first + count, 160 * count, 0xC0FFEE, part)), there)
        time.sleep(0.02)  # the pace itself: a phone sends a packet each 20 ms


def heard(phone: Caller, codec: Codec, packets: int) -> bytes:
    """What was heard that is no silence, once there is so much of it."""
    phone.until(lambda: len(sound(phone.packets, codec)) >= packets or None, f"{packets} packets of sound")
    return payloads(sound(phone.packets, codec))


def described(body: bytes) -> tuple[str, int]:
    return Described.read(body).address


# Audio


@pytest.mark.parametrize(("one", "another"), [("PCMU", "PCMU"), ("PCMA", "PCMA"), ("PCMU", "PCMA"), ("PCMA", "PCMU")])
def test_each_hears_the_other_bit_for_bit(
    exchange: Exchange, caller: Caller, callee: Callee, one: Codec, another: Codec
) -> None:
    call = caller.call(exchange.number(connect(DESK), STAY), offer(caller.media, f"{TYPES[one]} 101"))
    rung = callee.rung()
    offered = Described.read(rung.invite.body)
    assert offered.formats.split()[:2] == ([str(TYPES[one]), "8" if one == "PCMU" else "0"])
    rung.answers(offer(callee.media, f"{TYPES[another]} 101"))
    answered = described(call.answered().body)
    said, replied = codes(0.3, one, seed=3), codes(0.3, another, seed=4)
    say(caller, answered, said, one)
    say(callee, offered.address, replied, another)
    assert heard(callee, another, 15) == convert(said, one, another)
    assert heard(caller, one, 15) == convert(replied, another, one)
    for phone, codec in ((caller, one), (callee, another)):
        loud = sound(phone.packets, codec)
        assert {packet.ssrc for packet in loud} == {phone.packets[0].ssrc}, "one stream, ours"
        assert [packet.sequence for packet in loud] == [(loud[0].sequence + n) % 2**16 for n in range(len(loud))]
    call.hang_up()
    rung.ended()
    record = exchange.record(call.id)
    assert (record["outcome"], record["codec"], record["rtp_received"]) == ("answered", one, 15)


def test_the_leg_has_a_record_of_its_own(exchange: Exchange, caller: Caller, callee: Callee) -> None:
    call, rung = talk(exchange, caller, callee)
    call.hang_up()
    rung.ended()
    master, leg = exchange.record(call.id), exchange.record(rung.id)
    assert (master["direction"], leg["direction"]) == ("incoming", "outgoing")
    assert (leg["outcome"], leg["sip_code"], leg["trunk"]) == ("answered", 200, "main")
    assert (leg["source"]["target"], leg["destination"]["target"]) == (caller.user, DESK)
    assert leg["customer_id"] == master["customer_id"]
    assert leg["tm_progressing"] is not None
    assert leg["hangup_by"] == "local"


def test_keys_pass(exchange: Exchange, caller: Caller, callee: Callee) -> None:
    call, rung = talk(exchange, caller, callee)
    for packets in presses("4#"):
        for packet in packets:
            caller.rtp.sendto(bytes(packet), described(call_body(call)))

    def events() -> list[Packet] | None:
        found = [packet for packet in callee.packets if packet.kind == 101]
        return found if len(found) >= 12 else None

    keys = callee.until(events, "keys")
    assert bytes(packet.payload[0] for packet in keys if packet.marker) == bytes([4, 11])
    call.hang_up()
    rung.ended()


def call_body(call: Call) -> bytes:
    """The SDP of our 200, asked for again."""
    return call.reinvite(offer(call.caller.media)).body


def test_keys_by_info_are_pressed(exchange: Exchange, caller: Caller, callee: Callee) -> None:
    call, rung = talk(exchange, caller, callee)
    say(callee, described(rung.invite.body), QUIET["PCMU"] * 160, "PCMU")
    assert call.ask("INFO", "Content-Type: application/dtmf-relay", body=b"Signal=7\r\nDuration=160\r\n").status == 200
    key = callee.until(lambda: next((one for one in callee.packets if one.kind == 101), None), "a key")
    assert (key.marker, key.payload[0]) == (True, 7)
    callee.until(lambda: (callee.packets[-1].kind == 101 and callee.packets[-1].payload[1] & 0x80) or None, "its end")
    said = codes(0.5, "PCMU", seed=9)
    say(caller, described(call_body(call)), said, "PCMU")
    callee.until(lambda: callee.packets[-1].payload == said[-160:] or None, "and then they talk on")
    call.hang_up()
    rung.ended()


# The end


def test_when_the_callee_hangs_up_the_next_step_plays(exchange: Exchange, caller: Caller, callee: Callee) -> None:
    spoken = codes(0.2, "PCMU", seed=5)
    write_wav(exchange.prompts / "thanks.wav", linear(spoken, "PCMU"))
    call, rung = talk(exchange, caller, callee, play("thanks.wav"), hangup())
    rung.hang_up()
    call.ended()
    caller.drain()
    assert payloads(sound(caller.packets, "PCMU")) == filled(spoken, "PCMU", 160)
    steps = exchange.record(call.id)["steps"]
    assert [(step["type"], step["outcome"]) for step in steps] == [
        ("connect", "done"),
        ("play", "done"),
        ("hangup", "ended"),
    ]
    assert steps[0]["note"] == f"answered (200): tel:{DESK}"


def test_a_caller_who_gives_up_cancels(exchange: Exchange, caller: Caller, callee: Callee) -> None:
    call = caller.call(exchange.number(connect(DESK)), offer(caller.media))
    rung = callee.rung()
    rung.rings()
    call.provisional(180)
    call.cancel()
    assert call.refused().status == 487
    rung.cancelled()
    assert exchange.record(rung.id)["outcome"] == "cancelled"
    assert exchange.record(call.id)["outcome"] == "cancelled"


def test_an_answer_that_comes_too_late_is_acknowledged_and_ended(
    exchange: Exchange, caller: Caller, callee: Callee
) -> None:
    call = caller.call(exchange.number(connect(DESK)), offer(caller.media))
    rung = callee.rung()
    rung.rings()
    call.provisional(180)
    call.cancel()
    assert call.refused().status == 487
    callee.reply(callee.request("CANCEL"), 200)
    rung.answers(offer(callee.media))
    rung.ended()


def test_both_hang_up_at_once(exchange: Exchange, caller: Caller, callee: Callee) -> None:
    call, rung = talk(exchange, caller, callee)
    one, another = call.send("BYE"), rung.send("BYE")
    assert caller.answer(one).status == 200
    assert callee.answer(another).status == 200


# Who is rung


def test_who_does_not_answer_is_given_up_and_the_next_is_rung(
    exchange: Exchange, caller: Caller, callee: Callee
) -> None:
    number = exchange.number(connect(DESK, DOOR, order="in_turn", ring_timeout=1000), hangup())
    call = caller.call(number, offer(caller.media))
    first = callee.rung()
    first.rings()
    first.cancelled()
    second = callee.rung()
    assert second.invite.uri.startswith(f"sip:{DOOR}@")
    second.answers(offer(callee.media))
    call.answered()
    second.hang_up()
    call.ended()


@pytest.mark.parametrize(("status", "relayed", "reason"), [(486, 486, 17), (603, 603, 21), (404, 404, 1)])
def test_what_a_human_says_ends_it(
    exchange: Exchange, caller: Caller, callee: Callee, status: int, relayed: int, reason: int
) -> None:
    number = exchange.number(connect(DESK, DOOR, order="in_turn", relay_reason=True))
    call = caller.call(number, offer(caller.media))
    callee.rung().refuses(status)
    refusal = call.refused()
    assert refusal.status == relayed
    assert refusal.text("Reason") == f"Q.850;cause={reason}"
    callee.spared()
    assert f" ({status}): tel:{DESK}" in exchange.record(call.id)["steps"][0]["note"]


def test_a_trunk_that_fails_is_passed_over(exchange: Exchange, caller: Caller, callee: Callee) -> None:
    number = exchange.number(connect(DESK, DOOR, order="in_turn"), hangup("busy"))
    call = caller.call(number, offer(caller.media))
    callee.rung().refuses(503)
    second = callee.rung()
    second.refuses(486)
    assert call.refused().status == 486
    assert exchange.record(call.id)["steps"][0]["note"] == f"busy (486): tel:{DOOR}"


def test_all_are_rung_at_once_and_the_losers_are_cancelled(exchange: Exchange, caller: Caller, callee: Callee) -> None:
    call = caller.call(exchange.number(connect(DESK, DOOR, "+14155550179"), hangup()), offer(caller.media))
    rung = [callee.rung() for _ in range(3)]
    for one in rung:
        one.rings()
    rung[1].answers(offer(callee.media))
    call.answered()
    rung[0].cancelled()
    rung[2].cancelled()
    assert exchange.record(rung[0].id)["hangup_reason"] == "elsewhere"
    rung[1].hang_up()
    call.ended()


# What the caller hears


def test_early_media_are_heard_before_the_answer(exchange: Exchange, caller: Caller, callee: Callee) -> None:
    call = caller.call(exchange.number(connect(DESK, early_media=True)), offer(caller.media))
    rung = callee.rung()
    rung.rings(offer(callee.media))
    assert call.provisional(183).has_sdp
    said = codes(0.2, "PCMU", seed=6)
    say(callee, described(rung.invite.body), said, "PCMU")
    assert heard(caller, "PCMU", 10) == said
    rung.answers(offer(callee.media))
    call.answered()
    call.hang_up()
    rung.ended()


def test_an_answered_caller_hears_a_ring_of_ours(exchange: Exchange, caller: Caller, callee: Callee) -> None:
    call = caller.call(exchange.number(ANSWER, connect(DESK)), offer(caller.media))
    call.answered()
    rung = callee.rung()
    caller.hear(5)
    assert not sound(caller.packets, "PCMU"), "it does not ring yet"
    rung.rings()
    heard(caller, "PCMU", 20)
    rung.answers(offer(callee.media))
    call.hang_up()
    rung.ended()


# Hold


def test_a_hold_is_passed_both_ways(exchange: Exchange, caller: Caller, callee: Callee) -> None:
    call, rung = talk(exchange, caller, callee)
    held = call.send(
        "INVITE", "Content-Type: application/sdp", body=offer(caller.media, direction="sendonly", version=2)
    )
    passed = rung.reinvited(offer(callee.media, direction="recvonly", version=2))
    assert Described.read(passed.body).direction == "sendonly"
    answer = caller.answer(held)
    assert (answer.status, Described.read(answer.body).direction) == (200, "recvonly")
    call.acknowledge(answer)
    resumed = call.send("INVITE", "Content-Type: application/sdp", body=offer(caller.media, version=3))
    assert Described.read(rung.reinvited(offer(callee.media, version=3)).body).direction == "sendrecv"
    call.acknowledge(caller.answer(resumed))

    data = rung.send("INVITE", body=offer(callee.media, direction="inactive", version=4))
    passed = caller.request("INVITE")
    assert Described.read(passed.body).direction == "inactive"
    body = offer(caller.media, direction="inactive", version=4)
    caller.reply(
        passed, 200, f"Contact: <sip:{caller.user}@{caller.hostport}>", "Content-Type: application/sdp", body=body
    )
    caller.request("ACK")
    assert Described.read(callee.answer(data).body).direction == "inactive"
    rung.send("ACK", number=rung.number)
    call.hang_up()
    rung.ended()


# Whether it may


def test_a_number_abroad_is_not_rung(exchange: Exchange, caller: Caller, callee: Callee) -> None:
    call = caller.call(exchange.number(connect("+442079460000")), offer(caller.media))
    assert call.refused().status == 500
    callee.spared()
    assert "+442079460000 is abroad" in exchange.record(call.id)["error"]


def test_a_source_that_is_not_the_accounts_is_refused(exchange: Exchange, caller: Caller, callee: Callee) -> None:
    call = caller.call(exchange.number(connect(DESK, source="+14155550666")), offer(caller.media))
    assert call.refused().status == 500
    callee.spared()
    assert "no active number of this account" in exchange.record(call.id)["error"]


def test_a_trunk_that_shows_only_our_numbers(exchange: Exchange, caller: Caller, other: Callee) -> None:
    number = exchange.number(connect(DESK, trunk="other"), hangup("busy"))
    call = caller.call(number, offer(caller.media))
    rung = other.rung()
    assert f"sip:{number}@" in rung.invite.text("From")
    assert caller.user not in rung.invite.data.decode()
    rung.refuses(486)
    assert call.refused().status == 486


def test_an_account_with_a_list_may_call_what_it_names(exchange: Exchange, caller: Caller, callee: Callee) -> None:
    customer = exchange.daemon.account()
    exchange.daemon.ask("PUT", f"/v1.0/customers/{customer}", {"destinations": ["+4420"]})
    abroad = exchange.number(connect("+442079460000"), hangup("busy"), customer=customer)
    call = caller.call(abroad, offer(caller.media))
    callee.rung().refuses(486)
    assert call.refused().status == 486
    at_home = exchange.number(connect(DESK), customer=customer)
    assert caller.call(at_home, offer(caller.media)).refused().status == 500
    callee.spared()


# From number to number


def test_a_number_of_ours_is_reached_within_the_edge_whoever_owns_it(
    exchange: Exchange, caller: Caller, callee: Callee
) -> None:
    spoken = codes(0.2, "PCMU", seed=8)
    write_wav(exchange.prompts / "inside.wav", linear(spoken, "PCMU"))
    digits = {"id": "keys", "type": "digits_receive", "option": {"duration": 5000, "length": 1}}
    reached = exchange.number(ANSWER, play("inside.wav"), digits, hangup(), customer=exchange.daemon.account())
    number = exchange.number(connect(reached), hangup())
    call = caller.call(number, offer(caller.media))
    there = described(call.answered().body)
    assert heard(caller, "PCMU", 10) == filled(spoken, "PCMU", 160)
    for packet in presses("5")[0]:
        caller.rtp.sendto(bytes(packet), there)
    call.ended()
    callee.spared(0.1)
    legs = exchange.daemon.all("/v1.0/calls")
    (master,) = [one for one in legs if one["edge"]["call_id"] == call.id]
    (leg,) = [one for one in legs if one["master_call_id"] == master["id"]]
    (inner,) = [one for one in legs if one["edge"]["call_id"] == leg["edge"]["call_id"] and one["id"] != leg["id"]]
    assert (leg["direction"], inner["direction"]) == ("outgoing", "incoming")
    assert (inner["source"]["target"], inner["destination"]["target"]) == (caller.user, reached)
    assert leg["customer_id"] == master["customer_id"]
    assert inner["customer_id"] != master["customer_id"]
    assert [step["note"] for step in inner["edge"]["steps"] if step["step"] == "keys"] == ["1 keys"]


def test_a_number_that_calls_itself_is_482(exchange: Exchange, caller: Caller) -> None:
    number = exchange.number(connect("${voipbin.call.destination.target}", relay_reason=True))
    refusal = caller.call(number, offer(caller.media)).refused()
    assert refusal.status == 482
    assert refusal.text("Reason") == "Q.850;cause=25"


def test_numbers_that_call_each_other_are_482(exchange: Exchange, caller: Caller) -> None:
    first = exchange.provision()
    second = exchange.number(connect(first["number"], relay_reason=True))
    flow = exchange.flow(connect(second, relay_reason=True))
    exchange.daemon.ask("PUT", f"/v1.0/numbers/{first['id']}", {"call_flow_id": flow})
    assert caller.call(first["number"], offer(caller.media)).refused().status == 482


def test_a_chain_of_numbers_has_an_end(exchange: Exchange, caller: Caller) -> None:
    number = exchange.number(ANSWER, hangup())
    for _ in range(limits.HOPS - 1):
        number = exchange.number(connect(number, relay_reason=True))
    call = caller.call(number, offer(caller.media))
    call.answered()
    call.hang_up()
    longer = exchange.number(connect(exchange.number(connect(number, relay_reason=True)), relay_reason=True))
    assert caller.call(longer, offer(caller.media)).refused().status == 482


def test_what_a_stranger_says_of_a_path_is_not_believed(exchange: Exchange, caller: Caller) -> None:
    number = exchange.number(hangup("busy"))
    call = caller.call(number, offer(caller.media), f"X-Edge-Path: {number}")
    assert call.refused().status == 486


def test_a_number_of_a_suspended_account_is_not_reached(exchange: Exchange, caller: Caller, callee: Callee) -> None:
    customer = exchange.daemon.account()
    reached = exchange.number(ANSWER, customer=customer)
    number = exchange.number(connect(reached, relay_reason=True))
    exchange.daemon.ask("PUT", f"/v1.0/customers/{customer}", {"status": "suspended"})
    assert caller.call(number, offer(caller.media)).refused().status == 403
    callee.spared(0.1)


# Calls of their own


def order(*destinations: str, **option: Any) -> dict[str, Any]:
    return {"id": "order", "type": "call", "option": {"destinations": list(destinations), **option}}


def test_a_call_of_its_own_runs_its_steps_once_it_is_answered(
    exchange: Exchange, caller: Caller, callee: Callee
) -> None:
    spoken = codes(0.2, "PCMU", seed=11)
    write_wav(exchange.prompts / "told.wav", linear(spoken, "PCMU"))
    which = {"condition": "==", "variable": "${voipbin.call.direction}", "value_type": "string"}
    steps = [
        {"type": "condition_variable", "option": {**which, "value_string": "outgoing", "false_target_id": "x"}},
        play("told.wav"),
        {"id": "x", "type": "hangup"},
    ]
    number = exchange.number(order(DESK, actions=steps), hangup("busy"))
    call = caller.call(number, offer(caller.media))
    assert call.refused().status == 486, "it goes on at once"
    rung = callee.rung()
    assert f"sip:{number}@" in rung.invite.text("From")
    rung.rings()
    rung.answers(offer(callee.media))
    assert heard(callee, "PCMU", 10) == filled(spoken, "PCMU", 160)
    rung.ended()
    record = exchange.record(rung.id)
    assert (record["direction"], record["outcome"], record["hangup_by"]) == ("outgoing", "answered", "local")
    assert [step["outcome"] for step in record["steps"]] == ["done", "done", "ended"]
    assert (record["source"]["target"], record["destination"]["target"]) == (number, DESK)


def test_a_text_may_order_a_call(exchange: Exchange, caller: Caller, callee: Callee) -> None:
    number = exchange.number(texts=(order("${voipbin.conversation.peer.target}", actions=[hangup()]),))
    assert caller.answer(caller.text(number, "call me")).status == 202
    rung = callee.rung()
    assert rung.invite.uri.startswith(f"sip:{caller.user}@")
    assert f"sip:{number}@" in rung.invite.text("From")
    rung.answers(offer(callee.media))
    rung.ended()


def test_a_chained_call_ends_with_the_one_that_ordered_it(exchange: Exchange, caller: Caller, callee: Callee) -> None:
    number = exchange.number(ANSWER, order(DESK, actions=[STAY], chained=True), STAY)
    call = caller.call(number, offer(caller.media))
    call.answered()
    rung = callee.rung()
    rung.answers(offer(callee.media))
    callee.hear(3)
    call.hang_up()
    rung.ended()
    assert exchange.record(rung.id)["master_call_id"] == exchange.record(call.id)["id"]


def test_a_chained_call_that_rings_is_cancelled(exchange: Exchange, caller: Caller, callee: Callee) -> None:
    call = caller.call(exchange.number(ANSWER, order(DESK, actions=[STAY], chained=True), STAY), offer(caller.media))
    call.answered()
    rung = callee.rung()
    rung.rings()
    call.hang_up()
    rung.cancelled()


def test_any_other_call_of_its_own_goes_on(exchange: Exchange, caller: Caller, callee: Callee) -> None:
    call = caller.call(exchange.number(ANSWER, order(DESK, actions=[STAY]), STAY), offer(caller.media))
    call.answered()
    rung = callee.rung()
    rung.answers(offer(callee.media))
    call.hang_up()
    callee.hear(5)
    rung.hang_up()
    assert exchange.record(rung.id)["hangup_by"] == "remote"


def test_a_call_of_its_own_may_be_connected_further(exchange: Exchange, callee: Callee, other: Callee) -> None:
    """Who orders a call back is rung first, then the one he wants to talk to."""
    number = exchange.number(ANSWER)
    body = {
        "customer_id": exchange.customer,
        "source": number,
        "destinations": [{"type": "tel", "target": DESK}],
        "actions": [connect(DOOR, trunk="other")],
    }
    made = exchange.daemon.ask("POST", "/v1.0/calls", body)
    assert made["groupcalls"] == []
    (begun,) = made["calls"]
    assert (begun["status"], begun["direction"]) == ("dialing", "outgoing")
    first = callee.rung()
    first.answers(offer(callee.media))
    second = other.rung()
    assert f"sip:{number}@" in second.invite.text("From")
    second.answers(offer(other.media))
    said = codes(0.2, "PCMU", seed=12)
    say(callee, described(first.invite.body), said, "PCMU")
    assert heard(other, "PCMU", 10) == said
    second.hang_up()
    first.ended()
    assert exchange.record(first.id)["id"] == begun["id"]
    assert exchange.record(second.id)["master_call_id"] == begun["id"]


def test_a_call_that_is_up_is_read_and_ended_over_the_api(exchange: Exchange, callee: Callee) -> None:
    number = exchange.number(ANSWER)
    body = {"customer_id": exchange.customer, "source": number, "destinations": [DESK], "actions": [STAY]}
    (begun,) = exchange.daemon.ask("POST", "/v1.0/calls", body)["calls"]
    path = f"/v1.0/calls/{begun['id']}"
    rung = callee.rung()
    rung.answers(offer(callee.media))
    exchange.wait(lambda: exchange.daemon.ask("GET", path)["status"] == "progressing", "the call that is up")
    up = exchange.daemon.ask("GET", f"/v1.0/calls?live=true&number=%2B{number[1:]}")["result"]
    assert [(one["id"], one["status"]) for one in up] == [(begun["id"], "progressing")]
    ended = exchange.daemon.ask("POST", f"{path}/hangup", {})
    assert (ended["id"], ended["status"], ended["hangup_by"]) == (begun["id"], "hangup", "local")
    rung.ended()
    assert exchange.record(rung.id)["id"] == begun["id"]
    found, answer = exchange.daemon.request("POST", f"{path}/hangup", {})
    assert (found, answer["error"]["reason"]) == (404, "CALL_NOT_FOUND")


def test_a_call_over_the_api_begins_with_its_variables(exchange: Exchange, callee: Callee) -> None:
    flow = exchange.flow(
        {
            "id": "b",
            "type": "branch",
            "option": {"variable": "who", "target_ids": {"Ann": "x"}, "default_target_id": "y"},
        },
        {"id": "x", "type": "hangup"},
        {"id": "y", "type": "stop"},
    )
    body = {
        "customer_id": exchange.customer,
        "source": exchange.number(ANSWER),
        "destinations": [DESK],
        "flow_id": flow,
        "variables": {"who": "Ann"},
    }
    exchange.daemon.ask("POST", "/v1.0/calls", body)
    rung = callee.rung()
    rung.answers(offer(callee.media))
    rung.ended()
    record = exchange.record(rung.id)
    assert [step["step"] for step in record["steps"]] == ["b", "x"]
    assert record["flow_id"] == flow


@pytest.mark.parametrize(
    ("change", "status", "reason"),
    [
        ({"source": "+14155550666"}, 403, "SOURCE_NOT_ALLOWED"),
        ({"destinations": ["+442079460000"]}, 403, "DESTINATION_NOT_ALLOWED"),
        ({"flow_id": "01910000-0000-7000-8000-00000000ffff", "actions": None}, 400, "FLOW_NOT_FOUND"),
        ({"flow_id": "01910000-0000-7000-8000-00000000ffff"}, 400, "INVALID_ARGUMENT"),
        ({"actions": [{"type": "nothing"}]}, 400, "INVALID_FLOW"),
        ({"variables": {"voipbin.call.id": "x"}}, 403, "PERMISSION_DENIED"),
        ({"destinations": []}, 400, "INVALID_ARGUMENT"),
    ],
)
def test_an_order_that_cannot_be_followed_says_why(
    exchange: Exchange, callee: Callee, change: dict[str, Any], status: int, reason: str
) -> None:
    body = {
        "customer_id": exchange.customer,
        "source": exchange.number(ANSWER),
        "destinations": [DESK],
        "actions": [STAY],
    }
    wanted = {key: value for key, value in {**body, **change}.items() if value is not None}
    found, answer = exchange.daemon.request("POST", "/v1.0/calls", wanted)
    assert (found, answer["error"]["reason"]) == (status, reason)
    callee.spared(0.1)


def test_numbers_that_order_calls_of_each_other_come_to_an_end(exchange: Exchange, caller: Caller) -> None:
    number = exchange.number(ANSWER, order("${voipbin.call.destination.target}", actions=[STAY]), sleep(100), hangup())
    call = caller.call(number, offer(caller.media))
    call.answered()
    call.ended()


def test_the_host_of_a_uri_may_answer_and_hang_up_but_not_call(tmp_path: Path) -> None:
    """It belongs to no trunk: it is heard because we call it."""
    made = new(tmp_path, environ={"EDGE_SIP__ALLOW_PRIVATE": '["127.0.0.7/32"]', "EDGE_STORE__LAZY_MS": "20"})
    made.configure(networks="127.0.0.1/32")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sip:
        sip.bind(("127.0.0.7", 0))
        with running(made), Caller(made.sip) as caller, Callee(made.sip, sip) as callee:
            exchange = Exchange(made)
            number = exchange.number(connect(f"sip:desk@{callee.hostport}"), hangup())
            unheard = callee.call(number, offer(callee.media))
            callee.listen(0.3)
            assert not callee.inbox, "nobody knows it yet"
            call = caller.call(number, offer(caller.media))
            rung = callee.rung()
            assert rung.invite.uri == f"sip:desk@{callee.hostport}"
            rung.answers(offer(callee.media))
            call.answered()
            assert callee.call(number, offer(callee.media)).refused().status == 403
            rung.hang_up()
            call.ended()
            assert unheard.id != call.id
            inside = exchange.number(connect("sip:desk@127.0.0.8"), hangup())
            assert caller.call(inside, offer(caller.media)).refused().status == 500


def test_the_daemon_that_drains_ends_both(tmp_path: Path, sockets: list[socket.socket]) -> None:
    host, port = sockets[0].getsockname()
    trunk = TRUNK.format(name="main", host=host, port=port, passes="true")
    with (
        running(new(tmp_path, trunk, drain_seconds=0.2)) as made,
        Caller(made.sip) as caller,
        Callee(made.sip, sockets[0]) as callee,
    ):
        call, rung = talk(Exchange(made), caller, callee)
        made.process.terminate()
        call.ended()
        rung.ended()
        assert made.process.wait(10) == 0


def test_a_callee_that_never_says_a_word_is_given_up(exchange: Exchange, caller: Caller, callee: Callee) -> None:
    call = caller.call(
        exchange.number(connect(DESK, ring_timeout=1000), sleep(10), hangup("busy")), offer(caller.media)
    )
    rung = callee.rung()
    assert call.refused().status == 486
    rung.says(100)
    rung.cancelled()


def test_both_are_recorded_each_on_his_side(exchange: Exchange, caller: Caller, callee: Callee) -> None:
    flow = (ANSWER, {"type": "recording_start"}, connect(DESK), STAY)
    call = caller.call(exchange.number(*flow), offer(caller.media))
    answered = described(call.answered().body)
    rung = callee.rung()
    rung.answers(offer(callee.media, "8 101"))
    said, replied = codes(0.4, "PCMU", seed=11), codes(0.4, "PCMA", seed=12)
    say(caller, answered, said, "PCMU")
    say(callee, described(rung.invite.body), replied, "PCMA")
    heard(caller, "PCMU", 20)
    call.hang_up()
    rung.ended()
    (recording,) = recorded(exchange, call)
    left, right = recorded_sides(exchange, recording)
    assert said in left
    assert convert(replied, "PCMA", "PCMU") in right
