"""Audio from outside, evened out."""

from __future__ import annotations

import pytest

from edge.media.live import Live

FRAME = 160


def pcm(first: int, samples: int = FRAME) -> bytes:
    return b"".join(number.to_bytes(2, "little") for number in range(first, first + samples))


def test_it_waits_for_a_little_and_then_plays_all_of_it_in_order() -> None:
    live = Live(least_ms=40)
    assert live.take(FRAME) == b""
    live.push(pcm(0))
    assert live.take(FRAME) == b""
    live.push(pcm(160))
    assert live.buffered_ms == 40
    assert [live.take(FRAME), live.take(FRAME)] == [pcm(0), pcm(160)]
    assert live.take(FRAME) == b""


def test_what_is_short_is_played_after_the_same_time() -> None:
    live = Live(least_ms=40)
    live.push(pcm(0, 100))
    assert [live.take(FRAME) for _ in range(4)] == [b"", b"", pcm(0, 100), b""]


def test_after_it_ran_empty_it_waits_again() -> None:
    live = Live(least_ms=40)
    live.push(pcm(0, 2 * FRAME))
    assert len(live.take(FRAME) + live.take(FRAME)) == 4 * FRAME
    assert live.take(FRAME) == b""
    live.push(pcm(7))
    assert live.take(FRAME) == b""
    live.push(pcm(167))
    assert live.take(FRAME) == pcm(7)


def test_one_that_is_never_empty_never_waits() -> None:
    live = Live(least_ms=20)
    live.push(pcm(0))
    for number in range(1, 50):
        live.push(pcm(160 * number))
        assert live.take(FRAME) == pcm(160 * (number - 1))


def test_the_oldest_goes_when_too_much_comes() -> None:
    live = Live(least_ms=20, most_ms=60)
    live.push(pcm(0, 10 * FRAME))
    assert (live.buffered_ms, live.dropped_ms) == (60, 140)
    assert live.take(FRAME) == pcm(7 * FRAME)


def test_pieces_may_cut_samples_in_half() -> None:
    live = Live(least_ms=20, most_ms=40)
    whole = pcm(0, 2 * FRAME)
    for start in range(0, len(whole), 7):
        live.push(whole[start : start + 7])
    assert live.take(FRAME) + live.take(FRAME) == whole
    live.push(b"\1")
    assert live.take(FRAME) == b""
    live.push(pcm(0, 2 * FRAME)[1:] + b"\0\0")  # one sample too many: the first goes, and no half
    assert live.take(FRAME) == pcm(1)


def test_clear_keeps_nothing_but_half_a_sample() -> None:
    live = Live(least_ms=20)
    live.push(pcm(0, 2 * FRAME) + b"\5")
    live.clear()
    assert live.take(FRAME) == b""
    live.push(b"\0" + pcm(0))
    assert live.take(FRAME) == pcm(5, 1) + pcm(0, FRAME - 1)


@pytest.mark.parametrize("ptime", [10, 20, 30, 60])
def test_frames_of_any_length(ptime: int) -> None:
    live = Live(least_ms=0)
    live.push(pcm(0, 480))
    taken = b"".join(live.take(8 * ptime) for _ in range(60 // ptime))
    assert taken == pcm(0, 480)
