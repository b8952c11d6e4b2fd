"""Keys that a caller types: kept until a step asks for them, and gathered by the one that does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from edge.media.inband import ToneReader

TYPE_AHEAD: Final = 64  # keys kept that no step has asked for yet; older ones go first


class Keys:
    """Typed and not yet asked for."""

    __slots__ = ("_typed",)

    def __init__(self) -> None:
        self._typed = ""

    def __bool__(self) -> bool:
        return bool(self._typed)

    def type(self, keys: str) -> None:
        self._typed = (self._typed + keys)[-TYPE_AHEAD:]

    def take(self) -> str:
        """The oldest."""
        key, self._typed = self._typed[0], self._typed[1:]
        return key

    def clear(self) -> None:
        self._typed = ""


class Tones:
    """A tap that hears keys in the audio, for those who send them in no other way."""

    __slots__ = ("_reader", "_typed")

    def __init__(self, typed: Callable[[str], None]) -> None:
        self._reader = ToneReader()
        self._typed = typed

    def heard(self, _timestamp: int, pcm: bytes) -> None:
        """What they say. Who waits for a key goes on in a later turn, as with any other key."""
        keys = self._reader.read(pcm)
        if keys:
            asyncio.get_running_loop().call_soon(self._typed, keys)

    def said(self, _timestamp: int, _pcm: bytes) -> None:
        """What we say is not their key."""


class Gathering:
    """Keys for one step: until one of `end_keys`, or `length` of them (0: no limit). The end key is one of them."""

    __slots__ = ("_end_keys", "_keys", "_length", "digits")

    def __init__(self, keys: Keys, end_keys: str, length: int) -> None:
        self._keys = keys
        self._end_keys = end_keys
        self._length = length
        self.digits = ""

    def complete(self) -> bool:
        """Take what was typed, as far as it is for this step; whether nothing is missing then."""
        while self._keys:
            key = self._keys.take()
            self.digits += key
            if key in self._end_keys or len(self.digits) == self._length:
                return True
        return False
