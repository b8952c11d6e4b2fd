"""WAV files of all kinds, and what is wrong with others."""

from __future__ import annotations

import math
import struct
import time
from array import array

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.errors import Invalid
from edge.media import audio
from edge.media.audio import Audio, Recording, read_wav, wav_seconds, write_wav
from edge.media.g711 import CODECS, decode, encode
from tests.media.conftest import chunk, sine, wav

SPEECH = sine(440, 8000, 0.1).tobytes()


def level(samples: array[int]) -> float:
    """In dB of full scale."""
    power = sum(sample * sample for sample in samples) / len(samples)
    return 10 * math.log10(max(power, 1e-3) / (32767 * 32767 / 2))


def in_width(samples: array[int], bits: int, kind: int) -> bytes:
    """16 bit samples in another format."""
    match bits, kind:
        case 8, _:
            return bytes((sample >> 8) + 128 for sample in samples)
        case 24, _:
            return b"".join((sample << 8).to_bytes(3, "little", signed=True) for sample in samples)
        case 32, 1:
            return array("i", [sample << 16 for sample in samples]).tobytes()
        case 32, _:
            return array("f", [sample / 32768 for sample in samples]).tobytes()
        case 64, _:
            return array("d", [sample / 32768 for sample in samples]).tobytes()
    return samples.tobytes()


def test_the_telephones_own_format_passes_bit_for_bit() -> None:
    samples = array("h", range(-32768, 32768, 7)).tobytes()
    read = read_wav(wav(samples), "x.wav")
    assert read.pcm == samples
    assert read.encoded("PCMU") == encode(samples, "PCMU")
    assert read.encoded("PCMA") is read.encoded("PCMA")
    assert read.seconds == len(samples) / 16000


@pytest.mark.parametrize(("bits", "kind"), [(8, 1), (16, 1), (24, 1), (32, 1), (32, 3), (64, 3)])
@pytest.mark.parametrize("channels", [1, 2, 3, 6])
def test_every_width_and_channel_count(bits: int, kind: int, channels: int) -> None:
    mono, many = sine(440, 8000, 0.05), sine(440, 8000, 0.05, channels)
    heard = array("h", read_wav(wav(in_width(many, bits, kind), 8000, channels, bits, kind), "x.wav").pcm)
    assert len(heard) == len(mono)
    assert max(abs(a - b) for a, b in zip(heard, mono, strict=True)) <= (256 if bits == 8 else 1)


@pytest.mark.parametrize(("kind", "codec"), [(6, "PCMA"), (7, "PCMU")])
def test_g711_in_a_wav(kind: int, codec: str) -> None:
    law = next(one for one in CODECS if one == codec)
    data = encode(SPEECH, law)
    assert read_wav(wav(data, bits=8, kind=kind), "x.wav").encoded(law) == data
    stereo = bytes(byte for byte in data for _ in range(2))
    assert read_wav(wav(stereo, channels=2, bits=8, kind=kind), "x.wav").pcm == decode(data, law)


@pytest.mark.parametrize(("rate", "channels"), [(8000, 1), (48000, 2)])
def test_how_long_a_file_lasts_is_known_without_its_samples(rate: int, channels: int) -> None:
    data = wav(bytes(rate * channels), rate, channels)
    assert wav_seconds(data, "x.wav") == 0.5
    with pytest.raises(Invalid, match="cut off"):
        wav_seconds(data[:-1], "x.wav")


def test_channels_are_averaged() -> None:
    left_and_silence = array("h", [value for sample in array("h", SPEECH) for value in (sample, 0)])
    heard = array("h", read_wav(wav(left_and_silence.tobytes(), channels=2), "x.wav").pcm)
    assert max(abs(a - b / 2) for a, b in zip(heard, array("h", SPEECH), strict=True)) <= 1


def test_the_extensible_format() -> None:
    form = struct.pack("<HHIIHHHHIH", 0xFFFE, 1, 8000, 16000, 2, 16, 22, 16, 4, 1) + bytes(14)
    body = b"WAVE" + chunk(b"fmt ", form) + chunk(b"data", SPEECH)
    assert read_wav(b"RIFF" + struct.pack("<I", len(body)) + body, "x.wav").pcm == SPEECH


def test_other_chunks_are_stepped_over_odd_ones_too() -> None:
    extra = chunk(b"LIST", b"odd") + chunk(b"bext", bytes(602))
    assert read_wav(wav(SPEECH, extra=extra) + chunk(b"id3 ", b"x"), "x.wav").pcm == SPEECH


def test_a_length_nobody_knew_when_writing() -> None:
    data = bytearray(wav(SPEECH))
    for unknown in (0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFF000):
        data[40:44] = struct.pack("<I", unknown)
        assert read_wav(bytes(data), "x.wav").pcm == SPEECH


@pytest.mark.parametrize(
    "rate", [4000, 6000, 7350, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 96000, 192000]
)
def test_any_rate_keeps_pitch_and_level(rate: int) -> None:
    heard = array("h", read_wav(wav(sine(1000, rate, 0.25).tobytes(), rate), "x.wav").pcm)
    wanted = sine(1000, 8000, 0.25)
    assert abs(len(heard) - len(wanted)) <= 1
    middle = slice(200, -200)
    noise = array("h", [a - b for a, b in zip(heard[middle], wanted[middle], strict=False)])
    assert level(noise) < level(wanted) - 40


@pytest.mark.parametrize("rate", [11025, 16000, 44100, 48000])
@pytest.mark.parametrize("hertz", [4700, 5000, 5400])
def test_what_a_telephone_cannot_carry_is_gone_and_not_folded_down(rate: int, hertz: int) -> None:
    heard = array("h", read_wav(wav(sine(hertz, rate, 0.2).tobytes(), rate), "x.wav").pcm)[200:-200]
    assert level(heard) < -60


def test_the_band_of_the_telephone_is_kept() -> None:
    for hertz in (300, 1000, 2000, 3000):
        heard = array("h", read_wav(wav(sine(hertz, 48000, 0.2).tobytes(), 48000), "x.wav").pcm)[200:-200]
        assert abs(level(heard) - level(sine(hertz, 8000, 0.2))) < 0.1


def test_full_scale_does_not_wrap_round() -> None:
    loud = array("h", [32767, 32767, 32767, -32768, -32768, -32768] * 4000)
    heard = array("h", read_wav(wav(loud.tobytes(), 48000), "x.wav").pcm)
    assert all(abs(sample) < 32768 for sample in heard)
    steady = array("h", read_wav(wav(array("h", [32767] * 9600).tobytes(), 48000), "x.wav").pcm)
    assert min(steady[200:-200]) > 32700


def test_floats_beyond_full_scale_and_none_at_all() -> None:
    floats = array("f", [0.5, 2.0, -3.0, math.inf, -math.inf, math.nan])
    heard = array("h", read_wav(wav(floats.tobytes(), bits=32, kind=3), "x.wav").pcm)
    assert list(heard) == [16384, 32767, -32768, 32767, -32768, 0]


def test_a_long_file_at_a_high_rate_is_ready_soon() -> None:
    data = wav(sine(440, 48000, 0.5, 2).tobytes() * 12, 48000, 2)  # six seconds
    began = time.process_time()
    assert read_wav(data, "x.wav").seconds == 6.0
    assert time.process_time() - began < 1.5


GOOD = wav(SPEECH)


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "byte 0: is not a RIFF/WAVE file"),
        (b"ID3\x04" + bytes(100), "byte 0: is not a RIFF/WAVE file"),
        (b"RIFX" + GOOD[4:], "byte 0: RIFX"),
        (b"RF64" + GOOD[4:], "byte 0: RF64"),
        (GOOD[:8] + b"AVI " + GOOD[12:], "byte 0: is not"),
        (GOOD[:12], "byte 12: there is no fmt chunk"),
        (GOOD[:30], "byte 12: cut off in the chunk 'fmt '"),
        (GOOD[:36], "byte 36: there is no data chunk"),
        (GOOD[:-5], "byte 44: cut off, 1600 bytes of data expected, 1595 there"),
        (wav(b""), "byte 44: there are no samples"),
        (wav(b"x"), "byte 44: there are no samples"),
        (b"RIFF\0\0\0\0WAVE" + chunk(b"data", SPEECH), "byte 12: the data come before their format"),
        (b"RIFF\0\0\0\0WAVE" + chunk(b"fmt ", b"short"), "byte 20: the format has 5 bytes instead of 16"),
        (wav(SPEECH, kind=0x55), "byte 20: encoding 0x0055"),
        (wav(SPEECH, kind=2), "byte 20: encoding 0x0002"),
        (wav(SPEECH, bits=40), "byte 34: 40 bits"),
        (wav(SPEECH, bits=16, kind=3), "byte 34: 16 bits"),
        (wav(SPEECH, channels=0), "byte 22: 0 channels"),
        (wav(SPEECH, channels=33), "byte 22: 33 channels"),
        (wav(SPEECH, rate=3999), "byte 24: 3999 samples a second"),
        (wav(SPEECH, rate=192001), "byte 24: 192001 samples a second"),
        (GOOD[:32] + b"\x03\0" + GOOD[34:], "byte 32: a block of 3 bytes"),
        (wav(bytes(601 * 4000), rate=4000, bits=8), "601 s are more than 600"),
    ],
)
def test_a_bad_file_says_what_and_where(data: bytes, what: str) -> None:
    with pytest.raises(Invalid) as caught:
        read_wav(data, "hello.wav")
    assert caught.value.message.startswith(f"hello.wav: {what}")
    assert caught.value.faults[0].where == "hello.wav"


def test_a_huge_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audio, "MAX_FILE_BYTES", 1000)
    with pytest.raises(Invalid, match=r"hello.wav: 1644 bytes are more than 1000"):
        read_wav(GOOD, "hello.wav")


@settings(max_examples=50)
@given(st.integers(0, 60), st.binary(min_size=1, max_size=8))
def test_damaged_files_are_audio_or_invalid(at: int, damage: bytes) -> None:
    try:
        read_wav(GOOD[:at] + damage + GOOD[at + len(damage) :], "x.wav")
    except Invalid:
        pass


def test_what_is_written_is_read() -> None:
    assert write_wav(SPEECH) == GOOD
    assert read_wav(write_wav(SPEECH), "x.wav") == Audio(SPEECH)


# --- recording


def frames(*parts: tuple[int, int]) -> bytes:
    """What a recording makes of frames of four samples: timestamp and value."""
    recording = Recording()
    for timestamp, value in parts:
        recording.heard(timestamp, array("h", [value] * 4).tobytes())
    assert recording.seconds == len(recording.pcm) / 16000
    return recording.pcm


def values(*each: int) -> bytes:
    return array("h", [value for value in each for _ in range(4)]).tobytes()


@pytest.mark.parametrize(
    ("parts", "pcm"),
    [
        ([], b""),
        ([(100, 1), (104, 2)], values(1, 2)),
        ([(100, 1), (108, 3)], values(1, 0, 3)),
        ([(100, 1), (108, 3), (104, 2)], values(1, 2, 3)),
        ([(100, 1), (104, 2), (100, 1)], values(1, 2)),
        ([(100, 1), (96, 9), (104, 2)], values(1, 2)),
        ([(0xFFFFFFFC, 1), (0, 2), (4, 3)], values(1, 2, 3)),
        ([(100, 1), (900_000, 2), (900_004, 3)], values(1, 2, 3)),
    ],
)
def test_a_recording_is_put_together_by_timestamp(parts: list[tuple[int, int]], pcm: bytes) -> None:
    assert frames(*parts) == pcm
