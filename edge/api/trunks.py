"""Trunks: the SIP sides of carriers. They belong to the operator, so all of it is for admin keys.

Those of the configuration file are listed with the others, and are changed there. What is written is in force on every
edge in under a second, without a restart. Passwords go in and never come out.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, Field, SecretStr, create_model

from edge.api.field import Change, Line, Model, Result, changes
from edge.api.operation import Answer, AnyOperation, Ask, Nothing, Operation
from edge.api.paging import PageQuery
from edge.errors import Conflict, Exhausted, NotFound
from edge.numbers.table import NumberTable
from edge.settings import FILE
from edge.store.metadata import instant_text
from edge.store.page import Place, cut, read_token
from edge.trunks.roll import TrunkRoll
from edge.trunks.stored import Stored, StoredTrunks
from edge.trunks.trunk import Trunk as Kept

PROOFS: Final = ("auth", "credentials")  # fields with a password
EVER: Final = datetime(1970, 1, 1, tzinfo=UTC)  # when those of the file were made, for their place in the list
FILE_VERSION: Final = 0
METHODS: Final[tuple[Literal["PUT", "PATCH"], ...]] = ("PUT", "PATCH")
IN_FORCE: Final = "It is in force on every edge in under a second, without a restart."


def no_file(value: SecretStr) -> SecretStr:
    """Over the API nobody names files of this machine."""
    if value.get_secret_value().startswith(FILE):
        raise ValueError(f"is the secret itself here, and does not begin with {FILE}")
    return value


Password = Annotated[SecretStr, Field(min_length=1, max_length=256), AfterValidator(no_file)]
Username = Annotated[str, Field(min_length=1, max_length=128, pattern=r'^[^\u0000-\u001f\u007f"\\]+$')]


class User(Result):
    """Who proves himself by a password, which nobody is shown."""

    username: str = Field(description="The user name.")


class GivenCredentials(Model):
    """A user name and a password (RFC 8760 digest)."""

    username: Username = Field(description="The user name.")
    password: Password | None = Field(
        default=None, description="The password; left out, the one that this user name has here stays."
    )


def _fields(proof: type[BaseModel], leave: Literal["all", "optional", "none"]) -> dict[str, Any]:
    """The fields of a trunk for a model of the API, in which one may `leave` out so many of them."""
    found: dict[str, Any] = {}
    for name, field in Kept.model_fields.items():
        kind: Any = proof | None if name in PROOFS else field.rebuild_annotation()
        if leave == "none" or (leave == "optional" and field.is_required()):
            found[name] = kind, Field(description=field.description)
        elif leave == "optional":
            found[name] = kind, Field(default=field.default, description=field.description)
        else:
            found[name] = kind, Field(default_factory=tuple, description=field.description)  # which nobody reads
    return found


class _Place(Result):
    """One carrier's SIP side."""

    id: str = Field(description="Identity; of one in the file by its name.")
    source: Literal["file", "api"] = Field(description="Where it is kept and changed: configuration file, or here.")
    tm_create: str | None = Field(description="When it was made; null of one in the file.")
    tm_update: str | None = Field(description="When it was last changed.")


Trunk: Final = create_model("Trunk", __base__=_Place, __doc__=_Place.__doc__, **_fields(User, "none"))
TrunkCreate: Final = create_model("TrunkCreate", __base__=Model, **_fields(GivenCredentials, "optional"))
TrunkChange: Final = create_model(
    "TrunkChange",
    __base__=Change,
    __doc__="At least one of them; what is left out stays.",
    **_fields(GivenCredentials, "all"),
)


class TrunkPage(Result):
    """One page of a list."""

    result: list[Trunk] = Field(description="Newest first; those of the configuration file are the last.")
    next_page_token: str = Field(description="Ask with it for the next page; empty on the last page.")


class TrunkQuery(PageQuery):
    name: Line | None = Field(default=None, description="Only the trunk of this name.")


class Trunks:
    """The operations on trunks. `numbers` says whether one is still in use."""

    def __init__(self, stored: StoredTrunks, roll: TrunkRoll, numbers: NumberTable) -> None:
        self._stored = stored
        self._roll = roll
        self._numbers = numbers

    async def page(self, ask: Ask[TrunkQuery, Nothing]) -> BaseModel:
        query = ask.query
        behind = read_token(query.page_token)
        found = [one for one in await self._all() if behind is None or _place(one) < behind]
        page = cut([one for one in found if query.name in (None, one.trunk.name)], query.page_size, _place)
        return TrunkPage(result=[shown(one) for one in page.items], next_page_token=page.next_token)

    async def all(self) -> list[Kept]:
        """Every trunk, newest first, those of the configuration file last."""
        return [one.trunk for one in await self._all()]

    async def shown(self) -> list[Any]:
        """The same as they are answered."""
        return [shown(one) for one in await self._all()]

    async def _all(self) -> list[Stored]:
        given = [Stored(trunk, FILE_VERSION, EVER) for trunk in self._roll.given()]
        return sorted([*given, *(await self._stored.all())[1]], reverse=True, key=_place)

    async def create(self, ask: Ask[Nothing, Any]) -> Answer:
        return await self._changed(await self._stored.create(given(ask.body)))

    async def get(self, ask: Ask[Nothing, Nothing]) -> Answer:
        for trunk in self._roll.given():
            if trunk.id == ask.id:
                return _answer(Stored(trunk, FILE_VERSION, EVER))
        found = await self._stored.get(ask.id)
        if found is None:
            raise NotFound("there is no such trunk", reason="TRUNK_NOT_FOUND")
        return _answer(found)

    async def update(self, ask: Ask[Nothing, Any]) -> Answer:
        changes(ask.body)
        self._not_of_the_file(ask.id)
        return await self._changed(await self._stored.update(ask.id, given(ask.body), ask.match))

    async def delete(self, ask: Ask[Nothing, Nothing]) -> Answer:
        await self.require_unused(ask.id)
        return await self._changed(await self._stored.delete(ask.id, ask.match))

    async def unknown(self, ids: Collection[str]) -> set[str]:
        """Which of these are no trunk's."""
        known = {trunk.id for trunk in self._roll.given()}
        if not known.issuperset(ids):
            known |= {row.id for row in (await self._stored.all())[1]}
        return set(ids) - known

    async def require_unused(self, trunk_id: str) -> None:
        """Raises Conflict for one that cannot be deleted: of the file, or named by a number."""
        self._not_of_the_file(trunk_id)
        number = await self._numbers.on_trunk(trunk_id)
        if number is not None:
            raise Conflict(f"{number.number} answers on this trunk only, or on few", reason="TRUNK_IN_USE")

    def _not_of_the_file(self, trunk_id: str) -> None:
        for trunk in self._roll.given():
            if trunk.id == trunk_id:
                what = f"trunk {trunk.name} stands in the configuration file, and is changed there"
                raise Conflict(what, reason="TRUNK_IN_FILE")

    async def _changed(self, stored: Stored) -> Answer:
        """It is in force here before its answer."""
        await self._roll.read(self._stored)
        return _answer(stored)

    def operations(self) -> list[AnyOperation]:
        return [
            Operation(
                method="GET",
                path="/v1.0/trunks",
                tag="trunks",
                summary="List trunks",
                detail="Those of the configuration file too.",
                who="admin",
                query=TrunkQuery,
                body=Nothing,
                result=TrunkPage,
                handler=self.page,
            ),
            Operation(
                method="POST",
                path="/v1.0/trunks",
                tag="trunks",
                summary="Make a trunk",
                detail=f"{IN_FORCE} A network that another trunk of the transport has is refused, naming that trunk.",
                who="admin",
                query=Nothing,
                body=TrunkCreate,
                result=Trunk,
                errors=(Conflict, Exhausted),
                versioned=True,
                handler=self.create,
            ),
            Operation(
                method="GET",
                path="/v1.0/trunks/{id}",
                tag="trunks",
                summary="Read one trunk",
                who="admin",
                query=Nothing,
                body=Nothing,
                result=Trunk,
                versioned=True,
                handler=self.get,
            ),
            *(
                Operation(
                    method=method,
                    path="/v1.0/trunks/{id}",
                    tag="trunks",
                    summary="Change a trunk",
                    detail=f"What is left out stays as it is. {IN_FORCE}",
                    who="admin",
                    query=Nothing,
                    body=TrunkChange,
                    result=Trunk,
                    errors=(Conflict,),
                    versioned=True,
                    handler=self.update,
                )
                for method in METHODS
            ),
            Operation(
                method="DELETE",
                path="/v1.0/trunks/{id}",
                tag="trunks",
                summary="Delete a trunk",
                detail="Its carrier is a stranger from then on. One that a number names in trunk_ids is not deleted.",
                who="admin",
                query=Nothing,
                body=Nothing,
                result=Trunk,
                errors=(Conflict,),
                versioned=True,
                handler=self.delete,
            ),
        ]


def given(body: BaseModel) -> dict[str, Any]:
    """What a body says, and of what it leaves out nothing."""
    given = body.model_dump(exclude_unset=True)
    for name in PROOFS:
        proof = given.get(name)
        if proof is not None and proof.get("password") is not None:
            proof["password"] = proof["password"].get_secret_value()
    return given


def shown(stored: Stored) -> Any:
    trunk = stored.trunk
    fields = trunk.model_dump(exclude={*PROOFS})
    proofs = {name: proof and User(username=proof.username) for name in PROOFS for proof in [getattr(trunk, name)]}
    of_file = trunk.source == "file"
    return Trunk.model_validate(
        {
            **fields,
            **proofs,
            "id": trunk.id,
            "source": trunk.source,
            "tm_create": None if of_file else instant_text(stored.tm_create),
            "tm_update": instant_text(stored.tm_update) if stored.tm_update else None,
        }
    )


def _answer(stored: Stored) -> Answer:
    return Answer(shown(stored), version=stored.version)


def _place(stored: Stored) -> Place:
    return Place(stored.tm_create, stored.id)
