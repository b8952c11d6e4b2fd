"""Texts by Twilio: its webhooks in, its REST API out.

    [[carriers]]
    kind = "twilio"
    account_sid = "AC…"
    auth_tokens = ["file:/etc/edge/twilio.token"]

At the number or its messaging service, "a message comes in" is `https://…/v1.0/carriers/twilio/inbound`, by POST or
GET. Receipts go to `…/status`, which is said with each text where `[api] public_url` or `status_callback` tells what
that is from outside. A webhook is signed with HMAC-SHA1 over the URL that was called, as Twilio knows it, and the
fields of the form: so a proxy in between has to be among `[api] trusted_proxies`, or `public_url` be set. There is no
time in it; one that is played again brings the text that is there already.

The answer is empty, never TwiML: what is replied leaves by the outbox. A text is known by its MessageSid.

Twilio does not tell a repeated sending from a new one: where its answer was lost, the text may go out twice.
"""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Final, Literal
from urllib.parse import parse_qs, urlencode, urlsplit

from pydantic import Field, PositiveFloat, model_validator

from edge.carriers.api import Api, json_of, receipt_of
from edge.carriers.hooks import ID_LIMIT, parts, proof, read_form, sentence, unproven, words
from edge.carriers.site import Site
from edge.errors import Fault, Invalid
from edge.http import Answer
from edge.settings import NAME, BaseUrl, Secret
from edge.sms.carrier import Busy, Called, Carrier, CarrierSection, Hook, NotNow, Refused, Said
from edge.sms.text import MEDIA_LIMIT, OutgoingText, Receipt, Report, Text, Verdict

PORTS: Final = {"https": 443, "http": 80}
FORM: Final = "application/x-www-form-urlencoded"
OURS: Final = "message"  # in the query of the URL for receipts: the text's id of ours

STATUS: Final[dict[str, Literal["sent", "delivered", "failed"]]] = {
    "accepted": "sent",
    "queued": "sent",
    "scheduled": "sent",
    "sending": "sent",
    "sent": "sent",
    "delivered": "delivered",
    "read": "delivered",
    "undelivered": "failed",
    "failed": "failed",
    "canceled": "failed",
}

# What Advanced Opt-Out took a text for, www.twilio.com/docs/messaging/tutorials/advanced-opt-out
KEYWORDS: Final[dict[str, Literal["stop", "start", "help"]]] = {"STOP": "stop", "START": "start", "HELP": "help"}

# Codes of refusals, www.twilio.com/docs/api/errors.
UNSUBSCRIBED: Final = "21610"  # its receiver texted STOP
OF_THE_ACCOUNT: Final = frozenset(  # its key, its number, where it may send to
    {
        *(20003, 20005, 20006, 20008, 21212, 21408, 21603, 21606, 21607, 21608, 21612, 21618, 21654, 21659, 21660),
        *(21661, 21701, 21703, 21704, 21705, 21706, 21710, 21712, 63007, 63038),
    }
)
TOO_MANY: Final = frozenset({20429, 14107, 63018})
QUEUE_FULL: Final = 21611  # of the one number


class TwilioSection(CarrierSection):
    """Texts by Twilio."""

    kind: Literal["twilio"] = Field(default="twilio", description="twilio: webhooks in, REST out.")
    name: str = Field(default="twilio", pattern=NAME, description="The carrier's name, as it stands in its paths.")
    opt_out: Literal["edge", "carrier"] = Field(
        default="carrier",
        description="Who answers STOP, START and HELP: carrier, as Twilio does unless that is turned off there; or"
        " edge.",
    )
    account_sid: str = Field(pattern=r"^AC[0-9a-zA-Z]{1,64}$", description="The account.")
    auth_tokens: tuple[Secret, ...] = Field(
        min_length=1, description="The auth token that webhooks are signed with; while it is replaced, both."
    )
    key_sid: str | None = Field(default=None, description="An API key to send with; without it the first auth token.")
    key_secret: Secret | None = Field(default=None, description="Its secret.")
    messaging_service_sid: str | None = Field(
        default=None, pattern=r"^MG[0-9a-zA-Z]{1,64}$", description="The messaging service that texts are sent by."
    )
    status_callback: BaseUrl | None = Field(
        default=None, description="Where receipts go; without it the route `status` below `public_url` of `[api]`."
    )
    base_url: BaseUrl = Field(default="https://api.twilio.com", description="Where the API is.")
    deadline_seconds: PositiveFloat = Field(default=10.0, description="A request to it takes at most this long.")

    @model_validator(mode="after")
    def _has_whole_keys(self) -> TwilioSection:
        if (self.key_sid is None) != (self.key_secret is None):
            raise ValueError("key_sid and key_secret belong together")
        return self


class Twilio(Carrier):
    kind = "twilio"
    section = TwilioSection
    one_sender = True
    opted_out = frozenset({UNSUBSCRIBED})

    def __init__(self, section: TwilioSection, site: Site) -> None:
        super().__init__(section.name)
        tokens = [token.get_secret_value() for token in section.auth_tokens]
        user, secret = section.account_sid, tokens[0]
        if section.key_sid is not None and section.key_secret is not None:
            user, secret = section.key_sid, section.key_secret.get_secret_value()
        self._tokens = [token.encode() for token in tokens]
        self._api = Api(section.name, section.base_url, site.ask, section.deadline_seconds)
        self._path = f"/2010-04-01/Accounts/{section.account_sid}/Messages.json"
        self._headers = {
            "Authorization": "Basic " + base64.b64encode(f"{user}:{secret}".encode()).decode(),
            "Content-Type": FORM,
            "Accept": "application/json",
        }
        self._service = section.messaging_service_sid
        self._callback = section.status_callback or site.hook(section.name, "status")

    def routes(self) -> Sequence[Hook]:
        came, told = "Twilio brings texts", "Twilio brings receipts"
        return (
            Hook(suffix="inbound", summary=came, read=self._received, answer=_answer),
            Hook(suffix="inbound", summary=came, read=self._received, answer=_answer, method="GET"),
            Hook(suffix="status", summary=told, read=self._told, answer=_answer),
        )

    async def send(self, text: OutgoingText) -> Receipt:
        wanted = {"From": text.source, "To": text.destination, "Body": text.body}
        if self._service is not None:
            wanted["MessagingServiceSid"] = self._service
        if self._callback is not None:
            wanted["StatusCallback"] = f"{self._callback}?{OURS}={text.id}"
        answer = await self._api.post(self._path, urlencode(wanted).encode(), self._headers)
        if answer.status >= 300:
            raise _refusal(self.name, answer)
        return receipt_of(json_of(answer).get("sid"))

    # What comes in

    def _received(self, called: Called) -> Sequence[Text]:
        fields = self._proven(called)
        return (
            Text(
                carrier=self.name,
                id=_sid(fields),
                source=_needed(fields, "From"),
                destination=_needed(fields, "To"),
                body=words(fields.get("Body", "")),
                received_at=called.received_at,
                media=tuple(_media(fields)),
                parts=parts(fields.get("NumSegments")),
                keyword=KEYWORDS.get(fields.get("OptOutType", "").upper(), ""),
            ),
        )

    def _told(self, called: Called) -> Sequence[Report]:
        fields = self._proven(called)
        status = STATUS.get(_needed(fields, "MessageStatus"))
        if status is None:
            return ()  # one that is not yet
        failed = status == "failed"
        ours = parse_qs(urlsplit(called.url).query).get(OURS, [""])[0]  # the signature is over it too
        report = Report(
            carrier=self.name,
            carrier_id=_sid(fields),
            status=status,
            received_at=called.received_at,
            code=sentence(fields.get("ErrorCode", "")) if failed else "",
            reason=sentence(fields.get("ErrorMessage", "") or fields["MessageStatus"]) if failed else "",
            source=sentence(fields.get("From", "")),
            destination=sentence(fields.get("To", "")),
            message_id=sentence(ours),
        )
        return (report,)

    def _proven(self, called: Called) -> dict[str, str]:
        """The fields of a request. Raises Unauthenticated for one that nobody with an auth token has signed."""
        given = proof(called, "X-Twilio-Signature").encode("utf-8", "replace")
        try:
            query, urls = urlsplit(called.url).query, [*_variants(called.url)]
        except ValueError:
            raise unproven("the URL that was called is none") from None
        fields = dict[str, str]()
        message = ""
        if called.body and called.headers.get("Content-Type", "").partition(";")[0].strip().lower() != FORM:
            self._check_hash(query, called.body)
        else:
            form = read_form(called.body)
            fields = dict(form)
            message = "".join(name + value for name, value in sorted(set(form)))
        if not any(
            hmac.compare_digest(_signature(token, variant + message), given)
            for token in self._tokens
            for variant in urls
        ):
            raise unproven()
        if called.body:
            return fields or _json_fields(called.body)
        return dict(read_form(query))

    def _check_hash(self, query: str, body: bytes) -> None:
        """What is no form is signed by its hash, which is a part of the URL."""
        if parse_qs(query).get("bodySHA256") != [sha256(body).hexdigest()]:
            raise unproven("bodySHA256 is missing or wrong")


def _variants(url: str) -> Iterator[str]:
    """A URL as it came, and with and without its port: Twilio signs what was written at the number, or else."""
    yield url
    split = urlsplit(url)
    host, colon, port = split.netloc.rpartition(":")
    if colon and port.isdigit():
        yield split._replace(netloc=host).geturl()
    elif split.scheme in PORTS:
        yield split._replace(netloc=f"{split.netloc}:{PORTS[split.scheme]}").geturl()


def _signature(token: bytes, message: str) -> bytes:
    return base64.b64encode(hmac.digest(token, message.encode("utf-8", "surrogateescape"), "sha1"))


def _json_fields(body: bytes) -> dict[str, str]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise Invalid("the body is not usable", faults=[Fault("body", "is neither a form nor a JSON object")])
    return {name: str(value) for name, value in found.items() if isinstance(value, str | int)}


def _needed(fields: Mapping[str, str], name: str) -> str:
    value = fields.get(name)
    if not value:
        raise Invalid("the form is not usable", faults=[Fault(name, "is missing")])
    return value


def _sid(fields: Mapping[str, str]) -> str:
    value = _needed(fields, "MessageSid")
    if len(value) > ID_LIMIT:
        raise Invalid("the form is not usable", faults=[Fault("MessageSid", f"is longer than {ID_LIMIT} characters")])
    return value


def _media(fields: Mapping[str, str]) -> Iterator[str]:
    count = fields.get("NumMedia", "") or "0"
    if not (count.isascii() and count.isdigit() and len(count) < 4 and int(count) <= MEDIA_LIMIT):
        raise Invalid("the form is not usable", faults=[Fault("NumMedia", f"is no number up to {MEDIA_LIMIT}")])
    for index in range(int(count)):
        yield _needed(fields, f"MediaUrl{index}")


def _answer(verdicts: Sequence[Verdict]) -> Said:
    return Said(b"", "text/xml", 204)


def _refusal(name: str, answer: Answer) -> NotNow | Refused:
    error = json_of(answer)
    code = error.get("code")
    what = sentence(f"{name} answered {answer.status}: {error.get('message') or 'no reason'}")
    shown = str(code or answer.status)
    if code in TOO_MANY:
        return Busy(what, code=shown)
    if code == QUEUE_FULL:
        return NotNow(what, code=shown)
    return Refused(what, code=shown, elsewhere=code in OF_THE_ACCOUNT or answer.status in (401, 402, 403, 404))
