from __future__ import annotations

import inspect
import sys

import pytest
from pydantic import BaseModel

from edge.carriers.loopback import LoopbackSection
from edge.carriers.sip import SipSection
from edge.carriers.site import build
from edge.errors import Invalid
from edge.plugins import load
from edge.settings import render
from edge.sms.carrier import CARRIERS, Carrier, CarrierSection
from tests.carriers.stage import DATA, cases, options, site

load("edge.carriers")


@pytest.mark.parametrize(("kind", "carrier"), list(CARRIERS))
def test_every_carrier_has_what_belongs_to_it(kind: str, carrier: type[Carrier]) -> None:
    assert (DATA / f"{kind}.json").exists(), "its cases"
    assert cases(kind, "read")
    assert cases(kind, "send")
    section = carrier.section.model_validate(options(kind))
    assert (section.kind, section.name) == (kind, kind)
    assert f'kind = "{kind}"' in (sys.modules[carrier.__module__].__doc__ or ""), "an example in its docstring"
    assert len(inspect.getsource(sys.modules[carrier.__module__]).splitlines()) <= 300


def test_carriers_are_built_by_name_from_what_the_configuration_says() -> None:
    class Tree(BaseModel):
        carriers: list[CarrierSection]

    tree = Tree.model_validate({"carriers": [{"kind": "sip"}, {"kind": "loopback", "name": "lab", "kept": 5}]})
    assert tree.carriers == [SipSection(), LoopbackSection(name="lab", kept=5)]
    assert {name: carrier.kind for name, carrier in build(tree.carriers, site()).items()} == {
        "sip": "sip",
        "lab": "loopback",
    }


def test_two_carriers_of_one_name_are_refused() -> None:
    with pytest.raises(Invalid) as caught:
        build([SipSection(), LoopbackSection(name="sip")], site())
    assert str(caught.value.faults[0]) == "carriers[1].name: sip is the name of another carrier already"


def test_a_section_prints_as_it_is_read() -> None:
    assert 'kind = "loopback"\n' in render(LoopbackSection())
    assert "# callback =\n" in render(LoopbackSection())
