"""Where the third-party messages are: `EDGE_VECTORS`, or `../shared/vectors` beside the repository. They are never
copied."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import NamedTuple

import pytest

FOLDER = Path(os.environ.get("EDGE_VECTORS") or Path(__file__).parents[3] / "shared" / "vectors")

needed = pytest.mark.skipif(not FOLDER.is_dir(), reason=f"no third-party vectors in {FOLDER}")


class Vector(NamedTuple):
    """One message of a torture RFC."""

    file: str
    kind: str  # "valid", "invalid" …
    expected: str  # what a server answers over UDP
    data: bytes


def torture() -> list[Vector]:
    """Every message that the indexes of RFC 4475 and RFC 5118 name."""
    found: list[Vector] = []
    for rfc in ("rfc4475", "rfc5118"):
        index = FOLDER / rfc / "INDEX.tsv"
        if index.is_file():
            with index.open(encoding="utf-8") as lines:
                for row in csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE):
                    data = (FOLDER / rfc / row["file"]).read_bytes()
                    found.append(Vector(row["file"], row["class"], row["expected (UAS over UDP)"], data))
    return found


def seeds() -> list[Path]:
    """Every file of the fuzzing seeds."""
    return sorted(path for path in (FOLDER / "seeds").rglob("*") if path.is_file())
