"""Malformed and unusual inputs from the test folders of others: none may crash the message layer or keep it busy."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from edge.sip.body import TEXT, body_of, sdp_body
from edge.sip.framing import Framer, FramingError
from edge.sip.grammar import Unreadable
from edge.sip.message import Address, CSeq, Malformed, Request, Uri, Via, check, media_type, parse, respond
from tests.sip.vectors import FOLDER, needed, seeds

SEEDS = seeds()
SECONDS = 0.25  # for one input in all its disguises; they take a few milliseconds
ANSWER_MAX = 512  # bytes an answer may be longer than what it answers


def message_layer(data: bytes) -> None:
    try:
        message = parse(data)
        if isinstance(message, Request):
            check(message)
            assert len(respond(message, 486, to_tag="t", source=("192.0.2.7", 5060))) < len(data) + ANSWER_MAX
            _ = message.target
        assert parse(bytes(message)) == message
        _ = message.vias, message.contacts, message.max_forwards, message.routes, message.record_routes
        sdp_body(message)
        body_of(message, TEXT)
    except Malformed as malformed:
        fault = malformed
    else:
        return
    if fault.request is not None:
        answer = respond(fault.request, fault.status, to_tag="t", source=("192.0.2.7", 5060))
        assert len(answer) < len(data) + ANSWER_MAX


def values(text: str) -> None:
    for read in (Uri.parse, Via.parse, Address.parse, Address.parse_list, CSeq.parse, media_type):
        try:
            value = read(text)
        except Unreadable:
            continue
        assert str(value)


def frames(data: bytes) -> None:
    framer = Framer()
    try:
        for at in range(0, len(data), 7):
            for message in framer.feed(data[at : at + 7]):
                assert len(message) <= len(data)
    except FramingError:
        pass


@needed
def test_there_are_some() -> None:
    assert len(SEEDS) > 100


@needed
@pytest.mark.parametrize("path", SEEDS, ids=[path.relative_to(FOLDER).as_posix() for path in SEEDS])
def test_seed(path: Path) -> None:
    data = path.read_bytes()
    began = time.process_time()
    for variant in (data, data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"), data + b"\r\n\r\n"):
        message_layer(variant)
        frames(variant)
    for line in data.decode("utf-8", "surrogateescape").splitlines()[:200]:
        values(line)
    assert time.process_time() - began < SECONDS
