"""We register where a carrier wants it: refreshed, proved, moved, taken back, and changed while it runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest

from edge.metrics import REGISTRY
from edge.sessions.trunks.registrations import Registrations, RegistrationStatus
from edge.sip.digest import Credentials, Login
from edge.trunks.trunk import Trunk
from tests import jumping
from tests.logged import logged
from tests.sessions.trunks.carrier import LOGIN, Carrier, carrier, edge, until

Story = Callable[[], Coroutine[Any, Any, None]]


def trunk(*at: Carrier, expires: int = 3600, **more: Any) -> Trunk:
    first, *others = at
    return Trunk.model_validate(
        {
            "name": "acme",
            "networks": ["127.0.0.0/8"],
            "target": first.uri,
            "failover": [other.uri for other in others],
            "credentials": {"username": LOGIN.username, "password": LOGIN.password},
            "registration": {"expires": expires},
            **more,
        }
    )


class Edge:
    """One that registers."""

    def __init__(self, registrations: Registrations, replace: Callable[[list[Trunk]], None]) -> None:
        self.registrations = registrations
        self.replace = replace

    @property
    def status(self) -> RegistrationStatus:
        found = self.registrations.status("acme")
        assert found is not None
        return found

    @property
    def state(self) -> str:
        return self.status.state

    async def registered(self) -> None:
        await until(lambda: self.state == "registered")


@asynccontextmanager
async def registering(*trunks: Trunk) -> AsyncIterator[Edge]:
    async with edge(*trunks) as (table, asking):
        registrations = Registrations(asking, lambda: 0.5)
        registrations.replace(table)

        def replace(others: list[Trunk]) -> None:
            table.replace(others)
            asking.targets.replace(others)
            registrations.replace(table)

        await until(lambda: registrations.status("acme") is not None)
        yield Edge(registrations, replace)
        await registrations.close()


def metric() -> float | None:
    return REGISTRY.get_sample_value("edge_trunk_registered", {"trunk": "acme"})


def test_it_registers_proves_itself_refreshes_and_leaves() -> None:
    async def story() -> None:
        async with carrier() as registrar:
            registrar.login = LOGIN
            async with registering(trunk(registrar, expires=600)) as one:
                await one.registered()
                assert metric() == 1
                assert (one.status.status, one.status.granted) == (200, 600)
                first, second = registrar.requests
                assert first.uri == f"sip:127.0.0.1:{registrar.port}"
                assert str(first.to.uri) == f"sip:edge@127.0.0.1:{registrar.port}"
                assert first.contact is not None
                assert first.contact.uri.user == "edge"
                assert (first.headers.get("authorization"), second.cseq.number) == (None, 2)
                await until(lambda: len(registrar.requests) == 3)
                third = registrar.requests[2]
                assert registrar.times[2] - registrar.times[1] == pytest.approx(510, abs=1)
                proof = Credentials.parse(third.headers.get("authorization") or "")
                assert (proof.count, third.call_id, third.cseq.number) == (2, first.call_id, 3)  # before it is asked
                assert len(registrar.bindings) == 1
            assert registrar.expires[-1] == "0"
            assert not registrar.bindings

    jumping.run(story())
    assert metric() is None


def test_a_wrong_password_is_said_and_not_hammered() -> None:
    async def story() -> None:
        async with carrier() as registrar:
            registrar.login = Login(LOGIN.username, "another")
            with logged() as lines:
                async with registering(trunk(registrar)) as one:
                    await until(lambda: one.state == "failed")
                    assert (metric(), one.status.status) == (0, 403)
                    await asyncio.sleep(600)
                    assert len(registrar.requests) < 20
                    registrar.login = LOGIN
                    await one.registered()
                said = [line for line in lines() if line["event"] in ("registered", "not registered")]
            assert [(line["event"], line.get("code")) for line in said] == [
                ("not registered", 403),
                ("registered", None),
            ]
            assert LOGIN.password not in str(said)

    jumping.run(story())


def test_a_registrar_that_wants_longer() -> None:
    async def story() -> None:
        async with carrier() as registrar:
            registrar.statuses = [(423, {"Min-Expires": "1800"})]
            async with registering(trunk(registrar, expires=60)) as one:
                await one.registered()
                assert registrar.expires == ["60", "1800"]
                assert one.status.granted == 1800

    jumping.run(story())


def test_another_registrar_when_the_first_is_silent_and_back_when_that_is() -> None:
    async def story() -> None:
        async with carrier() as first, carrier() as second:
            first.silent = True
            async with registering(trunk(first, second, expires=60)) as one:
                await one.registered()
                assert one.status.registrar.startswith(second.uri)
                assert second.expires == ["60"]
                second.silent, first.silent = True, False
                await until(lambda: first.bindings)
                assert one.state == "registered"  # what the second granted was not over
            assert not first.bindings
            assert second.bindings  # it never heard that we left, and forgets by itself

    jumping.run(story())


def test_a_lost_registration_is_failed_once_what_was_granted_is_over() -> None:
    async def story() -> None:
        async with carrier() as registrar, registering(trunk(registrar, expires=60)) as one:
            await one.registered()
            registrar.silent = True
            await asyncio.sleep(55)
            assert (one.state, metric()) == ("registered", 1)
            await asyncio.sleep(10)
            assert (one.state, one.status.status, metric()) == ("failed", 408, 0)
            registrar.silent = False
            await one.registered()

    jumping.run(story())


def test_trunks_come_and_go() -> None:
    async def story() -> None:
        async with carrier() as registrar, carrier() as other, registering(trunk(registrar)) as one:
            await one.registered()
            one.replace([trunk(registrar, country="DE")])  # nothing that matters to it
            await asyncio.sleep(5)
            assert registrar.expires == ["3600"]
            one.replace([trunk(other)])
            await until(lambda: other.bindings)
            assert registrar.expires == ["3600", "0"]
            one.replace([trunk(other, registration=None)])
            await until(lambda: not other.bindings)
            assert one.registrations.status("acme") is None
            assert metric() is None

    jumping.run(story())


def test_a_new_password_is_used_once_the_old_one_is_gone() -> None:
    async def story() -> None:
        async with carrier() as registrar, registering(trunk(registrar)) as one:
            await one.registered()
            changed = {"username": "edge", "password": "other"}
            registrar.login = Login("edge", "other")
            one.replace([trunk(registrar, credentials=changed)])
            await asyncio.sleep(5)
            await one.registered()
            assert len(registrar.bindings) == 1

    jumping.run(story())


def test_where_nothing_can_be_sent_it_goes_on_trying() -> None:
    async def story() -> None:
        async with carrier() as registrar:
            named = trunk(
                registrar, target="sip:nowhere.example", registration={"user": "100", "domain": "acme.example"}
            )
            async with registering(named) as one:
                await until(lambda: one.state == "failed")
                assert one.status.status == 503
                assert one.status.address == "sip:100@acme.example"

    jumping.run(story())
