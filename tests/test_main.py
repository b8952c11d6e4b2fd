"""The command line, in this process: what each command prints, where, and with which status it ends."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from shutil import copy
from types import SimpleNamespace

import pytest
from typer.main import get_command
from typer.testing import CliRunner, Result

import edge
from edge import __main__ as cli
from edge import config as configuration
from edge.accounts.key import Identity
from edge.config import Config
from edge.demo import NUMBER, Demo, furnish
from edge.plugins import load
from edge.sessions.calls.record import Attempt, CallRecords
from edge.store.engine import StoreSection
from edge.store.metadata import new_id
from edge.store.writer import Writer
from edge.stores import open_stores
from tests.servers import apart, free_port

ROOT = Path(__file__).parent.parent
COMMANDS = get_command(cli.app)


@pytest.fixture(autouse=True)
def _a_bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("EDGE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(
        "typer.testing._get_command", lambda app: COMMANDS
    )  # built once: it takes longer than most tests


def run(*words: str) -> Result:
    return CliRunner().invoke(cli.app, words)


@pytest.fixture
def config(migrated_sqlite: Path, tmp_path: Path) -> str:
    """A configuration file on a database that is up to date and empty."""
    copy(migrated_sqlite, tmp_path / "edge.sqlite3")
    return written(tmp_path)


def written(folder: Path, more: str = "") -> str:
    path = folder / "edge.toml"
    path.write_text(f'{more}\ndata = "{folder}/data"\n[store]\nurl = "sqlite:///{folder}/edge.sqlite3"\n')
    return str(path)


@pytest.fixture(scope="module")
def furnished(migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A configuration file on a database with the demo in it, for tests that only look."""
    folder = tmp_path_factory.mktemp("furnished")
    copy(migrated_sqlite, folder / "edge.sqlite3")
    load("edge.actions")

    async def fill() -> Demo:
        section = StoreSection(url=f"sqlite:///{folder}/edge.sqlite3")
        async with open_stores(Config(data=folder, store=section)) as s:
            return await furnish(folder, folder / "prompts", s.customers, s.keys, s.numbers, s.flows)

    apart(fill())
    return written(folder)


# What needs no database


def test_without_a_word_it_says_what_there_is() -> None:
    result = run()
    assert result.exit_code == 2
    for command in (
        "serve",
        "check",
        "settings",
        "migrate",
        "key",
        "lookup",
        "explain",
        "call",
        "text",
        "segments",
        "simulate",
        "flow",
        "version",
    ):
        assert f"\n  {command} " in result.output


@pytest.mark.parametrize(
    "words", [["fly"], ["lookup"], ["check", "--fast"], ["call", NUMBER, "--seconds", "soon"], ["text", NUMBER]]
)
def test_what_is_no_command_of_ours_is_status_2(words: list[str]) -> None:
    result = run(*words)
    assert result.exit_code == 2
    assert "Usage: " in result.stderr
    assert result.stdout == ""


def test_the_version() -> None:
    result = run("version")
    assert (result.exit_code, result.stdout) == (0, f"{edge.__version__}\n")


def test_segments_of_a_text() -> None:
    result = run("segments", "It’s " + "a" * 70)
    told = json.loads(result.stdout)
    assert (told["encoding"], told["segments"], told["plain"]["segments"]) == ("UCS-2", 2, 1)
    assert [strange["character"] for strange in told["strange"]] == ["’"]


def test_settings_prints_the_file_in_the_repository() -> None:
    result = run("settings")
    assert (result.exit_code, result.stdout) == (0, (ROOT / "config" / "edge.toml").read_text())


def test_a_good_configuration_passes(config: str) -> None:
    result = run("check", "--config", config)
    assert (result.exit_code, result.stdout) == (0, "the configuration is good\n")


def test_the_file_may_be_named_in_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGE_CONFIG", str(tmp_path / "not-there.toml"))
    result = run("check")
    assert (result.exit_code, result.stderr) == (2, f"{tmp_path}/not-there.toml: No such file or directory\n")


@pytest.mark.parametrize(
    "words", [["check"], ["serve"], ["migrate"], ["key", "create", "--admin"], ["lookup", NUMBER], ["explain", NUMBER]]
)
def test_a_bad_configuration_is_status_2_and_a_line_for_each_fault(tmp_path: Path, words: list[str]) -> None:
    path = written(tmp_path, "keep_days = -1\ncolour = 'red'")
    result = run(*words, "-c", path)
    assert result.exit_code == 2
    assert result.stderr.splitlines() == [
        f"{path}: keep_days: Input should be greater than or equal to 0",
        f"{path}: colour: there is no such setting",
    ]
    assert result.stdout == ""
    assert not (tmp_path / "edge.sqlite3").exists()


# What is asked of a database


def test_migrate_says_what_it_applied_and_then_nothing(tmp_path: Path) -> None:
    path = written(tmp_path)
    first = run("migrate", "-c", path)
    assert first.exit_code == 0
    assert first.stdout.splitlines()[0] == "applied 0001"
    again = run("migrate", "-c", path)
    assert (again.exit_code, again.stdout) == (0, "the database is up to date\n")


def test_a_database_that_is_away_is_status_1_and_one_line(tmp_path: Path) -> None:
    path = tmp_path / "edge.toml"
    path.write_text(f"[store]\nurl = 'postgresql://u:geheim@127.0.0.1:{free_port()}/d'\n")
    for words in (["migrate"], ["key", "create", "--admin"], ["lookup", NUMBER], ["explain", NUMBER]):
        result = run(*words, "-c", str(path))
        assert result.exit_code == 1
        assert len(result.stderr.splitlines()) == 1
        assert "geheim" not in result.stderr


def identity(config: str, token: str) -> Identity | None:
    async def look() -> Identity | None:
        async with open_stores(configuration.load(Path(config))) as stores:
            return await stores.keys.identify(token)

    return apart(look())


def test_an_admin_s_key_is_printed_alone_and_opens(config: str) -> None:
    result = run("key", "create", "--admin", "--name", "first", "-c", config)
    assert result.exit_code == 0
    (token,) = result.stdout.splitlines()
    found = identity(config, token)
    assert found is not None
    assert found.admin


def test_a_customer_s_key_is_that_customer_s(config: str) -> None:
    async def customer() -> str:
        async with open_stores(configuration.load(Path(config))) as stores:
            return (await stores.customers.create("acme")).id

    owner = apart(customer())
    result = run("key", "create", "--customer", owner, "-c", config)
    assert result.exit_code == 0
    found = identity(config, result.stdout.strip())
    assert found is not None
    assert (found.customer_id, found.admin) == (owner, False)


@pytest.mark.parametrize("words", [[], ["--admin", "--customer", "0190f3c0-0000-7000-8000-00000000000a"]])
def test_a_key_is_an_admin_s_or_a_customer_s(config: str, words: list[str]) -> None:
    result = run("key", "create", *words, "-c", config)
    assert (result.exit_code, result.stdout, result.stderr) == (2, "", "either --admin or --customer ID\n")


@pytest.mark.parametrize("customer", ["0190f3c0-0000-7000-8000-00000000000a", "acme", ""])
def test_a_key_for_nobody_is_refused(config: str, customer: str) -> None:
    result = run("key", "create", "--customer", customer, "-c", config)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("customer_id: ")


def test_lookup_shows_a_number_and_the_tier_that_knew_it(furnished: str) -> None:
    result = run("lookup", NUMBER, "-c", furnished)
    assert result.exit_code == 0
    shown = json.loads(result.stdout)
    assert shown["source"] == "sql"
    assert (shown["number"]["number"], shown["number"]["status"]) == (NUMBER, "active")


@pytest.mark.parametrize("number", ["+14155550101", "hello", "", "+1415555010\n0"])
def test_lookup_of_what_is_not_there_is_status_1(furnished: str, number: str) -> None:
    result = run("lookup", number, "-c", furnished)
    assert (result.exit_code, json.loads(result.stdout)) == (1, {"source": "sql", "number": None})


@pytest.mark.parametrize(
    ("words", "e164", "flow", "refused"),
    [
        ([NUMBER], NUMBER, "Greeting", None),
        ([NUMBER, "--medium", "message"], NUMBER, "Answer", None),
        (["sip:+1-415-555-0100@edge.example"], NUMBER, "Greeting", None),
        (["(415) 555-0100", "--trunk", "loopback"], NUMBER, "Greeting", None),
        (["+14155550101"], "+14155550101", None, ("NumberUnknown", 404)),
        (["415"], None, None, ("NumberIncomplete", 484)),
        (["mailto:a@b"], None, None, ("SchemeUnsupported", 416)),
    ],
)
def test_explain_says_what_would_run_or_why_nothing_would(
    furnished: str, words: list[str], e164: str | None, flow: str | None, refused: tuple[str, int] | None
) -> None:
    result = run("explain", *words, "-c", furnished)
    assert result.exit_code == 0
    told = json.loads(result.stdout)
    assert told["e164"] == e164
    assert (told["flow"] and told["flow"]["name"]) == flow
    assert (told["refused"] and (told["refused"]["reason"], told["refused"]["sip"])) == refused


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        ([NUMBER, "--trunk", "nobody"], 1, "trunk: there is no such trunk"),
        ([NUMBER, "--medium", "pigeon"], 2, "medium: Input should be 'call' or 'message'"),
        (["+1415\n5550100"], 2, "number: "),
    ],
)
def test_explain_names_a_question_that_makes_no_sense(furnished: str, words: list[str], status: int, told: str) -> None:
    result = run("explain", *words, "-c", furnished)
    assert (result.exit_code, result.stdout) == (status, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith(told)


# The phone; calls over the wire are in `tests/calls` and `tests/processes`


@pytest.mark.parametrize("command", [["call", NUMBER], ["text", NUMBER, "hello"]])
def test_a_transport_that_we_do_not_have_is_status_2(command: list[str]) -> None:
    result = run(*command, "--transport", "sctp")
    assert (result.exit_code, result.stderr) == (2, "sctp is no transport: udp or tcp\n")


@pytest.mark.parametrize("to", ["127.0.0.1:notaport", "127.0.0.1:99999", "no such host.invalid", ""])
@pytest.mark.parametrize("command", [["call", NUMBER], ["text", NUMBER, "hello"]])
def test_a_server_that_cannot_be_is_named(command: list[str], to: str) -> None:
    result = run(*command, "--to", to)
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"cannot call there: {to}")


def test_keys_that_are_none_are_named_before_anything_is_sent() -> None:
    result = run("call", NUMBER, "--to", "127.0.0.1:9", "--digits", "12x")
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1
    assert "x" in result.stderr


def test_a_file_that_cannot_be_written_is_named_before_anything_is_sent(tmp_path: Path) -> None:
    result = run("call", NUMBER, "--to", "127.0.0.1:9", "--save", str(tmp_path / "not-there" / "heard.wav"))
    assert result.exit_code == 1
    assert result.stderr == f"{tmp_path}/not-there/heard.wav: No such file or directory\n"


# The screen of `serve --demo`


UP = SimpleNamespace(sip=["udp:127.0.0.1:5060", "tcp:127.0.0.1:5060"], http="http://127.0.0.1:8080")


def test_the_screen_has_all_that_one_needs() -> None:
    screen = cli._screen(UP, Demo(NUMBER, "vb_key"))
    for shown in (*UP.sip, UP.http + "/v1.0", UP.http + "/docs", UP.http + "/metrics", NUMBER, "vb_key"):
        assert shown in screen
    assert f" call {NUMBER}\n" in screen
    assert f' text {NUMBER} "hello"\n' in screen
    assert len(screen.splitlines()) <= 24


def test_the_screen_says_where_to_call_when_it_is_not_the_usual_place() -> None:
    elsewhere = SimpleNamespace(sip=["udp:[::1]:5070"], http=UP.http)
    assert f" call {NUMBER} --to [::1]:5070\n" in cli._screen(elsewhere, Demo(NUMBER, "vb_key"))


def test_the_screen_says_how_to_go_on_with_a_database_that_was_there_before() -> None:
    screen = cli._screen(UP, Demo(None, None))
    assert "edge key create --admin" in screen
    assert f"POST {UP.http}/v1.0/numbers" in screen
    assert " call NUMBER\n" in screen


@pytest.mark.parametrize(
    ("argv0", "shown"),
    [
        ("{cwd}/.venv/bin/edge", ".venv/bin/edge"),
        ("/usr/local/bin/edge", "edge"),
        ("{cwd}/edge/__main__.py", "{python} -m edge"),
    ],
)
def test_the_commands_on_the_screen_can_be_pasted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, argv0: str, shown: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", [argv0.format(cwd=tmp_path)])
    monkeypatch.setattr("sys.executable", "/usr/bin/python3")
    assert cli._command() == shown.format(python="/usr/bin/python3")


def test_messages_says_what_became_of_the_last_ones_and_why(config: str, tmp_path: Path) -> None:
    import sqlalchemy as sa

    from edge.sessions.tables import messages
    from edge.sessions.texts.tables import outbox, sent_parts
    from edge.store.metadata import NIL
    from tests.sessions.texts.test_message import NOON, name, row, sending

    url = f"sqlite:///{tmp_path}/edge.sqlite3"
    assert run("migrate", "--config", config).exit_code == 0
    assert "no such message" in run("messages", "--config", config).output
    part = {"message_id": name(2), "place": 0, "carrier": "loopback", "carrier_id": "ring 7", "folded": "ring 7"}
    said = {"state": "failed", "code": "27", "reason": "absent", "tm_create": NOON}
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        steps = [{"type": "reply", "step": "thanks", "outcome": "failed", "note": "they opted out"}]
        ended = {"flow_state": "done", "steps": steps}
        connection.execute(sa.insert(messages), [row(1, outcome="failed", error="oops", **ended), row(3)])
        connection.execute(sa.insert(messages), [row(4, outcome="opted_out", flow_state="done", peer="+14155550122")])
        connection.execute(sa.insert(messages), [row(2, direction="outbound")])
        connection.execute(sa.insert(outbox), [sending(2, state="failed", code="27", error="absent")])
        connection.execute(sa.insert(sent_parts), [{**part, **said}])
    engine.dispose()
    failed, broken = (
        "2026-08-01T09:00:02.000000Z  +14155550100 → +14155550111\n"
        "  failed: 27 absent\n"
        "  carrier loopback, which calls it ring 7; 2 tries\n"
        f"  message {name(2)}\n"
        "  part ring 7: failed 27 absent\n",
        "2026-08-01T09:00:01.000000Z  +14155550111 → +14155550100\n"
        "  received, its flow failed: oops\n"
        "  carrier loopback, which calls it 1; 0 tries\n"
        f"  message {name(1)}\n"
        f"  flow {NIL} version 0\n"
        "    reply (id thanks) failed: they opted out\n",
    )
    assert run("messages", "--config", config, "--dead").stdout == failed + broken
    assert run("messages", "--config", config, "--dead", "--last", "1").stdout == failed
    everything = run("messages", "--config", config, "--number", "+14155550100").stdout
    assert everything.startswith("2026-08-01T09:00:04.000000Z")
    assert everything.endswith(failed + broken)
    stopped = run("messages", "--config", config, "--peer", "+14155550122").stdout
    assert "\n  received, taken as a keyword: opted_out\n" in stopped
    assert "no such message" in run("messages", "--config", config, "--peer", "+1").output


def test_calls_says_what_became_of_the_last_ones_and_why(config: str, tmp_path: Path) -> None:
    async def keep() -> None:
        writer = Writer(StoreSection(url=f"sqlite:///{tmp_path}/edge.sqlite3"))
        await writer.start()
        records = CallRecords(writer)
        for second, number in enumerate(("+14155550101", "+14155550102")):
            attempt = Attempt(
                id=new_id(),
                call_id=f"{second}@carrier",
                remote="192.0.2.7",
                dialed=f"sip:{number}@edge",
                source="+14155550199",
                source_name="Ann",
                tm_create=1_790_000_000_000_000 + second * 1_000_000,
            )
            attempt.number = attempt.destination = number
            attempt.trunk, attempt.sip_code, attempt.outcome = "west", 403, "rejected"
            attempt.hangup_by, attempt.hangup_reason, attempt.error = "local", "rejected", f"{number} is suspended"
            records.keep(attempt)
        leg = Attempt(
            id=new_id(),
            call_id="2@edge",
            dialed="sip:+14155550177@trunk",
            source="+14155550199",
            source_name="",
            remote="",
            tm_create=1_790_000_002_000_000,
        )
        leg.number = leg.destination = "+14155550177"
        leg.trunk, leg.direction, leg.master_call_id = "west", "outgoing", attempt.id
        leg.sip_code, leg.outcome, leg.hangup_by, leg.hangup_reason = 486, "rejected", "remote", "busy"
        entry = {"step": "ring", "type": "connect", "outcome": "done", "note": "failed (486): tel:+14155550177"}
        leg.steps = json.dumps([{**entry, "step": f"s{n}", "type": "beep", "note": ""} for n in range(20)] + [entry])
        records.keep(leg)
        await writer.close()

    asyncio.run(keep())
    leg, newest, oldest = run("calls", "--config", config).stdout.split("2026-09-21T14:13:2")[1:]
    assert "trunk west to sip:+14155550177@trunk, Call-ID 2@edge" in leg
    assert ", made by call " in leg
    assert ", made by call " not in newest
    assert "its last 12 steps\n    beep (id s9) done\n" in leg
    assert leg.endswith("\n    connect (id ring) done: failed (486): tel:+14155550177\n")
    assert newest.startswith("1.000000Z  +14155550199 → +14155550102\n")
    assert "403 rejected, ended by local: +14155550102 is suspended" in newest
    assert "trunk west from 192.0.2.7, Call-ID 1@carrier" in newest
    assert "+14155550101" in oldest
    nothing = run("calls", "--config", config, "--number", "4155550101")
    assert (nothing.exit_code, nothing.stdout, nothing.stderr) == (1, "", "there is no such call\n")
    for words in (["--number", "+14155550101"], ["--call-id", "0@carrier"]):
        assert run("calls", "--config", config, *words).stdout == f"2026-09-21T14:13:2{oldest}"
    assert run("calls", "--config", config, "--last", "1").stdout == f"2026-09-21T14:13:2{leg}"
    assert run("calls", "--config", config, "--direction", "outgoing").stdout == f"2026-09-21T14:13:2{leg}"
    span = ["--since", "2026-09-21T16:13:21 Europe/Berlin", "--until", "2026-09-21T14:13:22"]
    assert run("calls", "--config", config, *span).stdout == f"2026-09-21T14:13:2{newest}"
    lines = [json.loads(line) for line in run("calls", "--config", config, "--json").stdout.splitlines()]
    assert [line["edge"]["call_id"] for line in lines] == ["2@edge", "1@carrier", "0@carrier"]
    assert run("calls", "--config", config, "--json", "--since", "2h", "--sip-code", "200").stdout == ""
    wrong = run("calls", "--config", config, "--since", "yesterday")
    assert (wrong.exit_code, wrong.stderr.startswith("--since: is no time like")) == (2, True)


# Trunks


def test_trunks_are_made_shown_and_removed(config: str, tmp_path: Path) -> None:
    body = {"name": "acme", "networks": ["198.51.100.0/28"], "auth": {"username": "u", "password": "sesame"}}
    (tmp_path / "acme.json").write_text(json.dumps(body))
    made = run("trunk", "add", str(tmp_path / "acme.json"), "-c", config)
    assert made.exit_code == 0, made.stderr
    listed = run("trunk", "list", "-c", config).stdout.splitlines()
    assert [line.split("\t") for line in listed] == [
        ["acme", "api", "any", "198.51.100.0/28"],
        ["loopback", "file", "any", "127.0.0.0/8 ::1/128"],
    ]
    shown = run("trunk", "show", "acme", "-c", config).stdout
    assert json.loads(shown)["id"] == made.stdout.strip()
    assert "sesame" not in shown
    again = run("trunk", "add", str(tmp_path / "acme.json"), "-c", config)
    assert (again.exit_code, again.stderr) == (1, "there is a trunk called acme already\n")
    assert run("trunk", "remove", "acme", "-c", config).exit_code == 0
    gone = run("trunk", "show", "acme", "-c", config)
    assert (gone.exit_code, gone.stderr) == (1, "there is no trunk acme\n")


def test_a_trunk_that_is_wrong_or_of_the_file_is_refused(config: str, tmp_path: Path) -> None:
    (tmp_path / "wrong.json").write_text('{"name": "x", "networks": ["10.0.0.1/8"], "colour": "red"}')
    wrong = run("trunk", "add", str(tmp_path / "wrong.json"), "-c", config)
    assert wrong.exit_code == 1
    assert "networks[0]: 10.0.0.1/8 has host bits set" in wrong.stderr.splitlines()
    assert "colour: unknown key" in wrong.stderr.splitlines()
    kept = run("trunk", "remove", "loopback", "-c", config)
    assert kept.exit_code == 1
    assert "stands in the configuration file" in kept.stderr
    missing = run("trunk", "add", str(tmp_path / "nowhere.json"), "-c", config)
    assert (missing.exit_code, missing.stderr) == (2, f"{tmp_path}/nowhere.json: No such file or directory\n")
