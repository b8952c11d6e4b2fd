"""Recordings of calls: what was recorded, the files, and the end of both."""

from __future__ import annotations

from functools import partial

from pydantic import Field

from edge.api.auth import scope
from edge.api.field import Id, Moment, Result
from edge.api.operation import AnyOperation, Ask, Download, Nothing, Operation
from edge.api.paging import Page, PageQuery, place_of
from edge.errors import Conflict, NotFound
from edge.recordings.encoding import CONTENT_TYPES
from edge.recordings.keeper import Keeper
from edge.recordings.table import Recording as Stored
from edge.recordings.table import RecordingTable, public
from edge.store.metadata import NIL
from edge.store.page import cut, read_token

UNUSED = "Not used here; kept for clients of the platform."


class RecordingDetail(Result):
    """What only this edge knows of a recording."""

    state: str = Field(description="recording; waiting for its format and its storage; stored; or failed.")
    ending: str = Field(
        description="What ended it: stopped, silence, key, duration, hangup, limit, disk or interrupted; empty before."
    )
    error: str = Field(description="What went wrong, if something did.")
    storage: str = Field(description="The kind of storage that has the file; empty while it is in the spool.")
    node: str = Field(description="The process that made it.")
    seconds: float = Field(description="How long it is; 0 while it is being made.")
    bytes: int = Field(description="How large its file is; 0 until it is where it stays.")
    attempts: int = Field(description="Tries to bring it to its storage that failed.")


class Recording(Result):
    """One recording of a call, the caller left, the edge right."""

    id: str = Field(description="Identity.")
    customer_id: str = Field(description="The account whose call it is.")
    owner_type: str = Field(default="", description=UNUSED)
    owner_id: str = Field(default=NIL, description=UNUSED)
    activeflow_id: str = Field(default=NIL, description=UNUSED)
    reference_type: str = Field(description="What was recorded: call.")
    reference_id: str = Field(description="The id of that call.")
    status: str = Field(description="recording or ended.")
    format: str = Field(description="wav, mp3 or ogg.")
    recording_name: str = Field(description="Its name.")
    filenames: list[str] = Field(description="The names of its files: one.")
    on_end_flow_id: str = Field(description="The flow that runs when it is where it stays; nil for none.")
    tm_start: str = Field(description="When it began.")
    tm_end: str | None = Field(description="When it ended.")
    tm_create: str = Field(description="When it was made.")
    tm_update: str | None = Field(description="When it last changed.")
    tm_delete: str | None = Field(default=None, description="Always null.")
    edge: RecordingDetail = Field(description="What only this edge knows.")


class RecordingQuery(PageQuery):
    reference_id: Id | None = Field(default=None, description="Only of the call with this id.")
    since: Moment | None = Field(default=None, description="Only from this time on.")
    until: Moment | None = Field(default=None, description="Only before this time.")


class Recordings:
    """The operations on recordings."""

    def __init__(self, table: RecordingTable, keeper: Keeper) -> None:
        self._table = table
        self._keeper = keeper

    async def page(self, ask: Ask[RecordingQuery, Nothing]) -> Page[Recording]:
        query = ask.query
        rows = await self._table.list(
            scope(ask.asker),
            reference_id=query.reference_id,
            since=query.since,
            until=query.until,
            after=read_token(query.page_token),
            size=query.page_size + 1,
        )
        page = cut([_shown(row) for row in rows], query.page_size, place_of)
        return Page[Recording](result=list(page.items), next_page_token=page.next_token)

    async def get(self, ask: Ask[Nothing, Nothing]) -> Recording:
        return _shown(await self._find(ask))

    async def file(self, ask: Ask[Nothing, Nothing]) -> Download:
        found = await self._find(ask)
        if found.state in ("recording", "waiting"):
            raise Conflict("the recording is not ready yet", reason="RECORDING_NOT_READY")
        if not found.bytes:
            raise NotFound(found.error or "nothing was recorded", reason="FILE_NOT_FOUND")
        return Download(
            filename=found.filename,
            content_type=CONTENT_TYPES[found.format],
            size=found.bytes,
            tag=found.id,
            read=partial(self._keeper.read, found),
        )

    async def delete(self, ask: Ask[Nothing, Nothing]) -> Recording:
        found = await self._find(ask)
        await self._keeper.delete(found)
        return _shown(found)

    async def _find(self, ask: Ask[Nothing, Nothing]) -> Stored:
        found = await self._table.get(ask.id, scope(ask.asker))
        if found is None:
            raise NotFound("there is no such recording", reason="RECORDING_NOT_FOUND")
        return found

    def operations(self) -> list[AnyOperation]:
        return [
            Operation(
                method="GET",
                path="/v1.0/recordings",
                tag="recordings",
                summary="List recordings, newest first",
                query=RecordingQuery,
                body=Nothing,
                result=Page[Recording],
                handler=self.page,
            ),
            Operation(
                method="GET",
                path="/v1.0/recordings/{id}",
                tag="recordings",
                summary="Read one recording",
                query=Nothing,
                body=Nothing,
                result=Recording,
                handler=self.get,
            ),
            Operation(
                method="DELETE",
                path="/v1.0/recordings/{id}",
                tag="recordings",
                summary="Delete a recording and its file",
                detail="409 while it is being made.",
                query=Nothing,
                body=Nothing,
                result=Recording,
                errors=(Conflict,),
                handler=self.delete,
            ),
            Operation(
                method="GET",
                path="/v1.0/recordings/{id}/file",
                tag="recordings",
                summary="Fetch the file of a recording, or a part of it",
                detail="409 until it is where it stays, which takes seconds from its end.",
                query=Nothing,
                body=Nothing,
                result=Nothing,
                files=tuple(CONTENT_TYPES.values()),
                errors=(Conflict,),
                handler=self.file,
            ),
        ]


def _shown(recording: Stored) -> Recording:
    return Recording.model_validate(public(recording))
