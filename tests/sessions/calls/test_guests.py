"""Hosts of SIP URIs: heard while we call them, and a little longer."""

from __future__ import annotations

import pytest

from edge.sessions.calls import guests
from edge.sessions.calls.guests import Guests
from tests.sessions.ground import until


async def test_a_host_is_heard_until_a_while_after_its_last_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guests, "LINGER", 0.0)
    found = Guests()
    assert not found.admits("192.0.2.1")
    found.enter("192.0.2.1")
    found.enter("192.0.2.1")
    found.leave("192.0.2.1")
    assert found.admits("192.0.2.1")
    assert not found.admits("192.0.2.2")
    found.leave("192.0.2.1")
    assert found.admits("192.0.2.1"), "what is on the wire still comes"
    await until(lambda: not found.admits("192.0.2.1"))
