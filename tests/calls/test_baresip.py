"""A phone that others wrote, and its people: baresip calls the daemon and is called by it, over each transport.

What it heard is on file, and compared with what was said: a prompt packet by packet, a person by the pitch of a voice.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

from edge.media.tone import tone
from tests.calls.baresip import Baresip, loudness
from tests.calls.daemon import HOST, free_port, new, running
from tests.calls.exchange import ANSWER, STAY, Exchange, hangup, play, sleep
from tests.calls.rtp import codes, linear, write_wav
from tests.certificates import Authority

TRANSPORTS: Final = ("udp", "tcp", "tls")
HOSTS: Final = {"udp": "127.0.0.5", "tcp": "127.0.0.6", "tls": HOST}  # where baresip is; by TLS it calls from this one
DESK: Final = "+14155550171"
SECOND: Final = 16_000  # bytes
DTMF: Final = {"udp": "rfc4733", "tcp": "info", "tls": "both"}
PACKET: Final = 320  # bytes of PCM
LOW, HIGH = 600.0, 1000.0  # the voices of two people, Hz
TRUNK: Final = """
[[trunks]]
name = "{transport}"
networks = ["{host}/32"]
transport = "{transport}"
country = "US"
target = "sip:{host}:{port};transport={transport}"
outbound = true
srtp = "{srtp}"
dtmf = "{dtmf}"
"""


class World(NamedTuple):
    exchange: Exchange
    ports: dict[str, int]
    tls_port: int
    authority: Authority
    folder: Path

    def address(self, transport: str) -> tuple[str, int]:
        return (HOST, self.tls_port if transport == "tls" else self.exchange.daemon.sip[1])


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("baresip")
    authority = Authority(folder)
    ours = authority.issue(HOST)
    ports = {one: free_port(socket.SOCK_STREAM, 18400) for one in TRANSPORTS}
    trunks = "".join(
        TRUNK.format(
            transport=one, host=HOSTS[one], port=ports[one], srtp="required" if one == "tls" else "off", dtmf=DTMF[one]
        )
        for one in TRANSPORTS
    )
    made = new(folder, trunks, environ={"EDGE_STORE__LAZY_MS": "20"})
    tls_port = free_port(socket.SOCK_STREAM)
    made.environ |= {
        "EDGE_SIP__LISTEN": str(
            [f"udp:{HOST}:{made.sip[1]}", f"tcp:{HOST}:{made.sip[1]}", f"tls:{HOST}:{tls_port}"]
        ).replace("'", '"'),
        "EDGE_SIP__TLS__CERTIFICATE": str(ours.certificate),
        "EDGE_SIP__TLS__KEY": str(ours.key),
        "EDGE_SIP__TLS__CA": str(authority.file),
    }
    with running(made):
        yield World(Exchange(made), ports, tls_port, authority, folder)
        assert made.alive, made.words()


Phones = Callable[..., Baresip]


@pytest.fixture
def phones(world: World, tmp_path: Path) -> Iterator[Phones]:
    """Makes phones that live as long as the test: by transport, and with a voice."""
    with ExitStack() as stack:

        def made(transport: str, voice: float = LOW, *, account: str = "") -> Baresip:
            host = HOSTS[transport]
            certificates = None
            if transport == "tls":
                pair = world.authority.issue(host, file=f"phone{voice:g}")
                whole = tmp_path / f"phone{voice:g}.pem"
                whole.write_bytes(pair.certificate.read_bytes() + pair.key.read_bytes())
                certificates = (whole, world.authority.file)
                account += ";mediaenc=srtp-mand"
            phone = Baresip(
                tmp_path / f"{transport}{voice:g}",
                says=tone(voice, 60, level=0.5).pcm,
                host=host,
                user=DESK,
                transport=transport,
                port=world.ports[transport],
                account=account,
                certificates=certificates,
            )
            return stack.enter_context(phone)

        yield made


def call(world: World, phone: Baresip, number: str) -> None:
    host, port = world.address(phone.transport)
    phone.tell("dial", f"sip:{number}@{host}:{port}")
    phone.hears("CALL_ESTABLISHED")
    phone.hears("CALL_REMOTE_SDP", param="answer")


def record(world: World, number: str) -> dict[str, Any]:
    """The record of the only call to a number."""

    def found() -> list[dict[str, Any]]:
        calls: list[dict[str, Any]] = world.exchange.daemon.all("/v1.0/calls?direction=incoming")
        return [one for one in calls if one["destination"]["target"] == number and one["status"] == "hangup"]

    made: dict[str, Any] = world.exchange.wait(found, "the record")[0]
    return {**made, **made["edge"]}


def says(phone: Baresip, hertz: float, what: str) -> None:
    """It hears somebody of this voice."""
    phone.until_heard(lambda heard: len(heard) >= SECOND and loudness(heard[-SECOND:], hertz) > 0.9, what)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_it_hears_the_greeting_holds_resumes_types_keys_and_is_hung_up(
    world: World, phones: Phones, transport: str
) -> None:
    greeting = linear(codes(1.0, "PCMU"), "PCMU")
    write_wav(world.exchange.prompts / "greeting.wav", greeting)
    packets = [greeting[place : place + PACKET] for place in range(0, len(greeting), PACKET)]
    gather = {"type": "digits_receive", "option": {"duration": 20_000, "length": 4, "key": "#"}}
    number = world.exchange.number(ANSWER, sleep(500), play("greeting.wav"), gather, hangup())
    phone = phones(transport)
    call(world, phone, number)
    phone.until_heard(lambda heard: sum(one in heard for one in packets) >= 0.9 * len(packets), "the greeting")
    for change in ("hold", "resume"):
        phone.tell(change)
        phone.hears("CALL_REMOTE_SDP", param="answer")
    phone.tell("sndcode", "17")
    phone.tell("sndcode", "1#")
    phone.hears("CALL_CLOSED")
    made = record(world, number)
    assert [step["note"] for step in made["steps"] if step["type"] == "digits_receive"] == ["4 keys"]
    assert (made["hangup_by"], made["codec"]) == ("local", "PCMU")
    assert (made["security"] != "") == (transport == "tls")


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_it_hangs_up(world: World, phones: Phones, transport: str) -> None:
    number = world.exchange.number(ANSWER, STAY)
    phone = phones(transport)
    call(world, phone, number)
    phone.tell("hangup")
    phone.hears("CALL_CLOSED")
    assert record(world, number)["hangup_by"] == "remote"


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_it_is_called_and_two_people_hear_each_other(world: World, phones: Phones, transport: str) -> None:
    """The caller comes over another transport: encryption and codec are each side's own."""
    connect = {"type": "connect", "option": {"destinations": [DESK], "trunk": transport}}
    number = world.exchange.number(connect, hangup())
    callee = phones(transport, HIGH, account=";answermode=auto;audio_codecs=PCMA/8000/1")
    caller = phones("tcp" if transport == "udp" else "udp", LOW)
    call(world, caller, number)
    callee.hears("CALL_ESTABLISHED")
    says(caller, HIGH, "the callee")
    says(callee, LOW, "the caller")
    caller.tell("sndcode", "5")
    if transport == "tcp":  # its trunk wants INFO
        callee.hears("CALL_DTMF_START", param="5")
    caller.tell("hangup")
    callee.hears("CALL_CLOSED")
    assert record(world, number)["hangup_by"] == "remote"
