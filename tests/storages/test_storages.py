"""Every storage by the same tests, each on the real thing: a folder, and a server that speaks S3."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from edge.errors import NotFound, Unavailable
from edge.plugins import load
from edge.recordings.section import RecordingsSection
from edge.recordings.storage import STORAGES, Storage, open_storage
from edge.storages import s3
from tests.recordings.studio import contents
from tests.servers import free_port
from tests.storages.bucket import Bucket, bucket

load("edge.storages")

NAME = "01910000-0000-7000-8000-000000000001/call_1.wav"


@pytest.fixture(scope="session")
def shared_bucket() -> Iterator[Bucket]:
    with bucket() as made:
        yield made


def opened(options: dict[str, Any]) -> Storage:
    return open_storage(RecordingsSection.model_validate({"storage": options}).storage)


@pytest.fixture(params=["directory", "s3"])
async def storage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Storage]:
    if request.param == "directory":
        made = opened({"kind": "directory", "path": str(tmp_path / "kept")})
    else:
        made = opened(request.getfixturevalue("shared_bucket").options(prefix=f"{tmp_path.name}/"))
    yield made
    await made.close()


def file(folder: Path, size: int) -> tuple[Path, bytes]:
    path = folder / "file"
    path.write_bytes(os.urandom(size))
    return path, path.read_bytes()


@pytest.mark.parametrize("size", [1, 65_536, 1_000_003])
async def test_what_is_put_is_read_whole_and_in_part(storage: Storage, tmp_path: Path, size: int) -> None:
    path, data = file(tmp_path, size)
    await storage.put(NAME, path, "audio/wav")
    path.unlink()
    assert await contents(storage.read(NAME, 0, size)) == data
    for first, count in ((0, 1), (size - 1, 1), (size // 3, size // 2 or 1)):
        assert await contents(storage.read(NAME, first, count)) == data[first : first + count]


async def test_the_same_again_and_another_in_its_place(storage: Storage, tmp_path: Path) -> None:
    path, data = file(tmp_path, 1000)
    for _ in range(2):
        await storage.put(NAME, path, "audio/wav")
    assert await contents(storage.read(NAME, 0, 1000)) == data
    path.unlink()
    path, data = file(tmp_path, 500)
    await storage.put(NAME, path, "audio/wav")
    assert await contents(storage.read(NAME, 0, 500)) == data


async def test_what_is_deleted_is_gone_and_deleted_again(storage: Storage, tmp_path: Path) -> None:
    path, _ = file(tmp_path, 10)
    await storage.put(NAME, path, "audio/wav")
    for _ in range(2):
        await storage.delete(NAME)
    with pytest.raises(NotFound, match=r"call_1\.wav is not there"):
        await contents(storage.read(NAME, 0, 10))


async def test_a_directory_keeps_nothing_halfway(tmp_path: Path) -> None:
    storage = opened({"path": str(tmp_path / "kept")})
    path, data = file(tmp_path, 100)
    left = tmp_path / "kept" / Path(NAME).parent / ".call_1.wav"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"of a crash")
    await storage.put(NAME, path, "audio/wav")
    assert [found.name for found in left.parent.iterdir()] == ["call_1.wav"]
    assert (tmp_path / "kept" / NAME).read_bytes() == data


@pytest.mark.skipif(os.stat("/dev/shm").st_dev == os.stat("/tmp").st_dev, reason="optional: one disk only")
async def test_a_directory_on_another_disk_gets_a_copy(tmp_path: Path) -> None:
    path = Path(f"/dev/shm/edge-test-{os.getpid()}")
    path.write_bytes(b"over there")
    try:
        await opened({"path": str(tmp_path)}).put(NAME, path, "audio/wav")
    finally:
        path.unlink()
    assert (tmp_path / NAME).read_bytes() == b"over there"


async def test_a_directory_that_cannot_be_written_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("no directory")
    path, _ = file(tmp_path, 10)
    storage = opened({"path": str(tmp_path / "kept")})
    with pytest.raises(Unavailable, match="kept"):
        await storage.put(NAME, path, "audio/wav")
    with pytest.raises(Unavailable, match="Not a directory"):
        await contents(storage.read(NAME, 0, 10))


async def test_others_see_what_is_in_the_bucket(shared_bucket: Bucket, tmp_path: Path) -> None:
    storage = opened(shared_bucket.options(prefix="calls/"))
    path, data = file(tmp_path, 2000)
    await storage.put(NAME, path, "audio/ogg")
    await storage.close()
    assert shared_bucket.object(f"calls/{NAME}") == (data, "audio/ogg")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"secret_key": "a wrong one"}, "SignatureDoesNotMatch"),
        ({"access_key": "AKIANOBODY"}, "InvalidAccessKeyId"),
        ({"bucket": "nowhere"}, "NoSuchBucket"),
    ],
)
async def test_a_bucket_that_refuses_says_why(
    shared_bucket: Bucket, tmp_path: Path, wrong: dict[str, str], said: str
) -> None:
    storage = opened(shared_bucket.options(**wrong))
    path, _ = file(tmp_path, 10)
    try:
        with pytest.raises(Unavailable, match=said):
            await storage.put(NAME, path, "audio/wav")
    finally:
        await storage.close()


async def test_a_server_that_is_away_is_unavailable(shared_bucket: Bucket, tmp_path: Path) -> None:
    storage = opened(shared_bucket.options(endpoint=f"http://127.0.0.1:{free_port()}"))
    path, _ = file(tmp_path, 10)
    try:
        with pytest.raises(Unavailable, match="bucket recordings"):
            await storage.put(NAME, path, "audio/wav")
        with pytest.raises(Unavailable, match="bucket recordings"):
            await contents(storage.read(NAME, 0, 10))
    finally:
        await storage.close()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"kind": "tape"}, "there is no kind of storage 'tape', only directory, s3"),
        ({"kind": "s3"}, "storage.bucket"),
        ({"kind": "s3", "bucket": "abc", "access_key": "x"}, "access_key and secret_key belong together"),
        ({"kind": "s3", "bucket": "abc", "prefix": "no/slash"}, "storage.prefix"),
        ({"path": "x", "bucket": "abc"}, "storage.bucket"),
    ],
)
def test_a_section_that_is_wrong(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        RecordingsSection.model_validate({"storage": options})
    assert said in str(caught.value)


def test_without_its_package_there_is_no_bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3, "find_spec", lambda name: None)
    with pytest.raises(ValidationError, match=r"needs the package aiobotocore: pip install 'edge\[s3\]'"):
        RecordingsSection.model_validate({"storage": {"kind": "s3", "bucket": "abc"}})


def test_each_kind_has_a_section_of_its_name() -> None:
    assert {name: kind.section.model_fields["kind"].default for name, kind in STORAGES} == {
        "directory": "directory",
        "s3": "s3",
    }
