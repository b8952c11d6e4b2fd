"""A bucket of Amazon S3, or of one of the many servers that speak as it does.

    [recordings.storage]
    kind = "s3"
    endpoint = "https://s3.example.com"
    bucket = "recordings"
    access_key = "…"

The secret belongs into the environment: EDGE_RECORDINGS__STORAGE__SECRET_KEY. It is spoken with by aiobotocore, which
signs requests (signature version 4); the package comes with `pip install 'edge[s3]'`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import AsyncExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, PositiveFloat, SecretStr, model_validator

from edge.errors import NotFound, Unavailable
from edge.recordings.limits import CHUNK_BYTES
from edge.recordings.storage import Storage, StorageSection

CONNECT_SECONDS = 5.0
CONNECTIONS = 64  # at once: what players fetch slowly holds one each, and more wait
GONE = frozenset({"404", "NoSuchKey", "NotFound"})


class S3Section(StorageSection):
    """A bucket."""

    kind: Literal["s3"] = Field(default="s3", description="The kind of storage: directory or s3.")
    bucket: str = Field(min_length=3, max_length=63, description="The bucket; it has to be there.")
    prefix: str = Field(default="", pattern=r"^([\w.-]+/)*$", description="What names in it begin with: calls/2026/")
    endpoint: str | None = Field(default=None, description="URL of the server; without one, Amazon's of the region.")
    region: str = Field(default="us-east-1", description="The region that requests are signed for.")
    access_key: str | None = Field(default=None, description="Without one, what the machine's own role allows.")
    secret_key: SecretStr | None = Field(default=None, description="The secret of the access key.")
    path_style: bool = Field(default=True, description="Whether the bucket stands in the path, not in the host name.")
    deadline_seconds: PositiveFloat = Field(default=60.0, description="The longest pause of the server in an answer.")

    @model_validator(mode="after")
    def _installed(self) -> S3Section:
        if find_spec("aiobotocore") is None:
            raise ValueError("needs the package aiobotocore: pip install 'edge[s3]'")
        if (self.access_key is None) != (self.secret_key is None):
            raise ValueError("access_key and secret_key belong together")
        return self


class S3(Storage):
    """Retries are the keeper's: a request is sent once."""

    kind = "s3"
    section = S3Section
    shared = True

    def __init__(self, section: S3Section) -> None:
        self._section = section
        self._stack = AsyncExitStack()
        self._client: asyncio.Future[Any] | None = None

    async def open(self) -> None:
        """Load the library and its description of S3: they are large, and later no call may wait for them."""
        await self._connected()

    async def put(self, name: str, path: Path, content_type: str) -> None:
        client = await self._connected()
        with self._told(name), path.open("rb") as file:
            await client.put_object(**self._named(name), Body=file, ContentType=content_type)

    async def read(self, name: str, first: int, count: int) -> AsyncGenerator[bytes, None]:
        client = await self._connected()
        with self._told(name):
            found = await client.get_object(**self._named(name), Range=f"bytes={first}-{first + count - 1}")
            async with found["Body"] as body:
                async for chunk in body.iter_chunks(CHUNK_BYTES):
                    yield chunk

    async def delete(self, name: str) -> None:
        client = await self._connected()
        with self._told(name):
            await client.delete_object(**self._named(name))

    async def close(self) -> None:
        await self._stack.aclose()
        self._client = None

    def _named(self, name: str) -> dict[str, str]:
        return {"Bucket": self._section.bucket, "Key": self._section.prefix + name}

    async def _connected(self) -> Any:
        if self._client is None:
            self._client = asyncio.ensure_future(self._connect())
            self._client.add_done_callback(self._forget_failure)
        return await asyncio.shield(self._client)

    def _forget_failure(self, client: asyncio.Future[Any]) -> None:
        if client.cancelled() or client.exception() is not None:
            self._client = None

    async def _connect(self) -> Any:
        session, config = await asyncio.to_thread(_load, self._section)
        section = self._section
        secret = section.secret_key.get_secret_value() if section.secret_key is not None else None
        client = session.create_client(
            "s3",
            region_name=section.region,
            endpoint_url=section.endpoint,
            aws_access_key_id=section.access_key,
            aws_secret_access_key=secret,
            config=config,
        )
        return await self._stack.enter_async_context(client)

    @contextmanager
    def _told(self, name: str) -> Iterator[None]:
        """What goes wrong within, told as an EdgeError."""
        from aiohttp import ClientError as HttpError
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield
        except ClientError as error:
            answer = error.response.get("Error", {})
            if answer.get("Code") in GONE:
                raise NotFound(f"{name} is not there any more", reason="FILE_NOT_FOUND") from None
            what = f"{answer.get('Code')}: {answer.get('Message')}"
            raise Unavailable(f"bucket {self._section.bucket}: {what}") from error
        except (BotoCoreError, HttpError, OSError, TimeoutError) as error:
            raise Unavailable(f"bucket {self._section.bucket}: {error or type(error).__name__}") from error


def _load(section: S3Section) -> tuple[Any, Any]:
    from aiobotocore.config import AioConfig
    from aiobotocore.session import get_session

    session = get_session()
    loader = session.get_component("data_loader")  # it remembers what it read
    for kind in ("service-2", "endpoint-rule-set-1"):
        loader.load_service_model("s3", kind)
    for name in ("endpoints", "partitions", "_retry", "sdk-default-configuration"):
        loader.load_data(name)
    style = "path" if section.path_style else "virtual"
    return session, AioConfig(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=section.deadline_seconds,
        max_pool_connections=CONNECTIONS,
        retries={"total_max_attempts": 1, "mode": "standard"},
        request_checksum_calculation="when_required",  # not every server knows the newer ones
        s3={"addressing_style": style, "payload_signing_enabled": False},  # to hash a body would halt the loop
    )
