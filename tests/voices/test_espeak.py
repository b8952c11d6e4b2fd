"""espeak-ng, the real one: what it is asked, and what can go wrong with a program."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
import time
from pathlib import Path

import psutil
import pytest

from edge.errors import Invalid, Unavailable
from edge.http import Guard, HttpSection
from edge.media import ssml
from edge.media.audio import Audio
from edge.media.ssml import Phrase
from edge.voices import espeak
from edge.voices.espeak import Espeak, EspeakSection, Listed, choose, read_lists
from edge.voices.studio import Studio

HERE = Studio(Guard(HttpSection()))
VOICES = b"""Pty Language       Age/Gender VoiceName          File                 Other Languages
 5  cmn             --/M      Chinese_(Mandarin,_latin_as_English) sit/cmn              (zh-cmn 5)(zh 5)
 2  en-gb           --/M      English_(Great_Britain) gmw/en               (en 2)
 5  en-gb-scotland  --/M      English_(Scotland) gmw/en-GB-scotland   (en 4)
 2  en-us           --/M      English_(America)  gmw/en-US            (en 3)
 5  de              --/M      German             gmw/de
 5  yue             --/M      Chinese_(Cantonese) sit/yue              (zh-yue 5)(zh 8)
"""
VARIANTS = b"""Pty Language       Age/Gender VoiceName          File                 Other Languages
 5  variant         --/F      female3            !v/f3
 5  variant         70/M      croak              !v/croak
"""


def installed() -> bool:
    return shutil.which("espeak-ng") is not None


needs_espeak = pytest.mark.skipif(not installed(), reason="espeak-ng is not installed")


async def speak(text: str, language: str = "en-US", voice: str = "", **settings: str) -> Audio:
    section = EspeakSection.model_validate({"kind": "espeak", **settings})
    return await Espeak(section, HERE).speak(ssml.read(text), language, voice)


@pytest.fixture(scope="module")
def listed() -> Listed:
    return read_lists(VOICES, VARIANTS)


@pytest.mark.parametrize(
    ("language", "voice", "chosen"),
    [
        ("en-US", "", "en-us"),
        ("en", "", "en-gb"),
        ("en-AU", "", "en-gb"),
        ("en-GB-Scotland", "", "en-gb-scotland"),
        ("de-AT", "", "de"),
        ("zh-CN", "", "cmn"),
        ("zh-yue", "", "yue"),
        ("en", "croak", "en-gb+croak"),
        ("en", "+F3", "en-gb+f3"),
        ("en", "female3", "en-gb+f3"),
        ("en", "German", "gmw/de"),
        ("en", "de+f3", "de+f3"),
    ],
)
def test_choose(listed: Listed, language: str, voice: str, chosen: str) -> None:
    assert choose(listed, language, voice) == chosen


@pytest.mark.parametrize(
    ("language", "voice", "what"),
    [
        ("xx-YY", "", "no language 'xx-YY'"),
        ("en", "nobody", "no voice 'nobody'"),
        ("en", "../../etc/passwd", "no voice '../../etc/passwd'"),
        ("en", "de+../f3", "no variant '../f3'"),
        ("en", "-f/etc/passwd", "no voice '-f/etc/passwd'"),
        ("xx", "f3", "no language 'xx'"),
    ],
)
def test_what_it_does_not_have(listed: Listed, language: str, voice: str, what: str) -> None:
    with pytest.raises(Invalid, match="espeak-ng has ") as caught:
        choose(listed, language, voice)
    assert what in caught.value.message


@needs_espeak
async def test_a_text_is_heard() -> None:
    audio = await speak("Hello, this is the edge.")
    assert 0.8 < audio.seconds < 4
    assert max(memoryview(audio.pcm).cast("h")) > 3000
    assert await speak("Hello, this is the edge.") == audio


@needs_espeak
async def test_languages_voices_and_speed_differ() -> None:
    heard = [
        await speak("Hello there, 42."),
        await speak("Hello there, 42.", "de"),
        await speak("Hello there, 42.", "zh-CN"),
        await speak("Hello there, 42.", "en-US", "f3"),
        await speak("Hello there, 42.", words_per_minute="400"),
    ]
    assert len(set(heard)) == len(heard)
    assert heard[-1].seconds < heard[0].seconds


@needs_espeak
async def test_ssml_is_obeyed_and_reaches_no_file(tmp_path: Path) -> None:
    short, long = [await speak(f"<speak>one <break time='{time}'/> two</speak>") for time in ("100ms", "3s")]
    assert long.seconds > short.seconds + 1.5
    bait = tmp_path / "bait"
    await speak(f'<speak>one <audio src="{tmp_path}/x$(touch {bait}).wav">two</audio></speak>')
    assert not bait.exists()


@needs_espeak
@pytest.mark.parametrize("text", ["-f /etc/passwd", "--help", '"; touch /tmp/x; "', "[[ü]] & <b>", "\U0001f600 ok"])
async def test_a_text_is_never_an_option(text: str) -> None:
    assert (await speak(text)).seconds > 0


@needs_espeak
async def test_a_language_it_does_not_have_is_named() -> None:
    with pytest.raises(Invalid, match="espeak-ng has no language 'tlh-KX'"):
        await speak("Qapla", "tlh-KX")


async def test_a_program_that_is_not_there() -> None:
    voice = Espeak(EspeakSection(program="no-such-program"), HERE)
    assert voice.lack() == "the program no-such-program is not installed"
    with pytest.raises(Unavailable, match="cannot run no-such-program: No such file or directory"):
        await voice.speak(Phrase("Hello"), "en", "")


def script(folder: Path, body: str) -> str:
    """A program that lists voices as espeak-ng does, and else does this."""
    (folder / "voices").write_bytes(VOICES)
    (folder / "variants").write_bytes(VARIANTS)
    program = folder / "program"
    lists = f"--voices) exec cat {folder}/voices;; --voices=variant) exec cat {folder}/variants;;"
    program.write_text(f"#!/bin/sh\ncase $1 in {lists} esac\n{body}\n")
    program.chmod(stat.S_IRWXU)
    return str(program)


@pytest.mark.parametrize(
    ("body", "error", "what"),
    [
        ("echo broken >&2; exit 3", Unavailable, "ended with status 3: broken"),
        ("exit 0", Invalid, "is not a RIFF/WAVE file"),
        ("kill -9 $$", Unavailable, "ended with status -9"),
        ("exec yes", Invalid, "the text lasts longer than"),
    ],
)
async def test_a_program_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, error: type[Exception], what: str
) -> None:
    monkeypatch.setattr(espeak, "MAX_BYTES", 100_000)
    with pytest.raises(error, match=what):
        await speak("Hello", program=script(tmp_path, body))


async def test_nobody_waits_for_a_program_that_was_given_up(tmp_path: Path) -> None:
    program = script(tmp_path, f"echo $$ > {tmp_path}/pid; exec sleep 60")
    speaking = asyncio.ensure_future(speak("Hello", program=program))
    pid = tmp_path / "pid"
    deadline = time.monotonic() + 5
    while not (pid.exists() and pid.read_text().strip()):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.005)  # a process has no event for us
    speaking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await speaking
    assert not psutil.pid_exists(int(pid.read_text()))


async def test_the_program_sees_no_secrets_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGE_STORE__URL", "postgresql://user:password@host/db")
    with pytest.raises(Invalid):
        await speak("Hello", program=script(tmp_path, f"env > {tmp_path}/env"))
    assert os.environ["EDGE_STORE__URL"] not in (tmp_path / "env").read_text()
