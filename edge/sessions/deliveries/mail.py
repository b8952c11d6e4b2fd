"""Emails that flows send: each to one address (`letter.py`), with recordings by a process of its own (`parcel.py`)."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime

from edge.errors import EdgeError, Invalid, NotFound, TooLarge
from edge.flows.outside import Email
from edge.sessions.deliveries import parcel
from edge.sessions.deliveries.attachment import Attachments
from edge.sessions.deliveries.delivery import Delivery
from edge.sessions.deliveries.letter import SmtpSection, compose, post
from edge.sms.carrier import NotNow, Refused
from edge.store.metadata import micros


class Mail:
    """Sends emails, one connection each."""

    def __init__(self, section: SmtpSection, attachments: Attachments) -> None:
        self._section = section
        self._attachments = attachments

    async def delivery_of(
        self, delivery_id: str, customer_id: str, reference_id: str, email: Email, now: datetime
    ) -> Delivery:
        """The row of an email. Raises Invalid, NotFound for one that cannot be sent, whatever happens; Unavailable."""
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
        for recording_id in email.attachments:
            await self._attachments.find(recording_id, customer_id)
        return delivery

    async def send(self, delivery: Delivery) -> str:
        """Send one; returns what the server said. Raises SendError."""
        section = self._section
        if section.host is None:
            raise NotNow("no mail server is configured")
        recordings = delivery.payload["attachments"]
        if not recordings:
            return await post(section, delivery.target, compose(delivery, section.sender))
        try:
            files = [await self._attachments.open(one, delivery.customer_id) for one in recordings]
            size = sum(file.size for file in files)
            if size > section.max_attached_bytes:
                raise TooLarge(f"the recordings are {size} bytes, more than {section.max_attached_bytes}")
            return await parcel.send(section, delivery, files)
        except (NotFound, TooLarge) as error:
            raise Refused(error.message) from None
        except EdgeError as error:
            raise NotNow(error.message) from None
