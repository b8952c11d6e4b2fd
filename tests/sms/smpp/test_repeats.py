"""When an equal text is the same one again, and when somebody wrote it twice."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

import pytest

from edge.sms.smpp import pdu
from edge.sms.smpp.pdu import Address, Message
from edge.sms.smpp.repeats import IN_TIME, REMEMBERED, WINDOW, Repeats, fingerprint
from tests.sms.smpp.smsc import TEXT

STAMP = 1_800_000_000_000


@dataclass
class Line:
    closed: bool = False
    proven: float = -inf


class Desk:
    """A process that gets texts; its clock stands at 0 when its line was made."""

    def __init__(self, remembered: int = REMEMBERED) -> None:
        self.repeats = Repeats(remembered)
        self.line = Line()

    def came(self, now: float, message: Message = TEXT, answer: float | None = 0.01, line: Line | None = None) -> str:
        """A text comes and is answered so much later; what it is known by."""
        seen = self.repeats.identify(message, line or self.line, now, STAMP + int(now * 1000))
        if answer is not None:
            seen.answered(now + answer)
        return seen.id


def test_a_text_that_was_answered_in_time_on_a_line_that_stands_is_not_sent_again() -> None:
    desk = Desk()
    assert desk.came(0) != desk.came(1)


def test_so_who_writes_yes_twice_has_written_twice_even_at_once() -> None:
    desk = Desk()
    ids = {desk.came(0, answer=None), desk.came(0, answer=None), desk.came(0.0001, answer=None), desk.came(1)}
    assert len(ids) == 4


@pytest.mark.parametrize("pause", [0.5, 60, WINDOW - 1])
def test_a_text_whose_line_broke_before_its_answer_was_read_comes_again(pause: float) -> None:
    desk = Desk()
    first = desk.came(0)
    desk.line.closed = True
    assert desk.came(pause, line=Line()) == first


def test_so_does_one_that_comes_by_another_line_for_the_first_may_be_dead() -> None:
    desk = Desk()
    first = desk.came(0)
    assert desk.came(1, line=Line()) == first


def test_unless_the_other_side_has_proven_that_it_read_the_answer() -> None:
    desk = Desk()
    first = desk.came(0)
    desk.line.proven = 0.5
    assert desk.came(60, line=Line()) != first
    first = desk.came(100)
    desk.line.proven = 100.5
    desk.line.closed = True
    assert desk.came(160, line=Line()) != first


def test_a_text_without_an_answer_comes_again_once_its_smsc_lost_patience() -> None:
    desk = Desk()
    first = desk.came(0, answer=None)
    assert desk.came(IN_TIME + 1) == first


def test_so_does_one_that_was_answered_too_late() -> None:
    desk = Desk()
    first = desk.came(0, answer=IN_TIME + 1)
    assert desk.came(IN_TIME + 2) == first


def test_so_does_one_that_was_told_not_now() -> None:
    desk = Desk()
    seen = desk.repeats.identify(TEXT, desk.line, 0, STAMP)
    seen.refused()
    assert desk.came(1) == seen.id
    assert desk.came(2) != seen.id, "it was answered then"


def test_a_repeat_may_be_repeated_and_each_counts_from_the_last() -> None:
    desk = Desk()
    first = desk.came(0, answer=None)
    for count in range(1, 5):
        assert desk.came(count * (WINDOW - 1), answer=None) == first


def test_after_five_minutes_it_is_another_text() -> None:
    """The limit: what is repeated later than that is taken for a new text, and run twice."""
    assert WINDOW == 300
    desk = Desk()
    first = desk.came(0, answer=None)
    assert desk.came(WINDOW, answer=None) != first


def test_what_a_dead_process_kept_is_known_again() -> None:
    before = Desk()
    first, other = before.came(0), before.came(10, TEXT._replace(short_message=b"other"))
    after = Desk()
    taken = after.repeats.recall(["a SIP Call-ID", "id of a carrier", first, other, "a-b"], 1000.0, STAMP + 60_000)
    assert taken == 2
    assert after.came(1000, answer=0.01) == first
    assert after.came(1001) != first, "from now on we know how it was answered"
    assert after.came(1002, TEXT._replace(short_message=b"other")) == other


def test_what_came_here_is_known_better() -> None:
    desk = Desk()
    first = desk.came(0)
    assert desk.repeats.recall([first], 1.0, STAMP + 1000) == 0
    assert desk.came(1) != first


def test_but_not_after_the_window_either() -> None:
    first = Desk().came(0)
    after = Desk()
    after.repeats.recall([first], 1000.0, STAMP + int(WINDOW * 1000) - 1000)
    assert after.came(1000.0 + 2) != first


BASE = TEXT._replace(tlvs=((pdu.SAR_SEGMENT_SEQNUM, b"\1"),))


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (BASE, True),
        (BASE._replace(short_message=b"Hello"), False),
        (BASE._replace(source=Address("14155550112", 1, 1)), False),
        (BASE._replace(destination=Address("14155550101", 1, 1)), False),
        (BASE._replace(data_coding=8), False),
        (BASE._replace(esm_class=pdu.UDHI), False),
        (BASE._replace(schedule_delivery_time="261123120000000+"), False),
        (BASE._replace(tlvs=((pdu.SAR_SEGMENT_SEQNUM, b"\2"),)), False),
        (BASE._replace(short_message=b"", tlvs=(*BASE.tlvs, (pdu.MESSAGE_PAYLOAD, b"hello"))), True),
        (BASE._replace(priority_flag=2), True),
        (BASE._replace(tlvs=(*BASE.tlvs, (0x1400, b"attempt 2"))), True),
    ],
)
def test_what_makes_texts_equal(other: Message, same: bool) -> None:
    assert (fingerprint(other) == fingerprint(BASE)) is same


def test_memory_is_bounded() -> None:
    desk = Desk(remembered=100)
    desk.line.closed = True  # all may come again
    for count in range(1000):
        desk.came(count / 1000, TEXT._replace(short_message=b"%d" % count))
    assert len(desk.repeats) == 100


def test_what_cannot_come_again_is_forgotten_early() -> None:
    desk = Desk()
    for count in range(1000):
        desk.line.proven = count - 10.0
        desk.came(float(count), TEXT._replace(short_message=b"%d" % count))
    assert len(desk.repeats) < 20
