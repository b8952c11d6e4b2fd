"""The command `edge explain`: why a call went as it did, or what would become of one."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from pydantic import ValidationError

from edge import config as configuration
from edge.config import Config
from edge.console import checked, fail, run
from edge.errors import Invalid, NotFound, Unavailable
from edge.offline.records import ConfigFile, when

if TYPE_CHECKING:
    from edge.api.explain import Explain, ExplainQuery
    from edge.stores import Stores

COLUMN: Final = 16  # characters of the name of a step
_DIALED: Final = re.compile(r"\+?[\d\s().\-*#/]*|[A-Za-z][A-Za-z0-9+.\-]*:.*", re.DOTALL)  # what is no Call-ID


def add_to(app: typer.Typer) -> None:
    """Enter the command."""
    app.command("explain")(explain)


def explain(
    what: Annotated[
        str | None,
        typer.Argument(help="A call that was, by its Call-ID or our id; or what is dialed: +1415…, 00…, sip:…, tel:…."),
    ] = None,
    config: ConfigFile = None,
    trunk: Annotated[str | None, typer.Option(help="Trunk it would come by.")] = None,
    source: Annotated[str | None, typer.Option(help="Address it would come from; alone: whose is that?")] = None,
    transport: Annotated[str, typer.Option(help="By which it would come from there: udp, tcp or tls.")] = "udp",
    medium: Annotated[str, typer.Option(help="call or message.")] = "call",
    caller: Annotated[str, typer.Option(help="Who would call or text, in E.164.")] = "",
    at: Annotated[
        str | None, typer.Option(help="When it would come, as of `simulate --at`; its flow is tried out as of then.")
    ] = None,
    call_id: Annotated[str | None, typer.Option(help="A call that was, if its Call-ID looks like a number.")] = None,
    ladder: Annotated[bool, typer.Option("--ladder", help="The SIP messages of a recent call, as a ladder.")] = False,
    messages: Annotated[bool, typer.Option("--messages", help="With the messages themselves below it.")] = False,
    svg: Annotated[Path | None, typer.Option(help="File for the ladder as a picture.")] = None,
    pcap: Annotated[Path | None, typer.Option(help="File for the messages, for Wireshark and its like.")] = None,
    words: Annotated[
        bool | None,
        typer.Option("--words/--json", help="For people, or for programs. Without: words for a call that was."),
    ] = None,
) -> None:
    """Say why a call went as it did, step by step; or what would become of one, without anything running."""
    loaded = checked(lambda: configuration.load(config))
    if ladder or messages or svg is not None or pcap is not None:
        which = call_id or what
        if which is None:
            fail("which call? Its Call-ID, or our id of it", status=2)
        run(_messages(loaded, which, svg, pcap, show=ladder or messages, whole=messages))
        return
    options = {"number": what, "trunk": trunk, "source": source, "medium": medium, "caller": caller}
    asked = {**options, "transport": transport, "at": _moment(at)}
    asks = any(value is not None for value in (trunk, source, at)) or caller or medium != "call"
    past = call_id or (what if what is not None and not asks and not _DIALED.fullmatch(what) else None)
    told = run(_happened(loaded, past) if past is not None else _would(loaded, _query(asked)))
    if words if words is not None else bool(told["calls"]) or what is None:
        print("\n".join(_words(told)))
    else:
        print(json.dumps(told, indent=2))


def _moment(at: str | None) -> str | None:
    """A time as the API takes it. Status 2 for what is none."""
    try:
        found = when("--at", at)
    except Invalid as error:
        fail("\n".join(map(str, error.faults)), status=2)
    return found.isoformat() if found is not None else None


def _query(asked: Mapping[str, Any]) -> ExplainQuery:
    from edge.api.explain import ExplainQuery

    try:
        return ExplainQuery.model_validate(asked)
    except ValidationError as error:
        fail("\n".join(f"{e['loc'][0]}: {e['msg']}" for e in error.errors()), status=2)


async def _happened(config: Config, call_id: str) -> dict[str, Any]:
    """The calls with that Call-ID. Raises NotFound, Unavailable."""
    from edge.api.explain import ExplainQuery

    async with _opened(config) as stores:
        try:
            found = await _explain(config, stores).of(ExplainQuery(call_id=call_id), None)
            return found.model_dump(mode="json")
        except NotFound as missing:  # it may be up, or its record be on its way
            try:
                return await _ask(config, stores, {"call_id": call_id})
            except Unavailable:
                raise missing from None


async def _would(config: Config, query: ExplainQuery) -> dict[str, Any]:
    """What would become of one. Raises Invalid, Unavailable."""
    async with _opened(config) as stores:
        if query.source is not None:  # how often he knocked is known to who runs
            given = {name: value for name, value in query.model_dump(mode="json").items() if value not in (None, "")}
            try:
                return await _ask(config, stores, given)
            except Unavailable as error:
                print(f"{error.message}; how often it knocked is not known", file=sys.stderr)
        return (await _explain(config, stores).of(query, None)).model_dump(mode="json")


@asynccontextmanager
async def _opened(config: Config) -> AsyncIterator[Stores]:
    """The stores, with all trunks that are in force."""
    from edge.plugins import load
    from edge.stores import open_stores

    load("edge.actions")
    async with open_stores(config) as stores:
        await stores.roll.start(stores.trunks)
        yield stores


def _explain(config: Config, stores: Stores) -> Explain:
    from edge.api.explain import Explain
    from edge.api.simulation import Simulation
    from edge.sessions.calls.record import CallTable
    from edge.sessions.entrance import Entrance
    from edge.sms.keywords import Keywords

    simulation = Simulation(
        *(stores.flows, (config.media.prompts,), stores.resources, Keywords(config.keywords), config.manners)
    )
    return Explain(
        stores.roll.table,
        Entrance(stores.roll.table, config.sip.trusted_proxies),
        stores.routes,
        CallTable(stores.engine),
        stores.numbers,
        simulate=simulation.tried,
    )


async def _ask(config: Config, stores: Stores, query: Mapping[str, str]) -> dict[str, Any]:
    from edge.offline.asking import running_edge

    async with running_edge(config, stores.keys) as edge:
        return await edge.json("/v1.0/explain", query)


async def _messages(
    config: Config, call_id: str, svg: Path | None, pcap: Path | None, *, show: bool, whole: bool
) -> None:
    """The SIP messages of a call, out of the memory of the edge that runs. Raises NotFound, Unavailable."""
    from edge.offline.asking import running_edge

    async with _opened(config) as stores, running_edge(config, stores.keys) as edge:
        (newest, *_) = (await edge.json("/v1.0/explain", {"call_id": call_id}))["calls"]
        path = f"/v1.0/calls/{newest['id']}"
        if show:
            print((await edge.body(f"{path}/ladder", {"messages": str(whole).lower()})).decode(), end="")
        for file, what in ((svg, "ladder.svg"), (pcap, "pcap")):
            if file is not None:
                _save(file, await edge.body(f"{path}/{what}"))


def _save(file: Path, data: bytes) -> None:
    try:
        file.write_bytes(data)
    except OSError as error:
        fail(f"{file}: {error.strerror}")
    print(f"saved to {file}")


def _words(told: Mapping[str, Any]) -> Iterator[str]:
    for call in told["calls"]:
        yield f"{call['tm_create']}  {call['direction']} call {call['id']}, Call-ID {call['call_id']}"
        yield from _lines(call)
        for made in call["made"]:
            yield _line("made", f"call {made}")
    if told["calls"]:
        return
    yield from _lines(told)
    stranger = told["stranger"]
    if stranger is not None:
        seen = ", ".join(f"{count} by {transport}" for transport, count in stranger["seen"].items())
        last = f", the last {stranger['seconds_ago']:g} s ago" if seen else ""
        yield _line("knocked", f"{seen or 'not lately'}{last}; no answer was sent")
        if stranger["banned_seconds"]:
            yield _line("banned", f"for {stranger['banned_seconds']:g} s more")
    if told["flow"] is not None:
        steps = ", ".join(str(action.get("type")) for action in told["flow"]["actions"])
        yield _line("would run", f"{told['flow']['name'] or 'the flow'}, version {told['flow']['version']}: {steps}")


def _lines(told: Mapping[str, Any]) -> Iterator[str]:
    for step in told["steps"]:
        yield _line(step["step"], step["said"])
    for miss in told["nearest"]:
        yield _line("nearest", miss)


def _line(name: str, said: str) -> str:
    return f"  {name:<{COLUMN}}{said}"
