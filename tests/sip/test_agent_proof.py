"""What we prove where the other side asks us to: calls, requests in them, texts, registrations (RFC 3261 §22)."""

from __future__ import annotations

from itertools import count

import pytest

from edge.sip.agent import Agent
from edge.sip.digest import Challenge, Credentials, Login
from edge.sip.events import AskDone, CallAnswered, CallEnded, CallFailed, ReferProgress, ReinviteAnswered, TextDone
from edge.sip.handle import Call, OutgoingCall
from edge.sip.message import Request, Response
from edge.sip.prover import REALMS_MAX, ROUNDS_MAX, Prover
from edge.sip.terms import Terms
from tests.sip.ladder import OURS, SDP, UDP, Fields, Ladder, invite, reply_to
from tests.sip.test_agent_refer import notify

LOGIN = Login("edge", "sesame")
TERMS = Terms(login=LOGIN)
CONTACT: Fields = {"Contact": "<sip:phone@192.0.2.9:5062>"}
URI = "sip:+14155550199@192.0.2.9"


def asking(
    ladder: Ladder, *challenges: Challenge | str, status: int = 401, to_tag: str | None = "gate", name: str = ""
) -> bytes:
    """Their 401 or 407 to the request taken last, a field for each challenge."""
    name = name or ("WWW-Authenticate" if status == 401 else "Proxy-Authenticate")
    answer = reply_to(ladder, status, to_tag=to_tag if ladder.request.to_tag is None else None)
    lines = "".join(f"{name}: {challenge}\r\n" for challenge in challenges)
    return answer.replace(b"Content-Length", lines.encode() + b"Content-Length")


def first(
    nonce: str = "n1", realm: str = "carrier", algorithm: str | None = "MD5", *, stale: bool = False
) -> Challenge:
    return Challenge(realm, nonce, algorithm, ("auth",), stale=stale)


def proofs(ladder: Ladder, name: str = "Authorization") -> list[Credentials]:
    """What the last request proves; each is looked at whether it is right."""
    sent = ladder.request
    found = [Credentials.parse(text) for text in sent.headers.all(name)]
    for proof in found:
        method = "INVITE" if sent.method == "ACK" else sent.method
        assert proof.signed(LOGIN.password, method, sent.body) == proof
        assert proof.username == LOGIN.username
        assert proof.uri == (URI if sent.method == "ACK" else sent.uri)
    return found


def calling(terms: Terms = TERMS) -> tuple[Ladder, OutgoingCall]:
    ladder = Ladder()
    outgoing = ladder.agent.invite(peer=UDP, uri=URI, from_="sip:me@us", to=URI, sdp=OURS, now=0.0, terms=terms)
    ladder.drain() << "INVITE"
    return ladder, outgoing


def answered() -> tuple[Ladder, Call]:
    """A call of ours that had to be proved."""
    ladder, _ = calling()
    ladder >> asking(ladder, first()) << "ACK" << "INVITE"
    ladder >> reply_to(ladder, 200, to_tag="phone", body=SDP, fields=CONTACT) << "ACK"
    return ladder, ladder.event(CallAnswered).call


def test_a_call_is_sent_again_with_the_proof() -> None:
    ladder, outgoing = calling()
    before = ladder.request
    assert not proofs(ladder)
    ladder >> asking(ladder, first()) << "ACK"
    assert ladder.header("cseq") == "1 ACK"
    ladder << "INVITE"
    again = ladder.request
    (proof,) = proofs(ladder)
    assert (proof.realm, proof.count, proof.qop) == ("carrier", 1, "auth")
    assert (again.call_id, again.from_tag, again.to_tag, again.body) == (before.call_id, before.from_tag, None, OURS)
    assert (again.cseq.number, before.cseq.number) == (2, 1)
    assert again.via.branch != before.via.branch
    ladder >> reply_to(ladder, 200, to_tag="phone", body=SDP, fields=CONTACT) << "ACK"
    assert ladder.header("cseq") == "2 ACK"
    assert proofs(ladder) == [proof]  # §22.1: as its INVITE
    assert ladder.event(CallAnswered).outgoing is outgoing
    assert not ladder.events


def test_without_a_login_the_refusal_is_the_end() -> None:
    ladder, outgoing = calling(Terms())
    ladder >> asking(ladder, first()) << "ACK"
    failed = ladder.event(CallFailed)
    assert (failed.outgoing, failed.status) == (outgoing, 401)
    ladder.gone()


@pytest.mark.parametrize(
    "challenges",
    [
        (),
        ("Basic realm=x",),
        ("Digest realm=x",),
        (first(algorithm="AKAv1-MD5"),),
        (Challenge("carrier", "n", "MD5", ("auth-conf",)),),
    ],
)
def test_what_cannot_be_answered_is_the_end(challenges: tuple[Challenge | str, ...]) -> None:
    ladder, _ = calling()
    ladder >> asking(ladder, *challenges) << "ACK"
    assert ladder.event(CallFailed).status == 401
    ladder.gone()


def test_the_strongest_algorithm_is_taken() -> None:
    ladder, _ = calling()
    ladder >> asking(ladder, first(algorithm="MD5"), first(algorithm="SHA-256"), first(algorithm="X")) << "ACK"
    ladder << "INVITE"
    assert [proof.algorithm for proof in proofs(ladder)] == ["SHA-256"]


def test_a_wrong_word_is_said_once() -> None:
    ladder, _ = calling()
    ladder >> asking(ladder, first("n1")) << "ACK" << "INVITE"
    ladder >> asking(ladder, first("n2")) << "ACK"
    assert ladder.event(CallFailed).status == 401
    assert ladder.quiet()
    ladder.gone()


def test_a_nonce_too_old_is_answered_again_but_not_for_ever() -> None:
    ladder, _ = calling()
    ladder >> asking(ladder, first("n0")) << "ACK" << "INVITE"
    for turn in range(1, ROUNDS_MAX):
        ladder >> asking(ladder, first(f"n{turn}", stale=True)) << "ACK" << "INVITE"
        assert [(proof.nonce, proof.count) for proof in proofs(ladder)] == [(f"n{turn}", 1)]
    ladder >> asking(ladder, first("last", stale=True)) << "ACK"
    assert ladder.event(CallFailed).status == 401
    ladder.gone()


def test_a_proxy_and_the_far_end_each_want_their_own() -> None:
    ladder, _ = calling()
    ladder >> asking(ladder, first("p", "proxy"), status=407) << "ACK" << "INVITE"
    assert [proof.realm for proof in proofs(ladder, "Proxy-Authorization")] == ["proxy"]
    ladder >> asking(ladder, first("e", "end")) << "ACK" << "INVITE"
    assert [(proof.realm, proof.count) for proof in proofs(ladder, "Proxy-Authorization")] == [("proxy", 2)]
    assert [(proof.realm, proof.count) for proof in proofs(ladder)] == [("end", 1)]
    assert ladder.header("cseq") == "3 INVITE"


def test_realms_have_a_bound() -> None:
    ladder, _ = calling()
    for number in range(REALMS_MAX):
        ladder >> asking(ladder, first("n", f"realm-{number}")) << "ACK" << "INVITE"
    assert len(proofs(ladder)) == REALMS_MAX
    ladder >> asking(ladder, first("n", "one more")) << "ACK"
    assert ladder.event(CallFailed).status == 401


def test_cancelled_meanwhile_it_is_not_sent_again() -> None:
    ladder, outgoing = calling()
    ladder >> reply_to(ladder, 180, to_tag="gate")
    ladder.events.clear()
    ladder.agent.cancel(outgoing, ladder.now)
    refusal = asking(ladder, first())
    ladder.drain() << "CANCEL"
    ladder >> refusal << "ACK"
    assert ladder.event(CallFailed).status == 401
    assert ladder.quiet()


def test_requests_in_the_call_prove_it_before_they_are_asked() -> None:
    ladder, call = answered()
    ladder.agent.reinvite(call, OURS, ladder.now)
    ladder.drain() << "INVITE"
    assert [(proof.nonce, proof.count) for proof in proofs(ladder)] == [("n1", 2)]
    ladder >> reply_to(ladder, 200, body=SDP, fields=CONTACT) << "ACK"
    assert [Credentials.parse(text).count for text in ladder.request.headers.all("Authorization")] == [2]
    assert ladder.event(ReinviteAnswered).call is call
    ladder.agent.end(call, ladder.now)
    ladder.drain() << "BYE"
    assert [proof.count for proof in proofs(ladder)] == [3]
    ladder >> reply_to(ladder, 200)
    assert ladder.event(CallEnded).by == "local"
    ladder.gone()


def test_a_bye_whose_nonce_is_too_old_is_sent_again() -> None:
    ladder, call = answered()
    ladder.agent.end(call, ladder.now)
    ladder.drain() << "BYE"
    number = ladder.request.cseq.number
    ladder >> asking(ladder, first("n2", stale=True)) << "BYE"
    assert [(proof.nonce, proof.count) for proof in proofs(ladder)] == [("n2", 1)]
    assert ladder.request.cseq.number == number + 1
    ladder >> reply_to(ladder, 200)
    ladder.gone()


def test_a_reinvite_that_is_challenged_is_sent_again() -> None:
    ladder, call = answered()
    ladder.agent.reinvite(call, OURS, ladder.now)
    ladder.drain() << "INVITE"
    ladder >> asking(ladder, first("n2")) << "ACK" << "INVITE"
    assert [(proof.nonce, proof.count) for proof in proofs(ladder)] == [("n2", 1)]
    ladder >> reply_to(ladder, 200, body=SDP, fields=CONTACT) << "ACK"
    assert ladder.header("cseq") == "4 ACK"
    assert ladder.event(ReinviteAnswered).call is call


def admitted() -> tuple[Ladder, Call]:
    """A call that came to us, from somebody who may want things proved."""
    tokens = count(1)
    ladder = Ladder(agent=Agent(lambda: f"t{next(tokens)}", admit=lambda _request, _peer, _now: TERMS))
    return ladder, ladder.up(invite())


def test_a_call_that_came_in_may_be_asked_too() -> None:
    ladder, call = admitted()
    ladder.agent.refer(call, "sip:+14155550111@198.51.100.7", ladder.now)
    ladder.drain() << "REFER"
    assert not proofs(ladder)
    ladder >> asking(ladder, first()) << "REFER"
    assert [proof.count for proof in proofs(ladder)] == [1]
    ladder >> reply_to(ladder, 202)
    ladder >> notify(call.local_tag, 2, 200, "terminated", f"refer;id={ladder.request.cseq.number}")
    ladder << 200
    assert ladder.event(ReferProgress) == ReferProgress(call, 200, True)
    ladder.agent.end(call, ladder.now)
    ladder.drain() << "BYE"
    assert [proof.count for proof in proofs(ladder)] == [2]
    ladder >> reply_to(ladder, 200)
    ladder.gone()


def test_a_refused_refer_is_told_as_ever() -> None:
    ladder, call = admitted()
    ladder.agent.refer(call, "sip:+14155550111@198.51.100.7", ladder.now)
    ladder.drain() << "REFER"
    ladder >> asking(ladder, first()) << "REFER"
    ladder >> asking(ladder, first("n2"))
    assert ladder.event(ReferProgress) == ReferProgress(call, 401, True)
    assert ladder.quiet()


def test_a_text() -> None:
    ladder = Ladder()
    id = ladder.agent.send_text(peer=UDP, uri=URI, from_="sip:a@us", to=URI, body=b"hi", now=0.0, login=LOGIN)
    ladder.drain() << "MESSAGE"
    ladder >> asking(ladder, Challenge("carrier", "n", "SHA-256", ("auth-int",))) << "MESSAGE"
    assert [proof.qop for proof in proofs(ladder)] == ["auth-int"]
    assert (ladder.request.body, ladder.header("cseq"), ladder.header("content-type")) == (
        b"hi",
        "2 MESSAGE",
        "text/plain;charset=utf-8",
    )
    ladder >> reply_to(ladder, 202)
    assert ladder.event(TextDone) == TextDone(id, 202)
    ladder.gone()


def register(ladder: Ladder, prover: Prover, number: int) -> Request:
    peer = UDP
    ladder.agent.ask(
        "REGISTER",
        peer=peer,
        uri="sip:carrier.example",
        from_="sip:edge@carrier.example",
        to="sip:edge@carrier.example",
        now=ladder.now,
        call_id="reg-1",
        number=number,
        fields=(("Contact", ladder.agent.contact(peer, "edge")), ("Expires", "3600")),
        prover=prover,
    )
    ladder.drain() << "REGISTER"
    return ladder.request


def test_a_registration_goes_on_from_request_to_request() -> None:
    ladder, prover = Ladder(), Prover(LOGIN, lambda: "c")
    sent = register(ladder, prover, 1)
    assert (sent.call_id, sent.uri, ladder.header("contact")) == (
        "reg-1",
        "sip:carrier.example",
        "<sip:edge@192.0.2.1:5060>",
    )
    ladder >> asking(ladder, first()) << "REGISTER"
    assert [proof.count for proof in proofs(ladder)] == [1]
    ladder >> reply_to(ladder, 200, to_tag="registrar")
    done = ladder.event(AskDone)
    assert (done.status, done.number) == (200, 2)
    assert isinstance(done.response, Response)
    again = register(ladder, prover, done.number + 1)
    assert [proof.count for proof in proofs(ladder)] == [2]
    assert (again.call_id, again.cseq.number) == ("reg-1", 3)
    ladder >> reply_to(ladder, 200, to_tag="registrar")
    assert ladder.event(AskDone).number == 3
    ladder.gone()


def test_an_ask_that_is_dropped_is_not_sent_again() -> None:
    ladder = Ladder()
    id = ladder.agent.ask("OPTIONS", peer=UDP, uri="sip:them", from_="sip:us", to="sip:them", now=0.0)
    ladder.drain() << "OPTIONS"
    late = reply_to(ladder, 200)
    ladder.agent.drop(id)
    ladder.agent.drop(id)
    ladder.gone()
    ladder >> late
    assert (ladder.quiet(), len(ladder.events)) == (True, 0)


def test_nobody_answers_an_ask() -> None:
    ladder = Ladder()
    id = ladder.agent.ask("OPTIONS", peer=UDP, uri="sip:them", from_="sip:us", to="sip:them", now=0.0)
    ladder.drain() << "OPTIONS"
    ladder.gone()
    assert ladder.event(AskDone) == AskDone(id, 408, 1)
