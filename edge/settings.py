"""Settings: a `Section` stands next to what it configures, and each field carries its sentence.

`edge/config.py` joins all sections into one frozen tree; `render` prints that tree as the commented TOML file that
`edge settings` shows and `config/edge.toml` holds.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any, Final, Self, get_args, get_origin

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    HttpUrl,
    ModelWrapValidatorHandler,
    SecretStr,
    TypeAdapter,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from edge.plugins import Plugins

NAME: Final = r"^[a-z0-9][a-z0-9_-]{0,31}$"  # of a plug-in's instance: it stands in URLs and metric labels
FILE: Final = "file:"  # before the path of a file that holds a secret
WIDTH = 100  # comments are wrapped to this many columns

_url = TypeAdapter(HttpUrl)


def _base_url(value: str) -> str:
    url = _url.validate_python(value)
    if url.query is not None or url.fragment is not None:
        raise ValueError("a URL without query and fragment is needed")
    return value.rstrip("/")


def _secret(value: Any) -> Any:
    if not isinstance(value, str) or not value.startswith(FILE):
        return value
    try:
        return Path(value.removeprefix(FILE)).read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        raise ValueError(f"the file cannot be read: {getattr(error, 'strerror', None) or error}") from None


def _no_empty_secret(value: SecretStr) -> SecretStr:
    if not value.get_secret_value().strip():
        raise ValueError("a secret is empty: anybody knows that")
    return value


# as it is, or `file:` and the path of a file that holds it
Secret = Annotated[SecretStr, BeforeValidator(_secret), AfterValidator(_no_empty_secret)]
BaseUrl = Annotated[str, AfterValidator(_base_url)]  # http or https, what a path is put behind: no slash at its end


class Section(BaseModel):
    """A part of the configuration: frozen, with unknown keys refused, every field described.

    The class's docstring becomes the comment above the section.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        bare = [name for name, field in cls.model_fields.items() if not field.description]
        if bare:
            raise TypeError(f"{cls.__qualname__}: fields without a description: {', '.join(bare)}")

    @classmethod
    def kinds(cls) -> Sequence[type[Section]]:
        """The sections that may stand in place of this one, where a key says which; else none."""
        return ()


class KindSection(Section):
    """A section of a list, whose `kind` says which plug-in it builds, and thereby which other keys there are."""

    kind: str = Field(description="The kind.")
    name: str = Field(pattern=NAME, description="Its name, the kind where none is given; two of a kind need two names.")

    @classmethod
    def table(cls) -> Plugins[Any]:
        """The plug-ins; each has its `section`."""
        raise NotImplementedError  # each kind of section has its own

    @classmethod
    def kinds(cls) -> Sequence[type[Section]]:
        return [plugin.section for _, plugin in cls.table()] if KindSection in cls.__bases__ else ()

    @model_validator(mode="wrap")
    @classmethod
    def _read(cls, value: Any, read: ModelWrapValidatorHandler[Self]) -> Self:
        if KindSection not in cls.__bases__ or not isinstance(value, dict):
            return read(value)
        kind, table = value.get("kind"), cls.table()
        plugin: Any = table.get(kind) if isinstance(kind, str) else None
        if plugin is None:
            raise ValueError(f"there is no kind of {table.kind} {kind!r}, only {', '.join(table.names())}")
        section: Any = plugin.section.model_validate({"name": kind, **value})
        return section  # type: ignore[no-any-return]  # the kind is found by its name


def render(section: Section) -> str:
    """The section and all below it as TOML, each value under its sentence. What is None is written as a comment, and
    so is every other kind that a section, or one of a list, may be of."""
    return "\n".join(_table(section, "")).strip() + "\n"


def _table(section: Section, path: str) -> Iterator[str]:
    fields = type(section).model_fields
    nested = [(name, value) for name in fields if isinstance(value := getattr(section, name), Section)]
    arrays = [name for name, field in fields.items() if _section_of_list(field) is not None]
    absent = [name for name, field in fields.items() if name not in arrays and getattr(section, name) is None]
    absent = [name for name in absent if _section_among(fields[name]) is not None]
    for name, field in fields.items():
        value = getattr(section, name)
        if isinstance(value, Section) or name in arrays or name in absent:
            continue
        yield from _comment(field.description or "")
        yield f"# {name} =" if value is None else f"{name} = {_value(value)}"
        yield ""
    for name, child in nested:
        yield from _comment(fields[name].description or "")
        yield f"[{path}{name}]"
        yield from _table(child, f"{path}{name}.")
        yield from _choices(f"[{path}{name}]", _declared(fields[name]), [child])
    for name in absent:
        yield from _comment(fields[name].description or "")
        declared = _section_among(fields[name])
        lines = (f"[{path}{name}]", *(_form(declared) if declared is not None else ()))
        yield from ("# " + line if line else "" for line in lines)
    for name in arrays:
        yield from _comment(fields[name].description or "")
        children = getattr(section, name)
        for child in children:
            yield f"[[{path}{name}]]"
            yield from _table(child, f"{path}{name}.")
        yield from _choices(f"[[{path}{name}]]", _section_of_list(fields[name]), children)


def _choices(head: str, declared: type[Section] | None, given: Sequence[Section]) -> Iterator[str]:
    """What could stand there besides, as a comment: a section of each other kind, or of an empty list its own."""
    if declared is None:
        return
    for section in declared.kinds() or (() if given else (declared,)):
        if not any(isinstance(one, section) for one in given):
            yield from ("# " + line if line else "" for line in (head, *_form(section)))


def _form(section: type[Section]) -> Iterator[str]:
    """A section that is not there, for who wants it: each field under its sentence, with its default if it has one."""
    for name, field in section.model_fields.items():
        value = field.get_default(call_default_factory=True)
        yield from _comment(field.description or "")
        if value is None:
            yield f"# {name} ="
        else:
            yield f"{name} =" if value is PydanticUndefined else f"{name} = {_value(value)}"
        yield ""


def _declared(field: FieldInfo) -> type[Section] | None:
    found = field.annotation
    return found if isinstance(found, type) and issubclass(found, Section) else None


def _section_of_list(field: FieldInfo) -> type[Section] | None:
    return _section_among(field) if get_origin(field.annotation) in (tuple, list) else None


def _section_among(field: FieldInfo) -> type[Section] | None:
    for arg in get_args(field.annotation):
        if isinstance(arg, type) and issubclass(arg, Section):
            return arg
    return None


def _comment(text: str) -> Iterator[str]:
    line = "#"
    for word in text.split():
        if len(line) + 1 + len(word) > WIDTH:
            yield line
            line = "#"
        line += f" {word}"
    if line != "#":
        yield line


def _value(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case str():
            return json.dumps(value, ensure_ascii=False)
        case Path() | IPv4Network() | IPv6Network():
            return json.dumps(str(value))
        case list() | tuple() | set() | frozenset():
            return "[" + ", ".join(_value(item) for item in value) + "]"
        case dict():
            return "{ " + ", ".join(f"{json.dumps(k)} = {_value(v)}" for k, v in value.items()) + " }"
    return json.dumps(str(value))
