"""Two edges that share a database and a Redis: a proof made for one is good at the other, and good once on both."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from edge.sip.digest import Challenge, Login
from edge.sip.message import Response, parse
from tests.calls.daemon import HOST, Daemon, new
from tests.servers import PostgresServer, RedisServer
from tests.sip.ladder import request

pytestmark = pytest.mark.server

NUMBER = "+14155550150"
CARRIER = "127.0.0.3"
LOGIN = Login("carrier", "sesame")
TRUNK = """
[[trunks]]
name = "proving"
networks = ["127.0.0.3/32"]
country = "US"
auth = { username = "carrier", password = "sesame" }
"""


class Pair(NamedTuple):
    one: Daemon
    other: Daemon


@pytest.fixture(params=[True, False], ids=["with-redis", "without"])
def pair(
    request: pytest.FixtureRequest, tmp_path: Path, postgres: PostgresServer, shared_redis: RedisServer
) -> Iterator[Pair]:
    shared_redis.say("FLUSHALL")
    url = shared_redis.url if request.param else "redis://127.0.0.1:1/0"
    database, extra = postgres.create(), f'[redis]\nurl = "{url}"\n{TRUNK}'
    edges = []
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        edges.append(new(tmp_path / name, extra, store=database))
    one, other = edges
    one.run("migrate", "--config", str(one.config))
    try:
        for edge in edges:
            edge.launch()
        one.make_key()
        other.token = one.token
        for edge in edges:
            edge.await_ready()
        yield Pair(one, other)
    finally:
        for edge in edges:
            edge.stop()


class Carrier:
    """Somebody at one address who calls either of them."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((CARRIER, 0))
        self._socket.settimeout(5)
        self._count = 0

    def close(self) -> None:
        self._socket.close()

    def asks(self, edge: Daemon, proof: str | None = None) -> Response:
        """The final answer to an INVITE of one call, whose CSeq and branch are new each time."""
        self._count += 1
        here = f"{CARRIER}:{self._socket.getsockname()[1]}"
        data = request(
            "INVITE",
            uri=f"sip:{NUMBER}@{HOST}",
            via=f"SIP/2.0/UDP {here}",
            branch=f"b{self._count}",
            cseq=self._count,
            call_id="one-call",
            fields={"Authorization": proof, "Contact": f"<sip:{here}>"},
        )
        self._socket.sendto(data, edge.sip)
        while True:
            answer = parse(self._socket.recv(65535))
            assert isinstance(answer, Response)
            if answer.status >= 200 and answer.cseq.number == self._count:
                return answer


@pytest.fixture
def carrier() -> Iterator[Carrier]:
    made = Carrier()
    yield made
    made.close()


def challenge(answer: Response) -> Challenge:
    assert answer.status == 401
    return Challenge.parse(answer.headers.all("www-authenticate")[0])


def test_a_proof_serves_once_on_both(pair: Pair, carrier: Carrier, request: pytest.FixtureRequest) -> None:
    shared = request.node.callspec.id == "with-redis"
    asked = challenge(carrier.asks(pair.one))
    assert not asked.stale
    proof = str(asked.answer(LOGIN, "INVITE", f"sip:{NUMBER}@{HOST}", 1, "c"))
    first = carrier.asks(pair.other, proof)
    if shared:
        assert first.status == 404  # let in, and nobody's number
        again = challenge(carrier.asks(pair.one, proof))
    else:
        again = challenge(first)
        assert carrier.asks(pair.one, proof).status == 404
    assert again.stale
    for edge in (pair.one, pair.other):
        assert challenge(carrier.asks(edge, proof)).stale
    fresh = str(again.answer(LOGIN, "INVITE", f"sip:{NUMBER}@{HOST}", 1, "c"))
    assert carrier.asks(pair.one if shared else pair.other, fresh).status == 404
