"""Traffic of a scanner: datagrams from an address that no trunk has, at a rate, in a process of its own.

python -m bench.scanner HOST PORT RATE SECONDS      prints how many were sent
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from bench.machine import HOST

STRANGER = "127.0.0.66"  # loopback has it, and no trunk of the bench does
EVERY_SECONDS = 0.001  # between two bursts: what is due by then goes at once, which is even enough for a flood
ROOT = Path(__file__).parent.parent


def probe(number: int) -> bytes:
    """What scanners send all day: a made-up call from nobody."""
    return (
        f"INVITE sip:900{number:08}@{HOST} SIP/2.0\r\n"
        f"Via: SIP/2.0/UDP {STRANGER}:5060;branch=z9hG4bK-{number};rport\r\n"
        f'From: "sipvicious" <sip:100@{STRANGER}>;tag={number}\r\nTo: <sip:900{number:08}@{HOST}>\r\n'
        f"Call-ID: {number}@{STRANGER}\r\nCSeq: 1 INVITE\r\nContact: <sip:100@{STRANGER}:5060>\r\nMax-Forwards: 70\r\n"
        "User-Agent: friendly-scanner\r\nAccept: application/sdp\r\nContent-Length: 0\r\n\r\n"
    ).encode()


def send(host: str, port: int, rate: float, seconds: float) -> int:
    """Send evenly; what the kernel does not take is not sent again. Returns how many went."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((STRANGER, 0))
        sock.connect((host, port))
        begun, sent = time.monotonic(), 0
        while (gone := time.monotonic() - begun) < seconds:
            due = round(gone * rate)
            while sent < due:
                with contextlib.suppress(OSError):
                    sock.send(probe(sent))
                sent += 1
            time.sleep(EVERY_SECONDS)  # a process of its own, which has nothing else to do
    return sent


@contextlib.contextmanager
def scanning(port: int, rate: float, seconds: float) -> Iterator[None]:
    """Somebody scans 127.0.0.1:`port` meanwhile."""
    command = [sys.executable, "-m", "bench.scanner", HOST, str(port), str(rate), str(seconds)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL) as scanner:
        try:
            yield
        finally:
            scanner.terminate()


if __name__ == "__main__":
    print(send(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])))
