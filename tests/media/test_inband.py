"""Keys as tones in the audio."""

from __future__ import annotations

import random
from array import array

import pytest

from edge.media.dtmf import DIGITS
from edge.media.g711 import Codec, decode, encode
from edge.media.inband import KEYS, ToneReader, spoken
from edge.media.tone import ringback, tone


def heard(pcm: bytes, *, piece: int = 320) -> str:
    """The keys in audio that comes piece by piece."""
    reader = ToneReader()
    return "".join(reader.read(pcm[at : at + piece]) for at in range(0, len(pcm), piece))


def typed(keys: str, press_ms: int = 100, gap_ms: int = 100) -> bytes:
    return b"".join(audio.pcm for audio in spoken(keys, press_ms, gap_ms))


@pytest.mark.parametrize("codec", ["PCMU", "PCMA"])
def test_all_keys_after_the_law(codec: Codec) -> None:
    assert sorted("".join(KEYS)) == sorted(DIGITS)
    assert heard(decode(encode(typed(DIGITS), codec), codec)) == DIGITS


@pytest.mark.parametrize(("press", "gap"), [(45, 45), (60, 40), (100, 50), (500, 100), (2000, 80)])
@pytest.mark.parametrize("piece", [160, 320, 960])
def test_short_and_long_presses_count_once_each(press: int, gap: int, piece: int) -> None:
    for shift in (0, 37, 111):
        quiet = bytes(2 * shift)
        assert heard(quiet + typed("1123,#", press, gap) + bytes(800), piece=piece) == "1123#"


@pytest.mark.parametrize("gain", [0.05, 0.3, 1.9])
def test_quiet_and_loud_ones_and_with_noise(gain: float) -> None:
    chance = random.Random(1)
    samples = array("h", typed("159D"))
    noisy = array("h", [round(gain * sample + chance.gauss(0, 60 * gain)) for sample in samples])
    assert heard(noisy.tobytes()) == "159D"


def test_what_is_no_key() -> None:
    chance = random.Random(2)
    noise = array("h", [round(chance.gauss(0, 4000)) for _ in range(16000)]).tobytes()
    single = tone(697, 0.5).pcm + tone(1209, 0.5).pcm
    twisted = tone((697, 697, 697, 697, 1209), 0.5).pcm
    voice = tone([130 * n for n in range(1, 20)], 0.5).pcm
    for pcm in (noise, single, twisted, voice, ringback("US").pcm, typed("5", 15, 100), bytes(16000)):
        assert heard(pcm) == ""
