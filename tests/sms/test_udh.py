"""User data headers: what is read of good, strange and broken ones."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.sms.udh import NONE, Concatenation, Header, read


@pytest.mark.parametrize(
    ("octets", "header"),
    [
        ("050003cc0201", Header(Concatenation(0xCC, 2, 1))),
        ("060804beef0302", Header(Concatenation(0xBEEF, 3, 2))),
        ("03240101", Header(single=1)),
        ("0325010d", Header(locking=13)),
        ("06240101250103", Header(single=1, locking=3)),
        ("0b0003010302240104250104", Header(Concatenation(1, 3, 2), single=4, locking=4)),
        ("06050423f40000", Header(ports=(9204, 0))),
        ("0404021020", Header(ports=(0x10, 0x20))),
        ("0b05040b8423f00003010201", Header(Concatenation(1, 2, 1), ports=(2948, 9200))),
        ("050003010201", Header(Concatenation(1, 2, 1))),
        ("0a00030102010003070503", Header(Concatenation(7, 5, 3))),  # of two the later one
        ("0b000301020108040009 0402", Header(Concatenation(9, 4, 2))),
        ("04700200ff", Header()),  # of the (U)SIM toolkit: kept, not understood
        ("0270ff", Header()),  # cut off within an element
        ("0170", Header()),
        ("050003010001", Header()),  # none of no parts
        ("050003010203", Header()),  # the third of two
        ("050003010200", Header()),  # they are counted from 1
        ("0400020102", Header()),  # of a wrong size
        ("00", Header()),
    ],
)
def test_headers_are_read(octets: str, header: Header) -> None:
    got, rest = read(bytes.fromhex(octets) + b"text")
    assert rest == b"text"
    assert (got.concatenation, got.single, got.locking, got.ports) == (
        header.concatenation,
        header.single,
        header.locking,
        header.ports,
    )


def test_unknown_elements_are_kept() -> None:
    assert read(bytes.fromhex("0970020011 0003010201") + b"x")[0].elements == (
        (0x70, b"\x00\x11"),
        (0x00, b"\x01\x02\x01"),
    )


@pytest.mark.parametrize("octets", ["", "05", "0600030102"])
def test_what_ends_within_its_header_is_all_text(octets: str) -> None:
    payload = bytes.fromhex(octets)
    assert read(payload) == (NONE, payload)


@given(st.binary(max_size=160))
def test_no_octets_are_lost_or_raise(octets: bytes) -> None:
    header, rest = read(octets)
    assert octets.endswith(rest)
    assert len(octets) - len(rest) in (0, 1 + octets[0] if octets else 0)
    assert sum(2 + len(content) for _, content in header.elements) in (0, len(octets) - len(rest) - 1)


@given(st.integers(0, 0xFFFF), st.integers(1, 255), st.data())
def test_what_is_written_is_read(reference: int, total: int, data: st.DataObject) -> None:
    place = Concatenation(reference, total, data.draw(st.integers(1, total)))
    header, rest = read(place.header() + b"!")
    assert (header.concatenation, rest) == (place, b"!")


@pytest.mark.parametrize(("length", "fill"), [(5, 1), (6, 0), (3, 3), (11, 2), (0, 6)])
def test_packed_septets_begin_where_one_would(length: int, fill: int) -> None:
    assert read(bytes((length,)) + bytes(length) + b"x")[0].fill == fill
