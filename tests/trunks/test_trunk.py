from __future__ import annotations

import pytest
from pydantic import ValidationError

from edge.settings import render
from edge.trunks.target import Target, read_target
from edge.trunks.trunk import Trunk


@pytest.mark.parametrize(
    ("text", "target", "again"),
    [
        ("sip:10.0.0.1", Target("10.0.0.1"), "sip:10.0.0.1:5060;transport=udp"),
        ("sip:10.0.0.1:5070", Target("10.0.0.1", 5070), "sip:10.0.0.1:5070;transport=udp"),
        ("sip:10.0.0.1;transport=tcp", Target("10.0.0.1", 5060, "tcp"), "sip:10.0.0.1:5060;transport=tcp"),
        ("SIP:Gw.Example.com:5080;Transport=TCP", Target("Gw.Example.com", 5080, "tcp"), None),
        ("sip:[2001:db8::1]:5070;transport=udp", Target("2001:db8::1", 5070), "sip:[2001:db8::1]:5070;transport=udp"),
        ("sip:gw.example.com;transport=tls", Target("gw.example.com", 5061, "tls"), None),
        ("sips:gw.example.com", Target("gw.example.com", 5061, "tls", "sips"), "sips:gw.example.com:5061"),
        ("sips:gw.example.com:5070;transport=tcp", Target("gw.example.com", 5070, "tls", "sips"), None),
        ("sip:[::1]", Target("::1"), "sip:[::1]:5060;transport=udp"),
        (" sip:localhost ", Target("localhost"), "sip:localhost:5060;transport=udp"),
    ],
)
def test_a_target_is_read_and_printed(text: str, target: Target, again: str | None) -> None:
    assert read_target(text) == target
    assert read_target(str(target)) == target
    if again is not None:
        assert str(target) == again


@pytest.mark.parametrize(
    ("text", "uri", "subject"),
    [
        ("sip:10.0.0.1", "sip:1@10.0.0.1:5060", ""),
        ("sip:10.0.0.1;transport=tcp", "sip:1@10.0.0.1:5060;transport=tcp", ""),
        ("sip:[::1];transport=tls", "sip:1@[::1]:5061;transport=tls", "::1"),
        ("sips:GW.example.com", "sips:1@GW.example.com:5061", "gw.example.com"),
    ],
)
def test_somebody_at_a_target(text: str, uri: str, subject: str) -> None:
    target = read_target(text)
    assert (target.uri("1"), target.subject) == (uri, subject)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "10.0.0.1",
        "tel:+14155550100",
        "sip:user@gw.example.com",
        "sip:gw.example.com:0",
        "sip:gw.example.com:65536",
        "sip:gw.example.com:port",
        "sip:gw.example.com;transport=sctp",
        "sips:gw.example.com;transport=udp",
        "sip:gw.example.com;lr",
        "sip:gw.example.com;",
        "sip:300.1.1.1",
        "sip:10.0.1",
        "sip:[::1",
        "sip:[1.2.3.4]",
        "sip:-gw.example.com",
        "sip:gw..example.com",
        "sip:2001:db8::1",
    ],
)
def test_target_invalid(text: str) -> None:
    with pytest.raises(ValueError):
        read_target(text)


@pytest.mark.parametrize(("host", "is_name"), [("10.0.0.1", False), ("::1", False), ("localhost", True)])
def test_a_target_knows_whether_it_is_a_name(host: str, is_name: bool) -> None:
    assert Target(host).is_name is is_name


def test_a_trunk_prints_as_it_is_read() -> None:
    trunk = Trunk.model_validate(
        {"name": "acme", "networks": ["192.0.2.0/24", "::1"], "country": "US", "target": "sip:gw.example.com"}
    )
    assert 'networks = ["192.0.2.0/24", "::1/128"]' in render(trunk)
    assert 'target = "sip:gw.example.com:5060;transport=udp"' in render(trunk)
    assert Trunk.model_validate(trunk.model_dump()) == trunk
    assert Trunk.model_validate_json(trunk.model_dump_json()) == trunk
    assert Trunk.model_json_schema()["properties"]["name"]["description"]


@pytest.mark.parametrize(
    ("dial_as", "country", "number", "dialed"),
    [
        ("plus", "US", "+14155550100", "+14155550100"),
        ("digits", None, "+14155550100", "14155550100"),
        ("national", "US", "+14155550100", "14155550100"),
        ("national", "US", "+442079460000", "011442079460000"),
        ("national", "GB", "+442079460000", "02079460000"),
        ("national", "GB", "+14155550100", "0014155550100"),
        ("national", "DE", "+4930123456", "030123456"),
        ("national", "RU", "+78101876555123", "+78101876555123"),  # 8 10 1 876 … would be Jamaica
        ("national", "DE", "+490001876555123", "+490001876555123"),  # and so would be 00 1 876 …
        ("national", "GB", "+44999999", "+44999999"),  # and 999 help
    ],
)
def test_numbers_are_written_as_the_trunk_wants_them(
    dial_as: str, country: str | None, number: str, dialed: str
) -> None:
    fields = {"name": "acme", "networks": ["10.0.0.1"], "dial_as": dial_as, "country": country}
    assert Trunk.model_validate(fields).dialed(number) == dialed


@pytest.mark.parametrize(
    ("change", "place", "word"),
    [
        ({"networks": []}, "networks", "at least 1"),
        ({"networks": ["10.0.0.1/8"]}, "networks.0", "host bits"),
        ({"networks": ["carrier.example.com"]}, "networks.0", "does not appear to be"),
        ({"networks": [17]}, "networks.0", "written as text"),
        ({"country": "usa"}, "country", "pattern"),
        ({"target": "sip:u@h"}, "target", "is not sip:host"),
        ({"name": "two words"}, "name", "pattern"),
        ({"colour": "red"}, "colour", "not permitted"),
        ({"dial_as": "national"}, "", "needs the trunk's country"),
        ({"outbound": True}, "", "needs a target"),
    ],
)
def test_trunk_invalid(change: dict[str, object], place: str, word: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Trunk.model_validate({"name": "acme", "networks": ["10.0.0.1"], **change})
    error = caught.value.errors()[0]
    assert ".".join(map(str, error["loc"])).startswith(place)
    assert word in error["msg"]


# Rules


def rules(*given: tuple[str, int, str], side: str = "dialed_rules") -> Trunk:
    written = [{"prefix": prefix, "strip": strip, "add": add} for prefix, strip, add in given]
    return Trunk.model_validate({"name": "t", "networks": ["10.0.0.1"], side: written})


@pytest.mark.parametrize(
    ("given", "digits", "become"),
    [
        ([], "14155550100", "14155550100"),
        ([("9", 1, "")], "914155550100", "14155550100"),
        ([("9", 1, "")], "14155550100", "14155550100"),
        ([("00", 2, "+")], "004930123456", "+4930123456"),
        ([("77", 2, "+1"), ("7", 1, "+44")], "774155550100", "+14155550100"),
        ([("77", 2, "+1"), ("7", 1, "+44")], "72079460000", "+442079460000"),
        ([("", 0, "+")], "14155550100", "+14155550100"),
        ([("", 0, "+")], "+14155550100", "+14155550100"),
        ([("", 4, "")], "123414155550100", "14155550100"),
        ([("", 4, "")], "1234", "1234"),
        ([("+1415", 5, "415")], "+14155550100", "4155550100"),
    ],
)
def test_the_first_rule_that_fits_rewrites(given: list[tuple[str, int, str]], digits: str, become: str) -> None:
    assert rules(*given).dialed_digits(digits) == become
    assert rules(*given, side="caller_rules").caller_digits(digits) == become


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ([("9", 1, ""), ("91", 2, "")], "rule 1 (prefix 91, strip 2, add nothing) can never match: rule 0 (prefix 9"),
        ([("", 0, "1"), ("44", 2, "")], "rule 1 (prefix 44, strip 2, add nothing) can never match: rule 0 (prefix any"),
        ([("", 3, ""), ("", 3, "1")], "rule 1 (prefix any, strip 3, add 1) can never match: rule 0 (prefix any"),
        ([("1", 1, ""), ("+1", 0, "00")], "rule 1 (prefix +1, strip 0, add 00) puts 00 before a plus"),
        ([("9", 16, "")], "rule 0 (prefix 9, strip 16, add nothing) takes 15 characters off behind its prefix"),
        ([("9", 1, "*")], "rule 0 (prefix 9, strip 1, add *) makes numbers that begin with *"),
        ([("*9", 0, "")], "makes numbers that begin with *9"),
    ],
)
def test_a_rule_that_does_nothing_good_is_named(given: list[tuple[str, int, str]], says: str) -> None:
    with pytest.raises(ValidationError) as caught:
        rules(*given)
    (error,) = caught.value.errors()
    assert error["loc"] == ("dialed_rules",)
    assert says in error["msg"]


@pytest.mark.parametrize(
    "given",
    [
        [("91", 2, ""), ("9", 1, "")],
        [("", 5, ""), ("9", 1, "")],  # the first leaves what is shorter
        [("", 0, "1"), ("+44", 3, "0")],  # the first puts nothing before a plus
        [("", 0, "+"), ("", 1, "")],
        [("*9", 2, "")],
        [("1800", 0, ""), ("1", 1, "")],  # an exception
    ],
)
def test_rules_that_stand_beside_each_other(given: list[tuple[str, int, str]]) -> None:
    assert len(rules(*given).dialed_rules) == len(given)


# What does not go together


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"dialed_from": ["diversion"]}, "dialed_from diversion needs diversion in trusted_headers"),
        ({"dialed_from": ["to", "history-info"]}, "dialed_from history-info needs history-info in trusted_headers"),
        ({"failover": ["sip:10.0.0.9"]}, "failover needs a target"),
        ({"transport": "udp", "certificates": ["a.example.com"]}, "certificates are shown over TLS only"),
        ({"advertise": "edge.example.com"}, "does not appear to be an IPv4 or IPv6 address"),
    ],
)
def test_what_does_not_go_together_is_refused(more: dict[str, object], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        Trunk.model_validate({"name": "t", "networks": ["10.0.0.1"], **more})


def test_a_trusted_header_may_decide() -> None:
    more = {"dialed_from": ["diversion", "request-uri"], "trusted_headers": ["diversion"]}
    assert Trunk.model_validate({"name": "t", "networks": ["10.0.0.1"], **more}).dialed_from[0] == "diversion"


def test_targets_in_order() -> None:
    more = {"target": "sip:10.0.0.1", "failover": ["sip:10.0.0.2;transport=tcp", "sip:10.0.0.1"]}
    trunk = Trunk.model_validate({"name": "t", "networks": ["10.0.0.1"], **more})
    assert trunk.targets == (Target("10.0.0.1"), Target("10.0.0.2", transport="tcp"))
    assert Trunk.model_validate({"name": "t", "networks": ["10.0.0.1"]}).targets == ()


def test_a_trunk_of_the_file_has_an_id_by_its_name_and_one_of_sql_that_of_its_row() -> None:
    trunk = Trunk.model_validate({"name": "t", "networks": ["10.0.0.1"]})
    assert (trunk.id, trunk.source) == (Trunk.model_validate({"name": "t", "networks": ["::1"]}).id, "file")
    kept = trunk.kept_as("an-id")
    assert (kept.id, kept.source, kept.name) == ("an-id", "api", "t")
    assert trunk.source == "file"
