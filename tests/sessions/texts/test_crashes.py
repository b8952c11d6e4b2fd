"""The world ends at every place where it can be told from another: nothing acknowledged is lost, nothing is sent twice.

What a process does shows outside of it only in the database and at its carrier. So to die at any await comes to the
same as to die before or after one thing that is asked of these. Here a process dies at each of them in turn, the next
one of its name dies a little later, at its start or at work, and the third lives to the end. The carrier does what
carriers do: it sends again what was not acknowledged, before that moment and after it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar, cast

import pytest

from edge.sessions.tables import messages
from edge.sessions.texts.parts import PartDesk, PartsSection
from edge.sessions.texts.reports import ReceiptsSection, Reports
from edge.sessions.texts.tables import outbox
from edge.sms.part import Part
from edge.sms.text import OutgoingText, Receipt, Report, Text
from edge.store.reader import Lookup, Reader
from edge.store.writer import Statement, Writer
from tests.sessions.ground import Clock, Frail, Ground
from tests.sessions.texts.test_desk import NOW, PEER, TEXT, Library, Life, Post, action

T = TypeVar("T")

FLOW = Library(
    action("reply", text="got: ${voipbin.conversation_message.text}"),
    action("message_send", destinations=[{"type": "tel", "target": "+14155550333"}], text="see above"),
)
PART = Part("post", "p1", PEER, TEXT.destination, 7, 2, 1, "gsm", b"hel", NOW, country="US", route="back")


class Fate:
    """Says when a process dies: at the so-many-th thing that it asks of the world, or hears from it. 0: never."""

    def __init__(self, at: int) -> None:
        self._at = at
        self.crossed = 0
        self.dead = asyncio.Event()

    @property
    def is_never(self) -> bool:
        return not self._at

    async def around(self, doing: Callable[[], Awaitable[T]]) -> T:
        await self.cross()
        done = await doing()
        await self.cross()
        return done

    async def cross(self) -> None:
        self.crossed += 1
        if self.crossed == self._at:
            self.dead.set()
        if self.dead.is_set():
            await asyncio.Event().wait()  # what is dead does nothing more, and hears nothing


class MortalWriter:
    def __init__(self, writer: Writer, fate: Fate) -> None:
        self._writer = writer
        self._fate = fate

    async def put(self, statement: Statement, rows: Sequence[tuple[Any, ...]]) -> int:
        return await self._fate.around(lambda: self._writer.put(statement, rows))

    async def put_each(self, statement: Statement, rows: Sequence[tuple[Any, ...]]) -> list[bool]:
        return await self._fate.around(lambda: self._writer.put_each(statement, rows))

    async def put_with(self, statement: Statement, row: tuple[Any, ...], then: Sequence[Any]) -> bool:
        return await self._fate.around(lambda: self._writer.put_with(statement, row, then))

    def put_later(self, statement: Statement, rows: Sequence[tuple[Any, ...]]) -> None:
        if self._fate.is_never:  # else it is lost with the process, as it may be
            self._writer.put_later(statement, rows)

    async def flush(self) -> None:
        await self._fate.around(self._writer.flush)


class MortalReader:
    def __init__(self, reader: Reader, fate: Fate) -> None:
        self._reader = reader
        self._fate = fate

    def get(self, lookup: Lookup, key: str) -> asyncio.Future[list[tuple[Any, ...]]]:
        return asyncio.ensure_future(self._fate.around(lambda: self._reader.get(lookup, key)))


class MortalPost(Post):
    """The carrier, as a process that may die has it. `took` is of all lives."""

    def __init__(self, took: list[OutgoingText], fate: Fate) -> None:
        super().__init__()
        self.took = took
        self._fate = fate

    async def send(self, text: OutgoingText) -> Receipt:
        async def take() -> Receipt:
            self.took.append(text)
            return Receipt((f"theirs {text.id}",))

        return await self._fate.around(take)


class Carrier:
    """The other side: what it has to bring and was not acknowledged, what it took, and what it has to tell of that."""

    def __init__(self, brings: Sequence[Text | Part]) -> None:
        self.brings = list(brings)
        self.took: list[OutgoingText] = []
        self.told: set[str] = set()

    async def talk(self, ground: Ground, fate: Fate) -> None:
        """All that it has to say to one process, and all that this does; it may die on the way."""
        writer = cast("Writer", MortalWriter(ground.writer, fate))
        reader = cast("Reader", MortalReader(ground.reader, fate))
        post = MortalPost(self.took, fate)
        reports = Reports(ReceiptsSection(), ground.engine, reader, writer, Clock())
        life = Life(Ground(ground.engine, writer, reader), post, FLOW, Frail(writer), reports)
        parts = PartDesk(PartsSection(), ground.engine, reader, writer, life.desk, life.clock)
        living = asyncio.create_task(self._talk(life, parts, reports))
        dying = asyncio.create_task(fate.dead.wait())
        await asyncio.wait([living, dying], return_when=asyncio.FIRST_COMPLETED)
        if not fate.dead.is_set():
            await living
            fate.dead.set()  # its end is the same, only that there is nothing left to lose
        for task in (living, dying):
            task.cancel()
        await asyncio.gather(living, dying, return_exceptions=True)
        await life.die()

    async def _talk(self, life: Life, parts: PartDesk, reports: Reports) -> None:
        await life.start()
        while self.brings:
            one = self.brings[0]
            await (parts.keep(one) if isinstance(one, Part) else life.desk.receive(one))
            self.brings.pop(0)
        await parts.look()
        await life.settle()
        for text in list(self.took):
            if text.id not in self.told:
                await reports.take(Report("post", f"theirs {text.id}", "delivered", life.clock()))
                self.told.add(text.id)


WAYS: dict[str, tuple[Sequence[Text | Part], list[str]]] = {  # what the carrier brings, and the texts in it
    "a text twice": ([TEXT, TEXT], ["hello"]),
    "parts": ([replace(PART, id="p2", number=2, payload=b"lo"), PART, PART], ["hello"]),
}


async def story(ground: Ground, way: str, at: int) -> int:
    """A process that dies at such a place, one that dies soon after it, one that lives; what the first came to."""
    brings, bodies = WAYS[way]
    carrier = Carrier(brings)
    first = Fate(at)
    await carrier.talk(ground, first)
    await carrier.talk(ground, Fate(1 + 5 * at % 17))
    await carrier.talk(ground, Fate(0))
    assert not carrier.brings
    rows = await ground.rows(messages)
    assert sorted(row["text"] for row in rows if row["direction"] == "inbound") == bodies
    assert {row["flow_state"] for row in rows} == {"none", "done"}
    expected = Counter([*(f"got: {body}" for body in bodies), *("see above" for _ in bodies)])
    assert Counter(row["text"] for row in rows if row["direction"] == "outbound") == expected
    assert Counter({text.id: text.body for text in carrier.took}.values()) == expected  # the same id, if again
    assert len(carrier.took) <= sum(expected.values()) + 2  # as often as somebody died between taken and written down
    assert {row["state"] for row in await ground.rows(outbox)} == {"delivered"}
    return first.crossed


@pytest.mark.parametrize("way", WAYS)
async def test_a_crash_anywhere_loses_nothing_and_sends_nothing_twice(ground: Ground, way: str) -> None:
    places = await story(ground, way, 0)
    assert places > 20
    for at in range(1, places + 1):
        await ground.empty()
        await story(ground, way, at)
