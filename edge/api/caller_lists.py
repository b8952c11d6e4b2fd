"""Lists of callers: whom flows let in, turn away or send somewhere."""

from __future__ import annotations

from pydantic import Field

from edge.api.field import Change, Detail, Line
from edge.api.paging import Page
from edge.api.resources import NAME, OwnerField, Resources, Shown
from edge.flows import limits
from edge.flows.caller_list import CallerList, Callers, Entry
from edge.flows.resource import ResourceTable


class StoredCallerList(Shown):
    """A list of callers."""

    entries: list[Entry] | None = Field(default=None, description="Who is in it; null in lists.")


class CallerListCreate(CallerList, OwnerField):
    """A new list of callers."""

    name: Line = Field(min_length=1, description=NAME, examples=["blocked"])
    detail: Detail = Field(default="", description="Free text.")


class CallerListChange(Change):
    """At least one of them; what is left out stays."""

    name: Line = Field(default_factory=str, min_length=1, description=NAME)
    detail: Detail = Field(default_factory=str, description="Free text.")
    entries: list[Entry] = Field(
        default_factory=list, max_length=limits.CALLER_ENTRIES, description="All of the entries anew."
    )


def caller_lists(table: ResourceTable[Callers]) -> Resources:
    return Resources(
        table=table,
        path="/v1.0/caller_lists",
        tag="caller lists",
        shown=StoredCallerList,
        page_of=Page[StoredCallerList],
        create_body=CallerListCreate,
        change_body=CallerListChange,
    )
