"""`edge simulate` as it is typed: what it prints, what it compares, and with which status it ends."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner, Result

from edge import __main__ as cli

EXAMPLES = Path(__file__).parents[2] / "config" / "flows"
AT = ("--at", "2026-12-25T09:00:00+00:00")
COMMANDS = get_command(cli.app)

MENU: list[dict[str, Any]] = [
    {"type": "answer"},
    {"id": "ask", "type": "digits_receive", "option": {"duration": 3000, "length": 1}},
    {"type": "branch", "option": {"target_ids": {"1": "sales"}, "default_target_id": "ask"}},
    {"id": "sales", "type": "redirect", "option": {"destinations": ["sip:sales@pbx.example"]}},
]
ECHO = [{"id": "echo", "type": "reply", "option": {"text": "${voipbin.conversation_message.text} ${x}"}}]


@pytest.fixture(autouse=True)
def _apart(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("EDGE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr("typer.testing._get_command", lambda app: COMMANDS)


def simulate(*words: str) -> Result:
    return CliRunner().invoke(cli.app, ["simulate", *words])


def written(folder: Path, actions: list[dict[str, Any]], name: str = "flow.json") -> str:
    path = folder / name
    path.write_text(json.dumps({"name": "Tried", "actions": actions}))
    return str(path)


def test_a_file_is_simulated_and_the_command_stands_above_it(tmp_path: Path) -> None:
    path = written(tmp_path, MENU)
    result = simulate(path, "--digits", "2,,1", "--caller", "+442079460000", *AT)
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        f"$ edge simulate {path} --digits 2,,1 --caller +442079460000 --at 2026-12-25T09:00:00+00:00",
        "Tried: a call from +442079460000 to +14155550100",
        "Fri 2026-12-25 09:00:00 UTC",
        "",
        "     0.0  step-1  answer          answers the call",
        "     0.0  ask     digits_receive  waits for 1 key, 3 s at most",
        "     0.0                          the caller types 2",
        '     0.0                          gets "2"',
        '     0.0  step-3  branch          voipbin.call.digits is "2" → to ask',
        "     0.0  ask     digits_receive  waits for 1 key, 3 s at most",
        "     2.2                          the caller types 1",
        '     2.2                          gets "1"',
        '     2.2  step-3  branch          voipbin.call.digits is "1" → to sales',
        "     2.2  sales   redirect        refers the caller to sip:sales@pbx.example",
        "     2.2                          that comes out as 200",
        "     2.2  end: the caller was sent elsewhere; 6 steps",
        "",
        "reached 4 of 4 steps",
    ]


def test_texts_and_variables_take_several_words(tmp_path: Path) -> None:
    path = written(tmp_path, ECHO)
    result = simulate(path, "--texts", "hi", "stop it", "--variables", "x=1", "y=a=b", "--every", "60", *AT)
    assert result.exit_code == 0
    assert 'replies: "hi 1"' in result.stdout
    assert 'replies: "stop it 1"' in result.stdout
    assert "    60.0  the text:" in result.stdout
    assert simulate(path, "--texts", "--at", *AT).exit_code == 0  # the word behind the option is its value


def test_texts_bring_media(tmp_path: Path) -> None:
    said = "${edge.message.media.count}: ${edge.message.media.1:-none}"
    path = written(tmp_path, [{"type": "reply", "option": {"text": said}}])
    assert 'replies: "0: none"' in simulate(path, "--texts", "hi", *AT).stdout
    urls = ("https://a.example/1.jpg", "https://a.example/2.jpg")
    assert f'replies: "2: {urls[1]}"' in simulate(path, "--texts", "", "--media", *urls, *AT).stdout
    wrong = simulate(path, "--texts", "hi", "--media", "file:///etc/passwd", *AT)
    assert (wrong.exit_code, "--media[0]: an http or https URL is needed" in wrong.stderr) == (2, True)


def test_without_a_time_it_is_now_and_the_command_above_says_when(tmp_path: Path) -> None:
    result = simulate(written(tmp_path, MENU))
    again = simulate(*result.stdout.splitlines()[0].split()[3:])
    assert " --at 20" in result.stdout.splitlines()[0]
    assert again.stdout == result.stdout


def test_json_is_for_machines(tmp_path: Path) -> None:
    found = json.loads(simulate(written(tmp_path, MENU), "--digits", "1", "--json", *AT).stdout)
    assert found["never_reached"] == []
    assert [event["step"] for event in found["runs"][0]["events"]][:2] == ["step-1", "ask"]
    assert found["runs"][0]["outcome"] == "ended"


def test_what_web_servers_answer_comes_from_files(tmp_path: Path) -> None:
    (tmp_path / "steps").write_text('[{"id": "in", "type": "stop"}]')
    path = written(tmp_path, [{"id": "f", "type": "fetch", "option": {"event_url": "https://example.com/?a=1"}}])
    assert "in" in simulate(path, "--answer", f"https://example.com/={tmp_path / 'steps'}", *AT).stdout
    refused = simulate(path, "--answer", "https://example.com/=503", *AT)
    assert (refused.exit_code, "answered 503" in refused.stdout) == (0, True)


def test_calendars_and_lists_of_callers_come_from_files(tmp_path: Path) -> None:
    (tmp_path / "office").write_text('{"hours": [{"weekdays": [5], "from": "09:00", "to": "17:00"}]}')
    option = {"calendar": "office", "false_target_id": "closed"}
    steps: list[dict[str, Any]] = [
        {"id": "open", "type": "condition_datetime", "option": option},
        {"id": "in", "type": "answer"},
        {"id": "closed", "type": "stop"},
    ]
    path = written(tmp_path, steps)
    given = ("--calendar", f"office={tmp_path / 'office'}")
    assert "reached 3 of 3" in simulate(path, *given, "--at", "2026-12-25T09:00Z").stdout
    assert "never: in" in simulate(path, *given, "--at", "2026-12-25T08:59Z").stdout
    assert "assumed: the calendar office is not known here; it is open" in simulate(path, *AT).stdout
    (tmp_path / "office").write_text('{"hours": [{"from": "9"}]}')
    assert simulate(path, *given, *AT).stderr.startswith("--calendar.office.hours[0].from: ")
    (tmp_path / "office").write_text("{")
    assert "office: is no JSON" in simulate(path, *given, *AT).stderr


def test_another_flow_may_be_a_file(tmp_path: Path) -> None:
    id = "01910000-0000-7000-8000-000000000001"
    other = written(tmp_path, [{"id": "inner", "type": "answer"}], "other.json")
    path = written(tmp_path, [{"id": "in", "type": "fetch_flow", "option": {"flow_id": id}}])
    assert "inner" in simulate(path, "--with", f"{id}={other}", *AT).stdout
    assert f"--with {id}=FILE gives one" in simulate(path, *AT).stdout


@pytest.mark.parametrize(
    ("words", "status", "error"),
    [
        (["{file}", "--digits", "1x"], 2, "--digits: digits: 'x' at place 2"),
        (["{file}", "--at", "noon"], 2, "--at: "),
        (["{file}", "--at", "2026-12-25T09:00 Mars/Base"], 2, "--at: is no time like"),
        (["{file}", "--connect", "maybe"], 2, "--connect: "),
        (["{file}", "--variables", "x"], 2, "--variables: 'x' is not NAME=VALUE"),
        (["{file}", "--answer", "http://x/=nowhere"], 2, "--answer: nowhere: No such file or directory"),
        (["{file}", "--sing"], 2, "No such option"),
        (["{file}", "--texts", "hi"], 1, "texts: the flow is for a call"),
        (["{folder}/not-there.json"], 1, "not-there.json: No such file or directory"),
        (["{folder}/broken.json"], 1, "broken.json: is no JSON"),
        (
            ["{folder}/wrong.json"],
            1,
            "wrong.json: actions[0].type (id step-1): there is no action 'anser'; did you mean answer?",
        ),
        ([], 1, "which flow?"),
        (["{file}", "--check", "{folder}"], 2, "either FLOW or --check"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, words: list[str], status: int, error: str) -> None:
    path = written(tmp_path, MENU)
    (tmp_path / "broken.json").write_text("{")
    written(tmp_path, [{"type": "anser"}], "wrong.json")
    result = simulate(*(word.format(file=path, folder=tmp_path) for word in words))
    assert result.exit_code == status
    assert error in result.stderr
    assert result.stdout == ""


# Golden transcripts


def kept(folder: Path, *words: str, name: str = "menu--one.txt") -> Path:
    """A golden transcript of a flow, made as its owner makes it."""
    (folder / "golden").mkdir(exist_ok=True)
    path = folder / "golden" / name
    path.write_text("$ edge simulate " + " ".join(words) + "\n")
    return path


def test_goldens_are_written_compared_and_shown_when_they_differ(tmp_path: Path) -> None:
    written(tmp_path, MENU, "menu.json")
    path = kept(tmp_path, "menu.json", "--digits", "1", *AT)
    made = simulate("--check", str(tmp_path), "--update")
    assert (made.exit_code, made.stdout) == (0, f"{path}: written\n1 transcript, 1 written\n")
    assert path.read_text().startswith("$ edge simulate menu.json --digits 1 --at 2026")
    same = simulate("--check", str(tmp_path))
    assert (same.exit_code, same.stdout) == (0, "1 transcript, 0 changed\n")
    written(
        tmp_path, [*MENU[:-1], {**MENU[-1], "type": "redirect", "option": {"destinations": ["sip:b@c"]}}], "menu.json"
    )
    other = simulate("--check", str(tmp_path))
    assert other.exit_code == 1
    assert "-     0.0  sales   redirect        refers the caller to sip:sales@pbx.example\n" in other.stdout
    assert "+     0.0  sales   redirect        refers the caller to sip:b@c\n" in other.stdout


def test_a_golden_is_made_by_keeping_what_the_command_prints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path, ECHO, "echo.json")
    monkeypatch.chdir(tmp_path)
    kept(tmp_path, name="echo--a.txt").write_text(simulate("echo.json", "--texts", "it's", "b").stdout)
    monkeypatch.chdir("/")
    assert simulate("--check", str(tmp_path)).stdout == "1 transcript, 0 changed\n"


def test_steps_that_no_transcript_reaches_are_told(tmp_path: Path) -> None:
    written(tmp_path, MENU, "menu.json")
    kept(tmp_path, "menu.json", "--hangup", "1", *AT)
    assert "menu.json: no transcript reaches step-3, sales\n" in simulate("--check", str(tmp_path), "--update").stdout
    kept(tmp_path, "menu.json", "--digits", "1", *AT, name="menu--two.txt")
    assert "no transcript reaches" not in simulate("--check", str(tmp_path), "--update").stdout


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("hello", "line 1: is not a command"),
        ("$ edge simulate 'menu.json", "line 1: No closing quotation"),
        ("$ edge simulate menu.json --sing", "line 1: No such option"),
        ("$ edge simulate menu.json", "line 1: has no --at"),
        ("$ edge simulate menu --at 2026-12-25T09:00", "line 1: menu is no file"),
        ("$ edge simulate --at 2026-12-25T09:00", "line 1: it is no file"),
        ("\udcff", "line 1: is not a command"),
        ("$ edge simulate gone.json --at 2026-12-25T09:00", "gone.json: No such file"),
    ],
)
def test_a_transcript_that_cannot_be_made_again_is_a_difference(tmp_path: Path, line: str, error: str) -> None:
    written(tmp_path, MENU, "menu.json")
    path = kept(tmp_path)
    path.write_text(line + "\n", errors="surrogateescape")
    for words in (["--check", str(tmp_path)], ["--check", str(tmp_path), "--update"]):
        result = simulate(*words)
        assert result.exit_code == 1
        assert f"{path}: " in result.stdout
        assert error in result.stdout
        assert result.stdout.endswith(", 1 cannot be made\n")
    assert path.read_text(errors="surrogateescape") == line + "\n"


def test_a_folder_without_transcripts_is_a_mistake(tmp_path: Path) -> None:
    result = simulate("--check", str(tmp_path))
    assert (result.exit_code, result.stderr) == (1, f"there are no transcripts in {tmp_path}/golden\n")


def test_the_examples_do_what_their_transcripts_say_and_these_reach_every_step() -> None:
    result = simulate("--check", str(EXAMPLES))
    assert result.stdout.endswith(" transcripts, 0 changed\n"), result.stdout
    assert result.exit_code == 0
    assert "no transcript reaches" not in result.stdout
    flows = {path.name.partition("--")[0] for path in (EXAMPLES / "golden").glob("*.txt")}
    assert flows == {path.stem for path in EXAMPLES.glob("*.json")}


def test_manners_and_keywords_are_those_of_the_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, ECHO)
    config = tmp_path / "edge.toml"
    config.write_text('[manners]\na_minute = 1\n\n[[keywords]]\nlanguage = "en"\nstop = ["GENUG"]\n')
    words = (path, "--texts", "a", "b", "genug", "--every", "1", *AT)
    for said in (simulate(*words, "--config", str(config)).stdout, simulate(*words, "--config=" + str(config)).stdout):
        assert "too often" in said
        assert "GENUG is a keyword" in said
    plain = simulate(*words).stdout
    assert "too often" not in plain
    assert "GENUG" not in plain
    monkeypatch.chdir(tmp_path)
    kept(tmp_path).write_text(simulate("flow.json", *words[1:]).stdout)
    monkeypatch.setenv("EDGE_CONFIG", str(config))  # what is kept does not depend on where it is compared
    assert simulate("--check", str(tmp_path)).stdout == "1 transcript, 0 changed\n"
