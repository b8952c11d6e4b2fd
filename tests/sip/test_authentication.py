"""What a request proves, or is asked for: every way to be right, wrong, late, or somebody else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.sip.authentication import FAILED, FIELDS_MAX, REQUIRED, Answer, Demand, Proof, ask
from edge.sip.digest import Challenge, Credentials, Login
from edge.sip.message import Request, check, parse
from edge.sip.nonce import Nonces
from edge.sip.terms import Refused
from tests.sip.ladder import invite

LOGIN = Login("carrier", "sesame")
REALM = "trunk-a"
URI = "sip:+14155550100@192.0.2.1"
NOW = 1_790_000_000.0
WHOM = "whom"
DEMAND = Demand(LOGIN, REALM)


def sent(*proofs: Credentials | str) -> Request:
    data = invite()
    lines = "".join(f"Authorization: {proof}\r\n" for proof in proofs).encode()
    message = parse(data.replace(b"Max-Forwards", lines + b"Max-Forwards"))
    assert isinstance(message, Request)
    check(message)
    return message


def made() -> Nonces:
    return Nonces(b"key", b"edge", 60.0)


def asked(nonces: Nonces, *proofs: Credentials | str, now: float = NOW, **more: Any) -> Answer:
    return ask(sent(*proofs), DEMAND, WHOM, now, nonces, **more)


def challenged(answer: Answer) -> list[Challenge]:
    assert isinstance(answer.outcome, Refused)
    assert (answer.outcome.status, answer.outcome.why) == (401, REQUIRED)
    assert {name for name, _ in answer.outcome.fields} == {"WWW-Authenticate"}
    return [Challenge.parse(text) for _, text in answer.outcome.fields]


def proof(nonces: Nonces, count: int = 1, algorithm: int = 0, login: Login = LOGIN, uri: str = URI) -> Credentials:
    return challenged(asked(nonces))[algorithm].answer(login, "INVITE", uri, count, "c")


def test_who_shows_nothing_is_asked_by_each_algorithm_the_best_first() -> None:
    answer = asked(made())
    first, second = challenged(answer)
    assert answer.result == "asked"
    assert (first.algorithm, second.algorithm) == ("SHA-256", "MD5")
    assert (first.realm, first.qop, first.nonce, first.stale) == (REALM, ("auth",), second.nonce, False)


@pytest.mark.parametrize("algorithm", [0, 1])
def test_who_knows_the_word_is_let_in_once(algorithm: int) -> None:
    nonces = made()
    right = proof(nonces, algorithm=algorithm)
    answer = asked(nonces, right)
    assert answer.result == "right"
    assert isinstance(answer.outcome, Proof)
    assert (answer.outcome.username, answer.outcome.times, answer.outcome.issued.ours) == ("carrier", 1, True)
    again = asked(nonces, right)
    assert again.result == "replayed"
    assert all(challenge.stale for challenge in challenged(again))
    higher = replace(right, count=2).signed(LOGIN.password, "INVITE")
    assert asked(nonces, higher).result == "right"


def test_as_of_old_without_a_count_it_serves_once() -> None:
    nonces = made()
    old = replace(challenged(asked(nonces))[1], qop=()).answer(LOGIN, "INVITE", URI, 0, "")
    assert asked(nonces, old).result == "right"
    assert asked(nonces, old).result == "replayed"
    counted = replace(old, qop="auth", count=9, cnonce="c").signed(LOGIN.password, "INVITE")
    assert asked(nonces, counted).result == "replayed"


@pytest.mark.parametrize("login", [Login("carrier", "Sesame"), Login("another", "sesame"), Login("", "")])
def test_who_does_not_know_it_is_refused(login: Login) -> None:
    nonces = made()
    answer = asked(nonces, proof(nonces, login=login))
    assert answer.result == "wrong"
    assert answer.outcome == Refused(403, (), FAILED)
    assert answer.username == login.username
    assert len(nonces) == 0


def test_a_proof_for_another_number_is_none() -> None:
    nonces = made()
    assert asked(nonces, proof(nonces, uri="sip:+14155550177@192.0.2.1")).outcome == Refused(403, (), FAILED)
    assert asked(nonces, proof(nonces, uri="not a URI")).outcome == Refused(403, (), FAILED)
    assert asked(nonces, proof(nonces, uri="sip:%2B14155550100@elsewhere:5080")).result == "right"
    assert asked(nonces, proof(nonces, 2, uri="sip:192.0.2.1:5060")).result == "right"
    assert asked(nonces, proof(nonces, 3, uri="sip:+14155550177@192.0.2.1"), rewritten=True).result == "right"


def test_a_peer_may_be_asked_by_the_old_algorithm_alone() -> None:
    nonces, old = made(), DEMAND._replace(algorithms=("MD5",))
    (only,) = challenged(ask(sent(), old, WHOM, NOW, nonces))
    assert only.algorithm == "MD5"
    assert ask(sent(only.answer(LOGIN, "INVITE", URI, 1, "c")), old, WHOM, NOW, nonces).result == "right"
    better = replace(only, algorithm="SHA-256").answer(LOGIN, "INVITE", URI, 2, "c")
    assert ask(sent(better), old, WHOM, NOW, nonces).result == "asked"  # by nobody


def test_a_method_is_signed_too() -> None:
    nonces = made()
    other = challenged(asked(nonces))[0].answer(LOGIN, "MESSAGE", URI, 1, "c")
    assert asked(nonces, other).outcome == Refused(403, (), FAILED)


def test_an_old_nonce_gets_a_new_one_and_the_word_that_all_else_was_right() -> None:
    nonces = made()
    right, wrong = proof(nonces), proof(nonces, login=Login("carrier", "x"))
    late = asked(nonces, right, now=NOW + 61)
    assert late.result == "stale"
    assert all(challenge.stale for challenge in challenged(late))
    unknown = asked(nonces, wrong, now=NOW + 61)
    assert unknown.result == "wrong"
    assert not any(challenge.stale for challenge in challenged(unknown))


def test_a_nonce_of_another_edge_is_good_where_they_share_what_was_used() -> None:
    one, other = made(), Nonces(b"key", b"else", 60.0)
    right = proof(one)
    assert asked(other, right).result == "stale"
    answer = asked(other, right, shared=True)
    assert isinstance(answer.outcome, Proof)
    assert not answer.outcome.issued.ours
    assert asked(other, right, shared=True).result == "replayed"


@pytest.mark.parametrize(
    "field",
    ["", "Basic dXNlcjpwYXNz", "Digest", "Digest username=x", 'Digest username="a', "Digest " + "a=b," * 2000],
)
def test_what_cannot_be_read_proves_nothing(field: str) -> None:
    answer = asked(made(), field)
    assert answer.result == "unreadable"
    assert len(challenged(answer)) == 2


def test_proofs_for_others_are_passed_over() -> None:
    nonces = made()
    right = proof(nonces)
    foreign = replace(right, realm="elsewhere")
    assert asked(nonces, foreign).result == "asked"
    assert asked(nonces, replace(right, algorithm="AKAv1-MD5")).result == "asked"
    assert asked(nonces, replace(right, qop="auth-int")).result == "asked"
    assert asked(nonces, *[foreign] * FIELDS_MAX, right).result == "asked"
    assert asked(nonces, foreign, "Basic x", right).result == "right"


printable = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF), max_size=80)


@given(printable, printable, st.sampled_from(["auth", "auth-int", None]), st.integers(0, 0xFFFFFFFF))
def test_no_credentials_do_more_than_not_be_believed(word: str, uri: str, qop: str | None, count: int) -> None:
    nonces = made()
    good = proof(nonces)
    for each in (replace(good, response=word), replace(good, uri=uri), replace(good, username=word, nonce=uri)):
        answer = asked(nonces, replace(each, qop=qop, count=count if qop else None))
        assert isinstance(answer.outcome, Refused)
    assert asked(nonces, f"Digest {word}").result == "unreadable"
