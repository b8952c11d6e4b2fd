"""Addresses of a Redis: TCP and unix sockets, databases, users and passwords, TLS."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest
from redis.exceptions import AuthenticationError

from edge.store.notice import Notices
from edge.store.redis import Held, RedisSection, RedisTier
from edge.store.redis_connection import connect
from tests.logged import logged
from tests.servers import RedisServer, free_port

A = "edge:v1:t:a"
PASSWORD = "s3cret"

# Of nobody: made for this test, for 127.0.0.1.
CERTIFICATE = """\
-----BEGIN CERTIFICATE-----
MIIBdzCCAR2gAwIBAgIUFgI2/TuJa9PECXa88HNwVVudkAMwCgYIKoZIzj0EAwIw
EDEOMAwGA1UEAwwFcmVkaXMwIBcNMjAwMTAxMDAwMDAwWhgPMjEyMDAxMDEwMDAw
MDBaMBAxDjAMBgNVBAMMBXJlZGlzMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE
SZJXYkFKS2S/0bP6aA9dFgF2++M4YLHUz3/gOv22pzIw+r32G/dBKq2DK6ofvDL2
5laUesCY2cEdC+c43LvawKNTMFEwHQYDVR0OBBYEFDsrAmdkLL3nYKFkVFw8nqi2
DP9EMA8GA1UdEwEB/wQFMAMBAf8wDgYDVR0PAQH/BAQDAgKEMA8GA1UdEQQIMAaH
BH8AAAEwCgYIKoZIzj0EAwIDSAAwRQIhAKBbIQQLQ0mmdCW8UjveHzXc9N4Lz7Z7
tv+6kEK5glVZAiBvUIJW0tQqBYRGgbcb1f9NGiouGHLRb4ClWVe+QD+JPQ==
-----END CERTIFICATE-----
"""
KEY = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgKw8/qodd6FlocnH8
sbTsRkRdyKtDTVSB3/cOPm9MlTqhRANCAARJkldiQUpLZL/Rs/poD10WAXb74zhg
sdTPf+A6/banMjD6vfYb90EqrYMrqh+8MvbmVpR6wJjZwR0L5zjcu9rA
-----END PRIVATE KEY-----
"""


@pytest.fixture
def port(redis_server: RedisServer) -> int:
    """A TCP port that the test's own server listens on, too."""
    port = free_port()
    assert redis_server.say(f"CONFIG SET port {port}") == b"+OK\r\n"
    return port


async def works(url: str) -> bool:
    """Whether a tier comes up there, and then writes and reads."""
    tier = RedisTier(RedisSection(url=url, deadline_ms=1000, connect_ms=2000), Notices())
    await tier.start()
    try:
        if tier.up:
            assert tier.tracked
            await tier.put_if_newer(A, 1, b"one", 60_000)
            assert await tier.get(A) == Held(1, b"one")
        return tier.up
    finally:
        await tier.close()


async def test_tcp_and_the_number_of_the_database(redis_server: RedisServer, port: int) -> None:
    assert await works(f"redis://127.0.0.1:{port}/3")
    assert await works(f"{redis_server.url}?db=5")
    keyspace = redis_server.say("INFO keyspace")
    assert b"db3:keys=1," in keyspace
    assert b"db5:keys=1," in keyspace
    assert b"db0:" not in keyspace
    assert not await works(f"redis://127.0.0.1:{port}/999")


async def test_only_the_right_password_opens_and_none_is_printed(redis_server: RedisServer, port: int) -> None:
    assert redis_server.say(f"ACL SETUSER edge on >{PASSWORD} allkeys allchannels +@all").startswith(b"+OK")
    assert redis_server.say(f"CONFIG SET requirepass {PASSWORD}").startswith(b"+OK")
    socket = redis_server.url.removeprefix("unix://")
    for right in (
        f"redis://:{PASSWORD}@127.0.0.1:{port}/0",
        f"redis://edge:{PASSWORD}@127.0.0.1:{port}",
        f"unix://:{PASSWORD}@{socket}",
        f"unix://{socket}?username=edge&password={PASSWORD}",
    ):
        with logged() as lines:
            assert await works(right)
            assert lines() == []
    for wrong in (
        f"redis://:{PASSWORD}x@127.0.0.1:{port}/0",
        f"redis://nobody:{PASSWORD}@127.0.0.1:{port}",
        f"unix://{socket}?password=x{PASSWORD}",
        f"unix://{socket}",
    ):
        with logged() as lines:
            assert not await works(wrong)
            (line,) = lines()
        assert line["event"].startswith("redis is down")
        assert "WRONGPASS" in line["error"] or "NOAUTH" in line["error"]
        assert PASSWORD not in str(line)
    with pytest.raises(AuthenticationError):
        await connect(f"unix://{socket}", print)


async def test_tls_with_a_certificate_that_is_trusted_and_not_without(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    certificate.write_text(CERTIFICATE)
    key.write_text(KEY)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                writer.write(data)
        except OSError:
            pass
        writer.close()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        plain = await asyncio.open_unix_connection(redis_server.url.removeprefix("unix://"))
        await asyncio.gather(copy(reader, plain[1]), copy(plain[0], writer))

    server = await asyncio.start_server(carry, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    async with server:
        assert await works(f"rediss://127.0.0.1:{port}/0?ssl_ca_certs={certificate}")
        assert not await works(f"rediss://127.0.0.1:{port}/0")
        assert await works(f"rediss://127.0.0.1:{port}/0?ssl_cert_reqs=none")
        assert not await works(f"redis://127.0.0.1:{port}/0")
