"""Every voice has what belongs to it, and is built from what the configuration says."""

from __future__ import annotations

import inspect
import sys

import pytest
from pydantic import BaseModel, ValidationError

from edge.errors import Invalid
from edge.http import Guard, HttpSection
from edge.media.voice import VOICES, Voice, VoiceSection
from edge.plugins import load
from edge.settings import render
from edge.voices.espeak import Espeak, EspeakSection
from edge.voices.http import Http
from edge.voices.studio import Studio, build_voices

load("edge.voices")

HERE = Studio(Guard(HttpSection()))


class Tree(BaseModel):
    voices: list[VoiceSection]


@pytest.mark.parametrize(("kind", "voice"), list(VOICES))
def test_every_voice_has_what_belongs_to_it(kind: str, voice: type[Voice]) -> None:
    fields = voice.section.model_fields
    assert (fields["kind"].default, fields["name"].default) == (kind, kind)
    assert f'kind = "{kind}"' in (sys.modules[voice.__module__].__doc__ or ""), "an example in its docstring"
    assert len(inspect.getsource(sys.modules[voice.__module__]).splitlines()) <= 300


def test_voices_are_built_by_name_from_what_the_configuration_says() -> None:
    tree = Tree.model_validate(
        {"voices": [{"kind": "espeak"}, {"kind": "http", "name": "gcp", "url": "http://127.0.0.1/speak"}]}
    )
    assert tree.voices[0] == EspeakSection()
    found = build_voices(tree.voices, HERE)
    assert {name: type(speaker.voice) for name, speaker in found.items()} == {"espeak": Espeak, "gcp": Http}
    assert found["gcp"].section is tree.voices[1]


@pytest.mark.parametrize(
    ("section", "what"),
    [
        ({"kind": "cat"}, "there is no kind of voice 'cat', only espeak, http, piper"),
        ({"kind": "http"}, "url"),
        ({"kind": "http", "url": "ftp://a"}, "url"),
        ({"kind": "piper"}, "model"),
        ({"kind": "espeak", "language": "../x"}, "language"),
        ({"kind": "espeak", "words_per_minute": 5}, "words_per_minute"),
        ({"kind": "espeak", "colour": "red"}, "colour"),
    ],
)
def test_what_is_wrong_is_named(section: dict[str, str], what: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Tree.model_validate({"voices": [section]})
    assert what in str(caught.value)


def test_two_voices_of_one_name_are_refused() -> None:
    with pytest.raises(Invalid) as caught:
        build_voices([EspeakSection(), EspeakSection()], HERE)
    assert str(caught.value.faults[0]) == "voices[1].name: espeak is the name of another voice already"


def test_a_key_is_not_printed() -> None:
    section = VoiceSection.model_validate({"kind": "http", "url": "http://a/", "authorization": "Bearer secret"})
    assert "secret" not in render(section)
