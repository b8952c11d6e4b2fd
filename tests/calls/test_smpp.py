"""Texts by SMPP: an SMSC that others wrote, a real daemon, its database, a flow, the reply and its receipt."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from edge.sms.smpp import pdu, status
from tests.calls.daemon import Daemon, new, running
from tests.calls.exchange import Exchange
from tests.calls.test_texts import ECHO
from tests.smsc.process import KINDS, Event, Smsc
from tests.smsc.process import running as smsc_running

pytestmark = pytest.mark.server

CARRIER = """
[[carriers]]
kind = "smpp"
name = "acme"
hosts = ["{host}"]
system_id = "edge"
password = "secret"
binds = 2
country = "US"
"""
THEIRS = "+14155550111"


@pytest.fixture(scope="module", params=KINDS)
def smsc(request: pytest.FixtureRequest) -> Iterator[Smsc]:
    with smsc_running(request.param) as found:
        yield found


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory, smsc: Smsc) -> Iterator[Exchange]:
    """A daemon that is bound to it."""
    made = new(tmp_path_factory.mktemp("smpp"), CARRIER.format(host=smsc.host))
    with running(made):
        bound(made, smsc)
        yield Exchange(made)
        assert made.alive, made.words()


def bound(daemon: Daemon, smsc: Smsc) -> None:
    for _ in range(2):
        smsc.expect("bind")
    daemon.wait_until(lambda: daemon.metric("edge_smpp_bound", carrier="acme") == 2, "both binds")


def deliver(smsc: Smsc, number: str, text: str, **fields: Any) -> int:
    """Send a text to a number; how it was answered."""
    smsc.deliver(text, destination_addr=number.removeprefix("+"), **fields)
    return int(smsc.expect("answered")["status"])


def said(event: Event) -> str:
    """What a submit_sm says."""
    return str(event["text"]) if "text" in event else bytes.fromhex(event["octets"]).decode("latin-1")


def state_of_last(line: Exchange, number: str) -> str:
    return str(line.texts(number, "outbound")[0]["targets"][0]["status"])


def test_a_text_is_kept_answered_and_its_answer_delivered(line: Exchange, smsc: Smsc) -> None:
    number = line.number(texts=(ECHO,))
    assert deliver(smsc, number, "hello") == status.ROK
    sent = smsc.expect("submit")
    assert said(sent) == "You wrote: hello"
    assert (sent["source"], sent["destination"]) == (number.removeprefix("+"), THEIRS.removeprefix("+"))
    line.wait(lambda: state_of_last(line, number) == "sent", "the answer of the SMSC")
    (kept,) = line.texts(number, "inbound")
    assert (kept["text"], kept["source"]["target"]) == ("hello", THEIRS)

    receipt = (
        f"id:{sent['id']} sub:001 dlvrd:001 submit date:2611231200 done date:2611231201 stat:DELIVRD err:000 text:"
    )
    assert deliver(smsc, number, receipt, esm_class=4) == status.ROK
    line.wait(lambda: state_of_last(line, number) == "delivered", "the receipt")
    assert len(line.texts(number, "inbound")) == 1, "a receipt is no text"


def test_a_number_that_is_not_ours_is_refused_for_good(line: Exchange, smsc: Smsc) -> None:
    assert deliver(smsc, "+14155559876", "hello") == status.RINVDSTADR
    (kept,) = line.texts("+14155559876", "inbound")
    assert (kept["targets"][0]["status"], kept["edge"]["reason"]) == ("rejected", "NumberUnknown")


def test_a_number_that_is_suspended(line: Exchange, smsc: Smsc) -> None:
    made = line.provision(texts=(ECHO,))
    line.daemon.ask("PATCH", f"/v1.0/numbers/{made['id']}", {"status": "suspended"})
    assert deliver(smsc, str(made["number"]), "hello") == status.RX_P_APPN


def test_a_text_that_the_smsc_has_too_much_of_leaves_later(line: Exchange, smsc: Smsc) -> None:
    number = line.number(texts=(ECHO,))
    smsc.do("answer", how=[{"status": status.RTHROTTLED}])
    assert deliver(smsc, number, "busy?") == status.ROK
    assert smsc.expect("submit")["status"] == status.RTHROTTLED
    assert smsc.expect("submit")["status"] == status.ROK
    line.wait(lambda: state_of_last(line, number) == "sent", "the second try")


def test_a_long_text_comes_in_parts_and_is_answered_in_parts(line: Exchange, smsc: Smsc) -> None:
    number = line.number(texts=(ECHO,))
    long = "0123456789" * 30
    for part, octets in ((2, long[153:]), (1, long[:153])):
        header = bytes((5, 0, 3, 42, 2, part))
        body = (header + octets.encode()).hex()
        assert deliver(smsc, number, "", short_message=body, esm_class=pdu.UDHI) == status.ROK
    sent = [smsc.expect("submit") for _ in range(3)]
    assert {one["esm_class"] for one in sent} == {pdu.UDHI}
    (kept,) = line.texts(number, "inbound")
    assert kept["text"] == long


def test_what_the_metrics_say(line: Exchange, smsc: Smsc) -> None:
    number = line.number(texts=(ECHO,))
    before = line.counted("edge_smpp_responses_total", carrier="acme", command="deliver_sm", status="ESME_ROK")
    assert deliver(smsc, number, "count me") == status.ROK
    smsc.expect("submit")
    labels = {"carrier": "acme", "status": "ESME_ROK"}
    assert line.counted("edge_smpp_responses_total", command="deliver_sm", **labels) > before
    line.wait(lambda: line.counted("edge_smpp_responses_total", command="submit_sm", **labels) >= 1, "its answer")
    assert line.counted("edge_smpp_connects_total", carrier="acme", outcome="bound") >= 2


def test_nothing_shows_the_password(line: Exchange) -> None:
    log = line.daemon.log.read_text()
    assert "secret" not in log
