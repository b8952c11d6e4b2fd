"""Emails to a real mail server: what arrives, how it is guarded, and what its answers mean."""

from __future__ import annotations

import email.utils
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest
from pydantic import ValidationError

from edge.errors import Conflict, EdgeError, Invalid, NotFound, Unavailable
from edge.flows.outside import Email
from edge.recordings.table import Recording
from edge.sessions.deliveries.attachment import Attachments
from edge.sessions.deliveries.delivery import Delivery
from edge.sessions.deliveries.letter import SmtpSection, compose
from edge.sessions.deliveries.mail import Mail
from edge.sms.carrier import NotNow, Refused, SendError
from edge.store.metadata import NIL
from tests.smtp import HOST, PASSWORD, USER, Post, certificate, mail_server

NOW = datetime(2026, 8, 1, 9, tzinfo=UTC)
CUSTOMER, CALL, EVENT, TAPE = (f"{digit * 8}-1111-4111-8111-111111111111" for digit in "1234")
FROM = "edge@voice.example.com"
LETTER = Email("ann@example.com", "Ann Müller, Dr.", "Grüße", "Hello Ann,\n.\n.. dots\nand ☎\n")


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    return certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def post() -> Iterator[Post]:
    with mail_server() as found:
        yield found


class Shelf:
    """One recording of the customer, and its file."""

    def __init__(self, body: bytes = b"", **change: Any) -> None:
        begun = Recording.begun(TAPE, CUSTOMER, CALL, "ogg", NOW, node="here", on_end_flow_id=NIL)
        self.recording: Recording | None = replace(begun, **{"state": "stored", "bytes": len(body), **change})
        self.body = body
        self.failure: EdgeError | None = None

    async def get(self, recording_id: str, customer_id: str | None = None) -> Recording | None:
        return self.recording if (recording_id, customer_id) == (TAPE, CUSTOMER) else None

    async def read(self, recording: Recording, first: int, count: int) -> AsyncIterator[bytes]:
        if self.failure is not None:
            raise self.failure
        for at in range(first, first + count, 100_000):
            yield self.body[at : at + 100_000]


def mail(post: Post, shelf: Shelf | None = None, **section: Any) -> Mail:
    shelf = shelf or Shelf()
    given = {"host": HOST, "port": post.port, "tls": "none", "sender": FROM, "deadline_seconds": 5, **section}
    return Mail(SmtpSection.model_validate(given), Attachments(shelf, shelf))


async def row(by: Mail, letter: Email = LETTER) -> Delivery:
    return await by.delivery_of(EVENT, CUSTOMER, CALL, letter, NOW)


async def test_what_arrives(post: Post) -> None:
    by = mail(post)
    assert await by.send(await row(by)) == "queued as 1"
    (got,) = post.took
    assert post.envelopes == [(FROM, ("ann@example.com",))]
    assert got["From"] == FROM
    assert got["To"].addresses[0].addr_spec == "ann@example.com"
    assert got["To"].addresses[0].display_name == "Ann Müller, Dr."
    assert got["Subject"] == "Grüße"
    assert got["Message-ID"] == f"<{EVENT}@voice.example.com>"
    assert email.utils.parsedate_to_datetime(got["Date"]) == NOW
    assert got["Auto-Submitted"] == "auto-generated"
    assert got.get_content().splitlines() == LETTER.content.splitlines()
    assert post.raw[0].isascii()
    assert post.secure == [False]


async def test_it_is_the_same_email_in_each_try(post: Post) -> None:
    by = mail(post)
    for attempts in range(3):
        await by.send((await row(by)).tried(attempts))
    assert len(set(post.raw)) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"subject": "hi\r\nBcc: eve@example.com"},
        {"subject": "hi\nBcc: eve@example.com"},
        {"name": "Ann\r\nBcc: eve@example.com"},
        {"address": "ann@example.com\r\nBcc: eve@example.com"},
        {"address": "ann@example.com>\r\nRCPT TO:<eve@example.com"},
        {"address": "ann"},
        {"address": ""},
    ],
)
async def test_nothing_gets_into_the_header(post: Post, change: dict[str, Any]) -> None:
    with pytest.raises(Invalid, match="the email cannot be sent"):
        await row(mail(post), replace(LETTER, **change))


@pytest.mark.parametrize("text", ["hi\r\n.\r\nMAIL FROM:<eve@example.com>", "\r\n.\r\n", "From here\n>on", "x" * 5000])
async def test_the_content_is_content_whatever_it_looks_like(post: Post, text: str) -> None:
    by = mail(post)
    await by.send(await row(by, replace(LETTER, content=text)))
    assert len(post.took) == 1
    assert post.took[0].get_content().split() == text.split()


@pytest.mark.parametrize(
    ("says", "kind", "code", "sentence"),
    [
        ({"DATA": ["451 try later"]}, NotNow, "451", "the mail server answered 451 try later"),
        ({"RCPT": ["450 mailbox\tbusy"]}, NotNow, "450", "the mail server answered 450 mailbox busy"),
        ({"RCPT": ["550 no such user"]}, Refused, "550", "the mail server answered 550 no such user"),
        ({"DATA": ["554 spam"]}, Refused, "554", "the mail server answered 554 spam"),
        ({"MAIL": ["553 not you"]}, NotNow, "553", "the mail server refuses us: not you"),
    ],
)
async def test_what_was_not_taken(
    post: Post, says: dict[str, list[str]], kind: type[SendError], code: str, sentence: str
) -> None:
    post.says = says
    by = mail(post)
    with pytest.raises(kind) as raised:
        await by.send(await row(by))
    assert type(raised.value) is kind
    assert (raised.value.code, raised.value.sentence) == (code, sentence)
    assert post.took == []
    await by.send(await row(by))
    assert len(post.took) == 1


async def test_nobody_there(post: Post, unused_tcp_port: int) -> None:
    by = mail(post, port=unused_tcp_port)
    with pytest.raises(NotNow, match="the mail server cannot be reached"):
        await by.send(await row(by))


async def test_login_over_starttls(tls: tuple[Any, Path]) -> None:
    context, ca_file = tls
    with mail_server(tls=context, login=True) as post:
        by = mail(post, tls="starttls", ca_file=ca_file, user=USER, password=PASSWORD)
        await by.send(await row(by))
        assert (post.secure, post.users) == ([True], [USER])
        wrong = mail(post, tls="starttls", ca_file=ca_file, user=USER, password="wrong")
        with pytest.raises(NotNow, match="the mail server refuses us") as raised:
            await wrong.send(await row(wrong))
        assert raised.value.code == "535"
        assert "wrong" not in raised.value.sentence


async def test_a_server_that_nobody_vouches_for_gets_nothing(tls: tuple[Any, Path]) -> None:
    with mail_server(tls=tls[0]) as post:
        by = mail(post, tls="starttls")
        with pytest.raises(NotNow, match="the mail server cannot be reached"):
            await by.send(await row(by))
        assert post.took == []


async def test_a_server_without_starttls_gets_nothing(post: Post) -> None:
    by = mail(post, tls="starttls")
    with pytest.raises(NotNow):
        await by.send(await row(by))
    assert post.took == []


async def test_without_a_server_none_is_taken_and_one_that_was_waits(post: Post) -> None:
    kept = await row(mail(post))
    nowhere = Mail(SmtpSection(), cast("Attachments", None))
    with pytest.raises(Invalid, match="no mail server is configured"):
        await row(nowhere)
    with pytest.raises(NotNow, match="no mail server is configured"):
        await nowhere.send(kept)


@pytest.mark.parametrize(
    ("section", "says"),
    [
        ({"host": "mail"}, "not an email address: ''"),
        ({"host": "mail", "sender": "edge"}, "not an email address: 'edge'"),
        ({"host": "mail", "sender": FROM, "tls": "none", "password": "x"}, "a password needs tls or starttls"),
        ({"port": 0}, "greater than or equal to 1"),
    ],
)
def test_a_section_that_cannot_work_is_refused(section: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        SmtpSection(**section)


def test_the_password_is_not_shown() -> None:
    assert "sesame" not in repr(SmtpSection(host="mail", sender=FROM, user=USER, password=PASSWORD))


async def test_the_row_of_an_email(post: Post) -> None:
    by = mail(post)
    found = await row(by)
    assert (found.kind, found.target, found.host, found.resource) == ("email", "ann@example.com", "", "ann@example.com")
    assert compose(found, FROM) == compose(replace(found, attempts=3), FROM)


# Recordings


PARCEL = replace(LETTER, attachments=(TAPE,))
TAPE_BODY = bytes(range(256)) * 1_000


async def test_a_recording_arrives_as_it_is(post: Post) -> None:
    shelf = Shelf(TAPE_BODY)
    by = mail(post, shelf)
    assert await by.send(await row(by, PARCEL)) == "queued as 1"
    (got,) = post.took
    assert (got["Subject"], got["Message-ID"]) == ("Grüße", f"<{EVENT}@voice.example.com>")
    (file,) = got.iter_attachments()
    assert (file.get_content_type(), file.get_content()) == ("audio/ogg", TAPE_BODY)
    assert shelf.recording is not None
    assert file.get_filename() == shelf.recording.filename
    body = got.get_body()
    assert body is not None
    assert body.get_content().splitlines() == LETTER.content.splitlines()


async def test_what_the_server_says_comes_back_from_the_process(post: Post, unused_tcp_port: int) -> None:
    post.says = {"RCPT": ["550 no such user", "450 busy"]}
    by = mail(post, Shelf(TAPE_BODY))
    parcel = await row(by, PARCEL)
    for kind, code in ((Refused, "550"), (NotNow, "450")):
        with pytest.raises(kind) as raised:
            await by.send(parcel)
        assert raised.value.code == code
    by = mail(post, Shelf(TAPE_BODY), port=unused_tcp_port)
    with pytest.raises(NotNow, match="cannot be reached"):
        await by.send(parcel)


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (Conflict("the recording is not ready yet"), NotNow),
        (Unavailable("the recording lies at another process"), NotNow),
        (NotFound("call_1.ogg is not there any more"), Refused),
    ],
)
async def test_a_file_that_does_not_come(post: Post, failure: EdgeError, kind: type[SendError]) -> None:
    shelf = Shelf(TAPE_BODY)
    by = mail(post, shelf)
    parcel = await row(by, PARCEL)
    shelf.failure = failure
    with pytest.raises(kind, match=failure.message):
        await by.send(parcel)
    assert post.tries == 0


async def test_a_file_that_is_shorter_than_it_should_be(post: Post) -> None:
    by = mail(post, Shelf(TAPE_BODY, bytes=len(TAPE_BODY) + 1))
    with pytest.raises(NotNow, match="has not the size"):
        await by.send(await row(by, PARCEL))
    assert post.tries == 0


async def test_files_that_are_too_large(post: Post) -> None:
    by = mail(post, Shelf(TAPE_BODY), max_attached_bytes=len(TAPE_BODY) - 1)
    with pytest.raises(Refused, match="the recordings are 256000 bytes, more than 255999"):
        await by.send(await row(by, PARCEL))


async def test_a_recording_of_others_is_none(post: Post) -> None:
    shelf = Shelf(TAPE_BODY)
    by = mail(post, shelf)
    with pytest.raises(NotFound, match="there is no recording"):
        await row(by, replace(LETTER, attachments=(EVENT,)))
    parcel = await row(by, PARCEL)
    shelf.recording = None  # it was deleted meanwhile
    with pytest.raises(Refused, match="there is no recording"):
        await by.send(parcel)
