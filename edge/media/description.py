"""Session descriptions (RFC 8866): a body becomes a value that prints itself again.

Lenient where phones are sloppy and nothing is at stake: bare line feeds, missing `s=` and `t=`, an `o=` that is missing
or wrong, lines of other kinds. Strict where a guess could send audio to the wrong place: addresses, ports, payload
types, rtpmap. Reading takes time linear in the length.

What is not kept: bandwidths, titles, keys and the like, which mean nothing to an endpoint that speaks G.711.
"""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import ip_address
from typing import NamedTuple

from edge.errors import Fault, Invalid

MAX_BYTES = 65_535  # of a description; no datagram carries more
MAX_MEDIA = 64  # media lines of a description

RTPMAP = re.compile(r"(\d{1,3}) +([^\s/]+)/(\d{1,9})(?:/(\d{1,3}))? *", re.ASCII)
NUMBER = re.compile(r"\d{1,20}", re.ASCII)

Attribute = tuple[str, str | None]


class BadSdp(Invalid):
    """This is no session description; the message says what is wrong in which line (the first is 1)."""

    def __init__(self, line: int, what: str) -> None:
        where = f"sdp line {line}"
        super().__init__(f"{where}: {what}", faults=[Fault(where, what)], reason="INVALID_SDP")
        self.line = line


class Origin(NamedTuple):
    """The `o=` line. Session id and version are decimal and may be long."""

    user: str
    session_id: str
    version: str
    family: str
    host: str

    def __str__(self) -> str:
        return f"{self.user} {self.session_id} {self.version} IN {self.family} {self.host}"


class Connection(NamedTuple):
    """A `c=` line; `scope` is what follows the address of a group, e.g. `/127/2`."""

    family: str
    host: str
    scope: str = ""

    def __str__(self) -> str:
        return f"IN {self.family} {self.host}{self.scope}"


class Media(NamedTuple):
    """One `m=` line and what belongs to it. `ports` is how many are meant, 1 unless written."""

    kind: str
    port: int
    protocol: str
    formats: tuple[str, ...]
    ports: int = 1
    connections: tuple[Connection, ...] = ()
    attributes: tuple[Attribute, ...] = ()

    def attribute(self, name: str) -> str | None:
        """The value of the first attribute of that name; None when there is none or it has no value."""
        return next((value for key, value in self.attributes if key == name), None)


class Description(NamedTuple):
    """A whole description. `times` are the values of the `t=` lines as they were written."""

    origin: Origin | None
    name: str
    connection: Connection | None
    times: tuple[str, ...]
    attributes: tuple[Attribute, ...]
    media: tuple[Media, ...]

    def to_bytes(self) -> bytes:
        lines = ["v=0"]
        if self.origin is not None:
            lines.append(f"o={self.origin}")
        lines.append(f"s={self.name}")
        if self.connection is not None:
            lines.append(f"c={self.connection}")
        lines += [f"t={time}" for time in self.times]
        lines += [_attribute_line(attribute) for attribute in self.attributes]
        for media in self.media:
            ports = f"/{media.ports}" if media.ports != 1 else ""
            lines.append(f"m={media.kind} {media.port}{ports} {media.protocol} {' '.join(media.formats)}")
            lines += [f"c={connection}" for connection in media.connections]
            lines += [_attribute_line(attribute) for attribute in media.attributes]
        return ("\r\n".join(lines) + "\r\n").encode("utf-8", "surrogateescape")


_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,253}[A-Za-z0-9.])?", re.ASCII)
_IP4_SHAPE = re.compile(r"[\d.]+", re.ASCII)


def read(body: bytes) -> Description:
    """Read a description, in time linear in its length. Raises BadSdp."""
    if len(body) > MAX_BYTES:
        raise BadSdp(1, f"{len(body)} bytes are more than {MAX_BYTES}")
    text = body.decode("utf-8", "surrogateescape").replace("\r\n", "\n").rstrip("\n")
    lines = text.split("\n")
    if lines[0].rstrip() != "v=0":
        raise BadSdp(1, "is empty" if not text else "is not v=0")
    if "\r" in text or "\0" in text:
        number = next(n for n, line in enumerate(lines, 1) if "\r" in line or "\0" in line)
        raise BadSdp(number, "holds a carriage return or NUL")
    origin: Origin | None = None
    name = "-"
    connection: Connection | None = None
    times: list[str] = []
    session: list[Attribute] = []
    media: list[Media] = []
    connections: list[Connection] = []
    attributes = session
    for number, line in enumerate(lines, 1):
        kind, value = line[:2], line[2:]
        if kind == "a=":
            key, colon, rest = value.partition(":")
            if key == "rtpmap" and media and media[-1].kind == "audio" and RTPMAP.fullmatch(rest) is None:
                raise BadSdp(number, f"rtpmap {rest[:40]!r} is not TYPE NAME/CLOCK")
            attributes.append((key, rest if colon else None))
        elif kind == "m=":
            if len(media) == MAX_MEDIA:
                raise BadSdp(number, f"more than {MAX_MEDIA} media lines")
            if media:
                media[-1] = _joined(media[-1], connections, attributes)
            connections, attributes = [], []
            media.append(_media(value, number))
        elif kind == "c=":
            found = _connection(value, number)
            if media:
                connections.append(found)
            elif connection is None:
                connection = found
        elif kind == "o=":
            origin = _origin(value)
        elif kind == "s=":
            name = value
        elif kind == "t=":
            times.append(value)
        elif kind[1:] != "=" or not kind[0].isalpha():
            raise BadSdp(number, f"{line[:40]!r} is not LETTER=VALUE")
    if media:
        media[-1] = _joined(media[-1], connections, attributes)
    return Description(origin, name, connection, tuple(times), tuple(session), tuple(media))


def _joined(media: Media, connections: list[Connection], attributes: list[Attribute]) -> Media:
    kind, port, protocol, formats, ports, _, _ = media
    return Media(kind, port, protocol, formats, ports, tuple(connections), tuple(attributes))


def _media(value: str, number: int) -> Media:
    fields = value.split()
    if len(fields) < 4:
        raise BadSdp(number, f"m={value[:40]} is not KIND PORT PROTOCOL FORMAT…")
    kind, where, protocol, *formats = fields
    port, slash, ports = where.partition("/")
    if not NUMBER.fullmatch(port) or int(port) > 65535:
        raise BadSdp(number, f"port {port[:20]!r} is not 0–65535")
    if slash and (not NUMBER.fullmatch(ports) or not 0 < int(ports) <= 65535):
        raise BadSdp(number, f"number of ports {ports[:20]!r} is not 1–65535")
    if protocol.startswith("RTP/"):
        for payload_type in formats:
            if not NUMBER.fullmatch(payload_type) or int(payload_type) > 127:
                raise BadSdp(number, f"payload type {payload_type[:20]!r} is not 0–127")
    return Media(kind, int(port), protocol, tuple(formats), int(ports) if slash else 1)


def _origin(value: str) -> Origin | None:
    """None for one that is written wrong: it names the session to its maker, and we go by the dialog."""
    fields = value.split()
    if len(fields) != 6 or fields[3] != "IN":
        return None
    user, session_id, version, _, family, host = fields
    if not NUMBER.fullmatch(session_id) or not NUMBER.fullmatch(version):
        return None
    return Origin(user, session_id, version, family, host)


def _connection(value: str, number: int) -> Connection:
    fields = value.split()
    if len(fields) != 3 or fields[0] != "IN" or fields[1] not in ("IP4", "IP6"):
        raise BadSdp(number, f"c={value[:60]} is not IN IP4|IP6 ADDRESS")
    family = fields[1]
    host, slash, scope = fields[2].partition("/")
    wrong = _wrong_host(family, host)
    if wrong:
        raise BadSdp(number, wrong)
    return Connection(family, host, slash + scope)


@lru_cache(maxsize=1024)
def _wrong_host(family: str, host: str) -> str | None:
    """What is wrong with the host of a `c=` line, or None."""
    if ":" in host or _IP4_SHAPE.fullmatch(host):
        try:
            version = ip_address(host).version
        except ValueError:
            return f"{host[:40]!r} is not an address"
        if family != f"IP{version}":
            return f"{host} is not of the family {family}"
    elif not _HOST.fullmatch(host):
        return f"{host[:40]!r} is no address and no host name"
    return None


def _attribute_line(attribute: Attribute) -> str:
    name, value = attribute
    return f"a={name}" if value is None else f"a={name}:{value}"
