"""One trunk as it stands in the configuration."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Any

import phonenumbers
from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, WithJsonSchema

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
