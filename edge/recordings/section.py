"""What can be configured of recordings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from edge.recordings.limits import LONGEST_SECONDS
from edge.recordings.storage import STORAGES, StorageSection
from edge.settings import Section


def _default_storage() -> StorageSection:
    kind: Any = STORAGES.get("directory")
    section: StorageSection = kind.section()
    return section


class RecordingsSection(Section):
    """Recordings of calls."""

    spool: Path = Field(
        default=Path("var/spool"),
        description="Folder in which calls are recorded, and where a recording stays until its storage has it. Each "
        "process has its own.",
    )
    longest_seconds: PositiveInt = Field(
        default=4 * 3600,
        le=LONGEST_SECONDS,
        description="A recording ends when it is this long, whatever its flow says.",
    )
    free_mb: NonNegativeInt = Field(
        default=1024,
        description="No recording begins while the disk of the spool has less room than this, and those under way end"
        " when it has less than half of it.",
    )
    keep_days: NonNegativeInt = Field(
        default=90, description="Recordings are deleted after this many days; 0 keeps them for ever."
    )
    first_wait_seconds: PositiveFloat = Field(
        default=1.0, description="The wait before a storage is tried a second time; it doubles with each further try."
    )
    longest_wait_seconds: PositiveFloat = Field(default=900.0, description="No wait is longer than this.")
    give_up_hours: PositiveFloat = Field(
        default=168.0,
        description="A recording that its storage did not take in this time stays in the spool; it is read there.",
    )
    storage: StorageSection = Field(default_factory=_default_storage, description="Where recordings are kept.")
