"""`edge trunk`: the trunks in force, and those in the database made and taken away, beside a daemon or without one.

A running edge has what is changed here in force two seconds later.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from edge import config as configuration
from edge.console import checked, fail, run

if TYPE_CHECKING:
    from edge.api.trunks import Trunks
    from edge.stores import Stores

T = TypeVar("T")

ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="Configuration file; without it, defaults and EDGE_*.", envvar="EDGE_CONFIG"),
]
Name = Annotated[str, typer.Argument(help="The trunk's name.")]


def add_to(app: typer.Typer) -> None:
    """The commands."""
    trunks = typer.Typer(help="Trunks: the SIP sides of carriers.", no_args_is_help=True)
    trunks.command("list")(list_trunks)
    trunks.command("show")(show_trunk)
    trunks.command("add")(add_trunk)
    trunks.command("remove")(remove_trunk)
    app.add_typer(trunks, name="trunk")


def list_trunks(config: ConfigFile = None) -> None:
    """One line for each: name, file or api, transport, networks, target."""

    async def rows(_stores: Stores, trunks: Trunks) -> list[tuple[str, ...]]:
        found = await trunks.all()
        return [(t.name, t.source, t.transport, " ".join(map(str, t.networks)), str(t.target or "")) for t in found]

    for row in _with(config, rows):
        print("\t".join(row).rstrip())


def show_trunk(name: Name, config: ConfigFile = None) -> None:
    """A trunk as the API shows it: all but passwords."""

    async def look(_stores: Stores, trunks: Trunks) -> Any:
        return next((shown for shown in await trunks.shown() if shown.name == name), None)

    found = _with(config, look)
    if found is None:
        fail(f"there is no trunk {name}")
    print(json.dumps(found.model_dump(mode="json"), indent=2))


def add_trunk(
    file: Annotated[
        Path, typer.Argument(help="A JSON file with what POST /v1.0/trunks takes; - reads standard input.")
    ],
    config: ConfigFile = None,
) -> None:
    """Make a trunk in the database."""
    try:
        data = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as error:
        fail(f"{file}: {error.strerror}", status=2)

    async def make(stores: Stores, _trunks: Trunks) -> str:
        from edge.api.reading import read_body
        from edge.api.trunks import TrunkCreate, given

        return (await stores.trunks.create(given(read_body(TrunkCreate, data)))).id

    print(_with(config, make))


def remove_trunk(name: Name, config: ConfigFile = None) -> None:
    """Delete a trunk from the database. One that a number answers on stays."""

    async def remove(stores: Stores, trunks: Trunks) -> bool:
        found = next((trunk for trunk in await trunks.all() if trunk.name == name), None)
        if found is not None:
            await trunks.require_unused(found.id)
            await stores.trunks.delete(found.id)
        return found is not None

    if not _with(config, remove):
        fail(f"there is no trunk {name}")


def _with(config: Path | None, work: Callable[[Stores, Trunks], Awaitable[T]]) -> T:
    loaded = checked(lambda: configuration.load(config))

    async def done() -> T:
        from edge.api.trunks import Trunks
        from edge.stores import open_stores

        async with open_stores(loaded) as stores:
            return await work(stores, Trunks(stores.trunks, stores.roll, stores.numbers))

    return run(done())
