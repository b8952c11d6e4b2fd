"""The configuration: one frozen tree of sections, read from a TOML file and from EDGE_* in the environment.

`EDGE_API__PORT=9090` overrides `port` of `[api]`; what holds lists or tables is written as JSON there. Everything has
a default, so an empty file is a good one: the edge on this machine's loopback, on embedded stores. Unknown keys are
faults, and a bad configuration is refused whole, one line per fault.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from pathlib import Path
from typing import Any

from pydantic import Field, NonNegativeInt, PositiveFloat, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError

from edge.api.section import ApiSection
from edge.carriers.sip import SipSection as SipCarrier
from edge.errors import Fault, Invalid
from edge.http import HttpSection
from edge.log import LogSection
from edge.media.section import MediaSection
from edge.media.speech import SpeechSection
from edge.media.voice import VoiceSection
from edge.plugins import load as load_plugins
from edge.providers.pool import PoolSection
from edge.recordings.section import RecordingsSection
from edge.sessions.calls.lines import RecordsSection
from edge.sessions.deliveries.desk import DeliveriesSection
from edge.sessions.deliveries.letter import SmtpSection
from edge.sessions.events.streams import EventsSection
from edge.sessions.memory import MemorySection
from edge.sessions.overload import OverloadSection
from edge.sessions.texts.inbox import InboxSection
from edge.sessions.texts.manners import MannersSection
from edge.sessions.texts.outbox import OutboxSection
from edge.sessions.texts.parts import PartsSection
from edge.sessions.texts.reports import ReceiptsSection
from edge.sessions.texts.routes import TextRoute
from edge.sessions.texts.routes import faults as text_routes_faults
from edge.settings import Section, render
from edge.sip.section import SipSection
from edge.sip.transport.tls import read_tls
from edge.sms.carrier import CarrierSection
from edge.sms.keywords import DEFAULTS as DEFAULT_KEYWORDS
from edge.sms.keywords import KeywordsSection
from edge.stir.anchors import read_anchors
from edge.stir.section import StirSection
from edge.storages.directory import DirectorySection
from edge.store.cache_section import CacheSection
from edge.store.engine import StoreSection
from edge.store.redis import RedisSection
from edge.trunks.table import TrunkTable
from edge.trunks.trunk import Trunk
from edge.voices.espeak import EspeakSection

NOT_SETTINGS = frozenset({"EDGE_CONFIG", "EDGE_VECTORS"})  # where the file is; where the tests find their vectors
LOOPBACK = Trunk.model_validate({"name": "loopback", "networks": ["127.0.0.0/8", "::1/128"], "country": "US"})


class ProvidersSection(Section):
    """Where numbers come from, one section each."""

    pool: PoolSection = Field(default=PoolSection(), description="Ranges of numbers that are ours to give out.")


class Config(Section, BaseSettings):
    """Everything that can be set. Relative paths are taken from the working directory."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", validate_default=True, env_prefix="EDGE_", env_nested_delimiter="__"
    )

    data: Path = Field(default=Path("var"), description="Folder for what the edge itself writes.")
    drain_seconds: PositiveFloat = Field(
        default=30.0, description="After SIGTERM calls may go on for this long before they are hung up."
    )
    keep_days: NonNegativeInt = Field(
        default=90, description="Records of calls and texts are deleted after this many days; 0 keeps them for ever."
    )
    node: str | None = Field(
        default=None,
        description="This process's name where several share a database: the same after a restart, and nobody else's."
        " Without it, host name and data folder.",
    )
    log: LogSection = Field(default=LogSection(), description="What is logged, and how.")
    sip: SipSection = Field(default=SipSection(), description="SIP over UDP, TCP and TLS.")
    overload: OverloadSection = Field(
        default=OverloadSection(), description="When new calls and texts are turned away with a 503 and a Retry-After."
    )
    media: MediaSection = Field(default=MediaSection(), description="Audio of calls: RTP with G.711.")
    speech: SpeechSection = Field(default=SpeechSection(), description="Texts that flows speak, whatever the voice.")
    api: ApiSection = Field(default=ApiSection(), description="The HTTP door: API, webhooks, health and metrics.")
    store: StoreSection = Field(default=StoreSection(), description="Where the record is kept.")
    redis: RedisSection = Field(default=RedisSection(), description="The cache that processes share.")
    cache: CacheSection = Field(default=CacheSection(), description="How long what was looked up is believed.")
    memory: MemorySection = Field(default=MemorySection(), description="What flows remember of a person.")
    inbox: InboxSection = Field(default=InboxSection(), description="Texts that come in.")
    parts: PartsSection = Field(default=PartsSection(), description="Long texts that come in parts.")
    outbox: OutboxSection = Field(default=OutboxSection(), description="Texts that go out.")
    receipts: ReceiptsSection = Field(
        default=ReceiptsSection(), description="What carriers tell of the texts that they took over."
    )
    records: RecordsSection = Field(default=RecordsSection(), description="Records of calls.")
    recordings: RecordingsSection = Field(
        default=RecordingsSection(storage=DirectorySection()), description="Recordings of calls."
    )
    deliveries: DeliveriesSection = Field(default=DeliveriesSection(), description="Webhooks and emails that go out.")
    events: EventsSection = Field(default=EventsSection(), description="Events that accounts' servers are told.")
    smtp: SmtpSection = Field(default=SmtpSection(), description="The mail server that emails go out by.")
    http: HttpSection = Field(default=HttpSection(), description="What the edge itself may fetch over HTTP.")
    providers: ProvidersSection = Field(default=ProvidersSection(), description="Where numbers come from.")
    voices: tuple[VoiceSection, ...] = Field(
        default=(EspeakSection(),),
        description="What speaks the texts of flows; the first one where a flow does not choose.",
    )
    carriers: tuple[CarrierSection, ...] = Field(
        default=(SipCarrier(),), description="A way for texts to come in and go out."
    )
    manners: MannersSection = Field(default=MannersSection(), description="Whom texts are not sent to, and how many.")
    keywords: tuple[KeywordsSection, ...] = Field(
        default=DEFAULT_KEYWORDS, description="Words such as STOP and HELP, and what answers them."
    )
    text_routes: tuple[TextRoute, ...] = Field(
        default=(),
        description="Which carriers take texts that answer none, and which take over when one fails, by destination and"
        " source, numbers or how they begin: the longest destination wins, then the longest source. Where none fits the"
        " first carrier takes them.",
    )
    stir: StirSection = Field(default=StirSection(), description="Signed callers (STIR/SHAKEN).")
    trunks: tuple[Trunk, ...] = Field(
        default=(LOOPBACK,), description="A carrier's SIP side. Anyone else gets no answer at all."
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment goes before the file, whose content comes in as arguments."""
        return env_settings, init_settings


def load(path: Path | None) -> Config:
    """Read a configuration file (None: only defaults and the environment).

    Raises Invalid with one `Fault` for each thing that is wrong, each naming file and key.
    """
    _load_kinds()
    values = _read(path) if path is not None else {}
    source = str(path) if path is not None else "defaults"
    unknown = [
        Fault(f"environment: {name}", "there is no such setting")
        for name in sorted(os.environ)
        if name.startswith("EDGE_")
        and name not in NOT_SETTINGS
        and name.removeprefix("EDGE_").split("__")[0].lower() not in Config.model_fields
    ]
    try:
        config = Config(**values)
        _check_trunks(config)
        read_tls(config.sip)
        _check_stir(config)
        _check_carriers(config)
        _check_text_routes(config)
    except ValidationError as error:
        raise Invalid("bad configuration", faults=[*unknown, *_faults(error, source)]) from None
    except SettingsError as error:
        raise Invalid("bad configuration", faults=[*unknown, *_no_json(error)]) from None
    except Invalid as error:
        raise Invalid("bad configuration", faults=[*unknown, *(_in(source, fault) for fault in error.faults)]) from None
    if unknown:
        raise Invalid("bad configuration", faults=unknown)
    return config


def _load_kinds() -> None:
    for package in ("edge.carriers", "edge.storages", "edge.voices"):
        load_plugins(package)  # each kind brings its section


def _check_trunks(config: Config) -> None:
    """Raises Invalid for trunks in each other's way, and for a carrier whose trunk leads nowhere. One that is not in
    the file may be in the database."""
    trunks = TrunkTable(config.trunks)
    faults = []
    for i, carrier in enumerate(config.carriers):
        if isinstance(carrier, SipCarrier) and carrier.trunk is not None:
            trunk = trunks.named(carrier.trunk)
            if trunk is not None and trunk.target is None:
                faults.append(Fault(f"carriers[{i}].trunk", f"trunk {carrier.trunk} has no target to send texts to"))
    if faults:
        raise Invalid("bad configuration", faults=faults)


def _check_stir(config: Config) -> None:
    """Raises Invalid for anchors that cannot be read, and for trunks that refuse callers whom nothing could verify."""
    if read_anchors(config.stir):
        return
    faults = [
        Fault(f"trunks[{i}].stir", f"trunk {trunk.name} refuses who is not verified, and [stir] has no anchors")
        for i, trunk in enumerate(config.trunks)
        if trunk.stir == "refuse"
    ]
    if faults:
        raise Invalid("bad configuration", faults=faults)


def _check_carriers(config: Config) -> None:
    """Raises Invalid for two of one name, which records, routes and webhooks tell them by."""
    names = [carrier.name for carrier in config.carriers]
    faults = [
        Fault(f"carriers[{i}].name", f"{name} is the name of another carrier already")
        for i, name in enumerate(names)
        if name in names[:i]
    ]
    if faults:
        raise Invalid("bad configuration", faults=faults)


def _check_text_routes(config: Config) -> None:
    """Raises Invalid for routes that are twice there, and for those by carriers that are not there."""
    if faults := text_routes_faults(config.text_routes, [carrier.name for carrier in config.carriers]):
        raise Invalid("bad configuration", faults=faults)


def text() -> str:
    """The whole configuration with its defaults as a commented file, which is what `config/edge.toml` holds."""
    _load_kinds()
    return render(Config.model_construct())


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        what = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise Invalid("bad configuration", faults=[Fault(str(path), what)]) from None


def _faults(error: ValidationError, source: str) -> list[Fault]:
    found = error.errors(include_url=False)
    return [_in(source, Fault(_dotted(e["loc"]), _sentence(e["msg"]))) for e in found if not _follows(e, found)]


def _follows(error: ErrorDetails, errors: list[ErrorDetails]) -> bool:
    """Whether a list is too short only for the faults of its items, which are told anyway."""
    loc = error["loc"]
    return error["type"] == "too_short" and any(e is not error and e["loc"][: len(loc)] == loc for e in errors)


def _no_json(error: SettingsError) -> list[Fault]:
    """What holds lists or tables is JSON in the environment; this is the variable that is not."""
    cause = error.__cause__
    if not isinstance(cause, json.JSONDecodeError):
        return [Fault("environment", str(error))]
    names = [name for name, value in os.environ.items() if name.upper().startswith("EDGE_") and value == cause.doc]
    return [Fault(f"environment: {name}", f"this setting is written as JSON: {cause}") for name in sorted(names)]


def _in(source: str, fault: Fault) -> Fault:
    """The fault with where it was written: a variable, if there is one for this place, else the file."""
    parts = re.findall(r"\w+", fault.where)
    for n in range(len(parts), 0, -1):
        name = "EDGE_" + "__".join(parts[:n]).upper()
        if name in os.environ:
            source = f"environment: {name}"
            return Fault(source if n == len(parts) else f"{source}: {fault.where}", fault.what)
    return Fault(f"{source}: {fault.where}" if fault.where else source, fault.what)


def _dotted(place: tuple[int | str, ...]) -> str:
    out = ""
    for part in place:
        out += f"[{part}]" if isinstance(part, int) else f".{part}" if out else part
    return out


def _sentence(message: str) -> str:
    if message == "Extra inputs are not permitted":
        return "there is no such setting"
    return message.removeprefix("Value error, ")
