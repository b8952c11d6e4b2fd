"""A trunk that has to prove who it is: its calls and texts, their records, and edges that share what was used."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from edge.errors import Unavailable
from edge.sessions.entrance import Entry
from edge.sessions.proofs import DIGEST, PREFIX, NotProven, Proofs
from edge.sip.authentication import FAILED, REQUIRED
from edge.sip.digest import Challenge, Credentials, Login
from edge.sip.message import Request, check, parse
from edge.sip.nonce import Nonces
from edge.sip.terms import Refused
from edge.trunks.trunk import Trunk
from tests.logged import logged
from tests.sessions.line import Line, exchange, tag
from tests.sip.ladder import Fields, invite, request

LOGIN = Login("carrier", "sesame")
AUTH = {"username": "carrier", "password": "sesame"}
REDIRECT = {"id": "away", "type": "redirect", "option": {"destinations": ["sip:desk@pbx.example"]}}
TRUNK = Trunk.model_validate({"name": "proving", "networks": ["127.0.0.0/8"], "country": "US", "auth": AUTH})
PROVING = TRUNK.model_copy(update={"name": "loopback"})


@pytest.fixture
async def line(migrated_sqlite: Path, tmp_path: Path) -> AsyncIterator[Line]:
    async with exchange(tmp_path, migrated_sqlite) as opened:
        opened.trunks.replace([PROVING])
        yield opened


def counted(result: str) -> float:
    return DIGEST.labels(result).value


def challenges(line: Line) -> list[Challenge]:
    return [Challenge.parse(text) for text in line.last.headers.all("www-authenticate")]


def proved(line: Line, method: str = "INVITE", *, login: Login = LOGIN, which: int = 0, count: int = 1) -> Fields:
    """The field that answers the challenge taken last."""
    uri = "sip:+14155550100@192.0.2.1"
    return {"Authorization": str(challenges(line)[which].answer(login, method, uri, count, "c"))}


async def test_a_call_that_proves_itself_is_served_and_its_record_says_so(line: Line) -> None:
    await line.number(REDIRECT)
    before = counted("asked"), counted("right")
    line >> request("OPTIONS", branch="ping", call_id="ping") << 200  # whoever knocks first, it is not forgotten below
    line >> invite() << 401
    assert [challenge.realm for challenge in challenges(line)] == ["loopback", "loopback"]
    assert line.agent.stats()["transactions"] == 0
    assert len(line.unproven) == 1
    line >> invite(branch="two", cseq=2, fields=proved(line)) << 100
    await line.comes(302)
    record = await line.over()
    assert (record["auth"], record["trunk"], record["outcome"]) == ("digest:carrier", "loopback", "redirected")
    assert len(await line.records()) == 1
    assert len(line.unproven) == 0
    assert (counted("asked"), counted("right")) == (before[0] + 1, before[1] + 1)


async def test_who_does_not_come_back_has_a_record_later(line: Line) -> None:
    line >> invite() << 401
    line.unproven.look()
    assert not await line.records()
    line.now += 61
    line.unproven.look()
    (record,) = await line.records()
    assert (record["sip_code"], record["reason"], record["outcome"]) == (401, REQUIRED, "rejected")
    assert record["trunk"] == "loopback"


async def test_a_wrong_word_is_refused_recorded_and_logged_without_it(line: Line) -> None:
    line >> invite() << 401
    with logged() as lines:
        line >> invite(branch="two", cseq=2, fields=proved(line, login=Login("carrier", "guess-1"))) << 403
        (said,) = [each for each in lines() if each["event"] == "digest not right"]
    assert (said["trunk"], said["result"], said["username"]) == ("loopback", "wrong", "carrier")
    assert "guess" not in str(said)
    (record,) = await line.records()
    assert (record["sip_code"], record["reason"], record["auth"]) == (403, FAILED, "")
    assert len(line.unproven) == 0


async def test_the_log_speaks_of_a_trunk_once_in_a_while(line: Line) -> None:
    with logged() as lines:
        for number in range(5):
            line >> invite(call_id=f"c{number}", branch=f"a{number}") << 401
            wrong = proved(line, login=Login("carrier", "x"))
            line >> invite(call_id=f"c{number}", branch=f"b{number}", cseq=2, fields=wrong) << 403
        line.now += 11
        line >> invite(call_id="late", branch="late") << 401
        line >> invite(call_id="late", branch="l2", cseq=2, fields=proved(line, login=Login("a", "b"))) << 403
        said = [each["unsaid"] for each in lines() if each["event"] == "digest not right"]
    assert said == [0, 4]


async def test_a_proof_that_was_seen_is_asked_for_anew(line: Line) -> None:
    await line.number(REDIRECT)
    line >> invite() << 401
    used = proved(line)
    line >> invite(branch="two", cseq=2, fields=used) << 100
    await line.comes(302)
    line >> request("ACK", branch="two", cseq=2, to_tag=tag(line.header("to")))
    line.later(10)
    line >> invite(branch="three", cseq=2, fields=used) << 401
    assert all(challenge.stale for challenge in challenges(line))


async def test_a_nonce_too_old_is_stale(line: Line) -> None:
    await line.number(REDIRECT)
    line >> invite() << 401
    old = proved(line)
    line.now += 61
    line >> invite(branch="two", cseq=2, fields=old) << 401
    assert all(challenge.stale for challenge in challenges(line))
    line >> invite(branch="three", cseq=3, fields=proved(line, which=1)) << 100
    await line.comes(302)


async def test_another_place_or_call_has_a_nonce_of_its_own(line: Line) -> None:
    line >> invite() << 401
    mine = proved(line)
    line >> invite(branch="two", call_id="call-2", fields=mine) << 401
    line.peer = line.peer._replace(remote=("127.0.0.3", 5062))
    line >> invite(branch="three", cseq=2, fields=mine) << 401


async def test_texts_have_to_as_well_and_calls_that_are_up_do_not(line: Line) -> None:
    await line.number({"id": "up", "type": "answer"}, {"id": "w", "type": "sleep", "option": {"duration": 60_000}})
    line >> request("MESSAGE", branch="m", body=b"hi", kind="text/plain") << 401
    fields = proved(line, "MESSAGE")
    line >> request("MESSAGE", branch="m2", cseq=2, body=b"hi", kind="text/plain", fields=fields)
    assert [offer.terms.whose.auth for offer in line.texts] == ["digest:carrier"]
    line >> invite(call_id="up") << 401
    line >> invite(call_id="up", branch="two", cseq=2, fields=proved(line)) << 100
    await line.comes(200)
    up = tag(line.header("to"))
    line >> request("ACK", branch="ack", call_id="up", cseq=2, to_tag=up)
    line >> request("OPTIONS", branch="o", call_id="up", cseq=3, to_tag=up) << 200
    line >> request("BYE", branch="bye", call_id="up", cseq=4, to_tag=up) << 200


class Ledger:
    """What edges share, in memory."""

    def __init__(self) -> None:
        self.up = True
        self.away = False
        self.counts: dict[str, int] = {}

    async def count_up(self, key: str, number: int, ttl_ms: int) -> bool:
        if self.away:
            raise Unavailable("gone")
        assert 0 < ttl_ms <= 65_000
        higher = number > self.counts.get(key, -1)
        self.counts[key] = max(number, self.counts.get(key, -1))
        return higher


class Edges:
    """Two of them with one key."""

    def __init__(self, ledger: Ledger | None) -> None:
        self.one = Proofs(Nonces(b"key", b"one-", 60.0), ledger=ledger, clock=lambda: 1000.0)
        self.other = Proofs(Nonces(b"key", b"two-", 60.0), ledger=ledger, clock=lambda: 1000.0)

    def proof(self) -> Request:
        """A call with a proof by a nonce of the first."""
        refused = ask(self.one, sent())
        assert isinstance(refused, Refused)
        challenge = Challenge.parse(refused.fields[0][1])
        return sent(challenge.answer(LOGIN, "INVITE", "sip:+14155550100@192.0.2.1", 1, "c"))


def sent(proof: Credentials | None = None) -> Request:
    message = parse(invite(fields={"Authorization": str(proof) if proof else None}))
    assert isinstance(message, Request)
    check(message)
    return message


def ask(proofs: Proofs, message: Request) -> Entry | Refused:
    assert TRUNK.auth is not None
    return proofs.ask(message, Entry(TRUNK, "127.0.0.2"), TRUNK.auth)


async def taken(proofs: Proofs, message: Request) -> bool:
    entry = ask(proofs, message)
    if isinstance(entry, Refused):
        assert all("stale=true" in text for _, text in entry.fields)
        return False
    assert entry.auth == "digest:carrier"
    try:
        await proofs.settle(message, entry)
    except NotProven as error:
        refused = error
    else:
        return True
    assert refused.sip == 401
    assert all("stale=true" in text for _, text in refused.fields)
    return False


@pytest.mark.parametrize("first", ["one", "other"])
async def test_with_a_ledger_a_proof_serves_once_on_all_edges(first: str) -> None:
    edges = Edges(ledger := Ledger())
    message = edges.proof()
    each = [edges.one, edges.other] if first == "one" else [edges.other, edges.one]
    assert [await taken(edge, message) for edge in (*each, *each)] == [True, False, False, False]
    assert all(key.startswith(PREFIX) for key in ledger.counts)


async def test_without_one_a_nonce_of_another_edge_is_stale() -> None:
    edges = Edges(None)
    message = edges.proof()
    assert not await taken(edges.other, message)
    assert await taken(edges.one, message)


@pytest.mark.parametrize("known", [True, False])
async def test_while_it_is_away_each_counts_its_own(known: bool) -> None:
    """Whether that is known before it is asked, or found out then."""
    edges = Edges(ledger := Ledger())
    ledger.up, ledger.away = not known, True
    message = edges.proof()
    assert not await taken(edges.other, message)
    assert await taken(edges.one, message)
    assert not await taken(edges.one, message)


async def test_the_realm_can_be_set() -> None:
    proofs = Proofs(Nonces(b"key", b"one-", 60.0), realm="sip.example", clock=lambda: 1000.0)
    refused: Any = ask(proofs, sent())
    assert Challenge.parse(refused.fields[0][1]).realm == "sip.example"
