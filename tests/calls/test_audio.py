"""What a caller hears, bit for bit against the file it comes from, and the stream that carries it."""

from __future__ import annotations

import time
from array import array
from pathlib import Path
from random import Random

import pytest

from edge.media import rtcp
from edge.media.audio import read_wav
from edge.media.g711 import Codec
from tests.calls.caller import Caller
from tests.calls.exchange import ANSWER, STAY, Exchange, hangup, play, sleep
from tests.calls.rtp import (
    QUIET,
    TYPES,
    Described,
    Packet,
    check_unbroken,
    codes,
    filled,
    linear,
    offer,
    payloads,
    sound,
    write_wav,
)

CODECS: tuple[Codec, ...] = ("PCMU", "PCMA")
FORMATS: dict[Codec, str] = {"PCMU": "0 8 101", "PCMA": "8 0 101"}


def heard(exchange: Exchange, caller: Caller, number: str, codec: Codec, ptime: int) -> list[Packet]:
    """All packets of a call that the flow ends."""
    call = caller.call(number, offer(caller.media, FORMATS[codec], ptime=ptime))
    answer = call.answered()
    agreed = Described.read(answer.body)
    assert agreed.formats.split()[0] == str(TYPES[codec])
    assert f"ptime:{ptime}" in agreed.attributes
    call.ended()
    caller.drain()
    check_unbroken(caller.packets, codec, ptime)
    assert {packet.source for packet in caller.packets} == {agreed.address}
    return caller.packets


@pytest.mark.parametrize("ptime", [10, 20, 30, 60])
@pytest.mark.parametrize("codec", CODECS)
def test_a_file_of_8_khz_is_heard_sample_for_sample(
    exchange: Exchange, caller: Caller, codec: Codec, ptime: int
) -> None:
    spoken = codes(0.2, codec)
    write_wav(exchange.prompts / f"spoken-{codec}.wav", linear(spoken, codec))
    number = exchange.number(ANSWER, play(f"spoken-{codec}.wav"), hangup())
    packets = heard(exchange, caller, number, codec, ptime)
    assert payloads(sound(packets, codec)) == filled(spoken, codec, ptime * 8)


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize(("rate", "channels"), [(16_000, 1), (44_100, 2), (48_000, 2)])
def test_a_file_of_another_rate_is_heard_as_it_was_converted(
    exchange: Exchange, caller: Caller, rate: int, channels: int, codec: Codec
) -> None:
    name = f"noise-{rate}.wav"
    noise = array("h", Random(rate).choices(range(-20_000, 20_000), k=int(rate * 0.15) * channels))
    write_wav(exchange.prompts / name, noise.tobytes(), rate=rate, channels=channels)
    number = exchange.number(ANSWER, play(name), hangup())
    packets = heard(exchange, caller, number, codec, 20)
    converted = read_wav((exchange.prompts / name).read_bytes(), name)
    assert converted.seconds == pytest.approx(0.15, abs=0.001)
    assert payloads(sound(packets, codec)) == filled(converted.encoded(codec), codec, 160)


def test_both_laws_of_one_greeting_at_once(exchange: Exchange) -> None:
    spoken = {codec: codes(0.26, codec, seed=7) for codec in CODECS}
    for codec in CODECS:
        write_wav(exchange.prompts / f"law-{codec}.wav", linear(spoken[codec], codec))
    number = exchange.number(ANSWER, play("law-PCMU.wav"), play("law-PCMA.wav"), hangup())
    with Caller(exchange.daemon.sip) as one, Caller(exchange.daemon.sip) as other:
        first, second = one.call(number, offer(one.media, "0")), other.call(number, offer(other.media, "8"))
        for call in (first, second):
            call.answered()
        for call in (first, second):
            call.ended()
        one.drain()
        other.drain()
        assert payloads(sound(one.packets, "PCMU")).startswith(spoken["PCMU"])
        assert payloads(sound(other.packets, "PCMA")).endswith(spoken["PCMA"])


def test_a_list_of_files_is_heard_in_its_order(exchange: Exchange, caller: Caller) -> None:
    parts = [codes(seconds, "PCMU", seed) for seed, seconds in enumerate((0.11, 0.05, 0.2))]
    names = [f"part-{number}.wav" for number in range(len(parts))]
    for name, part in zip(names, parts, strict=True):
        write_wav(exchange.prompts / name, linear(part, "PCMU"))
    order = [2, 0, 1, 0]
    number = exchange.number(ANSWER, play(*(names[place] for place in order)), hangup())
    packets = heard(exchange, caller, number, "PCMU", 20)
    assert payloads(sound(packets, "PCMU")) == b"".join(filled(parts[place], "PCMU", 160) for place in order)


def test_the_stream_never_stops_between_answer_and_bye(exchange: Exchange, caller: Caller) -> None:
    spoken = codes(0.2, "PCMU")
    write_wav(exchange.prompts / "short.wav", linear(spoken, "PCMU"))
    gather = {"type": "digits_receive", "option": {"duration": 300, "length": 1}}
    number = exchange.number(ANSWER, sleep(300), play("short.wav"), gather, play("short.wav"), hangup())
    packets = heard(exchange, caller, number, "PCMU", 20)
    quiet = QUIET["PCMU"] * 160
    shape = "".join("." if packet.payload == quiet else "#" for packet in packets)
    before, between = shape.index("#"), shape.strip(".").count(".")
    assert shape.strip(".") == "#" * 10 + "." * between + "#" * 10
    assert 12 <= before <= 25  # 15 while it sleeps
    assert 12 <= between <= 25  # 15 while it waits for keys
    assert payloads(sound(packets, "PCMU")) == spoken + quiet * between + spoken


def test_a_beep_is_heard(exchange: Exchange, caller: Caller) -> None:
    number = exchange.number(ANSWER, {"type": "beep"}, hangup())
    packets = heard(exchange, caller, number, "PCMU", 20)
    assert len(sound(packets, "PCMU")) >= 5


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("nowhere.wav", "nowhere.wav: cannot be opened"),
        ("link.wav", "link.wav: leaves the prompts directory"),
        ("text.wav", "text.wav: byte 0: is not a RIFF/WAVE file"),
        ("cut.wav", "cut.wav: byte 44: cut off"),
        (".", ".: leaves the prompts directory"),
        ("${up}/prompts/good.wav", "option.stream_urls[1]: leaves the prompts directory"),
        ("${root}etc/hostname", "option.stream_urls[1]: is absolute"),
        ("${ftp}127.0.0.1/good.wav", "option.stream_urls[1]: is neither a file name nor an http or https URL"),
    ],
)
def test_a_file_that_cannot_be_played_is_a_step_that_failed(
    exchange: Exchange, caller: Caller, tmp_path: Path, source: str, fault: str
) -> None:
    write_wav(tmp_path / "secret.wav", linear(codes(0.1, "PCMU"), "PCMU"))
    link = exchange.prompts / "link.wav"
    link.parent.mkdir(parents=True, exist_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to(tmp_path / "secret.wav")
    (exchange.prompts / "text.wav").write_text("This is not audio.")
    write_wav(exchange.prompts / "good.wav", linear(codes(0.1, "PCMU"), "PCMU"))
    (exchange.prompts / "cut.wav").write_bytes((exchange.prompts / "good.wav").read_bytes()[:200])
    values = [
        {"type": "variable_set", "option": {"key": key, "value": value}}
        for key, value in (("up", ".."), ("root", "/"), ("ftp", "ftp://"))
    ]
    number = exchange.number(*values, ANSWER, play("good.wav", source), sleep(60), hangup())
    call = caller.call(number, offer(caller.media))
    call.answered()
    call.ended()
    caller.drain()
    check_unbroken(caller.packets, "PCMU", 20)
    assert not sound(caller.packets, "PCMU"), "nothing of the list is played"
    record = exchange.record(call.id)
    assert (record["outcome"], record["sip_code"], record["error"]) == ("answered", 200, "")
    steps = record["steps"][len(values) :]
    assert [step["outcome"] for step in steps] == ["done", "failed", "done", "ended"]
    assert steps[1]["note"].startswith(fault)


def test_a_changed_file_is_heard_changed(exchange: Exchange) -> None:
    number = exchange.number(ANSWER, play("changing.wav"), hangup())

    def listen() -> bytes:
        with Caller(exchange.daemon.sip) as caller:
            return payloads(sound(heard(exchange, caller, number, "PCMU", 20), "PCMU"))

    for seed in (1, 2):
        spoken = codes(0.1, "PCMU", seed)
        write_wav(exchange.prompts / "changing.wav", linear(spoken, "PCMU"))
        deadline = time.monotonic() + 3
        while (said := listen()) != spoken:
            assert time.monotonic() < deadline, "the old one is still heard"
            assert seed == 2
            assert said == codes(0.1, "PCMU", 1)


def test_reports_and_a_goodbye_come_to_the_port_above(exchange: Exchange, caller: Caller) -> None:
    number = exchange.number(ANSWER, STAY)
    call = caller.call(number, offer(caller.media))
    there = Described.read(call.answered().body).address
    for count in range(10):
        packet = Packet(0, count == 0, 500 + count + (count > 4), 160 * count, 0xABCDEF, QUIET["PCMU"] * 160)
        caller.rtp.sendto(bytes(packet), there)
    report = caller.until(lambda: caller.reports[0] if caller.reports else None, "a report")
    (sent,) = rtcp.read(report)
    assert isinstance(sent, rtcp.Report)
    assert sent.sent is not None, "it sends, so it is a sender report"
    assert sent.ssrc == caller.packets[0].ssrc
    assert abs(len(caller.packets) - sent.sent.packets) <= 2
    assert sent.sent.octets == sent.sent.packets * 160
    (block,) = sent.blocks
    assert (block.ssrc, block.highest, block.lost) == (0xABCDEF, 510, 1)

    caller.reports.clear()
    call.hang_up()
    report = caller.until(lambda: caller.reports[0] if caller.reports else None, "the last report")
    caller.drain()
    last, bye = rtcp.read(report)
    assert isinstance(last, rtcp.Report)
    assert last.sent is not None
    assert last.sent.packets == len(caller.packets)
    assert bye == rtcp.Bye((sent.ssrc,))
    before = len(caller.packets)
    caller.listen(0.1)
    assert len(caller.packets) == before, "no packet after the BYE"

    record = exchange.record(call.id)
    assert (record["rtp_sent"], record["rtp_received"], record["rtp_lost"]) == (before, 10, 1)
    assert record["codec"] == "PCMU"


def test_audio_goes_to_where_the_callers_comes_from(exchange: Exchange, caller: Caller) -> None:
    """Behind a NAT the address in the SDP is not the one that is reached (RFC 4961)."""
    number = exchange.number(ANSWER, STAY)
    with Caller(exchange.daemon.sip) as nowhere:
        call = caller.call(number, offer(nowhere.media))
        there = Described.read(call.answered().body).address
        nowhere.hear(3)
        assert not caller.packets
        caller.rtp.sendto(bytes(Packet(0, True, 1, 0, 7, QUIET["PCMU"] * 160)), there)
        caller.hear(5)
        nowhere.drain()
        before = len(nowhere.packets)
        caller.hear(5)
        nowhere.drain()
        assert len(nowhere.packets) == before
        assert nowhere.packets[-1].sequence + 1 == caller.packets[0].sequence
        call.hang_up()
