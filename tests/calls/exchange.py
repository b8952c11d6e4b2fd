"""The daemon that the stories of whole calls run on, with a new number for each story."""

from __future__ import annotations

import itertools
import time
import urllib.parse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.calls.daemon import Daemon

Action = Mapping[str, Any]

ANSWER: Action = {"type": "answer"}
RECORD_SECONDS = 5.0  # until a record can be read


def sleep(milliseconds: int) -> Action:
    return {"type": "sleep", "option": {"duration": milliseconds}}


def play(*sources: str) -> Action:
    return {"type": "play", "option": {"stream_urls": list(sources)}}


def hangup(reason: str = "normal") -> Action:
    return {"type": "hangup", "option": {"reason": reason}}


def redirect(*destinations: str) -> Action:
    return {"type": "redirect", "option": {"destinations": list(destinations)}}


STAY = sleep(60_000)


class Exchange:
    """A running daemon, and an account on it that gets numbers."""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon
        self.customer = daemon.account()
        self._numbers = itertools.count(1000)

    @property
    def prompts(self) -> Path:
        return self.daemon.folder / "var" / "prompts"

    def flow(self, *actions: Action, customer: str = "") -> str:
        """A flow; its id."""
        body = {"customer_id": customer or self.customer, "name": "test", "actions": list(actions)}
        return str(self.daemon.ask("POST", "/v1.0/flows", body)["id"])

    def number(self, *actions: Action, texts: tuple[Action, ...] = (), customer: str = "") -> str:
        """A new number with a flow of these actions for its calls, and of `texts` for its texts."""
        return str(self.provision(*actions, texts=texts, customer=customer)["number"])

    def provision(self, *actions: Action, texts: tuple[Action, ...] = (), customer: str = "") -> dict[str, Any]:
        """The same; the number as the API shows it."""
        owner = customer or self.customer
        body = {"customer_id": owner, "number": f"+1415555{next(self._numbers)}"}
        if actions:
            body["call_flow_id"] = self.flow(*actions, customer=owner)
        if texts:
            body["message_flow_id"] = self.flow(*texts, customer=owner)
        return self.daemon.ask("POST", "/v1.0/numbers", body)

    def record(self, call_id: str) -> dict[str, Any]:
        """The record of a call by its SIP Call-ID: what is below `edge` and beside it, in one."""
        path = f"/v1.0/calls?call_id={urllib.parse.quote(call_id)}"
        found = self.wait(lambda: self.daemon.ask("GET", path)["result"], f"the record of {call_id}")
        assert len(found) == 1
        return {**found[0], **found[0]["edge"]}

    def texts(self, number: str, direction: str) -> list[dict[str, Any]]:
        """The texts to or from a number, newest first."""
        query = f"number={urllib.parse.quote(number)}&direction={direction}"
        result: list[dict[str, Any]] = self.daemon.ask("GET", f"/v1.0/messages?{query}")["result"]
        return result

    def wait(self, look: Callable[[], Any], what: str) -> Any:
        """What `look` finds, once it does."""
        deadline = time.monotonic() + RECORD_SECONDS
        while not (found := look()):
            assert time.monotonic() < deadline, f"{what} did not come: {self.daemon.words()}"
            time.sleep(0.02)  # asked again until the deadline
        return found

    def counted(self, name: str, **labels: str) -> float:
        return self.daemon.metric(name, **labels)
