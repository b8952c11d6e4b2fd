"""Recordings over the API: lists, single ones, files in whole and in part, and their end; each customer its own."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from datetime import timedelta
from typing import Any

import aiohttp
import pytest

from edge.api import download
from edge.recordings.table import Recording
from edge.sessions.tables import calls
from edge.store.metadata import NIL, instant_text, new_id
from tests.api.test_records import call, insert
from tests.api.world import FREE, NODE, START, World

SIZE = 200_000


async def keep(world: World, customer_id: str, minute: int = 0, *, data: bytes = b"", **fields: Any) -> Recording:
    """A recording that is in the table, and its file where its row says."""
    when = START + timedelta(minutes=minute)
    row = Recording.begun(new_id(), customer_id, new_id(), "wav", when, node=NODE, on_end_flow_id=new_id())
    row = replace(row, **{"state": "stored", "ending": "stopped", "place": "directory", "frames": 8000, **fields})
    row = replace(row, bytes=len(data), filename=f"{row.recording_name}.{row.format}")
    await world.services.recordings.begin(row)
    if data:
        path = world.folder / "recordings" / row.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return row


async def file(world: World, row: Recording, *, method: str = "GET", **headers: str) -> tuple[int, bytes, Any]:
    """Status, body and header fields."""
    given = {
        "Authorization": f"Bearer {world.key_a}",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    url = f"{world.url}/v1.0/recordings/{row.id}/file"
    async with world.client.request(method, url, headers=given) as response:
        return response.status, await response.read(), response.headers


async def test_lists(each_world: World) -> None:
    world = each_world
    rows = [await keep(world, world.a, minute) for minute in range(4)]
    foreign = await keep(world, world.b, 9)

    async def found(query: str = "", key: str | None = None) -> list[str]:
        return [one["id"] for one in (await world.did("GET", f"/v1.0/recordings{query}", key=key))["result"]]

    ids = [row.id for row in rows]
    assert await found() == ids[::-1]
    assert await found(key=world.key_b) == [foreign.id]
    assert await found(key=world.key_admin) == [foreign.id, *ids[::-1]]
    assert await found(f"?reference_id={rows[1].reference_id}") == [ids[1]]
    assert await found(f"?reference_id={foreign.reference_id}") == []
    since, until = (instant_text(START + timedelta(minutes=minute)) for minute in (1, 3))
    assert await found(f"?since={since}&until={until}") == [ids[2], ids[1]]
    page = await world.did("GET", "/v1.0/recordings?page_size=3")
    assert [one["id"] for one in page["result"]] == ids[:0:-1]
    rest = await world.did("GET", f"/v1.0/recordings?page_size=3&page_token={page['next_page_token']}")
    assert ([one["id"] for one in rest["result"]], rest["next_page_token"]) == ([ids[0]], "")


async def test_one(world: World) -> None:
    row = await keep(world, world.a, data=b"12345", tm_end=START + timedelta(seconds=1))
    shown = await world.did("GET", f"/v1.0/recordings/{row.id}")
    assert {name: shown[name] for name in ("reference_type", "reference_id", "status", "format", "filenames")} == {
        "reference_type": "call",
        "reference_id": row.reference_id,
        "status": "ended",
        "format": "wav",
        "filenames": [row.filename],
    }
    assert (shown["tm_start"], shown["tm_end"]) == (instant_text(START), instant_text(START + timedelta(seconds=1)))
    assert shown["edge"] == {
        "state": "stored",
        "ending": "stopped",
        "error": "",
        "storage": "directory",
        "node": NODE,
        "seconds": 1.0,
        "bytes": 5,
        "attempts": 0,
    }
    under_way = await keep(world, world.a, state="recording", ending="")
    assert (await world.did("GET", f"/v1.0/recordings/{under_way.id}"))["status"] == "recording"


@pytest.mark.parametrize(("format", "kind"), [("wav", "audio/wav"), ("mp3", "audio/mpeg"), ("ogg", "audio/ogg")])
async def test_a_file_whole_and_in_part(world: World, format: str, kind: str) -> None:
    data = os.urandom(SIZE)
    row = await keep(world, world.a, data=data, format=format)
    status, body, headers = await file(world, row)
    assert (status, body) == (200, data)
    assert (headers["Content-Type"], headers["Content-Length"]) == (kind, str(SIZE))
    assert (headers["Accept-Ranges"], headers["ETag"]) == ("bytes", f'"{row.id}"')
    assert headers["Content-Disposition"] == f'inline; filename="{row.filename}"'
    assert headers["X-Request-Id"]

    status, body, headers = await file(world, row, Range="bytes=1000-70999")
    assert (status, body) == (206, data[1000:71000])
    assert (headers["Content-Range"], headers["Content-Length"]) == (f"bytes 1000-70999/{SIZE}", "70000")
    assert (await file(world, row, Range="bytes=-5"))[:2] == (206, data[-5:])
    assert (await file(world, row, Range="bytes=0-1,3-4"))[:2] == (200, data)
    assert (await file(world, row, Range="bytes=0-4", If_Range=f'"{row.id}"'))[:2] == (206, data[:5])
    assert (await file(world, row, Range="bytes=0-4", If_Range='"another"'))[:2] == (200, data)

    status, body, headers = await file(world, row, Range=f"bytes={SIZE}-")
    assert (status, headers["Content-Range"]) == (416, f"bytes */{SIZE}")
    assert b"RANGE_NOT_SATISFIABLE" in body

    status, body, headers = await file(world, row, method="HEAD", Range="bytes=0-9")
    assert (status, body, headers["Content-Length"]) == (206, b"", "10")
    status, body, headers = await file(world, row, method="HEAD")
    assert (status, body, headers["Content-Length"]) == (200, b"", str(SIZE))


async def test_a_key_in_the_query_will_do_for_a_player(world: World) -> None:
    row = await keep(world, world.a, data=b"12345")
    async with aiohttp.ClientSession() as player:
        async with player.get(f"{world.url}/v1.0/recordings/{row.id}/file?accesskey={world.key_a}") as response:
            assert (response.status, await response.read()) == (200, b"12345")
        async with player.get(f"{world.url}/v1.0/recordings/{row.id}/file") as response:
            assert response.status == 401


@pytest.mark.parametrize(("state", "status"), [("recording", 409), ("waiting", 409), ("failed", 404)])
async def test_a_file_that_is_not_there(world: World, state: str, status: int) -> None:
    row = await keep(world, world.a, state=state, place="", frames=0)
    path = f"/v1.0/recordings/{row.id}/file"
    error = await world.refused(status, "GET", path)
    assert error["reason"] == ("FILE_NOT_FOUND" if status == 404 else "RECORDING_NOT_READY")


async def test_a_file_that_somebody_took_away_or_cut(world: World) -> None:
    row = await keep(world, world.a, data=b"12345")
    path = world.folder / "recordings" / row.path
    path.write_bytes(b"123")
    with pytest.raises(aiohttp.ClientError):
        await file(world, row)
    path.unlink()
    assert (await world.refused(404, "GET", f"/v1.0/recordings/{row.id}/file"))["reason"] == "FILE_NOT_FOUND"


async def test_a_storage_that_is_not_there_is_503(world: World) -> None:
    row = await keep(world, world.a, data=b"12345", place="s3")
    await world.refused(503, "GET", f"/v1.0/recordings/{row.id}/file")
    await world.refused(503, "DELETE", f"/v1.0/recordings/{row.id}")


@pytest.mark.parametrize("path", ["", "/file"])
async def test_what_belongs_to_another_does_not_exist(world: World, path: str) -> None:
    row = await keep(world, world.b, data=b"12345")
    for url in (f"/v1.0/recordings/{row.id}{path}", f"/v1.0/recordings/{new_id()}{path}"):
        assert (await world.refused(404, "GET", url))["reason"] == "RECORDING_NOT_FOUND"
    await world.refused(404, "DELETE", f"/v1.0/recordings/{row.id}")
    await world.refused(400, "GET", f"/v1.0/recordings/nonsense{path}")
    assert (await world.ask("GET", f"/v1.0/recordings/{row.id}{path}", key=world.key_admin))[0] == 200


async def test_deleting(world: World) -> None:
    row = await keep(world, world.a, data=b"12345")
    shown = await world.did("DELETE", f"/v1.0/recordings/{row.id}")
    assert shown["id"] == row.id
    assert not (world.folder / "recordings" / row.path).exists()
    for method in ("GET", "DELETE"):
        await world.refused(404, method, f"/v1.0/recordings/{row.id}")
    under_way = await keep(world, world.a, state="recording", place="")
    assert (await world.refused(409, "DELETE", f"/v1.0/recordings/{under_way.id}"))["reason"] == "RECORDING_NOT_READY"


async def test_a_call_names_its_recordings(each_world: World) -> None:
    world = each_world
    calls_of = [call(world.a, FREE, minute) for minute in range(3)]
    await insert(world, calls, calls_of)
    first, second = [await keep(world, world.a, minute, reference_id=calls_of[0]["id"]) for minute in (1, 2)]
    only = await keep(world, world.a, 3, reference_id=calls_of[2]["id"])
    shown = (await world.did("GET", "/v1.0/calls"))["result"][::-1]
    assert [one["recording_ids"] for one in shown] == [[first.id, second.id], [], [only.id]]
    assert [one["recording_id"] for one in shown] == [second.id, NIL, only.id]
    one = await world.did("GET", f"/v1.0/calls/{calls_of[0]['id']}")
    assert (one["recording_id"], one["recording_ids"]) == (second.id, [first.id, second.id])


async def test_a_client_that_does_not_read_on_is_let_go(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "SEND_SECONDS", 0.05)
    row = await keep(world, world.a, data=bytes(30_000_000))
    headers = {"Authorization": f"Bearer {world.key_a}"}
    async with world.client.get(f"{world.url}/v1.0/recordings/{row.id}/file", headers=headers) as response:
        assert response.status == 200
        await asyncio.sleep(0.2)  # time is what this is about
        with pytest.raises(aiohttp.ClientError):
            await response.read()
