"""A newcomer in an empty folder: `edge serve --demo` with nothing set but free ports, and what is typed beside it."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Any

from tests.calls.daemon import EDGE, HOST, START_SECONDS, STOP_SECONDS, environment, free_port, is_ready

NUMBER = "+14155550100"
LAST_LINE = "Ctrl-C ends it.\n\n"


class Newcomer:
    """`serve` and `stop` as often as one likes.

    `seconds` is how long the last start took until /ready said 200 and the screen was there, without the time in which
    the process could have run but the machine was busy with others.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        sip, http, media = free_port(), free_port(socket.SOCK_STREAM, 17000), free_port(start=24000)
        self.sip = f"{HOST}:{sip}"
        self.url = f"http://{HOST}:{http}"
        self.seconds = 0.0
        self.environ = {
            **environment(),
            "EDGE_SIP__LISTEN": f'["udp:{self.sip}","tcp:{self.sip}"]',
            "EDGE_API__PORT": str(http),
            "EDGE_MEDIA__FIRST_PORT": str(media),
            "EDGE_MEDIA__LAST_PORT": str(media + 998),
        }
        self._process: subprocess.Popen[bytes] | None = None

    def launch(self, *words: str, **environ: str) -> subprocess.Popen[bytes]:
        """Start it, and wait for nothing."""
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self._process = subprocess.Popen(
                [str(EDGE), "serve", *words],
                cwd=self.folder,
                env={**self.environ, **environ},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )
        return self._process

    def serve(self, *words: str, **environ: str) -> None:
        """Start it, and wait until it is ready and has printed its screen."""
        started = time.monotonic()
        process = self.launch(*words, **environ)
        while not (self.ready() and self.screen.endswith(LAST_LINE)):
            assert process.poll() is None, self.log
            assert time.monotonic() < started + START_SECONDS, self.log
            time.sleep(0.01)  # asked again until the deadline
        self.seconds = time.monotonic() - started - _waited_for_others(process.pid)

    def stop(self, by: int = signal.SIGTERM) -> int:
        """End it; its exit status."""
        self.process.send_signal(by)
        try:
            return self.process.wait(STOP_SECONDS)
        finally:
            self.process.kill()

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None
        return self._process

    @property
    def screen(self) -> str:
        """What it printed."""
        return self._out.read_text()

    @property
    def log(self) -> str:
        return self._err.read_text()

    @property
    def _out(self) -> Path:
        return self.folder / "out.txt"

    @property
    def _err(self) -> Path:
        return self.folder / "err.txt"

    @property
    def key(self) -> str | None:
        """The key on the screen."""
        found = re.search(r"vb_\S+", self.screen)
        return found.group() if found else None

    def ready(self) -> bool:
        return is_ready(self.url)

    def list(self, path: str) -> list[dict[str, Any]]:
        """A list of the API, with the key on the screen."""
        request = urllib.request.Request(f"{self.url}{path}", headers={"Authorization": f"Bearer {self.key}"})
        with urllib.request.urlopen(request, timeout=5) as response:
            found: list[dict[str, Any]] = json.load(response)["result"]
            return found

    def edge(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Another `edge` command in the same folder."""
        return subprocess.run(
            [str(EDGE), *words],
            cwd=self.folder,
            env=self.environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )


def _waited_for_others(pid: int) -> float:
    """Seconds that a process was ready to run and did not (Documentation/scheduler/sched-stats.rst)."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9
    except (OSError, IndexError):
        return 0.0
