"""schemathesis asks every operation, rightly and wrongly, after the document alone, with all its checks."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from edge.api.app import operations
from edge.api.host import REQUESTS
from edge.sessions.tables import calls, deliveries, messages
from tests.api.test_deliveries import delivery
from tests.api.test_recordings import keep
from tests.api.test_records import call, insert, message
from tests.api.world import FREE, World

ROOT = Path(__file__).parents[2]
OPTIONS = "--seed=1 --max-examples=2 --no-shrink --no-color --phases=examples,coverage,fuzzing --warnings=off"


# What wants a call that is up; tests/api/test_activeflows.py and tests/calls have one.
OF_A_CALL = {"post_activeflows_id_continue", "post_calls_id_hangup"}
OF_A_WIRE = {  # calls that were: it knows made ones only; see tests/api/test_records.py, test_ladders.py
    *("get_calls_id", "get_calls_id_ladder", "get_calls_id_ladder_svg", "get_calls_id_pcap"),
}
OF_THE_DEAD = {
    "post_messages_id_resend"
}  # all are begun anew at once before it; tests/api/test_message_orders.py has one
OF_A_CUSTOMER = {"get_customer", "put_customer", "patch_customer"}  # and not of an admin
OF_A_CARRIER = {"post_carriers_bell_hook", "get_carriers_bell_hook"}  # who has to prove himself


@pytest.mark.slow
async def test_every_operation_keeps_its_word(world: World, tmp_path: Path) -> None:
    one = call(world.a, FREE, 0)
    await insert(world, calls, [one])
    await insert(world, messages, [message(world.a, FREE, 0)])
    await insert(world, deliveries, [delivery(world.a, 0)])
    await world.did("PUT", "/v1.0/customer", {"webhook_uri": "http://127.0.0.1:9/events"})
    await world.flow()  # whose event there is
    for minute in range(3):
        await keep(world, world.a, minute, data=b"as if it were audio")
    (own_key, *_) = (await world.did("GET", "/v1.0/accesskeys", key=world.key_admin))["result"]
    environment = {
        **os.environ,
        "SCHEMATHESIS_HOOKS": "tests.api.schemathesis_hooks",
        "EDGE_TEST_CUSTOMER": world.a,
        "EDGE_TEST_KEY_ID": own_key["id"],
        "PYTHONPATH": str(ROOT),
    }
    process = await asyncio.create_subprocess_exec(
        *(str(Path(sys.executable).parent / "schemathesis"), "run", f"{world.url}/openapi.json"),
        *("--header", f"Authorization: Bearer {world.key_admin}", "--generation-database=none", *OPTIONS.split()),
        env=environment,
        cwd=tmp_path,  # it leaves a folder behind
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()[-20_000:]
    served = operations(world.services)
    assert f"Tested: {len(served)}" in output.decode()
    never = {o.name for o in served if not REQUESTS.labels(o.path, o.method, str(o.success)).value}
    assert never <= OF_A_CALL | OF_A_WIRE | OF_A_CARRIER | OF_A_CUSTOMER | OF_THE_DEAD
