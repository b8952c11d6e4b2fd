"""The messages of recent calls: what is kept, how long, and what people see of it."""

from __future__ import annotations

import shutil
import struct
import subprocess
import time
from itertools import count
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.sip import capture as module
from edge.sip.capture import Capture, Captured, Passed
from edge.sip.ladder import label_of, svg, text
from edge.sip.masking import masked
from edge.sip.pcap import pcap
from edge.sip.peer import Peer
from tests.sip.ladder import invite, request

CALLER = Peer("udp", ("192.0.2.1", 5060), ("192.0.2.9", 5062))
CALLEE = Peer("tcp", ("192.0.2.1", 5060), ("198.51.100.7", 5060), 3)
SIX = Peer("udp", ("2001:db8::1", 5060), ("2001:db8::9", 5062))
LOOP = Peer("loop", ("192.0.2.1", 5060), ("192.0.2.1", 5060))


def capture(limit: int = 1_000_000) -> Capture:
    times = count(1_700_000_000_000_000, 250)
    return Capture(limit, lambda: next(times))


def answer(status: str, call_id: str = "call-1") -> bytes:
    return (
        f"SIP/2.0 {status}\r\nVia: SIP/2.0/UDP 192.0.2.9:5062\r\nCall-ID: {call_id}\r\nCSeq: 1 INVITE\r\n"
        "Content-Length: 0\r\n\r\n"
    ).encode()


def call(kept: Capture, call_id: str = "call-1", peer: Peer = CALLER) -> None:
    kept(False, peer, invite(call_id=call_id))
    kept(True, peer, answer("100 Trying", call_id))
    kept(True, peer, answer("404 Not Found", call_id))
    kept(False, peer, request("ACK", call_id=call_id))


def words(passed: Passed) -> list[str]:
    return [label_of(message.data).split()[0] for message in passed.messages]


def test_the_messages_of_a_call_are_found_by_its_call_id() -> None:
    kept = capture()
    call(kept)
    call(kept, "call-2")
    assert words(kept.of(["call-1"])) == ["INVITE", "100", "404", "ACK"]
    assert len(kept.of(["call-1", "call-2"]).messages) == 8
    assert kept.of(["call-3"]) == Passed(())
    assert kept.size == sum(len(m.data) + module.OVERHEAD for m in kept.of(["call-1", "call-2"]).messages)


@pytest.mark.parametrize("spelling", [b"\r\ni: call-1", b"\r\nCALL-ID :\tcall-1 ", b"\r\ncall-id:call-1"])
def test_a_call_id_in_any_spelling(spelling: bytes) -> None:
    kept = capture()
    kept(False, CALLER, invite().replace(b"\r\nCall-ID: call-1", spelling))
    assert words(kept.of(["call-1"])) == ["INVITE"]


@pytest.mark.parametrize(
    "data",
    [
        request("OPTIONS", call_id="ping"),
        request("MESSAGE", call_id="ping", body=b"secret", kind="text/plain"),
        answer("200 OK", "ping"),
        b"INVITE without anything",
        b"",
    ],
)
def test_what_is_of_no_call_is_not_kept(data: bytes) -> None:
    kept = capture()
    kept(False, CALLER, data)
    assert (len(kept), kept.size) == (0, 0)


def test_the_calls_that_began_first_make_room() -> None:
    kept = capture(20_000)
    for number in range(100):
        call(kept, f"call-{number}")
    assert kept.size <= 20_000
    assert not kept.of(["call-0"]).messages
    assert len(kept.of(["call-99"]).messages) == 4
    assert 2 < len(kept) < 20


def test_there_are_no_more_calls_than_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CALLS", 3)
    kept = capture()
    for number in range(10):
        call(kept, f"call-{number}")
    assert len(kept) == 3


def test_of_very_many_messages_the_middle_goes() -> None:
    kept = capture(100_000_000)
    kept(False, CALLER, invite())
    for number in range(1000):
        kept(True, CALLER, answer(f"180 {number}"))
    passed = kept.of(["call-1"])
    assert (len(passed.messages), passed.omitted) == (module.MESSAGES, 1001 - module.MESSAGES)
    assert label_of(passed.messages[0].data).startswith("INVITE")
    assert label_of(passed.messages[-1].data) == "180 999"
    assert kept.size == sum(len(m.data) + module.OVERHEAD for m in passed.messages)
    assert "messages in the middle are not kept" in text(passed)


def test_a_message_to_ourselves_is_one() -> None:
    kept = capture()
    kept(True, LOOP, invite())
    kept(False, LOOP.turned(), invite())
    assert words(kept.of(["call-1"])) == ["INVITE"]
    assert "↺ INVITE" in text(kept.of(["call-1"]))


# Secrets


@pytest.mark.parametrize(
    ("line", "secret"),
    [
        (b'Authorization: Digest username="ann", response="0123abcd", nonce="n"', b"0123abcd"),
        (b'Proxy-Authorization: Digest username="ann",\tresponse=0123abcd, uri="sip:x"', b"0123abcd"),
        (b'Authentication-Info: rspauth="0123abcd"', b"0123abcd"),
        (b"Authorization: Basic YW5uOnNlY3JldA==", b"YW5uOnNlY3JldA=="),
        (b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3|2^20|1:32", b"d0RmdmcmVCspeEc3"),
        (b"a=crypto:1 X inline:d0RmdmcmVCspeEc3;inline:AAAAmdmcmVCspeEc3", b"AAAAmdmcmVCspeEc3"),
        (b"k=base64:d0RmdmcmVCspeEc3", b"d0RmdmcmVCspeEc3"),
        (b"Contact: <sip:ann:secret9@192.0.2.9>", b"secret9"),
    ],
)
def test_secrets_are_crossed_out_and_nothing_moves(line: bytes, secret: bytes) -> None:
    data = b"INVITE sip:b@c SIP/2.0\r\n" + line + b"\r\nTo: <sip:b@c>\r\n\r\n"
    shown = masked(data)
    assert secret not in shown
    assert len(shown) == len(data)
    assert all(now in (before, ord("x")) for now, before in zip(shown, data, strict=True))
    assert shown.count(b"x") < data.count(b"x") + 2 * len(secret) + 1


def test_what_is_no_secret_stays() -> None:
    data = invite(fields={"Contact": "<sip:ann@192.0.2.9:5062>", "P-Asserted-Identity": "<sip:+1@h:5060>"})
    assert masked(data) == data


@given(
    st.lists(
        st.sampled_from([b"sip:", b"a:", b"\r\n", b"Authorization: ", b"response=", b"inline:", b"@", b" ", b"\xff"])
    )
)
def test_no_message_breaks_what_shows_it(parts: list[bytes]) -> None:
    data = b"INVITE sip:a SIP/2.0\r\n" + b"".join(parts)
    assert len(masked(data)) == len(data)
    passed = Passed((Captured(1, False, CALLER, data),))
    assert "\r" not in text(passed, whole=True)
    ElementTree.fromstring(svg(passed, label_of(data)))
    assert len(packets(pcap(passed.messages))) == 1


def test_a_long_message_is_masked_in_no_time() -> None:
    started = time.process_time()
    for part in (b"sip:", b"sip:a:", b"inline:", b"Authorization: response", b"\r\nAuthorization: "):
        masked(part * (60_000 // len(part)))
    assert time.process_time() - started < 2


# The ladder


def test_the_ladder_as_text() -> None:
    kept = capture()
    call(kept)
    kept(False, CALLER, request("ACK", call_id="call-1"))
    heads, _, *rungs = text(kept.of(["call-1"])).splitlines()
    assert (heads.index("udp 192.0.2.9:5062") < heads.index("edge"), len(rungs)) == (True, 5)
    assert rungs[0].startswith("22:13:20.00000  ")
    assert "| INVITE +14155550100 (sdp) ->|" in rungs[0]
    assert rungs[1].startswith("+0.000250 ")
    assert "|<-------- 100 Trying --------|" in rungs[1]
    assert "ACK" in rungs[4]
    assert "(again)" in rungs[4]


def test_the_whole_messages_are_below_it_without_secrets() -> None:
    kept = capture()
    kept(False, CALLER, invite(fields={"Authorization": 'Digest response="0123abcd"', "Subject": "\x1b[2J"}))
    shown = text(kept.of(["call-1"]), whole=True)
    assert "from udp 192.0.2.9:5062" in shown
    assert "m=audio" in shown
    assert "0123abcd" not in shown
    assert "\x1b" not in shown


def test_each_other_side_has_its_column() -> None:
    kept = capture()
    call(kept)
    call(kept, "call-2", CALLEE)
    drawn = text(kept.of(["call-1", "call-2"]))
    assert [name in drawn.splitlines()[0] for name in ("192.0.2.9:5062", "edge", "tcp 198.51.100.7:5060")] == [True] * 3
    picture = ElementTree.fromstring(svg(kept.of(["call-1", "call-2"]), "a <call>\x07"))
    found = [element.text for element in picture.iter() if element.text]
    assert {"a <call>·", "edge", "404 Not Found"} <= set(found)
    assert len([line for line in picture.iter() if (line.get("class") or "").startswith("way")]) == 8


def test_a_ladder_of_nothing() -> None:
    assert text(Passed(())).strip() == ""
    ElementTree.fromstring(svg(Passed(()), ""))


# pcap


def packets(data: bytes) -> list[tuple[int, bytes]]:
    """Times and packets of a file."""
    assert struct.unpack("<IHHiIII", data[:24]) == (0xA1B2C3D4, 2, 4, 0, 0, 65535, 101)
    found, at = [], 24
    while at < len(data):
        seconds, micros, length, whole = struct.unpack("<IIII", data[at : at + 16])
        assert length == whole
        found.append((seconds * 1_000_000 + micros, data[at + 16 : at + 16 + length]))
        at += 16 + length
    return found


def adds_up(data: bytes) -> bool:
    """Whether a sum in which its checksum stands is right (RFC 1071)."""
    data += b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total == 0xFFFF


def test_a_capture_file_has_each_message_as_it_was() -> None:
    kept = capture()
    call(kept)
    passed = kept.of(["call-1"])
    for message, (when, packet) in zip(passed.messages, packets(pcap(passed.messages)), strict=True):
        assert when == message.when
        assert adds_up(packet[:20])
        assert (packet[0], packet[9], struct.unpack("!H", packet[2:4])[0]) == (0x45, 17, len(packet))
        source, target = (b"\xc0\0\2\1", b"\xc0\0\2\x09") if message.sent else (b"\xc0\0\2\x09", b"\xc0\0\2\1")
        assert (packet[12:16], packet[16:20]) == (source, target)
        assert struct.unpack("!HH", packet[20:24]) == ((5060, 5062) if message.sent else (5062, 5060))
        assert adds_up(packet[12:20] + b"\0\x11" + packet[24:26] + packet[20:])
        assert packet[28:] == message.data


def test_ipv6_and_tcp_in_a_capture_file() -> None:
    long = invite(body=b"m=" + b"a" * 3000)
    messages = [
        Captured(1, False, SIX, invite()),
        Captured(2, False, CALLEE, long),
        Captured(3, True, CALLEE, answer("200 OK")),
        Captured(4, False, CALLEE, request("ACK")),
        Captured(5, True, LOOP, invite()),
    ]
    six, *streams, loop = (packet for _, packet in packets(pcap(messages)))
    assert (six[0] >> 4, six[6], six[40 + 8 :]) == (6, 17, invite())
    assert adds_up(six[8:40] + struct.pack("!IHBB", len(six) - 40, 0, 0, 17) + six[40:])
    assert loop[28:] == invite()
    said: dict[bytes, bytes] = {b"\xc6": b"", b"\xc0": b""}
    for packet in streams:
        at, heard = struct.unpack("!II", packet[24:32])
        me, other = packet[12:13], packet[16:17]
        assert (at, heard) == (1 + len(said[me]), 1 + len(said[other]))
        assert adds_up(packet[12:20] + struct.pack("!BBH", 0, 6, len(packet) - 20) + packet[20:])
        said[me] += packet[40:]
    assert said == {b"\xc6": long + request("ACK"), b"\xc0": answer("200 OK")}


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not here: apt-get install tshark")
def test_tshark_reads_it(tmp_path: Path) -> None:
    kept = capture()
    call(kept)
    kept(False, CALLEE, invite(call_id="call-2", body=b"m=" + b"a" * 3000))
    kept(False, SIX, invite(call_id="call-3"))
    (tmp_path / "call.pcap").write_bytes(pcap(kept.of(["call-1", "call-2", "call-3"]).messages))
    fields = ("-Tfields", "-e", "sip.Call-ID", "-e", "sip.Method", "-e", "sip.Status-Code", "-e", "udp.checksum.status")
    command = ["tshark", "-r", str(tmp_path / "call.pcap"), "-o", "udp.check_checksum:TRUE", "-Y", "sip", *fields]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert [line.split("\t")[:3] for line in said] == [
        ["call-1", "INVITE", ""],
        ["call-1", "", "100"],
        ["call-1", "", "404"],
        ["call-1", "ACK", ""],
        ["call-2", "INVITE", ""],
        ["call-3", "INVITE", ""],
    ]
