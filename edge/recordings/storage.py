"""The contract of a storage: where recordings are kept for good.

A storage is one file in `edge/storages`: its section of the configuration, and a class that enters itself here. It puts
a file under a name, reads it back, and deletes it; it does not retry, count or log, that is the keeper's.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import Field, ModelWrapValidatorHandler, model_validator

from edge.plugins import Plugins
from edge.settings import Section


class StorageSection(Section):
    """Where recordings are kept. `kind` says how, and thereby which other keys there are."""

    kind: str = Field(description="The kind of storage: directory or s3.")

    @classmethod
    def kinds(cls) -> Sequence[type[Section]]:
        return [storage.section for _, storage in STORAGES] if cls is StorageSection else ()

    @model_validator(mode="wrap")
    @classmethod
    def _read(cls, value: Any, read: ModelWrapValidatorHandler[Self]) -> Self:
        if cls is not StorageSection or not isinstance(value, dict):
            return read(value)
        kind = value.get("kind", "directory")
        storage = STORAGES.get(kind) if isinstance(kind, str) else None
        if storage is None:
            raise ValueError(f"there is no kind of storage {kind!r}, only {', '.join(STORAGES.names())}")
        section: Any = storage.section.model_validate(value)
        return section  # type: ignore[no-any-return]  # the kind is found by its name


class Storage(ABC):
    """One storage. A kind sets `kind`, `section`, and `shared`: whether what one edge puts there any other can read.

    A name is a relative path of harmless characters. What the storage itself cannot do now is raised as Unavailable.
    """

    kind: ClassVar[str]
    section: ClassVar[type[StorageSection]]
    shared: ClassVar[bool]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "kind" in vars(cls):
            STORAGES.add(cls.kind, cls)

    async def open(self) -> None:  # noqa: B027 - most have nothing to open
        """Get ready, before there is traffic. What is away now is no fault."""

    @abstractmethod
    async def put(self, name: str, path: Path, content_type: str) -> None:
        """Keep a copy of the file; it is there to stay when this returns. The same again changes nothing."""

    @abstractmethod
    def read(self, name: str, first: int, count: int) -> AsyncGenerator[bytes, None]:
        """So many bytes of a file, from one on, in pieces. Raises NotFound before the first when it is not there."""

    @abstractmethod
    async def delete(self, name: str) -> None:
        """Delete a file, if it is there."""

    async def close(self) -> None:  # noqa: B027 - most have nothing to close
        """Let go of what is open."""


STORAGES: Plugins[Storage] = Plugins("storage")


def open_storage(section: StorageSection) -> Storage:
    """The storage of the configuration. `edge.storages` must be loaded."""
    kind: Any = STORAGES.get(section.kind)
    storage: Storage = kind(section)
    return storage
