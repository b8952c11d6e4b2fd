import sys
from pathlib import Path

import pytest

from edge.plugins import Plugins, load


def test_plugins_are_listed_by_name_and_found() -> None:
    table: Plugins[object] = Plugins("thing")
    table.add("b", int)
    table.add("a", str)
    assert table.names() == ["a", "b"]
    assert table.get("a") is str
    assert table.get("c") is None
    assert list(table) == [("a", str), ("b", int)]


def test_two_plugins_with_one_name_are_refused() -> None:
    table: Plugins[object] = Plugins("thing")
    table.add("a", str)
    table.add("a", str)
    with pytest.raises(ValueError, match="two things are called a"):
        table.add("a", int)


def test_load_imports_each_module_and_lets_errors_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "plugged_in"
    package.mkdir()
    (package / "__init__.py").write_text("found = []\n")
    (package / "one.py").write_text("from plugged_in import found\nfound.append('one')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    load("plugged_in")
    assert sys.modules["plugged_in"].found == ["one"]
    (package / "two.py").write_text("raise RuntimeError('broken plug-in')\n")
    with pytest.raises(RuntimeError, match="broken plug-in"):
        load("plugged_in")
