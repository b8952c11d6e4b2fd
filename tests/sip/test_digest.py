"""Challenges and credentials of digest: the RFCs' own examples, what cannot be read, and every text there is."""

from __future__ import annotations

import string
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.sip.digest import Challenge, Credentials, Login
from edge.sip.grammar import Unreadable

# RFC 7616 §3.9.1
REALM = "http-auth@example.org"
NONCE = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"
CNONCE = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
OPAQUE = "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"
MUFASA = Login("Mufasa", "Circle of Life")
CHALLENGE = (
    f'Digest realm="{REALM}", qop="auth, auth-int", algorithm={{}}, nonce="{NONCE}", opaque="{OPAQUE}"'  # as it stands
)


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
    ],
)
def test_the_example_of_rfc_7616(algorithm: str, response: str) -> None:
    challenge = Challenge.parse(CHALLENGE.format(algorithm))
    proof = challenge.answer(MUFASA, "GET", "/dir/index.html", 1, CNONCE)
    assert proof.response == response
    assert (proof.qop, proof.count, proof.opaque) == ("auth", 1, OPAQUE)


def test_the_example_of_rfc_2617() -> None:
    challenge = Challenge("testrealm@host.com", "dcd98b7102dd2f0e8b11d0f600bfb0c093", None, ("auth", "auth-int"))
    proof = challenge.answer(Login("Mufasa", "Circle Of Life"), "GET", "/dir/index.html", 1, "0a4f113b")
    assert proof.response == "6629fae49393a05397450978507c4ef1"


def test_as_of_old_nothing_is_counted() -> None:
    """RFC 2069, with the sum that its errata give."""
    challenge = Challenge("testrealm@host.com", "dcd98b7102dd2f0e8b11d0f600bfb0c093")
    proof = challenge.answer(Login("Mufasa", "CircleOfLife"), "GET", "/dir/index.html", 1, "never used")
    assert proof.response == "1949323746fe6a43ef61f9606e7febea"
    assert (proof.qop, proof.count, proof.cnonce) == (None, None, None)


def test_a_body_is_vouched_for_only_where_nothing_less_will_do() -> None:
    both = Challenge.parse(CHALLENGE.format("MD5"))
    whole = replace(both, qop=("auth-int",))
    answers = [one.answer(MUFASA, "INVITE", "sip:a@b", 1, "c", b"v=0").response for one in (both, whole)]
    assert both.answer(MUFASA, "INVITE", "sip:a@b", 1, "c", b"v=1").response == answers[0]
    assert whole.answer(MUFASA, "INVITE", "sip:a@b", 1, "c", b"v=1").response != answers[1]


@pytest.mark.parametrize("algorithm", ["MD5-sess", "SHA-256-sess", "SHA-512-256", "sha-512-256-SESS"])
def test_what_else_can_be_answered(algorithm: str) -> None:
    challenge = Challenge("r", "n", algorithm, ("auth",))
    assert challenge.rank is not None
    proof = Credentials.parse(str(challenge.answer(MUFASA, "BYE", "sip:a@b", 7, "c")))
    assert proof.signed(MUFASA.password, "BYE") == proof
    assert proof.signed("another", "BYE") != proof


@pytest.mark.parametrize("what", ["AKAv1-MD5", "token", "SHA-1"])
def test_what_cannot(what: str) -> None:
    assert Challenge("r", "n", what).rank is None
    assert Challenge("r", "n", qop=("auth-conf",)).rank is None
    with pytest.raises(ValueError, match=what):
        Credentials("u", "r", "n", "sip:a", "", what).signed("p", "BYE")


def test_the_strongest_ranks_first() -> None:
    ranks = [Challenge("r", "n", name).rank for name in ("SHA-512-256", "SHA-256", "MD5")]
    assert ranks == sorted(ranks, key=lambda rank: rank or 0)
    assert Challenge("r", "n").rank == Challenge("r", "n", "md5").rank


def test_a_login_keeps_its_word() -> None:
    assert "Circle" not in f"{MUFASA} {MUFASA!r} {[MUFASA]}"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Digest",
        "Digest ",
        "Basic dXNlcjpwYXNz",
        'Digest realm="a"',
        'Digest nonce="a"',
        'Digest realm="a", nonce="b", realm="c"',
        'Digest realm="a" nonce="b"',
        'Digest realm="a", nonce="b",',
        'Digest realm="a, nonce="b"',
        'Digest realm="a",, nonce="b"',
        'Digest realm="a", nonce=',
        'Digest realm="a", nonce="b", ' + ", ".join(f"x{i}=1" for i in range(40)),
        'Digest realm="a", nonce="' + "b" * 5000 + '"',
    ],
)
def test_what_is_no_challenge(text: str) -> None:
    with pytest.raises(Unreadable):
        Challenge.parse(text)


GOOD = 'Digest username="u", realm="r", nonce="n", uri="sip:a@b", response="00", cnonce="c", qop=auth, nc=0000000A'


def test_credentials_as_they_come() -> None:
    read = Credentials.parse(GOOD)
    assert (read.username, read.count, read.qop, read.algorithm) == ("u", 10, "auth", None)
    assert Credentials.parse('digest  username = "a\\"b" ,realm="r",nonce="n",uri="s",response="AB"').username == 'a"b'


@pytest.mark.parametrize("name", ["username", "realm", "nonce", "uri", "response", "cnonce", "nc"])
def test_credentials_that_lack_something(name: str) -> None:
    parts = [part for part in GOOD.removeprefix("Digest ").split(", ") if not part.startswith(name)]
    with pytest.raises(Unreadable):
        Credentials.parse("Digest " + ", ".join(parts))


@pytest.mark.parametrize("count", ["1", "0000000g", "000000001", "-0000001"])
def test_counts_that_are_none(count: str) -> None:
    with pytest.raises(Unreadable):
        Credentials.parse(GOOD.replace("0000000A", count))


words = st.text(st.characters(blacklist_categories=("Cs", "Cc")), max_size=20)
names = st.text(string.ascii_letters + string.digits + "-", min_size=1, max_size=10)


@given(words, words, st.sampled_from([None, "MD5", "SHA-256"]), st.sampled_from([(), ("auth",)]), st.booleans())
def test_a_challenge_prints_and_reads_itself(
    realm: str, nonce: str, algorithm: str | None, qop: tuple[str, ...], stale: bool
) -> None:
    challenge = Challenge(realm, nonce, algorithm, qop, None, stale)
    assert Challenge.parse(str(challenge)) == challenge
    proof = challenge.answer(Login(realm, nonce), "INVITE", "sip:a", 3, "c")
    assert Credentials.parse(str(proof)) == proof


@given(st.one_of(st.text(max_size=200), st.lists(st.tuples(names, words), max_size=40)))
def test_no_text_does_more_than_not_be_read(text: str | list[tuple[str, str]]) -> None:
    if isinstance(text, list):
        text = "Digest " + ", ".join(f'{name}="{word}"' for name, word in text)
    for kind in (Challenge, Credentials):
        for each in (text, f"Digest {text}"):
            try:
                read = kind.parse(each)
            except Unreadable:
                continue
            assert isinstance(read, kind)
