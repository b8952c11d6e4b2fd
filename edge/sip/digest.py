"""Digest authentication (RFC 3261 §22, RFC 7616, RFC 8760): what challenges and credentials say, and the sum in them.

    WWW-Authenticate: Digest realm="trunk-a", qop="auth", nonce="…", algorithm=SHA-256          a `Challenge`
    Authorization: Digest username="edge", realm="trunk-a", nonce="…", uri="sip:…", response="…", …  `Credentials`

One field holds one of them (§7.3.1: these fields are never joined by commas). Both parse and print themselves. Names of
users are never hashed (`userhash`), for they stand in the From of the same message anyway.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, NamedTuple

from edge.sip.grammar import LWS, QUOTED, TOKEN, Unreadable, quote, split_list, unquote

MD5: Final = "MD5"
SHA_256: Final = "SHA-256"
SHA_512_256: Final = "SHA-512-256"
OFFERED: Final = (SHA_256, MD5)  # what we challenge with, best first (RFC 8760 §2.3)
AUTH: Final = "auth"
AUTH_INT: Final = "auth-int"
SESSION: Final = "-SESS"  # RFC 7616 §3.4.2: with our own nonce in the first half

FIELD_MAX: Final = 4096  # characters of a field; honest ones have about 300
DIRECTIVES_MAX: Final = 32  # honest ones have a dozen

_digest = re.compile(rf"{LWS}Digest[ \t]++(.*)", re.IGNORECASE | re.DOTALL).fullmatch
_directive = re.compile(
    rf'{LWS}({TOKEN}++){LWS}={LWS}({QUOTED}|[^\x00-\x20\x7f,"]++){LWS}(,(?!{LWS}\Z)|\Z)', re.DOTALL
).match
_count = re.compile(r"[0-9a-fA-F]{8}").fullmatch

Hash = Callable[[bytes], str]


def _hash(name: str, data: bytes) -> str:
    return hashlib.new(name, data, usedforsecurity=False).hexdigest()


HASHES: Final[dict[str, Hash]] = {  # best first
    SHA_512_256: partial(_hash, "sha512_256"),
    SHA_256: partial(_hash, "sha256"),
    MD5: partial(_hash, "md5"),
}


class Login(NamedTuple):
    """Who is to prove himself, and by which word. It never prints the word."""

    username: str
    password: str

    def __repr__(self) -> str:
        return f"Login({self.username!r})"


@dataclass(frozen=True, slots=True)
class Challenge:
    """What a 401 or 407 wants proved."""

    realm: str
    nonce: str
    algorithm: str | None = None  # None: not said, which means MD5
    qop: tuple[str, ...] = ()  # empty: as of old (RFC 2069), without counting
    opaque: str | None = None
    stale: bool = False  # the proof was right, and its nonce too old

    @classmethod
    def parse(cls, text: str) -> Challenge:
        """Raises `Unreadable` for another scheme too."""
        found = _directives(text)
        return cls(
            _needed(found, "realm"),
            _needed(found, "nonce"),
            found.get("algorithm"),
            tuple(word.lower() for word in split_list(found.get("qop", ""))),
            found.get("opaque"),
            found.get("stale", "").lower() == "true",
        )

    def __str__(self) -> str:
        parts = [f"realm={quote(self.realm)}"]
        if self.qop:
            parts.append(f'qop="{",".join(self.qop)}"')
        parts.append(f"nonce={quote(self.nonce)}")
        if self.opaque is not None:
            parts.append(f"opaque={quote(self.opaque)}")
        if self.stale:
            parts.append("stale=true")
        if self.algorithm is not None:
            parts.append(f"algorithm={self.algorithm}")
        return "Digest " + ", ".join(parts)

    @property
    def rank(self) -> int | None:
        """How good its algorithm is, 0 the best; None when we cannot answer it: an algorithm or a quality that we do
        not know."""
        name = _bare(self.algorithm)
        if name not in HASHES or (self.qop and AUTH not in self.qop and AUTH_INT not in self.qop):
            return None
        return list(HASHES).index(name)

    def answer(self, login: Login, method: str, uri: str, count: int, cnonce: str, body: bytes = b"") -> Credentials:
        """The proof for one request; `count` says how often this nonce was used, this time included. The body is
        vouched for only where nothing less will do: others may change it on its way."""
        qop = None if not self.qop else AUTH if AUTH in self.qop else AUTH_INT
        asked = Credentials(
            login.username,
            self.realm,
            self.nonce,
            uri,
            "",
            self.algorithm,
            cnonce if qop is not None or _is_session(self.algorithm) else None,
            qop,
            None if qop is None else count,
            self.opaque,
        )
        return asked.signed(login.password, method, body)


@dataclass(frozen=True, slots=True)
class Credentials:
    """What the answer to a challenge says."""

    username: str
    realm: str
    nonce: str
    uri: str
    response: str
    algorithm: str | None = None
    cnonce: str | None = None
    qop: str | None = None
    count: int | None = None  # nc
    opaque: str | None = None

    @classmethod
    def parse(cls, text: str) -> Credentials:
        """Raises `Unreadable` for another scheme too."""
        found = _directives(text)
        qop, count = found.get("qop"), found.get("nc")
        if count is not None and _count(count) is None:
            raise Unreadable("nc is not eight hexadecimal digits")
        if qop is not None and (count is None or "cnonce" not in found):  # RFC 7616 §3.4
            raise Unreadable("qop without nc and cnonce")
        return cls(
            _needed(found, "username"),
            _needed(found, "realm"),
            _needed(found, "nonce"),
            _needed(found, "uri"),
            _needed(found, "response").lower(),
            found.get("algorithm"),
            found.get("cnonce"),
            None if qop is None else qop.lower(),
            None if count is None else int(count, 16),
            found.get("opaque"),
        )

    def __str__(self) -> str:
        named = (("username", self.username), ("realm", self.realm), ("nonce", self.nonce), ("uri", self.uri))
        parts = [f"{name}={quote(value)}" for name, value in named]
        parts.append(f'response="{self.response}"')
        if self.algorithm is not None:
            parts.append(f"algorithm={self.algorithm}")
        if self.cnonce is not None:
            parts.append(f"cnonce={quote(self.cnonce)}")
        if self.qop is not None:
            parts.append(f"qop={self.qop}")
        if self.count is not None:
            parts.append(f"nc={self.count:08x}")
        if self.opaque is not None:
            parts.append(f"opaque={quote(self.opaque)}")
        return "Digest " + ", ".join(parts)

    def signed(self, password: str, method: str, body: bytes = b"") -> Credentials:
        """The same with the response that this password gives (RFC 7616 §3.4.1). Raises ValueError for an algorithm
        that is none of ours."""
        digest = HASHES.get(_bare(self.algorithm))
        if digest is None:
            raise ValueError(f"{self.algorithm} is no algorithm of ours")
        secret = digest(_octets(f"{self.username}:{self.realm}:{password}"))
        if _is_session(self.algorithm):
            secret = digest(_octets(f"{secret}:{self.nonce}:{self.cnonce or ''}"))
        what = f"{method}:{self.uri}"
        if self.qop == AUTH_INT:
            what = f"{what}:{digest(body)}"
        counted = "" if self.qop is None else f":{self.count or 0:08x}:{self.cnonce or ''}:{self.qop}"
        response = digest(_octets(f"{secret}:{self.nonce}{counted}:{digest(_octets(what))}"))
        return replace(self, response=response)


def _directives(text: str) -> dict[str, str]:
    """What stands behind `Digest`: names in lower case, values without their quotes."""
    if len(text) > FIELD_MAX:
        raise Unreadable("too long")
    match = _digest(text)
    if match is None:
        raise Unreadable("not Digest")
    found: dict[str, str] = {}
    rest, at = match[1], 0
    while at < len(rest):
        directive = _directive(rest, at)
        if directive is None:
            raise Unreadable("wrong directives")
        name = directive[1].lower()
        if name in found:
            raise Unreadable("a directive stands twice")
        if len(found) == DIRECTIVES_MAX:
            raise Unreadable("too many directives")
        found[name] = unquote(directive[2])
        at = directive.end()
    return found


def _needed(found: dict[str, str], name: str) -> str:
    value = found.get(name)
    if value is None:
        raise Unreadable(f"{name} is missing")
    return value


def _bare(algorithm: str | None) -> str:
    """Without the word that asks for a session, in the spelling of `HASHES`."""
    return MD5 if algorithm is None else algorithm.upper().removesuffix(SESSION)


def _is_session(algorithm: str | None) -> bool:
    return algorithm is not None and algorithm.upper().endswith(SESSION)


def _octets(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
