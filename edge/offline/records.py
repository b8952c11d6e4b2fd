"""The commands `edge calls` and `edge messages`: what became of the last ones, and why, out of the database."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from edge import config as configuration
from edge.config import Config
from edge.console import checked, fail, run
from edge.errors import Fault, Invalid
from edge.sessions.simulation.script import read_time

if TYPE_CHECKING:
    from edge.sessions.calls.record import CallTable
    from edge.sessions.texts.message import Message

LAST: Final = 10
SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_AGO: Final = re.compile(r"(\d{1,6})([smhd])")
STEPS_SHOWN: Final = 12  # of a call or a text, the last ones

ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="Configuration file; without it, defaults and EDGE_*.", envvar="EDGE_CONFIG"),
]


def add_to(app: typer.Typer) -> None:
    """Enter the commands."""
    app.command("calls")(calls)
    app.command("messages")(messages)


def calls(
    config: ConfigFile = None,
    number: Annotated[str | None, typer.Option(help="Only calls to this number of ours, in E.164.")] = None,
    source: Annotated[str | None, typer.Option(help="Only calls from this number.")] = None,
    trunk: Annotated[str | None, typer.Option(help="Only calls by the trunk of this name.")] = None,
    outcome: Annotated[
        str | None, typer.Option(help="Only those that came out answered, redirected, rejected, cancelled or failed.")
    ] = None,
    sip_code: Annotated[int | None, typer.Option(help="Only those with this final SIP status.")] = None,
    reason: Annotated[str | None, typer.Option(help="Only those that this error or rule refused.")] = None,
    direction: Annotated[str | None, typer.Option(help="Only incoming or outgoing ones.")] = None,
    flow: Annotated[str | None, typer.Option(help="Only those that ran the flow of this id.")] = None,
    account: Annotated[str | None, typer.Option(help="Only those of the account of this id.")] = None,
    call_id: Annotated[str | None, typer.Option(help="Only the call with this SIP Call-ID.")] = None,
    since: Annotated[
        str | None, typer.Option(help="Only from then on: 30m, 2h or 3d ago, or a time as of `simulate --at`.")
    ] = None,
    until: Annotated[str | None, typer.Option(help="Only before then.")] = None,
    last: Annotated[int | None, typer.Option(min=1, help="How many: 10, or all of them with --json.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="As lines of JSON, each what the API says of a call: > calls.jsonl")
    ] = False,
) -> None:
    """Say what became of the last calls, and why; newest first."""
    from edge.sessions.calls.record import Wanted

    wanted = Wanted(
        number=number,
        source=source,
        trunk=trunk,
        outcome=outcome,
        sip_code=sip_code,
        reason=reason,
        direction=direction,
        flow_id=flow,
        call_id=call_id,
        customer_id=account,
    )
    loaded, (first, end) = checked(lambda: configuration.load(config)), _span(since, until)
    say: Callable[[dict[str, Any]], str] = (lambda call: json.dumps(call, ensure_ascii=False)) if as_json else _story
    most = last if last is not None or as_json else LAST

    async def tell() -> int:
        count = 0
        async with _opened(loaded) as table, aclosing(table.all(None, wanted, first, end)) as found:
            async for one in found:
                print(say(one))
                count += 1
                if count == most:
                    break
        return count

    if not run(tell()) and not as_json:
        fail("there is no such call")


def _span(since: str | None, until: str | None) -> tuple[datetime | None, datetime | None]:
    """From when on, and until when. Status 2 for what is no time."""
    try:
        return when("--since", since), when("--until", until)
    except Invalid as error:
        fail("\n".join(map(str, error.faults)), status=2)


def when(option: str, text: str | None) -> datetime | None:
    """A time, or so long ago. Raises Invalid."""
    if text is None:
        return None
    ago = _AGO.fullmatch(text.strip())
    try:
        if ago is not None:
            return datetime.now(UTC) - timedelta(seconds=int(ago[1]) * SECONDS[ago[2]])
        found = read_time(text)
        if not isinstance(found, datetime):
            raise ValueError(f"{text} is no time")
        return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise Invalid("that is no time", faults=[Fault(option, str(error))]) from None


@asynccontextmanager
async def _opened(config: Config) -> AsyncIterator[CallTable]:
    """The records in the database."""
    from edge.sessions.calls.record import CallTable
    from edge.store.engine import open_engine

    engine = await open_engine(config.store.url)
    try:
        yield CallTable(engine)
    finally:
        await engine.dispose()


def _story(call: dict[str, Any]) -> str:
    """One call: when, who, whom, how it ended and why, by which trunk, and what the last steps of its flow came to."""
    from edge.store.metadata import NIL

    known = call["edge"]
    why = known["error"] or (f"cut: {known['cut_by']}" if known["cut_by"] else "") or call["hangup_reason"]
    decided = f" ({known['reason']})" if known["reason"] else ""
    lines = [
        f"{call['tm_create']}  {call['source']['target']} → {call['destination']['target']}",
        f"  {known['sip_code']} {known['outcome']}{decided}, ended by {call['hangup_by'] or 'nobody'}: {why}",
    ]
    where = f"to {known['dialed']}" if call["direction"] == "outgoing" else f"from {known['remote']}"
    lines.append(f"  trunk {known['trunk'] or '(none)'} {where}, Call-ID {known['call_id']}")
    lines.append(
        f"  call {call['id']}" + (f", made by call {call['master_call_id']}" if call["master_call_id"] != NIL else "")
    )
    lines += _steps(call["flow_id"], known["flow_version"], known["steps"])
    return "\n".join(lines)


def messages(
    config: ConfigFile = None,
    number: Annotated[str | None, typer.Option(help="Only texts to and from this number of ours, in E.164.")] = None,
    peer: Annotated[str | None, typer.Option(help="Only texts to and from this number of theirs.")] = None,
    dead: Annotated[bool, typer.Option("--dead", help="Only dead letters: what failed.")] = False,
    last: Annotated[int, typer.Option(min=1, max=100, help="How many.")] = 10,
) -> None:
    """Say what became of the last texts, and why; newest first."""
    loaded = checked(lambda: configuration.load(config))

    async def look() -> Sequence[Message]:
        from edge.sessions.texts.message import MessageTable
        from edge.store.engine import open_engine

        engine = await open_engine(loaded.store.url)
        try:
            table = MessageTable(engine)
            return await (table.dead if dead else table.list)(None, number=number, peer=peer, size=last)
        finally:
            await engine.dispose()

    found = run(look())
    if not found:
        fail("there is no such message")
    for one in found:
        print(_letter(one))


def _letter(message: Message) -> str:
    """One text: when, from whom to whom, how far it got and why, by which carrier, and what the last steps of its flow
    came to."""
    from edge.sessions.texts.opting import OUTCOMES

    known, (target,) = message.edge, message.targets
    came_out = f", its flow {known.outcome or known.flow_state}" if known.flow_state not in ("", "none") else ""
    if known.outcome in OUTCOMES.values():
        came_out = f", taken as a keyword: {known.outcome}"
    why = ": " + " ".join(filter(None, (known.code, known.reason))) if known.code or known.reason else ""
    lines = [
        f"{message.tm_create}  {message.source.target} → {target.destination.target}",
        f"  {target.status}{came_out}{why}",
        f"  carrier {known.carrier}, which calls it {known.carrier_id or '(nothing)'}; {known.attempts} tries",
        f"  message {message.id}",
    ]
    lines += [f"  part {part.carrier_id}: {part.status} {part.code} {part.reason}".rstrip() for part in known.receipts]
    lines += _steps(known.flow_id, known.flow_version, known.steps)
    return "\n".join(lines)


def _steps(flow_id: str, version: int, steps: Sequence[dict[str, Any]]) -> Iterator[str]:
    """The last steps of a flow, and what they came to."""
    if steps:
        last = f", its last {STEPS_SHOWN} steps" if len(steps) > STEPS_SHOWN else ""
        yield f"  flow {flow_id} version {version}{last}"
    for step in steps[-STEPS_SHOWN:]:
        note = f": {step['note']}" if step["note"] else ""
        yield f"    {step['type']} (id {step['step']}) {step['outcome']}{note}"
