"""Statements: one text for both databases."""

from __future__ import annotations

import pytest

from edge.store.statement import Statement, insert, numbered


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SELECT ?", "SELECT $1"),
        ("UPDATE t SET a = ?, b = ? WHERE c = ?", "UPDATE t SET a = $1, b = $2 WHERE c = $3"),
        ("SELECT '?' WHERE a = ?", "SELECT '?' WHERE a = $1"),
        ("SELECT 'it''s ?', \"odd ?\" WHERE a = ?", "SELECT 'it''s ?', \"odd ?\" WHERE a = $1"),
        ("SELECT 1", "SELECT 1"),
    ],
)
def test_marks_are_numbered_outside_of_quotes(text: str, expected: str) -> None:
    assert numbered(text) == expected
    assert Statement.of("x", text) == Statement("x", text, expected)


def test_an_insert_knows_its_row() -> None:
    statement = insert("call.insert", "calls", ["id", "name"], "ON CONFLICT (id) DO NOTHING")
    assert statement.sqlite == "INSERT INTO calls (id, name) VALUES (?, ?) ON CONFLICT (id) DO NOTHING"
    assert statement.postgres == "INSERT INTO calls (id, name) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING"
    assert statement.row == "(?, ?)"
    assert insert("x", "t", ["a"]).sqlite == "INSERT INTO t (a) VALUES (?)"
