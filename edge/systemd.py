"""What the daemon tells systemd (sd_notify(3)): ready, reloading, stopping, still alive.

Without systemd (`NOTIFY_SOCKET` unset) all of it does nothing.
"""

from __future__ import annotations

import os
import socket
import time

WAIT = 1.0  # s for a supervisor whose queue is full; the event loop stands still meanwhile


def notify(*assignments: str, wait: float = WAIT) -> None:
    """Send `READY=1`, `STATUS=…` and the like. A supervisor that does not listen is not our problem: never raises."""
    path = os.environ.get("NOTIFY_SOCKET", "")
    if not path:
        return
    address = "\0" + path[1:] if path.startswith("@") else path  # @ marks Linux's abstract namespace
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
            sock.settimeout(wait)
            sock.connect(address)
            sock.send("\n".join(assignments).encode())
    except OSError:
        return


def ready(status: str) -> None:
    notify("READY=1", f"STATUS={status}")


def reloading() -> None:
    """Type=notify-reload wants the moment of the reload's start beside it."""
    notify("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")


def stopping(status: str) -> None:
    notify("STOPPING=1", f"STATUS={status}")


def alive() -> None:
    notify("WATCHDOG=1", wait=0)  # calls do not wait for a supervisor that is busy; the next one is soon due


def watchdog_seconds() -> float | None:
    """How often `alive` is due: half of what systemd allows, or None when no watchdog watches this process."""
    if os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    try:
        return int(os.environ["WATCHDOG_USEC"]) / 2_000_000
    except (KeyError, ValueError):
        return None
