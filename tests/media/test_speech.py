"""What is spoken once, by whom, and what is refused."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from edge.errors import EdgeError, Exhausted, Invalid, Unavailable
from edge.media import speech as module
from edge.media.audio import Audio
from edge.media.speech import Speech, SpeechSection
from edge.metrics import REGISTRY
from edge.voices.studio import open_speech
from tests.media.parrot import Parrot, said


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0)


async def speak(speech: Speech, text: str, language: str = "", voice: str = "", provider: str = "") -> Audio:
    return await speech.speak(text, language=language, voice=voice, provider=provider)


def counted(outcome: str) -> float:
    return REGISTRY.get_sample_value("edge_speech_total", {"outcome": outcome}) or 0.0


async def test_a_text_is_spoken_once_and_then_comes_from_memory_and_after_a_start_from_disk(tmp_path: Path) -> None:
    parrot = Parrot()
    before = {outcome: counted(outcome) for outcome in ("spoken", "memory", "disk")}
    first = parrot.speech(tmp_path)
    heard = await speak(first, "Hello")
    assert heard == said("Hello")
    assert await speak(first, "Hello") is heard
    assert await speak(first, "  Hello\n") is heard, "the same to the ear"
    again = parrot.speech(tmp_path)
    assert await speak(again, "Hello") == heard
    assert len(parrot.asked) == 1
    assert {outcome: counted(outcome) - number for outcome, number in before.items()} == {
        "spoken": 1,
        "memory": 2,
        "disk": 1,
    }


async def test_what_makes_a_difference_to_the_ear_is_spoken_anew(tmp_path: Path) -> None:
    parrot = Parrot()
    speech = open_speech(
        SpeechSection(), {"parrot": parrot.speaker(), "fast": parrot.speaker("fast", language="de")}, tmp_path
    )
    wanted = [
        ("Hello",),
        ("Hello!",),
        ("Hello", "de"),
        ("Hello", "", "polly"),
        ("Hello", "", "", "fast"),
        ("<speak>Hello</speak>",),
    ]
    for one in (*wanted, *wanted):
        await speak(speech, *one)
    assert [(phrase.text, language, voice) for phrase, language, voice in parrot.asked] == [
        ("Hello", "en-US", ""),
        ("Hello!", "en-US", ""),
        ("Hello", "de", ""),
        ("Hello", "en-US", "polly"),
        ("Hello", "de", ""),
        ("Hello", "en-US", ""),
    ]


async def test_many_who_want_the_same_at_once_are_one_synthesis(tmp_path: Path) -> None:
    parrot = Parrot()
    speech = parrot.speech(tmp_path)
    parrot.gate.clear()
    waiting = [asyncio.ensure_future(speak(speech, "Hello")) for _ in range(5)]
    await until(lambda: parrot.busy)
    waiting[0].cancel()
    parrot.gate.set()
    heard = await asyncio.gather(*waiting, return_exceptions=True)
    assert isinstance(heard[0], asyncio.CancelledError)
    assert heard[1:] == [said("Hello")] * 4
    assert len(parrot.asked) == 1


async def test_so_many_at_once_some_wait_and_more_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WAITING", 5)
    parrot = Parrot()
    speech = parrot.speech(tmp_path, at_once=2)
    parrot.gate.clear()
    waiting = [asyncio.ensure_future(speak(speech, f"text {number}")) for number in range(5)]
    await until(lambda: parrot.busy == 2 and speech._waiting == 5)
    with pytest.raises(Exhausted):
        await speak(speech, "one more")
    parrot.gate.set()
    await asyncio.gather(*waiting)
    assert parrot.busiest == 2
    assert await speak(speech, "one more") == said("one more")


async def test_what_takes_too_long_has_failed_and_gives_its_place_back(tmp_path: Path) -> None:
    parrot = Parrot()
    speech = parrot.speech(tmp_path, at_once=1, deadline_seconds=0.02)
    parrot.gate.clear()
    with pytest.raises(Unavailable, match="parrot: not spoken in time"):
        await speak(speech, "Hello")
    assert parrot.busy == 0
    parrot.gate.set()
    assert await speak(speech, "Hello") == said("Hello")


@pytest.mark.parametrize("fault", [Invalid("no such voice"), Unavailable("away")])
async def test_a_failure_is_not_kept(tmp_path: Path, fault: EdgeError) -> None:
    parrot = Parrot()
    speech = parrot.speech(tmp_path)
    parrot.fault = fault
    for _ in range(2):
        with pytest.raises(type(fault), match=fault.message):
            await speak(speech, "Hello")
    assert len(parrot.asked) == 2
    parrot.fault = None
    assert await speak(speech, "Hello") == said("Hello")


@pytest.mark.parametrize("text", ["", "   ", "<speak/>", "<speak><break/></speak>", "\x01\n"])
async def test_nothing_to_say(tmp_path: Path, text: str) -> None:
    with pytest.raises(Invalid, match="there is nothing to say"):
        await speak(Parrot().speech(tmp_path), text)


async def test_who_speaks(tmp_path: Path) -> None:
    birds = {name: Parrot() for name in ("german", "any", "aws")}
    languages = {"german": ["de"], "aws": ["fr-CA"]}
    speakers = {
        name: bird.speaker(name, languages=languages.get(name, []), language="de" if name == "german" else "en-US")
        for name, bird in birds.items()
    }
    speech = open_speech(SpeechSection(), speakers, tmp_path)

    async def who(language: str, provider: str = "", voice: str = "") -> tuple[str, str]:
        before = {name: len(bird.asked) for name, bird in birds.items()}
        await speak(speech, f"for {language} {provider} {voice}", language, voice, provider)
        (found,) = (name for name, bird in birds.items() if len(bird.asked) > before[name])
        return found, birds[found].asked[-1][2]

    assert await who("de") == ("german", "")
    assert await who("DE-at") == ("german", "")
    assert await who("den") == ("any", "")
    assert await who("") == ("german", ""), "the first one, in its own language"
    assert await who("fr-CA") == ("any", "")
    assert await who("fr", "aws", "Joanna") == ("aws", "Joanna"), "a name of the configuration"
    assert await who("fr", "gcp", "en-US-Wavenet-F") == ("any", ""), "a name of the platform: whoever is here"
    with pytest.raises(Invalid, match="no voice 'polly' in the configuration, only german, any, aws"):
        await who("de", "polly")
    deaf = open_speech(SpeechSection(), {"german": speakers["german"]}, tmp_path)
    with pytest.raises(Invalid, match="no voice of the configuration is for fr"):
        await speak(deaf, "Bonjour", "fr")


async def test_memory_has_an_end_and_the_disk_does_not_forget(tmp_path: Path) -> None:
    parrot = Parrot(samples=20_000)  # with its encodings, 80 kB a letter
    speech = parrot.speech(tmp_path, memory_mb=1)
    texts = [letter * 5 for letter in "abcd"]
    for text in texts:
        await speak(speech, text)
    before = counted("disk"), counted("memory")
    await speak(speech, texts[3])
    await speak(speech, texts[0])
    assert (counted("disk") - before[0], counted("memory") - before[1]) == (1, 1)
    assert len(parrot.asked) == 4


async def test_a_disk_that_takes_nothing_costs_no_words(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder can be made here")
    parrot = Parrot()
    speech = parrot.speech(tmp_path / "file" / "speech")
    assert await speak(speech, "Hello") == said("Hello")
    assert await speak(speech, "Hello") == said("Hello")
    assert len(parrot.asked) == 1


async def test_what_was_said_is_in_no_file_name(tmp_path: Path) -> None:
    await speak(Parrot().speech(tmp_path), "../../Your code is 1234")
    (name,) = os.listdir(tmp_path)
    assert len(name) == 64 + len(".wav")
    assert "1234" not in name


async def test_what_a_voice_lacks_is_told_by_name(tmp_path: Path) -> None:
    parrot = Parrot()
    assert parrot.speech(tmp_path).lacks() == {}
    parrot.fault = Unavailable("hungry")
    assert parrot.speech(tmp_path).lacks() == {"parrot": "a cracker"}
