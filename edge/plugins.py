"""Plug-ins: one file each, found by importing the package they live in.

A kind of plug-in (actions, carriers, providers) owns one `Plugins` table. A plug-in enters itself into it when its
class is made; `load("edge.actions")` imports every module of the package once, so that adding a file is all it takes.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from typing import Generic, TypeVar

P = TypeVar("P")


class Plugins(Generic[P]):
    """The plug-ins of one kind by name, in alphabetical order."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._by_name: dict[str, type[P]] = {}

    def add(self, name: str, plugin: type[P]) -> None:
        """Enter a plug-in. Raises ValueError when another class has the name already."""
        other = self._by_name.get(name)
        if other is not None and (other.__module__, other.__qualname__) != (plugin.__module__, plugin.__qualname__):
            raise ValueError(f"two {self.kind}s are called {name}: {other.__module__} and {plugin.__module__}")
        self._by_name[name] = plugin

    def get(self, name: str) -> type[P] | None:
        return self._by_name.get(name)

    def names(self) -> list[str]:
        return sorted(self._by_name)

    def __iter__(self) -> Iterator[tuple[str, type[P]]]:
        return iter(sorted(self._by_name.items()))


def load(package: str) -> None:
    """Import each module of a package, which enters its plug-ins. An import error is not swallowed."""
    for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
        importlib.import_module(f"{package}.{module.name}")
