"""The command line: `edge serve | check | settings | migrate | key | trunk | lookup | explain | calls | messages
| call | text | segments | simulate | flow`.

A wrong configuration ends with status 2, which systemd does not restart; any other failure with 1.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge import __version__
from edge import config as configuration
from edge.config import Config
from edge.console import checked, fail, run
from edge.errors import Invalid
from edge.offline import explain, records, show, simulate, trunks

if TYPE_CHECKING:
    from edge.sip.peer import Peer

app = typer.Typer(
    name="edge",
    help=__doc__,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
keys = typer.Typer(help="Access keys of the API.", no_args_is_help=True)
app.add_typer(keys, name="key")
simulate.add_to(app)
show.add_to(app)
explain.add_to(app)
records.add_to(app)
trunks.add_to(app)

ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="Configuration file; without it, defaults and EDGE_*.", envvar="EDGE_CONFIG"),
]
To = Annotated[str, typer.Option("--to", help="Where the SIP server is: host[:port].")]
Way = Annotated[str, typer.Option("--transport", help="udp or tcp.")]
From = Annotated[str, typer.Option("--from", help="Who calls: the user part of the From header.")]


@app.command()
def serve(
    config: ConfigFile = None,
    demo: Annotated[bool, typer.Option("--demo", help="Furnish an empty database with a number to try.")] = False,
) -> None:
    """Serve calls, texts and the API until a signal says to stop."""
    from edge import daemon
    from edge.upkeep import Daemon

    def read() -> Config:
        return configuration.load(config)

    def announce(up: Daemon, shown: Any) -> None:
        if shown is not None:
            print(_screen(up, shown), flush=True)

    checked(read)
    try:
        run(daemon.serve(read, demo=demo, announce=announce))
    except OSError as error:
        fail(f"cannot serve: {error}")


def _screen(up: Any, demo: Any) -> str:
    """What a newcomer sees: what listens where, the number, the key, and what to type next."""
    bound = up.sip[0].split(":", 1)[1]
    to = "" if bound == "127.0.0.1:5060" else f" --to {bound}"
    before = "this database was there before the demo"
    key = demo.key or f"({before}: edge key create --admin)"
    number = demo.number or f"({before}: POST {up.http}/v1.0/numbers)"
    called = demo.number or "NUMBER"
    return f"""
edge {__version__} is up.

  SIP        {"  ".join(up.sip)}
  API        {up.http}/v1.0    documents: {up.http}/docs    metrics: {up.http}/metrics
  number     {number}
  API key    {key}

Try it in another terminal:

  {_command()} call {called}{to}
  {_command()} text {called} "hello"{to}

Ctrl-C ends it.
"""


def _command() -> str:
    """How this command was called, so that what the screen says can be pasted."""
    path = Path(sys.argv[0])
    if path.name == "__main__.py":
        return f"{sys.executable} -m edge"
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return path.name


@app.command()
def check(config: ConfigFile = None) -> None:
    """Read the configuration and say what is wrong with it."""
    checked(lambda: configuration.load(config))
    print("the configuration is good")


@app.command()
def settings() -> None:
    """Print every setting with its default and what it means, as a configuration file."""
    print(configuration.text(), end="")


@app.command()
def migrate(config: ConfigFile = None) -> None:
    """Bring the database up to date. `serve` does it by itself for SQLite."""
    from edge.store import migrate as migrations

    applied = run(migrations.migrate(checked(lambda: configuration.load(config)).store.url))
    print("\n".join(f"applied {revision}" for revision in applied) or "the database is up to date")


@keys.command("create")
def create_key(
    config: ConfigFile = None,
    admin: Annotated[bool, typer.Option("--admin", help="A key that may do everything, for all accounts.")] = False,
    customer: Annotated[str | None, typer.Option(help="Id of the account the key is for.")] = None,
    name: Annotated[str, typer.Option(help="What the key is for.")] = "",
) -> None:
    """Make an access key and print it; it is shown this once."""
    if admin == (customer is not None):
        fail("either --admin or --customer ID", status=2)
    loaded = checked(lambda: configuration.load(config))

    async def create() -> str:
        from edge.stores import open_stores

        async with open_stores(loaded) as stores:
            _, token = await stores.keys.create(customer, admin=admin, name=name)
            return token

    print(run(create()))


@app.command()
def lookup(number: Annotated[str, typer.Argument(help="A number in E.164.")], config: ConfigFile = None) -> None:
    """Show a number as the directory finds it, and which tier knew it."""
    loaded = checked(lambda: configuration.load(config))

    async def look() -> dict[str, Any]:
        from edge.stores import open_stores

        async with open_stores(loaded) as stores:
            found = await stores.directory.find(number)
            return {"source": found.source, "number": found.value.public() if found.value is not None else None}

    answer = run(look())
    print(json.dumps(answer, indent=2))
    if answer["number"] is None:
        raise typer.Exit(1)


@app.command()
def call(
    number: Annotated[str, typer.Argument(help="The number to call.")],
    to: To = "127.0.0.1:5060",
    transport: Way = "udp",
    caller: From = "+14155550199",
    digits: Annotated[str, typer.Option(help="Keys to press after the answer; a comma waits a second.")] = "",
    save: Annotated[Path | None, typer.Option(help="WAV file for what is heard.")] = None,
    seconds: Annotated[float, typer.Option(help="Hang up after this time.")] = 60.0,
) -> None:
    """Call a number, print the ladder as it happens, and say what was heard."""
    from edge import phone

    heard = run(
        phone.call(
            _server(to, transport),
            number,
            say=_say,
            caller=caller,
            digits=digits,
            seconds=seconds,
            save=save,
        )
    )
    if heard.status != 200:
        fail(f"not answered: {heard.status} {heard.reason}")
    print(f"heard {heard.audio_seconds:.1f} s of audio, {heard.sound_seconds:.1f} s of it sound", end="")
    print(f"; pressed {heard.digits}" if heard.digits else "", end="")
    print(f"; saved to {save}" if save else "")


@app.command()
def text(
    number: Annotated[str, typer.Argument(help="The number to text.")],
    body: Annotated[str, typer.Argument(help="What to write.")],
    to: To = "127.0.0.1:5060",
    transport: Way = "udp",
    caller: From = "+14155550199",
    seconds: Annotated[float, typer.Option(help="How long to wait for a reply.")] = 5.0,
) -> None:
    """Send a text by SIP MESSAGE and print the reply that comes back."""
    from edge import phone

    status, reply = run(phone.text(_server(to, transport), number, body, say=_say, caller=caller, seconds=seconds))
    if not 200 <= status < 300:
        fail(f"not taken: {status}")
    if reply is None:
        fail(f"taken with {status}; no reply within {seconds:g} s")
    print(reply)


@app.command()
def segments(
    body: Annotated[str, typer.Argument(help="What would be sent.")],
) -> None:
    """Say how many short messages a text makes, and which characters make it more."""
    from edge.api.segments import segments_of
    from edge.store.metadata import storable

    print(json.dumps(segments_of(storable(body)).model_dump(mode="json"), indent=2, ensure_ascii=False))


@app.command()
def version() -> None:
    """Print the version."""
    print(__version__)


def _server(to: str, transport: str) -> Peer:
    from edge import phone

    if transport not in ("udp", "tcp"):
        fail(f"{transport} is no transport: udp or tcp", status=2)
    try:
        return phone.read_server(to, "udp" if transport == "udp" else "tcp")
    except Invalid as error:
        fail(f"{error.message}: {error.faults[0]}")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main() -> None:
    """The console script."""
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    app()


if __name__ == "__main__":
    main()
