"""The repository looks at itself: make targets, packaging, links, headings, words that must not stay."""

from __future__ import annotations

import ast
import os
import re
import stat
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
SOURCES = [path for place in ("edge", "tests", "bench") for path in sorted((ROOT / place).rglob("*.py"))]
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
UNFINISHED = re.compile("TO" + "DO|FIX" + "ME")


def run(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "MAKEFLAGS": "", "MFLAGS": "", "MAKELEVEL": "0", "ARGS": "", **environment}
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=120)


# make


@pytest.mark.parametrize("target", ["run", "unit", "test", "lint", "format", "bench"])
def test_each_target_is_there(target: str) -> None:
    assert run("make", "--dry-run", target).returncode == 0


def test_the_ports_of_run_can_be_changed(tmp_path: Path) -> None:
    """With an `edge` that only says what it was started with."""
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    (bin_ / "edge").write_text("#!/bin/sh\necho $@ $EDGE_SIP__LISTEN $EDGE_API__HOST $EDGE_API__PORT\n")
    (bin_ / "edge").chmod(0o755)
    (tmp_path / ".run").touch()
    start = ("make", "run", f"VENV={tmp_path}")
    said = run(*start, "SIP=127.0.0.1:5070", "HTTP=127.0.0.2:8081", "ARGS=--quiet").stdout
    assert said == 'serve --demo --quiet ["udp:127.0.0.1:5070","tcp:127.0.0.1:5070"] 127.0.0.2 8081\n'
    assert run(*start).stdout == "serve --demo\n"


def test_an_old_or_missing_python_is_named(tmp_path: Path) -> None:
    result = run("make", "run", "PYTHON=python2.9", f"VENV={tmp_path / 'venv'}")
    assert result.returncode != 0
    assert "edge needs Python 3.11 or newer: python2.9" in result.stderr
    assert not (tmp_path / "venv").exists()


def test_who_is_not_root_is_told_the_one_command(tmp_path: Path) -> None:
    (tmp_path / "id").write_text("#!/bin/sh\necho 1000\n")
    (tmp_path / "id").chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    result = run(".ci/need", "coreutils", "ls", "redis-server", "no-such-redis", "postgresql", "no-such-pg", PATH=path)
    assert result.returncode == 1
    assert result.stderr.endswith("sudo apt-get install --no-install-recommends redis-server postgresql\n")
    assert run(".ci/need", "coreutils", "ls", PATH=path).returncode == 0


def test_ci_runs_make_test() -> None:
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & stat.S_IXUSR
    assert script.read_text().rstrip().endswith("exec make test")


# Packaging


def test_the_package_and_its_script() -> None:
    assert PROJECT["scripts"] == {"edge": "edge.__main__:main"}
    assert PROJECT["requires-python"] == ">=3.11"
    assert {"embedded", "postgres", "test"} <= set(PROJECT["optional-dependencies"])


@pytest.mark.slow
def test_the_wheel_has_all_that_lies_in_the_package(tmp_path: Path) -> None:
    """The marker of types, prompts, pages and templates too, not the modules only."""
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", str(tmp_path)]
    source = tmp_path / "source"
    source.mkdir()
    run("cp", "-r", "pyproject.toml", "README.md", "edge", str(source))
    assert run(*build, str(source)).returncode == 0
    (wheel,) = tmp_path.glob("*.whl")
    inside = set(zipfile.ZipFile(wheel).namelist())
    files = [path for path in (source / "edge").rglob("*") if path.is_file() and path.suffix != ".pyc"]
    assert sorted({str(path.relative_to(source)) for path in files} - inside) == []


# Sources and documents


def test_nothing_unfinished_is_left() -> None:
    assert [str(path.relative_to(ROOT)) for path in SOURCES if UNFINISHED.search(path.read_text())] == []


def test_each_module_says_what_it_is() -> None:
    edge = [path for path in SOURCES if path.is_relative_to(ROOT / "edge")]
    assert [str(p.relative_to(ROOT)) for p in edge if not ast.get_docstring(ast.parse(p.read_text()))] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", document.read_text())
    broken = [
        link
        for link in links
        if not link.startswith(("http://", "https://", "#")) and not (document.parent / link.partition("#")[0]).exists()
    ]
    assert broken == []


def test_paths_named_in_documents_exist() -> None:
    """`edge/…`, `docs/…` and the like in backquotes are real, so that a moved file is noticed."""
    for document in DOCUMENTS:
        for path in re.findall(r"`((?:edge|tests|bench|config|docs|systemd)/[\w/.-]*\w/?)`", document.read_text()):
            assert (ROOT / path).exists(), f"{document.name}: {path}"


def test_decisions_are_numbered_in_turn_and_dated() -> None:
    decisions = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    for number, path in enumerate(decisions, start=1):
        text = path.read_text()
        assert path.name.startswith(f"{number:04}-")
        assert text.startswith(f"# {number}. ")
        assert re.search(r"(?m)^\*Decided \w+ 20\d\d\.\*$", text)
        for heading in ("## Context", "## Decision", "## Consequences"):
            assert heading in text, f"{path.name}: {heading}"
        assert len(text.splitlines()) <= 70, f"{path.name} is longer than a page"


def test_the_changelog_speaks_of_this_version() -> None:
    headings = re.findall(r"(?m)^## \[?([\w.]+)\]?", (ROOT / "CHANGELOG.md").read_text())
    assert headings[0] == "Unreleased" or headings[0] == PROJECT["version"]
