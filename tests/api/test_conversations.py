"""Conversations and opt-outs over the API."""

from __future__ import annotations

from typing import Any

from edge.sessions.conversation import conversation_id
from edge.sessions.tables import conversations, messages
from edge.store.metadata import NIL, new_id
from tests.api.test_records import insert, message
from tests.api.world import FREE, World, on_still

PATH, OUTS, PEER = "/v1.0/conversations", "/v1.0/opt_outs", "+14155550199"


async def talked(world: World, owner: str, peer: str, minute: int, **more: Any) -> str:
    """A conversation of one text; its id."""
    id = conversation_id(owner, FREE, peer)
    said = message(owner, FREE, minute - 60, peer=peer, conversation_id=id, **more)
    row = {
        "id": id,
        "customer_id": owner,
        "number": FREE,
        "peer": peer,
        "message_id": said["id"],
        "inbound_id": said["id"],
        "tm_create": said["tm_create"],
        "tm_update": said["tm_create"],
    }
    await insert(world, messages, [said])
    await insert(world, conversations, [row])
    return id


async def test_conversations_are_listed_read_and_gone_on_with(each_world: World) -> None:
    world = each_world
    number = await world.number()
    one, two = [await talked(world, world.a, f"{PEER[:-1]}{n}", n, text=f"hi {n}") for n in (1, 2)]
    foreign = await talked(world, world.b, PEER, 3)

    page = await world.did("GET", f"{PATH}?page_size=1")
    assert [found["id"] for found in page["result"]] == [two]
    rest = await world.did("GET", f"{PATH}?page_size=1&page_token={page['next_page_token']}")
    assert ([found["id"] for found in rest["result"]], rest["next_page_token"]) == ([one], "")
    assert [found["id"] for found in (await world.did("GET", f"{PATH}?peer=%2B14155550191"))["result"]] == [one]
    assert (await world.did("GET", f"{PATH}?number=%2B14155550101"))["result"] == []
    assert len((await world.did("GET", PATH, key=world.key_admin))["result"]) == 3

    found = await world.did("GET", f"{PATH}/{one}")
    assert (found["type"], found["customer_id"], found["tm_delete"]) == ("message", world.a, None)
    assert (found["self"]["target"], found["peer"]["target"]) == (FREE, "+14155550191")
    assert (found["self"]["type"], found["edge"]["text"], found["edge"]["direction"]) == ("tel", "hi 1", "inbound")

    sent = await world.did("POST", f"{PATH}/{one}/messages", {"text": "on my way"})
    assert (sent["direction"], sent["status"], sent["text"]) == ("outbound", "queued", "on my way")
    assert (sent["source"]["target"], sent["destination"]["target"]) == (FREE, "+14155550191")
    assert (sent["conversation_id"], sent["reference_id"]) == (one, sent["id"])
    listed = await world.did("GET", f"{PATH}/{one}/messages")
    assert [text["text"] for text in listed["result"]] == ["on my way", "hi 1"]
    assert [found["id"] for found in (await world.did("GET", PATH))["result"]] == [one, two]

    for path in (f"{PATH}/{foreign}", f"{PATH}/{foreign}/messages", f"{PATH}/{new_id()}"):
        assert (await world.refused(404, "GET", path))["reason"] == "CONVERSATION_NOT_FOUND"
    await world.refused(404, "POST", f"{PATH}/{foreign}/messages", {"text": "hi"})
    await world.refused(400, "POST", f"{PATH}/{one}/messages", {"text": ""})

    await world.did("DELETE", f"/v1.0/numbers/{number['id']}")
    assert (await world.refused(403, "POST", f"{PATH}/{one}/messages", {"text": "hi"}))["status"] == "PERMISSION_DENIED"
    await world.number(key=world.key_b)  # whoever gets the number next sees nothing of it
    assert [found["id"] for found in (await world.did("GET", PATH, key=world.key_b))["result"]] == [foreign]
    await world.refused(404, "GET", f"{PATH}/{one}", key=world.key_b)


async def test_opt_outs_are_entered_listed_and_taken_back(each_world: World) -> None:
    world = each_world
    number = await world.number()
    talk = await talked(world, world.a, PEER, 1)
    made = await world.did("POST", OUTS, {"number": FREE, "peer": "+1 (415) 555-0199"})
    assert (made["id"], made["number_id"], made["peer"]["target"]) == (talk, number["id"], PEER)
    assert (made["word"], made["message_id"], made["ended_by"], made["tm_delete"]) == ("", NIL, "", None)
    assert made["begun_by"] not in ("", "text")
    assert await world.did("POST", OUTS, {"number": FREE, "peer": PEER}) == made
    for query in ("", f"?number=%2B{FREE[1:]}", f"?peer=%2B{PEER[1:]}"):
        assert (await world.did("GET", OUTS + query))["result"] == [made]
    assert (await world.did("GET", f"{OUTS}?status=deleted"))["result"] == []
    assert (await world.did("GET", OUTS, key=world.key_b))["result"] == []

    error = await world.refused(403, "POST", f"{PATH}/{talk}/messages", {"text": "hi"})
    assert (error["reason"], error["message"]) == ("OPTED_OUT", f"{PEER} has opted out of texts from {FREE}")

    await world.refused(404, "DELETE", f"{OUTS}/{talk}", key=world.key_b)
    gone = await world.did("DELETE", f"{OUTS}/{talk}", key=world.key_admin)
    assert gone["tm_delete"] is not None
    assert gone["ended_by"] not in ("", made["begun_by"])
    assert (await world.refused(409, "DELETE", f"{OUTS}/{talk}"))["reason"] == "OPT_OUT_ENDED"
    assert (await world.did("GET", OUTS))["result"] == []
    assert (await world.did("GET", f"{OUTS}?status=deleted"))["result"] == [gone]
    assert await world.did("GET", f"{OUTS}/{talk}") == gone
    await world.did("POST", f"{PATH}/{talk}/messages", {"text": "hi"})


@on_still
async def test_what_cannot_be_entered(still: World) -> None:
    world = still
    await world.refused(403, "POST", OUTS, {"number": "+14155559999", "peer": PEER})
    await world.refused(400, "POST", OUTS, {"number": "12345", "peer": PEER})
    await world.refused(400, "POST", OUTS, {"number": FREE, "peer": ""})
    await world.refused(400, "POST", OUTS, {"number": FREE, "peer": PEER}, key=world.key_admin)
