"""A registration that is kept up: granted, refreshed, refused, moved to another place, and left."""

from __future__ import annotations

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.sip.message import Response, parse
from edge.sip.registration import BASE, LONGEST, Ask, Registration

CONTACT = "<sip:edge@192.0.2.1:5060>"


def answer(status: int = 200, **fields: str) -> Response:
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())
    message = parse(
        f"SIP/2.0 {status} x\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>;tag=2\r\n"
        f"Call-ID: 1\r\nCSeq: 1 REGISTER\r\n{lines}\r\n".encode()
    )
    assert isinstance(message, Response)
    return message


def machine(places: int = 1, expires: int = 3600, chance: float = 0.5) -> Registration:
    return Registration(places, expires, lambda: chance)


def say(one: Registration, now: float, status: int, **fields: str) -> None:
    one.next()
    one.answered(status, answer(status, **fields), CONTACT, now)


def test_it_begins_at_once_and_is_refreshed_in_time() -> None:
    one = machine()
    assert (one.due, one.state(0.0)) == (0.0, "unregistered")
    assert one.next() == Ask(0, 3600)
    assert one.due == inf
    one.answered(200, answer(expires="600"), CONTACT, 10.0)
    assert (one.granted, one.status) == (600, 200)
    assert one.due == 10 + 600 * 0.85
    assert (one.state(609.9), one.state(610.0)) == ("registered", "failed")


@pytest.mark.parametrize(("chance", "due"), [(0.0, 480.0), (0.999, 539.94)])
def test_when_exactly_is_a_matter_of_chance(chance: float, due: float) -> None:
    one = machine(chance=chance)
    say(one, 0.0, 200, expires="600")
    assert one.due == pytest.approx(due)


@pytest.mark.parametrize(
    ("fields", "granted"),
    [
        ({}, 3600),
        ({"expires": "120"}, 120),
        ({"contact": "<sip:edge@192.0.2.1:5060>;expires=90", "expires": "600"}, 90),
        ({"contact": "<sip:other@192.0.2.7>;expires=30, <sip:edge@192.0.2.1>;expires=90"}, 90),
        ({"contact": "<sip:edge@203.0.113.9:1024>;expires=61"}, 61),  # as it is seen behind a NAT
        ({"contact": "<sip:a@203.0.113.9>;expires=61, <sip:b@203.0.113.9>;expires=62"}, 3600),
        ({"contact": "<sip:edge@192.0.2.1:5060>;expires=x", "expires": "77"}, 77),
        ({"contact": "wrong <", "expires": "78"}, 78),
        ({"expires": "junk"}, 3600),
        ({"expires": "99999999"}, 86400),
    ],
)
def test_what_is_granted(fields: dict[str, str], granted: int) -> None:
    one = machine()
    say(one, 0.0, 200, **fields)
    assert one.granted == granted


def test_granted_for_no_time_is_a_refusal() -> None:
    one = machine()
    say(one, 0.0, 200, expires="0")
    assert one.state(0.0) == "failed"


def test_a_registrar_that_wants_longer_gets_longer() -> None:
    one = machine(expires=60)
    say(one, 0.0, 423, min_expires="1800")
    assert (one.due, one.next()) == (0.0, Ask(0, 1800))
    one.answered(200, answer(expires="1800"), CONTACT, 0.0)
    assert one.state(1.0) == "registered"
    assert one.next() == Ask(0, 1800)


@pytest.mark.parametrize("fields", [{}, {"min_expires": "30"}, {"min_expires": "999999"}, {"min_expires": "x"}])
def test_one_that_does_not_know_what_it_wants_has_refused(fields: dict[str, str]) -> None:
    one = machine(expires=60)
    say(one, 0.0, 423, **fields)
    assert one.due > 0.0


def test_one_that_wants_ever_more_has_refused_too() -> None:
    one = machine(expires=60)
    say(one, 0.0, 423, min_expires="90")
    say(one, 0.0, 423, min_expires="120")
    assert one.due > 0.0


def test_the_pause_grows_when_all_fail_and_has_an_end() -> None:
    one, now, pauses = machine(chance=0.999999), 0.0, []
    for _ in range(8):
        say(one, now, 503)
        pauses.append(round(one.due - now))
        now = one.due
    assert pauses == [15, 30, 60, 120, 240, 300, 300, 300]
    assert (BASE, LONGEST) == (15, 300)
    early = machine(chance=0.0)
    say(early, 0.0, 503)
    assert early.due == 7.5


def test_who_asks_for_a_pause_gets_it() -> None:
    one = machine()
    say(one, 0.0, 503, retry_after="120 (in a while);duration=3600")
    assert one.due == 120
    say(one, 120.0, 503, retry_after="86400")
    assert one.due == 120 + 1800


def test_another_place_is_tried_at_once_and_kept_while_it_works() -> None:
    one = machine(places=3)
    say(one, 0.0, 408)
    assert (one.due, one.place) == (0.0, 1)
    one.next()
    one.unreachable(1.0)
    assert (one.due, one.place) == (1.0, 2)
    say(one, 2.0, 200, expires="100")
    assert one.state(2.0) == "registered"
    assert one.next().place == 2
    one.answered(503, None, CONTACT, 87.0)
    assert (one.place, one.due, one.state(87.0)) == (0, 87.0, "registered")  # what was granted is not over
    assert one.state(103.0) == "failed"


def test_all_places_failed_is_one_round() -> None:
    one = machine(places=2)
    say(one, 0.0, 503)
    say(one, 0.0, 503)
    assert one.due == 15 * 0.75
    assert one.place == 0


def test_it_is_left_where_it_was_granted() -> None:
    assert machine(places=2).leave(0.0) == []
    one = machine(places=2)
    say(one, 0.0, 503)
    say(one, 0.0, 200, expires="100")
    one.next()
    one.answered(503, None, CONTACT, 85.0)
    assert one.leave(90.0) == [Ask(1, 0)]
    assert (one.due, one.state(90.0)) == (inf, "failed")
    assert one.leave(90.0) == []


def test_and_where_it_may_be_granted_still() -> None:
    one = machine(places=2)
    one.next()
    assert one.leave(0.0) == [Ask(0, 0)]
    one = machine(places=2)
    say(one, 0.0, 503)
    say(one, 0.0, 200, expires="100")
    one.next()
    one.answered(503, None, CONTACT, 85.0)
    one.next()
    assert one.leave(90.0) == [Ask(0, 0), Ask(1, 0)]


@given(
    st.lists(
        st.tuples(
            st.sampled_from([200, 299, 301, 401, 403, 408, 423, 503, 600]),
            st.dictionaries(
                st.sampled_from(["expires", "contact", "min_expires", "retry_after"]),
                st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30),
            ),
        ),
        max_size=20,
    ),
    st.integers(1, 4),
)
def test_whatever_it_is_told_it_goes_on(told: list[tuple[int, dict[str, str]]], places: int) -> None:
    one, now = machine(places=places), 0.0
    for status, fields in told:
        ask = one.next()
        assert 0 <= ask.place < places
        one.answered(status, answer(status, **fields), CONTACT, now)
        assert now <= one.due <= now + 86_400
        now = one.due
