from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from multidict import MultiDict
from pydantic import BaseModel

from edge.api.field import Binding, Id, Line, Model, Moment
from edge.api.paging import PageQuery
from edge.api.reading import read_body, read_json, read_match, read_query
from edge.errors import MAX_FAULTS, Invalid, place
from edge.store.metadata import NIL

ID = "0190a6a1-0000-7000-8000-000000000001"


class Inner(Model):
    size: int


class Body(Model):
    name: Line = ""
    flow: Binding = NIL
    owner: Id | None = None
    inner: tuple[Inner, ...] = ()


class Times(Model):
    since: Moment | None = None


def faults(error: Invalid) -> list[tuple[str, str]]:
    return [(fault.where, fault.what) for fault in error.faults]


@pytest.mark.parametrize(
    ("data", "where", "what"),
    [
        (b"", "line 1 column 1", "expecting value"),
        (b'{\n "a": 1,\n}', "line 3 column 1", "expecting property name enclosed in double quotes"),
        (b'{"a": 1} x', "line 1 column 10", "extra data"),
        (b'{"a":\n"\xff"}', "line 2", "not UTF-8"),
        (b'{"a": NaN}', "body", "NaN is not JSON"),
        (b'{"a": -Infinity}', "body", "-Infinity is not JSON"),
        (b'{"a": "\\ud800"}', "body", "half of a surrogate pair is no character"),
        (b'{"\\uD800": 1}', "body", "half of a surrogate pair is no character"),
        (b'{"a": 1, "b": 2, "a": 3}', "body", "the key 'a' stands twice in one object"),
        (b"[" * 100_000, "body", "nested too deeply"),
        (b"1" * 5_000, "body", "a number is too long"),
    ],
)
def test_what_is_not_json_is_told_by_its_place(data: bytes, where: str, what: str) -> None:
    with pytest.raises(Invalid) as caught:
        read_json(data)
    assert caught.value.reason == "INVALID_JSON_BODY"
    assert faults(caught.value) == [(where, what)]


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b'{"a": "\\ud83d\\ude00"}', {"a": "😀"}),
        (b'"\\\\ud800"', "\\ud800"),
        (b" [1.5, true, null] ", [1.5, True, None]),
    ],
)
def test_json(data: bytes, value: Any) -> None:
    assert read_json(data) == value


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"nmae": "x"}, [("nmae", "unknown key")]),
        (
            {"inner": [{"size": 1}, {"size": "x", "more": 1}]},
            [("inner[1].more", "unknown key"), ("inner[1].size", None)],
        ),
        ({"inner": [{}]}, [("inner[0].size", "is missing")]),
        ({"name": 5}, [("name", None)]),
        ({"name": "a\u0000b"}, [("name", None)]),
        ({"name": "x" * 256}, [("name", None)]),
        ({"owner": "me"}, [("owner", "must be a UUID such as 6f1c3f0e-8a55-4c8e-9f39-6c2f5c0d3a11")]),
        ({"flow": "main"}, [("flow", 'must be the id of a flow, or "", null or the nil UUID to unbind')]),
        ({"flow": ID + "\n"}, [("flow", 'must be the id of a flow, or "", null or the nil UUID to unbind')]),
        ({"flow": 0}, [("flow", 'must be the id of a flow, or "", null or the nil UUID to unbind')]),
    ],
)
def test_every_wrong_place_of_a_body_is_named(body: dict[str, Any], expected: list[tuple[str, str | None]]) -> None:
    with pytest.raises(Invalid) as caught:
        read_body(Body, json.dumps(body).encode())
    found = faults(caught.value)
    assert sorted(where for where, _ in found) == sorted(where for where, _ in expected)
    told = dict(found)
    assert all(what is None or told[where] == what for where, what in expected)


def test_a_body_has_to_be_an_object() -> None:
    with pytest.raises(Invalid) as caught:
        read_body(Body, b"[]")
    assert faults(caught.value) == [("body", "must be an object")]


def test_faults_are_bounded() -> None:
    with pytest.raises(Invalid) as caught:
        read_body(Body, b'{"inner": [' + b",".join([b"{}"] * 1000) + b"]}")
    assert len(caught.value.faults) == MAX_FAULTS


@pytest.mark.parametrize(("given", "read"), [("", NIL), (None, NIL), (NIL, NIL), (ID, ID), (ID.upper(), ID)])
def test_a_binding_is_a_flow_or_nothing(given: str | None, read: str) -> None:
    assert Body(flow=given).flow == read


@pytest.mark.parametrize(
    ("model", "query", "expected"),
    [
        (PageQuery, [("page_size", "5"), ("accesskey", "vb_x")], None),
        (PageQuery, [("page_size", "5"), ("page_size", "6")], "page_size"),
        (PageQuery, [("pagesize", "5")], "pagesize"),
        (PageQuery, [("page_size", "five")], "page_size"),
        (Times, [("since", "2026-08-01T09:00:00Z")], None),
        (Times, [("since", "2026-08-01T09:00:00")], "since"),
        (Times, [("since", "1754038800")], "since"),
        (Times, [("since", "2026-02-30T09:00:00Z")], "since"),
        (Times, [("since", "0001-01-01T00:00:00+14:00")], "since"),
    ],
)
def test_a_query_is_checked_by_its_model(
    model: type[BaseModel], query: list[tuple[str, str]], expected: str | None
) -> None:
    if expected is None:
        read_query(model, MultiDict(query))
        return
    with pytest.raises(Invalid) as caught:
        read_query(model, MultiDict(query))
    assert [fault.where for fault in caught.value.faults] == [expected]


@pytest.mark.parametrize(
    ("text", "size"), [("1", 1), ("100", 100), ("0", 100), ("-7", 100), ("101", 100), ("9" * 5000, 100)]
)
def test_a_page_size_outside_its_limits_is_the_limit(text: str, size: int) -> None:
    assert read_query(PageQuery, MultiDict(page_size=text)).page_size == size


def test_a_time_is_read_into_utc() -> None:
    read = read_query(Times, MultiDict(since="2026-08-01T09:00:00.5+02:00"))
    assert read.since == datetime(2026, 8, 1, 7, 0, 0, 500_000, tzinfo=UTC)


@pytest.mark.parametrize(("text", "version"), [(None, None), ("*", None), ('"3"', 3), (' W/"12" ', 12)])
def test_if_match(text: str | None, version: int | None) -> None:
    assert read_match(text) == version


@pytest.mark.parametrize("text", ["3", '"a"', '"1", "2"', ""])
def test_if_match_invalid(text: str) -> None:
    with pytest.raises(Invalid):
        read_match(text)


@pytest.mark.parametrize(
    ("path", "text"), [((), "body"), (("a",), "a"), (("actions", 2, "option", "length"), "actions[2].option.length")]
)
def test_place(path: tuple[str | int, ...], text: str) -> None:
    assert place(path) == text
