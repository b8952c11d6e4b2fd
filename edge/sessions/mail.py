"""Emails: plain text to one address each, by the mail server of the configuration (SMTP, RFC 5321).

The message is put together by the standard library, under a policy that has no line breaks in header fields: what a
caller says may be in a subject, and stays there. Its Message-ID is made of the delivery's id, the same in every try.

A server's 4yz means later, its 5yz for good (RFC 5321 §4.2.1), unless it is us whom it refuses: whoever runs the edge
will put a wrong password right.
"""

from __future__ import annotations

import ssl
from dataclasses import asdict
from datetime import datetime
from email import policy
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path
from typing import Final, Literal, Self

import aiosmtplib
from pydantic import Field, PositiveFloat, model_validator

from edge.errors import Invalid
from edge.flows.address import read_mailbox
from edge.flows.outside import Email
from edge.sessions.delivery import Delivery
from edge.settings import Section
from edge.sms.carrier import NotNow, Refused
from edge.store.metadata import from_micros, micros

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
    deadline_seconds: PositiveFloat = Field(default=30.0, description="One email takes at most this long.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.host is not None:
            read_mailbox(self.sender)
        if self.password is not None and self.tls == "none":
            raise ValueError("a password needs tls or starttls")
        return self


class Mail:
    """Sends emails, one connection each."""

    def __init__(self, section: SmtpSection) -> None:
        self._section = section
        self._tls: ssl.SSLContext | None = None

    def delivery_of(
        self, delivery_id: str, customer_id: str, reference_id: str, email: Email, now: datetime
    ) -> Delivery:
        """The row of an email. Raises Invalid for one that cannot be sent, whatever happens."""
        if self._section.host is None:
            raise Invalid("no mail server is configured")
        delivery = Delivery(
            id=delivery_id,
            kind="email",
            customer_id=customer_id,
            reference_id=reference_id,
            resource=email.address,
            host="",
            target=email.address,
            payload=asdict(email),
            tm_create=micros(now),
        )
        try:
            compose(delivery, self._section.sender)
        except ValueError as error:
            raise Invalid(f"the email cannot be sent: {error}") from None
        return delivery

    async def send(self, delivery: Delivery) -> str:
        """Send one; returns what the server said. Raises SendError."""
        section = self._section
        if section.host is None:
            raise NotNow("no mail server is configured")
        try:
            _, said = await aiosmtplib.send(
                compose(delivery, section.sender),
                sender=section.sender,
                recipients=[delivery.target],
                hostname=section.host,
                port=section.port,
                username=section.user,
                password=section.password,
                timeout=section.deadline_seconds,
                use_tls=section.tls == "tls",
                start_tls=section.tls == "starttls",
                tls_context=self._context() if section.tls != "none" else None,
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

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = ssl.create_default_context(cafile=self._section.ca_file)
        return self._tls


def compose(delivery: Delivery, sender: str) -> bytes:
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
    return message.as_bytes()


def _error(code: int, said: str) -> NotNow | Refused:
    kind = NotNow if code < 500 else Refused
    return kind(f"the mail server answered {code} {_line(said)}", code=str(code))


def _line(said: str) -> str:
    return " ".join(said.split())[:SAID]
