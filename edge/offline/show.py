"""The command `edge flow show`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge import config as configuration
from edge.console import checked, fail, run
from edge.errors import Invalid, NotFound
from edge.plugins import load

if TYPE_CHECKING:
    from edge.flows.flow import Flow
    from edge.flows.graph import Counts


def add_to(app: typer.Typer) -> None:
    """Enter the command."""
    flows = typer.Typer(help="Flows.", no_args_is_help=True)
    flows.command("show")(show)
    flows.callback()(_only)
    app.add_typer(flows, name="flow")


def _only() -> None:
    """So that `show` is a word of its own although it is the only one."""


def show(
    flow: Annotated[
        str, typer.Argument(help="A file as in config/flows, or the id or name of a flow in the database.")
    ],
    svg: Annotated[
        Path | None, typer.Option("--svg", help="Write a picture into this file instead; - prints it.")
    ] = None,
    counts: Annotated[
        bool, typer.Option("--counts", help="With how often each step of a stored flow ran lately.")
    ] = False,
    version: Annotated[
        int | None, typer.Option(min=1, help="A version of a stored flow instead of the newest.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", "-c", help="Configuration file, for the database.", envvar="EDGE_CONFIG")
    ] = None,
) -> None:
    """Print a flow as a graph in the language of Mermaid, or draw it."""
    from edge.flows import drawing
    from edge.flows.graph import graph_of, mermaid

    load("edge.actions")
    found, ran = run(_find(flow, counts, version, config))
    graph = graph_of(found)
    if svg is None:
        print(mermaid(graph, ran), end="")
    elif str(svg) == "-":
        print(drawing.svg(graph, ran), end="")
    else:
        try:
            svg.write_text(drawing.svg(graph, ran), encoding="utf-8")
        except OSError as error:
            fail(f"{svg}: {error.strerror}")


async def _find(name: str, counts: bool, version: int | None, config: Path | None) -> tuple[Flow, Counts | None]:
    from edge.offline.source import open_source
    from edge.sessions.step_counts import StepCounts

    async with open_source(name, config=lambda: checked(lambda: configuration.load(config))) as source:
        if source.stores is None:
            if counts or version is not None:
                raise Invalid("only a flow in the database has versions and counts")
            return source.flow, None
        flow = source.flow
        if version is not None:
            stored = await source.stores.flows.version(flow.id, version)
            if stored is None:
                raise NotFound(f"the flow {flow.id} has no version {version}")
            flow = stored.compiled()
        return flow, await StepCounts(source.stores.engine).of(flow) if counts else None
