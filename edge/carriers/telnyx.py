"""Texts by Telnyx: its webhooks (API v2) in, its REST API out.

    [[carriers]]
    kind = "telnyx"
    api_key = "file:/etc/edge/telnyx.key"
    public_keys = ["…"]

In the portal, the webhook URL of the messaging profile (API v2) is `https://…/v1.0/carriers/telnyx/inbound`, for texts
and receipts alike. A webhook is signed with Ed25519 over its time and its raw body; the public key stands in the portal
beside the API keys, and while it is replaced both may be given. It is refused when it is older than five minutes.

A text is known by its id of theirs, `data.payload.id`; one to several numbers of ours is one text for each. A repeated
sending has the same Idempotency-Key.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Final, Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import AfterValidator, BaseModel, Field, PositiveFloat

from edge.carriers.api import Api, json_of, receipt_of
from edge.carriers.hooks import ID_LIMIT, check_age, parts, proof, read, read_part, sentence, unproven, words
from edge.carriers.site import Site
from edge.http import Answer
from edge.settings import NAME, BaseUrl, Secret
from edge.sms.carrier import Busy, Called, Carrier, CarrierSection, Hook, NotNow, Refused, Said
from edge.sms.text import ADDRESS_LIMIT, OutgoingText, Receipt, Report, Text, Verdict

RECEIVERS: Final = 50  # of one text
PLACE: Final = "data.payload"

STATUS: Final[dict[str, Literal["sent", "delivered", "failed"]]] = {
    "queued": "sent",
    "sending": "sent",
    "sent": "sent",
    "delivery_unconfirmed": "sent",  # nobody told them, and nobody will
    "delivered": "delivered",
    "expired": "failed",
    "sending_failed": "failed",
    "delivery_failed": "failed",
}

# What it answered by itself, developers.telnyx.com/docs/messaging/messages/advanced-opt-in-out
KEYWORDS: Final[dict[str, Literal["stop", "start", "help"]]] = {"STOP": "stop", "START": "start", "HELP": "help"}

# Codes of refusals, developers.telnyx.com/docs/messaging/messages/error-codes
BLOCKED_BY_STOP: Final = "40300"
OF_THE_TEXT: Final = frozenset(  # whoever sends it: stopped by its receiver, no such number, nothing to say …
    {BLOCKED_BY_STOP, "40301", "40302", "40304", "40310", "40316", "40317", "40319", "40322", "10002", "10016"}
)
OF_THE_ACCOUNT: Final = frozenset(  # its number, its profile, its money
    {
        *("10001", "10009", "10010", "20002", "20012", "20100", "40010", "40305", "40306", "40307", "40308", "40309"),
        *("40311", "40312", "40313", "40314", "40315", "40321", "40329", "40330", "40331", "40333"),
    }
)
QUEUE_FULL: Final = "40318"
NUMBER_UNUSABLE_NOW: Final = "40320"


def _public_key(value: str) -> str:
    try:
        Ed25519PublicKey.from_public_bytes(base64.b64decode(value, validate=True))
    except ValueError:
        raise ValueError("a public key is 32 bytes in base64") from None
    return value


class TelnyxSection(CarrierSection):
    """Texts by Telnyx."""

    kind: Literal["telnyx"] = Field(default="telnyx", description="telnyx: webhooks in, REST out.")
    name: str = Field(default="telnyx", pattern=NAME, description="The carrier's name, as it stands in its paths.")
    opt_out: Literal["edge", "carrier"] = Field(
        default="carrier",
        description="Who answers STOP, START and HELP: carrier, as Telnyx does unless that is turned off there; or"
        " edge.",
    )
    api_key: Secret = Field(description="The API key that texts are sent with.")
    public_keys: tuple[Annotated[str, AfterValidator(_public_key)], ...] = Field(
        min_length=1, description="The public key that webhooks are signed by, in base64; both while it is replaced."
    )
    messaging_profile_id: str | None = Field(
        default=None, description="The messaging profile that texts are sent by; without it that of the number."
    )
    webhook_url: BaseUrl | None = Field(
        default=None, description="Where receipts go; without it where the messaging profile says."
    )
    base_url: BaseUrl = Field(default="https://api.telnyx.com", description="Where the API is.")
    deadline_seconds: PositiveFloat = Field(default=10.0, description="A request to it takes at most this long.")


class _Data(BaseModel):
    event_type: str = Field(max_length=100)
    payload: Any


class _Event(BaseModel):
    data: _Data


class _End(BaseModel):
    phone_number: str = Field(max_length=ADDRESS_LIMIT)
    status: str = ""


class _Media(BaseModel):
    url: str


class _Error(BaseModel):
    code: str | int = ""
    title: str = ""
    detail: str | None = None


class _Received(BaseModel):
    id: str = Field(min_length=1, max_length=ID_LIMIT)
    source: _End = Field(alias="from")
    to: list[_End] = Field(min_length=1, max_length=RECEIVERS)
    text: str | None = None
    media: list[_Media] = Field(default_factory=list)
    parts: Any = None
    autoresponse_type: Any = None


class _Told(BaseModel):
    id: str = Field(min_length=1, max_length=ID_LIMIT)
    source: _End = Field(alias="from")
    to: list[_End] = Field(min_length=1, max_length=RECEIVERS)
    errors: list[_Error] = Field(default_factory=list)


class Telnyx(Carrier):
    kind = "telnyx"
    section = TelnyxSection
    one_sender = True
    opted_out = frozenset({BLOCKED_BY_STOP})

    def __init__(self, section: TelnyxSection, site: Site) -> None:
        super().__init__(section.name)
        self._keys = [Ed25519PublicKey.from_public_bytes(base64.b64decode(key)) for key in section.public_keys]
        self._api = Api(section.name, section.base_url, site.ask, section.deadline_seconds)
        self._headers = {
            "Authorization": f"Bearer {section.api_key.get_secret_value()}",
            "Content-Type": "application/json",
            "Accept": "application/json",
        }
        self._always: dict[str, str] = {}
        if section.messaging_profile_id is not None:
            self._always["messaging_profile_id"] = section.messaging_profile_id
        if section.webhook_url is not None:
            self._always["webhook_url"] = section.webhook_url

    def routes(self) -> Sequence[Hook]:
        return (Hook(suffix="inbound", summary="Telnyx brings texts and receipts", read=self._read, answer=_answer),)

    async def send(self, text: OutgoingText) -> Receipt:
        wanted = {"from": text.source, "to": text.destination, "text": text.body, **self._always}
        headers = {**self._headers, "Idempotency-Key": text.id}
        answer = await self._api.post("/v2/messages", json.dumps(wanted).encode(), headers)
        if answer.status >= 300:
            raise _refusal(self.name, answer)
        data = json_of(answer).get("data")
        carrier_id = data.get("id") if isinstance(data, dict) else None
        return receipt_of(carrier_id)

    def _read(self, called: Called) -> Sequence[Text | Report]:
        self._check(called)
        data = read(_Event, called.body).data
        match data.event_type:
            case "message.received":
                return [*self._texts(read_part(_Received, data.payload, PLACE), called)]
            case "message.sent" | "message.finalized":
                return [*self._reports(read_part(_Told, data.payload, PLACE), called)]
        return ()  # of other products, or of a kind that is not yet

    def _check(self, called: Called) -> None:
        """Raises Unauthenticated for what does not come from there just now."""
        signature, sent_at = proof(called, "telnyx-signature-ed25519"), proof(called, "telnyx-timestamp")
        if not (sent_at.isascii() and sent_at.isdigit() and len(sent_at) <= 12):
            raise unproven("telnyx-timestamp is no time")
        check_age(int(sent_at), called.received_at)
        try:
            signed = base64.b64decode(signature, validate=True)
        except ValueError:
            raise unproven() from None
        message = sent_at.encode() + b"|" + called.body
        for key in self._keys:
            try:
                key.verify(signed, message)
            except InvalidSignature:
                continue
            return
        raise unproven()

    def _texts(self, payload: _Received, called: Called) -> Iterator[Text]:
        ours = {end.phone_number: None for end in payload.to if end.status == "webhook_delivered"}
        everybody = {end.phone_number: None for end in payload.to}
        for destination in ours or everybody:
            yield Text(
                carrier=self.name,
                id=payload.id if len(everybody) == 1 else f"{payload.id} {destination}",
                source=payload.source.phone_number,
                destination=destination,
                body=words(payload.text or ""),
                received_at=called.received_at,
                media=tuple(media.url for media in payload.media),
                parts=parts(payload.parts),
                keyword=KEYWORDS.get(str(payload.autoresponse_type).upper(), ""),
            )

    def _reports(self, payload: _Told, called: Called) -> Iterator[Report]:
        end = payload.to[0]
        status = STATUS.get(end.status)
        if status is None:
            return
        error = payload.errors[0] if payload.errors and status == "failed" else _Error()
        yield Report(
            carrier=self.name,
            carrier_id=payload.id,
            status=status,
            received_at=called.received_at,
            code=sentence(str(error.code)),
            reason=sentence(error.detail or error.title or (end.status if status == "failed" else "")),
            source=payload.source.phone_number,
            destination=end.phone_number,
        )


def _answer(verdicts: Sequence[Verdict]) -> Said:
    return Said()


def _refusal(name: str, answer: Answer) -> NotNow | Refused:
    errors = json_of(answer).get("errors")
    error = errors[0] if isinstance(errors, list) and errors and isinstance(errors[0], dict) else {}
    code = str(error.get("code") or answer.status)
    what = sentence(f"{name} answered {answer.status}: {error.get('detail') or error.get('title') or 'no reason'}")
    if code == QUEUE_FULL:
        return Busy(what, code=code)
    if code == NUMBER_UNUSABLE_NOW:
        return NotNow(what, code=code)
    elsewhere = code in OF_THE_ACCOUNT or (answer.status in (401, 402, 403, 404) and code not in OF_THE_TEXT)
    return Refused(what, code=code, elsewhere=elsewhere)
