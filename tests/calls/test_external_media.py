"""Calls whose audio is forked to a voice agent, by RTP and by WebSocket: what the caller says arrives there, what the
agent says is heard, and whatever becomes of the agent, the call goes on.
"""

from __future__ import annotations

import socket
import time
from array import array
from collections.abc import Iterator
from typing import Any

import pytest

from edge.media.g711 import decode, encode
from tests.calls.agent import Agent
from tests.calls.caller import Call, Caller
from tests.calls.daemon import HOST, daemon
from tests.calls.exchange import ANSWER, STAY, Action, Exchange, hangup, play, sleep
from tests.calls.rtp import (
    QUIET,
    Address,
    Described,
    Packet,
    check_unbroken,
    codes,
    linear,
    offer,
    payloads,
    sound,
    write_wav,
)

STOP: Action = {"type": "external_media_stop"}
KEY: Action = {"type": "digits_receive", "option": {"duration": 20_000, "length": 1}}
SPOKEN = codes(0.4, "PCMU", seed=3)


@pytest.fixture(scope="module")
def exchange(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    """One that may reach this machine."""
    folder = tmp_path_factory.mktemp("agents")
    environ = {"EDGE_HTTP__ALLOW_PRIVATE": '["127.0.0.1/32"]', "EDGE_STORE__LAZY_MS": "20"}
    with daemon(folder, environ=environ) as found:
        yield Exchange(found)
        assert found.alive, found.words()


@pytest.fixture
def agent() -> Iterator[Agent]:
    with Agent() as found:
        yield found


@pytest.fixture
def host() -> Iterator[socket.socket]:
    """Where RTP goes."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((HOST, 0))
        sock.settimeout(5)
        yield sock


def fork(where: str, **option: Any) -> Action:
    return {"type": "external_media_start", "option": {"external_host": where, **option}}


def address(host: socket.socket) -> str:
    return f"{HOST}:{host.getsockname()[1]}"


def begin(caller: Caller, number: str) -> tuple[Call, Address]:
    """An answered call, and where its RTP goes."""
    call = caller.call(number, offer(caller.media))
    return call, Described.read(call.answered().body).address


def speak(caller: Caller, there: Address, encoded: bytes = SPOKEN, *, first: int = 0) -> None:
    """Say this in packets of 20 ms, as fast as it goes."""
    for count, at in enumerate(range(0, len(encoded), 160)):
        packet = Packet(0, count == 0, 1000 + first + count, 160 * (first + count), 0xC0FFEE, encoded[at : at + 160])
        caller.rtp.sendto(bytes(packet), there)
        if count % 8 == 7:  # no more than the edge reads in one tick
            caller.hear(1)


def press(caller: Caller, call: Call) -> None:
    assert call.ask("INFO", "Content-Type: application/dtmf", body=b"1").status == 200


def received(host: socket.socket, size: int) -> tuple[list[Packet], Address]:
    """Packets of so many bytes of payload together, and where they came from."""
    packets: list[Packet] = []
    source = ("", 0)
    while sum(len(packet.payload) for packet in packets) < size:
        data, source = host.recvfrom(4096)
        packets.append(Packet.read(data, source))
    return packets, source


def heard(caller: Caller, encoded: bytes) -> None:
    """Wait until the caller has heard this, whole and unbroken."""

    def look() -> bool | None:
        return encoded in payloads(sound(caller.packets, "PCMU")) or None

    caller.until(look, "what was said")


# By WebSocket


def test_an_agent_hears_the_caller_sample_for_sample_and_is_heard(
    exchange: Exchange, caller: Caller, agent: Agent
) -> None:
    number = exchange.number(ANSWER, fork(agent.url, format="ulaw", data="from ${voipbin.call.source.target}"), KEY)
    call, there = begin(caller, number)
    start = agent.word("start")
    record_id = start.pop("call_id")
    assert len(start.pop("id")) == 36
    assert start == {
        "type": "start",
        "source": "+14155550199",
        "destination": number,
        "format": "ulaw",
        "sample_rate": 8000,
        "listen": "in",
        "speak": True,
        "data": "from +14155550199",
    }
    speak(caller, there)
    agent.until(lambda: len(agent.audio) >= len(SPOKEN), "what the caller said")
    assert bytes(agent.audio) == SPOKEN
    answer = codes(0.3, "PCMU", seed=4)
    agent.send(answer[:1000])
    agent.send(answer[1000:])
    agent.say("mark", name="said")
    heard(caller, answer)
    assert agent.word("marked") == {"type": "marked", "name": "said", "played": True}
    press(caller, call)
    call.ended()
    assert agent.word("digits") == {"type": "digits", "digits": "1"}
    assert agent.word("stop") == {"type": "stop", "reason": "hangup"}
    assert agent.closed.wait(5)
    caller.drain()
    check_unbroken(caller.packets, "PCMU", 20)
    record = exchange.record(call.id)
    assert record["id"] == record_id
    assert [step["outcome"] for step in record["steps"]] == ["done"] * 3


def test_linear_samples_are_little_endian_and_lost_packets_silence(
    exchange: Exchange, caller: Caller, agent: Agent
) -> None:
    _, there = begin(caller, exchange.number(ANSWER, fork(agent.url, format="slin"), STAY))
    agent.word("start")
    speak(caller, there, SPOKEN[:320])
    speak(caller, there, SPOKEN[480:800], first=3)
    agent.until(lambda: len(agent.audio) >= 1600, "what the caller said")
    pcm = linear(SPOKEN[:800], "PCMU")
    assert bytes(agent.audio) == pcm[:640] + bytes(320) + pcm[960:]
    answer = codes(0.2, "PCMU", seed=5)
    agent.send(linear(answer, "PCMU"))
    heard(caller, answer)


def test_wide_samples_are_twice_as_many(exchange: Exchange, caller: Caller, agent: Agent) -> None:
    _, there = begin(caller, exchange.number(ANSWER, fork(agent.url, format="slin16"), STAY))
    assert agent.word("start")["sample_rate"] == 16_000
    speak(caller, there, SPOKEN + QUIET["PCMU"] * 160)
    agent.until(lambda: len(agent.audio) >= 4 * len(SPOKEN), "what the caller said")
    agent.send(bytes(agent.audio) + bytes(640))  # an echo, by way of both conversions
    spoken = caller.until(lambda: payloads(sound(caller.packets, "PCMU")) if caller.hear(25) else None, "the echo")
    assert len(spoken) == pytest.approx(len(SPOKEN), abs=480)


def test_what_the_agent_sent_ahead_is_cleared_at_once(exchange: Exchange, caller: Caller, agent: Agent) -> None:
    begin(caller, exchange.number(ANSWER, fork(agent.url), STAY))
    agent.word("start")
    agent.send(codes(30, "PCMU", seed=6))
    agent.say("mark", name="never")
    caller.until(lambda: len(sound(caller.packets, "PCMU")) > 5 or None, "the agent")
    agent.say("clear")
    assert agent.word("marked") == {"type": "marked", "name": "never", "played": False}
    caller.drain()
    before = len(caller.packets)
    caller.hear(8)
    quiet = [set(packet.payload) == set(QUIET["PCMU"]) for packet in caller.packets[before:]]
    assert all(quiet[2:]), "two packets may have been on their way"
    again = codes(0.1, "PCMU", seed=7)
    agent.send(again)
    heard(caller, again)


def test_the_flow_ends_it_and_goes_on(exchange: Exchange, caller: Caller, agent: Agent) -> None:
    number = exchange.number(ANSWER, fork(agent.url), KEY, STOP, KEY, hangup("busy"))
    call, there = begin(caller, number)
    agent.word("start")
    agent.send(codes(30, "PCMU", seed=8))
    caller.until(lambda: len(sound(caller.packets, "PCMU")) > 3 or None, "the agent")
    press(caller, call)
    assert agent.word("stop") == {"type": "stop", "reason": "stopped"}
    assert agent.closed.wait(5)
    came = len(agent.audio)
    speak(caller, there)
    caller.drain()
    before = len(caller.packets)
    caller.hear(5)
    assert not sound(caller.packets[before:], "PCMU")
    assert len(agent.audio) == came
    press(caller, call)
    assert call.ended().text("Reason") == "Q.850;cause=17"
    assert exchange.record(call.id)["steps"][3]["note"] == "1 ended"


@pytest.mark.parametrize("end", ["die", "close", "stop"])
def test_an_agent_that_is_gone_costs_its_own_audio(exchange: Exchange, caller: Caller, agent: Agent, end: str) -> None:
    before = {event: exchange.counted("edge_external_media_total", event=event) for event in ("lost", "stopped")}
    call, there = begin(caller, exchange.number(ANSWER, fork(agent.url), KEY, STOP, hangup("busy")))
    agent.word("start")
    speak(caller, there)
    agent.until(lambda: len(agent.audio) >= len(SPOKEN), "what the caller said")
    if end == "stop":
        agent.say("stop")
        agent.word("stop")
    else:
        getattr(agent, end)()
    event = "lost" if end == "die" else "stopped"
    exchange.wait(
        lambda: exchange.counted("edge_external_media_total", event=event) > before[event], "the end of the fork"
    )
    speak(caller, there, first=20)
    caller.hear(5)
    press(caller, call)
    assert call.ended().text("Reason") == "Q.850;cause=17"
    assert exchange.record(call.id)["steps"][3]["note"] == "0 ended"
    exchange.wait(lambda: exchange.counted("edge_external_media_forks") == 0, "that none is open")


def test_what_is_no_control_message_is_passed_over(exchange: Exchange, caller: Caller, agent: Agent) -> None:
    begin(caller, exchange.number(ANSWER, fork(agent.url), STAY))
    agent.word("start")
    for text in (
        "",
        "no json",
        "[]",
        "[" * 5000,
        '{"type": "dance"}',
        '{"type": "mark"}',
        '{"type": "mark", "name": 7}',
    ):
        agent.send_text(text)
    agent.say("mark", name="x" * 201)
    agent.say("mark", name="fine")
    assert agent.word("marked")["name"] == "fine"


def test_what_the_flow_plays_goes_before_what_the_agent_says(exchange: Exchange, caller: Caller, agent: Agent) -> None:
    prompt = codes(0.3, "PCMU", seed=9)
    write_wav(exchange.prompts / "prompt.wav", linear(prompt, "PCMU"))
    call, _ = begin(caller, exchange.number(ANSWER, fork(agent.url), KEY, play("prompt.wav"), sleep(500), hangup()))
    agent.word("start")
    press(caller, call)
    agent.send(codes(0.2, "PCMU", seed=10))
    call.ended()
    caller.drain()
    said = payloads(sound(caller.packets, "PCMU"))
    assert prompt in said
    assert said.endswith(codes(0.2, "PCMU", seed=10)[-160:])


def test_an_agent_may_hear_both_sides_mixed(exchange: Exchange, caller: Caller, agent: Agent) -> None:
    prompt = codes(0.3, "PCMU", seed=11)
    write_wav(exchange.prompts / "both.wav", linear(prompt, "PCMU"))
    start = fork(agent.url, format="slin", direction_listen="both", direction_speak="none")
    call, there = begin(caller, exchange.number(ANSWER, start, KEY, play("both.wav"), STAY))
    agent.word("start")
    press(caller, call)
    for count in range(60):
        packet = Packet(0, count == 0, count, 160 * count, 7, b"\xf0" * 160)  # which adds 120
        caller.rtp.sendto(bytes(packet), there)
        caller.hear(1)
    agent.until(lambda: len(agent.audio) >= 60 * 320, "all that was said")
    said = array("h", [sample - 120 for sample in array("h", bytes(agent.audio))]).tobytes()
    assert linear(prompt, "PCMU") in said
    call.hang_up()


# By RTP


@pytest.mark.parametrize(("name", "kind"), [("ulaw", 0), ("alaw", 8), ("slin", 11)])
def test_rtp_there_and_back(exchange: Exchange, caller: Caller, host: socket.socket, name: str, kind: int) -> None:
    call, there = begin(caller, exchange.number(fork(address(host), format=name), ANSWER, KEY, STOP, KEY))
    speak(caller, there)
    pcm = decode(SPOKEN, "PCMU")
    wire = {
        "ulaw": SPOKEN,
        "alaw": encode(pcm, "PCMA"),
        "slin": b"".join(pcm[at + 1 : at + 2] + pcm[at : at + 1] for at in range(0, len(pcm), 2)),
    }[name]
    packets, edge = received(host, len(wire))
    assert payloads(packets) == wire
    first = packets[0]
    assert first.marker
    for count, packet in enumerate(packets):
        assert (packet.kind, packet.ssrc) == (kind, first.ssrc)
        assert packet.sequence == (first.sequence + count) % 2**16
        assert packet.timestamp == (first.timestamp + 160 * count) % 2**32
    step = 160 * len(wire) // len(SPOKEN)
    for count, at in enumerate(range(0, len(wire), step)):
        host.sendto(bytes(Packet(kind, count == 0, count, 160 * count, 99, wire[at : at + step])), edge)
    back = encode(decode(encode(pcm, "PCMA"), "PCMA"), "PCMU") if name == "alaw" else SPOKEN
    heard(caller, back)
    press(caller, call)
    caller.hear(3)
    speak(caller, there, first=40)
    host.settimeout(0.1)
    with pytest.raises(TimeoutError):
        host.recv(4096)
    press(caller, call)
    call.ended()


def test_packets_of_a_stranger_are_not_heard(exchange: Exchange, caller: Caller, host: socket.socket) -> None:
    call, there = begin(caller, exchange.number(fork(address(host)), ANSWER, STAY))
    speak(caller, there, SPOKEN[:160])
    _, edge = received(host, 160)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind((HOST, 0))
        for count in range(10):
            stranger.sendto(bytes(Packet(0, False, count, 160 * count, 1, SPOKEN[:160])), edge)
    caller.hear(10)
    assert not sound(caller.packets, "PCMU")
    call.hang_up()


def test_a_host_that_is_not_there_costs_packets_only(exchange: Exchange, caller: Caller) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as gone:
        gone.bind((HOST, 0))
        where = address(gone)
    call, there = begin(caller, exchange.number(ANSWER, fork(where), KEY, hangup("busy")))
    speak(caller, there)
    press(caller, call)
    assert call.ended().text("Reason") == "Q.850;cause=17"


# What is refused


@pytest.mark.parametrize(
    ("where", "note"),
    [
        ("10.255.255.1:4000", "10.255.255.1 is at an address that is not allowed"),
        ("127.0.0.2:4000", "127.0.0.2 is at an address that is not allowed"),
        ("[::1]:4000", "::1 is at an address that is not allowed"),
        ("ws://127.0.0.2:1/x", "is at an address that is not allowed"),
        ("ws://127.0.0.1:1/x", "cannot connect to ws://127.0.0.1:1/x"),
        ("no-such-host.invalid:4000", "no-such-host.invalid was not found"),
    ],
)
def test_a_host_that_cannot_be_reached_is_a_step_that_failed(
    exchange: Exchange, caller: Caller, where: str, note: str
) -> None:
    call, _ = begin(caller, exchange.number(ANSWER, fork(where), hangup("busy")))
    assert call.ended().text("Reason") == "Q.850;cause=17"
    step = exchange.record(call.id)["steps"][1]
    assert step["outcome"] == "failed"
    assert note in step["note"]


def test_what_is_no_agent_is_told(exchange: Exchange, caller: Caller, agent: Agent) -> None:
    where = agent.url.replace("/agent", "/nothing")
    call, _ = begin(caller, exchange.number(ANSWER, fork(where), hangup()))
    call.ended()
    assert "opens no WebSocket: it was answered 404" in exchange.record(call.id)["steps"][1]["note"]


def test_so_many_forks_a_call_and_one_voice(exchange: Exchange, caller: Caller, agent: Agent) -> None:
    listen = {"direction_speak": "none"}
    forks = [fork(agent.url), fork(agent.url), *(fork(agent.url, **listen) for _ in range(4))]
    call, there = begin(caller, exchange.number(*forks, ANSWER, KEY, STOP, hangup()))
    speak(caller, there)
    agent.until(lambda: len(agent.audio) >= 4 * len(SPOKEN), "all that listen")
    press(caller, call)
    call.ended()
    steps = exchange.record(call.id)["steps"]
    assert [step["outcome"] for step in steps[:6]] == ["done", "failed", "done", "done", "done", "failed"]
    assert "another fork speaks to the caller already" in steps[1]["note"]
    assert "the call has 4 forks already" in steps[5]["note"]
    assert steps[8]["note"] == "4 ended"


def test_a_caller_who_hangs_up_leaves_no_fork_behind(exchange: Exchange, caller: Caller, agent: Agent) -> None:
    call, _ = begin(caller, exchange.number(ANSWER, fork(agent.url), STAY))
    agent.word("start")
    began = time.monotonic()
    call.hang_up()
    assert agent.word("stop")["reason"] == "hangup"
    assert agent.closed.wait(5)
    assert time.monotonic() - began < 2
    exchange.wait(lambda: exchange.counted("edge_external_media_forks") == 0, "that none is open")
