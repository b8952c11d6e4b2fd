from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.sip.grammar import (
    NO_PARAMS,
    PARAMS_MAX,
    Params,
    Unreadable,
    is_token,
    number,
    print_host,
    quote,
    read_host,
    read_port,
    split_list,
    unquote,
)


@pytest.mark.parametrize("text", ["INVITE", "!interesting-Method0123456789_*+`.%indeed'~", "a"])
def test_token(text: str) -> None:
    assert is_token(text)


@pytest.mark.parametrize("text", ["", "a b", "a/b", "ä", "a\n", "a@b", '"a"', "a:"])
def test_token_invalid(text: str) -> None:
    assert not is_token(text)


@pytest.mark.parametrize(
    ("quoted", "said"),
    [
        ('"Bob"', "Bob"),
        ('""', ""),
        (r'"J Rosenberg \\\""', 'J Rosenberg \\"'),
        ('"BEL:\\\a NUL:\\\0 DEL:\\\x7f"', "BEL:\a NUL:\0 DEL:\x7f"),
        ("token", "token"),
        ('"open', '"open'),
        ('"a"b"', '"a"b"'),
    ],
)
def test_unquote(quoted: str, said: str) -> None:
    assert unquote(quoted) == said


@settings(max_examples=100, derandomize=True, deadline=None)
@given(st.text())
def test_quote_round_trip(text: str) -> None:
    assert unquote(quote(text)) == text


@pytest.mark.parametrize(("text", "value"), [("0", 0), ("0009", 9), ("2147483647", 2147483647), ("0" * 5000 + "7", 7)])
def test_number(text: str, value: int) -> None:
    assert number(text, 2**31) == value


@pytest.mark.parametrize("text", ["", "-1", "+1", " 1", "1.0", "٣", "²", "2147483648", "9" * 70000, "1_0"])
def test_number_invalid(text: str) -> None:
    with pytest.raises(Unreadable):
        number(text, 2**31)


@pytest.mark.parametrize(
    ("text", "host", "printed"),
    [
        ("Example.COM", "example.com", "example.com"),
        ("192.0.2.1", "192.0.2.1", "192.0.2.1"),
        ("[2001:DB8::10]", "2001:db8::10", "[2001:db8::10]"),
        ("[::ffff:192.0.2.10]", "::ffff:192.0.2.10", "[::ffff:192.0.2.10]"),
    ],
)
def test_host(text: str, host: str, printed: str) -> None:
    assert read_host(text) == host
    assert print_host(host) == printed


@pytest.mark.parametrize("text", ["[2001:db8:::192.0.2.1]", "[1.2.3.4]", "[::", "[1:2:3:4:5:6:7:8:9]"])
def test_host_invalid(text: str) -> None:
    with pytest.raises(Unreadable):
        read_host(text)


def test_port() -> None:
    assert read_port(None) is None
    assert read_port("05060") == 5060
    with pytest.raises(Unreadable):
        read_port("65536")


@pytest.mark.parametrize(
    ("text", "elements"),
    [
        ("", []),
        (" , ,", []),
        ("100rel, timer", ["100rel", "timer"]),
        ("<sip:a@b;x=1,2>, <sip:c@d>", ["<sip:a@b;x=1,2>", "<sip:c@d>"]),
        ('"Bell, A." <sip:a@b>,sip:c@d', ['"Bell, A." <sip:a@b>', "sip:c@d"]),
        (r'"a\",b" <sip:a@b> ;q="1,2", c', [r'"a\",b" <sip:a@b> ;q="1,2"', "c"]),
        ('a, "never closed, b', ["a", '"never closed, b']),
        ("a, <never closed, b", ["a", "<never closed, b"]),
        ('a, "ends in a backslash\\', ["a", '"ends in a backslash\\']),
    ],
)
def test_split_list(text: str, elements: list[str]) -> None:
    assert split_list(text) == elements


@settings(max_examples=100, derandomize=True, deadline=None)
@given(st.text(alphabet=',"<>\\a ;', max_size=60))
def test_split_list_loses_nothing(text: str) -> None:
    elements = split_list(text)
    assert all(elements)
    assert "".join(elements).replace(" ", "").replace(",", "") == text.replace(" ", "").replace(",", "")


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("", {}),
        (";lr", {"lr": None}),
        (";a;b=c", {"a": None, "b": "c"}),
        (';x="a;b, \\"c\\"";y=1', {"x": '"a;b, \\"c\\""', "y": "1"}),
        (";addr=[2001:db8::1];z=a/b:c==", {"addr": "[2001:db8::1]", "z": "a/b:c=="}),
    ],
)
def test_params(text: str, items: dict[str, str | None]) -> None:
    params = Params.parse(text)
    assert dict(params) == items
    assert str(params) == text
    assert Params.parse(str(params)) == params


@pytest.mark.parametrize(
    ("text", "printed"),
    [(" ;   tag    = 1918181833n", ";tag=1918181833n"), ("; LR ;Q = 0.3 ", ";lr;q=0.3"), ('; a\t=\t"b" ', ';a="b"')],
)
def test_params_blanks(text: str, printed: str) -> None:
    assert str(Params.parse(text)) == printed


@pytest.mark.parametrize(
    "text", ["a", ";", ";;", ";a;", ";a;;b", ";a=", ';a="b', ";a=b c", ";a;A", ";a=<b>", ";,", ";a,", ";a=b\r\n"]
)
def test_params_invalid(text: str) -> None:
    with pytest.raises(Unreadable):
        Params.parse(text)


def test_params_are_values() -> None:
    params = Params({"a": None, "b": '"c d"'})
    assert params == Params.parse(';a;b="c d"')
    assert hash(params) == hash(Params.parse(';b="c d";a'))
    assert params != Params({"a": None})
    assert (params.text("b"), params.text("a"), params.text("x")) == ("c d", None, None)
    assert str(params.with_("a", "1")) == ';a=1;b="c d"'
    assert str(params) == ';a;b="c d"'
    assert not NO_PARAMS
    assert eval(repr(params)) == params


def test_params_are_bounded() -> None:
    text = "".join(f";p{i}" for i in range(PARAMS_MAX))
    assert len(Params.parse(text)) == PARAMS_MAX
    with pytest.raises(Unreadable):
        Params.parse(text + ";one-more")
