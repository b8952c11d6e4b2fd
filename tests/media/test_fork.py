"""What goes to the other side of a fork, and what of its answer is played."""

from __future__ import annotations

from array import array

import pytest

from edge.media.encoding import ENCODINGS, Format
from edge.media.fork import GAP_SAMPLES, HELD_MS, MARKS, Chosen, Listen, Marked, Row, RtpSide
from edge.media.g711 import encode
from edge.media.rtp import Packet, read
from tests.media.conftest import sine


def level(value: int, samples: int = 160) -> bytes:
    return array("h", [value] * samples).tobytes()


class Outlet:
    def __init__(self) -> None:
        self.given: list[tuple[int, bytes]] = []

    def __call__(self, timestamp: int, pcm: bytes) -> None:
        self.given.append((timestamp, pcm))


# Directions


@pytest.mark.parametrize(("listen", "given"), [("in", [(100, 1)]), ("out", [(900, 2)]), ("none", [])])
def test_one_direction_goes_on_as_it_comes(listen: Listen, given: list[tuple[int, int]]) -> None:
    outlet = Outlet()
    chosen = Chosen(listen, outlet)
    chosen.heard(100, level(1))
    chosen.said(900, level(2))
    assert outlet.given == [(timestamp, level(value)) for timestamp, value in given]


def test_both_are_mixed_at_the_pace_of_what_is_heard() -> None:
    outlet = Outlet()
    both = Chosen("both", outlet)
    both.heard(5000, level(10))
    both.said(77, level(300))
    both.said(237, level(400))
    both.heard(5160, level(20))
    both.heard(9999, level(30, 80))
    both.heard(9, level(40))
    assert outlet.given == [
        (0, level(10)),
        (160, level(320)),
        (320, level(430, 80)),
        (400, level(440, 80) + level(40, 80)),
    ]


def test_what_is_said_stays_whole_although_its_packets_come_unevenly() -> None:
    outlet = Outlet()
    both = Chosen("both", outlet)
    for turn in range(0, 60, 2):  # now two of these, then two of those
        for count in (turn, turn + 1):
            both.said(160 * count, level(100 + count))
        for count in (turn, turn + 1):
            both.heard(160 * count, level(0))
    mixed = b"".join(pcm for _, pcm in outlet.given)
    assert b"".join(level(100 + count) for count in range(60)) in mixed


def test_what_is_too_loud_together_is_cut_off() -> None:
    outlet = Outlet()
    both = Chosen("both", outlet)
    both.said(0, level(30_000, 320))
    both.heard(0, level(30_000))
    assert outlet.given == [(0, level(32_767))]


def test_what_is_said_goes_alone_when_nobody_is_heard() -> None:
    outlet = Outlet()
    both = Chosen("both", outlet)
    for count in range(100):
        both.said(160 * count, level(count))
    waiting = HELD_MS // 20
    assert outlet.given == [(160 * count, level(count)) for count in range(100 - waiting)]
    both.heard(0, level(1000))
    assert outlet.given[-1][1] == level(1000 + 100 - waiting)


# A row


def test_a_row_without_loss_is_what_came() -> None:
    row = Row()
    start = 2**32 - 320  # on a clock that goes round
    assert [row.add(start + 160 * count & 0xFFFFFFFF, level(count)) for count in range(5)] == [
        level(count) for count in range(5)
    ]


def test_a_lost_packet_is_silence_and_a_late_one_is_left_out() -> None:
    row = Row()
    assert row.add(1000, level(1)) == level(1)
    assert row.add(1320, level(3)) == level(0) + level(3)
    assert row.add(1160, level(2)) == b""
    assert row.add(1480, level(4)) == level(4)


@pytest.mark.parametrize("jump", [GAP_SAMPLES + 1, 8000 * 60, -8000 * 60])
def test_a_pause_or_another_clock_is_no_gap(jump: int) -> None:
    row = Row()
    row.add(10**9, level(1))
    assert row.add(10**9 + 160 + jump, level(2)) == level(2)
    assert row.add(10**9 + 320 + jump, level(3)) == level(3)


# RTP


def side(name: Format = "ulaw") -> RtpSide:
    return RtpSide(ENCODINGS[name], 0x1234, 65_535, 2**32 - 160)


def test_packets_count_on_and_around() -> None:
    rtp = side()
    pcm = sine(440, 8000, 0.06).tobytes()
    made = [read(rtp.packet(7000 + at, pcm[2 * at : 2 * at + 320])) for at in range(0, 480, 160)]
    assert [(one.sequence, one.timestamp, one.marker, one.ssrc, one.payload_type) for one in made] == [
        (65_535, 2**32 - 160, True, 0x1234, 0),
        (0, 0, False, 0x1234, 0),
        (1, 160, False, 0x1234, 0),
    ]
    assert b"".join(one.payload for one in made) == encode(pcm, "PCMU")


def test_losses_pauses_and_late_packets_keep_their_time() -> None:
    rtp = side("slin16")
    given = [0, 160, 480, 320, 640, 640 + 160 + GAP_SAMPLES + 160]
    made = [read(rtp.packet(10_000 + at, level(1))) for at in given]
    assert [one.marker for one in made] == [True, False, False, False, False, True]
    assert [one.sequence for one in made] == [(65_535 + count) % 2**16 for count in range(6)]
    first = made[1].timestamp
    assert [one.timestamp - first & 0xFFFFFFFF for one in made[1:]] == [2 * (at - 160) for at in given[1:]]


def test_a_clock_of_the_caller_that_goes_round_is_no_pause() -> None:
    rtp = side()
    rtp.packet(2**32 - 160, level(1))
    packet = read(rtp.packet(0, level(1)))
    assert (packet.marker, packet.timestamp) == (False, 0)


@pytest.mark.parametrize(
    ("name", "kind", "payload", "pcm"),
    [
        ("ulaw", 0, encode(level(1000), "PCMU"), "same"),
        ("slin", 11, b"\x03\xe8" * 160, level(1000)),
        ("slin", 0, encode(level(1000), "PCMU"), "same"),
        ("slin16", 8, encode(level(1000), "PCMA"), "same"),
        ("ulaw", 11, b"\x03\xe8" * 160, b""),
        ("ulaw", 101, b"\x01\x0a\x00\xa0", b""),
    ],
)
def test_what_comes_back_is_read_by_its_type(name: Format, kind: int, payload: bytes, pcm: bytes | str) -> None:
    rtp = side(name)
    got = rtp.read(Packet(kind, 1, 0, 9, payload).to_bytes())
    if isinstance(pcm, bytes):
        assert got == pcm
    else:
        assert len(got) == 320
        assert all(abs(value - 1000) < 40 for value in array("h", got))
    assert rtp.strange == (got == b"")


def test_late_packets_from_there_are_left_out_and_a_new_source_begins_anew() -> None:
    rtp = side("slin")

    def came(sequence: int, value: int, ssrc: int = 9) -> bytes:
        return rtp.read(Packet(11, sequence, 0, ssrc, level(value)).to_bytes())

    heard = [came(65_534, 1), came(0, 3), came(65_535, 2), came(1, 4), came(500, 5, ssrc=10), came(1, 6, ssrc=11)]
    assert [bool(pcm) for pcm in heard] == [True, True, False, True, True, True]


@pytest.mark.parametrize("data", [b"", b"\x80", b"GET / HTTP/1.1\r\n\r\n", bytes(12), b"\x8f" + bytes(20)])
def test_what_is_no_rtp_is_counted(data: bytes) -> None:
    rtp = side()
    assert rtp.read(data) == b""
    assert rtp.strange == 1


# Marks


class Told(list[tuple[str, bool]]):
    def __call__(self, name: str, played: bool) -> None:
        self.append((name, played))


def live(told: Told) -> Marked:
    return Marked(told, least_ms=20, most_ms=1000)


def test_a_mark_is_passed_when_all_before_it_was_taken() -> None:
    told = Told()
    source = live(told)
    source.push(level(1, 320))
    source.mark("half")
    source.push(level(2, 320))
    source.mark("end")
    assert source.take(160) == level(1)
    assert told == []
    source.take(160)
    assert told == [("half", True)]
    source.take(160)
    source.take(160)
    assert told == [("half", True), ("end", True)]


def test_a_mark_with_nothing_before_it_is_passed_at_once() -> None:
    told = Told()
    live(told).mark("now")
    assert told == [("now", True)]


def test_marks_that_are_cleared_or_dropped_were_not_played() -> None:
    told = Told()
    source = live(told)
    source.push(level(1, 8000))
    source.mark("cleared")
    source.clear()
    assert told == [("cleared", False)]
    assert source.take(160) == b""
    source.push(level(2, 800))
    source.mark("dropped")
    source.push(level(3, 8000))
    assert told[1:] == [("dropped", False)]
    assert source.buffered_ms == 1000


def test_of_too_many_marks_the_oldest_are_told_of() -> None:
    told = Told()
    source = live(told)
    source.push(level(1))
    for count in range(MARKS + 2):
        source.mark(str(count))
    assert told == [("0", False), ("1", False)]
