"""An Identity field (RFC 8224 §4) and the PASSporT in it (RFC 8225), read and not yet proven.

    Identity: eyJhbGciOiJFUzI1NiIs….eyJhdHRlc3QiOiJBIiwi….rq3pjT1hoRwakEGjHCnW…;info=<https://…/cert.pem>;ppt=shaken

Full form, or compact form: the signature alone behind two dots. Then header and claims are what the request itself
says, written as RFC 8225 §9 has it. `shaken` and `div` have claims that no request says, so they need the full form
(RFC 8588 §7, RFC 8946 §4). Other types than these two, and none, are for others, and passed over.

Numbers are compared by their digits (RFC 8224 §8.3).
"""

from __future__ import annotations

import json
import re
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any, Final, NamedTuple

from jwt import InvalidTokenError
from jwt.api_jws import PyJWS

from edge.stir.verdict import BAD_CREDENTIAL, BAD_IDENTITY, BAD_INFO, Doubt

ALGORITHM: Final = "ES256"  # RFC 8225 §8.1: the only one
LONGEST: Final = 8_192  # characters of a field; honest ones have about 600
DESTINATIONS: Final = 100  # numbers in `dest` that are looked at
DIGITS_MAX: Final = 20  # of one number; E.164 has 15
KINDS: Final = frozenset({"", "shaken", "div"})
ATTESTATIONS: Final = frozenset({"A", "B", "C"})
ORIGID_MAX: Final = 128  # characters of an origid that are kept; it is a UUID

_PARAM: Final = re.compile(
    r'[ \t]*;[ \t]*([A-Za-z0-9_-]++)[ \t]*=[ \t]*(?:<([^<>]*+)>|"([^"\\]*+)"|([^\s;<>",]++))[ \t]*'
)
_TOKEN: Final = re.compile(r"([A-Za-z0-9_-]*+)\.([A-Za-z0-9_-]*+)\.([A-Za-z0-9_-]++)")
_SEPARATORS: Final = str.maketrans("", "", "+-.() ")
_jws: Final = PyJWS(algorithms=[ALGORITHM])


class Said(NamedTuple):
    """What a request says of itself, for a PASSporT in compact form."""

    caller: str  # digits
    called: str
    date: str  # the field Date, or ""


class Passport(NamedTuple):
    """What was signed."""

    kind: str  # ppt: "", shaken, div
    url: str  # of the certificate
    issued: int  # iat, in seconds since the epoch
    caller: str  # digits of orig.tn; "" for a URI
    called: frozenset[str]  # digits of dest.tn
    diverted: str = ""  # digits of div.tn
    attestation: str = ""
    origination_id: str = ""
    token: str = ""  # the whole, in full form
    signature: str = ""

    def prove(self, key: Any) -> None:
        """Raises Doubt unless it was signed with that key."""
        try:
            _jws.decode_complete(self.token, key, algorithms=[ALGORITHM])
        except InvalidTokenError:
            raise Doubt(BAD_IDENTITY, "the signature is not that of its certificate") from None


def digits(number: str) -> str:
    """A number as it is compared; "" for what is none."""
    bare = number.translate(_SEPARATORS)
    return bare if bare.isascii() and bare.isdigit() and len(bare) <= DIGITS_MAX else ""


def read_identity(field: str, said: Said) -> Passport | None:
    """None: of a type that we do not know, which vouches for nothing here. Raises Doubt."""
    if len(field) > LONGEST:
        raise Doubt(BAD_IDENTITY, "Identity is too long")
    token, params = _split(field)
    info, kind = params.get("info", ""), params.get("ppt", "")
    if kind not in KINDS:
        return None
    match = _TOKEN.fullmatch(token)
    if match is None:
        raise Doubt(BAD_IDENTITY, "Identity holds no PASSporT")
    if params.get("alg", ALGORITHM) != ALGORITHM:
        raise Doubt(BAD_CREDENTIAL, f"the algorithm is not {ALGORITHM}")
    if not info:
        raise Doubt(BAD_INFO, "Identity has no info")
    if not match[1] and not match[2]:
        token = _expanded(match[3], info, kind, said)
    header, claims = _parts(token)
    if header.get("alg") != ALGORITHM:
        raise Doubt(BAD_CREDENTIAL, f"the algorithm is not {ALGORITHM}")
    if header.get("typ") != "passport":
        raise Doubt(BAD_IDENTITY, "its type is not passport")
    if header.get("ppt", "") != kind and "ppt" in params:
        raise Doubt(BAD_IDENTITY, "ppt is another in the PASSporT")
    kind = header.get("ppt", "")
    if not isinstance(kind, str) or kind not in KINDS:
        return None
    if header.get("x5u") != info:
        raise Doubt(BAD_INFO, "x5u is not info")
    issued = claims.get("iat")
    if not isinstance(issued, int) or isinstance(issued, bool):
        raise Doubt(BAD_IDENTITY, "iat is no time")
    caller, called = _member(claims, "orig").get("tn", ""), _member(claims, "dest").get("tn", [])
    numbers = called if isinstance(called, list) else [called]
    passport = Passport(
        kind=kind,
        url=info,
        issued=issued,
        caller=digits(caller) if isinstance(caller, str) else "",
        called=frozenset(digits(one) for one in numbers[:DESTINATIONS] if isinstance(one, str)) - {""},
        token=token,
        signature=match[3],
    )
    if kind == "shaken":
        attestation, origid = claims.get("attest"), claims.get("origid")
        if not isinstance(attestation, str) or attestation not in ATTESTATIONS:
            raise Doubt(BAD_IDENTITY, "attest is not A, B or C")
        if not isinstance(origid, str) or not origid:
            raise Doubt(BAD_IDENTITY, "there is no origid")
        return passport._replace(attestation=attestation, origination_id=origid[:ORIGID_MAX])
    if kind == "div":
        diverted = _member(claims, "div").get("tn", "")
        diverted = digits(diverted) if isinstance(diverted, str) else ""
        if not diverted:
            raise Doubt(BAD_IDENTITY, "div has no number")
        return passport._replace(diverted=diverted)
    return passport


def _split(field: str) -> tuple[str, dict[str, str]]:
    token, semicolon, rest = field.strip(" \t").partition(";")
    rest, params, at = semicolon + rest, dict[str, str](), 0
    while at < len(rest):
        match = _PARAM.match(rest, at)
        if match is None:
            raise Doubt(BAD_IDENTITY, "Identity cannot be read")
        params.setdefault(match[1].lower(), next(value for value in match.group(2, 3, 4) if value is not None))
        at = match.end()
    return token.strip(' \t"'), params


def _parts(token: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Header and claims."""
    try:
        read = _jws.decode_complete(token, options={"verify_signature": False})
        claims = json.loads(read["payload"])
    except (InvalidTokenError, ValueError, RecursionError):
        raise Doubt(BAD_IDENTITY, "the PASSporT cannot be read") from None
    if not isinstance(claims, dict):
        raise Doubt(BAD_IDENTITY, "the PASSporT has no claims")
    return read["header"], claims


def _member(claims: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = claims.get(name)
    if not isinstance(value, dict):
        raise Doubt(BAD_IDENTITY, f"there is no {name}")
    return value


def _expanded(signature: str, info: str, kind: str, said: Said) -> str:
    """The full form of a compact one (RFC 8225 §7)."""
    if kind:
        raise Doubt(BAD_IDENTITY, f"{kind} needs the full form")
    try:
        date = parsedate_to_datetime(said.date)
    except ValueError:
        raise Doubt(BAD_IDENTITY, "the compact form needs a Date") from None
    if not (said.caller and said.called):
        raise Doubt(BAD_IDENTITY, "the compact form needs two numbers")
    issued = int((date if date.tzinfo is not None else date.replace(tzinfo=UTC)).timestamp())
    header = {"alg": ALGORITHM, "typ": "passport", "x5u": info}
    claims = {"dest": {"tn": [said.called]}, "iat": issued, "orig": {"tn": said.caller}}
    return f"{_written(header)}.{_written(claims)}.{signature}"


def _written(value: Mapping[str, Any]) -> str:
    """RFC 8225 §9: members in order, no blanks."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return urlsafe_b64encode(text.encode("utf-8", "surrogateescape")).rstrip(b"=").decode()
