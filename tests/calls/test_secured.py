"""Whole calls over TLS, their audio encrypted (SRTP): what people hear and type, and what is refused."""

from __future__ import annotations

import signal
import socket
import ssl
import urllib.request
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.calls.callee import Callee
from tests.calls.caller import Call, Caller
from tests.calls.daemon import running
from tests.calls.exchange import ANSWER, STAY, Exchange, hangup, play
from tests.calls.rtp import TYPES, Described, Packet, codes, linear, offer, payloads, presses, sound, write_wav
from tests.calls.sealed import PROFILES, Sealed
from tests.calls.secured import Secured
from tests.calls.test_digits import expect, gather, understood
from tests.calls.test_recording import Mouth, heard, recorded, recording, start

REQUIRED, OPTIONAL, OFF, BARE, NAMED, OUT = (f"127.0.0.{n}" for n in range(21, 27))
TRUNK = """
[[trunks]]
name = "{name}"
networks = ["{host}/32"]
country = "US"
{more}
"""


@pytest.fixture(scope="module")
def plain() -> Iterator[socket.socket]:
    with socket.create_server((OUT, 0)) as made:
        made.settimeout(5)
        yield made


@pytest.fixture(scope="module")
def listener(secured: Secured, plain: socket.socket) -> socket.socket:
    """Where the trunk that calls go out by answers for TLS."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(secured.authority.file))
    context.verify_mode = ssl.CERT_REQUIRED  # the edge shows a certificate as well
    pair = secured.authority.issue(OUT, file="carrier")
    context.load_cert_chain(pair.certificate, pair.key)
    return context.wrap_socket(plain, server_side=True)


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory, plain: socket.socket) -> Secured:
    target = f"sips:{OUT}:{plain.getsockname()[1]}"
    trunks = {
        "required": (REQUIRED, 'transport = "tls"\nsrtp = "required"'),
        "optional": (OPTIONAL, 'srtp = "optional"'),
        "off": (OFF, ""),
        "bare": (BARE, 'srtp = "required"\nsrtp_without_tls = true'),
        "named": (NAMED, 'transport = "tls"\ncertificates = ["sip:carrier.example"]'),
        "out": (OUT, f'srtp = "optional"\ntarget = "{target}"\noutbound = true\npass_caller = true'),
    }
    extra = "".join(TRUNK.format(name=name, host=host, more=more) for name, (host, more) in trunks.items())
    return Secured(tmp_path_factory.mktemp("secured"), extra, level="debug")


@pytest.fixture(scope="module")
def exchange(secured: Secured) -> Iterator[Exchange]:
    with running(secured.daemon):
        yield Exchange(secured.daemon)
        assert secured.daemon.alive, secured.daemon.words()


def phone(secured: Secured, host: str, **more: Any) -> Caller:
    return Caller(secured.address, transport="tls", host=host, tls=secured.authority.client(), **more)


def encrypted(caller: Caller, sealed: Sealed, formats: str = "0 101", **more: Any) -> bytes:
    caller.sealed = sealed
    return offer(caller.media, formats, protocol="RTP/SAVP", lines=[sealed.line], **more)


def begin(caller: Caller, number: str, sealed: Sealed | None = None) -> tuple[Call, Described]:
    """An encrypted call that is up."""
    call = caller.call(number, encrypted(caller, sealed or Sealed()))
    body = call.answered().body
    assert b"RTP/SAVP" in body
    caller.unseal(body)
    return call, Described.read(body)


@pytest.mark.parametrize("suite", list(PROFILES))
def test_a_greeting_is_heard_sample_for_sample(exchange: Exchange, secured: Secured, suite: str) -> None:
    spoken = codes(0.2, "PCMU")
    write_wav(exchange.prompts / "spoken.wav", linear(spoken, "PCMU"))
    number = exchange.number(ANSWER, play("spoken.wav"), hangup())
    with phone(secured, REQUIRED) as caller:
        call, _ = begin(caller, number, Sealed(suite, tag=7))
        call.ended()
        caller.drain()
        assert payloads(sound(caller.packets, "PCMU")) == spoken
    record = exchange.record(call.id)
    assert (record["transport"], record["security"], record["trunk"]) == ("tls", suite, "required")


def test_keys_are_understood(exchange: Exchange, secured: Secured) -> None:
    with phone(secured, REQUIRED) as caller:
        call, there = begin(caller, expect(exchange, "1234#", gather(5)))
        for packets in presses("1234#"):
            for packet in packets:
                caller.say(packet, there.address)
        understood(call)


def words(count: int, first: int = 1) -> list[Packet]:
    return [Packet(TYPES["PCMU"], False, n, n * 160, 0x4711, bytes([n]) * 160) for n in range(first, first + count)]


def test_an_echo(exchange: Exchange, secured: Secured) -> None:
    with phone(secured, REQUIRED) as caller:
        call, there = begin(caller, exchange.number(ANSWER, {"type": "echo", "option": {"duration": 10_000}}))
        said = words(10)
        for packet in said:
            caller.say(packet, there.address)
        caller.until(lambda: len(loud(caller.packets)) >= 10 or None, "the echo")
        assert loud(caller.packets) == [packet.payload for packet in said]
        call.hang_up()


def test_a_recording(exchange: Exchange, secured: Secured) -> None:
    with phone(secured, REQUIRED) as caller:
        call, there = begin(caller, exchange.number(ANSWER, start(format="wav"), STAY))
        recording(exchange)
        mouth, spoken = Mouth(caller, there.address), codes(0.4, "PCMU")
        mouth.say(spoken)
        caller.hear(3)
        call.hang_up()
    (made,) = recorded(exchange, call)
    theirs, _ = heard(exchange, made)
    assert spoken in theirs


def test_what_is_not_encrypted_is_not_heard(exchange: Exchange, secured: Secured) -> None:
    before = exchange.counted("edge_rtp_unauthentic_packets_total")
    with phone(secured, REQUIRED) as caller:
        call, there = begin(caller, expect(exchange, "", gather(1, duration=500)))
        for packets in presses("1"):
            for packet in packets:
                caller.rtp.sendto(bytes(packet), there.address)
        understood(call)
    assert exchange.counted("edge_rtp_unauthentic_packets_total") == before + 6


def test_hold_and_resume_keep_the_keys_and_a_new_one_is_taken(exchange: Exchange, secured: Secured) -> None:
    with phone(secured, OPTIONAL) as caller:
        sealed = Sealed()
        call, there = begin(caller, exchange.number(ANSWER, gather(2, duration=20_000), STAY), sealed)
        first = sealed.theirs
        caller.hear(3)
        for version, direction in enumerate(("sendonly", "sendrecv"), 2):
            answer = call.reinvite(encrypted(caller, sealed, direction=direction, version=version))
            caller.unseal(answer.body)
            assert sealed.theirs == first
        caller.hear(3)
        sealed.change()
        answer = call.reinvite(encrypted(caller, sealed, version=4))
        caller.unseal(answer.body)
        assert sealed.theirs == first  # ours stays
        (press,) = presses("7")
        before = exchange.counted("edge_rtp_unauthentic_packets_total")
        for packet in press:
            caller.say(packet, there.address)
        caller.hear(3)
        assert exchange.counted("edge_rtp_unauthentic_packets_total") == before
        plain = call.reinvite(offer(caller.media, version=5))  # it may be
        assert b"RTP/AVP" in plain.body
        caller.sealed = None
        call.hang_up()
    record = exchange.record(call.id)
    assert record["security"] == ""
    assert record["rtp_received"] >= 6


@pytest.mark.parametrize(
    ("host", "transport", "secure", "warning"),
    [
        (REQUIRED, "tls", False, '304 127.0.0.1 "Media type not available: audio over RTP/SAVP is served here"'),
        (OFF, "tls", True, '304 127.0.0.1 "Media type not available: audio over RTP/AVP is served here"'),
        (OPTIONAL, "udp", True, '304 127.0.0.1 "Media type not available: audio over RTP/AVP is served here"'),
        (OPTIONAL, "tls", True, ""),
        (OPTIONAL, "tls", False, ""),
        (OPTIONAL, "tcp", False, ""),
        (OFF, "tls", False, ""),
        (BARE, "udp", True, ""),
        (BARE, "tcp", False, '304 127.0.0.1 "Media type not available: audio over RTP/SAVP is served here"'),
    ],
)
def test_what_each_trunk_takes(
    exchange: Exchange, secured: Secured, host: str, transport: str, secure: bool, warning: str
) -> None:
    number = exchange.number(ANSWER, STAY)
    plain = Caller(secured.daemon.sip, transport=transport, host=host) if transport != "tls" else None
    with plain or phone(secured, host) as caller:
        call = caller.call(number, encrypted(caller, Sealed()) if secure else offer(caller.media))
        if warning:
            refusal = call.refused()
            assert (refusal.status, refusal.text("Warning")) == (488, warning)
        else:
            answer = call.answered()
            assert (b"a=crypto" in answer.body) is secure
            call.hang_up()


def test_late_offers_and_offers_that_no_key_fits(exchange: Exchange, secured: Secured) -> None:
    number = exchange.number(ANSWER, STAY)
    with phone(secured, REQUIRED) as caller:
        sealed = Sealed("AES_CM_128_HMAC_SHA1_80", tag=3)  # the place it has in offers of ours
        caller.sealed = sealed
        call = caller.call(number, None)
        ours = call.final()
        assert ours.body.count(b"a=crypto:") == 4
        call.acknowledge(ours, encrypted(caller, sealed))
        caller.unseal(ours.body)
        caller.hear(3)
        call.hang_up()
        call = caller.call(number, offer(caller.media, protocol="RTP/SAVP", lines=["a=crypto:1 NO_SUITE inline:abcd"]))
        assert "no a=crypto that can be served" in call.refused().text("Warning")


@pytest.mark.parametrize("caller_is_secure", [True, False])
def test_connected_each_hears_the_other(
    exchange: Exchange, secured: Secured, listener: socket.socket, caller_is_secure: bool
) -> None:
    """We call over TLS and offer SRTP; the audio goes from SRTP to SRTP under other keys, or from RTP to SRTP."""
    connect = {"type": "connect", "option": {"destinations": [{"type": "tel", "target": "+14155550177"}]}}
    exchange.daemon.ask("PUT", f"/v1.0/customers/{exchange.customer}", {"destinations": ["+1"]})
    number = exchange.number(connect, hangup())
    plain = Caller(secured.daemon.sip, host=OPTIONAL) if not caller_is_secure else None
    with plain or phone(secured, OPTIONAL) as caller:
        call = caller.call(number, encrypted(caller, Sealed()) if caller_is_secure else offer(caller.media))
        connection, _ = listener.accept()
        with connection, Callee(secured.address, connection, transport="tls") as callee:
            rung = callee.rung()
            assert rung.invite.uri.startswith(f"sips:+14155550177@{OUT}")
            assert rung.invite.text("Via").startswith(f"SIP/2.0/TLS 127.0.0.1:{secured.port}")
            assert rung.invite.text("Contact") == f"<sips:127.0.0.1:{secured.port}>"
            sealed = Sealed("AEAD_AES_256_GCM")
            rung.answers(encrypted(callee, sealed))
            callee.unseal(rung.invite.body)
            answer = call.answered()
            if caller_is_secure:
                caller.unseal(answer.body)
            here, there = Described.read(answer.body).address, Described.read(rung.invite.body).address
            said, replied = words(20), words(20, 101)
            for packet, reply in zip(said, replied, strict=True):
                caller.say(packet, here)
                callee.say(reply, there)
                caller.listen(0.01)
                callee.listen(0.01)
            caller.listen(0.05)
            callee.listen(0.05)
            assert [packet.payload for packet in said] == loud(callee.packets)
            assert [packet.payload for packet in replied] == loud(caller.packets)
            rung.hang_up()
            call.ended()
    (leg,) = exchange.wait(
        lambda: exchange.daemon.ask("GET", f"/v1.0/calls?call_id={rung.id}")["result"], "the record of the leg"
    )
    assert (leg["edge"]["security"], leg["edge"]["transport"]) == ("AEAD_AES_256_GCM", "tls")


def loud(packets: list[Packet]) -> list[bytes]:
    return [packet.payload for packet in packets if set(packet.payload) != {0xFF}]


def test_a_name_in_a_certificate_leads_to_a_trunk(exchange: Exchange, secured: Secured) -> None:
    number = exchange.number(ANSWER, STAY)
    authority = secured.authority
    right, wrong = authority.issue(uris=["sip:carrier.example"], file="right"), authority.issue("b.example")
    for pair, status in ((right, 200), (wrong, 403), (None, 403)):
        tls = authority.client(pair)
        with Caller(secured.address, transport="tls", host=NAMED, tls=tls) as caller:
            call = caller.call(number, offer(caller.media))
            answer = call.final()
            assert answer.status == status
            call.acknowledge(answer)
            if status == 200:
                call.hang_up()
                record = exchange.record(call.id)
                assert (record["trunk"], record["auth"]) == ("named", "tls:sip:carrier.example")


def test_keys_are_in_no_log_and_in_no_record(exchange: Exchange, secured: Secured) -> None:
    with phone(secured, REQUIRED) as caller:
        sealed = Sealed()
        call, _ = begin(caller, exchange.number(ANSWER, STAY), sealed)
        call.hang_up()
    record = exchange.record(call.id)
    shown = [str(record), secured.daemon.log.read_text()]
    for path in ("ladder?messages=true", "ladder.svg", "pcap"):
        url = f"{exchange.daemon.url}/v1.0/calls/{record['id']}/{path}"
        asked = urllib.request.Request(url, headers={"Authorization": f"Bearer {exchange.daemon.token}"})
        with urllib.request.urlopen(asked, timeout=10) as response:
            shown.append(response.read().decode("latin-1"))
    assert "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" in shown[2]
    for text in shown:
        assert sealed.ours not in text
        assert sealed.theirs not in text


# Certificates that come and go


def serial(secured: Secured) -> int:
    """Of the certificate that is shown now."""
    with phone(secured, REQUIRED) as caller:
        assert isinstance(caller.sip, ssl.SSLSocket)
        shown = caller.sip.getpeercert()
        assert shown is not None
        return int(str(shown["serialNumber"]), 16)


def test_certificates_are_read_again_while_calls_go_on(exchange: Exchange, secured: Secured) -> None:
    daemon = secured.daemon
    with phone(secured, REQUIRED) as caller:
        call, _ = begin(caller, exchange.number(ANSWER, STAY))
        before = serial(secured)
        secured.authority.issue("127.0.0.1", file="edge")  # in the place of the old ones
        daemon.process.send_signal(signal.SIGHUP)
        daemon.wait_until(lambda: serial(secured) != before, "another certificate")
        good = serial(secured)
        old = secured.certificate.key.read_bytes()
        secured.certificate.key.write_text("no key")
        daemon.process.send_signal(signal.SIGHUP)
        daemon.wait_until(lambda: daemon.lines("no key can be read from it"), "a fault in the log")
        assert serial(secured) == good
        refused = daemon.command("check", "--config", str(daemon.config))
        assert refused.returncode == 2
        assert "edge.key: no key can be read from it" in refused.stderr + refused.stdout
        secured.certificate.key.write_bytes(old)
        caller.hear(3)  # the call never noticed
        call.hang_up()
    assert daemon.metric("edge_sip_certificate_expiry_time_seconds") > 0


def test_a_start_with_a_certificate_that_is_over(tmp_path: Path) -> None:
    secured = Secured(tmp_path)
    secured.authority.issue("127.0.0.1", ends=timedelta(hours=-1), file="edge")
    process = secured.daemon.launch()
    assert process.wait(20) == 2
    assert "edge.pem: CN=edge expired at" in secured.daemon.words()
