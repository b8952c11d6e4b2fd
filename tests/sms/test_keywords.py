"""Keywords: what is one, in which country, and what answers it."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from edge.sms.keywords import DEFAULTS, Keywords, KeywordsSection, fold
from edge.sms.split import count

AMERICAN, GERMAN, SWISS, FRENCH, POLISH = "+14155550100", "+4930123456", "+41446681800", "+33142685300", "+48221234567"
WORDS = Keywords()


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("STOP", "stop"),
        ("stop", "stop"),
        (" Stop!\r\n", "stop"),
        ("\u201cStop\u201d.", "stop"),
        ("stop all", "stop"),
        ("Opt-out", "stop"),
        ("STOP \U0001f6d1", "stop"),
        ("Unsubscribe", "stop"),
        ("ＳＴＯＰ", "stop"),
        ("Cancel", "stop"),
        ("start", "start"),
        ("UNSTOP", "start"),
        ("Help?", "help"),
        ("info", "help"),
        ("yes", None),
        ("please stop", None),
        ("stop it", None),
        ("stopp", None),
        ("s.t.o.p", None),
        ("", None),
        ("?!", None),
        ("stop " * 20, None),
    ],
)
def test_only_a_text_that_is_a_word_and_nothing_else_is_a_keyword(text: str, kind: str | None) -> None:
    found = WORDS.find(text, AMERICAN, "+14155550111")
    assert (found.kind if found is not None else None) == kind


@pytest.mark.parametrize("section", DEFAULTS, ids=lambda section: section.language)
def test_every_word_is_found_where_it_counts_and_answered_in_its_language(section: KeywordsSection) -> None:
    number = {"en": AMERICAN, "de": GERMAN, "fr": FRENCH, "pl": POLISH, "es": "+34911234567", "it": "+390612345678"}
    ours = {**number, "pt": "+351211234567", "nl": "+31201234567"}[section.language]
    for kind, words, answer in (
        ("stop", section.stop, section.stopped),
        ("start", section.start, section.started),
        ("help", section.help, section.helped),
    ):
        assert words
        for word in words:
            for written in (word, word.lower(), f"{word.title()}!"):
                found = WORDS.find(written, ours, "+14155550111")
                assert found is not None
                assert (found.kind, found.answer) == (kind, answer.replace("{number}", ours))


@pytest.mark.parametrize("section", DEFAULTS, ids=lambda section: section.language)
def test_an_answer_is_one_part_and_names_the_number(section: KeywordsSection) -> None:
    for answer in (section.stopped, section.started, section.helped):
        assert "{number}" in answer
        assert count(answer.replace("{number}", "+491701234567890")).parts == 1


@pytest.mark.parametrize(
    ("word", "number", "peer", "language"),
    [
        ("ABMELDEN", GERMAN, AMERICAN, "de"),
        ("abmelden", AMERICAN, GERMAN, "de"),  # who writes is German
        ("abmelden", AMERICAN, AMERICAN, None),
        ("fin", AMERICAN, AMERICAN, None),
        ("fin", FRENCH, AMERICAN, "fr"),
        ("arrêt", SWISS, SWISS, "fr"),
        ("Arrêter", FRENCH, "12345", "fr"),
        ("stop", GERMAN, FRENCH, "de"),
        ("stop", AMERICAN, FRENCH, "fr"),
        ("stop", AMERICAN, "ACME", "en"),
        ("unsubscribe", FRENCH, FRENCH, "en"),
        ("rezygnuję", POLISH, POLISH, "pl"),
    ],
)
def test_the_countries_of_both_say_which_words_count(word: str, number: str, peer: str, language: str | None) -> None:
    found = WORDS.find(word, number, peer)
    answers = {section.stopped.replace("{number}", number): section.language for section in DEFAULTS}
    assert (answers[found.answer] if found is not None else None) == language


def test_a_section_takes_the_place_of_its_language_and_leaves_the_others() -> None:
    words = Keywords([KeywordsSection(language="de", countries=("DE",), stop=("HALT",), stopped="Schluss.")])
    found = words.find("halt", GERMAN, GERMAN)
    assert found is not None
    assert (found.kind, found.word, found.answer) == ("stop", "HALT", "Schluss.")
    assert words.find("abmelden", GERMAN, GERMAN) is None
    assert words.find("stop", GERMAN, GERMAN) is not None


def test_what_a_section_does_not_say_is_as_by_default() -> None:
    words = Keywords([KeywordsSection(language="de", stopped="ACME: Schluss.")])
    found, asked = words.find("abmelden", GERMAN, GERMAN), words.find("hilfe", GERMAN, GERMAN)
    assert found is not None
    assert asked is not None
    assert (found.kind, found.answer) == ("stop", "ACME: Schluss.")
    assert asked.answer == DEFAULTS[1].helped.replace("{number}", GERMAN)
    assert words.find("ende", AMERICAN, AMERICAN) is None  # its countries too
    nothing = Keywords([KeywordsSection(language="de", help=(), stopped="")])
    assert nothing.find("hilfe", GERMAN, GERMAN) is None
    silent = nothing.find("abmelden", GERMAN, GERMAN)
    assert silent is not None
    assert silent.answer == ""


def test_a_language_of_ones_own_has_what_its_section_says_and_no_more() -> None:
    words = Keywords([KeywordsSection(language="da", stop=("SLUT",))])
    found = words.find("slut", AMERICAN, AMERICAN)
    assert found is not None
    assert (found.kind, found.answer) == ("stop", "")


def test_an_answer_may_say_the_number_and_nothing_else() -> None:
    with pytest.raises(ValidationError, match=r"\{nmber\} is nothing that an answer may say, only \{number\}"):
        KeywordsSection(language="en", stopped="Bye from {number}, {nmber}.")


def test_a_section_for_a_number_goes_before_all_others() -> None:
    own = KeywordsSection(language="en", numbers=(AMERICAN,), stop=("STOP",), stopped="ACME: bye.")
    words = Keywords([own])
    for number, answer in ((AMERICAN, "ACME: bye."), (GERMAN, DEFAULTS[1].stopped.replace("{number}", GERMAN))):
        found = words.find("stop", number, "+14155550111")
        assert found is not None
        assert found.answer == answer


def test_a_word_needs_a_letter_or_a_digit() -> None:
    with pytest.raises(ValidationError, match="has neither a letter nor a digit"):
        KeywordsSection(language="en", stop=("!!",))


def test_what_is_compared() -> None:
    assert fold(" Ärger-ÉTÉ  2! ") == "arger ete 2"
