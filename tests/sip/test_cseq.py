from __future__ import annotations

import pytest

from edge.sip.cseq import CSeq
from edge.sip.grammar import Unreadable


@pytest.mark.parametrize(
    ("text", "cseq", "printed"),
    [
        ("1 INVITE", CSeq(1, "INVITE"), "1 INVITE"),
        ("0009   INVITE", CSeq(9, "INVITE"), "9 INVITE"),
        ("2147483647 BYE", CSeq(2147483647, "BYE"), "2147483647 BYE"),
        ("29344 RE%47IST%45R", CSeq(29344, "RE%47IST%45R"), "29344 RE%47IST%45R"),
    ],
)
def test_cseq(text: str, cseq: CSeq, printed: str) -> None:
    assert CSeq.parse(text) == cseq
    assert str(cseq) == printed


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "INVITE",
        "1INVITE",
        "-1 INVITE",
        "1 IN VITE",
        "1 INVITE;x",
        "2147483648 INVITE",
        "36893488147419103232 X",
    ],
)
def test_cseq_invalid(text: str) -> None:
    with pytest.raises(Unreadable):
        CSeq.parse(text)
