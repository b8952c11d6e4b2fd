"""One trunk as it stands in the configuration."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Any, Literal

import phonenumbers
from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, WithJsonSchema, model_validator

from edge.settings import Section
from edge.trunks.target import Target, read_target

Network = IPv4Network | IPv6Network

MAPPED = IPv6Network("::ffff:0:0/96")  # RFC 4291 §2.5.5.2


def read_network(value: Any) -> Any:
    """Read a network or a single address; an IPv4 network in IPv6 clothes becomes the IPv4 one."""
    if isinstance(value, IPv4Network | IPv6Network):
        return value
    if not isinstance(value, str):
        raise ValueError("a network is written as text")
    network = ip_network(value.strip())  # its ValueError says what is wrong: a bad address, or host bits set
    if isinstance(network, IPv6Network) and network.subnet_of(MAPPED):
        mapped = network.network_address.ipv4_mapped
        return IPv4Network((int(mapped or 0), network.prefixlen - MAPPED.prefixlen))
    return network


def known_country(code: str | None) -> str | None:
    """Refuse a country that has no national forms to read."""
    if code is not None and not phonenumbers.country_code_for_region(code):
        raise ValueError(f"{code} is no country with telephone numbers")
    return code


class Trunk(Section):
    """The SIP side of one carrier. Requests from anywhere that is not in a trunk's networks are not answered."""

    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$", description="The trunk's name, as records and logs show it."
    )
    networks: Annotated[
        tuple[Annotated[Network, BeforeValidator(read_network)], ...],
        Field(min_length=1, description="Addresses and networks this carrier sends from; the longest prefix wins."),
    ]
    country: Annotated[str | None, AfterValidator(known_country)] = Field(
        default=None,
        pattern=r"^[A-Z]{2}$",
        description="Country (ISO 3166, e.g. US) whose national forms this carrier writes numbers in, if it does.",
    )
    target: Annotated[
        Target | None,
        BeforeValidator(read_target),
        PlainSerializer(lambda target: target and str(target), return_type=str | None),
        WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "null"}]}),
    ] = Field(
        default=None,
        description="Where requests to this carrier go: sip:host[:port][;transport=udp|tcp]. Without it, a text"
        " can only be answered, at the address it came from.",
    )
    outbound: bool = Field(
        default=False, description="Whether calls go out by this trunk. The first that has it and a target is taken."
    )
    dial_as: Literal["plus", "digits", "national"] = Field(
        default="plus",
        description="How it wants numbers: plus (+14155550100), digits (14155550100), or national: as one dials in its"
        " country, numbers of others after the international prefix (00, 011 …).",
    )
    trust_cpim: bool = Field(
        default=False,
        description="Whether it is believed who a text in an envelope (message/cpim) says it is from and for.",
    )
    pass_caller: bool = Field(
        default=False,
        description="Whether a call that is passed on may show the number of who called us. Else it shows one of the"
        " account's.",
    )

    @model_validator(mode="after")
    def _knows_its_country(self) -> Trunk:
        if self.dial_as == "national" and self.country is None:
            raise ValueError("dial_as national needs the trunk's country")
        if self.outbound and self.target is None:
            raise ValueError("a trunk that calls go out by needs a target")
        return self

    def dialed(self, number: str) -> str:
        """An E.164 number as this trunk wants it."""
        if self.dial_as == "plus":
            return number
        if self.dial_as == "digits" or self.country is None:
            return number[1:]
        parsed = phonenumbers.parse(number)
        at_home = parsed.country_code == phonenumbers.country_code_for_region(self.country)
        if at_home and not phonenumbers.is_valid_number(parsed):
            return number  # its digits alone could be read as another one: an international or an emergency call
        written = phonenumbers.format_out_of_country_calling_number(parsed, self.country)
        return "".join(filter(str.isdigit, written))
