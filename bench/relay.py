"""The relay job: telephones that hear each other through a relay, and how each relay comes to its calls.

A relay has a port for each telephone; telephone n is at `PHONES + 2n`, and 2n and 2n + 1 are one call. The telephones
are `peers/rtp_load.c`. As a program this module is our engine alone, without SIP:

    python -m bench.relay CALLS FIRST_PHONE FIRST_PORT

It opens calls of two streams that are relayed to each other, prints their ports, one a line and an empty one at the
end, and relays until it is ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from bench.machine import HOST
from edge.media.sdp import Negotiated
from edge.media.section import MediaSection
from edge.media.transport.engine import MediaEngine

PHONES = 24_000
FIRST_PORT = 26_500  # of the relays
LAST_PORT = 31_999

Value: TypeAlias = "str | list[str] | dict[str, Value]"


@dataclass(frozen=True)
class Heard:
    """What the telephones sent and heard; times on the way in milliseconds."""

    sent: int
    received: int
    wrong: int
    p50_ms: float
    p99_ms: float


def build(source: Path, folder: Path) -> Path:
    """A C program."""
    binary = folder / source.stem
    subprocess.run(["cc", "-O2", "-o", str(binary), str(source)], check=True)
    return binary


def talk(program: Path, targets: list[int], seconds: float) -> Heard:
    """Have all telephones talk at once, through these ports."""
    done = subprocess.run(
        [str(program), str(PHONES), str(seconds)],
        input="\n".join(map(str, targets)),
        capture_output=True,
        text=True,
        check=True,
        timeout=seconds + 30,
    )
    sent, received, wrong, p50, p99, _ = map(int, done.stdout.split())
    return Heard(sent, received, wrong, p50 / 1000, p99 / 1000)


def printed(log: Path) -> list[int]:
    """The ports that a relay printed, once it printed all of them."""
    text = log.read_text() if log.exists() else ""
    return [int(line) for line in text.split()] if text.endswith("\n\n") else []


class Ng:
    """Commands for rtpengine in its protocol: a cookie and a bencoded dictionary in one datagram, and so the answer."""

    def __init__(self, port: int) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.settimeout(2)
        self._socket.connect((HOST, port))

    def close(self) -> None:
        self._socket.close()

    def ping(self) -> bool:
        with contextlib.suppress(OSError):
            return self._ask({"command": "ping"}) == {"result": "pong"}
        time.sleep(0.05)  # asked again until the deadline
        return False

    def call(self, number: int) -> tuple[int, int]:
        """Make a call between two telephones; the ports for the first and the second of them."""
        legs: dict[str, Value] = {"call-id": f"bench-{number}", "from-tag": "a", "replace": ["origin"], "ICE": "remove"}
        for_second = self._port({"command": "offer", **legs, "sdp": _sdp(PHONES + 4 * number)})
        answer = {"command": "answer", **legs, "to-tag": "b", "sdp": _sdp(PHONES + 4 * number + 2)}
        return self._port(answer), for_second

    def _port(self, command: dict[str, Value]) -> int:
        answer = self._ask(command)
        found = re.search(r"m=audio (\d+)", str(answer.get("sdp", "")))
        if found is None:
            raise RuntimeError(f"rtpengine: {answer}")
        return int(found[1])

    def _ask(self, command: dict[str, Value]) -> dict[str, Value]:
        cookie = f"{time.monotonic_ns()} ".encode()
        self._socket.send(cookie + encode(command))
        while not (data := self._socket.recv(65535)).startswith(cookie):
            pass
        answer, _ = decode(data, len(cookie))
        assert isinstance(answer, dict)
        return answer


def _sdp(port: int) -> str:
    return (
        f"v=0\r\no=- 1 1 IN IP4 {HOST}\r\ns=-\r\nc=IN IP4 {HOST}\r\nt=0 0\r\n"
        f"m=audio {port} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na=ptime:20\r\n"
    )


def encode(value: Value) -> bytes:
    """Bencode, as far as it is needed."""
    if isinstance(value, str):
        return b"%d:%s" % (len(value.encode()), value.encode())
    if isinstance(value, list):
        return b"l" + b"".join(map(encode, value)) + b"e"
    return b"d" + b"".join(encode(key) + encode(value[key]) for key in sorted(value)) + b"e"


def decode(data: bytes, at: int = 0) -> tuple[Value, int]:
    """The value that begins there, and where it ends. Numbers become text."""
    kind = data[at : at + 1]
    if kind == b"i":
        end = data.index(b"e", at)
        return data[at + 1 : end].decode(), end + 1
    if kind in b"ld":
        items: list[Value] = []
        at += 1
        while data[at : at + 1] != b"e":
            item, at = decode(data, at)
            items.append(item)
        if kind == b"l":
            return [str(item) for item in items], at + 1
        return {str(key): item for key, item in zip(items[::2], items[1::2], strict=True)}, at + 1
    colon = data.index(b":", at)
    end = colon + 1 + int(data[at:colon])
    return data[colon + 1 : end].decode(), end


@contextlib.contextmanager
def ng(port: int) -> Iterator[Ng]:
    made = Ng(port)
    try:
        yield made
    finally:
        made.close()


async def relay(calls: int, phone: int, first_port: int) -> None:
    engine = MediaEngine(MediaSection(first_port=first_port, last_port=LAST_PORT))
    await engine.start()
    for _ in range(calls):
        pair = engine.open(HOST), engine.open(HOST)
        for stream in pair:
            stream.connect(Negotiated("PCMU", 0, 101, 20, (HOST, phone), "sendrecv", (HOST, phone + 1)))
            phone += 2
            print(stream.local[1])
        pair[0].relay(pair[1])
    print(flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(relay(*map(int, sys.argv[1:4])))
