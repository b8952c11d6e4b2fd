from __future__ import annotations

from typing import Literal

import pytest
from pydantic import BaseModel, Field, ValidationError

from edge.plugins import Plugins
from edge.sms import carrier as module
from edge.sms.carrier import Carrier, CarrierSection, NotNow, Refused, SendError
from edge.sms.text import OutgoingText, Receipt


class PigeonSection(CarrierSection):
    kind: Literal["pigeon"] = Field(default="pigeon", description="A bird.")
    loft: str = Field(description="Where it lives.")


@pytest.fixture(autouse=True)
def pigeon(monkeypatch: pytest.MonkeyPatch) -> type[Carrier]:
    table: Plugins[Carrier] = Plugins("carrier")
    monkeypatch.setattr(module, "CARRIERS", table)

    class Pigeon(Carrier):
        kind = "pigeon"
        section = PigeonSection

        async def send(self, text: OutgoingText) -> Receipt:
            return Receipt(("ring 7",))

    assert table.names() == ["pigeon"]
    return Pigeon


class Configuration(BaseModel):
    carriers: list[CarrierSection]


def test_a_section_is_of_the_kind_it_names() -> None:
    read = Configuration.model_validate(
        {"carriers": [{"kind": "pigeon", "loft": "roof"}, {"kind": "pigeon", "name": "fast", "loft": "barn"}]}
    )
    assert read.carriers == [PigeonSection(name="pigeon", loft="roof"), PigeonSection(name="fast", loft="barn")]


@pytest.mark.parametrize(
    ("section", "place", "word"),
    [
        ({"kind": "pigeon"}, "carriers.0.loft", "required"),
        ({"kind": "pigeon", "loft": "roof", "colour": "red"}, "carriers.0.colour", "not permitted"),
        ({"kind": "pigeon", "loft": "roof", "name": "Two Words"}, "carriers.0.name", "pattern"),
        ({"kind": "dove"}, "carriers.0", "there is no kind of carrier 'dove', only pigeon"),
        ({"loft": "roof"}, "carriers.0", "there is no kind of carrier None"),
        ({"kind": 7}, "carriers.0", "there is no kind of carrier 7"),
        ("pigeon", "carriers.0", ""),
    ],
)
def test_section_invalid(section: object, place: str, word: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Configuration.model_validate({"carriers": [section]})
    error = caught.value.errors()[0]
    assert ".".join(map(str, error["loc"])) == place
    assert word in error["msg"]


def test_errors_know_whether_to_try_again() -> None:
    errors: list[SendError] = [Refused("no such number", code="404"), NotNow("busy", code="486", after=3.0)]
    assert [(e.retry, e.code, str(e)) for e in errors] == [(False, "404", "no such number"), (True, "486", "busy")]
