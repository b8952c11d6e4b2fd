"""A foreign SMSC in a process of its own: told what to do, and asked what it saw."""

from __future__ import annotations

import json
import os
import queue
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
MODULES = Path(os.environ.get("EDGE_NPM", ROOT / ".npm")) / "node_modules"  # where `.ci/npm-need` puts them
SECONDS = 30.0  # for anything to happen

Kind = Literal["node", "rust"]
KINDS: tuple[Kind, ...] = ("node", "rust")
Event = dict[str, Any]


class Smsc:
    """One that runs. `expect` takes events of a kind in their order, whatever came in between."""

    def __init__(self, kind: Kind, port: int = 0, tls: Path | None = None) -> None:
        self.kind = kind
        self._process = subprocess.Popen(
            _command(kind, port, tls),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
            env={**os.environ, "NODE_PATH": str(MODULES)},
        )
        self._lines: queue.Queue[Event] = queue.Queue()
        self._events: list[Event] = []
        threading.Thread(target=self._read, daemon=True).start()
        self.port: int = self.expect("listening")["port"]

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def do(self, what: str, **options: Any) -> None:
        """Have it do something; it is told of what comes after that."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": what, **options}) + "\n")
        self._process.stdin.flush()
        self.expect("did")

    def deliver(self, text: str = "hello", tag: Any = 0, **fields: Any) -> None:
        """Have it send a text; `answered` tells how that went."""
        whole = {
            "source_addr": "14155550111",
            "source_addr_ton": 1,
            "source_addr_npi": 1,
            "destination_addr": "14155550100",
            "dest_addr_ton": 1,
            "dest_addr_npi": 1,
            "data_coding": 0,
            "short_message": text.encode("latin-1").hex(),
            **fields,
        }
        self.do("deliver", tag=tag, fields=whole)

    def expect(self, kind: str, seconds: float = SECONDS) -> Event:
        """The next event of a kind. Raises AssertionError when there is none in time."""
        end = time.monotonic() + seconds
        while True:
            for at, event in enumerate(self._events):
                if event["event"] == kind:
                    return self._events.pop(at)
            try:
                self._events.append(self._lines.get(timeout=max(0.0, end - time.monotonic())))
            except queue.Empty:
                raise AssertionError(f"no {kind} within {seconds:g} s, but {self._events}") from None

    def seen(self, kind: str) -> list[Event]:
        """The events of a kind that nobody took, so far."""
        while not self._lines.empty():
            self._events.append(self._lines.get())
        return [event for event in self._events if event["event"] == kind]

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(json.loads(line))


@contextmanager
def running(kind: Kind, port: int = 0, tls: Path | None = None) -> Iterator[Smsc]:
    smsc = Smsc(kind, port, tls)
    try:
        yield smsc
    finally:
        smsc.kill()


def _command(kind: Kind, port: int, tls: Path | None) -> list[str]:
    if kind == "rust":
        pytest.importorskip("smpp34")
        return [sys.executable, str(HERE / "rust_smpp.py"), str(port or free_port())]
    node = shutil.which("node") or shutil.which("nodejs")
    if node is None or not (MODULES / "smpp").exists():
        pytest.skip("no SMSC of npm's here: apt-get install nodejs npm, then .ci/npm-need smpp@0.5.1")
    return [node, str(HERE / "node_smpp.js"), str(tls or ""), str(port)]


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port
