"""Texts by Vonage: the webhooks of its Messages API (v1) in, the API out.

    [[carriers]]
    kind = "vonage"
    api_key = "…"
    api_secret = "file:/etc/edge/vonage.secret"
    signature_secrets = ["file:/etc/edge/vonage.signature"]

In the application's settings, the inbound URL is `https://…/v1.0/carriers/vonage/inbound` and the status URL
`…/status`. A webhook brings a JSON Web Token (RFC 7519, HS256) in its Authorization field, which says when it was made
and what the SHA-256 of the body is; it is refused when it is older than five minutes.

Numbers come without their plus and are given it. A text is known by its `message_uuid`. A text that goes out bears its
id of ours as `client_ref`, by which its receipts find it; Vonage does not tell a repeated sending from a new one.
"""

from __future__ import annotations

import base64
import hmac
import json
import re
from collections.abc import Sequence
from hashlib import sha256
from typing import Any, Final, Literal

import jwt
from pydantic import BaseModel, Field, PositiveFloat

from edge.carriers.api import Api, json_of, receipt_of
from edge.carriers.hooks import ID_LIMIT, check_age, parts, proof, read, sentence, unproven, words
from edge.carriers.site import Site
from edge.http import Answer
from edge.settings import NAME, BaseUrl, Secret
from edge.sms.carrier import Busy, Called, Carrier, CarrierSection, Hook, NotNow, Refused, Said
from edge.sms.text import OutgoingText, Receipt, Report, Text, Verdict

STATUS: Final[dict[str, Literal["sent", "delivered", "failed"]]] = {
    "submitted": "sent",
    "delivered": "delivered",
    "read": "delivered",
    "rejected": "failed",
    "undeliverable": "failed",
}

# Codes of refusals, developer.vonage.com/api-errors/messages
STOPPED: Final = "1240"  # "Illegal Number": its receiver texted STOP; 1050, barred, need not be of his doing
OF_THE_ACCOUNT: Final = frozenset({"1060", "1070", "1080", "1120", "1150", "1160", "1170"})
THROTTLED: Final = "1000"
NOT_NOW: Final = frozenset({"1030", "1100"})  # a fault of theirs, or on their way

_MSISDN: Final = re.compile(r"[1-9][0-9]{6,14}")
_CODE: Final = re.compile(r"#([a-z0-9-]{1,40})$")


class VonageSection(CarrierSection):
    """Texts by Vonage."""

    kind: Literal["vonage"] = Field(default="vonage", description="vonage: webhooks of the Messages API in, REST out.")
    name: str = Field(default="vonage", pattern=NAME, description="The carrier's name, as it stands in its paths.")
    api_key: str = Field(min_length=1, max_length=100, description="The account's key.")
    api_secret: Secret = Field(description="Its secret, that texts are sent with.")
    signature_secrets: tuple[Secret, ...] = Field(
        min_length=1, description="The signature secret that webhooks are signed with; while it is replaced, both."
    )
    base_url: BaseUrl = Field(default="https://api.nexmo.com", description="Where the API is.")
    deadline_seconds: PositiveFloat = Field(default=10.0, description="A request to it takes at most this long.")


class _File(BaseModel):
    url: str
    caption: str | None = None


class _Piece(BaseModel):
    type: str
    url: str | None = None
    text: str | None = None


class _Received(BaseModel):
    message_uuid: str = Field(min_length=1, max_length=ID_LIMIT)
    source: str = Field(alias="from", min_length=1)
    to: str = Field(min_length=1)
    text: str | None = None
    image: _File | None = None
    audio: _File | None = None
    video: _File | None = None
    file: _File | None = None
    vcard: _File | None = None
    content: list[_Piece] = Field(default_factory=list, max_length=100)
    sms: Any = None

    def words(self) -> str:
        """What is said: the text, or else what stands beside pictures."""
        if self.text is not None:
            return self.text
        said = [file.caption for file in self._files() if file.caption]
        return "\n".join([*said, *(piece.text for piece in self.content if piece.text)])

    def media(self) -> tuple[str, ...]:
        return (*(file.url for file in self._files()), *(piece.url for piece in self.content if piece.url))

    def parts(self) -> int:
        return parts(self.sms.get("num_messages") if isinstance(self.sms, dict) else None)

    def _files(self) -> list[_File]:
        return [one for one in (self.image, self.audio, self.video, self.file, self.vcard) if one is not None]


class _Error(BaseModel):
    type: str = ""
    title: str | int = ""
    detail: str = ""


class _Told(BaseModel):
    message_uuid: str = Field(min_length=1, max_length=ID_LIMIT)
    status: str
    source: str = Field(default="", alias="from")
    to: str = ""
    client_ref: str | None = None
    error: _Error | None = None


class Vonage(Carrier):
    kind = "vonage"
    section = VonageSection
    one_sender = True
    opted_out = frozenset({STOPPED})

    def __init__(self, section: VonageSection, site: Site) -> None:
        super().__init__(section.name)
        self._key = section.api_key
        self._secrets = [secret.get_secret_value().encode() for secret in section.signature_secrets]
        self._api = Api(section.name, section.base_url, site.ask, section.deadline_seconds)
        login = f"{section.api_key}:{section.api_secret.get_secret_value()}"
        self._headers = {
            "Authorization": "Basic " + base64.b64encode(login.encode()).decode(),
            "Content-Type": "application/json",
            "Accept": "application/json",
        }

    def routes(self) -> Sequence[Hook]:
        return (
            Hook(suffix="inbound", summary="Vonage brings texts", read=self._received, answer=_answer),
            Hook(suffix="status", summary="Vonage brings receipts", read=self._told, answer=_answer),
        )

    async def send(self, text: OutgoingText) -> Receipt:
        wanted = {
            "channel": "sms",
            "message_type": "text",
            "from": text.source.removeprefix("+"),
            "to": text.destination.removeprefix("+"),
            "text": text.body,
            "client_ref": text.id,
        }
        answer = await self._api.post("/v1/messages", json.dumps(wanted).encode(), self._headers)
        if answer.status >= 300:
            raise _refusal(self.name, answer)
        return receipt_of(json_of(answer).get("message_uuid"))

    # What comes in

    def _received(self, called: Called) -> Sequence[Text]:
        self._check(called)
        came = read(_Received, called.body)
        text = Text(
            carrier=self.name,
            id=came.message_uuid,
            source=_number(came.source),
            destination=_number(came.to),
            body=words(came.words()),
            received_at=called.received_at,
            media=came.media(),
            parts=came.parts(),
        )
        return (text,)

    def _told(self, called: Called) -> Sequence[Report]:
        self._check(called)
        told = read(_Told, called.body)
        status = STATUS.get(told.status)
        if status is None:
            return ()  # one that is not yet
        error = told.error if told.error is not None and status == "failed" else _Error()
        report = Report(
            carrier=self.name,
            carrier_id=told.message_uuid,
            status=status,
            received_at=called.received_at,
            code=sentence(_code(error.type) or str(error.title)),
            reason=sentence(error.detail or (told.status if status == "failed" else "")),
            source=_number(sentence(told.source)),
            destination=_number(sentence(told.to)),
            message_id=sentence(told.client_ref or ""),
        )
        return (report,)

    def _check(self, called: Called) -> None:
        """Raises Unauthenticated for what does not come from there just now."""
        scheme, _, token = proof(called, "Authorization").partition(" ")
        if scheme.lower() != "bearer":
            raise unproven("the Authorization field has no token")
        claims = self._claims(token.strip())
        at, digest = claims.get("iat"), claims.get("payload_hash")
        if isinstance(at, bool) or not isinstance(at, int | float):
            raise unproven("the token does not say when it was made")
        check_age(at, called.received_at)
        if claims.get("api_key") != self._key:
            raise unproven("the token is for another account")
        given = digest.lower() if isinstance(digest, str) and digest.isascii() else ""
        if not hmac.compare_digest(given, sha256(called.body).hexdigest()):
            raise unproven("the token is for another body")

    def _claims(self, token: str) -> dict[str, Any]:
        options: Any = {"verify_exp": False, "verify_iat": False, "verify_nbf": False, "verify_aud": False}
        for secret in self._secrets:
            try:
                claims: dict[str, Any] = jwt.decode(token, secret, algorithms=["HS256"], options=options)
            except (jwt.PyJWTError, ValueError, RecursionError):  # its head is read before it is proven
                continue
            return claims
        raise unproven()


def _number(value: str) -> str:
    """E.164 where it is a number; short codes and names stay what they are."""
    return f"+{value}" if _MSISDN.fullmatch(value) else value


def _code(uri: str) -> str:
    """The code at the end of an error's URI: `…/api-errors/messages#1120`."""
    found = _CODE.search(uri)
    return found[1] if found is not None else ""


def _answer(verdicts: Sequence[Verdict]) -> Said:
    return Said()


def _refusal(name: str, answer: Answer) -> NotNow | Refused:
    error = json_of(answer)  # RFC 7807
    code = _code(str(error.get("type") or "")) or str(answer.status)
    why = error.get("detail") or error.get("title") or "no reason"
    what = sentence(f"{name} answered {answer.status}: {why}")
    if code == THROTTLED:
        return Busy(what, code=code)
    if code in NOT_NOW:
        return NotNow(what, code=code)
    return Refused(what, code=code, elsewhere=code in OF_THE_ACCOUNT or answer.status in (401, 402, 403, 404))
