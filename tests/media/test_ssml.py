"""What is spoken of a text, and what of its markup an engine gets to see."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.media.ssml import ALLOWED, Phrase, fault, is_marked, read


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ("Hello there.", Phrase("Hello there.")),
        ("  5 < 6 & a <b> is\tnot\x01 more\n", Phrase("5 < 6 & a <b> is not more")),
        ("say [[h@'loU]] twice", Phrase("say [ [h@'loU]] twice")),
        ("Ünïcödé \U0001f600 ☎", Phrase("Ünïcödé \U0001f600 ☎")),
        ("", Phrase("")),
        (
            "<speak>One <break time='500ms'/>two</speak>",
            Phrase("One two", '<speak>One <break time="500ms"></break>two</speak>'),
        ),
        ("One <break/>two", Phrase("One two", "<speak>One <break></break>two</speak>")),
        (
            "<speak version='1.1' xmlns='http://www.w3.org/2001/10/synthesis' xml:lang='en'>Hi &amp; bye</speak>",
            Phrase("Hi & bye", "<speak>Hi &amp; bye</speak>"),
        ),
        (
            "<?xml version='1.0'?>\n<speak><p>A</p><p>B</p></speak>",
            Phrase("A B", "<speak><p>A</p><p>B</p></speak>"),
        ),
        (
            '<speak>Call <sub alias="the edge">TE <b>x</b></sub> now</speak>',
            Phrase("Call the edge now", "<speak>Call the edge now</speak>"),
        ),
        (
            '<speak><prosody rate="slow" pitch="+10%" evil="x">a</prosody></speak>',
            Phrase("a", '<speak><prosody rate="slow" pitch="+10%">a</prosody></speak>'),
        ),
        (
            '<speak><say-as interpret-as="digits">12</say-as></speak>',
            Phrase("12", '<speak><say-as interpret-as="digits">12</say-as></speak>'),
        ),
        # what may open files, or worse, loses its tags and keeps its text
        (
            '<speak>a<audio src="x.wav$(reboot)">b</audio><voice name="../../etc">c</voice></speak>',
            Phrase("abc", "<speak>abc</speak>"),
        ),
        ("<speak>a<metadata>b<p>c</p></metadata>d</speak>", Phrase("ad", "<speak>ad</speak>")),
        ("<speak>a<speak>b</speak></speak>", Phrase("ab", "<speak>ab</speak>")),
        # pauses for ever, and values that are none
        ("<speak>a<break time='86400s'/></speak>", Phrase("a", "<speak>a<break></break></speak>")),
        ("<speak><prosody rate='&lt;'>a</prosody></speak>", Phrase("a", "<speak><prosody>a</prosody></speak>")),
        # not well-formed
        ("<speak>Smith & Sons <break> close</speak>", Phrase("Smith & Sons close")),
        ("<speak>a &lt; b <p></speak>", Phrase("a < b")),
        ("<speak>a</speak> b", Phrase("a b")),
        ("<!DOCTYPE s [<!ENTITY x 'y'>]><speak>&x;</speak>", Phrase("<!DOCTYPE s [ ]> &x;")),
    ],
)
def test_read(text: str, phrase: Phrase) -> None:
    assert read(text) == phrase


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("plain <b>", ""),
        ("<speak>fine</speak>", ""),
        ("<speak>not <p>fine</speak>", "mismatched tag"),
        ("<speak>a & b</speak>", "not well-formed"),
        ("<!DOCTYPE speak><speak>a</speak>", "a document type is not allowed"),
    ],
)
def test_what_is_no_ssml_is_told(text: str, what: str) -> None:
    assert (what in fault(text)) if what else fault(text) == ""


def test_a_depth_that_no_stack_survives() -> None:
    depth = 50_000
    phrase = read("<speak>" + "<p>" * depth + "a" + "</p>" * depth + "</speak>")
    assert phrase.text == "a"
    assert phrase.ssml.count("<p>") == depth


TAGS = st.sampled_from(["speak", "p", "break", "audio", "prosody", "sub", "x:voice", "metadata", "say-as"])
ATTRIBUTES = st.sampled_from(["", ' time="1s"', ' src="a"', ' alias="b &amp; c"', ' rate="x"', " time='9999s'"])
PIECES = st.one_of(
    st.builds("<{}{}>".format, TAGS, ATTRIBUTES),
    st.builds("</{}>".format, TAGS),
    st.builds("<{}{}/>".format, TAGS, ATTRIBUTES),
    st.text(max_size=5),
)


@given(st.lists(PIECES, max_size=12).map("".join))
def test_whatever_comes_what_goes_on_is_well_formed_and_on_the_list(text: str) -> None:
    phrase = read(text)
    assert not any(ord(character) < 32 for character in phrase.text)
    if phrase.ssml:
        assert is_marked(text)
        found = ElementTree.fromstring(phrase.ssml)
        assert found.tag == "speak"
        for element in found.iter():
            assert element.tag in ALLOWED
            assert set(element.attrib) <= ALLOWED[element.tag]
