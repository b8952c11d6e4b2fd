"""Piper: a neural voice that runs on this machine, from a model file.

    [[voices]]
    kind = "piper"
    model = "/var/lib/edge/voices/en_US-joe-medium.onnx"

It is a package of its own (`pip install 'edge[piper]'`, under the GPL), models are files of ONNX with their description
beside them in `<model>.json`. A model speaks one language, so several are several voices, each with its `languages`.
`voice_id` is the name or number of a speaker, where a model has more than one. The model is read when it is first
needed; it speaks in a thread of its own, with few threads of the library's, for calls need the processor too.

Not nice: a thread cannot be stopped, so a text that was given up is spoken to the end of its sentence.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any, Literal, NamedTuple

from pydantic import Field

from edge.errors import Invalid, Unavailable
from edge.media.audio import MAX_SECONDS, Audio, from_pcm
from edge.media.g711 import WIDTH
from edge.media.ssml import Phrase
from edge.media.voice import Voice, VoiceSection
from edge.settings import NAME
from edge.voices.studio import Studio


class PiperSection(VoiceSection):
    """Piper, a neural voice on this machine."""

    kind: Literal["piper"] = Field(default="piper", description="piper: a neural voice from a model file.")
    name: str = Field(default="piper", pattern=NAME, description="The voice's name, by which flows may ask for it.")
    model: Path = Field(description="The model, a file *.onnx; its description is the file *.onnx.json beside it.")
    pace: float = Field(default=1.0, ge=0.3, le=3.0, description="How long sounds last; above 1 is slower.")
    threads: int = Field(default=1, ge=1, le=64, description="Threads that one text may use.")


class Model(NamedTuple):
    """What was read."""

    voice: Any  # piper.PiperVoice
    language: str  # en-us
    speakers: dict[str, int]


class Piper(Voice):
    kind = "piper"
    section = PiperSection

    def __init__(self, section: PiperSection, studio: Studio) -> None:
        self._section = section
        self._model: Model | None = None
        self._thread = ThreadPoolExecutor(1, f"piper-{section.name}")

    def lack(self) -> str:
        if importlib.util.find_spec("piper") is None:
            return "the package piper-tts is not installed (pip install 'edge[piper]')"
        missing = [path for path in (self._section.model, described(self._section.model)) if not path.is_file()]
        return f"there is no file {missing[0]}" if missing else ""

    async def speak(self, phrase: Phrase, language: str, voice: str) -> Audio:
        if lack := self.lack():
            raise Unavailable(f"voice {self._section.name}: {lack}")
        given_up = Event()
        try:
            return await asyncio.get_running_loop().run_in_executor(
                self._thread, self._speak, phrase.text, language, voice, given_up
            )
        finally:
            given_up.set()

    def _speak(self, text: str, language: str, voice: str, given_up: Event) -> Audio:
        if given_up.is_set():
            return Audio(b"")
        if self._model is None:
            self._model = load(self._section)
        model = self._model
        if not _covers(model.language, language.lower()):
            raise Invalid(f"voice {self._section.name} speaks {model.language}, not {language}")
        settings = _synthesis(speaker_id=_speaker(model, voice), length_scale=self._section.pace)
        pcm, rate = bytearray(), model.voice.config.sample_rate
        for chunk in model.voice.synthesize(text, settings):
            pcm += chunk.audio_int16_bytes
            if given_up.is_set():
                break
            if len(pcm) > MAX_SECONDS * rate * WIDTH:
                raise Invalid(f"the text lasts longer than {MAX_SECONDS:.0f} s when it is spoken")
        if not pcm:
            raise Invalid("there is nothing to say")
        return from_pcm(bytes(pcm), rate)


def described(model: Path) -> Path:
    return model.with_name(f"{model.name}.json")


def load(section: PiperSection) -> Model:
    """Blocks, for a second or so. Raises Unavailable for what is no model."""
    from onnxruntime import InferenceSession, SessionOptions
    from piper import PiperConfig, PiperVoice

    options = SessionOptions()
    options.intra_op_num_threads = section.threads
    options.inter_op_num_threads = 1
    try:
        told = json.loads(described(section.model).read_text(encoding="utf-8"))
        language = told.get("language", {}).get("code") or told["espeak"]["voice"]
        speakers = {str(name): int(number) for name, number in told.get("speaker_id_map", {}).items()}
        session = InferenceSession(str(section.model), sess_options=options, providers=["CPUExecutionProvider"])
        voice = PiperVoice(session=session, config=PiperConfig.from_dict(told))
    except Exception as error:  # the library has errors of its own for each thing that can be wrong with a file
        what = str(error).partition("\n")[0][:200]
        raise Unavailable(f"voice {section.name}: {section.model} cannot be loaded: {what}") from error
    return Model(voice, str(language).replace("_", "-").lower(), speakers)


def _synthesis(**settings: Any) -> Any:
    from piper import SynthesisConfig

    return SynthesisConfig(**settings)


def _covers(spoken: str, wanted: str) -> bool:
    """Whether who wants a language is served by this one: en-GB by en-US too, for want of a better voice."""
    return spoken.partition("-")[0] == wanted.partition("-")[0]


def _speaker(model: Model, voice: str) -> int | None:
    if not voice:
        return None
    if voice in model.speakers:
        return model.speakers[voice]
    if voice.isdecimal() and int(voice) < model.voice.config.num_speakers:
        return int(voice)
    raise Invalid(f"the model has no speaker {voice[:40]!r}")
