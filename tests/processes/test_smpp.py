"""What befalls an edge that is bound by SMPP: stopped, killed, started again, an SMSC that goes and comes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.sms.smpp import status
from tests.calls.daemon import new, running
from tests.calls.exchange import Exchange
from tests.calls.test_smpp import CARRIER, bound, deliver, said
from tests.calls.test_texts import ECHO
from tests.smsc.process import Smsc
from tests.smsc.process import running as smsc_running

pytestmark = pytest.mark.server


@pytest.fixture
def smsc() -> Iterator[Smsc]:
    with smsc_running("node") as found:
        yield found


@pytest.fixture
def line(tmp_path: Path, smsc: Smsc) -> Iterator[Exchange]:
    made = new(tmp_path, CARRIER.format(host=smsc.host))
    with running(made):
        bound(made, smsc)
        yield Exchange(made)


def test_a_text_that_comes_again_after_a_kill_is_the_same_text(line: Exchange, smsc: Smsc) -> None:
    number = line.number(texts=(ECHO,))
    assert deliver(smsc, number, "once") == status.ROK
    assert said(smsc.expect("submit")) == "You wrote: once"
    line.wait(lambda: line.texts(number, "outbound")[0]["targets"][0]["status"] == "sent", "its answer")
    line.daemon.kill()
    line.daemon.start()
    bound(line.daemon, smsc)
    assert deliver(smsc, number, "once") == status.ROK
    assert deliver(smsc, number, "twice") == status.ROK
    assert said(smsc.expect("submit")) == "You wrote: twice"
    assert sorted(text["text"] for text in line.texts(number, "inbound")) == ["once", "twice"]


def test_it_takes_leave_when_it_is_stopped(line: Exchange, smsc: Smsc) -> None:
    assert line.daemon.stop() == 0
    for _ in range(2):
        smsc.expect("unbind")


def test_a_reply_waits_for_an_smsc_that_is_away(line: Exchange, smsc: Smsc) -> None:
    number = line.number(texts=(ECHO,))
    smsc.do("answer", how=[{"silent": True}])
    assert deliver(smsc, number, "hold on") == status.ROK
    smsc.expect("submit")
    smsc.kill()
    with smsc_running("node", smsc.port) as again:
        bound(line.daemon, again)
        assert said(again.expect("submit")) == "You wrote: hold on"
        line.wait(lambda: line.texts(number, "outbound")[0]["targets"][0]["status"] == "sent", "the answer")
