"""A daemon that listens for TLS as well, with certificates made for it, for stories of calls."""

from __future__ import annotations

import json
import socket
from pathlib import Path

from tests.calls.daemon import HOST, Daemon, free_port, new
from tests.certificates import Authority


class Secured:
    """A daemon that is not started yet, and the authority that all of the story trust."""

    def __init__(self, folder: Path, extra: str = "", clients: str = "ask", level: str = "warning") -> None:
        self.authority = Authority(folder)
        self.port = free_port(socket.SOCK_STREAM, 15000)
        self.certificate = self.authority.issue(HOST, file="edge")
        environ = {
            "EDGE_STORE__LAZY_MS": "20",
            "EDGE_SIP__TLS__CERTIFICATE": str(self.certificate.certificate),
            "EDGE_SIP__TLS__KEY": str(self.certificate.key),
            "EDGE_SIP__TLS__CA": str(self.authority.file),
            "EDGE_SIP__TLS__CLIENTS": clients,
        }
        self.daemon: Daemon = new(folder, extra, environ=environ, level=level)
        sip = self.daemon.sip[1]
        listen = [f"udp:{HOST}:{sip}", f"tcp:{HOST}:{sip}", f"tls:{HOST}:{self.port}"]
        self.daemon.environ["EDGE_SIP__LISTEN"] = json.dumps(listen)

    @property
    def address(self) -> tuple[str, int]:
        """Where it speaks TLS."""
        return HOST, self.port
