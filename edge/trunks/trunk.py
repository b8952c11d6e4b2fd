"""One trunk as it stands in the configuration."""

from __future__ import annotations

from functools import cached_property, lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Annotated, Any, Final, Literal
from uuid import UUID, uuid5

import phonenumbers
from pydantic import (
    AfterValidator,
    Field,
    PlainSerializer,
    PlainValidator,
    PrivateAttr,
    WithJsonSchema,
    model_validator,
)

from edge.settings import Secret, Section
from edge.trunks.target import TARGET_PATTERN, Target, read_target

Network = IPv4Network | IPv6Network

Algorithm = Literal["SHA-256", "MD5"]
Codec = Literal["PCMU", "PCMA"]
DialedFrom = Literal["request-uri", "to", "p-called-party-id", "diversion", "history-info"]
TrustedHeader = Literal["p-asserted-identity", "remote-party-id", "diversion", "history-info", "privacy"]

NAMESPACE: Final = UUID("5f1f6f2b-8a0e-4c57-9a43-6f2c6f0f3f10")  # of the ids of trunks in the configuration file
RULES: Final = 100  # of one kind in a trunk
NETWORKS: Final = 1000  # of one trunk
TARGETS: Final = 8  # behind the first one of a trunk
DIGITS_MAX: Final = 15  # of a number (E.164)
MAPPED = IPv6Network("::ffff:0:0/96")  # RFC 4291 §2.5.5.2


def read_network(value: Any) -> Network:
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


def read_sip_target(value: Any) -> Target:
    """Read a target from its text."""
    target = read_target(value)
    if not isinstance(target, Target):
        raise ValueError("a target is written as text")
    return target


SipNetwork = Annotated[
    Network,
    PlainValidator(read_network),
    PlainSerializer(str, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "description": "An address or a network.", "examples": ["192.0.2.0/24"]}),
]
SipTarget = Annotated[
    Target,
    PlainValidator(read_sip_target),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "pattern": TARGET_PATTERN, "examples": ["sip:192.0.2.7:5060;transport=udp"]}),
]


def read_advertised(value: str | None) -> str | None:
    """An IP address, in the one way to write it."""
    return None if value is None else str(ip_address(value.strip("[]")))


def known_country(code: str | None) -> str | None:
    """Refuse a country that has no national forms to read."""
    if code is not None and not phonenumbers.country_code_for_region(code):
        raise ValueError(f"{code} is no country with telephone numbers")
    return code


class Rewriting(Section):
    """How digits become others before they are read as a number. Of several the first that fits is taken."""

    prefix: str = Field(
        default="", max_length=32, pattern=r"^\+?[0-9*#]*$", description="What they must begin with. Empty: anything."
    )
    strip: int = Field(default=0, ge=0, le=32, description="How many characters to take off the beginning.")
    add: str = Field(default="", max_length=32, pattern=r"^\+?[0-9*#]*$", description="What to put before the rest.")

    def fits(self, digits: str) -> bool:
        """Whether it is for these, leaves something of them, and puts nothing before a plus."""
        behind = digits.startswith(self.prefix) and len(digits) > self.strip
        return behind and not (self.puts_before and digits.startswith("+"))

    @property
    def puts_before(self) -> bool:
        """Whether all of the digits stay, behind others."""
        return bool(self.add) and not self.strip

    def of(self, digits: str) -> str:
        """The others that they become."""
        return self.add + digits[self.strip :]

    @property
    def fault(self) -> str | None:
        """Why no number can come of it; None when one can."""
        kept = self.prefix[self.strip :]
        if self.strip - len(self.prefix) >= DIGITS_MAX:
            return f"takes {self.strip - len(self.prefix)} characters off behind its prefix, and leaves no number"
        if self.add and kept.startswith("+"):
            return f"puts {self.add} before a plus, which makes no number"
        if any(sign in self.add + kept for sign in "*#"):
            return f"makes numbers that begin with {self.add + kept}, which are none"
        return None


def check_rules(rules: tuple[Rewriting, ...]) -> tuple[Rewriting, ...]:
    """Refuse rules that cannot do anything good: that make no number, or that another one before always goes before."""
    for place, rule in enumerate(rules):
        fault = rule.fault
        if fault is None:
            before = next((i for i in range(place) if _always_before(rules[i], rule)), None)
            if before is None:
                continue
            first = f"rule {before} ({_shown(rules[before])}) takes all that it would fit"
            fault = f"can never match: {first}"
        raise ValueError(f"rule {place} ({_shown(rule)}) {fault}")
    return rules


def _always_before(first: Rewriting, rule: Rewriting) -> bool:
    """Whether all that a rule fits is taken by an earlier one."""
    if first.puts_before and (rule.prefix.startswith("+") or not (rule.prefix or rule.puts_before)):
        return False  # what begins with a plus is left to it
    return rule.prefix.startswith(first.prefix) and first.strip <= max(rule.strip, len(rule.prefix) - 1)


def _shown(rule: Rewriting) -> str:
    return f"prefix {rule.prefix or 'any'}, strip {rule.strip}, add {rule.add or 'nothing'}"


def rewritten(rules: tuple[Rewriting, ...], digits: str) -> str:
    """What the first rule that fits makes of digits; as they are where none does."""
    for rule in rules:
        if rule.fits(digits):
            return rule.of(digits)
    return digits


@lru_cache(maxsize=NETWORKS)
def file_id(name: str) -> str:
    """The id of a trunk in the configuration file."""
    return str(uuid5(NAMESPACE, name))


class Credentials(Section):
    """A user name and a password (RFC 8760 digest)."""

    username: str = Field(min_length=1, max_length=128, pattern=r'^[^\x00-\x1f\x7f"\\]+$', description="The user name.")
    password: Secret = Field(description="The password, or file: and the path of a file that holds it.")


class Registration(Section):
    """We register at the carrier, and calls come to where we registered from."""

    registrar: SipTarget | None = Field(
        default=None,
        description="Where to register: sip:host[:port][;transport=…]. Empty: the trunk's target. The trunk's failover"
        " follows.",
    )
    user: str = Field(
        default="",
        max_length=128,
        pattern=r"^[A-Za-z0-9\-_.!~*'()&=+$,;?/%#]*$",
        description="The user part of our address there. Empty: the user name.",
    )
    domain: str = Field(
        default="",
        max_length=255,
        pattern=r"^[A-Za-z0-9._:\[\]-]*$",
        description="The domain of our address there. Empty: the registrar's.",
    )
    expires: int = Field(default=3600, ge=60, le=86400, description="Seconds that we ask a registration to last.")


class Trunk(Section):
    """The SIP side of one carrier. Requests from anywhere that is not in a trunk's networks are not answered."""

    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$", description="The trunk's name, as records and logs show it."
    )
    networks: Annotated[
        tuple[SipNetwork, ...],
        Field(
            min_length=1,
            max_length=NETWORKS,
            description="Addresses and networks this carrier sends from; the longest prefix wins.",
        ),
    ]
    transport: Literal["any", "udp", "tcp", "tls"] = Field(
        default="any", description="The transport this carrier uses; by another one it is a stranger."
    )
    country: Annotated[str | None, AfterValidator(known_country)] = Field(
        default=None,
        pattern=r"^[A-Z]{2}$",
        description="Country (ISO 3166, e.g. US) whose national forms this carrier writes numbers in, if it does.",
    )
    target: SipTarget | None = Field(
        default=None,
        description="Where requests to this carrier go: sip:host[:port][;transport=udp|tcp|tls], or sips:host[:port]."
        " Over TLS its certificate must name the host. Without it, a text can only be answered, at the address it came"
        " from.",
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

    certificates: tuple[Annotated[str, Field(pattern=r"^[!-~]{1,255}$")], ...] = Field(
        default=(),
        max_length=NETWORKS,
        description="Names (DNS, or URI as sip:example.com) one of which its TLS certificate must show. Empty: none"
        " is asked for.",
    )
    advertise: Annotated[str | None, AfterValidator(read_advertised)] = Field(
        default=None, description="Address to write into Via, Contact and SDP towards this carrier instead of our own."
    )
    auth: Credentials | None = Field(
        default=None, description="What calls and texts from this carrier must prove by digest; without, nothing."
    )
    auth_algorithms: tuple[Algorithm, ...] = Field(
        default=("SHA-256", "MD5"),
        min_length=1,
        description="What `auth` is asked by, best first. MD5 alone for a peer that looks at the first challenge only"
        " and knows nothing else.",
    )
    credentials: Credentials | None = Field(
        default=None, description="What we prove by digest where this carrier asks us to: calls, texts, registration."
    )
    registration: Registration | None = Field(
        default=None, description="Registering at this carrier, if it wants that."
    )
    failover: tuple[SipTarget, ...] = Field(
        default=(),
        max_length=TARGETS,
        description="Further targets, tried in this order when one before does not answer, or says 503 or 408.",
    )
    probe_seconds: float = Field(
        default=0.0,
        ge=0,
        le=3600,
        description="Send OPTIONS to the target this often to see whether it is up. 0: never.",
    )
    trusted_headers: tuple[TrustedHeader, ...] = Field(
        default=(),
        description="Header fields of this carrier that are believed. Others are read, and marked untrusted.",
    )
    dialed_from: tuple[DialedFrom, ...] = Field(
        default=("request-uri",),
        min_length=1,
        description="Where the dialed number is read, in this order: the first that has one counts.",
    )
    dialed_rules: Annotated[tuple[Rewriting, ...], AfterValidator(check_rules)] = Field(
        default=(), max_length=RULES, description="How dialed numbers are rewritten."
    )
    caller_rules: Annotated[tuple[Rewriting, ...], AfterValidator(check_rules)] = Field(
        default=(), max_length=RULES, description="How callers' numbers are rewritten."
    )
    max_cps: float | None = Field(default=None, gt=0, description="Calls a second it may begin; 503 above. Empty: any.")
    max_calls: int | None = Field(default=None, gt=0, description="Calls it may have at once; 503 above. Empty: any.")
    codecs: tuple[Codec, ...] = Field(
        default=(),
        description="What may be spoken, best first, in our answers too. Empty: PCMU and PCMA, and of an offer what it"
        " has first.",
    )
    reliable: Literal["off", "supported", "required"] = Field(
        default="supported",
        description="Reliable provisional answers (PRACK, RFC 3262): never, where it can, or always.",
    )
    session_expires: int | None = Field(
        default=None,
        ge=90,
        description="Seconds of a session interval (RFC 4028) that we ask for. Empty: only where it asks.",
    )
    min_se: int = Field(default=90, ge=90, description="The least session interval that we take; 422 below.")
    dtmf: Literal["rfc4733", "info", "both"] = Field(
        default="rfc4733",
        description="How keys are sent to it: as RTP events (RFC 4733), by SIP INFO, or both; where it takes neither,"
        " as tones. All are understood.",
    )
    srtp: Literal["off", "optional", "required"] = Field(
        default="off",
        description="Encrypted media (SRTP, RFC 4568 SDES): none, where it asks for them and in calls to it, or no call"
        " without. Only over TLS, which keeps the keys.",
    )
    srtp_without_tls: bool = Field(
        default=False,
        description="Whether keys of SRTP may pass over UDP and TCP, where anybody on the way can read them.",
    )
    stir: Literal["off", "annotate", "refuse"] = Field(
        default="annotate",
        description="Signed callers (STIR/SHAKEN): not looked at, verified for flows to read, or refused unless valid.",
    )

    _id: str = PrivateAttr(default="")

    @cached_property
    def id(self) -> str:
        """Of a trunk in the configuration file: the same as long as it has the name. Of one in SQL it is the row's."""
        return self._id or file_id(self.name)

    @property
    def source(self) -> Literal["file", "api"]:
        """Where it is kept: in the configuration file, or in SQL, made over the API."""
        return "api" if self._id else "file"

    def kept_as(self, id: str) -> Trunk:
        """The same as the row of that id has it."""
        trunk = self.model_copy()
        trunk._id = id
        trunk.__dict__.pop("id", None)  # what this one remembers
        return trunk

    @property
    def targets(self) -> tuple[Target, ...]:
        """Where requests go, in order; none without a target."""
        return () if self.target is None else tuple(dict.fromkeys((self.target, *self.failover)))

    @property
    def registrars(self) -> tuple[Target, ...]:
        """Where we register, in order; none where we do not."""
        if self.registration is None:
            return ()
        first = self.registration.registrar or self.target
        return () if first is None else tuple(dict.fromkeys((first, *self.failover)))

    @model_validator(mode="after")
    def _fits_together(self) -> Trunk:
        if self.dial_as == "national" and self.country is None:
            raise ValueError("dial_as national needs the trunk's country")
        if self.outbound and self.target is None:
            raise ValueError("a trunk that calls go out by needs a target")
        if self.failover and self.target is None:
            raise ValueError("failover needs a target that goes before")
        if self.registration is not None:
            if not self.registrars:
                raise ValueError("registration needs a registrar, or the trunk's target")
            if not self.registration.user and self.credentials is None:
                raise ValueError("registration needs a user, or credentials whose user name it is")
        for field in ("diversion", "history-info"):
            if field in self.dialed_from and field not in self.trusted_headers:
                raise ValueError(
                    f"dialed_from {field} needs {field} in trusted_headers: what is not believed decides nothing"
                )
        if self.certificates and self.transport not in ("any", "tls"):
            raise ValueError(f"certificates are shown over TLS only, and its transport is {self.transport}")
        return self

    def dialed_digits(self, digits: str) -> str:
        """What its rules make of dialed digits."""
        return rewritten(self.dialed_rules, digits)

    def caller_digits(self, digits: str) -> str:
        """What its rules make of a caller's number."""
        return rewritten(self.caller_rules, digits)

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
