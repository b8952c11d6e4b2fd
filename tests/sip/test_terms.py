"""Who is let in is asked once, before anything is kept of a request, and what he said goes with the offer."""

from __future__ import annotations

from itertools import count

from edge.sip.agent import Agent
from edge.sip.events import CallOffered
from edge.sip.message import Request
from edge.sip.peer import Peer
from edge.sip.terms import Admit, Refused, Terms
from tests.sip.ladder import Ladder, invite, request

TERMS = Terms(reliable="supported", whose="carrier")


def ladder(admit: Admit) -> Ladder:
    tokens = count(1)
    return Ladder(agent=Agent(lambda: f"t{next(tokens)}", admit=admit))


def test_terms_go_with_the_offer_and_are_asked_for_once() -> None:
    asked: list[str] = []

    def admit(request: Request, _peer: Peer, _now: float) -> Terms:
        asked.append(request.method)
        return TERMS

    line = ladder(admit)
    line >> invite() << 100
    line >> invite() << 100
    event = line.events.popleft()
    assert isinstance(event, CallOffered)
    assert event.offer.terms is TERMS
    assert asked == ["INVITE"]


def test_who_is_refused_leaves_nothing_behind() -> None:
    line = ladder(lambda _request, _peer, _now: Refused(503, (("Retry-After", "4"),), "Overloaded"))
    line >> invite() << 503
    assert not line.events
    assert [(refused.status, refused.why) for refused in line.refused] == [(503, "Overloaded")]
    assert line.agent.stats()["transactions"] == 0
    line >> request("MESSAGE", branch="m", body=b"x", kind="text/plain") << 503
    assert len(line.refused) == 1


def test_nobody_is_asked_about_pings() -> None:
    line = ladder(lambda _request, _peer, _now: Refused(503))
    line >> request("OPTIONS", branch="o") << 200


def test_an_invite_that_cannot_be_read_is_told_of_once() -> None:
    line = Ladder()
    wrong = invite(fields={"Contact": "<<"})
    line >> wrong << 400
    line >> wrong << 400
    assert [(refused.status, refused.why, refused.what) for refused in line.refused] == [
        (400, "", "contacts: bracket not closed")
    ]
    line >> invite(call_id="other", branch="other", fields={"Contact": "<<"}) << 400
    assert len(line.refused) == 2
    line >> invite(branch="sound") << 100  # what was wrong is not held against who mends it


def test_a_body_that_is_not_understood_is_told_of() -> None:
    line = Ladder()
    line >> invite(fields={"Content-Type": "text/html"}) << 415
    assert [refused.status for refused in line.refused] == [415]


def test_a_wrong_reinvite_is_no_attempt() -> None:
    line = Ladder()
    line >> invite(to_tag="ours", fields={"Contact": "<<"}) << 400
    assert not line.refused
