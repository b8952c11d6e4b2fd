"""The configuration: what a file and the environment come to, and that each fault is named with its place."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edge import config as configuration
from edge.config import LOOPBACK, Config, load
from edge.errors import Invalid
from edge.trunks.table import TrunkTable

ROOT = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def _a_bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("EDGE_")]:
        monkeypatch.delenv(name)


def write(folder: Path, text: str) -> Path:
    path = folder / "edge.toml"
    path.write_text(text)
    return path


def faults(path: Path | None) -> list[str]:
    """What is wrong with it, one line each, without the folder."""
    with pytest.raises(Invalid) as caught:
        load(path)
    assert caught.value.faults
    return [str(fault).replace(f"{path.parent}/" if path else "", "") for fault in caught.value.faults]


def test_an_empty_file_and_none_at_all_are_the_defaults(tmp_path: Path) -> None:
    assert load(None) == load(write(tmp_path, "")) == Config()


def test_the_file_in_the_repository_is_what_is_printed_and_reads_as_the_defaults() -> None:
    path = ROOT / "config" / "edge.toml"
    assert path.read_text() == configuration.text()
    assert load(path) == Config()


def test_the_file_shows_every_kind_of_storage() -> None:
    text = (ROOT / "config" / "edge.toml").read_text()
    assert '\n[recordings.storage]\n# The kind of storage: directory or s3.\nkind = "directory"\n' in text
    assert '\n# [recordings.storage]\n# # The kind of storage: directory or s3.\n# kind = "s3"\n' in text


def test_the_defaults_admit_this_machine_and_nobody_else() -> None:
    trunks = TrunkTable(Config().trunks)
    assert list(trunks) == [LOOPBACK]
    assert [trunks.admits(address) for address in ("127.0.0.1", "::1", "10.0.0.1", "192.0.2.1")] == [
        *(True, True),
        *(False, False),
    ]
    assert all(":127.0.0.1:" in listen for listen in Config().sip.listen)
    assert Config().api.host == "127.0.0.1"


def test_the_environment_goes_before_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, "drain_seconds = 5\n[api]\nport = 1000\nhost = '127.0.0.2'\n")
    monkeypatch.setenv("EDGE_API__PORT", "2000")
    monkeypatch.setenv("EDGE_TRUNKS", '[{"name": "t", "networks": ["192.0.2.0/24"]}]')
    loaded = load(path)
    assert (loaded.api.port, loaded.api.host, loaded.drain_seconds) == (2000, "127.0.0.2", 5)
    assert [trunk.name for trunk in loaded.trunks] == ["t"]


def test_variables_that_are_no_settings_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGE_CONFIG", "/somewhere/edge.toml")
    monkeypatch.setenv("EDGE_VECTORS", "/somewhere")
    monkeypatch.setenv("EDGEWISE", "1")
    assert load(None) == Config()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("prot = 1\n", "edge.toml: prot: there is no such setting"),
        ("[api]\nprot = 1\n", "edge.toml: api.prot: there is no such setting"),
        ("[apis]\nport = 1\n", "edge.toml: apis: there is no such setting"),
        ("keep_days = -1\n", "edge.toml: keep_days: Input should be greater than or equal to 0"),
        ("[api]\nport = 'eighty'\n", "edge.toml: api.port: Input should be a valid integer"),
        ("[sip]\nlisten = ['udp:nowhere']\n", "edge.toml: sip.listen"),
        ("[store]\nurl = 'mysql://h/d'\n", "edge.toml: store.url: bad database URL: mysql is not served"),
        ("[[trunks]]\nname = 't'\nnetworks = ['300.0.0.0/8']\n", "edge.toml: trunks[0].networks[0]"),
        (
            "[[trunks]]\nname = 't'\nnetworks = ['10.0.0.0/8']\ncountry = 'XX'\n",
            "edge.toml: trunks[0].country: XX is no country with telephone numbers",
        ),
        ("[[carriers]]\ntype = 'pigeon'\n", "edge.toml: carriers[0]"),
        (
            "[[carriers]]\nkind = 'sip'\ntrunk = 'loopback'\n",
            "edge.toml: carriers[0].trunk: trunk loopback has no target to send texts to",
        ),
        (
            "[[text_routes]]\ndestination = '+49'\ncarriers = ['zz']\n",
            "edge.toml: text_routes[0].carriers: there is no carrier zz",
        ),
        (
            "[[text_routes]]\ncarriers = []\n",
            "edge.toml: text_routes[0].carriers: Tuple should have at least 1 item",
        ),
        ("[http]\nallow_private = ['ten']\n", "edge.toml: http.allow_private[0]: value is not a valid IPv4 or IPv6"),
        (
            "[[providers.pool.ranges]]\ncountry = 'US'\nlast = '+15'\n",
            "edge.toml: providers.pool.ranges[0].first: Field required",
        ),
    ],
)
def test_a_fault_is_named_with_file_and_key(tmp_path: Path, text: str, expected: str) -> None:
    (fault,) = faults(write(tmp_path, text))
    assert fault.startswith(expected)


def test_every_fault_is_told_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGE_APY__PORT", "1")
    path = write(tmp_path, "nonsense = 1\ndrain_seconds = 0\n[media]\nfirst_port = 'low'\n")
    told = faults(path)
    assert told[0] == "environment: EDGE_APY__PORT: there is no such setting"
    assert sorted(line.split(": ")[1] for line in told[1:]) == ["drain_seconds", "media.first_port", "nonsense"]


def test_trunks_in_each_other_s_way_are_named_both(tmp_path: Path) -> None:
    text = "[[trunks]]\nname = 'a'\nnetworks = ['10.0.0.0/8']\n"
    assert faults(write(tmp_path, text + text)) == [
        "edge.toml: trunks[1].name: a is the name of trunks[0] already",
        "edge.toml: trunks[1].networks[0]: 10.0.0.0/8 of trunk a is that of trunk a (trunks[0].networks[0]) already",
    ]


def test_carriers_of_one_name_are_named(tmp_path: Path) -> None:
    two = "[[carriers]]\nkind = 'smpp'\nname = 'acme'\n" * 2
    assert faults(write(tmp_path, two)) == ["edge.toml: carriers[1].name: acme is the name of another carrier already"]


def test_an_unknown_variable_alone_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGE_STOER__URL", "sqlite:///x")
    assert faults(None) == ["environment: EDGE_STOER__URL: there is no such setting"]


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("EDGE_API__PORT", "eighty", "EDGE_API__PORT: Input should be a valid integer"),
        ("EDGE_API__PROT", "80", "EDGE_API__PROT: there is no such setting"),
        ("EDGE_TRUNKS", '[{"name": "t", "networks": []}]', "EDGE_TRUNKS: trunks[0].networks: "),
        (
            "EDGE_TRUNKS",
            '[{"name": "t", "networks": ["::1", "::1"]}]',
            "EDGE_TRUNKS: trunks[0].networks[1]: ::1/128 of",
        ),
        ("EDGE_TRUNKS", "[{not json", "EDGE_TRUNKS: this setting is written as JSON: Expecting property name"),
        (
            "EDGE_SIP__LISTEN",
            "udp:127.0.0.1:5060",
            "EDGE_SIP__LISTEN: this setting is written as JSON: Expecting value",
        ),
    ],
)
def test_a_fault_in_the_environment_names_the_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, expected: str
) -> None:
    monkeypatch.setenv(name, value)
    (fault,) = faults(write(tmp_path, "[api]\nhost = '127.0.0.2'\n"))
    assert fault.startswith(f"environment: {expected}")


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"[outbox\n", "at line 1"),
        (b"a = 1\na = 2\n", "Cannot overwrite a value (at line 2"),
        (b"\xff\xfe", "can't decode"),
        (None, "No such file or directory"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None, what: str) -> None:
    path = tmp_path / "edge.toml"
    if content is not None:
        path.write_bytes(content)
    (fault,) = faults(path)
    assert fault.startswith("edge.toml: ")
    assert what in fault


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(Invalid) as caught:
        load(tmp_path)
    assert [str(fault) for fault in caught.value.faults] == [f"{tmp_path}: Is a directory"]


def test_a_secret_is_not_in_a_fault(tmp_path: Path) -> None:
    assert "geheim" not in " ".join(faults(write(tmp_path, "[redis]\nurl = 'nonsense://u:geheim@h'\n")))
    assert "geheim" not in " ".join(faults(write(tmp_path, "[store]\nurl = 'mysql://u:geheim@h/d'\n")))
