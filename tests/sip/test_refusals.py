"""The same INVITE again gets the same answer, from memory; one that may fare better now is looked at."""

from __future__ import annotations

import pytest

from edge.sip.events import CallOffered
from edge.sip.limits import REFUSALS, REFUSED_SECONDS
from edge.sip.refusals import PASSING, Refusals
from tests.sip.ladder import Ladder, invite, request

LATER = 40.0  # s: the transaction is gone by then


def rejected(status: int) -> Ladder:
    """An INVITE that was refused, and whose transaction is over."""
    ladder = Ladder()
    offer = ladder.offered()
    ladder.agent.reject(offer, status, ladder.now, fields=(("Reason", "Q.850;cause=1"),))
    ladder.drain() << status
    ladder >> request("ACK", to_tag=ladder.last.to_tag)
    ladder.at(LATER)
    ladder.events.clear()
    assert ladder.agent.stats()["transactions"] == 0
    return ladder


@pytest.mark.parametrize("branch", ["1", "another-way"])
def test_the_same_invite_gets_the_same_answer_from_memory(branch: str) -> None:
    ladder = rejected(404)
    ladder >> invite(branch=branch) << 404
    assert ladder.last.headers.get("reason") == "Q.850;cause=1"
    assert not ladder.events
    assert not ladder.refused


def test_who_tries_anew_is_looked_at() -> None:
    ladder = rejected(404)
    ladder >> invite(branch="2", cseq=2) << 100
    assert isinstance(ladder.events.popleft(), CallOffered)


@pytest.mark.parametrize("status", sorted(PASSING - {482, 487}))
def test_what_may_be_over_is_for_repeats_only(status: int) -> None:
    ladder = rejected(status)
    ladder >> invite() << status
    ladder >> invite(branch="a-proxy-comes-back") << 100


def test_a_memory_does_not_last() -> None:
    ladder = rejected(404)
    ladder.at(REFUSED_SECONDS + 1)
    ladder >> invite() << 100


def test_it_is_bounded_and_the_oldest_go() -> None:
    refusals = Refusals()
    for number in range(REFUSALS + 10):
        refusals.remember((str(number), "tag", 1, "INVITE"), "b", (404, ()), 0.0)
    assert len(refusals) <= REFUSALS
    assert refusals.find(("0", "tag", 1, "INVITE"), "b", 1.0) is None
    assert refusals.find((str(REFUSALS + 9), "tag", 1, "INVITE"), "b", 1.0) == (404, ())
    refusals.remember(("new", "tag", 1, "INVITE"), "b", (404, ()), REFUSED_SECONDS + 1)
    refusals.remember(("newer", "tag", 1, "INVITE"), "b", (404, ()), REFUSED_SECONDS + 1)
    assert len(refusals) < REFUSALS - 1
