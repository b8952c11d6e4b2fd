"""Words by which a person stops the texts of a number, gets them again, or asks for help.

    [[keywords]]
    language = "de"
    countries = ["DE", "AT"]
    stop = ["STOPP", "ABMELDEN"]

Only a text that is such a word and nothing else counts; case, accents and what stands around it do not: `Stop!` is
one, `please stop` is none. Which words count depends on the country of our number, or else of who writes, so that an
ordinary word of one language means nothing in another. Words of a section without countries count everywhere.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Final, Literal

import phonenumbers
from phonenumbers import NumberParseException
from pydantic import Field, field_validator

from edge.settings import Section

Kind = Literal["stop", "start", "help"]

LENGTH_MAX: Final = 40  # characters of a text that may be a keyword
ANSWER_MAX: Final = 600  # characters of an answer: four parts of a long text

_PLACE: Final = re.compile(r"\{.*?\}")
_WRITTEN_ALIKE: Final = {
    code: (chr(code).lower() if chr(code).isalnum() else " ") for code in range(128)
}  # of ASCII, all that most texts have

Word = Annotated[str, Field(min_length=1, max_length=LENGTH_MAX)]
Answer = Annotated[str, Field(max_length=ANSWER_MAX)]


class KeywordsSection(Section):
    """Words of one language, and what answers them. A language that has no section here, and in a section what is not
    said, is as in the file that `edge settings` prints. An answer may say {number}, our number; an empty one is not
    sent."""

    language: str = Field(min_length=2, max_length=16, description="The language, such as de.")
    countries: tuple[Annotated[str, Field(pattern="^[A-Z]{2}$")], ...] = Field(
        default=(), description="Countries of our numbers, or of who writes, in which the words count; none: all."
    )
    numbers: tuple[Annotated[str, Field(pattern=r"^\+[1-9][0-9]{6,14}$")], ...] = Field(
        default=(), description="Only for these numbers of ours, and for them before other sections; none: all."
    )
    stop: tuple[Word, ...] = Field(default=(), description="Words after which nothing is sent any more.")
    start: tuple[Word, ...] = Field(default=(), description="Words that take that back.")
    help: tuple[Word, ...] = Field(default=(), description="Words that ask for help.")
    stopped: Answer = Field(default="", description="What answers the first of stop.")
    started: Answer = Field(default="", description="What answers the first of start after that.")
    helped: Answer = Field(default="", description="What answers each of help.")

    @field_validator("stop", "start", "help")
    @classmethod
    def _are_words(cls, words: tuple[str, ...]) -> tuple[str, ...]:
        if bare := [word for word in words if not fold(word)]:
            raise ValueError(f"{bare[0]!r} has neither a letter nor a digit")
        return words

    @field_validator("stopped", "started", "helped")
    @classmethod
    def _says_only_the_number(cls, answer: str) -> str:
        if strange := [place for place in _PLACE.findall(answer) if place != "{number}"]:
            raise ValueError(f"{strange[0]} is nothing that an answer may say, only {{number}}")
        return answer


@dataclass(frozen=True, slots=True)
class Keyword:
    """A word that was found, as its section writes it, and what answers it."""

    kind: Kind
    word: str
    answer: str


class Keywords:
    """The words of a configuration and, of languages that it does not speak of, those of `DEFAULTS`."""

    def __init__(self, sections: Iterable[KeywordsSection] = ()) -> None:
        given = tuple(map(_whole, sections))
        spoken = {section.language for section in given if not section.numbers}
        self._words: dict[str, list[tuple[KeywordsSection, Kind, str]]] = {}
        for section in (*given, *(section for section in DEFAULTS if section.language not in spoken)):
            kinds: tuple[tuple[Kind, tuple[str, ...]], ...] = (
                ("stop", section.stop),
                ("start", section.start),
                ("help", section.help),
            )
            for kind, words in kinds:
                for word in words:
                    self._words.setdefault(fold(word), []).append((section, kind, word))

    def find(self, text: str, number: str, peer: str) -> Keyword | None:
        """The keyword that a text to a number of ours is, if it is one."""
        if len(text) > LENGTH_MAX:
            return None
        found = self._words.get(fold(text))
        if found is None:
            return None
        countries = country_of(number), country_of(peer)
        ranked = [(rank, one) for one in found if (rank := _rank(one[0], number, countries)) is not None]
        if not ranked:
            return None
        section, kind, word = min(ranked, key=lambda one: one[0])[1]
        answers: dict[Kind, str] = {"stop": section.stopped, "start": section.started, "help": section.helped}
        return Keyword(kind, word, answers[kind].replace("{number}", number))


def _whole(section: KeywordsSection) -> KeywordsSection:
    """A section with what it does not say taken from the default of its language: who only writes another sentence
    must not lose the word STOP by it."""
    default = next((one for one in DEFAULTS if one.language == section.language), section)
    missing = KeywordsSection.model_fields.keys() - section.model_fields_set
    return section.model_copy(update={name: getattr(default, name) for name in missing})


def _rank(section: KeywordsSection, number: str, countries: tuple[str, str]) -> int | None:
    """How well a section fits: 0 is best; None: it does not."""
    if section.numbers:
        return 0 if number in section.numbers else None
    if not section.countries:
        return 3
    ours, theirs = countries
    return 1 if ours in section.countries else 2 if theirs in section.countries else None


def fold(text: str) -> str:
    """A text as keywords are compared: letters and digits, without case and accents, single spaces between."""
    if text.isascii():
        return " ".join(text.translate(_WRITTEN_ALIKE).split())
    plain = unicodedata.normalize("NFKD", text).casefold()
    return " ".join("".join(_letter(char) for char in plain).split())


def _letter(char: str) -> str:
    return char if char.isalnum() else "" if unicodedata.combining(char) else " "


@lru_cache(maxsize=4096)
def country_of(number: str) -> str:
    """The country of a number in E.164, as ISO 3166 has it; "" for what is none."""
    try:
        return phonenumbers.region_code_for_number(phonenumbers.parse(number)) or ""
    except NumberParseException:
        return ""


DEFAULTS: Final = (
    KeywordsSection(
        language="en",
        stop=("STOP", "STOPALL", "STOP ALL", "UNSUBSCRIBE", "END", "QUIT", "CANCEL", "REVOKE", "OPTOUT", "OPT OUT"),
        start=("START", "UNSTOP"),
        help=("HELP", "INFO"),
        stopped="You will get no more texts from {number}. Reply START to get them again.",
        started="You will get texts from {number} again. Reply STOP to end them, HELP for help.",
        helped="These texts come from {number}. Reply STOP to end them, START to get them again.",
    ),
    KeywordsSection(
        language="de",
        countries=("DE", "AT", "CH", "LI"),
        stop=("STOP", "STOPP", "ABMELDEN", "ABBESTELLEN", "AUSTRAGEN", "ENDE"),
        start=("START", "ANMELDEN"),
        help=("HILFE", "HELP", "INFO"),
        stopped="Sie erhalten keine SMS mehr von {number}. Mit START erhalten Sie sie wieder.",
        started="Sie erhalten wieder SMS von {number}. STOPP beendet das, HILFE hilft weiter.",
        helped="Diese SMS kommen von {number}. STOPP beendet sie, mit START erhalten Sie sie wieder.",
    ),
    KeywordsSection(
        language="fr",
        countries=("FR", "BE", "CH", "LU", "MC", "CA"),
        stop=("STOP", "ARRET", "ARRETER", "DESABONNER", "DESINSCRIRE", "ANNULER", "FIN"),
        start=("START", "REPRENDRE", "REABONNER"),
        help=("AIDE", "HELP", "INFO"),
        stopped="Vous ne recevrez plus de SMS du {number}. Répondez START pour les recevoir de nouveau.",
        started="Vous recevrez de nouveau les SMS du {number}. STOP y met fin, AIDE vous aide.",
        helped="Ces SMS viennent du {number}. Répondez STOP pour y mettre fin, START pour les recevoir de nouveau.",
    ),
    KeywordsSection(
        language="es",
        countries=(
            "ES",
            "MX",
            "AR",
            "BO",
            "CL",
            "CO",
            "CR",
            "DO",
            "EC",
            "GT",
            "HN",
            "NI",
            "PA",
            "PE",
            "PY",
            "SV",
            "UY",
        ),
        stop=("STOP", "ALTO", "PARAR", "BAJA", "CANCELAR", "FIN"),
        start=("START", "ALTA", "INICIAR", "REANUDAR"),
        help=("AYUDA", "HELP", "INFO"),
        stopped="Ya no va a recibir mensajes de {number}. Responda ALTA para volver a recibirlos.",
        started="Vuelve a recibir mensajes de {number}. Responda BAJA para terminarlos, AYUDA para ayuda.",
        helped="Estos mensajes vienen de {number}. Responda BAJA para terminarlos, ALTA para volver a recibirlos.",
    ),
    KeywordsSection(
        language="it",
        countries=("IT", "SM", "VA", "CH"),
        stop=("STOP", "FERMA", "BASTA", "ANNULLA", "CANCELLA", "FINE"),
        start=("START", "INIZIA", "RIPRENDI"),
        help=("AIUTO", "HELP", "INFO"),
        stopped="Non riceverà più SMS da {number}. Risponda START per riceverli di nuovo.",
        started="Riceverà di nuovo gli SMS da {number}. STOP per terminarli, AIUTO per aiuto.",
        helped="Questi SMS vengono da {number}. Risponda STOP per terminarli, START per riceverli di nuovo.",
    ),
    KeywordsSection(
        language="pt",
        countries=("PT", "BR", "AO", "MZ", "CV"),
        stop=("STOP", "PARAR", "PARE", "SAIR", "CANCELAR", "REMOVER"),
        start=("START", "INICIAR", "VOLTAR"),
        help=("AJUDA", "HELP", "INFO"),
        stopped="As mensagens de {number} foram canceladas. Responda VOLTAR para as receber de novo.",
        started="Volta a receber mensagens de {number}. Responda SAIR para as cancelar, AJUDA para ajuda.",
        helped="Estas mensagens chegam de {number}. Responda SAIR para as cancelar, VOLTAR para as receber de novo.",
    ),
    KeywordsSection(
        language="nl",
        countries=("NL", "BE", "SR"),
        stop=("STOP", "STOPPEN", "AFMELDEN", "UITSCHRIJVEN", "EINDE"),
        start=("START", "AANMELDEN"),
        help=("HULP", "HELP", "INFO"),
        stopped="U krijgt geen sms meer van {number}. Antwoord START om ze weer te krijgen.",
        started="U krijgt weer sms van {number}. Antwoord STOP om te stoppen, HULP voor hulp.",
        helped="Deze sms komen van {number}. Antwoord STOP om te stoppen, START om ze weer te krijgen.",
    ),
    KeywordsSection(
        language="pl",
        countries=("PL",),
        stop=("STOP", "KONIEC", "REZYGNUJE", "WYPISZ", "ANULUJ"),
        start=("START", "ZAPISZ", "WZNOW"),
        help=("POMOC", "HELP", "INFO"),
        stopped="Nie otrzymasz juz SMS z numeru {number}. Odpisz START, aby znow je otrzymywac.",
        started="Znow otrzymasz SMS z numeru {number}. Odpisz STOP, aby to zakonczyc, POMOC po pomoc.",
        helped="Te SMS pochodza z numeru {number}. Odpisz STOP, aby je zakonczyc, START, aby znow je otrzymywac.",
    ),
)
