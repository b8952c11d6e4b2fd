"""The harness of `make bench` counts right; what it finds is printed, never asserted."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import struct
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bench import contender, ours, relay, run, step, texts
from bench.job import Round
from bench.listener import Pacing, Packet, pacing
from bench.machine import HOST
from bench.relay import Heard
from bench.run import Job

SCENARIOS = Path(run.__file__).parent / "scenarios"


def job(**found: list[Round]) -> Job:
    servers = dict.fromkeys([name.replace("_", " ") for name in found])
    rounds = {name.replace("_", " "): rounds for name, rounds in found.items()}
    return Job("redirect", "µs CPU/call", lambda *_: Round(0, 0, 0, 0), servers, found=rounds)  # type: ignore[arg-type]


def rounds(*values: float, failed: int = 0) -> list[Round]:
    return [Round(value, 1000 - failed, failed, 0) for value in values]


def test_a_row_for_each_peer_with_medians_ratio_and_floor() -> None:
    one = job(edge=rounds(40, 30, 35), Kamailio=rounds(70, 90, 80), htable=rounds(60), C_floor=rounds(10))
    assert list(run.rows([one])) == [
        {
            "job": "redirect",
            "unit": "µs CPU/call",
            "ours": 35,
            "peer": "Kamailio",
            "peer_value": 80,
            "floor": 10,
            "ratio": 0.438,
        },
        {
            "job": "redirect",
            "unit": "µs CPU/call",
            "ours": 35,
            "peer": "htable",
            "peer_value": 60,
            "floor": 10,
            "ratio": 0.583,
        },
    ]


def test_a_round_in_which_calls_failed_does_not_count() -> None:
    one = job(edge=[*rounds(40), *rounds(1, failed=500)], Kamailio=rounds(5, failed=20))
    (row,) = run.rows([one])
    assert (row["ours"], row["peer_value"], row["ratio"]) == (40, None, None)
    assert "failed" in list(run.table([one]))[2]


def test_rows_of_jobs_that_were_not_done_stay() -> None:
    before: list[dict[str, object]] = [{"job": "redirect", "ours": 1}, {"job": "bridge", "ours": 2}]
    found = run.merged(before, [job(edge=rounds(12.345))])
    assert [(row["job"], row["ours"]) for row in found] == [("bridge", 2), ("redirect", 12.35)]


def test_without_a_peer_there_is_a_row_of_our_own() -> None:
    (row,) = run.rows([job(edge=rounds(12.345))])
    assert (row["ours"], row["peer"], row["ratio"]) == (12.35, None, None)


def test_pacing_has_rows_of_its_own() -> None:
    even, uneven = Pacing(1, 1000, 0.1, 0.5, 0), Pacing(1, 1000, 0.1, 5.0, 20)
    one = job(edge=[Round(1, 10, 0, 0, even)], Sippy=[Round(4, 10, 0, 0, uneven)])
    found = {row["unit"]: (row["ours"], row["peer_value"], row["ratio"]) for row in run.rows([one])}
    assert found["ms pacing error p99"] == (0.5, 5.0, 0.1)
    assert found["late packets per 1000"] == (0.0, 20.0, 0.0)


def packets(arrivals_ms: list[float], kind: int = 0) -> list[Packet]:
    return [
        (
            struct.pack("!BBHII", 0x80, kind, n, n * 160, 7),
            24000,
            struct.pack("qq", int(ms // 1000), int(ms % 1000 * 1e6)),
        )
        for n, ms in enumerate(arrivals_ms)
    ]


def test_even_packets_have_no_error() -> None:
    found = pacing(packets([20.0 * n for n in range(100)]))
    assert (found.streams, found.packets, found.late) == (1, 100, 0)
    assert found.error_p99_ms == pytest.approx(0, abs=1e-3)


def test_a_late_packet_is_seen_and_so_is_its_error() -> None:
    arrivals = [20.0 * n for n in range(100)]
    arrivals[50] += 30
    found = pacing(packets(arrivals))
    assert found.late == 1
    assert found.error_p99_ms == pytest.approx(30, abs=1e-3)


def test_what_counts_as_late_can_be_said() -> None:
    arrivals = [20.0 * n for n in range(100)]
    arrivals[50] += 6
    assert [pacing(packets(arrivals), late_ms).late for late_ms in (5, 7)] == [1, 0]


def test_rtcp_is_left_out() -> None:
    assert pacing(packets([0.0, 20.0], kind=200)).packets == 0


def test_a_relay_is_told_of_with_the_time_on_the_way() -> None:
    heard = [Heard(1000, 1000, 0, p50, 9.0) for p50 in (1.0, 2.0, 6.0)]
    one = Job("relay", "µs", lambda *_: Round(0, 0, 0, 0), {"edge": contender.edge})
    one.found["edge"] = [Round(10, 1000, 0, 0, heard=each, cores=0.5) for each in heard]
    assert list(run.table([one]))[1].endswith("10.0 10.0 10.0; on the way p50 2.0 ms, p99 9.0 ms; 50 % of a core")


def test_texts_at_a_rate_are_told_of_with_their_waits_and_our_commits() -> None:
    waits = {"edge": texts.Acknowledged(5.0, 20.0, 40.0, 150.0), "Kannel": texts.Acknowledged(2.0, 10.0, 30.0, None)}
    one = Job("texts", "ms p99", lambda *_: Round(0, 0, 0, 0), dict.fromkeys(waits, contender.edge))
    one.found = {name: [Round(wait.p99_ms, 5000, 0, 0, acknowledged=wait, cores=0.5)] for name, wait in waits.items()}
    ours, theirs = list(run.table([one]))[1:]
    assert ours.endswith(
        "20.0; acknowledged after p50 5.0 ms, p99 20.0 ms, at most 40.0 ms; 150 commits/s; 50 % of a core"
    )
    assert theirs.endswith("10.0; acknowledged after p50 2.0 ms, p99 10.0 ms, at most 30.0 ms; 50 % of a core")
    found = [(row["unit"], row["ours"], row["peer_value"]) for row in run.rows([one])]
    assert found == [
        ("ms p99", 20.0, 10.0),
        ("ms p50", 5.0, 2.0),
        ("ms at most", 40.0, 30.0),
        ("commits/s", 150.0, None),
    ]


@pytest.mark.parametrize(
    ("value", "data"),
    [
        ({"command": "ping"}, b"d7:command4:pinge"),
        (
            {"sdp": "v=0\r\n", "ICE": "remove", "replace": ["origin"]},
            b"d3:ICE6:remove7:replacel6:origine3:sdp5:v=0\r\ne",
        ),
    ],
)
def test_bencode(value: dict[str, relay.Value], data: bytes) -> None:
    assert relay.encode(value) == data
    assert relay.decode(b"cookie " + data, 7) == (value, 7 + len(data))
    assert relay.decode(b"d7:createdi17e5:totalli1ei2eee")[0] == {"created": "17", "total": ["1", "2"]}


def test_the_ports_of_a_relay_are_known_when_all_are_printed(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert relay.printed(log) == []
    log.write_text("26500\n26502\n")
    assert relay.printed(log) == []
    log.write_text("26500\n26502\n\n")
    assert relay.printed(log) == [26500, 26502]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
@pytest.mark.parametrize("start", [contender.relay_alone(2), contender.relay_floor(2)], ids=["ours", "floor"])
def test_telephones_hear_each_other(tmp_path: Path, start: contender.Start) -> None:
    program = relay.build(contender.PEERS / "rtp_load.c", tmp_path)
    with start(tmp_path) as server:
        heard = relay.talk(program, list(server.targets), 0.2)
    assert heard.sent == pytest.approx(40, abs=8)
    assert (heard.received, heard.wrong) == (heard.sent, 0)
    assert 0 <= heard.p50_ms <= heard.p99_ms


def test_numbers_are_ten_thousand_and_their_strangers_are_others() -> None:
    known, unknown = set(ours.numbers()), set(ours.strangers())
    assert len(known) == len(unknown) == ours.NUMBERS
    assert not known & unknown
    assert not {ours.GREETED, ours.GREETED_LONG, ours.HELD, ours.BRIDGED, ours.CALLEE} & known


async def test_every_step_of_the_flow_is_taken() -> None:
    value, steps = await step.measure(2)
    assert value > 0
    assert steps == 2 * (4 * step.ROUNDS + 5)


@pytest.mark.parametrize("path", sorted(SCENARIOS.glob("*.xml")), ids=lambda path: path.stem)
def test_scenarios_are_xml(path: Path) -> None:
    assert ElementTree.fromstring(path.read_text()).tag == "scenario"


@pytest.mark.parametrize("answered", [True, False])
def test_texts_are_of_many_people_to_numbers_that_answer_or_do_not(answered: bool) -> None:
    found = [*texts.texts(6000, answered=answered)]
    assert {text.destination for text in found} == set(ours.texted(answered=answered)) <= set(ours.numbers())
    assert len({text.id for text in [*found, *texts.texts(6000, answered=answered)]}) == 12_000
    assert len({text.source for text in found}) == 5000
    assert not set(ours.texted(answered=True)) & set(ours.texted(answered=False))


TEXT = texts.Text("1", "+14155550111", "+15550000001", "hello")


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
@pytest.mark.parametrize("rate", [0, 2000])
async def test_the_load_by_webhook_hears_answers_and_takes_replies(tmp_path: Path, rate: float) -> None:
    came = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal came
        with contextlib.suppress(asyncio.IncompleteReadError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                await reader.readexactly(int(head.split(b"Content-Length: ")[1].split()[0]))
                came += 1
                status = b"503 No" if came % 10 == 0 else b"200 OK"
                writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 2\r\n\r\n{}")
                if came % 4 == 0:
                    back, out = await asyncio.open_connection(HOST, texts.REPLIES_PORT)
                    out.write(b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc")
                    assert (await back.readuntil(b"ok")).startswith(b"HTTP/1.1 200")
                    out.close()
        writer.close()

    async with await asyncio.start_server(serve, HOST, 0) as server:
        port = server.sockets[0].getsockname()[1]
        requests = [texts.to_edge(TEXT)] * 200
        taken = await asyncio.to_thread(texts.post, tmp_path, port, requests, rate=rate, replies=50)
    assert (taken.sent, taken.accepted, taken.replies) == (200, 180, 50)
    assert 0 < taken.p50_ms <= taken.p99_ms


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
async def test_the_load_by_smpp_keeps_its_window_and_sends_again_what_was_refused_for_now(tmp_path: Path) -> None:
    under_way, most, came, refused = set[int](), 0, 0, False

    def pdu(command: int, status: int, sequence: int, body: bytes = b"") -> bytes:
        return struct.pack(">IIII", 16 + len(body), command, status, sequence) + body

    async def work() -> None:
        nonlocal most, came, refused
        while True:
            try:
                reader, writer = await asyncio.open_connection(HOST, texts.SMSC_PORT)
                break
            except OSError:
                await asyncio.sleep(0.01)  # it is about to listen
        writer.write(pdu(9, 0, 1, b"bench\0\0\0\x34\0\0\0"))
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                length, command, _, sequence = struct.unpack(">IIII", await reader.readexactly(16))
                await reader.readexactly(length - 16)
                if command != 5:
                    continue
                came += 1
                under_way.add(sequence)
                most = max(most, len(under_way))
                if len(under_way) >= texts.WINDOW or came > 550:
                    for number in under_way:
                        again = number == 7 and not refused
                        refused = refused or again
                        writer.write(pdu(0x80000005, 0x64 if again else 0, number))
                    under_way.clear()
                if came % 10 == 0:
                    writer.write(pdu(4, 0, 1000 + came))
        writer.close()

    def load() -> texts.Taken:
        with texts.smsc(tmp_path, rate=0, replies=50) as smsc:
            return smsc.deliver([texts.to_esme(TEXT)] * 600)

    working = asyncio.create_task(work())
    taken = await asyncio.to_thread(load)
    await working
    assert (taken.sent, taken.accepted, taken.replies >= 50) == (600, 600, True)
    assert (most, came) == (texts.WINDOW, 601)
