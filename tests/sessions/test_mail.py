"""Emails to a real mail server: what arrives, how it is guarded, and what its answers mean."""

from __future__ import annotations

import email.utils
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from edge.errors import Invalid
from edge.flows.outside import Email
from edge.sessions.delivery import Delivery
from edge.sessions.mail import Mail, SmtpSection, compose
from edge.sms.carrier import NotNow, Refused, SendError
from tests.smtp import HOST, PASSWORD, USER, Post, certificate, mail_server

NOW = datetime(2026, 8, 1, 9, tzinfo=UTC)
CUSTOMER, CALL, EVENT = (f"{digit * 8}-1111-4111-8111-111111111111" for digit in "123")
FROM = "edge@voice.example.com"
LETTER = Email("ann@example.com", "Ann Müller, Dr.", "Grüße", "Hello Ann,\n.\n.. dots\nand ☎\n")


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    return certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def post() -> Iterator[Post]:
    with mail_server() as found:
        yield found


def mail(post: Post, **section: Any) -> Mail:
    return Mail(
        SmtpSection(
            **{"host": HOST, "port": post.port, "tls": "none", "sender": FROM, "deadline_seconds": 5, **section}
        )
    )


def row(by: Mail, letter: Email = LETTER) -> Delivery:
    return by.delivery_of(EVENT, CUSTOMER, CALL, letter, NOW)


async def test_what_arrives(post: Post) -> None:
    by = mail(post)
    assert await by.send(row(by)) == "queued as 1"
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
        await by.send(row(by).tried(attempts))
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
def test_nothing_gets_into_the_header(post: Post, change: dict[str, str]) -> None:
    with pytest.raises(Invalid, match="the email cannot be sent"):
        row(mail(post), replace(LETTER, **change))


@pytest.mark.parametrize("text", ["hi\r\n.\r\nMAIL FROM:<eve@example.com>", "\r\n.\r\n", "From here\n>on", "x" * 5000])
async def test_the_content_is_content_whatever_it_looks_like(post: Post, text: str) -> None:
    by = mail(post)
    await by.send(row(by, replace(LETTER, content=text)))
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
        await by.send(row(by))
    assert type(raised.value) is kind
    assert (raised.value.code, raised.value.sentence) == (code, sentence)
    assert post.took == []
    await by.send(row(by))
    assert len(post.took) == 1


async def test_nobody_there(post: Post, unused_tcp_port: int) -> None:
    by = mail(post, port=unused_tcp_port)
    with pytest.raises(NotNow, match="the mail server cannot be reached"):
        await by.send(row(by))


async def test_login_over_starttls(tls: tuple[Any, Path]) -> None:
    context, ca_file = tls
    with mail_server(tls=context, login=True) as post:
        by = mail(post, tls="starttls", ca_file=ca_file, user=USER, password=PASSWORD)
        await by.send(row(by))
        assert (post.secure, post.users) == ([True], [USER])
        wrong = mail(post, tls="starttls", ca_file=ca_file, user=USER, password="wrong")
        with pytest.raises(NotNow, match="the mail server refuses us") as raised:
            await wrong.send(row(wrong))
        assert raised.value.code == "535"
        assert "wrong" not in raised.value.sentence


async def test_a_server_that_nobody_vouches_for_gets_nothing(tls: tuple[Any, Path]) -> None:
    with mail_server(tls=tls[0]) as post:
        by = mail(post, tls="starttls")
        with pytest.raises(NotNow, match="the mail server cannot be reached"):
            await by.send(row(by))
        assert post.took == []


async def test_a_server_without_starttls_gets_nothing(post: Post) -> None:
    by = mail(post, tls="starttls")
    with pytest.raises(NotNow):
        await by.send(row(by))
    assert post.took == []


async def test_without_a_server_none_is_taken_and_one_that_was_waits(post: Post) -> None:
    kept = row(mail(post))
    nowhere = Mail(SmtpSection())
    with pytest.raises(Invalid, match="no mail server is configured"):
        row(nowhere)
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


def test_the_row_of_an_email(post: Post) -> None:
    by = mail(post)
    found = row(by)
    assert (found.kind, found.target, found.host, found.resource) == ("email", "ann@example.com", "", "ann@example.com")
    assert compose(found, FROM) == compose(replace(found, attempts=3), FROM)
