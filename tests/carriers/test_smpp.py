"""The carrier by SMPP over real sockets, with an SMSC of our own behind them that does what it is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from edge.carriers.smpp import Smpp
from edge.errors import Invalid, NumberReleased, NumberSuspended, NumberUnknown
from edge.settings import render
from edge.sms.carrier import Busy, Connected, NotNow, Refused
from edge.sms.part import Part
from edge.sms.smpp import limits, pdu, status
from edge.sms.smpp.incoming import Reader
from edge.sms.smpp.pdu import Address, Malformed, Message, Pdu
from edge.sms.smpp.section import SmppSection
from edge.sms.smpp.session import Session
from edge.sms.text import Text
from tests import jumping
from tests.carriers.smpp_stage import Desk, Door, carrier, left, served
from tests.carriers.stage import TEXT, cases, outcome, site
from tests.sms.smpp.smsc import TEXT as DELIVERED

NOW = datetime(2026, 8, 1, 9, tzinfo=UTC)
LONG = replace(TEXT, body="0123456789" * 40)  # three parts


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    door = Door()
    await door.open()
    yield door
    await door.close()


def message(given: dict[str, Any]) -> Message:
    octets = bytes.fromhex(given["hex"]) if "hex" in given else given.get("text", "").encode()
    tlvs = tuple(
        (int(tag), b"x" * 20_000 if value == "LONG" else bytes.fromhex(value))
        for tag, value in given.get("tlvs", {}).items()
    )
    return Message(
        Address(*given.get("source", ["14155550111", 1, 1])),
        Address(*given.get("destination", ["14155550100", 1, 1])),
        octets,
        given.get("data_coding", 0),
        given.get("esm_class", 0),
        tlvs,
    )


@pytest.mark.parametrize("case", cases("smpp", "read"), ids=lambda case: case["name"])
def test_what_is_delivered_is_read(case: Any) -> None:
    section = SmppSection(**case.get("section", {}))
    reader = Reader("smpp", section.country, section.default_alphabet, section.id_tag)
    line = Session(section.bind, "transceiver", enquire=1, answer=1)
    if "status" in case:
        with pytest.raises(Malformed) as caught:
            reader.read(message(case["pdu"]), line, 1.0, NOW)
        assert caught.value.status == case["status"]
        return
    found = reader.read(message(case["pdu"]), line, 1.0, NOW).what
    if case["expect"] is None:
        assert found is None
        return
    for name, value in case["expect"].items():
        got = getattr(found, name)
        assert (got.decode("latin-1") if isinstance(got, bytes) else got) == value
    assert found is not None
    assert (found.carrier, found.received_at) == ("smpp", NOW)


@pytest.mark.parametrize("case", cases("smpp", "send"), ids=lambda case: str(case["status"]))
async def test_a_status_says_whether_to_try_again(case: Any, door: Door) -> None:
    door.prepare = lambda smsc: smsc.status.update({pdu.SUBMIT_SM: case["status"]})
    smpp = carrier(door.host, retry_statuses=(1026,))
    async with served(smpp, Desk()):
        await bound(smpp, door)
        assert await outcome(smpp, TEXT) == (case["outcome"], case.get("code", ""), case.get("says", ""))


async def bound(smpp: Smpp, door: Door, count: int = 1) -> None:
    """Wait until it can send."""
    await door.until(lambda: sum(link.session.up for link in smpp.connections) >= count)


# Texts in


async def test_it_is_told_received_once_it_is_kept(door: Door) -> None:
    smpp, desk = carrier(door.host), Desk()
    assert isinstance(smpp, Connected)
    async with served(smpp, desk):
        await bound(smpp, door)
        desk.open.clear()
        sequence = door.smsc.deliver()
        door.flush()
        await door.until(lambda: any(link.session.working for link in smpp.connections))
        assert not door.smsc.named("deliver_sm_resp")
        desk.open.set()
        (answer,) = await door.got("deliver_sm_resp")
        assert (answer.sequence, answer.status) == (sequence, status.ROK)
        (text,) = desk.kept
        assert isinstance(text, Text)
        assert (text.source, text.destination, text.body) == ("+14155550111", "+14155550100", "hello")


async def test_many_are_at_work_at_the_same_time(door: Door) -> None:
    smpp, desk = carrier(door.host), Desk()
    async with served(smpp, desk):
        await bound(smpp, door)
        desk.open.clear()
        for _ in range(50):
            door.smsc.deliver()
        door.flush()
        await door.until(lambda: sum(link.session.working for link in smpp.connections) == 50)
        desk.open.set()
        await door.got("deliver_sm_resp", 50)
    assert len({text.id for text in desk.kept}) == 50, "one who writes the same fifty times has written it fifty times"


async def test_but_no_more_than_so_many(door: Door) -> None:
    smpp, desk = carrier(door.host, at_once=10), Desk()
    async with served(smpp, desk):
        await bound(smpp, door)
        desk.open.clear()
        body = DELIVERED.write()
        for count in range(3000):
            door.write(Pdu(pdu.DELIVER_SM, count + 1, 0, body).write())
            if count == 10:
                await door.until(lambda: sum(link.session.working for link in smpp.connections) >= 10)
        await door.until(lambda: all(link._paused for link in smpp.connections))
        assert sum(link.session.working for link in smpp.connections) < 3000
        desk.open.set()
        await door.got("deliver_sm_resp", 3000)


@pytest.mark.parametrize(
    ("refusal", "code"),
    [
        (NumberUnknown, status.RINVDSTADR),
        (NumberSuspended, status.RX_P_APPN),
        (NumberReleased, status.RX_P_APPN),
    ],
)
async def test_a_text_that_is_refused_does_not_come_again(door: Door, refusal: Any, code: int) -> None:
    smpp, desk = carrier(door.host), Desk()
    desk.refusals["+14155550100"] = refusal
    async with served(smpp, desk):
        await bound(smpp, door)
        door.smsc.deliver()
        door.flush()
        assert (await door.got("deliver_sm_resp"))[0].status == code


async def test_one_that_cannot_be_kept_comes_again_and_is_the_same(door: Door) -> None:
    smpp, desk = carrier(door.host), Desk()
    async with served(smpp, desk):
        await bound(smpp, door)
        desk.away = True
        door.smsc.deliver()
        door.smsc.deliver(DELIVERED._replace(short_message=b"id:1 stat:DELIVRD", esm_class=4))
        door.flush()
        answers = await door.got("deliver_sm_resp", 2)
        assert [answer.status for answer in answers] == [status.RX_T_APPN] * 2
        desk.away = False
        for _ in range(2):
            door.smsc.deliver()
        door.smsc.deliver(DELIVERED._replace(short_message=b"id:1 stat:DELIVRD", esm_class=4))
        door.flush()
        answers = await door.got("deliver_sm_resp", 5)
        assert [answer.status for answer in answers[2:]] == [status.ROK] * 3
    assert [report.carrier_id for report in desk.reports] == ["1"]
    assert len(desk.kept) == 2, "the second one after that is another text"


async def test_what_fails_in_a_strange_way_comes_again(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(text: Text | Part) -> Any:
        raise RuntimeError("a fault of ours")

    smpp, desk = carrier(door.host), Desk()
    monkeypatch.setattr(desk, "keep", fail)
    async with served(smpp, desk):
        await bound(smpp, door)
        door.smsc.deliver()
        door.flush()
        assert (await door.got("deliver_sm_resp"))[0].status == status.RX_T_APPN


async def test_a_text_that_broke_off_is_known_when_it_comes_by_the_next_connection(door: Door) -> None:
    smpp, desk = carrier(door.host), Desk()
    async with served(smpp, desk):
        await bound(smpp, door)
        door.smsc.deliver()
        door.flush()
        await door.got("deliver_sm_resp")
        door.drop()
        await door.until(lambda: len(door.all) == 2 and door.smsc.got)
        await bound(smpp, door)
        door.smsc.deliver()
        door.flush()
        await door.got("deliver_sm_resp")
    assert len(desk.kept) == 1


@pytest.mark.parametrize("settings", [{}, {"id_tag": 0x1400}], ids=["", "and though others have an id"])
async def test_so_it_is_after_a_restart_though_memory_is_gone(door: Door, settings: dict[str, Any]) -> None:
    before, after = Desk(), Desk()
    for desk in (before, after):
        smpp = carrier(door.host, **settings)
        after.ids = [text.id for text in before.kept]
        async with served(smpp, desk):
            await bound(smpp, door)
            door.smsc.deliver()
            door.flush()
            await door.got("deliver_sm_resp")
    assert [text.id for text in before.kept] == [text.id for text in after.kept]
    assert after.asked[0][0] == "smpp"


async def test_while_nobody_knows_what_was_kept_nothing_is_taken(door: Door) -> None:
    desk = Desk()
    desk.away = True
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        desk.away = len(pauses) < 3
        assert not door.all

    smpp = Smpp(SmppSection(hosts=(door.host,)), site(), pause=pause)
    async with served(smpp, desk):
        await bound(smpp, door)
    assert len(pauses) == 3


# Texts out


async def test_a_text_goes_out_and_its_ids_come_back_in_order(door: Door) -> None:
    smpp = carrier(door.host)
    async with served(smpp, Desk()):
        await bound(smpp, door)
        assert (await smpp.send(TEXT)).ids == ("m1",)
        assert (await smpp.send(LONG)).ids == ("m2", "m3", "m4")


async def test_without_a_connection_everything_waits(door: Door) -> None:
    smpp = carrier(door.host)
    with pytest.raises(Busy, match="carrier smpp is not connected"):
        await smpp.send(TEXT)
    async with served(carrier(door.host, mode="receiver"), Desk()):
        await door.got("bind_receiver")
        with pytest.raises(Busy):
            await smpp.send(TEXT)


async def test_of_a_text_that_was_taken_in_part_only_the_rest_is_sent_again(door: Door) -> None:
    smpp = carrier(door.host, window=1)  # so the parts go one after another
    async with served(smpp, Desk()):
        await bound(smpp, door)
        sending = asyncio.create_task(smpp.send(LONG))
        door.smsc.silent.add(pdu.SUBMIT_SM)
        for number, code in ((1, status.ROK), (2, status.RTHROTTLED), (3, status.ROK)):
            one = (await door.got("submit_sm", number))[-1]
            door.smsc.say(Pdu(pdu.SUBMIT_SM | pdu.RESP, one.sequence, code, b"a%d\0" % number))
            door.flush()
        with pytest.raises(Busy) as caught:
            await sending
        assert (caught.value.code, caught.value.after) == ("0x58", 1.0)
        door.smsc.silent.clear()
        receipt = await smpp.send(LONG)
        assert receipt.ids == ("a1", "m1", "a3")
        sent = [Message.read(one.body).short_message for one in door.smsc.named("submit_sm")]
        assert len(sent) == 4
        assert sent[3] == sent[1], "the same part with the same reference"
        assert (await smpp.send(LONG)).ids == ("m2", "m3", "m4"), "and then nothing is remembered"


async def test_a_refusal_of_one_part_is_one_of_the_text(door: Door) -> None:
    smpp = carrier(door.host, window=1)
    async with served(smpp, Desk()):
        await bound(smpp, door)
        door.smsc.silent.add(pdu.SUBMIT_SM)
        sending = asyncio.create_task(smpp.send(LONG))
        for number, code in ((1, status.RSYSERR), (2, status.RINVDSTADR), (3, status.ROK)):
            one = (await door.got("submit_sm", number))[-1]
            door.smsc.say(Pdu(pdu.SUBMIT_SM | pdu.RESP, one.sequence, code, b"x\0"))
            door.flush()
        with pytest.raises(Refused) as caught:
            await sending
        assert caught.value.code == "0x0B"
        assert not smpp.begun, "whoever sends it again some day sends all of it"


async def test_texts_of_which_parts_were_taken_are_remembered_up_to_a_limit(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "BEGUN", 3)
    smpp = carrier(door.host)
    for count in range(10):
        with pytest.raises(Busy):
            await smpp.send(replace(LONG, id=f"t{count}"))
    assert smpp.begun == 3


async def test_no_more_wait_for_answers_than_the_window_has_room_for(door: Door) -> None:
    smpp = carrier(door.host, window=2, binds=2)
    door.prepare = lambda smsc: smsc.silent.add(pdu.SUBMIT_SM)
    async with served(smpp, Desk()):
        await bound(smpp, door, 2)
        sending = [asyncio.create_task(smpp.send(replace(TEXT, id=f"t{count}"))) for count in range(10)]
        await door.until(lambda: sum(len(smsc.named("submit_sm")) for smsc in door.all) == 4)
        assert [len(smsc.named("submit_sm")) for smsc in door.all] == [2, 2], "by the connection with most room"
        given_up = sending.pop(5)
        given_up.cancel()
        answered: set[tuple[int, int]] = set()
        while not all(task.done() for task in sending):
            for at, smsc in enumerate(door.all):
                for one in smsc.named("submit_sm"):
                    if (at, one.sequence) not in answered:
                        answered.add((at, one.sequence))
                        smsc.say(Pdu(pdu.SUBMIT_SM | pdu.RESP, one.sequence, 0, b"x\0"))
            door.flush()
            await asyncio.sleep(0.001)
        assert len(answered) == 9


async def test_a_text_that_nobody_answers_may_be_tried_again(door: Door) -> None:
    smpp = carrier(door.host, answer_seconds=0.05)
    door.prepare = lambda smsc: smsc.silent.add(pdu.SUBMIT_SM)
    async with served(smpp, Desk()):
        await bound(smpp, door)
        with pytest.raises(NotNow, match="did not answer in time"):
            await smpp.send(TEXT)


async def test_so_may_one_whose_connection_was_lost(door: Door) -> None:
    smpp = carrier(door.host)
    door.prepare = lambda smsc: smsc.silent.add(pdu.SUBMIT_SM)
    async with served(smpp, Desk()):
        await bound(smpp, door)
        sending = asyncio.create_task(smpp.send(TEXT))
        await door.got("submit_sm")
        door.drop()
        with pytest.raises(NotNow, match="was lost before it answered"):
            await sending


async def test_an_address_that_no_field_takes_is_refused(door: Door) -> None:
    smpp = carrier(door.host)
    async with served(smpp, Desk()):
        await bound(smpp, door)
        with pytest.raises(Refused):
            await smpp.send(replace(TEXT, destination="Łódź"))
        assert (await smpp.send(TEXT)).ids


# Connections


async def test_pairs_of_transmitters_and_receivers(door: Door) -> None:
    smpp, desk = carrier(door.host, mode="pair", binds=2), Desk()
    async with served(smpp, desk):
        await bound(smpp, door, 4)
        modes = sorted(smsc.got[0].name for smsc in door.all)
        assert modes == ["bind_receiver"] * 2 + ["bind_transmitter"] * 2
        assert (await smpp.send(TEXT)).ids
        receiver = next(smsc for smsc in door.all if smsc.named("bind_receiver"))
        receiver.deliver()
        door.flush()
        await door.until(lambda: receiver.named("deliver_sm_resp"))
    assert len(desk.kept) == 1


async def test_the_next_host_takes_over(door: Door) -> None:
    other = Door()
    await other.open()
    smpp = carrier(door.host, other.host)
    async with served(smpp, Desk()):
        await bound(smpp, door)
        await door.close()
        await other.until(lambda: other.all)
        await bound(smpp, other)
        assert (await smpp.send(TEXT)).ids
    await other.close()
    await door.open()


def test_a_wrong_password_is_not_tried_again_at_once() -> None:
    async def story() -> None:
        door = Door(lambda smsc: smsc.status.update({pdu.BIND_TRANSCEIVER: status.RINVPASWD}))
        await door.open()
        smpp = carrier(door.host, reconnect_seconds=3600)
        async with served(smpp, Desk()):
            await door.got("bind_transceiver")
            await asyncio.sleep(2800)
            assert len(door.all) == 1
            with pytest.raises(Busy):
                await smpp.send(TEXT)
            await asyncio.sleep(1600)
            assert len(door.all) == 2
        await door.close()

    jumping.run(story())


async def test_it_takes_leave_when_it_is_cancelled(door: Door) -> None:
    smpp, desk = carrier(door.host), Desk()
    task = asyncio.create_task(smpp.serve(desk))
    await bound(smpp, door)
    desk.open.clear()
    door.smsc.deliver()
    door.flush()
    await door.until(lambda: any(link.session.working for link in smpp.connections))
    task.cancel()
    await asyncio.sleep(0)
    desk.open.set()
    await left(task)
    assert [one.name for one in door.smsc.got[1:]] == ["deliver_sm_resp", "unbind"]
    assert door.smsc.got[1].status == status.ROK
    assert not smpp.connections
    async with served(smpp, desk):  # and may be served again
        await bound(smpp, door)
        assert (await smpp.send(TEXT)).ids


# Its section


def test_a_password_is_never_shown() -> None:
    section = SmppSection.model_validate({"password": "hunter2"})
    smpp = carrier("127.0.0.1:1", system_type="x")
    for shown in (repr(section), str(section), render(section), section.model_dump_json(), repr(section.bind)):
        assert "hunter2" not in shown
    assert "secret" not in repr(vars(smpp))


def test_it_may_be_in_a_file_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("hunter2\n")
    section = SmppSection.model_validate({"password_file": tmp_path / "password"})
    assert section.bind.password == "hunter2"
    assert "hunter2" not in repr(section)


@pytest.mark.parametrize(
    "settings",
    [
        {"hosts": ["smsc.example.com"]},
        {"hosts": ["smsc.example.com:0"]},
        {"hosts": ["a b:1"]},
        {"hosts": []},
        {"country": "us"},
        {"tls_ca": __file__},
        {"password": "a", "password_file": __file__},
        {"password_file": "/nowhere"},
        {"mode": "both"},
        {"window": 0},
        {"system_id": "x" * 65},
    ],
)
def test_settings_that_make_no_sense(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SmppSection.model_validate(settings)


def test_hosts_may_be_ipv6() -> None:
    section = SmppSection(hosts=("[2001:db8::1]:2775", "smsc.example.com:3550"))
    assert section.addresses == (("2001:db8::1", 2775), ("smsc.example.com", 3550))


def test_a_file_that_is_no_certificate_is_said_when_it_starts() -> None:
    with pytest.raises(Invalid) as caught:
        Smpp(SmppSection.model_validate({"tls": True, "tls_ca": __file__}), site())
    assert caught.value.faults[0].where == "carriers.smpp"
