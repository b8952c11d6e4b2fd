"""The floors of the edge: imports go down only, names on one line do not know each other, clocks stay at the doors.

The picture below is the one of docs/architecture.md. Three floors have an order of their own: on floor 5 a part knows
those to its right, on floor 0 those to its left. Within sessions there are storeys too, as its docstring has them.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
EDGE = ROOT / "edge"

FLOORS: dict[int, list[str]] = {
    5: ["__main__", "offline", "console", "daemon", "upkeep", "demo", "phone", "stores", "systemd", "config"],
    4: ["api"],
    3: ["sessions"],
    2: ["actions", "carriers", "providers", "voices", "storages"],
    1: ["flows", "sms", "sip", "media", "recordings", "numbers", "trunks", "accounts", "stir"],
    0: ["errors", "metrics", "plugins", "settings", "log", "store", "names", "http"],
}
FLOOR_OF = {part: floor for floor, parts in FLOORS.items() for part in parts}
STOREYS: list[list[str]] = [  # of edge/sessions, from below; all else in that folder is below them
    ["queues"],
    ["deliveries"],
    ["outside"],
    ["events"],
    ["texts", "calls"],
    ["simulation"],
]
STOREY_OF = {part: storey for storey, parts in enumerate(STOREYS, 1) for part in parts}

# Here only transport.py, or a file in a folder of that name, meets the outside world …
SANS_IO = ("sip", "media", "sms")
OUTSIDE = {"asyncio", "socket", "time", "random"}
EAGER = "eager.py"  # … and in flows/ one file meets the loop: it steps a run and makes a task of one that waits
VAGUE_NAMES = {"utils", "util", "helpers", "helper", "manager", "common", "misc"}


def may_know(part: str, other: str) -> bool:
    """Whether a module of `part` may import one of `other`; both are names from the picture."""
    floor, below = FLOOR_OF[part], FLOOR_OF[other]
    line = FLOORS[floor]
    if part == other or below < floor:
        return True
    if below > floor:
        return False
    return {
        5: line.index(other) > line.index(part),
        0: line.index(other) < line.index(part),
    }.get(floor, False)


def imports(path: Path, source: str) -> Iterator[tuple[int, str]]:
    """Line and dotted name of everything a module of the edge imports, wherever in it and however it is written."""
    package = ["edge", *path.relative_to(EDGE).parts[:-1]]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            if module == "edge":
                yield from ((node.lineno, f"edge.{alias.name}") for alias in node.names)
            else:
                yield node.lineno, module


def faults(path: Path, source: str) -> list[str]:
    """What is wrong with the imports of one module: `sip/agent.py:3 …`."""
    relative = path.relative_to(EDGE)
    part = relative.parts[0].removesuffix(".py")
    if part not in FLOOR_OF:
        return [f"{relative}: {part} has no place in the picture"]
    wrong = []
    for line, name in imports(path, source):
        top, _, rest = name.partition(".")
        other = rest.partition(".")[0]
        if top == "edge" and other in FLOOR_OF and not may_know(part, other):
            wrong.append(f"{relative}:{line}: {part} may not know {other}")
        if part == other == "sessions" and not may_know_within(relative.parts[1], f"{rest}."):
            wrong.append(f"{relative}:{line}: {relative.parts[1]} may not know {rest}")
        if part in SANS_IO and top in OUTSIDE and "transport" not in relative.with_suffix("").parts:
            wrong.append(f"{relative}:{line}: only transport.py or transport/ may import {top}")
        if part == "flows" and top == "asyncio" and path.name != EAGER:
            wrong.append(f"{relative}:{line}: in flows only {EAGER} may import asyncio")
    return wrong


def may_know_within(place: str, name: str) -> bool:
    """Whether a module of sessions at that place, "texts" or "memory.py", may import "sessions.texts.inbox"."""
    own, other = place.removesuffix(".py"), name.split(".")[1]
    storey, below = STOREY_OF.get(own, 0), STOREY_OF.get(other, 0)
    return own == other or below < storey or not below


def modules() -> list[Path]:
    return [path for path in sorted(EDGE.rglob("*.py")) if path != EDGE / "__init__.py"]


def test_imports_go_down_only() -> None:
    assert [fault for path in modules() for fault in faults(path, path.read_text())] == []


def test_the_package_itself_imports_nothing_of_ours() -> None:
    path = EDGE / "__init__.py"
    assert [name for _, name in imports(path, path.read_text()) if name.startswith("edge")] == []


def test_no_file_has_a_vague_name() -> None:
    names = [*modules(), *sorted((ROOT / "tests").rglob("*.py")), *sorted((ROOT / "bench").rglob("*.py"))]
    assert [str(path.relative_to(ROOT)) for path in names if VAGUE_NAMES & {path.stem, path.parent.name}] == []


@pytest.mark.parametrize(
    ("module", "source", "expected"),
    [
        # up, sideways, down
        ("numbers/table.py", "from edge.sessions import call", "numbers may not know sessions"),
        ("numbers/table.py", "from edge.sip.uri import Uri", "numbers may not know sip"),
        ("numbers/table.py", "from edge.store.engine import open_engine", None),
        ("numbers/table.py", "from edge.numbers.number import Number", None),
        ("actions/play.py", "from edge.carriers import loopback", "actions may not know carriers"),
        ("sessions/calls/call.py", "from edge import api", "sessions may not know api"),
        ("sessions/calls/call.py", "from edge import __version__", None),
        # the storeys of sessions
        (
            "sessions/texts/inbox.py",
            "from edge.sessions.calls.call import Call",
            "texts may not know sessions.calls.call",
        ),
        ("sessions/queues/sender.py", "from edge.sessions.texts import inbox", "queues may not know sessions.texts"),
        ("sessions/memory.py", "from edge.sessions.outside import Reach", "memory.py may not know sessions.outside"),
        ("sessions/memory.py", "from edge.sessions.tables import memories", None),
        ("sessions/texts/inbox.py", "from edge.sessions.texts.incoming import Incoming", None),
        ("sessions/texts/inbox.py", "from edge.sessions.memory import Memory", None),
        # however it is written
        ("sip/agent.py", "def f():\n    import edge.media.sdp", "sip may not know media"),
        ("sip/agent.py", "if TYPE_CHECKING:\n    from edge.media import sdp", "sip may not know media"),
        ("sip/agent.py", "from ..media.sdp import read", "sip may not know media"),
        ("sip/agent.py", "from .message import parse", None),
        ("store/migrations/versions/0001_a.py", "from ....numbers import table", "store may not know numbers"),
        # the order of floors 0 and 5
        ("log.py", "from edge.settings import Section", None),
        ("settings.py", "from edge.log import get_logger", "settings may not know log"),
        ("daemon.py", "from edge.config import Config", None),
        ("config.py", "from edge.daemon import serve", "config may not know daemon"),
        # the outside world
        ("sip/agent.py", "import time", "only transport.py or transport/ may import time"),
        ("media/stream.py", "from asyncio import sleep", "only transport.py or transport/ may import asyncio"),
        ("sip/transport.py", "import asyncio, socket, time, random", None),
        ("media/transport/clock.py", "import asyncio, socket, time, random", None),
        ("media/stream/clock.py", "import time", "only transport.py or transport/ may import time"),
        ("flows/executor.py", "import asyncio", "in flows only eager.py may import asyncio"),
        ("flows/eager.py", "import asyncio", None),
        ("basement.py", "", "basement has no place in the picture"),
    ],
)
def test_a_breach_is_seen(module: str, source: str, expected: str | None) -> None:
    found = faults(EDGE / module, source)
    assert (len(found) == 1 and expected in found[0]) if expected else found == []
