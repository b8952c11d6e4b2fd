"""RTP for callers of tests: packets, session descriptions, and what G.711 makes of a file."""

from __future__ import annotations

import re
import socket
import struct
import wave
from array import array
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import NamedTuple

from edge.media.g711 import Codec
from tests.media.test_g711 import alaw_value, ulaw_value

TYPES: dict[Codec, int] = {"PCMU": 0, "PCMA": 8}
QUIET: dict[Codec, bytes] = {"PCMU": b"\xff", "PCMA": b"\xd5"}  # a sample of silence

Address = tuple[str, int]


class Packet(NamedTuple):
    """One packet, and where it came from."""

    kind: int
    marker: bool
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes
    source: Address = ("", 0)

    @classmethod
    def read(cls, data: bytes, source: Address) -> Packet:
        first, second, sequence, timestamp, ssrc = struct.unpack_from("!BBHII", data)
        assert first == 0x80, f"the first byte of RTP is {first:#x}"
        return cls(second & 0x7F, second >= 0x80, sequence, timestamp, ssrc, data[12:], source)

    def __bytes__(self) -> bytes:
        second = self.kind | 0x80 * self.marker
        return struct.pack("!BBHII", 0x80, second, self.sequence, self.timestamp, self.ssrc) + self.payload


def socket_pair(host: str) -> tuple[socket.socket, socket.socket]:
    """UDP sockets on an even port and the next one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    while True:
        first, second = socket.socket(family, socket.SOCK_DGRAM), socket.socket(family, socket.SOCK_DGRAM)
        first.bind((host, 0))
        port = first.getsockname()[1]
        try:
            if port % 2 == 0:
                second.bind((host, port + 1))
                return first, second
        except OSError:
            pass
        first.close()
        second.close()


def print_host(host: str) -> str:
    return f"[{host}]" if ":" in host else host


# Session descriptions


def offer(
    media: Address,
    formats: str = "0 101",
    *,
    ptime: int | None = None,
    direction: str = "",
    host: str = "",
    event: int | None = None,
    version: int = 1,
    protocol: str = "RTP/AVP",
    lines: Sequence[str] = (),
) -> bytes:
    """An offer, or an answer: audio at an address; 101, or `event`, is telephone-event.

    `host` is what `c=` says instead; `lines` are added at the end.
    """
    family = "IP6" if ":" in media[0] else "IP4"
    event = 101 if event is None and "101" in formats.split() else event
    written = [
        "v=0",
        f"o=caller 4711 {version} IN {family} {media[0]}",
        "s=-",
        f"c=IN {family} {host or media[0]}",
        "t=0 0",
        f"m=audio {media[1]} {protocol} {formats}",
    ]
    written += [f"a=rtpmap:{event} telephone-event/8000", f"a=fmtp:{event} 0-15"] if event is not None else []
    written += [f"a=ptime:{ptime}"] if ptime is not None else []
    written += [f"a={direction}"] if direction else []
    return "\r\n".join([*written, *lines, ""]).encode()


class Described(NamedTuple):
    """What a session description says of its first stream."""

    session: str
    version: int
    address: Address
    formats: str
    attributes: list[str]

    @classmethod
    def read(cls, body: bytes) -> Described:
        text = body.decode()

        def one(pattern: str) -> re.Match[str]:
            found = re.search(f"(?m){pattern}\r$", text)
            assert found, f"{pattern} is not in {text}"
            return found

        origin = one(r"^o=\S+ (\d+) (\d+) IN IP[46] \S+")
        audio = one(r"^m=audio (\d+) RTP/S?AVP ([\d ]+)")
        address = one(r"^c=IN IP[46] (\S+)")[1], int(audio[1])
        return cls(origin[1], int(origin[2]), address, audio[2], re.findall(r"(?m)^a=(.*)\r$", text))

    @property
    def direction(self) -> str:
        names = {"sendrecv", "sendonly", "recvonly", "inactive"}
        return next((attribute for attribute in self.attributes if attribute in names), "sendrecv")


# Audio


def codes(seconds: float, codec: Codec, seed: int = 1) -> bytes:
    """Encoded noise without a silent sample: every level of the law, but the nought."""
    silent = {0xFF, 0x7F} if codec == "PCMU" else {0xD5, 0x55}
    loud = [code for code in range(256) if code not in silent]
    return bytes(Random(seed).choices(loud, k=int(seconds * 8000)))


def linear(encoded: bytes, codec: Codec) -> bytes:
    """Encoded samples as 16-bit PCM, by the formulas of G.711: encoding that must give the same bytes again."""
    value = ulaw_value if codec == "PCMU" else alaw_value
    return array("h", [value(code) for code in encoded]).tobytes()


def write_wav(path: Path, pcm: bytes, *, rate: int = 8000, channels: int = 1) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(pcm)


def filled(encoded: bytes, codec: Codec, samples: int) -> bytes:
    """Whole packets: the last one is filled up with silence."""
    return encoded + QUIET[codec] * (-len(encoded) % samples)


def sound(packets: Sequence[Packet], codec: Codec) -> list[Packet]:
    """From the first packet that is not silence to the last."""
    loud = [place for place, packet in enumerate(packets) if set(packet.payload) != set(QUIET[codec])]
    return list(packets[loud[0] : loud[-1] + 1]) if loud else []


def payloads(packets: Sequence[Packet]) -> bytes:
    return b"".join(packet.payload for packet in packets)


def check_unbroken(packets: Sequence[Packet], codec: Codec, ptime: int) -> None:
    """One stream without a gap: numbers go up by one, timestamps by a packet time, the marker is on the first only."""
    assert packets
    first = packets[0]
    for count, packet in enumerate(packets):
        assert (packet.ssrc, packet.kind, packet.source) == (first.ssrc, TYPES[codec], first.source), count
        assert packet.marker == (count == 0), count
        assert packet.sequence == (first.sequence + count) % 2**16, count
        assert packet.timestamp == (first.timestamp + count * ptime * 8) % 2**32, count
        assert len(packet.payload) == ptime * 8, count


# Keys


def presses(
    keys: str, *, kind: int = 101, first: int = 1000, timestamp: int = 50_000, markers: bool = True
) -> list[list[Packet]]:
    """The packets of keys pressed one after another (RFC 4733): for each three updates and three ends."""
    pressed = []
    for place, key in enumerate(keys):
        event = "0123456789*#ABCD".index(key)
        packets = []
        for number in range(6):
            end = number >= 3
            payload = struct.pack("!BBH", event, 0x80 * end + 10, 160 * min(number + 1, 4))
            sequence = (first + 6 * place + number) % 2**16
            when = (timestamp + 3200 * place) % 2**32
            packets.append(Packet(kind, markers and number == 0, sequence, when, 0x1234, payload))
        pressed.append(packets)
    return pressed
