"""Whom a request is taken to come from, and which URL it is taken to have asked for."""

from __future__ import annotations

import pytest
from multidict import CIMultiDict
from pydantic import ValidationError

from edge.api.proxies import Proxies, Told
from edge.api.section import ApiSection

OURS = ["10.0.0.0/8", "2001:db8::/32"]
CLIENT = "203.0.113.7"


def told(remote: str, *fields: tuple[str, str], by: str = "x-forwarded") -> Told:
    section = ApiSection.model_validate({"trusted_proxies": OURS, "proxy_fields": by})
    return Proxies(section).told(remote, CIMultiDict(fields))


def usual(clients: str, scheme: str = "", host: str = "") -> list[tuple[str, str]]:
    names = ("X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host")
    return [(name, value) for name, value in zip(names, (clients, scheme, host), strict=True) if value]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (usual(CLIENT, "https", "edge.example"), Told(CLIENT, "https", "edge.example")),
        (usual(f"{CLIENT}:4711", "HTTPS", "edge.example:8443"), Told(CLIENT, "https", "edge.example:8443")),
        (usual("[2a00::1]:4711"), Told("2a00::1")),
        (usual("2a00::1"), Told("2a00::1")),
        (usual(""), Told("10.0.0.1")),
        # what the client wrote himself stands before what our proxies added
        (usual(f"10.9.9.9, {CLIENT}", "http, https", "evil, edge.example"), Told(CLIENT, "https", "edge.example")),
        (usual(f"8.8.8.8, {CLIENT}, 10.0.0.2", "https, http", "a, b"), Told(CLIENT, "https", "a")),
        (usual(f"{CLIENT}, 10.0.0.2", "https", "edge.example"), Told(CLIENT, "https", "edge.example")),
        (usual(f"{CLIENT}, 2001:db8::5", "https, "), Told(CLIENT, "https")),
        # what is no address ends the walk at the last that was one
        (usual(f"{CLIENT}, unknown, 10.0.0.2"), Told("10.0.0.2")),
        (usual("<script>"), Told("10.0.0.1")),
        (usual("999.1.1.1"), Told("10.0.0.1")),
        # what is no scheme and no host is not believed
        (usual(CLIENT, "gopher", "edge.example/evil"), Told(CLIENT)),
        (usual(CLIENT, "https", "a b"), Told(CLIENT, "https")),
        # a field twice is one list
        ([*usual("8.8.8.8", "http"), *usual(CLIENT, "https")], Told(CLIENT, "https")),
        # the other kind of field is not looked at
        ([("Forwarded", f"for={CLIENT};proto=https")], Told("10.0.0.1")),
    ],
)
def test_what_a_proxy_of_ours_tells(fields: list[tuple[str, str]], expected: Told) -> None:
    assert told("10.0.0.1", *fields) == expected
    assert told("::ffff:10.0.0.1", *fields) == expected


@pytest.mark.parametrize("remote", [CLIENT, "2a00::1", "11.0.0.1", ""])
@pytest.mark.parametrize("by", ["x-forwarded", "forwarded"])
def test_nobody_else_is_believed(remote: str, by: str) -> None:
    fields = [*usual("10.0.0.1", "https", "edge.example"), ("Forwarded", "for=10.0.0.1;proto=https;host=edge.example")]
    assert told(remote, *fields, by=by) == Told(remote)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (f"for={CLIENT};proto=https;host=edge.example", Told(CLIENT, "https", "edge.example")),
        (f'For="{CLIENT}:47";Proto="https";Host="edge.example:8443"', Told(CLIENT, "https", "edge.example:8443")),
        ('for="[2a00::1]:47" ; by=10.0.0.1', Told("2a00::1")),
        (f"for=10.1.1.1;proto=http, for={CLIENT};proto=https", Told(CLIENT, "https")),
        (f"for={CLIENT};proto=https;host=a, for=10.0.0.2;proto=http", Told(CLIENT, "https", "a")),
        (f"for={CLIENT};host=a, for=10.0.0.2;proto=http", Told(CLIENT, "http", "a")),
        ("for=_hidden;proto=https", Told("10.0.0.1", "https")),
        ('for="unclosed', Told("10.0.0.1")),
        (f"for={CLIENT} proto=https", Told("10.0.0.1")),
        ('host="\\e\\d\\g\\e"', Told("10.0.0.1", "", "edge")),
        ("", Told("10.0.0.1")),
    ],
)
def test_the_standard_field(value: str, expected: Told) -> None:
    assert told("10.0.0.1", ("Forwarded", value), *usual("8.8.8.8", "http", "evil"), by="forwarded") == expected


@pytest.mark.parametrize("value", ["edge.example", "ftp://edge.example", "https://", "https://e/?a=b", "https://e/#x"])
def test_public_url_invalid(value: str) -> None:
    with pytest.raises(ValidationError):
        ApiSection(public_url=value)


def test_a_public_url_needs_no_slash_at_its_end() -> None:
    assert ApiSection(public_url="https://edge.example/").public_url == "https://edge.example"
