"""Parts of long texts: joined in any order, kept over any crash, and handed on in the end whatever is missing."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from edge.errors import Invalid, NumberSuspended, NumberUnknown, Unavailable
from edge.metrics import REGISTRY
from edge.sessions.tables import messages
from edge.sessions.texts.message import MessageTable
from edge.sessions.texts.parts import KEPT, LOST_AFTER, UNDER_WAY, PartDesk, PartsSection
from edge.sessions.texts.tables import text_parts
from edge.sms.part import Part
from edge.sms.text import Text, Verdict
from tests.sessions.ground import Frail, Ground
from tests.sessions.texts.test_desk import NOW, OURS, PEER, REPLY, SUSPENDED, Life, Post, living

HOUR = 3600
PART = Part("post", "id", PEER, OURS, 7, 2, 1, "gsm", b"", NOW, country="US", route="back")


def desk_of(life: Life) -> PartDesk:
    return PartDesk(
        PartsSection(expire_seconds=HOUR),
        life.inbox._engine,
        life.parking._reader,
        life.frail.as_writer(),
        life.desk,
        life.clock,
    )


def part(spec: str, life: Life | None = None, **more: Any) -> Part:
    """`7:1/2 Hello#id`: reference, number, total, payload; without an id it is what it says."""
    where, _, said = spec.partition(" ")
    payload, _, id = said.partition("#")
    reference, _, place = where.partition(":")
    number, _, total = place.partition("/")
    made = replace(PART, id=id or spec, reference=int(reference), number=int(number), total=int(total))
    return replace(made, payload=payload.encode(), received_at=life.clock() if life else NOW, **more)


async def bodies(ground: Ground) -> list[str]:
    return [row["text"] for row in await ground.rows(messages) if row["direction"] == "inbound"]


def joined(why: str) -> float:
    return REGISTRY.get_sample_value("edge_texts_joined_total", {"carrier": "post", "why": why}) or 0.0


@pytest.mark.parametrize(
    ("story", "texts"),
    [
        (["7:1/2 Hello ", "7:2/2 world"], ["Hello world"]),
        (["7:2/2 world", "7:1/2 Hello "], ["Hello world"]),
        (["7:3/3 c", "7:1/3 a", "7:2/3 b"], ["abc"]),
        (["7:1/2 a", "7:1/2 a", "7:2/2 b", "7:2/2 b", "7:1/2 a"], ["ab"]),  # repeated, also when all is done
        (["7:1/2 a#1", "7:1/2 a#2", "7:2/2 b"], ["ab"]),  # under another id
        (["7:1/2 a", "8:1/2 A", "7:2/2 b", "8:2/2 B"], ["ab", "AB"]),
        (["7:1/2 a", "7:1/2 A", "7:2/2 B", "7:2/2 b"], ["AB", "ab"]),  # two at once with one reference
        (["7:1/2 a", "7:2/2 b", "7:1/2 A", "7:2/2 B"], ["ab", "AB"]),  # the reference once more
        (["7:1/2 a", "7:2/2 b", "7:1/2 a#3", "7:2/2 b#4"], ["ab", "ab"]),
        (["7:1/2 a", "7:2/3 x", "7:2/2 b", HOUR], ["ab", "[part 1 of 3 is missing]x[part 3 of 3 is missing]"]),
        (["7:0/2 a", "7:3/2 b", "7:1/0 c", "7:1/1 d", "7:1/256 e"], ["a", "b", "c", "d", "e"]),
        (["7:1/2 a", HOUR - 1], []),
        (["7:1/2 a", HOUR], ["a[part 2 of 2 is missing]"]),
        (["7:2/3 b", HOUR, HOUR], ["[part 1 of 3 is missing]b[part 3 of 3 is missing]"]),
        (["7:1/3 a", HOUR - 1, "7:2/3 b", 1], ["ab[part 3 of 3 is missing]"]),
        (["7:1/2 a", HOUR, "7:2/2 b", HOUR], ["a[part 2 of 2 is missing]", "[part 1 of 2 is missing]b"]),
        (["7:1/2 a", HOUR, "7:1/2 a", HOUR], ["a[part 2 of 2 is missing]"]),
        (["7:1/2 a#1", "7:1/2 a#2", HOUR, HOUR], ["a[part 2 of 2 is missing]"]),
    ],
    ids=lambda value: "" if value and not isinstance(value[0], str) else " ".join(map(str, value)),
)
async def test_parts_become_texts(ground: Ground, story: Sequence[str | int], texts: list[str]) -> None:
    async with living(ground) as life:
        desk = desk_of(life)
        for step in story:
            if isinstance(step, int):
                life.clock.move(step)
                await desk.look()
            else:
                assert (await desk.keep(part(step, life))).refusal is None
                life.clock.move(0.001)
        await life.settle()
        assert sorted(await bodies(ground)) == sorted(texts)


async def test_the_last_part_is_answered_with_the_text(ground: Ground) -> None:
    post = Post()
    async with living(ground, REPLY, post) as life:
        desk = desk_of(life)
        assert await desk.keep(part("7:1/2 Hello ")) == Verdict("")
        assert await desk.keep(part("7:1/2 Hello ")) == Verdict("", repeated=True)
        whole = await desk.keep(part("7:2/2 world"))
        assert await desk.keep(part("7:2/2 world")) == replace(whole, repeated=True)
        assert await desk.keep(part("7:1/2 Hello ")) == replace(whole, repeated=True)
        await life.settle()
    (sent,) = post.took
    assert (sent.body, sent.route) == ("got: Hello world", "back")
    inbound, _ = sorted(await MessageTable(ground.engine).list(None), key=lambda message: message.direction)
    assert (inbound.id, inbound.text, inbound.targets[0].parts) == (whole.message_id, "Hello world", 2)
    assert inbound.edge.carrier_id == "7:1/2 Hello  +1"


async def test_what_goes_out_says_how_many_parts_it_takes(ground: Ground) -> None:
    async with living(ground, REPLY) as life:
        await desk_of(life).keep(part(f"7:1/1 {'a' * 156}"))
        await life.settle()
    shown = {message.direction: message.targets[0].parts for message in await MessageTable(ground.engine).list(None)}
    assert shown == {"inbound": 1, "outbound": 2}


async def test_the_way_back_is_that_of_the_last_part(ground: Ground) -> None:
    async with living(ground) as life:
        desk = desk_of(life)
        await desk.keep(part("7:1/2 a", route="old"))
        life.clock.move(1)
        await desk.keep(part("7:2/2 b", life, route="new"))
        await life.settle()
        (row,) = [row for row in await ground.rows(messages) if row["direction"] == "inbound"]
    assert (row["route"], row["parts"], row["tm_create"]) == ("new", 2, life.clock())


async def test_all_parts_at_once_are_one_text(ground: Ground) -> None:
    async with living(ground) as life:
        desk = desk_of(life)
        parts = [part(f"7:{number}/40 {number:02}") for number in range(1, 41)]
        verdicts = await asyncio.gather(*(desk.keep(one) for one in [*parts, *parts[::3]]))
        assert len({verdict.message_id for verdict in verdicts} - {""}) == 1
        await life.settle()
    assert await bodies(ground) == ["".join(f"{number:02}" for number in range(1, 41))]


async def test_texts_of_others_are_not_mixed_up(ground: Ground) -> None:
    async with living(ground) as life:
        desk = desk_of(life)
        await desk.keep(part("7:1/2 a"))
        await desk.keep(part("7:2/2 x#1", source="+14155550112"))
        await desk.keep(part("7:2/2 y#2", destination="+14155550101"))
        await desk.keep(part("7:2/2 z#3", carrier="other"))
        assert await bodies(ground) == []
        await desk.keep(part("7:2/2 b"))
        await life.settle()
        assert await bodies(ground) == ["ab"]


@pytest.mark.parametrize(("destination", "refusal"), [("+14155559999", NumberUnknown), (SUSPENDED, NumberSuspended)])
async def test_a_part_for_a_number_that_takes_no_texts_is_refused_at_once(
    ground: Ground, destination: str, refusal: Any
) -> None:
    async with living(ground) as life:
        desk = desk_of(life)
        for number in (1, 2):
            one = part(f"7:{number}/2 {number}", destination=destination)
            verdict = await desk.keep(one)
            assert verdict.refusal is refusal
            assert await desk.keep(one) == replace(verdict, repeated=True)
        assert await bodies(ground) == ["1", "2"]
        assert await ground.rows(text_parts) == []


async def test_a_number_that_is_gone_when_the_last_part_comes(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    async with living(ground) as life:
        desk = desk_of(life)
        await desk.keep(part("7:1/2 a"))

        class Later:
            async def refuses(self, text: Text) -> bool:
                return False

            async def receive(self, text: Text) -> Verdict:
                return await life.desk.receive(replace(text, destination="+14155559999"))

        monkeypatch.setattr(desk, "_texts", Later())
        assert (await desk.keep(part("7:2/2 b"))).refusal is NumberUnknown
        assert await bodies(ground) == ["ab"]


@pytest.mark.parametrize("change", [{"source": ""}, {"source": "\0"}, {"id": ""}, {"route": "\ud800"}])
async def test_what_cannot_be_kept_is_invalid(ground: Ground, change: dict[str, Any]) -> None:
    async with living(ground) as life:
        with pytest.raises(Invalid):
            await desk_of(life).keep(replace(PART, **change))
        assert await ground.rows(text_parts) == []


async def test_alphabets_are_read_over_the_cut(ground: Ground) -> None:
    async with living(ground) as life:
        desk = desk_of(life)
        await desk.keep(replace(part("7:1/2 x"), alphabet="ucs2", payload=b"\xd8\x3d"))
        await desk.keep(replace(part("7:2/2 y"), alphabet="ucs2", payload=b"\xde\x00\x00!"))
        await life.settle()
        assert await bodies(ground) == ["😀!"]


async def test_parts_for_no_end_of_texts_are_handed_on(ground: Ground) -> None:
    async with living(ground) as life:
        desk = desk_of(life)
        before = joined("crowded")
        for reference in range(UNDER_WAY + 3):
            await desk.keep(part(f"{reference}:1/2 {reference}", life))
            life.clock.move(0.001)
        assert joined("crowded") == before + 3
        await life.settle()
        assert await bodies(ground) == [f"{reference}[part 2 of 2 is missing]" for reference in range(3)]
        await desk.keep(part("3:2/2 !", life))
        await life.settle()
        assert (await bodies(ground))[-1] == "3!"


async def test_one_part_for_no_end_of_times_is_handed_on(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.sessions.texts.parts.UNDER_WAY_PARTS", 8)
    async with living(ground) as life:
        desk = desk_of(life)
        for time in range(8 + 2):
            await desk.keep(part(f"7:1/2 a#{time}", life))
            life.clock.move(0.001)
        await life.settle()
        assert await bodies(ground) == ["a[part 2 of 2 is missing]"]
        waiting = [row for row in await ground.rows_of(text_parts) if row["state"] == "open"]
        assert len(waiting) == 1


async def test_nothing_is_kept_or_looked_up_while_the_database_is_away(ground: Ground) -> None:
    async with living(ground) as life:
        desk = desk_of(life)
        life.frail.away = True
        with pytest.raises(Unavailable):
            await desk.keep(part("7:1/2 a"))
        life.frail.away = False
        life.directory.away = True
        with pytest.raises(Unavailable):
            await desk.keep(part("7:1/2 a"))
        life.directory.away = False
        assert not (await desk.keep(part("7:1/2 a"))).repeated
        life.frail.refuses = {"inbox.keep"}
        with pytest.raises(Unavailable):
            await desk.keep(part("7:2/2 b"))
        life.frail.refuses = set()
        assert (await desk.keep(part("7:2/2 b"))).message_id
        await life.settle()
        assert await bodies(ground) == ["ab"]


async def test_two_edges_hand_one_text_on(ground: Ground) -> None:
    async with living(ground) as one:
        two = Life(ground, Post(), REPLY, Frail(ground.writer))
        desks = desk_of(one), desk_of(two)
        for each in desks:
            object.__setattr__(each, "_texts", one.desk)
        before = joined("expired") + joined("whole")
        await desks[0].keep(part("7:1/2 a"))
        await desks[0].keep(part("8:1/2 x"))
        verdicts = await asyncio.gather(*(each.keep(part("7:2/2 b")) for each in desks))
        assert verdicts[0].message_id == verdicts[1].message_id != ""
        for life in (one, two):
            life.clock.move(HOUR)
        await asyncio.gather(*(each.look() for each in desks))
        await asyncio.gather(desks[0].look(), desks[1].keep(part("8:2/2 y", two)))
        await one.settle()
        assert await bodies(ground) == ["ab", "x[part 2 of 2 is missing]"]
        assert joined("expired") + joined("whole") == before + 2


@pytest.mark.parametrize(("first", "second"), [(1, 2), (2, 1)])
async def test_a_part_that_comes_as_the_time_is_over_is_in_one_text(ground: Ground, first: int, second: int) -> None:
    async with living(ground) as life:
        desk = desk_of(life)
        for reference in range(20):
            await desk.keep(part(f"{reference}:{first}/2 {first}", life))
        life.clock.move(HOUR)
        late = (part(f"{reference}:{second}/2 {second}", life) for reference in range(20))
        await asyncio.gather(desk.look(), *map(desk.keep, late))
        life.clock.move(HOUR)
        await desk.look()
        await life.settle()
        got = await bodies(ground)
        whole, without = got.count("12"), got.count("1[part 2 of 2 is missing]")
        assert (whole + without, whole + got.count("[part 1 of 2 is missing]2")) == (20, 20)


@pytest.mark.parametrize("written", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("place", range(4))  # the part, the seal, the text, its run …
@pytest.mark.parametrize("comes_again", [True, False], ids=["repeated", "given up"])
async def test_a_crash_at_any_write_loses_and_doubles_nothing(
    ground: Ground, comes_again: bool, place: int, written: bool
) -> None:
    post = Post()
    async with living(ground, REPLY, post) as life:
        await desk_of(life).keep(part("7:1/2 a"))
    frail = Frail(ground.writer)
    life = Life(ground, post, REPLY, frail)
    await life.start()
    frail.puts.clear()
    frail.dies_at = (place, written)
    keeping = asyncio.create_task(desk_of(life).keep(part("7:2/2 b")))
    dead = asyncio.create_task(frail.dead.wait())
    await asyncio.wait([keeping, dead], return_when=asyncio.FIRST_COMPLETED)
    acknowledged = keeping.done()
    keeping.cancel()
    dead.cancel()
    await life.die()
    async with living(ground, REPLY, post) as after:
        desk = desk_of(after)
        if comes_again and not acknowledged:
            assert (await desk.keep(part("7:2/2 b"))).message_id
            await after.settle()
            assert await bodies(ground) == ["ab"]
        after.clock.move(2 * HOUR)
        await desk.look()
        await after.settle()
        if comes_again or acknowledged or place > 0 or written:
            assert await bodies(ground) == ["ab"]
        else:  # the second part was never kept, and its carrier did not come again
            assert await bodies(ground) == ["a[part 2 of 2 is missing]"]
        after.clock.move(HOUR)
        await desk.look()
        await after.settle()
    assert len({text.id for text in post.took}) == 1


async def test_a_text_that_expires_as_the_process_dies_is_handed_on_by_the_next(ground: Ground) -> None:
    async with living(ground) as life:
        await desk_of(life).keep(part("7:1/2 a"))
    frail = Frail(ground.writer)
    life = Life(ground, Post(), REPLY, frail)
    life.clock.move(HOUR)
    frail.dies_at = (1, False)  # sealed, not accepted
    looking = asyncio.create_task(desk_of(life).look())
    await frail.dead.wait()
    looking.cancel()
    (row,) = await ground.rows(text_parts)
    assert row["state"] == "joined"
    async with living(ground) as after:
        desk = desk_of(after)
        after.clock.move(HOUR)
        await desk.look()
        assert await bodies(ground) == []  # who sealed it may be at work on it
        after.clock.move(LOST_AFTER.total_seconds())
        await desk.look()
        await after.settle()
        assert await bodies(ground) == ["a[part 2 of 2 is missing]"]
        await ground.writer.flush()
        (row,) = await ground.rows(text_parts)
        assert row["state"] == "done"


async def test_parts_are_forgotten_once_nobody_repeats_them(ground: Ground) -> None:
    async with living(ground) as life:
        desk = desk_of(life)
        await desk.keep(part("7:1/2 a"))
        await desk.keep(part("7:2/2 b"))
        await ground.writer.flush()
        life.clock.move(KEPT.total_seconds())
        await desk.look()
        assert len(await ground.rows(text_parts)) == 2
        life.clock.move(1)
        await desk.look()
        assert await ground.rows(text_parts) == []
        await life.settle()
        assert await bodies(ground) == ["ab"]


async def test_a_text_that_goes_wrong_keeps_no_other_waiting(ground: Ground) -> None:
    async with living(ground) as life:
        desk = desk_of(life)

        class Wrong:
            async def refuses(self, text: Text) -> bool:
                return False

            async def receive(self, text: Text) -> Verdict:
                if "bad" in text.body:
                    raise ZeroDivisionError
                return await life.desk.receive(text)

        object.__setattr__(desk, "_texts", Wrong())
        await desk.keep(part("1:1/2 bad", life))
        life.clock.move(1)
        await desk.keep(part("2:1/2 good", life))
        life.clock.move(HOUR)
        await desk.look()
        await life.settle()
        assert await bodies(ground) == ["good[part 2 of 2 is missing]"]


async def test_a_look_that_goes_wrong_is_not_the_last_one(ground: Ground) -> None:
    looks: list[int] = []

    async def look() -> None:
        looks.append(len(looks))
        raise Unavailable("away") if len(looks) == 1 else ZeroDivisionError

    async def pause(_: float) -> None:
        if len(looks) == 3:
            raise asyncio.CancelledError

    async with living(ground) as life:
        desk = desk_of(life)
        object.__setattr__(desk, "look", look)
        with pytest.raises(asyncio.CancelledError):
            await desk.watch(pause)
    assert looks == [0, 1, 2]
