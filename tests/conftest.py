"""What holds for every test: examples have no deadline, the collector seldom looks, and there is `--complete`, under
which a test that was skipped is a failure and more examples are tried.

`make test` runs with it, after seeing that all servers are there. Only what a stranger cannot be expected to have may
be missing then: the reason of such a skip names the vectors of others (EDGE_VECTORS) or begins with "optional".
"""

from __future__ import annotations

import gc

import pytest
from hypothesis import settings

# No deadlines: a machine with something else to do is no fault of ours.
settings.register_profile("unit", deadline=None, max_examples=40)
settings.register_profile("complete", deadline=None, max_examples=100)

# Thousands of tests are there from start to end; to walk them with each collection takes seconds.
gc.set_threshold(100_000, 20, 100)

pytest_plugins = ["tests.servers"]  # real Redis and PostgreSQL, started when a test asks for them

FORGIVEN = ("vectors", "optional")
SKIPPED: pytest.StashKey[list[str]] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--complete", action="store_true", help="fail when a test was skipped for want of a server")


def pytest_configure(config: pytest.Config) -> None:
    settings.load_profile("complete" if config.getoption("--complete") else "unit")
    config.stash[SKIPPED] = []
    config.pluginmanager.register(_Skips(config.stash[SKIPPED]))


def pytest_collection_finish() -> None:
    gc.freeze()


def pytest_sessionfinish(session: pytest.Session) -> None:
    if session.config.getoption("--complete") and session.config.stash[SKIPPED] and session.exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if config.getoption("--complete") and config.stash[SKIPPED]:
        terminalreporter.section("skipped, though everything should be there", red=True)
        for line in config.stash[SKIPPED]:
            terminalreporter.write_line(line)


class _Skips:
    """Collects the skips that are not forgiven, as `node: reason`."""

    def __init__(self, found: list[str]) -> None:
        self.found = found

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._look(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self._look(report)

    def _look(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        if not report.skipped or hasattr(report, "wasxfail"):
            return
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if not any(word in reason.lower() for word in FORGIVEN):
            self.found.append(f"{report.nodeid}: {reason}")
