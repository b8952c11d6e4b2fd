"""Send an email."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from edge.errors import EdgeError
from edge.flows import limits
from edge.flows.action import Action, Next
from edge.flows.address import MailboxOption
from edge.flows.outside import Email
from edge.flows.run import Run
from edge.flows.session import Session


def _one_line(text: str) -> str:
    """Without what would end a header field; a caller's text may be in it."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _recording(value: Any) -> Any:
    """The id of a recording. Raises ValueError for anything else."""
    if not isinstance(value, dict) or not value.keys() <= {"reference_type", "reference_id"}:
        raise ValueError("needs an object with reference_type and reference_id")
    kind, recording_id = value.get("reference_type"), value.get("reference_id")
    if kind != "recording":
        raise ValueError(f"a reference_type {str(kind)[:40]!r} is not available here; recording is")
    if not isinstance(recording_id, str) or not recording_id:
        raise ValueError("needs the id of a recording as its reference_id")
    return recording_id


Recording = Annotated[str, BeforeValidator(_recording, json_schema_input_type=dict[str, str])]


class EmailSend(Action):
    """Send an email in plain text to one or more addresses, to each its own. They are kept first, sent soon, and again
    until the mail server takes them.

    Destinations are texts (`ann@example.com`) or address objects of type email. An attachment is a recording, as
    `{"reference_type": "recording", "reference_id": ID}`; one that is still being made is waited for.

    On failure (no mail server is configured, no such recording, too many that wait already) the reason goes into the
    step log and the next step follows, after every destination was tried.

        {"id": "mail", "type": "email_send", "option": {
         "destinations": [{"type": "email", "target": "ann@example.com"}],
         "subject": "A call from ${voipbin.call.source.target}", "content": "They pressed ${voipbin.call.digits}."}}
    """

    type = "email_send"
    instant = True
    varies = False

    destinations: list[MailboxOption] = Field(
        min_length=1, max_length=limits.DESTINATIONS, description="The addresses to send to."
    )
    subject: Annotated[str, AfterValidator(_one_line)] = Field(
        default="", max_length=limits.SUBJECT_CHARACTERS, description="What it is about; line breaks become blanks."
    )
    content: str = Field(min_length=1, max_length=limits.CONTENT_CHARACTERS, description="What it says.")
    attachments: list[Recording] = Field(
        default_factory=list, max_length=limits.ATTACHMENTS, description="Recordings of calls of the account."
    )

    async def run(self, session: Session, run: Run) -> Next:
        failed: EdgeError | None = None
        sent = 0
        for address, name in self.destinations:
            try:
                await session.outside.send_email(
                    Email(address, name, self.subject, self.content, tuple(self.attachments))
                )
                sent += 1
            except EdgeError as error:
                failed = failed or error
        run.note = f"{sent} of {len(self.destinations)}"
        if failed is not None:
            raise failed
        return None
