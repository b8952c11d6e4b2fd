"""The connection to Redis: replies in any pieces, errors, deadlines."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import hiredis
import pytest
from redis.exceptions import BusyLoadingError, NoScriptError, ResponseError

from edge.errors import Unavailable
from edge.metrics import REGISTRY
from edge.store.redis_connection import LATE_MAX, RedisConnection, connect
from tests.servers import RedisServer

A, B = "edge:v1:t:a", "edge:v1:t:b"


class Wire(asyncio.Transport):
    """Keeps what is written; the test says what comes back."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.aborted = False

    def write(self, data: Any) -> None:
        self.written.append(bytes(data))

    def abort(self) -> None:
        self.aborted = True


class Wired:
    """A connection on such a wire."""

    def __init__(self) -> None:
        self.pushed: list[Any] = []
        self.wire = Wire()
        self.connection = RedisConnection(self.pushed.append)
        self.connection.connection_made(self.wire)

    def comes(self, data: bytes) -> None:
        self.connection.get_buffer(-1)[: len(data)] = data
        self.connection.buffer_updated(len(data))


async def turn() -> None:
    """What was asked is written."""
    await asyncio.sleep(0)


def late() -> float:
    return REGISTRY.get_sample_value("edge_redis_late_total") or 0.0


@pytest.fixture
async def wired() -> Wired:
    return Wired()


@pytest.fixture
async def real(redis_url: str) -> AsyncIterator[RedisConnection]:
    connection = await connect(redis_url, print)
    yield connection
    connection.close()


STREAM = (
    b">2\r\n$10\r\ninvalidate\r\n*1\r\n$11\r\nedge:v1:t:a\r\n"
    b"+OK\r\n"
    b"-WRONGTYPE Operation against a key\r\n"
    b":42\r\n"
    b">2\r\n$10\r\ninvalidate\r\n_\r\n"
    b"*2\r\n$9\r\n7 one\r\n\r\n\r\n_\r\n"
)


async def read_in_pieces(*pieces: bytes) -> None:
    wired = Wired()
    asked = [wired.connection.ask(word) for word in ("ONE", "TWO", "THREE")]
    gets = [wired.connection.get(A), wired.connection.get(B)]
    await turn()
    for piece in pieces:
        wired.comes(piece)
    one, two, three, a, b = await asyncio.gather(*asked, *gets, return_exceptions=True)
    assert (one, three, a, b) == (b"OK", 42, b"7 one\r\n\r\n", None)
    assert isinstance(two, ResponseError)
    assert str(two) == "WRONGTYPE Operation against a key"
    assert wired.pushed == [[b"invalidate", [A.encode()]], [b"invalidate", None]]
    assert not wired.connection.gone.done()


async def test_replies_and_pushes_may_be_cut_at_every_byte() -> None:
    for cut in range(1, len(STREAM)):
        await read_in_pieces(STREAM[:cut], STREAM[cut:])
    await read_in_pieces(*(STREAM[at : at + 1] for at in range(len(STREAM))))


async def test_what_is_asked_in_one_turn_is_one_write_with_the_commands_first(wired: Wired) -> None:
    wired.connection.get(A)
    wired.connection.tell("SET", A, b"1 x")
    wired.connection.get(B)
    await turn()
    expected = [hiredis.pack_command(words) for words in (("SET", A, b"1 x"), ("MGET", A, B))]  # type: ignore[arg-type]  # the stub means a tuple of one
    assert wired.wire.written == [b"".join(expected)]
    wired.connection.get(A)
    await turn()
    assert len(wired.wire.written) == 2


async def test_an_error_reply_is_its_own_commands_and_no_others(real: RedisConnection) -> None:
    replies = await asyncio.gather(
        real.ask("SET", A, b"1 one"),
        real.ask("LPUSH", A, "x"),
        real.ask("EVALSHA", "0" * 40, 0),
        real.ask("NONSENSE"),
        real.ask("SET", B, b"2 two"),
        real.get(A),
        real.get(B),
        return_exceptions=True,
    )
    assert [type(reply) for reply in replies[1:4]] == [ResponseError, NoScriptError, ResponseError]
    assert [replies[0], *replies[4:]] == [b"OK", b"OK", b"1 one", b"2 two"]
    assert not real.gone.done()


async def test_a_server_that_loads_its_data_is_none(wired: Wired) -> None:
    first, second = wired.connection.ask("PING"), wired.connection.get(A)
    await turn()
    wired.comes(b"-LOADING Redis is loading the dataset in memory\r\n")
    with pytest.raises(BusyLoadingError):
        await first
    with pytest.raises(Unavailable, match="LOADING"):
        await asyncio.wait_for(second, 5)
    assert isinstance(wired.connection.gone.result(), BusyLoadingError)


@pytest.mark.parametrize("nonsense", [b"HTTP/1.1 400 Bad Request\r\n", b"+OK\r\n+a reply to nothing\r\n"])
async def test_what_makes_no_sense_breaks_the_connection(wired: Wired, nonsense: bytes) -> None:
    asked = wired.connection.ask("PING")
    await turn()
    wired.comes(nonsense)
    await asyncio.gather(asked, return_exceptions=True)
    assert isinstance(wired.connection.gone.result(), hiredis.ProtocolError)
    assert wired.wire.aborted
    with pytest.raises(Unavailable):
        await wired.connection.get(A)
    assert len(wired.wire.written) == 1


async def test_the_first_reason_is_the_reason(wired: Wired) -> None:
    waiting = wired.connection.get(A)
    wired.connection.connection_lost(None)
    wired.connection.close()
    assert "the server closed" in str(wired.connection.gone.result())
    with pytest.raises(Unavailable, match="the server closed"):
        await waiting


async def test_each_batch_has_the_whole_deadline(wired: Wired) -> None:
    wired.connection.deadline = 0.05
    first = wired.connection.ask("PING")
    await turn()
    wired.comes(b"+PONG\r\n")
    await first
    await asyncio.sleep(0.03)  # the timer runs on
    asked = time.monotonic()
    with pytest.raises(Unavailable, match="50 ms"):
        await asyncio.wait_for(wired.connection.get(A), 5)
    assert 0.049 <= time.monotonic() - asked < 1


async def test_only_late_batches_in_a_row_break_the_connection(wired: Wired) -> None:
    wired.connection.deadline = 0.005
    before = late()
    for _ in range(3):
        for _ in range(LATE_MAX - 1):
            with pytest.raises(Unavailable, match="5 ms"):
                await wired.connection.get(A)
        last = wired.connection.get(A)
        await turn()
        wired.comes(b"*1\r\n$2\r\nno\r\n" * (LATE_MAX - 1) + b"*1\r\n$3\r\nyes\r\n")  # the late replies are nobody's
        assert await last == b"yes"
    assert late() == before + 3 * (LATE_MAX - 1)
    assert not wired.connection.gone.done()
    for _ in range(LATE_MAX):
        with pytest.raises(Unavailable, match="5 ms"):
            await wired.connection.get(A)
    assert "in a row" in str(wired.connection.gone.result())


async def test_a_reply_that_came_while_we_slept_still_counts(real: RedisConnection, shared_redis: RedisServer) -> None:
    real.deadline = 0.02
    shared_redis.say(f"SET {A} x")
    for _ in range(5):
        asked = real.get(A)
        await turn()
        time.sleep(0.03)  # the loop itself stands still, past the deadline: that is the case
        assert [shared_redis.say("PING") for _ in range(2)] == [b"+PONG\r\n"] * 2  # ours was answered before
        assert await asked == b"x"
