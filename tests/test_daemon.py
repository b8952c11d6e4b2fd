"""The parts of the daemon that need no process: what it does with a file of faults, and what it joins with what."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from edge import daemon as module
from edge.carriers.sip import SipSection
from edge.config import LOOPBACK, Config
from edge.errors import Fault, Invalid
from edge.sessions.calls.call import Call
from edge.sessions.texts.session import TextSending
from edge.trunks.table import TrunkTable
from edge.upkeep import Daemon
from tests.logged import logged


def test_a_file_with_faults_changes_nothing_and_each_is_logged() -> None:
    nothing = cast("Any", None)
    bare = Daemon(Config(), nothing, nothing, nothing, (), nothing)

    def read() -> Config:
        raise Invalid("bad configuration", faults=[Fault("edge.toml: a", "no"), Fault("edge.toml: b", "neither")])

    with logged() as lines:
        module._reload(bare, read)
    assert [(one["level"], one["where"], one["error"]) for one in lines()] == [
        ("error", "edge.toml: a", "no"),
        ("error", "edge.toml: b", "neither"),
    ]
    assert bare.config == Config()


async def test_background_work_that_ends_by_a_bug_is_in_the_log() -> None:
    async def broken() -> None:
        raise RuntimeError("a bug")

    with logged() as lines:
        await module._insist(broken())
    (one,) = lines()
    assert (one["level"], one["event"]) == ("error", "background work ended")
    assert "a bug" in one["exception"]


# What is joined with what


async def test_the_flow_of_a_call_sends_texts() -> None:
    asked: list[dict[str, Any]] = []

    class Sending:
        async def send(self, **about: Any) -> str:
            asked.append(about)
            return "id"

    call = cast("Call", SimpleNamespace(id="call", customer_id="customer"))
    send = module._send_for_calls(cast("TextSending", Sending()))
    assert await send(call, "+14155550100", "+14155550199", "hello") == "id"
    (about,) = asked
    assert (about["customer_id"], about["reference_id"]) == ("customer", "call")
    assert (about["source"], about["destination"], about["text"]) == ("+14155550100", "+14155550199", "hello")


@pytest.mark.parametrize(("address", "shown"), [(("127.0.0.1", 80), ("127.0.0.1", 80)), (("::1", 80), ("[::1]", 80))])
def test_an_address_as_a_url_has_it(address: tuple[str, int], shown: tuple[str, int]) -> None:
    assert module._shown(address) == shown


def test_a_carrier_whose_trunk_is_nowhere_is_told_of() -> None:
    sections = tuple(SipSection(name=name, trunk=name) for name in ("loopback", "gone"))
    with logged() as lines:
        module._warn_of_trunks(Config().model_copy(update={"carriers": sections}), TrunkTable([LOOPBACK]))
    assert [(one["carrier"], one["trunk"]) for one in lines()] == [("gone", "gone")]
