from __future__ import annotations

import pytest

from edge.sms.carrier import Busy, NotNow, Refused
from edge.sms.smpp import status


@pytest.mark.parametrize(
    ("code", "kind", "elsewhere", "after"),
    [
        (status.RTHROTTLED, Busy, None, 1.5),
        (status.RMSGQFUL, Busy, None, 1.5),
        (status.RSYSERR, NotNow, None, None),
        (status.RX_T_APPN, NotNow, None, None),
        (status.RINVDSTADR, Refused, False, None),
        (status.RINVSRCADR, Refused, True, None),
        (0x45, Refused, True, None),
        (0x4FF, Refused, True, None),
        (0x401, NotNow, None, None),
    ],
)
def test_a_status_says_whether_to_try_again(code: int, kind: type, elsewhere: bool | None, after: float | None) -> None:
    error = status.error(code, "acme", wait=1.5, passing={0x401})
    assert type(error) is kind
    assert (getattr(error, "elsewhere", None), getattr(error, "after", None)) == (elsewhere, after)
    assert error.code == f"0x{code:02X}"


def test_a_status_has_its_name_in_what_people_read() -> None:
    assert status.error(status.RTHROTTLED, "acme", wait=1).sentence == "carrier acme answered ESME_RTHROTTLED"
    assert status.error(0x4FF, "acme", wait=1).sentence == "carrier acme answered status 0x000004FF"


def test_labels_of_metrics_are_bounded() -> None:
    assert {status.label(code) for code in range(0x10000)} == {*status.NAMES, status.OTHER}
