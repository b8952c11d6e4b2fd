"""Nonces: known again by who shares the key, bound to whom they were made for, and counted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.sip import nonce as module
from edge.sip.nonce import LENGTH, SKEW, Issued, Nonces

WHOM = "trunk\0192.0.2.9\0call-1"
NOW = 1_790_000_000.0


def nonces(maker: bytes = b"one-", key: bytes = b"key") -> Nonces:
    return Nonces(key, maker, 60.0)


def read(one: Nonces, text: str, now: float = NOW, whom: str = WHOM) -> Issued:
    issued = one.read(text, whom, now)
    assert issued is not None
    return issued


def test_its_maker_knows_it_and_so_do_others_with_the_key() -> None:
    one, other = nonces(), nonces(b"two-")
    text = one.make(WHOM, NOW)
    assert len(text) <= LENGTH
    assert read(one, text) == Issued(text, NOW, True)
    assert read(other, text) == Issued(text, NOW, False)
    assert nonces(key=b"another").read(text, WHOM, NOW) is None


@pytest.mark.parametrize("whom", ["trunk\0192.0.2.8\0call-1", "trunk\0192.0.2.9\0call-2", "t\0192.0.2.9\0call-1", ""])
def test_it_is_good_for_one_call_from_one_place(whom: str) -> None:
    one = nonces()
    assert one.read(one.make(WHOM, NOW), whom, NOW) is None


@pytest.mark.parametrize(("later", "good"), [(0, True), (60, True), (60.1, False), (-SKEW, True), (-SKEW - 1, False)])
def test_it_grows_old(later: float, good: bool) -> None:
    one = nonces()
    assert (one.read(one.make(WHOM, NOW), WHOM, NOW + later) is not None) is good


def test_no_letter_of_it_may_differ() -> None:
    one = nonces()
    text = one.make(WHOM, NOW)
    for at in range(len(text)):
        for letter in "A_z9":
            changed = text[:at] + letter + text[at + 1 :]
            assert changed == text or one.read(changed, WHOM, NOW) is None
    for changed in (text + "=", text + "A", text[:-1], f" {text}", text[:5] + "!" + text[5:]):
        assert one.read(changed, WHOM, NOW) is None


@given(st.text(max_size=60))
def test_what_somebody_made_up_is_none(text: str) -> None:
    assert nonces().read(text, WHOM, NOW) is None


def test_a_count_serves_once_and_only_upwards() -> None:
    one = nonces()
    issued = read(one, one.make(WHOM, NOW))
    assert one.used(issued, 1, NOW)
    assert not one.used(issued, 1, NOW)
    assert one.used(issued, 3, NOW)
    assert not one.used(issued, 2, NOW)
    assert len(one) == 1


def test_what_is_too_old_is_forgotten() -> None:
    one = nonces()
    assert one.used(read(one, one.make(WHOM, NOW)), 1, NOW)
    assert one.used(read(one, one.make(WHOM, NOW + 61), NOW + 61), 1, NOW + 61)
    assert len(one) == 1


def test_the_table_is_bounded_and_nothing_that_fell_out_is_good_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "NONCES", 3)
    one = nonces()
    issued = [read(one, one.make(WHOM, NOW + i), NOW + 9) for i in range(6)]
    assert all(one.used(each, 1, NOW + 9) for each in issued)
    assert len(one) == 3
    assert not any(one.used(each, 2, NOW + 9) for each in issued[:3])  # gone: nobody knows their counts
    assert all(one.used(each, 2, NOW + 9) for each in issued[3:])
    assert not any(one.used(each, 2, NOW + 9) for each in issued)


def test_a_maker_has_its_length() -> None:
    with pytest.raises(ValueError, match="octets"):
        Nonces(b"key", b"x", 60.0)
