"""Where a flow comes from: a file as in config/flows, or the database by id or name."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from importlib.resources import as_file, files
from pathlib import Path
from typing import Final

from edge.config import Config
from edge.errors import Fault, Invalid, NotFound
from edge.flows.flow import Flow, compile_flow, name_steps
from edge.flows.resource import AccountResources
from edge.flows.table import FlowTable, StoredFlow
from edge.sessions.simulation.outside import FindFlow, FindResources
from edge.store.metadata import is_id
from edge.stores import Stores, open_stores

HERE: Final = Path()
NO_OTHERS: Final[Mapping[str, Path]] = {}
PROMPTS: Final = "prompts"  # the folder beside a flow in which its audio is looked for


@dataclass(frozen=True, slots=True)
class Source:
    """A flow, and what is around it."""

    flow: Flow
    find_flow: FindFlow  # another one by its id
    prompts: tuple[Path, ...]
    find_resources: FindResources | None = None
    stores: Stores | None = None  # None: the flow is a file


def is_file(name: str, folder: Path) -> bool:
    """Whether the name of a flow means a file."""
    return name.endswith(".json") or "/" in name or (folder / name).is_file()


@asynccontextmanager
async def open_source(
    name: str,
    *,
    config: Callable[[], Config],
    folder: Path = HERE,
    prompts: Path | None = None,
    others: Mapping[str, Path] = NO_OTHERS,
) -> AsyncIterator[Source]:
    """The flow of that name. Files are relative to `folder`; `others` are the files of flows by their ids.

    `config` is asked for a flow of the database only. Raises Invalid, NotFound, Unavailable.
    """
    with as_file(files("edge").joinpath("prompts")) as shipped:
        if is_file(name, folder):
            path = folder / name

            async def find(flow_id: str) -> Flow:
                return _other(flow_id, folder, others)

            yield Source(read_flow(path), find, (prompts or path.parent / PROMPTS, shipped))
            return
        loaded = config()
        async with open_stores(loaded) as stores:
            stored = await _stored(stores.flows, name)

            async def look(flow_id: str) -> Flow:
                if flow_id in others:
                    return _other(flow_id, folder, others)
                found = (await stores.library.find(flow_id)).value
                if found is None or found.customer_id != stored.customer_id:
                    raise NotFound(f"there is no flow {flow_id[:60]}", reason="FLOW_NOT_FOUND")
                return found

            resources = AccountResources(stores.resources, stored.customer_id)
            yield Source(stored.compiled(), look, (prompts or loaded.media.prompts, shipped), resources, stores)


def read_flow(path: Path, id: str | None = None) -> Flow:
    """The flow in a file. Raises Invalid, each fault with the name of the file in front."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from None
    except ValueError as error:
        raise _unreadable(path, f"is no JSON: {error}") from None
    try:
        named = name_steps(document)
        return compile_flow(named) if id is None else compile_flow(named, id=id)
    except Invalid as error:
        faults = [
            replace(fault, where=f"{path}: {fault.where}" if fault.where else str(path)) for fault in error.faults
        ]
        raise Invalid(error.message, faults=faults, reason=error.reason) from None


def _other(flow_id: str, folder: Path, others: Mapping[str, Path]) -> Flow:
    if flow_id not in others:
        raise NotFound(f"there is no flow {flow_id[:60]}: --with {flow_id[:60]}=FILE gives one")
    return read_flow(folder / others[flow_id], flow_id)


async def _stored(flows: FlowTable, name: str) -> StoredFlow:
    if is_id(name.lower()):
        found = await flows.get(name.lower())
        if found is None:
            raise NotFound(f"there is no flow {name}")
        return found
    page = await flows.list(None, name=name)
    if not page.items:
        raise NotFound(f"there is no flow called {name!r}, and no such file")
    if len(page.items) > 1:
        ids = ", ".join(flow.id for flow in page.items)
        raise Invalid(f"several flows are called {name!r}; say which by its id: {ids}")
    return page.items[0]


def _unreadable(path: Path, what: str) -> Invalid:
    return Invalid(f"{path}: {what}", faults=[Fault(str(path), what)])
