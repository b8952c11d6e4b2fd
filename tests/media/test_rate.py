"""8 and 16 kHz, piece by piece: the same as in one go, whatever the pieces."""

from __future__ import annotations

import math
from array import array
from random import Random

import pytest

from edge.media.audio import narrow, resample, widen
from edge.media.rate import Rate
from tests.media.conftest import sine


@pytest.mark.parametrize(("given", "wanted"), [(8000, 16000), (16000, 8000)])
@pytest.mark.parametrize("pieces", [(160,), (1, 7, 33), (80, 240), (1000,)])
def test_pieces_make_the_whole(given: int, wanted: int, pieces: tuple[int, ...]) -> None:
    random = Random(7)
    pcm = array("h", random.choices(range(-20_000, 20_000), k=4000)).tobytes()
    rate = Rate(given, wanted)
    out, at = b"", 0
    while at < len(pcm):
        size = 2 * random.choice(pieces)
        out += rate(pcm[at : at + size])
        at += size
    whole = narrow(resample(widen(pcm), 8000 * given // wanted))
    assert out == whole[: len(out)]
    assert 0 <= len(whole) - len(out) <= 2 * (rate.delay + 2) * wanted // given
    assert rate.delay < given * 0.002


@pytest.mark.parametrize(("given", "wanted"), [(8000, 16000), (16000, 8000)])
def test_a_tone_stays_a_tone(given: int, wanted: int) -> None:
    rate = Rate(given, wanted)
    tone = sine(440, given, 0.2).tobytes()
    got = array("h", b"".join(rate(tone[at : at + 320]) for at in range(0, len(tone), 320)))
    expected = sine(440, wanted, 0.2)
    settled = slice(100, len(got) - 100)
    error = math.sqrt(sum((a - b) ** 2 for a, b in zip(got[settled], expected[settled], strict=False)) / len(got))
    assert error < 200  # of 16,384: -38 dB


def test_nothing_is_nothing() -> None:
    assert Rate(8000, 16000)(b"") == b""


def test_other_ratios_are_refused() -> None:
    with pytest.raises(ValueError, match="neither half nor twice"):
        Rate(8000, 48000)
