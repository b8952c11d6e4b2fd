"""What of a carrier by SMPP can be configured."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, Literal

from pydantic import (
    Field,
    FilePath,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    field_validator,
    model_validator,
)

from edge.settings import NAME
from edge.sms.alphabet import Default
from edge.sms.carrier import CarrierSection
from edge.sms.smpp import pdu

HOST: Final = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^\s\[\]:/]+):(\d{1,5})")


class SmppSection(CarrierSection):
    """Texts by SMPP 3.4: the edge binds to the carrier's SMSC."""

    kind: Literal["smpp"] = Field(default="smpp", description="smpp: SMPP 3.4, with the edge as ESME.")
    name: str = Field(default="smpp", pattern=NAME, description="The carrier's name.")
    hosts: tuple[str, ...] = Field(
        default=("127.0.0.1:2775",),
        min_length=1,
        description="The carrier's SMSCs, host:port. Connections are spread over them, and go on to the next one when"
        " one cannot be reached.",
    )
    system_id: str = Field(default="", max_length=64, description="Who we are to the carrier.")
    password: SecretStr | None = Field(default=None, max_length=64, description="The password that goes with it.")
    password_file: FilePath | None = Field(
        default=None, description="A file with the password instead, for those who keep secrets apart."
    )
    system_type: str = Field(default="", max_length=12, description="What kind of system we are, if the carrier asks.")
    mode: Literal["transceiver", "pair", "transmitter", "receiver"] = Field(
        default="transceiver",
        description="transceiver: texts go both ways on one connection; pair: a transmitter and a receiver each;"
        " transmitter: only out; receiver: only in.",
    )
    binds: PositiveInt = Field(default=1, le=64, description="Connections, or pairs of them, at the same time.")
    address_range: str = Field(default="", max_length=40, description="Numbers that a receiver asks for, if any.")
    tls: bool = Field(default=False, description="Connect by TLS.")
    tls_ca: FilePath | None = Field(
        default=None, description="Certificates to trust, a PEM file; without it those of the system."
    )
    tls_certificate: FilePath | None = Field(
        default=None, description="Our own certificate with its key, a PEM file, if the carrier asks for one."
    )
    window: PositiveInt = Field(
        default=10, le=1000, description="Texts on one connection that may wait for the carrier's answer."
    )
    at_once: PositiveInt = Field(
        default=1000,
        description="Texts of one connection at work at the same time; while there are so many, no more is read.",
    )
    enquire_seconds: PositiveFloat = Field(
        default=30.0, description="A connection that is silent for so long is asked whether it lives."
    )
    answer_seconds: PositiveFloat = Field(
        default=30.0, description="The carrier's answer to a text is waited for so long; then it is sent again."
    )
    throttle_seconds: PositiveFloat = Field(
        default=1.0, description="After ESME_RTHROTTLED or ESME_RMSGQFUL nothing is sent for so long."
    )
    reconnect_seconds: PositiveFloat = Field(
        default=30.0, description="The longest pause between tries to connect; the first is half a second."
    )
    retry_statuses: tuple[NonNegativeInt, ...] = Field(
        default=(), description="Statuses of the carrier's own that pass: a text so refused is tried again."
    )
    default_alphabet: Default = Field(
        default="gsm", description="What data_coding 0 means to the carrier: gsm, gsm-packed, latin-1, ascii or utf-8."
    )
    long_texts: Literal["udh", "sar", "payload"] = Field(
        default="udh",
        description="How a long text goes out. udh: in parts with a header; sar: in parts with TLVs; payload: in one"
        " piece, which the carrier cuts.",
    )
    service_type: str = Field(default="", max_length=5, description="The service_type of what goes out.")
    source_ton: int | None = Field(
        default=None, ge=0, le=255, description="Type of our numbers; without it what fits: 1, 2, 3 or 5."
    )
    source_npi: int | None = Field(default=None, ge=0, le=255, description="Plan of our numbers; without it what fits.")
    destination_ton: int | None = Field(
        default=None, ge=0, le=255, description="Type of theirs; without it what fits: 1, 2 or 3."
    )
    destination_npi: int | None = Field(default=None, ge=0, le=255, description="Plan of theirs; without it what fits.")
    plus: bool = Field(default=False, description="Write international numbers with their plus.")
    receipts: bool = Field(default=True, description="Ask the carrier to tell what became of each text.")
    validity_minutes: PositiveInt | None = Field(
        default=None, le=44_640, description="How long the carrier tries to deliver a text; its own choice without."
    )
    id_tag: int | None = Field(
        default=None,
        ge=1,
        le=0xFFFF,
        description="The TLV with the id of an incoming text, if the carrier sends one, e.g. 0x1400. Without it equal"
        " texts that come again after a lost answer are known by what they say.",
    )
    country: str | None = Field(
        default=None, pattern="^[A-Z]{2}$", description="Whose national forms numbers may be written in, e.g. US."
    )

    @field_validator("hosts")
    @classmethod
    def _are_hosts(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        for host in hosts:
            match = HOST.fullmatch(host)
            if match is None or not 0 < int(match[2]) <= 65535:
                raise ValueError(f"{host} is not host:port, e.g. smsc.example.com:2775 or [2001:db8::1]:2775")
        return hosts

    @model_validator(mode="after")
    def _has_a_use_for_files(self) -> SmppSection:
        if self.password is not None and self.password_file is not None:
            raise ValueError("password and password_file cannot both be given")
        if not self.tls and (self.tls_ca is not None or self.tls_certificate is not None):
            raise ValueError("tls_ca and tls_certificate are for tls = true")
        return self

    @property
    def addresses(self) -> tuple[tuple[str, int], ...]:
        """The hosts and their ports."""
        found = (HOST.fullmatch(host) for host in self.hosts)
        return tuple((match[1].strip("[]"), int(match[2])) for match in found if match is not None)

    @property
    def bind(self) -> pdu.Bind:
        """What a bind says of us. Raises OSError for a file that cannot be read."""
        password = self.password.get_secret_value() if self.password is not None else ""
        if self.password_file is not None:
            password = self.password_file.read_text().strip()
        return pdu.Bind(self.system_id, password, self.system_type, address_range=self.address_range)

    @property
    def certificates(self) -> tuple[Path | None, Path | None]:
        """Whom to trust, and who we are."""
        return self.tls_ca, self.tls_certificate
