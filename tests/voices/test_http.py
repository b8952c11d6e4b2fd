"""A voice behind a URL: what it is sent, and what of its answers is speech."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from ipaddress import IPv4Network
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from edge.errors import EdgeError, Forbidden, Invalid, Unavailable
from edge.http import Guard, HttpSection
from edge.media import ssml
from edge.media.audio import write_wav
from edge.voices.http import Http, HttpVoiceSection
from edge.voices.studio import Studio
from tests.media.conftest import sine, wav

PCM = sine(440, 8000, 0.1).tobytes()
HOST = "127.0.0.1"


class Server:
    """Answers what a test says."""

    def __init__(self) -> None:
        self.status = 200
        self.body = write_wav(PCM)
        self.asked: list[dict[str, Any]] = []
        self.headers: dict[str, str] = {}
        self.url = ""

    async def speak(self, request: web.Request) -> web.Response:
        self.asked.append(json.loads(await request.text()))
        self.headers = dict(request.headers)
        return web.Response(status=self.status, body=self.body, content_type="audio/wav")


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    made = Server()
    app = web.Application()
    app.router.add_post("/speak", made.speak)
    async with TestServer(app, host=HOST) as serving:
        made.url = f"http://{HOST}:{serving.port}/speak"
        yield made


@pytest.fixture
async def guard() -> AsyncIterator[Guard]:
    made = Guard(HttpSection(allow_private=[IPv4Network("127.0.0.1/32")]))
    yield made
    await made.close()


def voice(guard: Guard, url: str, **settings: Any) -> Http:
    return Http(HttpVoiceSection.model_validate({"url": url, **settings}), Studio(guard))


async def test_what_it_is_sent_and_what_it_says(server: Server, guard: Guard) -> None:
    made = voice(guard, server.url, authorization="Bearer k")
    assert (await made.speak(ssml.read("Grüße"), "de-DE", "anna")).pcm == PCM
    assert (await made.speak(ssml.read("<speak>a <break/>b</speak>"), "en", "")).pcm == PCM
    assert server.asked == [
        {"text": "Grüße", "language": "de-DE", "voice": "anna"},
        {"text": "a b", "language": "en", "voice": "", "ssml": "<speak>a <break></break>b</speak>"},
    ]
    assert server.headers["Authorization"] == "Bearer k"
    assert server.headers["Content-Type"] == "application/json"


async def test_any_rate_will_do(server: Server, guard: Guard) -> None:
    server.body = wav(sine(440, 24_000, 0.1).tobytes(), rate=24_000)
    assert (await voice(guard, server.url).speak(ssml.read("a"), "en", "")).seconds == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("status", "body", "error", "what"),
    [
        (404, b"", Invalid, "voice http answered 404: it does not speak this"),
        (422, b"", Invalid, "voice http answered 422"),
        (500, b"", Unavailable, "voice http answered 500"),
        (302, b"", Unavailable, "voice http answered 302"),
        (200, b"<html>", Unavailable, "voice http: byte 0: is not a RIFF/WAVE file"),
        (200, write_wav(b""), Unavailable, "there are no samples"),
    ],
)
async def test_what_is_no_speech(
    server: Server, guard: Guard, status: int, body: bytes, error: type[EdgeError], what: str
) -> None:
    server.status, server.body = status, body
    with pytest.raises(error) as caught:
        await voice(guard, server.url).speak(ssml.read("a"), "en", "")
    assert what in caught.value.message


async def test_a_private_address_has_to_be_allowed(server: Server) -> None:
    guard = Guard(HttpSection())
    with pytest.raises(Forbidden):
        await voice(guard, server.url).speak(ssml.read("a"), "en", "")
    assert server.asked == []
    await guard.close()
