"""E-mail to the owner: through the same queue as all deliveries, to a real SMTP server."""

import email
import email.policy
import json
import ssl
from collections.abc import Iterator
from dataclasses import replace
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
import trustme
from flask import current_app

from guestbook.storage.models import Delivery, Webhook
from tests.support import factories
from tests.support.book import Book
from tests.support.mail_server import MailServer
from tests.support.owned_webhooks import add, refused, update

OWNER = "mailto:owner@example.org"


@pytest.fixture(autouse=True)
def book(book: Book) -> Book:
    """Webhooks are added in its app."""
    return book


@pytest.fixture
def server() -> Iterator[MailServer]:
    with MailServer() as server:
        yield server


def use(url: str, **changes: Any) -> None:
    """Let the app around the test send e-mail through that server."""
    changed = replace(factories.settings(), smtp_url=url, mail_from="book@example.org", **changes)
    current_app.config["GUESTBOOK"] = changed


def sent(server: MailServer) -> EmailMessage:
    [(_, _, text)] = server.messages
    message = email.message_from_bytes(text, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


def test_a_comment_that_waits_comes_as_e_mail(book: Book, server: MailServer) -> None:
    use(f"smtp://127.0.0.1:{server.port}")
    add(OWNER)
    comment = factories.sign("Grüße 🎈\n.\nBcc: all@example.org", "Zoë\r\nBcc: x@example.org", factories.HELD)
    assert factories.run_pass().processed == 1, factories.one().last_error
    [(sender, recipient, text)] = server.messages
    assert (sender, recipient, text.isascii()) == ("book@example.org", "owner@example.org", True)
    message, delivery = sent(server), factories.one()
    assert message["Subject"] == "A comment waits for you in Guestbook"
    assert message["Message-ID"] == f"<{delivery.event_id}.{delivery.webhook_id}@book.example>"
    assert (message["Auto-Submitted"], message["To"]) == ("auto-generated", "owner@example.org")
    assert message["Date"].datetime
    assert message["Bcc"] is None
    content = message.get_content().replace("\r\n", "\n")
    assert "Grüße 🎈\n.\nBcc: all@example.org" in content
    assert f"https://book.example/admin/comments/{comment}" in content
    [attempt] = factories.attempts()
    assert (attempt.status_code, attempt.error) == (250, None)
    assert attempt.request_headers["Subject"] == message["Subject"]
    book.check()


@pytest.mark.parametrize(
    ("command", "answer", "status", "disabled"),
    [
        ("RCPT", "450 4.2.1 later", 450, None),
        ("DATA", "554 5.7.1 no", 554, None),
        ("RCPT", "550 5.1.1 nobody", 550, "gone"),
        ("", "554 go away", 554, None),
    ],
)
def test_a_refusal_is_a_failed_attempt(
    book: Book, server: MailServer, command: str, answer: str, status: int, disabled: str | None
) -> None:
    use(f"smtp://127.0.0.1:{server.port}")
    hook = add(OWNER).id
    server.answers[command] = answer
    factories.sign()
    factories.run_pass()
    row = factories.one()
    assert (row.status, row.attempts, row.last_status_code) == ("new", 1, status)
    assert row.last_error == f"The receiver answered {status}."
    assert factories.the(Webhook, hook).disabled_reason == disabled
    assert not server.messages
    book.check()


def test_a_refused_login_shows_none_of_the_servers_words(server: MailServer) -> None:
    use(f"smtp://me:hunter2@127.0.0.1:{server.port}")
    add(OWNER)
    server.answers["AUTH"] = "535 5.7.8 not with hunter2"
    factories.sign()
    factories.run_pass()
    [attempt] = factories.attempts()
    assert (factories.one().status, attempt.status_code) == ("new", 535)
    assert "GUESTBOOK_SMTP_URL" in attempt.response_body
    assert "hunter2" not in str(vars(attempt))


def test_a_subject_stays_one_header(server: MailServer) -> None:
    use(f"smtp://127.0.0.1:{server.port}")
    add(OWNER)
    factories.sign()
    payload = {
        "subject": "Hi\r\nBcc: x@example.org\u2028\x85\x0bCc: y\0" + " long" * 99,
        "text": "\r\n.\r\nQUIT\r",
    }
    change = sqlalchemy.update(Delivery).values(payload=json.dumps(payload))
    factories.written(lambda session: session.execute(change))
    factories.run_pass()
    message = sent(server)
    assert message["Subject"] == "Hi Bcc: x@example.org Cc: y" + " long" * 99
    assert (message["Bcc"], message["Cc"]) == (None, None)
    assert "QUIT" in message.get_content()


def test_a_delivery_from_before_the_change_of_format_is_sent_as_it_is(server: MailServer) -> None:
    use(f"smtp://127.0.0.1:{server.port}")
    hook = factories.webhook()
    factories.sign("Hello")
    update(factories.the(Webhook, hook), url=OWNER, format="email")
    factories.run_pass()
    message = sent(server)
    assert message["Subject"] == "comment.created"
    assert json.loads(message.get_content())["data"]["comment"]["message"] == "Hello"


@pytest.mark.parametrize("scheme", ["smtps", "smtp+starttls"])
def test_a_password_goes_over_tls_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with MailServer(context, at_once=scheme == "smtps") as server:
        use(f"{scheme}://me:p%40ss@localhost:{server.port}")
        add(OWNER)
        factories.sign()
        factories.run_pass()
        assert "certificate is not valid" in (factories.one().last_error or "")
        assert "AUTH" not in dict(server.commands)
        authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        factories.all_due()
        factories.run_pass()
        assert factories.one().status == "processed"
        assert ("AUTH", True) in server.commands
        assert "p@ss" not in str([vars(one) for one in factories.attempts()])


@pytest.mark.parametrize(
    "url", ["mailto:", "mailto:owner", "mailto:a@b.example?bcc=x@y", "mailto:a%0Ab@c.example"]
)
def test_another_address_is_refused(url: str) -> None:
    use("smtp://127.0.0.1:1")
    assert refused(url=url) == {"url": "The URL must be like mailto:you@example.org."}


def test_headers_of_ones_own_are_refused_for_no_e_mail_carries_them() -> None:
    use("smtp://127.0.0.1:1")
    sentence = "An e-mail carries no headers of yours: remove X-Room."
    assert refused(url=OWNER, headers=["X-Room: 1"]) == {"headers": sentence}
