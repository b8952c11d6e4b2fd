"""Ports of this machine: taken, refused, given back."""

from __future__ import annotations

import asyncio
import os
import socket

import pytest

from edge.errors import Exhausted, Internal
from edge.media.section import MediaSection
from edge.media.transport.engine import MediaEngine
from tests.media.phone import HOST, Phone


def free_ports(count: int) -> int:
    """The first, even one of so many ports in a row that nobody has, below those that the system gives to others."""
    for first in range(12000 + os.getpid() % 1000 * 2, 32000, count + count % 2):
        held: list[socket.socket] = []
        try:
            for port in range(first, first + count):
                held.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
                held[-1].bind((HOST, port))
        except OSError:
            continue
        else:
            return first
        finally:
            for one in held:
                one.close()
    raise AssertionError("no ports are free")


async def test_ports_run_out_and_come_back(phone: Phone) -> None:
    first = free_ports(4)
    engine = MediaEngine(MediaSection(first_port=first, last_port=first + 3, port_rest_seconds=0.05))
    await engine.start()
    one, two = engine.open(HOST), engine.open(HOST)
    assert {one.local[1], two.local[1]} == {first, first + 2}
    with pytest.raises(Exhausted, match=f"{first} and {first + 3}"):
        engine.open(HOST)
    two.close()
    with pytest.raises(Exhausted):
        engine.open(HOST)
    await asyncio.sleep(0.06)
    assert engine.open(HOST).local[1] == first + 2
    await engine.close()


async def test_a_port_of_another_program_is_passed_over() -> None:
    first = free_ports(6)
    engine = MediaEngine(MediaSection(first_port=first, last_port=first + 5))
    await engine.start()
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as rtp,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other,
    ):
        rtp.bind((HOST, first))
        other.bind((HOST, first + 3))
        assert engine.open(HOST).local == (HOST, first + 4)
        with pytest.raises(Exhausted):
            engine.open(HOST)
    await engine.close()


async def test_an_address_that_is_not_ours(engine: MediaEngine) -> None:
    with pytest.raises(Internal, match=r"192\.0\.2\.77"):
        engine.open("192.0.2.77")


async def test_behind_nat_another_address_is_named() -> None:
    engine = MediaEngine(MediaSection(first_port=17300, last_port=17309, advertise="203.0.113.9"))
    await engine.start()
    assert engine.open(HOST).local[0] == "203.0.113.9"
    assert engine.open("::1").local[0] == "::1"  # the address is of the other family
    await engine.close()
