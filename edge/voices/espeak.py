"""espeak-ng: a program that speaks a hundred languages, robot-like, quickly and without a network.

    [[voices]]
    kind = "espeak"

It is a Debian package (`apt install espeak-ng`), run anew for each text: the text goes in by its standard input and WAV
comes out, with no shell in between. A language is matched with the voices it lists, the most exact first: en-AU, then
en. `voice_id` is the name of one of its voices or variants, or both: `en-gb`, `f3`, `en-gb+f3`.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from contextlib import suppress
from typing import Final, Literal, NamedTuple

from pydantic import Field

from edge.errors import Invalid, Unavailable
from edge.media.audio import MAX_SECONDS, Audio, read_wav
from edge.media.ssml import Phrase
from edge.media.voice import Voice, VoiceSection
from edge.settings import NAME
from edge.voices.studio import Studio

RATE: Final = 22_050  # samples a second that it speaks in
MAX_BYTES: Final = int(MAX_SECONDS * RATE * 2)
ERROR_BYTES: Final = 2_000
VARIANT: Final = "!v/"  # where it keeps the variants

_OTHERS = re.compile(r"\((\S+) (\d+)\)")  # a language that a voice speaks too, and how badly


class EspeakSection(VoiceSection):
    """espeak-ng, a program on this machine."""

    kind: Literal["espeak"] = Field(default="espeak", description="espeak: the program espeak-ng on this machine.")
    name: str = Field(default="espeak", pattern=NAME, description="The voice's name, by which flows may ask for it.")
    program: str = Field(default="espeak-ng", min_length=1, description="The program, a name or a path.")
    words_per_minute: int = Field(default=160, ge=80, le=450, description="How quickly it speaks.")


class Listed(NamedTuple):
    """What it says it has: the voice to ask for by language, by any name of a voice, and by the name of a variant."""

    languages: dict[str, str]
    names: dict[str, str]
    variants: dict[str, str]


class Espeak(Voice):
    kind = "espeak"
    section = EspeakSection

    def __init__(self, section: EspeakSection, studio: Studio) -> None:
        self._program = section.program
        self._speed = str(section.words_per_minute)
        self._listed: Listed | None = None

    def lack(self) -> str:
        return "" if shutil.which(self._program) else f"the program {self._program} is not installed"

    async def speak(self, phrase: Phrase, language: str, voice: str) -> Audio:
        if self._listed is None:
            self._listed = read_lists(await self._run("--voices"), await self._run("--voices=variant"))
        chosen = choose(self._listed, language, voice)
        options = ("--stdin", "--stdout", "-b", "1", "-s", self._speed, "-v", chosen)
        if phrase.ssml:
            wav = await self._run("-m", *options, text=phrase.ssml)
        else:
            wav = await self._run(*options, text=phrase.text)
        return await asyncio.to_thread(read_wav, wav, self._program)

    async def _run(self, *options: str, text: str = "") -> bytes:
        """What it prints. It is killed when it prints too much, and when nobody waits any more."""
        try:
            process = await asyncio.create_subprocess_exec(
                self._program,
                *options,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8"},
            )
        except OSError as error:
            raise Unavailable(f"cannot run {self._program}: {error.strerror}") from None
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            process.stdin.write(text.encode(errors="replace"))  # fits into the pipe's buffer, or waits in ours
            process.stdin.close()
            said = await _read(process.stdout, MAX_BYTES)
            if len(said) >= MAX_BYTES:
                raise Invalid(f"the text lasts longer than {MAX_SECONDS:.0f} s when it is spoken")
            told = await _read(process.stderr, ERROR_BYTES)
            status = await process.wait()
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.communicate()  # what is left in its pipes would keep it from being over
        if status:
            lines = told.decode(errors="replace").split("\n")
            raise Unavailable(f"{self._program} ended with status {status}: {lines[0][:200]}")
        return said


async def _read(stream: asyncio.StreamReader, limit: int) -> bytes:
    """What comes, up to the limit."""
    data = bytearray()
    while len(data) < limit and (chunk := await stream.read(65_536)):
        data += chunk
    return bytes(data[:limit])


def read_lists(voices: bytes, variants: bytes) -> Listed:
    """Its two tables, of voices and of variants."""
    languages: dict[str, tuple[int, str]] = {}
    names: dict[str, str] = {}
    for row in _rows(voices):
        _, language, _, name, file, *others = row
        for known, grade in [(language, 0), *((other, int(much)) for other, much in _OTHERS.findall(" ".join(others)))]:
            if known not in languages or grade < languages[known][0]:
                languages[known] = grade, language
        for known in (language, name, file):
            names.setdefault(known.lower(), language if known == language else file)
    return Listed(
        {language: best for language, (_, best) in languages.items()},
        names,
        {known.lower(): row[4].removeprefix(VARIANT) for row in _rows(variants) for known in (row[3], row[4][3:])},
    )


def _rows(table: bytes) -> list[list[str]]:
    rows = [line.split() for line in table.decode(errors="replace").splitlines()[1:]]
    return [row for row in rows if len(row) >= 5]


def choose(listed: Listed, language: str, voice: str) -> str:
    """What to ask it for. Raises Invalid for a language or voice that it does not have."""
    name, plus, variant = voice.partition("+")
    if name and not plus and name.lower() not in listed.names and name.lower() in listed.variants:
        name, variant = "", name
    if name:
        chosen = listed.names.get(name.lower(), "")
    else:
        parts = language.lower().split("-")
        tags = ("-".join(parts[:count]) for count in range(len(parts), 0, -1))
        chosen = next((listed.languages[tag] for tag in tags if tag in listed.languages), "")
    if not chosen:
        wanted = f"voice {name[:40]!r}" if name else f"language {language[:40]!r}"
        raise Invalid(f"espeak-ng has no {wanted}")
    if not variant:
        return chosen
    if variant.lower() not in listed.variants:
        raise Invalid(f"espeak-ng has no variant {variant[:40]!r}")
    return f"{chosen}+{listed.variants[variant.lower()]}"
