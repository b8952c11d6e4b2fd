"""Ears: sockets, and what reads them. An epoll of our own, asked when it suits, is cheaper than a callback for each."""

from __future__ import annotations

import select
from collections.abc import Callable

from edge.log import get_logger

Ear = Callable[[float], int]  # reads one datagram or more at this time, and returns how many of them count

log = get_logger("media")


class Ears:
    """Sockets, and what is called when datagrams have come for them."""

    def __init__(self) -> None:
        self.epoll = select.epoll()
        self._ears: dict[int, Ear] = {}

    def add(self, number: int, ear: Ear) -> None:
        if number not in self._ears:
            self.epoll.register(number, select.EPOLLIN)
        self._ears[number] = ear

    def remove(self, number: int) -> None:
        if self._ears.pop(number, None) is not None:
            self.epoll.unregister(number)

    def hear(self, now: float) -> tuple[int, int]:
        """Call the ear of each socket with something to read, once. Returns how many there were, and how many
        datagrams they read that count."""
        ready = self.epoll.poll(0)
        heard = 0
        for number, _event in ready:
            ear = self._ears.get(number)
            if ear is None:
                continue
            try:
                heard += ear(now)
            except Exception:
                log.exception("stream cannot hear", socket=number)
                self.remove(number)
        return len(ready), heard
