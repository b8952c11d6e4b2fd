"""One email: plain text to one address, by the mail server of the configuration (SMTP, RFC 5321).

The message is put together by the standard library, under a policy that has no line breaks in header fields: what a
caller says may be in a subject, and stays there. Its Message-ID is made of the delivery's id, the same in every try.

A server's 4yz means later, its 5yz for good (RFC 5321 §4.2.1), unless it is us whom it refuses: whoever runs the edge
will put a wrong password right.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from email import policy
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from functools import cache
from pathlib import Path
from typing import Final, Literal, NamedTuple, Self

import aiosmtplib
from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from edge.flows.address import read_mailbox
from edge.flows.outside import Email
from edge.sessions.deliveries.delivery import Delivery
from edge.settings import Section
from edge.sms.carrier import NotNow, Refused
from edge.store.metadata import from_micros

POLICY: Final = policy.SMTP.clone(cte_type="7bit", raise_on_defect=False)  # any server takes that
SAID: Final = 200  # characters of what a server said that are kept


class SmtpSection(Section):
    """The mail server that emails go out by."""

    host: str | None = Field(default=None, description="Its name or address; without one no flow can send an email.")
    port: int = Field(default=587, ge=1, le=65535, description="Its port.")
    tls: Literal["starttls", "tls", "none"] = Field(
        default="starttls",
        description="Encryption; starttls: after the greeting; tls: at once; none: none.",
    )
    ca_file: Path | None = Field(default=None, description="Certificates to trust instead of the system's, as PEM.")
    user: str | None = Field(default=None, description="Who logs in; without one nobody does.")
    password: str | None = Field(default=None, repr=False, description="The password of `user`.")
    sender: str = Field(default="", description="The address that emails are from, which `host` requires.")
    deadline_seconds: PositiveFloat = Field(default=30.0, description="The server has this long for each answer.")
    max_attached_bytes: PositiveInt = Field(
        default=10_000_000, description="The recordings attached to one email are at most this large together."
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.host is not None:
            read_mailbox(self.sender)
        if self.password is not None and self.tls == "none":
            raise ValueError("a password needs tls or starttls")
        return self


class File(NamedTuple):
    """An attachment that is here."""

    filename: str
    content_type: str
    body: bytes


def compose(delivery: Delivery, sender: str, files: Sequence[File] = ()) -> bytes:
    """The message on the wire. Raises ValueError for what no message can hold."""
    email = Email(**delivery.payload)
    if read_mailbox(email.address).address != email.address:
        raise ValueError("blanks around the address")
    message = EmailMessage(POLICY)
    message["From"] = Address(addr_spec=sender)
    message["To"] = Address(email.name, addr_spec=email.address)
    message["Subject"] = email.subject
    message["Date"] = format_datetime(from_micros(delivery.tm_create))
    message["Message-ID"] = f"<{delivery.id}@{sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834 §5: no one's vacation need answer
    message.set_content(email.content)
    for file in files:
        main, _, sub = file.content_type.partition("/")
        message.add_attachment(file.body, maintype=main, subtype=sub, filename=file.filename)
    return message.as_bytes()


async def post(section: SmtpSection, recipient: str, message: bytes) -> str:
    """Give the server a message; returns what it said. Raises SendError."""
    try:
        _, said = await aiosmtplib.send(
            message,
            sender=section.sender,
            recipients=[recipient],
            hostname=section.host,
            port=section.port,
            username=section.user,
            password=section.password,
            timeout=section.deadline_seconds,
            use_tls=section.tls == "tls",
            start_tls=section.tls == "starttls",
            tls_context=_tls_context(section.ca_file) if section.tls != "none" else None,
        )
    except aiosmtplib.SMTPRecipientsRefused as error:
        refused = error.recipients[0]
        raise _error(refused.code, refused.message) from None
    except (aiosmtplib.SMTPAuthenticationError, aiosmtplib.SMTPSenderRefused) as error:
        raise NotNow(f"the mail server refuses us: {_line(error.message)}", code=str(error.code)) from None
    except aiosmtplib.SMTPResponseException as error:
        raise _error(error.code, error.message) from None
    except (aiosmtplib.SMTPException, OSError) as error:
        raise NotNow(f"the mail server cannot be reached: {_line(str(error))}") from None
    return _line(said)


@cache
def _tls_context(ca_file: Path | None) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=ca_file)


def _error(code: int, said: str) -> NotNow | Refused:
    kind = NotNow if code < 500 else Refused
    return kind(f"the mail server answered {code} {_line(said)}", code=str(code))


def _line(said: str) -> str:
    return " ".join(said.split())[:SAID]
