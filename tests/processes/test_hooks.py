"""Webhooks of carriers while SQL is away, and after: refused so that they come again, and then run once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.calls.daemon import new, running
from tests.calls.exchange import Exchange
from tests.calls.test_hooks import ACCOUNT, CARRIERS, PARTIES, PUBLIC, Party, asked_for, ring, taken
from tests.calls.test_texts import ECHO
from tests.carriers.signing import telnyx_key
from tests.servers import PostgresServer
from tests.web import Web, web_server

pytestmark = pytest.mark.server


def test_a_text_that_cannot_be_kept_comes_again(short_directory: Path, tmp_path: Path) -> None:
    directory = short_directory / "postgres-of-hooks"
    directory.mkdir()
    postgres = PostgresServer(directory)
    postgres.start()
    try:
        with web_server() as web:
            extra = CARRIERS.format(url=web.url, key=telnyx_key(), account=ACCOUNT, secret="s" * 32)
            made = new(tmp_path, extra, store=postgres.create(), environ={"EDGE_API__PUBLIC_URL": PUBLIC})
            made.run("migrate", "--config", str(made.config))
            with running(made) as daemon:
                edge = Exchange(daemon)
                numbers = {party.kind: edge.number(texts=(ECHO,)) for party in PARTIES}
                for party in PARTIES:
                    web.default[party.api] = (party.taken, party.answer(f"out {party.kind}"))
                    comes(edge, web, party, numbers[party.kind], "before")
                postgres.stop()
                for party in PARTIES:
                    refused(edge, party, numbers[party.kind])
                postgres.start()
                for party in PARTIES:
                    comes(edge, web, party, numbers[party.kind], "meanwhile")
    finally:
        postgres.stop()


def comes(edge: Exchange, web: Web, party: Party, number: str, text: str) -> None:
    """Bring a text until it is kept, and once more; its reply is sent once."""
    call = party.text(text, number, text)
    before = len(asked_for(edge, web, party, number))
    edge.wait(lambda: ring(edge, call)[0] < 300, "that it is kept")
    taken(edge, call)
    edge.wait(lambda: len(asked_for(edge, web, party, number)) > before, "the reply")
    assert edge.texts(number, "inbound")[0]["text"] == text
    assert len(asked_for(edge, web, party, number)) == len(edge.texts(number, "inbound")) == before + 1


def refused(edge: Exchange, party: Party, number: str) -> None:
    status, error, headers = ring(edge, party.text("meanwhile", number, "meanwhile"))
    assert (status, error["status"]) == (503, "UNAVAILABLE")
    assert 2 <= int(headers["Retry-After"]) <= 10
