"""Opt-outs: who wants no more texts from a number of the account."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from edge.api.auth import owner, scope
from edge.api.field import E164, Id, Line, Model, Result
from edge.api.operation import AnyOperation, Ask, Nothing, Operation
from edge.api.paging import Page, PageQuery, place_of
from edge.errors import Conflict, Forbidden, NotFound
from edge.sessions.memory import peer_of
from edge.sessions.texts import opt_outs
from edge.sessions.texts.message import Address
from edge.sessions.texts.opt_outs import OptOuts as Table
from edge.sessions.texts.session import TextSending
from edge.store.metadata import instant_text
from edge.store.page import cut, read_token


class OptOut(Result):
    """Somebody who wants no more texts from a number, or wanted none for a while."""

    id: str = Field(description="Identity, that of the conversation between the two.")
    customer_id: str = Field(description="The account.")
    number: str = Field(description="The number of the account.")
    number_id: str = Field(description="Its id at the time.")
    peer: Address = Field(description="Who wants no more texts.")
    word: str = Field(description="The keyword he opted out by; empty by hand.")
    message_id: str = Field(
        description="The text that changed it last, or that was refused for it; the nil UUID by hand."
    )
    begun_by: str = Field(
        description="text, or the id of the access key it was entered with; carrier and its name where it said so."
    )
    ended_by: str = Field(description="The same of who took it back; empty while it is in force.")
    tm_create: str = Field(description="When he opted out.")
    tm_delete: str | None = Field(description="When that was taken back; null while it is in force.")


class OptOutQuery(PageQuery):
    number: E164 | None = Field(default=None, description="Only of this number of the account.")
    peer: Line | None = Field(default=None, description="Only of this number or address.")
    status: Literal["active", "deleted"] = Field(
        default="active", description="active: those in force; deleted: those that were taken back."
    )


class OptOutCreate(Model):
    """Whom not to text from which number."""

    number: E164 = Field(description="An active number of the account.")
    peer: Line = Field(min_length=1, description="Who wants no more texts.", examples=["+14155550199"])
    customer_id: Id | None = Field(default=None, description="The account; an admin key has to say it.")


class OptOuts:
    """The operations on opt-outs."""

    def __init__(self, table: Table, sending: TextSending) -> None:
        self._table = table
        self._sending = sending

    async def page(self, ask: Ask[OptOutQuery, Nothing]) -> Page[OptOut]:
        query = ask.query
        found = await self._table.list(
            scope(ask.asker),
            number=query.number,
            peer=query.peer,
            ended=query.status == "deleted",
            after=read_token(query.page_token),
            size=query.page_size + 1,
        )
        page = cut([_shown(one) for one in found], query.page_size, place_of)
        return Page[OptOut](result=list(page.items), next_page_token=page.next_token)

    async def create(self, ask: Ask[Nothing, OptOutCreate]) -> OptOut:
        body = ask.body
        customer_id = owner(ask.asker, body.customer_id)
        number = await self._sending.owned(body.number, customer_id)
        peer = peer_of(body.peer, None)
        found, _ = await self._table.enter(customer_id, number.id, number.number, peer, ask.asker.key_id)
        return _shown(found)

    async def get(self, ask: Ask[Nothing, Nothing]) -> OptOut:
        return _shown(await self._found(ask))

    async def delete(self, ask: Ask[Nothing, Nothing]) -> OptOut:
        found = await self._found(ask)
        if not await self._table.end(found.id, ask.asker.key_id):
            raise Conflict("the opt-out was taken back before", reason="OPT_OUT_ENDED")
        return _shown(await self._found(ask))

    async def _found(self, ask: Ask[Nothing, Nothing]) -> opt_outs.OptOut:
        found = await self._table.get(ask.id, scope(ask.asker))
        if found is None:
            raise NotFound("there is no such opt-out", reason="OPT_OUT_NOT_FOUND")
        return found

    def operations(self) -> list[AnyOperation]:
        return [
            Operation(
                method="GET",
                path="/v1.0/opt_outs",
                tag="opt-outs",
                summary="List who wants no more texts, newest first",
                query=OptOutQuery,
                body=Nothing,
                result=Page[OptOut],
                handler=self.page,
            ),
            Operation(
                method="POST",
                path="/v1.0/opt_outs",
                tag="opt-outs",
                summary="Enter who wants no more texts",
                detail="Whoever texts STOP, or another keyword of the configuration, is entered by that. Nothing is"
                " sent to who is in the list, whoever asks for it; somebody who is in it already stays as he is.",
                query=Nothing,
                body=OptOutCreate,
                result=OptOut,
                errors=(Forbidden,),
                handler=self.create,
            ),
            Operation(
                method="GET",
                path="/v1.0/opt_outs/{id}",
                tag="opt-outs",
                summary="Read one opt-out",
                query=Nothing,
                body=Nothing,
                result=OptOut,
                handler=self.get,
            ),
            Operation(
                method="DELETE",
                path="/v1.0/opt_outs/{id}",
                tag="opt-outs",
                summary="Take an opt-out back",
                detail="As START by the one who opted out does. That it was, by which key and when, is kept.",
                query=Nothing,
                body=Nothing,
                result=OptOut,
                errors=(Conflict,),
                handler=self.delete,
            ),
        ]


def opt_out_form(found: opt_outs.OptOut) -> dict[str, Any]:
    """What events say of one."""
    return _shown(found).model_dump(mode="json")


def _shown(found: opt_outs.OptOut) -> OptOut:
    return OptOut(
        id=found.id,
        customer_id=found.customer_id,
        number=found.number,
        number_id=found.number_id,
        peer=Address.of(found.peer),
        word=found.word,
        message_id=found.message_id,
        begun_by=found.begun_by,
        ended_by=found.ended_by,
        tm_create=instant_text(found.tm_create),
        tm_delete=instant_text(found.tm_end) if found.tm_end is not None else None,
    )
