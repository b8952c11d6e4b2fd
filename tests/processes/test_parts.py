"""Parts of long texts over a `kill -9` and a restart: joined when the others come, handed on when they do not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.sms.smpp import pdu, status
from tests.calls.daemon import new, running
from tests.calls.exchange import Exchange
from tests.calls.test_smpp import CARRIER, bound, deliver, said
from tests.calls.test_texts import ECHO
from tests.smsc.process import Smsc
from tests.smsc.process import running as smsc_running

pytestmark = pytest.mark.server

PARTS = """
[parts]
expire_seconds = {seconds}
"""


@pytest.fixture
def smsc() -> Iterator[Smsc]:
    with smsc_running("node") as found:
        yield found


@pytest.fixture
def line(tmp_path: Path, smsc: Smsc, seconds: int) -> Iterator[Exchange]:
    made = new(tmp_path, PARTS.format(seconds=seconds) + CARRIER.format(host=smsc.host))
    with running(made):
        bound(made, smsc)
        yield Exchange(made)


def part(smsc: Smsc, number: str, which: int, text: str, *, reference: int = 7) -> int:
    octets = bytes((5, 0, 3, reference, 2, which)) + text.encode()
    return deliver(smsc, number, "", short_message=octets.hex(), esm_class=pdu.UDHI)


def kill(line: Exchange, smsc: Smsc) -> None:
    line.daemon.kill()
    line.daemon.start()
    bound(line.daemon, smsc)


@pytest.mark.parametrize("seconds", [1800])
def test_parts_before_and_after_a_kill_are_one_text(line: Exchange, smsc: Smsc) -> None:
    number = line.number(texts=(ECHO,))
    assert part(smsc, number, 1, "Hello ") == status.ROK
    kill(line, smsc)
    assert part(smsc, number, 1, "Hello ") == status.ROK  # its answer was lost, as far as the SMSC knows
    assert line.texts(number, "inbound") == []
    assert part(smsc, number, 2, "world") == status.ROK
    assert said(smsc.expect("submit")) == "You wrote: Hello world"
    line.wait(lambda: line.texts(number, "outbound")[0]["targets"][0]["status"] == "sent", "its answer")
    kill(line, smsc)
    assert part(smsc, number, 2, "world") == status.ROK
    (kept,) = line.texts(number, "inbound")
    assert (kept["text"], kept["targets"][0]["parts"]) == ("Hello world", 2)


@pytest.mark.parametrize("seconds", [1])
def test_what_is_over_time_after_a_restart_is_handed_on(line: Exchange, smsc: Smsc) -> None:
    number = line.number(texts=(ECHO,))
    assert part(smsc, number, 2, "world") == status.ROK
    line.daemon.kill()
    line.daemon.start()  # which takes longer than that second
    bound(line.daemon, smsc)
    assert said(smsc.expect("submit")) == "You wrote: [part 1 of 2 is missing]world"
    (kept,) = line.texts(number, "inbound")
    assert kept["text"] == "[part 1 of 2 is missing]world"
    assert line.counted("edge_texts_joined_total", carrier="acme", why="expired") == 1
