"""Who asked, and for which URL, where a proxy stands before us.

What a request's header fields say of that counts only when the socket's other end is one of `[api] trusted_proxies`,
and only as far as those go: of a list that each proxy adds to, the last entry that is no proxy of ours is the client;
what stands before it he may have written himself. From anyone else such fields are as good as not there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final, NamedTuple

from aiohttp import web

from edge.api.section import ApiSection

Address = IPv4Address | IPv6Address

_PAIR: Final = re.compile(r'\s*([\w.~!#$%&\'*+^`|-]+)=("(?:[^"\\]|\\.)*"|[^",;\s]*)\s*(;|,|$)')  # RFC 7239 §4
_HOST: Final = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
_NODE: Final = re.compile(r"\[([^\]]+)\](?::\d+)?|([0-9.]+)(?::\d+)?|([0-9A-Fa-f:.]+)")  # RFC 7239 §6, and bare IPv6


class Told(NamedTuple):
    """What is known of a request; scheme and host are empty where no proxy of ours told them."""

    client: str
    scheme: str = ""
    host: str = ""


class Proxies:
    """Reads what the proxies of the configuration tell."""

    def __init__(self, section: ApiSection) -> None:
        self._trusted = section.trusted_proxies
        self._standard = section.proxy_fields == "forwarded"
        self._public = section.public_url

    def client(self, request: web.Request) -> str:
        """The address that a request came from; "" when there is none."""
        return self.told(request.remote, request.headers).client if self._trusted else request.remote or ""

    def url(self, request: web.Request) -> str:
        """The URL that was asked for: `public_url` says its beginning, or a proxy of ours, or else the request."""
        path = request.raw_path
        if not path.startswith("/"):  # RFC 9112 §3.2.2: a request may have the whole URL
            path = "/" + path.partition("://")[2].partition("/")[2]
        if self._public is not None:
            return self._public + path
        scheme, host = request.scheme, request.headers.get("Host", "")
        if not _HOST.fullmatch(host):
            host = ""
        if self._trusted:
            told = self.told(request.remote, request.headers)
            scheme, host = told.scheme or scheme, told.host or host
        return f"{scheme}://{host}{path}"

    def told(self, remote: str | None, headers: Mapping[str, str]) -> Told:
        """What a request from `remote` with these fields tells."""
        address = _address(remote or "")
        if address is None or not self._is_ours(address):
            return Told(remote or "")
        clients, schemes, hosts = _standard(headers) if self._standard else _usual(headers)
        passed = 1  # proxies of ours
        for entry in reversed(clients):
            found = _address(entry)
            if found is None:
                break
            address = found
            if not self._is_ours(found):
                break
            passed += 1
        scheme, host = _outermost(schemes, passed).lower(), _outermost(hosts, passed)
        return Told(
            str(address),
            scheme if scheme in ("http", "https") else "",
            host if _HOST.fullmatch(host) else "",
        )

    def _is_ours(self, address: Address) -> bool:
        return any(address in network for network in self._trusted)


def _address(node: str) -> Address | None:
    found = _NODE.fullmatch(node)
    try:
        address = ip_address(found[1] or found[2] or found[3]) if found is not None else None
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None  # a socket for both families
    return mapped or address


def _outermost(values: Sequence[str], passed: int) -> str:
    """What the first of so many proxies said that said something."""
    return next((value for value in values[-passed:] if value), "")


def _usual(headers: Mapping[str, str]) -> tuple[list[str], list[str], list[str]]:
    """Clients, schemes and hosts of the fields that came before RFC 7239."""
    names = ("X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host")
    clients, schemes, hosts = ([value.strip() for value in _joined(headers, name).split(",")] for name in names)
    return [client for client in clients if client], schemes, hosts


def _standard(headers: Mapping[str, str]) -> tuple[list[str], list[str], list[str]]:
    """The same of Forwarded (RFC 7239); none of it where it is not written as it should be."""
    clients, schemes, hosts = [""], [""], [""]
    value, at = _joined(headers, "Forwarded"), 0
    while at < len(value):
        pair = _PAIR.match(value, at)
        if pair is None:
            return [], [], []
        said = re.sub(r"\\(.)", r"\1", pair[2][1:-1]) if pair[2].startswith('"') else pair[2]
        for name, values in (("for", clients), ("proto", schemes), ("host", hosts)):
            if pair[1].lower() == name:
                values[-1] = said
        if pair[3] == ",":
            for values in (clients, schemes, hosts):
                values.append("")
        at = pair.end()
    return (clients, schemes, hosts) if value else ([], [], [])


def _joined(headers: Mapping[str, str], name: str) -> str:
    """A field that may stand there several times, in one (RFC 9110 §5.3)."""
    every = getattr(headers, "getall", None)
    return ",".join(every(name, ())) if every is not None else headers.get(name, "")
