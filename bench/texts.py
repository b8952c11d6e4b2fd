"""The jobs with texts: who sends them, in what form, and what is counted.

A text by webhook is a request over one of many connections that stay open (`peers/http_load.c`), one by SMPP a
deliver_sm over one bind of the server's (`peers/smsc_load.c`). Both programs take texts that are written beforehand,
acknowledge the replies, and their CPU is not counted. In all of them a text must be kept before it is acknowledged,
and run a small flow, which in one job answers.
"""

from __future__ import annotations

import itertools
import json
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, NamedTuple
from urllib.parse import urlencode

from bench import ours
from bench.machine import HOST
from bench.relay import build

PEERS = Path(__file__).parent / "peers"
REPLIES_PORT = 16_090  # where replies by webhook go
SMSC_PORT = 16_092
CONNECTIONS = 32
WINDOW = 100  # deliver_sm that are not acknowledged
BIND_SECONDS = 30.0
SECONDS = 120.0

Way = Literal["webhook", "smpp"]
_runs = itertools.count(time.time_ns())  # for ids that no run had before


class Text(NamedTuple):
    id: str
    source: str
    destination: str
    body: str


class Taken(NamedTuple):
    """What became of the texts of one load; times in milliseconds."""

    sent: int
    accepted: int
    replies: int
    ms: int
    p50_ms: float
    p99_ms: float
    most_ms: float


class Acknowledged(NamedTuple):
    """How long texts that come at a rate wait until they are acknowledged, in milliseconds. `commits`: of our database
    a second, None for a peer."""

    p50_ms: float
    p99_ms: float
    most_ms: float
    commits: float | None


def texts(count: int, *, answered: bool) -> Iterator[Text]:
    """Texts of some thousand people to some hundred numbers, whose flows answer or do not.

    No two say the same: by SMPP a text has no id, and one that was there a minute ago is a repeat, which runs no flow.
    """
    run, numbers = next(_runs), ours.texted(answered=answered)
    for n in range(count):
        word = "hello" if answered else "quiet"
        body = f"{word}, this is text {n} of {run}"
        yield Text(f"{run}-{n}", f"+1415{2_000_000 + n % 5000}", numbers[n % len(numbers)], body)


def to_edge(text: Text) -> bytes:
    """A request as our loopback carrier takes it."""
    body = {"id": text.id, "from": text.source, "to": text.destination, "text": text.body}
    data = json.dumps(body).encode()
    return (
        f"POST /v1.0/carriers/loopback/inbound HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {ours.TOKEN}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n".encode()
        + data
    )


def to_kannel(text: Text) -> bytes:
    """A request as Kannel's smsc of type http takes it."""
    query = {"username": "bench", "password": "bench", "from": text.source, "to": text.destination, "text": text.body}
    return f"GET /?{urlencode(query)} HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()


def to_esme(text: Text) -> bytes:
    """A deliver_sm (SMPP 3.4 §4.6.1); its sequence number is set when it is sent."""
    source, destination = (b"\1\1" + number[1:].encode() + b"\0" for number in (text.source, text.destination))
    body = b"\0" + source + destination + bytes(9) + bytes([len(text.body)]) + text.body.encode()
    return struct.pack(">IIII", 16 + len(body), 5, 0, 0) + body


def post(folder: Path, port: int, requests: list[bytes], *, rate: float, replies: int) -> Taken:
    """Post all of them."""
    program = build(PEERS / "http_load.c", folder)
    words = [str(program), str(port), str(CONNECTIONS), str(rate), str(REPLIES_PORT), str(replies)]
    data = b"".join(struct.pack("=I", len(request)) + request for request in requests)
    done = subprocess.run(words, input=data, capture_output=True, check=True, timeout=SECONDS)
    return _taken(done.stdout)


class Smsc:
    """An SMSC that somebody has bound to."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def deliver(self, pdus: list[bytes]) -> Taken:
        """Send all of them, once."""
        said, _ = self._process.communicate(b"".join(pdus), timeout=SECONDS)
        return _taken(said)


@contextmanager
def smsc(folder: Path, *, rate: float, replies: int) -> Iterator[Smsc]:
    """An SMSC, once the server under measurement has bound to it. Raises RuntimeError when it does not."""
    program = build(PEERS / "smsc_load.c", folder)
    words = [str(program), str(SMSC_PORT), str(WINDOW), str(rate), str(replies), str(BIND_SECONDS)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            if process.stdout.readline() != b"bound\n":
                raise RuntimeError(f"nobody bound to the SMSC within {BIND_SECONDS:g} s")
            yield Smsc(process)
        finally:
            process.kill()


def _taken(said: bytes) -> Taken:
    sent, accepted, replies, ms, p50, p99, most = map(int, said.split())
    return Taken(sent, accepted, replies, ms, p50 / 1000, p99 / 1000, most / 1000)
