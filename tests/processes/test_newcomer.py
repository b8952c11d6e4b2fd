"""What a newcomer types beside `edge serve --demo`: a call that is heard and saved, texts, and mistakes."""

from __future__ import annotations

import re
import socket
import subprocess
import time
import wave
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from edge.phone import sound_seconds
from tests.calls.daemon import HOST
from tests.processes.newcomer import NUMBER, Newcomer

pytestmark = pytest.mark.server

UNKNOWN = "+14155550177"
CALLER = "+14155550199"
Command = subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Newcomer]:
    one = Newcomer(tmp_path_factory.mktemp("newcomer"))
    try:
        one.serve("--demo")
        yield one
        assert one.stop() == 0, one.log
    finally:
        one.process.kill()


@pytest.fixture(scope="module", autouse=True)
def calling(newcomer: Newcomer) -> Iterator[Future[Command]]:
    """The call of the README; it takes ten seconds, in which the other tests run."""
    with ThreadPoolExecutor(1) as pool:
        words = ("call", NUMBER, "--digits", "1,,#", "--save", "heard.wav", "--to", newcomer.sip)
        yield pool.submit(newcomer.edge, *words)


@pytest.fixture
def called(calling: Future[Command]) -> Command:
    return calling.result(60)


def ladder(command: Command) -> list[str]:
    """What was told, without the times."""
    lines = command.stderr.splitlines()
    assert all(re.match(r" +\d+\.\d{3} s  [→←♪] ", line) for line in lines), command.stderr
    return [line.partition(" s  ")[2] for line in lines]


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_text_is_answered(newcomer: Newcomer, transport: str) -> None:
    said = newcomer.edge("text", NUMBER, "hello", "--to", newcomer.sip, "--transport", transport)
    assert (said.returncode, said.stdout) == (0, f"Hello {CALLER}, this is the edge. You wrote: hello\n"), said.stderr
    told = [line.split(" sip:")[0] for line in ladder(said)]
    assert told == ["→ MESSAGE", "← 202 Accepted", "← MESSAGE", "→ 200 OK"]


def test_a_call_over_tcp_is_answered(newcomer: Newcomer) -> None:
    said = newcomer.edge("call", NUMBER, "--to", newcomer.sip, "--transport", "tcp", "--seconds", "1")
    assert said.returncode == 0, said.stderr
    heard = re.match(r"heard (\d\.\d) s of audio, (\d\.\d) s of it sound", said.stdout)
    assert heard is not None
    assert 0.7 <= float(heard[1]) <= 1.1
    assert ladder(said)[-2:] == [f"→ BYE sip:{newcomer.sip};transport=tcp", "← 200 OK"]


def test_a_call_to_an_unknown_number_fails_with_its_answer(newcomer: Newcomer) -> None:
    said = newcomer.edge("call", UNKNOWN, "--to", newcomer.sip)
    assert (said.returncode, said.stdout) == (1, "")
    assert said.stderr.endswith("not answered: 404 Not Found\n")


def test_a_text_to_an_unknown_number_fails_with_its_answer(newcomer: Newcomer) -> None:
    said = newcomer.edge("text", UNKNOWN, "hello", "--to", newcomer.sip)
    assert (said.returncode, said.stdout) == (1, "")
    assert said.stderr.endswith("not taken: 404\n")


def test_a_call_that_nobody_answers_is_given_up(newcomer: Newcomer) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
        deaf.bind((HOST, 0))
        since = time.monotonic()
        said = newcomer.edge("call", NUMBER, "--to", f"{HOST}:{deaf.getsockname()[1]}", "--seconds", "1")
        assert time.monotonic() - since < 10
    assert (said.returncode, said.stdout) == (1, "")
    assert said.stderr.endswith("not answered: 487 we gave up\n")


@pytest.mark.parametrize("command", [("call", NUMBER), ("text", NUMBER, "hello")], ids=["call", "text"])
def test_nobody_listens_there(newcomer: Newcomer, command: tuple[str, ...]) -> None:
    with socket.socket() as closed:
        closed.bind((HOST, 0))
        said = newcomer.edge(*command, "--to", f"{HOST}:{closed.getsockname()[1]}", "--transport", "tcp")
    assert (said.returncode, said.stdout) == (1, "")
    assert re.search(r"(not answered|not taken): 503", said.stderr)


# The call


def test_a_call_is_told_as_a_ladder(called: Command, newcomer: Newcomer) -> None:
    assert called.returncode == 0, called.stderr
    told = ladder(called)
    assert told[0] == f"→ INVITE sip:{NUMBER}@{newcomer.sip}"
    assert [line for line in told if line.startswith("♪ pressed")] == ["♪ pressed 1", "♪ pressed #"]
    words = [line.split(" sip:")[0] for line in told if not line.startswith("♪")]
    assert words == ["→ INVITE", "← 100 Trying", "← 200 OK", "→ ACK", "← BYE", "→ 200 OK"]


def test_what_was_heard_is_said_and_saved(called: Command, newcomer: Newcomer) -> None:
    said = re.fullmatch(
        r"heard (\d+\.\d) s of audio, (\d+\.\d) s of it sound; pressed 1#; saved to heard.wav\n", called.stdout
    )
    assert said is not None, called.stdout
    audio, sound = float(said[1]), float(said[2])
    lines = called.stderr.splitlines()
    (answered,) = [float(line.split()[0]) for line in lines if line.endswith("← 200 OK")]
    (ended,) = [float(line.split()[0]) for line in lines if "← BYE" in line]
    assert audio == pytest.approx(ended - answered, abs=0.2)  # it never fell silent
    assert 3 < sound < audio

    saved = newcomer.folder / "heard.wav"
    with wave.open(str(saved)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 8000)
        assert file.getnframes() / 8000 == pytest.approx(audio, abs=0.1)
        assert sound_seconds(file.readframes(file.getnframes())) == pytest.approx(sound, abs=0.1)


def test_the_keys_reach_the_flow(called: Command, newcomer: Newcomer) -> None:
    def steps() -> list[str]:
        calls = [one for one in newcomer.list(f"/v1.0/calls?number=%2B{NUMBER[1:]}") if len(one["edge"]["steps"]) > 5]
        return [step["step"] for one in calls for step in one["edge"]["steps"]]

    deadline = time.monotonic() + 5
    while not (ran := steps()):
        assert time.monotonic() < deadline, "no record of the call"
        time.sleep(0.05)  # asked again until the deadline
    # "1" has the tone played and is asked again; "#" is no choice, and ends the call
    assert ran == ["pick-up", "greet", "ask", "decide", "tone", "again", "ask", "decide", "part", "end"]
