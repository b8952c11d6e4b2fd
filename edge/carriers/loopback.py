"""A carrier that is nobody: texts come in as plain JSON, and go out to a URL or into a short memory.

    [[carriers]]
    kind = "loopback"
    callback = "http://127.0.0.1:9000/texts"

    POST /v1.0/carriers/loopback/inbound    {"id": "1", "from": "+14155550111", "to": "+14155550100", "text": "hello"}
    GET  /v1.0/carriers/loopback/outbound   what went out last, newest first; only without a callback
    POST /v1.0/carriers/loopback/report     {"id": "…", "status": "delivered"}: a delivery receipt

For trying things out, for tests, and for whoever would rather write ten lines than a plug-in. The callback gets
`{"id", "from", "to", "text"}`; a repeated try has the same id, and a receipt names it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, HttpUrl, TypeAdapter, field_validator

from edge.carriers.site import Site
from edge.errors import EdgeError
from edge.settings import NAME
from edge.sms.carrier import Carrier, CarrierSection, Inbound, NotNow, Posted, Refused, View
from edge.sms.text import ADDRESS_LIMIT, OutgoingText, Receipt, Report, Text, Verdict

NOT_NOW = frozenset({408, 425, 429})  # and all 5xx

_url = TypeAdapter(HttpUrl)


class LoopbackSection(CarrierSection):
    """Texts as plain JSON over HTTP."""

    kind: Literal["loopback"] = Field(default="loopback", description="loopback: plain JSON over HTTP.")
    name: str = Field(
        default="loopback", pattern=NAME, description="The carrier's name, as it stands in the paths of its routes."
    )
    callback: str | None = Field(
        default=None, description="URL that outgoing texts are POSTed to; without it the last ones are kept to look at."
    )
    kept: int = Field(default=100, ge=1, le=10_000, description="Outgoing texts that are kept to look at.")

    @field_validator("callback")
    @classmethod
    def _is_url(cls, value: str | None) -> str | None:
        if value is not None:
            _url.validate_python(value)
        return value


class LoopbackText(BaseModel):
    """A text, as it comes in and goes out."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, serialize_by_alias=True)

    id: str = Field(min_length=1, description="The text's identity: the same id again is the same text again.")
    source: str = Field(alias="from", description="Who sends it.")
    destination: str = Field(alias="to", description="Who it is for.")
    text: str = Field(description="What it says.")


class Taken(BaseModel):
    """What became of a text."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(description="The id of the message it became.")
    status: Literal["received", "rejected"] = Field(description="rejected: kept, and nothing is done with it.")
    reason: str = Field(description="Why it was rejected; empty when it was not.")


class LoopbackReport(BaseModel):
    """How far a text got that went out."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(min_length=1, max_length=ADDRESS_LIMIT, description="The id that the text went out with.")
    status: Literal["sent", "delivered", "failed"] = Field(description="sent: on its way, nothing final.")
    code: str = Field(default="", max_length=ADDRESS_LIMIT, description="A code of a failure.")
    reason: str = Field(default="", max_length=ADDRESS_LIMIT, description="What went wrong, in a sentence.")


class Noted(BaseModel):
    """A receipt was kept."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    status: Literal["kept"] = Field(
        default="kept", description="Always kept, also if there is no such text, or not yet."
    )


class Sent(BaseModel):
    """Texts that went out."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    result: list[LoopbackText] = Field(description="Newest first.")


class Loopback(Carrier):
    kind = "loopback"
    section = LoopbackSection

    def __init__(self, section: LoopbackSection, site: Site) -> None:
        super().__init__(section.name)
        self._callback = section.callback
        self._post = site.post
        self._sent: deque[OutgoingText] = deque(maxlen=section.kept)

    def routes(self) -> Sequence[Inbound | View]:
        return (
            Inbound(
                suffix="inbound",
                summary="Take a text in",
                scope="customer",
                payload=LoopbackText,
                result=Taken,
                read=self._read,
                answer=self._answer,
            ),
            Inbound(
                suffix="report",
                summary="Tell how far a text got that went out",
                scope="customer",
                payload=LoopbackReport,
                result=Noted,
                read=self._report,
                answer=lambda _: Noted(),
            ),
            View(
                suffix="outbound",
                summary="Look at the texts that went out last",
                scope="customer",
                result=Sent,
                show=self._show,
            ),
        )

    async def send(self, text: OutgoingText) -> Receipt:
        if self._callback is None:
            if all(sent.id != text.id for sent in self._sent):
                self._sent.append(text)
            return Receipt((text.id,))
        try:
            status = await self._post(self._callback, _payload(text).model_dump(by_alias=True))
        except (OSError, TimeoutError, EdgeError) as error:
            raise NotNow(f"the callback cannot be reached: {error}") from error
        if 200 <= status < 300:
            return Receipt((text.id,))
        sentence = f"the callback answered {status}"
        if status in NOT_NOW or status >= 500:
            raise NotNow(sentence, code=str(status))
        raise Refused(sentence, code=str(status))

    def _read(self, posted: Posted) -> Sequence[Text]:
        payload = posted.payload
        assert isinstance(payload, LoopbackText)
        return (
            Text(
                carrier=self.name,
                id=payload.id if posted.account is None else f"{posted.account} {payload.id}",  # to each his own ids
                source=payload.source,
                destination=payload.destination,
                body=payload.text,
                received_at=posted.received_at,
                account=posted.account,
            ),
        )

    def _report(self, posted: Posted) -> Sequence[Report]:
        said = posted.payload
        assert isinstance(said, LoopbackReport)
        return (
            Report(self.name, said.id, said.status, posted.received_at, said.code, said.reason, account=posted.account),
        )

    def _answer(self, verdicts: Sequence[Verdict]) -> Taken:
        (verdict,) = verdicts
        if verdict.refusal is None:
            return Taken(id=verdict.message_id, status="received", reason="")
        return Taken(id=verdict.message_id, status="rejected", reason=verdict.refusal.__name__)

    def _show(self, account: str | None) -> Sent:
        texts = reversed(self._sent)
        return Sent(result=[_payload(text) for text in texts if account is None or text.customer_id == account])


def _payload(text: OutgoingText) -> LoopbackText:
    return LoopbackText(id=text.id, source=text.source, destination=text.destination, text=text.body)
