"""Statements: SQL that goes to the driver, named, in the words of both databases.

Where possible both texts come from one: `Statement.of("call.insert", "INSERT … VALUES (?, ?)")` numbers the marks for
PostgreSQL, and `insert(…)` knows where the row of values is, so that many rows become one statement. Rows hold what the
SQL types hold: text, integers (times as `micros`), booleans, JSON as text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_MARK_OR_QUOTED = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|\?")


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement. `sqlite` has `?` marks, `postgres` has `$1 …`.

    `row` is the part of both texts that stands for one row, `(?, ?)`, when the statement is a plain multi-row INSERT;
    it occurs once in `sqlite`.

    `shared`: several processes may change the same rows at the same time. PostgreSQL locks them until the commit, so
    each group changes them last and in their order, and no two groups wait for each other. They are written with other
    rows only (`Writer.put_with`).
    """

    name: str
    sqlite: str
    postgres: str
    row: str | None = None
    shared: bool = False

    @classmethod
    def of(cls, name: str, text: str, *, shared: bool = False) -> Statement:
        """A statement whose text is the same on both but for its marks."""
        return cls(name, text, numbered(text), shared=shared)


def insert(name: str, table: str, columns: Sequence[str], conflict: str = "") -> Statement:
    """An INSERT of these columns. `conflict` is what follows, e.g. `ON CONFLICT (carrier, id) DO NOTHING`."""
    row = "(" + ", ".join("?" for _ in columns) + ")"
    head = f"INSERT INTO {table} ({', '.join(columns)}) VALUES"  # names from the code only
    text = f"{head} {row} {conflict}".rstrip()
    return Statement(name, text, numbered(text), row)


def numbered(text: str) -> str:
    """`?` marks outside of quotes as `$1`, `$2` …"""
    count = 0

    def mark(match: re.Match[str]) -> str:
        nonlocal count
        if match[0] != "?":
            return match[0]
        count += 1
        return f"${count}"

    return _MARK_OR_QUOTED.sub(mark, text)
