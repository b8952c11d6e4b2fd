"""The command `edge simulate`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from typer.core import TyperCommand

from edge import config as configuration
from edge.console import checked, fail, run
from edge.errors import Fault, Invalid
from edge.offline import golden
from edge.offline.pair import pairs
from edge.offline.script import script_of
from edge.plugins import load
from edge.sessions.simulation.script import CALLED, CALLER, Script

if TYPE_CHECKING:
    from edge.sessions.simulation.transcript import Transcript

# Options that take all words up to the next one.
LISTS: Final = ("--texts", "--media", "--variables", "--answer", "--calendar", "--callers", "--with")
WORDS: Final = "edge.offline.words"  # where the context keeps the words as they were typed
HERE: Final = Path()


class ListCommand(TyperCommand):
    """A command some of whose options take several words: `--texts "hi" "stop"`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        ctx.meta[WORDS] = list(args)
        return super().parse_args(ctx, list(_repeated(args)))


def _repeated(args: Sequence[str]) -> Iterator[str]:
    """`--texts a b` as `--texts a --texts b`. The first word behind the option is its value whatever it is."""
    option, fresh = "", False
    for word in args:
        if fresh:
            fresh = False
        elif word.startswith("--"):
            option, fresh = (word, True) if word in LISTS else ("", False)
        elif option:
            yield option
        yield word


def add_to(app: typer.Typer) -> None:
    """Enter the command."""
    app.command("simulate", cls=ListCommand)(simulate)


def simulate(
    context: typer.Context,
    flow: Annotated[
        str | None, typer.Argument(help="A file as in config/flows, or the id or name of a flow in the database.")
    ] = None,
    caller: Annotated[str, typer.Option(help="Who calls or texts.")] = CALLER,
    called: Annotated[str, typer.Option(help="The number that is called or texted.")] = CALLED,
    name: Annotated[str, typer.Option(help="The caller's name.")] = "",
    anonymous: Annotated[bool, typer.Option("--anonymous", help="The caller hides number and name.")] = False,
    digits: Annotated[str, typer.Option(help="Keys the caller types after the answer; a comma waits a second.")] = "",
    texts: Annotated[list[str] | None, typer.Option(help="The texts that come: --texts hi stop.")] = None,
    media: Annotated[list[str] | None, typer.Option(help="URLs of media that come with each text.")] = None,
    every: Annotated[float, typer.Option(help="Seconds between two texts.")] = 5.0,
    at: Annotated[
        str | None,
        typer.Option(
            help="When: 2026-12-25T09:00, with +01:00 or ' Europe/Berlin' behind it; else UTC. Without it now."
        ),
    ] = None,
    variables: Annotated[
        list[str] | None, typer.Option(help="What variables hold at the beginning: --variables a=1 b=2.")
    ] = None,
    hangup: Annotated[float | None, typer.Option(help="The caller hangs up after so many seconds.")] = None,
    patience: Annotated[float, typer.Option(help="Seconds the caller waits for nothing before he hangs up.")] = 60.0,
    connect: Annotated[
        str, typer.Option(help="What comes of dialing: answered, busy, noanswer, declined or failed.")
    ] = "answered",
    talk: Annotated[float, typer.Option(help="Seconds that who was connected stays.")] = 30.0,
    medium: Annotated[str | None, typer.Option(help="call or message, for a flow that can serve both.")] = None,
    answer: Annotated[
        list[str] | None, typer.Option(help="What web servers answer: --answer URL=FILE, or URL=503 for a status.")
    ] = None,
    calendar: Annotated[
        list[str] | None, typer.Option(help="A calendar of the account, as JSON: --calendar NAME=FILE.")
    ] = None,
    callers: Annotated[
        list[str] | None, typer.Option(help="A list of callers of the account, as JSON: --callers NAME=FILE.")
    ] = None,
    attestation: Annotated[str, typer.Option(help="How the caller's number is vouched for: A, B or C.")] = "",
    fallback_flow_id: Annotated[
        str, typer.Option("--fallback", help="Id of the flow that takes over when this one fails; see --with.")
    ] = "",
    others: Annotated[
        list[str] | None, typer.Option("--with", help="Files of other flows by their ids: --with ID=FILE.")
    ] = None,
    prompts: Annotated[
        Path | None, typer.Option(help="Folder of audio files; without it `prompts` beside the flow.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the transcript as JSON.")] = False,
    check: Annotated[
        Path | None, typer.Option(help="Compare the transcripts kept in the folder golden beside these flows.")
    ] = None,
    update: Annotated[bool, typer.Option("--update", help="With --check: keep what they are today.")] = False,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config", "-c", help="Configuration file: its database, keywords, manners.", envvar="EDGE_CONFIG"
        ),
    ] = None,
) -> None:
    """Run a flow without network and without waiting, and print what it does and why."""
    load("edge.actions")
    if check is not None:
        if flow is not None:
            fail("either FLOW or --check", status=2)
        _check(check, update=update)
        return
    words = context.meta[WORDS]
    options = dict(context.params)
    if at is None:
        options["at"] = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S}+00:00"
        words = [*words, "--at", options["at"]]
    try:
        script = script_of(options, HERE)
    except Invalid as error:
        fail("\n".join(map(str, error.faults)), status=2)
    transcript = run(_transcribe(options, script, HERE))
    print(transcript.model_dump_json(indent=2) + "\n" if as_json else golden.printed(words, transcript), end="")


async def _transcribe(options: Mapping[str, Any], script: Script, folder: Path) -> Transcript:
    from edge.offline.source import is_file, open_source
    from edge.sessions.simulation.prompt import Lengths
    from edge.sessions.simulation.simulator import simulate as perform
    from edge.sms.keywords import Keywords

    if options["flow"] is None:
        raise Invalid("which flow? Say a file, an id or a name")
    path = options["config"]
    config = cache(lambda: checked(lambda: configuration.load(Path(path) if path else None)))
    told = config() if path or not is_file(options["flow"], folder) else None
    source = open_source(
        options["flow"],
        folder=folder,
        config=config,
        prompts=folder / options["prompts"] if options["prompts"] else None,
        others={id: Path(file) for id, file in pairs(options["others"], "--with").items()},
    )
    async with source as found:
        return await perform(
            found.flow,
            script,
            lengths=Lengths(found.prompts),
            find_flow=found.find_flow,
            find_resources=found.find_resources,
            keywords=Keywords(told.keywords) if told is not None else None,
            manners=told.manners if told is not None else None,
        )


def _check(folder: Path, *, update: bool) -> None:
    """Print how the kept transcripts differ from what they would be today; status 1 when one does."""
    goldens = run(golden.replay(folder, _again))
    broken = [one for one in goldens if one.error]
    changed = [one for one in goldens if not one.same and not one.error]
    for one in broken:
        print(f"{one.path}: {one.error}")
    for one in changed:
        if update:
            one.path.write_text(one.new, encoding="utf-8")
            print(f"{one.path}: written")
        else:
            print("\n".join(one.diff()))
    for flow, steps in golden.never_reached(goldens).items():
        print(f"{flow}: no transcript reaches {', '.join(steps)}")
    told = [f"{len(goldens)} transcript{'s' if len(goldens) != 1 else ''}"]
    told.append(f"{len(changed)} {'written' if update else 'changed'}")
    if broken:
        told.append(f"{len(broken)} cannot be made")
    print(", ".join(told))
    if broken or (changed and not update):
        raise typer.Exit(1)


async def _again(words: list[str], folder: Path) -> tuple[str, Transcript]:
    """What a command that is kept does today. It is about a file: what is in a database is another thing elsewhere."""
    from edge.offline.source import is_file

    try:
        context = _COMMAND.make_context("edge simulate", list(words))
    except (typer.TyperException, typer.Exit) as error:
        raise _bad(str(error)) from None
    options = context.params
    if not any(word == "-c" or word.startswith("--config") for word in words):
        options["config"] = None  # one from the environment is another one elsewhere
    if options["at"] is None:
        raise _bad("has no --at: it would be another one each time")
    if options["flow"] is None or not is_file(options["flow"], folder):
        raise _bad(f"{options['flow'] or 'it'} is no file beside the transcripts' folder")
    return str(options["flow"]), await _transcribe(options, script_of(options, folder), folder)


def _bad(what: str) -> Invalid:
    return Invalid("bad transcript", faults=[Fault("line 1", what)])


_PARSER: Final = typer.Typer()
add_to(_PARSER)
_COMMAND: Final = typer.main.get_command(_PARSER)
