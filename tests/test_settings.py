import tomllib
from ipaddress import ip_network
from typing import Any

import pytest
from pydantic import Field, ValidationError

from edge.plugins import Plugins
from edge.settings import KindSection, Section, render


class Inner(Section):
    networks: tuple[str, ...] = Field(default=("127.0.0.0/8",), description="Where from.")
    limit: float = Field(default=0.5, description="How much.")
    name: str | None = Field(default=None, description="What it is called.")


class Outer(Section):
    title: str = Field(default='a "quoted" one', description="A sentence. " * 12)
    on: bool = Field(default=True, description="Whether.")
    inner: Inner = Field(default=Inner(), description="The inner one.")
    many: tuple[Inner, ...] = Field(default=(Inner(name="first"), Inner(limit=2)), description="Several.")
    net: object = Field(default=ip_network("10.0.0.0/8"), description="A network.")


def test_what_is_rendered_reads_back_the_same() -> None:
    text = render(Outer())
    assert Outer(**tomllib.loads(text)).model_dump(exclude={"net"}) == Outer().model_dump(exclude={"net"})
    assert max(map(len, text.splitlines())) <= 100


def test_every_field_stands_under_its_sentence() -> None:
    lines = render(Outer()).splitlines()
    assert lines[lines.index("limit = 0.5") - 1] == "# How much."
    assert lines[lines.index("# name =") - 1] == "# What it is called."
    assert lines[lines.index("[inner]") - 1] == "# The inner one."


class Tool(KindSection):
    @classmethod
    def table(cls) -> Plugins[Any]:
        return TOOLS


class Saw(Tool):
    kind: str = Field(default="saw", description="A saw.")
    name: str = Field(default="saw", description="Its name.")
    teeth: int = Field(default=40, description="How many teeth.")


class Nail(Tool):
    kind: str = Field(default="nail", description="A nail.")
    name: str = Field(default="nail", description="Its name.")
    length: int = Field(description="How long.")
    head: str | None = Field(default=None, description="What its head is like.")


class Shed(Section):
    tools: tuple[Tool, ...] = Field(default=(Saw(),), description="What there is.")
    plain: tuple[Inner, ...] = Field(default=(), description="None of these.")


TOOLS = Plugins[Any]("tool")
for kind in (Saw, Nail):
    TOOLS.add(kind.model_fields["kind"].default, type(kind.__name__, (), {"section": kind}))


def test_what_could_be_there_besides_is_shown_as_a_comment() -> None:
    text = render(Shed())
    nail = '# # A nail.\n# kind = "nail"\n\n# # Its name.\n# name = "nail"\n\n'
    assert f"# [[tools]]\n{nail}# # How long.\n# length =\n\n# # What its head is like.\n# # head =\n" in text
    assert '# [[plain]]\n# # Where from.\n# networks = ["127.0.0.0/8"]\n' in text
    assert text.count("teeth = 40") == 1
    assert tomllib.loads(text).keys() == {"tools"}
    wanted = text[text.index("# [[tools]]") : text.index("# None of these.")].replace("length =", "length = 3")
    (nailed,) = tomllib.loads("\n".join(line.removeprefix("# ") for line in wanted.splitlines()))["tools"]
    assert nailed == {"kind": "nail", "name": "nail", "length": 3}


class Bench(Section):
    best: Tool = Field(default=Saw(), description="The best one.")
    inner: Inner = Field(default=Inner(), description="No tool.")


def test_a_section_of_another_kind_is_shown_as_a_comment() -> None:
    text = render(Bench())
    assert tomllib.loads(text)["best"] == {"kind": "saw", "name": "saw", "teeth": 40}
    assert text.count("[best]") == 2
    assert text.count("[inner]") == 1
    wanted = text[text.index("# [best]") : text.index("# No tool.")].replace("length =", "length = 3")
    nailed = tomllib.loads("\n".join(line.removeprefix("# ") for line in wanted.splitlines()))["best"]
    assert nailed == {"kind": "nail", "name": "nail", "length": 3}


def test_a_field_without_a_sentence_is_refused() -> None:
    with pytest.raises(TypeError, match="without a description: bare"):

        class Bad(Section):
            bare: int = 1


def test_unknown_keys_are_faults_and_sections_are_frozen() -> None:
    with pytest.raises(ValidationError, match="extra"):
        Inner.model_validate({"limits": 1})
    with pytest.raises(ValidationError, match="frozen"):
        Inner().limit = 1.0  # type: ignore[misc]
