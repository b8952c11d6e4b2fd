"""A real web server for tests, in threads of its own: answers what it is told to, and remembers what it was asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, NamedTuple

PIECE: Final = b"x" * 65_536


class Asked(NamedTuple):
    """A request, as it came."""

    method: str
    path: str
    headers: dict[str, str]  # by lower-case name
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Web:
    """What a server says, by path without query: `says` once each and in order, then `default`.

    Some paths have a way of their own: /slow says nothing before `hurry`, /huge never ends, /away redirects to
    `elsewhere`.
    """

    def __init__(self, host: str, port: int) -> None:
        self.says: dict[str, list[tuple[int, Any]]] = {}
        self.default: dict[str, tuple[int, Any]] = {}
        self.asked: list[Asked] = []
        self.headers: dict[str, str] = {}  # of every answer
        self.elsewhere = ""
        self.hurry = threading.Event()
        self._lock = threading.Lock()
        web = self

        class Handler(BaseHTTPRequestHandler):
            def handle_one_request(self) -> None:
                with suppress(OSError):  # whoever asked has gone
                    super().handle_one_request()

            def __getattr__(self, name: str) -> Any:
                if name.startswith("do_"):
                    return self._serve
                raise AttributeError(name)

            def _serve(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                path = self.path.partition("?")[0]
                with web._lock:
                    web.asked.append(Asked(self.command, self.path, headers, body))
                    answers = web.says.get(path)
                    status, said = answers.pop(0) if answers else web.default.get(path, (200, ""))
                if path == "/slow":
                    web.hurry.wait()
                self.send_response(302 if path == "/away" else status)
                for name, value in web.headers.items():
                    self.send_header(name, value)
                if path == "/away":
                    self.send_header("Location", web.elsewhere)
                content = said.encode() if isinstance(said, str) else json.dumps(said).encode()
                if path != "/huge":
                    self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)
                while path == "/huge":
                    self.wfile.write(PIECE)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer((host, port), Handler)
        self._server.daemon_threads = True
        self.port: int = self._server.server_port
        self.url = f"http://{host}:{self.port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def to(self, path: str) -> list[Asked]:
        """What was asked of a path, oldest first."""
        with self._lock:
            return [asked for asked in self.asked if asked.path.partition("?")[0] == path]

    def close(self) -> None:
        self.hurry.set()
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def web_server(host: str = "127.0.0.1", port: int = 0) -> Iterator[Web]:
    """A server, until the end of the block."""
    web = Web(host, port)
    try:
        yield web
    finally:
        web.close()
