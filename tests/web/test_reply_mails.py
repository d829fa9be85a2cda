"""E-mail to visitors: one to confirm the address, one with the owner's reply, and no word of it elsewhere."""

import email
import email.policy
import re
from collections.abc import Iterator
from dataclasses import replace
from email.message import EmailMessage
from typing import Any
from urllib.parse import urlsplit

import pytest
from flask import Flask
from sqlalchemy import select

from guestbook.background import whole_pass
from guestbook.comments import comment_actions, reply_mails, website_forms
from guestbook.lib import clock
from guestbook.outbound.visitor_mail import PLACEHOLDERS
from guestbook.storage import encrypted_columns
from guestbook.storage.database import db
from guestbook.storage.models import ReplyAddress, Webhook
from tests.support import factories
from tests.support.api_client import ApiClient, new_token
from tests.support.mail_server import MailServer
from tests.support.owner import Owner
from tests.support.visitor import Visitor, fields, parse, plain, set_, stored
from tests.web.conftest import Later

ADDRESS = "Ada.Lovelace+book@example.org"


@pytest.fixture
def server() -> Iterator[MailServer]:
    with MailServer() as server:
        yield server


@pytest.fixture
def ada(app: Flask, server: MailServer) -> Visitor:
    """A visitor of a book that mails replies."""
    return open_book(app, server)


def open_book(app: Flask, server: MailServer) -> Visitor:
    mail = {"smtp_url": f"smtp://127.0.0.1:{server.port}", "mail_from": "book@example.org"}
    app.config["GUESTBOOK"] = replace(app.config["GUESTBOOK"], **mail)
    set_(reply_mails="yes")
    return Visitor(app)


def sign(ada: Visitor, **typed: str) -> str:
    """Sign the book with the address, and return the comment's id."""
    assert ada.sign(**{"email": ADDRESS, **typed}).status_code == 303
    return stored()[-1].id


def reply(comment_id: str, words: str = "Thank you!") -> None:
    factories.change(comment_id, comment_actions.reply, words)


def mails(server: MailServer) -> list[EmailMessage]:
    """Run a pass, and return all that the server has got."""
    factories.run_pass()
    read = [email.message_from_bytes(text, policy=email.policy.default) for _, _, text in server.messages]
    return [one for one in read if isinstance(one, EmailMessage)]


def link(message: EmailMessage, action: str) -> str:
    found = re.search(rf"https://book\.example(/mail/{action}/[0-9a-f]{{64}})\s", message.get_content())
    assert found, message.get_content()
    return found[1]


def addresses() -> list[ReplyAddress]:
    return factories._now(select(ReplyAddress))


def tidy() -> None:
    """Do what a pass does after its work: remove what is too old."""
    with factories.books[-1].app_context():
        whole_pass.prune(db.engine, factories.settings(), until=float("inf"))


def press(ada: Visitor, path: str) -> str:
    """Open the page, press its button, and return the heading of what comes."""
    [form] = [one for one in ada.page(path).iter("form") if "action" not in one.attrib]
    assert ([*form.iter("input")], len([*form.iter("button")])) == ([], 1), "the POST needs nothing else"
    answer = ada.open("POST", path)
    assert answer.status_code == 200
    return plain(parse(answer).find(".//h1")).replace("\u2011", "-")


def test_a_new_book_asks_for_no_address_and_neither_does_one_that_cannot_send(
    app: Flask, server: MailServer
) -> None:
    visitor = Visitor(app)
    set_(reply_mails="yes")
    assert "email" not in visitor.form()
    assert visitor.sign(email=ADDRESS).status_code == 303
    visitor = open_book(app, server)
    set_(reply_mails="no")
    assert "email" not in visitor.form()
    assert "e-mail" not in visitor.get("/privacy").text
    visitor.sign(email=ADDRESS, message="Another")
    assert addresses() == []


def test_the_visitor_confirms_and_gets_one_e_mail_with_the_first_reply(
    each_app: Flask, server: MailServer
) -> None:
    ada = open_book(each_app, server)
    comment = sign(ada)
    [asked] = mails(server)
    assert server.messages[0][:2] == ("book@example.org", ADDRESS)
    assert asked["To"] == ADDRESS
    assert asked["Subject"] == "Please confirm your e-mail address: Guestbook"
    assert "Ada" not in asked.get_content().replace(ADDRESS, "")
    assert press(ada, link(asked, "confirm")) == "Your e-mail address is confirmed"
    reply(comment)
    reply(comment, "Thank you very much!")
    [_, answer] = mails(server)
    assert (answer["To"], answer["Subject"]) == (ADDRESS, "A reply to your comment: Guestbook")
    assert "Thank you very much!" in answer.get_content()
    assert f"https://book.example/comments/{comment}" in answer.get_content()
    assert addresses() == [], "the pass that mailed the reply deletes it, also in a new book"
    assert [(row.event, row.status) for row in factories.deliveries()] == [
        ("mail.confirmation", "processed"),
        ("mail.reply", "processed"),
    ]


def test_nothing_is_mailed_before_the_click_and_the_reply_may_be_there_already(
    ada: Visitor, server: MailServer
) -> None:
    comment = sign(ada)
    reply(comment)
    [asked] = mails(server)
    ada.page(link(asked, "confirm"))  # A mail program looks at it.
    assert len(mails(server)) == 1
    for _ in range(2):
        ada.open("POST", link(asked, "confirm"))
    assert [one["Subject"] for one in mails(server)[1:]] == ["A reply to your comment: Guestbook"]


@pytest.mark.parametrize("words", ["", "Corrected"])
def test_a_reply_that_changes_before_it_is_mailed_is_not_mailed_with_its_old_words(
    each_app: Flask, server: MailServer, words: str
) -> None:
    ada = open_book(each_app, server)
    comment_id = sign(ada)
    press(ada, link(mails(server)[0], "confirm"))
    reply(comment_id, "First words")
    reply(comment_id, words)
    said = [one.get_content() for one in mails(server)[1:]]
    assert len(said) == bool(words)
    assert all(words in one and "First words" not in one for one in said)
    reply(comment_id, "Once more")
    assert len(mails(server)) == 2


def test_words_of_the_owner_never_become_a_link_of_the_visitor(ada: Visitor, server: MailServer) -> None:
    words = [one for link in PLACEHOLDERS.values() for one in (link, link.strip())]
    set_(title=f"Book {words[0]}")
    comment = sign(ada)
    [asked] = mails(server)
    ada.open("POST", link(asked, "confirm"))
    reply(comment, "Hello\n" + "\n".join(words))
    text = mails(server)[1].get_content()
    assert [text.count(one.strip()) for one in words] == [3, 3, 2, 2]
    assert text.count("https://book.example/mail/") == 1


def test_a_held_comment_is_mailed_about_once_it_is_published(ada: Visitor, server: MailServer) -> None:
    set_(moderation="all")
    comment = sign(ada)
    assert mails(server) == []
    factories.change(comment, comment_actions.decide, "published")
    assert len(mails(server)) == 1


@pytest.mark.parametrize("status", ["spam", "trash"])
def test_a_comment_that_leaves_the_book_takes_the_address_along(
    ada: Visitor, server: MailServer, status: str
) -> None:
    comment = sign(ada)
    factories.change(comment, comment_actions.decide, status)
    assert (addresses(), mails(server)) == ([], [])
    factories.change(comment, comment_actions.restore)
    reply(comment)
    assert mails(server) == []


def test_spam_brings_no_address_into_the_book(ada: Visitor, server: MailServer) -> None:
    sign(ada, subject="filled in by a program")
    assert stored()[-1].status == "spam"
    assert (addresses(), mails(server)) == ([], [])


def test_one_click_of_the_mail_program_deletes_the_address(ada: Visitor, server: MailServer) -> None:
    comment = sign(ada)
    [asked] = mails(server)
    raw = server.messages[0][2].decode()
    [url] = re.findall(r"^List-Unsubscribe: <(https://[^>]+)>\r$", raw, re.MULTILINE)
    assert "\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n" in raw
    path = urlsplit(url).path
    assert path == link(asked, "stop")
    stranger = Visitor(ada.app)
    assert "Delete your e-mail address?" in stranger.get(path).text
    assert len(addresses()) == 1
    for _ in range(2):  # It may come twice.
        answer = stranger.open("POST", path, data={"List-Unsubscribe": "One-Click"})
        assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
        assert addresses() == []
    assert stranger.get(link(asked, "confirm")).status_code == 410
    assert stranger.open("POST", link(asked, "confirm")).status_code == 410
    reply(comment)
    assert len(mails(server)) == 1


def test_what_waits_for_an_address_that_was_deleted_is_not_sent(ada: Visitor, server: MailServer) -> None:
    comment = sign(ada)
    factories.written(lambda session: reply_mails.forget(session, comment))
    assert mails(server) == []
    row = factories.one()
    assert (row.status, row.last_error) == (
        "processed",
        "The visitor's address was deleted, or cannot be decrypted, so nothing was sent.",
    )


@pytest.mark.parametrize(
    "wrong",
    [
        "ada",
        "ada@",
        "ada.lovelace@localhost",
        "a b@example.org",
        "a@example.org, b@example.org",
        "a@example.org\r\nBcc: x@example.org",
        "x" * 250 + "@example.org",
        "<a@example.org>",
    ],
)
def test_a_wrong_address_comes_back_with_the_text(ada: Visitor, wrong: str) -> None:
    answer = ada.sign(email=wrong)
    assert (answer.status_code, stored()) == (422, [])
    page = parse(answer)
    assert "E-mail: This does not look like an e-mail address" in plain(page)
    assert fields(page)["message"].strip() == "Hello"
    again = fields(page) | {"email": ADDRESS}
    assert fields(parse(ada.send(again | {"preview": "yes"})))["email"] == ADDRESS
    assert (ada.send(again).status_code, len(addresses())) == (303, 1)


def test_nobody_is_flooded_and_the_answer_is_the_same(ada: Visitor, server: MailServer) -> None:
    answers = [ada.sign(message=f"Number {number}", email=ADDRESS.upper()) for number in range(3)]
    assert {answer.status_code for answer in answers} == {303}
    assert len(mails(server)) == reply_mails.MOST_TO_ADDRESS == 2
    for number in range(6):
        ada.sign(message=f"Another {number}", email=f"visitor{number}@example.org")
    assert len(mails(server)) == reply_mails.MOST_OF_NETWORK - 1 == 4, "the third one counted for the network"


def test_the_whole_book_has_a_limit(
    ada: Visitor, server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reply_mails, "MOST_IN_ALL", 1)
    for number in range(2):
        form = ada.form() | {"name": "Ada", "message": f"Number {number}", "email": f"v{number}@example.org"}
        ada.send(form, {"REMOTE_ADDR": f"192.0.2.{number}"})
    assert (len(stored()), len(mails(server))) == (2, 1)


def test_the_address_is_encrypted_and_shown_to_nobody(
    app: Flask, ada: Visitor, server: MailServer, caplog: Any
) -> None:
    caplog.set_level("DEBUG")
    factories.webhook(
        events="comment.created comment.published comment.replied", moderation_links_since=clock.now()
    )
    server.answers["RCPT"] = f"450 4.2.1 <{ADDRESS}>: greylisted"
    comment = sign(ada)
    reply(comment)
    factories.run_pass()
    owner, tokens = Owner(app).be_logged_in(), ApiClient(app, new_token())
    mailing = next(row for row in factories.deliveries() if row.event == "mail.confirmation")
    [attempt] = factories.attempts(mailing.id)
    assert (attempt.status_code, attempt.response_body, attempt.request_headers["To"]) == (
        450,
        "",
        "(hidden)",
    )
    seen = [caplog.text, *(row.payload for row in factories.deliveries()), str(vars(attempt))]
    for path in (
        f"deliveries/{mailing.id}",
        "deliveries/",
        f"webhooks/{mailing.webhook_id}",
        f"comments/{comment}",
        "comments/",
        "webhooks/",
    ):
        answer = owner.get(f"/admin/{path}")
        assert answer.status_code == 200, path
        seen.append(answer.text)
    for path in (
        f"deliveries/{mailing.id}",
        f"comments/{comment}",
        f"webhooks/{mailing.webhook_id}",
        "webhooks",
        "deliveries",
    ):
        answer = tokens.ask("GET", f"/{path}")
        assert answer.status_code == 200, path
        seen.append(answer.text)
    secrets = [ADDRESS.lower(), "/mail/confirm/", "/mail/stop/"]
    assert [word for word in secrets for text in seen if word in text.lower()] == []
    with app.app_context(), db.engine.connect() as connection:
        [kept] = connection.exec_driver_sql("SELECT address FROM reply_addresses").scalars()
        assert kept.startswith("enc1.")
        assert encrypted_columns.look(connection, app.config["GUESTBOOK"].keyring).total == 3


def test_an_address_stays_for_thirty_days_at_most(ada: Visitor, server: MailServer, later: Later) -> None:
    comment = sign(ada)
    ada.open("POST", link(mails(server)[0], "confirm"))
    later(29 * 86400)
    tidy()
    assert len(addresses()) == 1
    later(2 * 86400)
    tidy()
    reply(comment)
    assert (addresses(), len(mails(server))) == ([], 1)


def test_it_stays_while_the_reply_is_retried(ada: Visitor, server: MailServer) -> None:
    comment = sign(ada)
    ada.open("POST", link(mails(server)[0], "confirm"))
    server.answers["RCPT"] = "450 4.2.1 later"
    reply(comment)
    factories.run_pass()
    tidy()
    del server.answers["RCPT"]
    factories.all_due()
    assert [one["To"] for one in mails(server)] == [ADDRESS] * 2


@pytest.mark.parametrize(
    ("answer", "ends", "fails"),
    [("550 5.1.1 nobody", True, 0), ("452 4.3.1 full", False, 1), ("535 5.7.8 login", False, 1)],
)
def test_a_wrong_mailbox_ends_one_delivery_and_blames_nobody(
    ada: Visitor, server: MailServer, answer: str, ends: bool, fails: int
) -> None:
    server.answers["RCPT"] = answer
    sign(ada)
    factories.run_pass()
    row = factories.one()
    assert row.status == ("failed" if ends else "new")
    hook = factories.the(Webhook, row.webhook_id)
    assert (hook.failures_in_a_row, hook.disabled_at) == (fails, None)


def test_the_language_is_that_of_the_form(ada: Visitor, server: MailServer) -> None:
    german = {"Accept-Language": "de"}
    form = fields(parse(ada.get("/", headers=german))) | {"name": "Ada", "message": "Hallo", "email": ADDRESS}
    ada.open("POST", "/comments", data=form, headers=german)
    [asked] = mails(server)
    assert asked["Subject"] == "Bitte bestätige deine E-Mail-Adresse: Gästebuch"
    page = ada.get(link(asked, "confirm"), headers=german)
    assert "Bestätige deine E-Mail-Adresse" in page.text


def test_strangers_cannot_guess_a_link(ada: Visitor, server: MailServer) -> None:
    sign(ada)
    path = link(mails(server)[0], "confirm")
    for wrong in (
        f"{path[:-1]}{'0' if path[-1] != '0' else '1'}",
        path.replace("confirm", "stop"),
        "/mail/confirm/x",
        "/mail/other/x",
    ):
        assert (ada.get(wrong).status_code, ada.open("POST", wrong).status_code) == (404, 404)
    assert [one.confirmed_at for one in addresses()] == [None]
    assert {ada.get("/mail/confirm/x").status_code for _ in range(30)} == {404, 429}


def test_links_work_after_the_key_was_changed(app: Flask, ada: Visitor, server: MailServer) -> None:
    sign(ada)
    [asked] = mails(server)
    old = app.config["GUESTBOOK"]
    app.config["GUESTBOOK"] = replace(old, secret_key="a newer key", secret_key_fallbacks=(old.secret_key,))
    assert ada.open("POST", link(asked, "confirm")).status_code == 200
    assert [one.confirmed_at is None for one in addresses()] == [False]


def test_the_webhook_of_the_book_can_be_slowed_and_disabled_but_not_turned(app: Flask, ada: Visitor) -> None:
    sign(ada)
    hook = factories.one().webhook_id
    tokens = ApiClient(app, new_token())
    assert tokens.patch(f"/webhooks/{hook}", {"rate": "30/m"})["rate"] == "30/m"
    for change in ({"url": "https://evil.example/"}, {"format": "json"}, {"events": ["comment.created"]}):
        answer = tokens.ask("PATCH", f"/webhooks/{hook}", change)
        assert (answer.status_code, "mails its visitors" in answer.text) == (422, True)
    assert tokens.ask("POST", f"/webhooks/{hook}/test").status_code == 422
    assert tokens.refused("POST", "/webhooks", {"url": "mailto:visitors"})
    tokens.patch(f"/webhooks/{hook}", {"disabled": True})
    factories.run_pass()
    assert factories.one().status == "new"
    tokens.delete(f"/webhooks/{hook}")
    sign(ada, message="Another")
    assert factories.one().webhook_id != hook


def test_the_form_in_a_frame_has_the_field_and_the_form_to_change_a_comment_has_none(ada: Visitor) -> None:
    set_(embed_sites="https://ada.example")
    assert "email" in ada.form("/embed?site=https://ada.example")
    comment = sign(ada)
    assert "email" not in ada.form(f"/comments/{comment}/edit")
    assert "e-mail address" in plain(ada.page("/privacy"))


def test_a_plain_form_on_a_page_may_have_the_field(ada: Visitor, server: MailServer) -> None:
    key = factories.written(lambda session: website_forms.add(session, "https://ada.example/"))
    form = {"name": "Ada", "message": "Hello", "email": "x"}
    assert (
        "E-mail"
        in ada.open("POST", f"/form/{key}", data=form, headers={"Origin": "https://ada.example"}).text
    )
    ada.open(
        "POST", f"/form/{key}", data=form | {"email": ADDRESS}, headers={"Origin": "https://ada.example"}
    )
    assert (len(stored()), len(mails(server))) == (1, 1)
