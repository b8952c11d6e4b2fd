"""Our own side of the bench: its configuration, its database with all numbers, and its greeting."""

from __future__ import annotations

import asyncio
import itertools
import math
import re
import socket
import struct
import urllib.request
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import insert, select

from bench.machine import HOST
from edge.config import Config, load
from edge.numbers.number import Number, NumberDraft
from edge.numbers.table import KIND
from edge.numbers.table import number_versions as versions
from edge.numbers.table import numbers as table
from edge.plugins import load as load_plugins
from edge.store.engine import writing
from edge.store.metadata import NIL
from edge.store.notice import cache_key
from edge.stores import Stores, open_stores

NUMBERS = 10_000
SECONDS = 3.0
LONG_SECONDS = 20.0  # of the greeting that many hear at once
TARGET = "sip:flow@127.0.0.1:5099"
GREETED = "+15559000000"  # has the greeting bound
HELD = "+15559000001"  # rings, unanswered
BRIDGED = "+15559000002"  # is connected to the next, which is none of ours
CALLEE = "+15559000003"
CALLEE_PORT = 16064
GREETED_LONG = "+15559000004"
TEXTED = 500  # numbers that are texted and say nothing, and as many that answer
TOKEN = "vb_" + "bench" * 10  # of the bench's own databases, on loopback


def numbers() -> Iterator[str]:
    """The numbers in the table, all bound to a redirect."""
    return (f"+1555{n:07}" for n in range(NUMBERS))


def texted(*, answered: bool) -> list[str]:
    """Numbers whose flow for texts answers, or others, whose flow does not."""
    first = TEXTED if answered else 0
    return [*itertools.islice(numbers(), first, first + TEXTED)]


def strangers() -> Iterator[str]:
    """As many numbers that nobody has."""
    return (f"+1666{n:07}" for n in range(NUMBERS))


def write_numbers(path: Path, them: Iterator[str]) -> Path:
    """A file for SIPp's -inf."""
    path.write_text("SEQUENTIAL\n" + "".join(f"{number};\n" for number in them))
    return path


def fill_redis(sock: Path) -> None:
    """The same numbers for a peer that reads Redis itself: `bench:<number>` → target."""
    command = b"".join(_command(b"SET", b"bench:" + number.encode(), TARGET.encode()) for number in numbers())
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(sock))
        connection.sendall(command)
        answers = b""
        while answers.count(b"+OK\r\n") < NUMBERS:
            answers += connection.recv(65536)


def _command(*words: bytes) -> bytes:
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


def write_greeting(path: Path, seconds: float) -> None:
    """So long a tone as WAV, 8 kHz, mono, 16 bit."""
    samples = (round(8000 * math.sin(2 * math.pi * 440 * n / 8000)) for n in range(int(8000 * seconds)))
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(8000)
        out.writeframes(b"".join(struct.pack("<h", sample) for sample in samples))


@dataclass(frozen=True)
class Plan:
    """Where a daemon of ours listens, and its files."""

    folder: Path
    sip_port: int
    http_port: int
    media_port: int
    extra: str = ""  # at the end of its configuration
    limits: str = ""  # of its trunk

    @property
    def config(self) -> Path:
        return self.folder / "edge.toml"

    def write(self) -> None:
        """Its configuration, and the prompt it plays."""
        prompts = self.folder / "prompts"
        prompts.mkdir(exist_ok=True)
        write_greeting(prompts / "greeting.wav", SECONDS)
        write_greeting(prompts / "long.wav", LONG_SECONDS)
        self.config.write_text(
            f"""
data = "{self.folder}/var"
drain_seconds = 1.0

[log]
level = "warning"

[store]
url = "sqlite:///{self.folder}/edge.sqlite3"

[redis]
url = "unix://{self.folder}/redis.sock"

[sip]
listen = ["udp:{HOST}:{self.sip_port}"]

[[trunks]]
name = "bench"
networks = ["{HOST}/32"]
target = "sip:{HOST}:{CALLEE_PORT}"
outbound = true
{self.limits}

[media]
first_port = {self.media_port}
last_port = {self.media_port + 7999}
port_rest_seconds = 1.0
prompts = "{prompts}"

[api]
host = "{HOST}"
port = {self.http_port}
{self.extra}"""
        )

    def fill(self) -> None:
        """The database, made once, and the numbers in Redis, as they are after a day's work."""
        config = load(self.config)
        patient = config.redis.model_copy(update={"deadline_ms": 5000})  # ten thousand at once are not a call
        fresh = not (self.folder / "edge.sqlite3").exists()
        asyncio.run(_fill(config.model_copy(update={"redis": patient}), fresh=fresh))

    def ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://{HOST}:{self.http_port}/ready", timeout=1) as response:
                return bool(response.status == 200)
        except OSError:
            return False

    def commits(self) -> float:
        """Of the writer so far, as its metrics say."""
        with urllib.request.urlopen(f"http://{HOST}:{self.http_port}/metrics", timeout=5) as response:
            found = re.search(rb"^edge_store_commit_seconds_count (\S+)", response.read(), re.MULTILINE)
        return float(found[1]) if found else 0.0


async def _fill(config: Config, *, fresh: bool) -> None:
    load_plugins("edge.actions")
    async with open_stores(config) as stores:
        if fresh:
            await _provision(stores)
        assert stores.redis is not None
        async with stores.engine.connect() as connection:
            rows = [dict(row) for row in (await connection.execute(select(table))).mappings()]
        for start in range(0, len(rows), 500):
            batch = [Number.from_columns(row) for row in rows[start : start + 500]]
            await asyncio.gather(
                *(
                    stores.redis.put_if_newer(cache_key(KIND, one.number), one.version, one.to_json(), 600_000)
                    for one in batch
                )
            )


async def _provision(stores: Stores) -> None:
    """A customer, its flows, a number for each that is not about look-ups, and ten thousand for the one that is."""
    customer = (await stores.customers.create("bench")).id
    greet, greet_long = (
        [{"type": "answer"}, {"type": "play", "option": {"stream_urls": [file]}}, {"type": "hangup"}]
        for file in ("greeting.wav", "long.wav")
    )
    hold = [{"type": "sleep", "option": {"duration": 60_000}}]
    bridge = [{"type": "connect", "option": {"destinations": [CALLEE]}}]
    redirect = [{"type": "redirect", "option": {"destinations": [TARGET]}}]
    bound = ((GREETED, greet), (GREETED_LONG, greet_long), (HELD, hold), (BRIDGED, bridge))
    for number, actions in bound:
        flow = await stores.flows.create(customer, {"name": number, "actions": actions})
        await stores.numbers.create(NumberDraft(customer_id=customer, number=number, call_flow_id=flow.id))
    flow = await stores.flows.create(customer, {"name": "redirect", "actions": redirect})
    note = {"type": "variable_set", "option": {"key": "said", "value": "${voipbin.conversation_message.text}"}}
    answer = {"type": "reply", "option": {"text": "got it"}}
    quiet, answering = [await stores.flows.create(customer, {"actions": [step]}) for step in (note, answer)]
    texts = dict.fromkeys(texted(answered=False), quiet.id) | dict.fromkeys(texted(answered=True), answering.id)
    await stores.keys.create(None, admin=True, token=TOKEN)
    now = datetime.now(UTC)
    drafts = (
        NumberDraft(customer_id=customer, number=number, call_flow_id=flow.id, message_flow_id=texts.get(number, NIL))
        for number in numbers()
    )
    rows = [draft.number_at(now).columns() for draft in drafts]
    async with writing(stores.engine) as connection:
        await connection.execute(insert(table), rows)
        await connection.execute(insert(versions), [{"number": row["number"], "version": 1} for row in rows])
