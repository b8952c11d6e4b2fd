"""What holds for every operation: who may ask, what is refused and how, what is counted and logged."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Iterator
from datetime import timedelta

import pytest
from prometheus_client.parser import text_string_to_metric_families

from edge import log
from edge.api.app import MALFORMED
from edge.api.host import REQUESTS
from edge.api.section import ApiSection
from edge.errors import Fault, Unavailable
from tests.api.world import START, World, on_still, running, wheres

NUMBERS = "/v1.0/numbers"
NOBODY = "01900000-0000-7000-8000-000000000000"


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """What is logged, private values redacted as they are by default."""
    stream = io.StringIO()
    log.configure(log.LogSection(level="debug", format="json"), stream)
    yield stream
    log.configure(log.LogSection(), io.StringIO())


def entries(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


@on_still
async def test_alive_and_ready_need_no_key(still: World) -> None:
    assert await still.did("GET", "/health", key="") == {"status": "ok"}
    acme, web = (await still.did("GET", "/ready", key=""))["carriers"].values()
    noon = {"last_received": "2026-08-01T09:00:00.000000Z", "last_sent": None}
    assert acme == {"kind": "smpp", "connections": "here", "sending": "here", "paused": True, **noon}
    noon = {"last_received": None, "last_sent": "2026-08-01T09:00:00.000000Z"}
    assert web == {"kind": "telnyx", "connections": None, "sending": "elsewhere", "paused": False, **noon}


async def test_not_ready_says_why(world: World) -> None:
    world.reasons = [Fault("sip", "not listening yet"), Fault("store", "away")]
    error = await world.refused(503, "GET", "/ready", key="")
    assert error["reason"] == "NOT_READY"
    assert error["details"] == [{"where": "sip", "what": "not listening yet"}, {"where": "store", "what": "away"}]
    assert (await world.did("GET", "/health", key=""))["status"] == "ok"


@on_still
@pytest.mark.parametrize(
    ("header", "query", "status", "reason"),
    [
        (None, "", 401, "AUTHENTICATION_REQUIRED"),
        ("", "", 401, "INVALID_CREDENTIALS"),
        ("Bearer", "", 401, "INVALID_CREDENTIALS"),
        ("Basic dXNlcjpwdw==", "", 401, "INVALID_CREDENTIALS"),
        ("Bearer vb_wrong", "", 401, "INVALID_CREDENTIALS"),
        ("Bearer {key}x", "", 401, "INVALID_CREDENTIALS"),
        ("Bearer vb_wrong", "?accesskey={key}", 401, "INVALID_CREDENTIALS"),
        (None, "?accesskey=vb_wrong", 401, "INVALID_CREDENTIALS"),
        ("Bearer {key}", "", 200, ""),
        ("bearer  {key}", "", 200, ""),
        (None, "?accesskey={key}", 200, ""),
        (None, "?accesskey={key}&page_size=3", 200, ""),
    ],
)
async def test_who_may_ask(still: World, header: str | None, query: str, status: int, reason: str) -> None:
    headers = {} if header is None else {"Authorization": header.format(key=still.key_a)}
    path = NUMBERS + query.format(key=still.key_a)
    found, answer, response = await still.ask("GET", path, key="", headers=headers)
    assert found == status
    if status == 401:
        assert answer["error"]["reason"] == reason
        assert response.headers["WWW-Authenticate"].startswith("Bearer")


async def test_a_revoked_and_an_ended_key_open_nothing(world: World) -> None:
    made = await world.did("POST", "/v1.0/accesskeys", {"name": "second"})
    assert (await world.did("GET", NUMBERS, key=made["token"]))["result"] == []
    await world.did("DELETE", f"/v1.0/accesskeys/{made['id']}")
    world.clock.now += timedelta(seconds=10)  # longer than what was looked up is believed
    assert (await world.refused(401, "GET", NUMBERS, key=made["token"]))["reason"] == "INVALID_CREDENTIALS"

    ends = {"tm_expire": (world.clock.now + timedelta(hours=1)).isoformat()}
    made = await world.did("POST", "/v1.0/accesskeys", ends)
    world.clock.now += timedelta(hours=2)
    assert (await world.refused(401, "GET", NUMBERS, key=made["token"]))["reason"] == "INVALID_CREDENTIALS"


async def test_a_suspended_account_is_refused_until_it_is_taken_up_again(world: World) -> None:
    path = f"/v1.0/customers/{world.a}"
    await world.did("PUT", path, {"status": "suspended"}, key=world.key_admin)
    assert (await world.refused(403, "GET", NUMBERS))["reason"] == "ACCOUNT_SUSPENDED"
    assert (await world.did("GET", NUMBERS, key=world.key_b))["result"] == []
    await world.did("PUT", path, {"status": "active"}, key=world.key_admin)
    await world.did("GET", NUMBERS)


@on_still
@pytest.mark.parametrize(("method", "path"), [("GET", "/v1.0/customers"), ("POST", "/v1.0/customers")])
async def test_a_customers_key_does_no_admins_work(still: World, method: str, path: str) -> None:
    assert (await still.refused(403, method, path, {"name": "x"}))["reason"] == "ADMIN_REQUIRED"


@on_still
@pytest.mark.parametrize(
    ("method", "path", "status", "reason", "allow"),
    [
        ("GET", "/v1.0/nothing", 404, "ROUTE_NOT_FOUND", None),
        ("GET", "/v1.0/numbers/", 404, "ROUTE_NOT_FOUND", None),
        ("POST", "/", 405, "METHOD_NOT_ALLOWED", "GET, HEAD"),
        ("DELETE", NUMBERS, 405, "METHOD_NOT_ALLOWED", "GET, HEAD, POST"),
        ("OPTIONS", f"{NUMBERS}/{NOBODY}/flow_ids", 405, "METHOD_NOT_ALLOWED", "PUT"),
        ("GET", "/v1.0/flows/validate", 405, "METHOD_NOT_ALLOWED", "POST"),
        ("PROPFIND", "/health", 405, "METHOD_NOT_ALLOWED", "GET, HEAD"),
        ("GET", f"{NUMBERS}/x", 400, "INVALID_ID", None),
        ("GET", f"{NUMBERS}/{NOBODY}%00", 400, "INVALID_ID", None),
        ("GET", f"{NUMBERS}/{NOBODY}", 404, "NUMBER_NOT_FOUND", None),
        ("GET", f"/v1.0/flows/{NOBODY}/versions/0", 400, "INVALID_ID", None),
        ("GET", f"/v1.0/flows/{NOBODY}/versions/99999999999999999999", 400, "INVALID_ID", None),
        ("GET", f"/v1.0/flows/{NOBODY}/versions/1", 404, "FLOW_NOT_FOUND", None),
        ("GET", f"{NUMBERS}?page_size=1&page_size=2", 400, "INVALID_REQUEST_PARAMETER", None),
        ("GET", f"{NUMBERS}?size=1", 400, "INVALID_REQUEST_PARAMETER", None),
        ("GET", f"{NUMBERS}?page_token=tomorrow", 400, "INVALID_REQUEST_PARAMETER", None),
    ],
)
async def test_where_nothing_is_served(
    still: World, method: str, path: str, status: int, reason: str, allow: str | None
) -> None:
    found, answer, response = await still.ask(method, path)
    assert (found, answer["error"]["reason"]) == (status, reason)
    assert response.headers.get("Allow") == allow


@on_still
async def test_head_is_get_without_a_body(still: World) -> None:
    status, body, response = await still.ask("HEAD", "/health", key="")
    assert (status, body) == (200, None) or (status, body) == (200, "")
    assert int(response.headers["Content-Length"]) > 0


@on_still
@pytest.mark.parametrize(
    ("kind", "data", "status", "reason", "where"),
    [
        ("application/json", b"{", 400, "INVALID_JSON_BODY", "line 1 column 2"),
        ("application/json", b'{\n"name": nope}', 400, "INVALID_JSON_BODY", "line 2 column 9"),
        ("application/json", b"", 400, "INVALID_JSON_BODY", "line 1 column 1"),
        ("application/json", b"[]", 400, "INVALID_JSON_BODY", "body"),
        ("application/json; charset=utf-8", b'{"nmae": "x"}', 400, "INVALID_ARGUMENT", "nmae"),
        ("application/json", b'{"hosted": "true", "number": "+14155550100"}', 400, "INVALID_ARGUMENT", "hosted"),
        ("application/json; charset=latin1", b"{}", 415, "UNSUPPORTED_MEDIA_TYPE", None),
        ("text/plain", b"{}", 415, "UNSUPPORTED_MEDIA_TYPE", None),
        ("application/x-www-form-urlencoded", b"a=b", 415, "UNSUPPORTED_MEDIA_TYPE", None),
        ("application/json", b" " * (1024 * 1024 + 1), 413, "BODY_TOO_LARGE", None),
    ],
)
async def test_bodies_that_are_not_taken(
    still: World, kind: str, data: bytes, status: int, reason: str, where: str | None
) -> None:
    headers = {"Content-Type": kind, "Authorization": f"Bearer {still.key_a}"}
    async with still.client.post(still.url + NUMBERS, data=data, headers=headers) as response:
        error = (await response.json())["error"]
        assert (response.status, error["reason"]) == (status, reason)
        assert where is None or where in wheres(error)


@on_still
async def test_a_stranger_sends_no_megabyte(still: World) -> None:
    """The key is looked at before the body is read."""
    error = await still.refused(401, "POST", NUMBERS, key="", data=b"x" * 2_000_000)
    assert error["reason"] == "AUTHENTICATION_REQUIRED"


@on_still
async def test_the_request_id_is_the_clients_or_ours(still: World) -> None:
    for given, kept in (("trace-1.a", True), ("a b", False), ("x" * 65, False)):
        _, answer, response = await still.ask("GET", "/v1.0/nothing", headers={"X-Request-Id": given})
        assert (response.headers["X-Request-Id"] == given) is kept
        assert answer["error"]["request_id"] == response.headers["X-Request-Id"]


@on_still
async def test_a_fault_of_ours_is_logged_once_and_tells_nothing(
    still: World, lines: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError("password=hunter2")

    monkeypatch.setattr(type(still.services.numbers), "get", broken)
    _, answer, response = await still.ask("GET", f"{NUMBERS}/{NOBODY}")
    assert response.status == 500
    assert answer["error"]["reason"] == "INTERNAL"
    assert "hunter2" not in json.dumps(answer)
    failed = [entry for entry in entries(lines) if "exception" in entry]
    assert len(failed) == 1
    assert "hunter2" in str(failed[0]["exception"])
    assert failed[0]["request_id"] == answer["error"]["request_id"]


@on_still
async def test_an_outage_is_a_503_without_its_particulars(
    still: World, lines: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object, **__: object) -> None:
        raise Unavailable("cannot read: postgresql://edge:secret@db refused")

    monkeypatch.setattr(type(still.services.numbers), "get", away)
    error = await still.refused(503, "GET", f"{NUMBERS}/{NOBODY}")
    assert error["status"] == "UNAVAILABLE"
    assert "secret" not in json.dumps(error)
    assert any("secret" in str(entry.get("error")) for entry in entries(lines))


@on_still
async def test_one_line_a_request_and_no_secret_in_it(still: World, lines: io.StringIO) -> None:
    await still.ask("GET", f"{NUMBERS}?accesskey={still.key_a}&number=%2B14155550100", key="")
    await still.ask("GET", "/health", key="")
    text = lines.getvalue()
    assert still.key_a not in text
    assert "4155550100" not in text
    request, health = (entry for entry in entries(lines) if entry["event"] == "request")
    assert (request["method"], request["path"], request["status"]) == ("GET", NUMBERS, 200)
    assert request["customer"] == still.a
    assert (request["level"], health["level"]) == ("info", "debug")


@on_still
async def test_requests_are_counted_by_template(still: World) -> None:
    def count(route: str, method: str, code: str) -> int:
        return REQUESTS.labels(route, method, code).value

    before = (
        count("/v1.0/numbers/{id}", "GET", "404"),
        count("unmatched", "GET", "404"),
        count("/health", "other", "405"),
    )
    await still.ask("GET", f"{NUMBERS}/{NOBODY}")
    await still.ask("GET", f"/v1.0/{NOBODY}")
    await still.ask("PROPFIND", "/health")
    after = (
        count("/v1.0/numbers/{id}", "GET", "404"),
        count("unmatched", "GET", "404"),
        count("/health", "other", "405"),
    )
    assert [b - a for a, b in zip(before, after, strict=True)] == [1, 1, 1]


@on_still
async def test_metrics_are_text_for_prometheus(still: World) -> None:
    await still.did("GET", NUMBERS)
    status, text, response = await still.ask("GET", "/metrics", key="")
    assert status == 200
    assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    families = {family.name: family for family in text_string_to_metric_families(text)}
    assert families["edge_http_requests"].type == "counter"
    assert families["edge_http_request_seconds"].type == "histogram"
    assert not [name for name in families if not name.startswith("edge_")]


async def test_metrics_can_be_for_admins_only(database_url: str) -> None:
    async with running(database_url, ApiSection(port=0, metrics_open=False)) as world:
        assert (await world.ask("GET", "/metrics", key=""))[0] == 401
        assert (await world.ask("GET", "/metrics"))[0] == 403
        assert (await world.ask("GET", "/metrics", key=world.key_admin))[0] == 200


async def test_while_draining_texts_and_new_calls_go_elsewhere_and_the_rest_goes_on(world: World) -> None:
    world.is_draining = True
    text = {"id": "1", "from": "+14155550111", "to": "+14155550100", "text": "hello"}
    status, answer, response = await world.ask("POST", "/v1.0/carriers/loopback/inbound", text)
    assert (status, answer["error"]["reason"]) == (503, "DRAINING")
    assert 2 <= int(response.headers["Retry-After"]) <= 10
    assert world.mailbox.texts == []
    order = {"source": "+14155550100", "destinations": ["+14155550177"], "actions": [{"type": "beep"}]}
    assert (await world.refused(503, "POST", "/v1.0/calls", order))["reason"] == "DRAINING"
    await world.did("GET", NUMBERS)


@on_still
async def test_the_front_page_leads_to_the_documents(still: World) -> None:
    status, _, response = await still.ask("GET", "/", key="")
    assert (status, response.headers["Location"]) == (302, "/docs")


@on_still
@pytest.mark.parametrize(
    "data", [b"BREW /health HTTP/1.1\r\n\r\n", b"\x16\x03\x01\r\n\r\n", b"GET /health HTTP/1.1\r\nA: " + b"x" * 9000]
)
async def test_what_is_not_http_is_counted_and_not_logged(still: World, lines: io.StringIO, data: bytes) -> None:
    before = MALFORMED._value.get()
    host, port = still.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(data)
    assert (await reader.read(12)) in (b"HTTP/1.0 400", b"HTTP/1.1 400")
    writer.close()
    assert MALFORMED._value.get() == before + 1
    assert lines.getvalue() == ""


@on_still
async def test_many_at_once(still: World) -> None:
    answers = await asyncio.gather(*(still.did("GET", NUMBERS) for _ in range(50)))
    assert answers == [{"result": [], "next_page_token": ""}] * 50
    assert still.clock.now > START
