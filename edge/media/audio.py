"""Audio: PCM at 8 kHz, mono, 16 bit, with its two encodings; read from WAV files of any kind and written to them.

A file that already is 8 kHz, mono, 16 bit (or G.711 in a WAV) comes out sample for sample. Everything else is brought
there in 32 bit: channels are averaged, the rate is changed by the polyphase filter of `resample`, and the result is
rounded once.

The filter is a windowed sinc. All its arithmetic is done by `audioop` on slices of the signal, so that no sample is
ever a Python object: 30 s of 48 kHz stereo take about half a second. It belongs into a thread nevertheless; and since C
code does not let go of the interpreter meanwhile, nothing works on more than a block at a time.

Not nice: PCM is the machine's own byte order here, so the machine has to be little-endian.
"""

from __future__ import annotations

import math
import warnings
from array import array
from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache
from struct import Struct
from typing import NamedTuple

from edge.errors import Fault, Invalid
from edge.media.g711 import CODECS, RATE, WIDTH, Codec, decode, encode

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # see g711.py
    import audioop

MAX_FILE_BYTES = 128 * 1024 * 1024  # of a WAV file
MAX_SECONDS = 600.0  # that one audio lasts; a flow plays several one after another
MAX_CHANNELS = 32
MIN_RATE, MAX_RATE = 4_000, 192_000  # samples a second
BLOCK_SAMPLES = 50_000  # worked on in one call

_PCM, _FLOAT, _ALAW, _ULAW, _EXTENSIBLE = 0x0001, 0x0003, 0x0006, 0x0007, 0xFFFE  # RFC 2361, and Microsoft's later one
_LAWS: dict[int, Codec] = {_ALAW: "PCMA", _ULAW: "PCMU"}
_UNKNOWN_LENGTH = 0x7FFF0000  # a program that writes into a pipe puts this or more where the length belongs

_FORMAT = Struct("<HHIIHH")
_CHUNK = Struct("<4sI")


class Audio:
    """Something to play: `pcm`, and its bytes in either law, encoded when first asked for. Never changed."""

    __slots__ = ("_encoded", "pcm")

    def __init__(self, pcm: bytes) -> None:
        self.pcm = pcm
        self._encoded: dict[Codec, bytes] = {}

    def encoded(self, codec: Codec) -> bytes:
        """One byte a sample."""
        data = self._encoded.get(codec)
        if data is None:
            data = self._encoded[codec] = _in_blocks(lambda part: encode(part, codec), self.pcm, WIDTH)
        return data

    @property
    def seconds(self) -> float:
        return len(self.pcm) / WIDTH / RATE

    @property
    def cost(self) -> int:
        """Bytes of memory, with both encodings."""
        return 2 * len(self.pcm)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Audio) and self.pcm == other.pcm

    def __hash__(self) -> int:
        return hash(self.pcm)

    def __repr__(self) -> str:
        return f"Audio({self.seconds:.3f} s)"


class Recording:
    """What a stream heard, put together by RTP timestamp: give it to `Stream.tap`.

    A packet that is missing, or a pause of the sender, stays silence; one that comes late goes to its place. A
    timestamp that jumps by more than `MAX_GAP` seconds is a new clock, and goes on where the old one was.
    """

    MAX_GAP = 30.0

    def __init__(self) -> None:
        self._pcm = bytearray()
        self._origin: int | None = None  # the timestamp of the first sample

    def said(self, timestamp: int, pcm: bytes) -> None:
        """Not kept."""

    def heard(self, timestamp: int, pcm: bytes) -> None:
        if self._origin is None:
            self._origin = timestamp
        sample = timestamp - self._origin & 0xFFFFFFFF
        if sample >= 0x80000000:  # before the first one that came
            return
        start, end = sample * WIDTH, len(self._pcm)
        if abs(start - end) > self.MAX_GAP * RATE * WIDTH:
            self._origin = timestamp - end // WIDTH & 0xFFFFFFFF
            start = end
        if start > end:
            self._pcm += bytes(start - end)
        self._pcm[start : start + len(pcm)] = pcm

    @property
    def pcm(self) -> bytes:
        return bytes(self._pcm)

    @property
    def seconds(self) -> float:
        return len(self._pcm) / WIDTH / RATE


def ready(audio: Audio) -> Audio:
    """The audio with both its encodings made: in a thread, and not when the first caller hears it."""
    for codec in CODECS:
        audio.encoded(codec)
    return audio


def write_wav(pcm: bytes) -> bytes:
    """A WAV file of PCM: 8 kHz, mono, 16 bit."""
    form = _FORMAT.pack(_PCM, 1, RATE, RATE * WIDTH, WIDTH, 8 * WIDTH)
    body = b"WAVE" + _CHUNK.pack(b"fmt ", len(form)) + form + _CHUNK.pack(b"data", len(pcm)) + pcm
    return _CHUNK.pack(b"RIFF", len(body)) + body


def read_wav(data: bytes, name: str) -> Audio:
    """The audio of a WAV file: PCM of 8, 16, 24 or 32 bit, float of 32 or 64, µ-law or A-law, any rate and channels.

    Raises Invalid, naming the file and the byte where it is wrong.
    """
    if len(data) > MAX_FILE_BYTES:
        raise _wrong(name, f"{len(data)} bytes are more than {MAX_FILE_BYTES}")
    form, start, frames = _samples(data, name)
    signal = data[start : start + frames * form.block]
    if form.channels == 1 and form.rate == RATE:
        if form.kind == _PCM and form.width == WIDTH:
            return Audio(signal)
        if form.kind in _LAWS:
            return Audio(decode(signal, _LAWS[form.kind]))
    wide = _in_blocks(lambda part: _mono(_wide(part, form), form.channels), signal, form.block)
    return Audio(_in_blocks(narrow, resample(wide, form.rate), _WORK))


def wav_seconds(data: bytes, name: str) -> float:
    """How long a WAV file lasts. Raises Invalid for one that `read_wav` would not read."""
    form, _, frames = _samples(data, name)
    return frames / form.rate


def _samples(data: bytes, name: str) -> tuple[_Format, int, int]:
    """The format, where the samples begin, and how many frames of them there are."""
    form, start, end = _chunks(data, name)
    frames = (end - start) // form.block
    if frames == 0:
        raise _wrong(name, f"byte {start}: there are no samples")
    if frames > form.rate * MAX_SECONDS:
        raise _wrong(name, f"{frames / form.rate:.0f} s are more than {MAX_SECONDS:.0f}")
    return form, start, frames


def from_pcm(pcm: bytes, rate: int) -> Audio:
    """The audio of PCM with another rate: mono, 16 bit."""
    if rate == RATE:
        return Audio(pcm)
    return Audio(_in_blocks(narrow, resample(_in_blocks(widen, pcm, WIDTH), rate), _WORK))


class _Format(NamedTuple):
    kind: int
    channels: int
    rate: int
    width: int  # bytes of one channel's sample

    @property
    def block(self) -> int:
        return self.channels * self.width


def _wrong(name: str, what: str) -> Invalid:
    return Invalid(f"{name}: {what}", faults=[Fault(name, what)], reason="INVALID_AUDIO")


def _chunks(data: bytes, name: str) -> tuple[_Format, int, int]:
    """The format, and where the samples begin and end."""
    if data[:4] in (b"RIFX", b"RF64"):
        raise _wrong(name, f"byte 0: {data[:4].decode()} files are not read, only RIFF")
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise _wrong(name, "byte 0: is not a RIFF/WAVE file")
    form: _Format | None = None
    at = 12
    while at + _CHUNK.size <= len(data):
        kind, length = _CHUNK.unpack_from(data, at)
        start = at + _CHUNK.size
        if kind == b"data":
            if form is None:
                raise _wrong(name, f"byte {at}: the data come before their format")
            if length >= _UNKNOWN_LENGTH:
                length = len(data) - start
            elif start + length > len(data):
                raise _wrong(name, f"byte {start}: cut off, {length} bytes of data expected, {len(data) - start} there")
            return form, start, start + length
        if start + length > len(data):
            raise _wrong(name, f"byte {at}: cut off in the chunk {kind.decode('ascii', 'replace')!r}")
        if kind == b"fmt ":
            form = _format(data[start : start + length], name, start)
        at = start + length + length % 2  # chunks begin at even bytes
    raise _wrong(name, f"byte {min(at, len(data))}: there is no {'data' if form else 'fmt'} chunk")


def _format(chunk: bytes, name: str, at: int) -> _Format:
    if len(chunk) < _FORMAT.size:
        raise _wrong(name, f"byte {at}: the format has {len(chunk)} bytes instead of {_FORMAT.size}")
    kind, channels, rate, _, block, bits = _FORMAT.unpack_from(chunk)
    if kind == _EXTENSIBLE and len(chunk) >= 26:
        kind = int.from_bytes(chunk[24:26], "little")  # the first two bytes of the sub-format's GUID
    width = (bits + 7) // 8
    widths = {_PCM: (1, 2, 3, 4), _FLOAT: (4, 8), _ALAW: (1,), _ULAW: (1,)}.get(kind)
    if widths is None:
        raise _wrong(name, f"byte {at}: encoding {kind:#06x} is neither PCM, float, A-law nor µ-law")
    if width not in widths:
        raise _wrong(name, f"byte {at + 14}: {bits} bits a sample are not read")
    if not 0 < channels <= MAX_CHANNELS:
        raise _wrong(name, f"byte {at + 2}: {channels} channels are not 1–{MAX_CHANNELS}")
    if not MIN_RATE <= rate <= MAX_RATE:
        raise _wrong(name, f"byte {at + 4}: {rate} samples a second are not {MIN_RATE}–{MAX_RATE}")
    if block != channels * width:
        raise _wrong(name, f"byte {at + 12}: a block of {block} bytes for {channels} channels of {width}")
    return _Format(kind, channels, rate, width)


def _in_blocks(work: Callable[[bytes], bytes], data: bytes, unit: int) -> bytes:
    """`work` done on the data, never on more than a block of whole units at a time."""
    size = BLOCK_SAMPLES * unit
    return b"".join([work(data[at : at + size]) for at in range(0, len(data), size)])


# --- 32 bit in between: two bits of headroom for the filter, 14 below the last of the 16 -----------------------------

_WORK = 4  # bytes of a sample on the way
_HEADROOM = 4
_FULL = 2147483647.0  # the largest sample


def _wide(signal: bytes, form: _Format) -> bytes:
    if form.kind in _LAWS:
        wide = audioop.lin2lin(decode(signal, _LAWS[form.kind]), WIDTH, _WORK)
    elif form.kind == _FLOAT:
        wide = _from_float(array("f" if form.width == 4 else "d", signal))
    else:
        if form.width == 1:
            signal = audioop.bias(signal, 1, -128)  # 8 bit PCM is unsigned
        wide = audioop.lin2lin(signal, form.width, _WORK)
    return audioop.mul(wide, _WORK, 1 / _HEADROOM)


def widen(pcm: bytes) -> bytes:
    """PCM of 16 bit in 32, with headroom."""
    return audioop.mul(audioop.lin2lin(pcm, WIDTH, _WORK), _WORK, 1 / _HEADROOM)


def _from_float(samples: array[float]) -> bytes:
    try:
        return array("i", map(int, map(_FULL.__mul__, samples))).tobytes()
    except (ValueError, OverflowError):  # not a number, or louder than full scale
        return array("i", [int(max(-1.0, min(1.0, x)) * _FULL) if x == x else 0 for x in samples]).tobytes()


def _mono(signal: bytes, channels: int) -> bytes:
    if channels == 1:
        return signal
    samples = array("i", signal)
    mixed = b""
    for channel in range(channels):
        part = audioop.mul(samples[channel::channels].tobytes(), _WORK, 1 / channels)
        mixed = audioop.add(mixed, part, _WORK) if mixed else part
    return mixed


def narrow(signal: bytes) -> bytes:
    """PCM of 16 bit again, rounded."""
    half = (1 << 15).to_bytes(_WORK, "little") * (len(signal) // _WORK)
    return audioop.lin2lin(audioop.add(audioop.mul(signal, _WORK, _HEADROOM), half, _WORK), _WORK, WIDTH)


# --- another rate ----------------------------------------------------------------------------------------------------

ZEROES = 12  # zero crossings of the sinc on either side: the price is taps, the gain a steeper edge
EDGE = 0.92  # the filter's half-power point as part of half the lower rate; beyond 1.0 it is down by 60 dB and more
BETA = 6.0  # of the Kaiser window
MAX_PHASES = 640  # of the polyphase filter; the standard rates need at most 320, an odd one is off by less than 1e-6


def resample(signal: bytes, rate: int) -> bytes:
    """Samples of 32 bit from any rate to 8 kHz, without aliases: the band above 3.9 kHz is gone before they are taken.

    The output sample n lies at n·rate/8000 of the input. With that ratio as M/L, the samples n = phase + j·L of one
    phase all see the input through the same taps, each M further: so for each tap, one strided slice is weighted and
    added.
    """
    ratio = Fraction(rate, RATE).limit_denominator(MAX_PHASES)
    step, phases = ratio.numerator, ratio.denominator
    if step == phases:
        return signal
    taps = _taps(step, phases)
    reach = len(taps[0]) // 2
    size = len(signal) // _WORK
    samples = array("i", bytes(reach * _WORK) + signal + bytes((reach + step) * _WORK))
    total = size * phases // step
    result = array("i", bytes(total * _WORK))
    block = max(1, BLOCK_SAMPLES // phases) * phases
    for first in range(0, total, block):
        last = min(first + block, total)
        for phase in range(min(phases, last - first)):
            count = len(range(first + phase, last, phases))
            base = (first + phase) * step // phases + 1  # the leftmost tap; `samples` begins `reach` early
            stop = base + (count - 1) * step + 1
            weighted = bytes(count * _WORK)
            for tap, weight in enumerate(taps[phase]):
                part = samples[base + tap : stop + tap : step].tobytes()
                weighted = audioop.add(weighted, audioop.mul(part, _WORK, weight), _WORK)
            result[first + phase : last : phases] = array("i", weighted)
    return result.tobytes()


def reach(rate: int) -> int:
    """How many samples of that rate on either side one of the output depends on."""
    ratio = Fraction(rate, RATE).limit_denominator(MAX_PHASES)
    return len(_taps(ratio.numerator, ratio.denominator)[0]) // 2


@lru_cache(maxsize=8)
def _taps(step: int, phases: int) -> tuple[tuple[float, ...], ...]:
    """For each phase the weights of the input samples around it; each set sums to 1, so that no level changes."""
    band = EDGE * min(1.0, phases / step)  # as part of half the input's rate
    reach = math.ceil(ZEROES / band)
    width = reach + 1
    table = []
    for phase in range(phases):
        offset = phase * step % phases / phases  # how far behind the middle tap the output lies
        row = [_sinc((k - offset) * band) * _kaiser((k - offset) / width) for k in range(1 - reach, reach + 1)]
        weight = sum(row)
        table.append(tuple(value / weight for value in row))
    return tuple(table)


def _sinc(x: float) -> float:
    return math.sin(math.pi * x) / (math.pi * x) if x else 1.0


def _kaiser(x: float) -> float:
    return _bessel(BETA * math.sqrt(max(0.0, 1.0 - x * x))) / _bessel(BETA)


def _bessel(x: float) -> float:
    """The modified Bessel function of order 0, by its series."""
    total = term = 1.0
    k = 1
    while term > 1e-12 * total:
        term *= (x / (2 * k)) ** 2
        total += term
        k += 1
    return total
