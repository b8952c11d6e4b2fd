from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.media import rtcp
from edge.media.rtcp import BadRtcp, Block, Bye, Report, Sent, compound, read
from tests.media.conftest import read_seed, seeds

word = st.integers(0, 0xFFFFFFFF)
blocks = st.builds(Block, word, st.integers(0, 255), st.integers(-0x800000, 0x7FFFFF), word, word, word, word)
sent = st.builds(Sent, st.integers(0, 2**64 - 1), word, word, word)
reports = st.builds(Report, word, st.none() | sent, st.lists(blocks, max_size=31).map(tuple))


@settings(max_examples=30)
@given(reports, st.text(max_size=300), st.booleans())
def test_a_compound_reads_as_it_was_made(report: Report, cname: str, bye: bool) -> None:
    data = compound(report, cname, bye=bye)
    assert len(data) % 4 == 0
    assert read(data) == [report, Bye((report.ssrc,))] if bye else [report]


def test_the_bytes_of_a_sender_report() -> None:
    report = Report(0x01020304, Sent(0x1122334455667788, 160, 1, 160), (Block(5, 64, -1, 0x10002, 3, 4, 6),))
    assert compound(report, "me", bye=True).hex(" ", 4) == (
        "81c8000c 01020304 11223344 55667788 000000a0 00000001 000000a0 "
        "00000005 40ffffff 00010002 00000003 00000004 00000006 "
        "81ca0003 01020304 01026d65 00000000 "
        "81cb0001 01020304"
    )


def test_losses_beyond_24_bits_are_clamped() -> None:
    [report] = read(compound(Report(1, None, (Block(2, 0, 10**9, 0, 0), Block(3, 0, -(10**9), 0, 0))), "x"))
    assert isinstance(report, Report)
    assert [block.lost for block in report.blocks] == [0x7FFFFF, -0x800000]


def test_ntp_time() -> None:
    assert rtcp.ntp(0.5) == (2_208_988_800 << 32) + (1 << 31)
    assert rtcp.middle(0x1122334455667788) == 0x33445566


@pytest.mark.parametrize(
    ("data", "what"),
    [
        ("", "few"),
        ("80c90001", "few"),
        ("40c90001 00000001", "version"),
        ("80c90002 00000001", "beyond"),
        ("81c90001 00000001", "blocks"),
        ("80c80001 00000001", "blocks"),
        ("82cb0001 00000001", "BYE"),
        ("80c90001 00000001 80", "left over"),
        ("a0c90001 00000000", "padding"),
        ("a0c90001 00000009", "padding"),
    ],
)
def test_what_is_no_rtcp(data: str, what: str) -> None:
    with pytest.raises(BadRtcp, match=what):
        read(bytes.fromhex(data))


def test_other_kinds_are_stepped_over() -> None:
    app = bytes.fromhex("80cc0002 00000001 61626364")
    assert read(app + compound(Report(9, None, ()), "x")) == [Report(9, None, ())]


@pytest.mark.parametrize("path", seeds("pjproject-fuzz-rtcp", "pjproject-fuzz-rtp"), ids=lambda path: path.name)
def test_seeds(path: Path) -> None:
    data = read_seed(path)
    for start in range(len(data)):
        try:
            read(data[start:])
        except BadRtcp:
            pass


@settings(max_examples=30)
@given(st.binary(max_size=80))
def test_bytes_are_rtcp_or_none(data: bytes) -> None:
    try:
        read(b"\x80" + data)
    except BadRtcp:
        pass
