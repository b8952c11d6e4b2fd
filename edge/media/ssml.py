"""A text to be spoken: plain, or in SSML (W3C Speech Synthesis Markup Language 1.1).

A text is SSML when it is a `speak` element, or holds elements of which SSML has some; without `speak` around them one
is put there. What comes out is written anew from a short list of elements and attributes, for engines do more with the
others than speak: `audio` opens files, and espeak-ng hands a name it finds there to a shell. Of what is not on the list
the text stays. A document type is refused, so there are no entities. What is not well-formed is spoken without its
tags: a variable with a `&` in it must not make a call silent.
"""

from __future__ import annotations

import re
from html import unescape
from typing import Final, NamedTuple
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

BREAK_SECONDS: Final = 10.0  # the longest pause that a text may ask for

ALLOWED: Final[dict[str, frozenset[str]]] = {
    "speak": frozenset(),
    "p": frozenset(),
    "s": frozenset(),
    "break": frozenset({"strength", "time"}),
    "emphasis": frozenset({"level"}),
    "prosody": frozenset({"rate", "pitch", "range", "volume"}),
    "say-as": frozenset({"interpret-as", "format", "detail"}),
}
UNSPOKEN: Final = frozenset({"desc", "lexicon", "metadata", "meta"})  # what is in them is not for the ear

_MARKED = re.compile(r"<(speak|break|emphasis|prosody|say-as|sub)\b[^<>]*>")
_DOCUMENT = re.compile(r"\s*<(\?xml\b|!|speak\b)")
_TAG = re.compile(r"<[^<>]*>")
_VALUE = re.compile(r"[\w .,%+-]{1,40}")  # of an attribute
_TIME = re.compile(r"(\d{1,6}(?:\.\d{1,6})?)(ms|s)")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]+")


class Phrase(NamedTuple):
    """What is to be spoken: `text` without any markup, and `ssml` when there was some, else ""."""

    text: str
    ssml: str = ""


def read(text: str) -> Phrase:
    """The phrase of a text as a flow has it."""
    if not is_marked(text):
        return Phrase(_clean(text))
    try:
        return _Reader().read(text)
    except expat.ExpatError:
        return Phrase(_clean(unescape(_TAG.sub(" ", text))))


def is_marked(text: str) -> bool:
    """Whether it means to be SSML."""
    return _MARKED.search(text) is not None


def fault(text: str) -> str:
    """Why a text that means to be SSML is none, in a sentence; "" when nothing is wrong."""
    if is_marked(text):
        try:
            _Reader().read(text)
        except expat.ExpatError as error:
            return str(error)
    return ""


class _Reader:
    """Writes a document anew while it is read, so that no depth of it matters."""

    def __init__(self) -> None:
        self._ssml: list[str] = []
        self._text: list[str] = []
        self._open: list[str | None] = []  # what to write when an element ends
        self._mute = 0  # elements we are in whose text is not spoken, or said in other words

    def read(self, text: str) -> Phrase:
        document = text if _DOCUMENT.match(text) else f"<speak>{text}</speak>"
        parser = expat.ParserCreate()
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._data
        parser.StartDoctypeDeclHandler = self._refuse
        parser.Parse(_CONTROL.sub(" ", document).strip().encode(), True)
        return Phrase(_clean("".join(self._text)), "".join(self._ssml))

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        name = name.rpartition(":")[2].lower()
        self._open.append(None)
        if self._mute or name in UNSPOKEN:
            self._mute += 1
            return
        if name == "sub" and "alias" in attributes:  # spoken instead of what is in it
            self._data(attributes["alias"])
            self._mute += 1
            return
        if name in ("break", "p", "s"):
            self._text.append(" ")
        if name not in ALLOWED or (name == "speak" and len(self._open) > 1):
            return
        kept = {key: value for key, value in attributes.items() if key in ALLOWED[name] and _usable(name, key, value)}
        self._ssml.append(f"<{name}{''.join(f' {key}={quoteattr(value)}' for key, value in kept.items())}>")
        self._open[-1] = f"</{name}>"

    def _end(self, name: str) -> None:
        if self._mute:
            self._mute -= 1
        closing = self._open.pop()
        if closing is not None:
            self._ssml.append(closing)

    def _data(self, data: str) -> None:
        if not self._mute:
            self._text.append(data)
            self._ssml.append(escape(data.replace("[[", "[ [")))

    def _refuse(self, *_: object) -> None:
        raise expat.ExpatError("a document type is not allowed")


def _usable(name: str, key: str, value: str) -> bool:
    if name == "break" and key == "time":
        found = _TIME.fullmatch(value.strip())
        return found is not None and float(found[1]) * (1.0 if found[2] == "s" else 0.001) <= BREAK_SECONDS
    return _VALUE.fullmatch(value) is not None


def _clean(text: str) -> str:
    """One line without control characters, and without the brackets in which engines take phonemes."""
    return " ".join(_CONTROL.sub(" ", text).replace("[[", "[ [").split())
