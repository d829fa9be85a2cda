"""The page about privacy says what holds: it takes its times from the settings."""

import pytest
from flask import Flask
from sqlalchemy import inspect

from guestbook.storage.database import db
from tests.conftest import running
from tests.support import factories
from tests.support.visitor import Visitor, attributes, hrefs, set_, stored, text
from tests.web.conftest import Later

PAGE = "https://social.example/@ada"


def words(visitor: Visitor) -> str:
    return " ".join(text(visitor.page("/privacy").find(".//main")).split())


def test_the_form_says_in_a_sentence_what_is_kept_and_links_the_page(visitor: Visitor) -> None:
    form = visitor.page().find(".//form")
    assert form is not None
    said = " ".join(text(form).split())
    assert "keeps what you write until its owner deletes it, and never your IP address" in said
    assert attributes(form, ".//a")["href"] == "/privacy"


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ("GUESTBOOK_KEEP_SPAM_DAYS", "Spam is deleted 17 days after"),
        ("GUESTBOOK_KEEP_PROCESSED_DAYS", "copies of these messages for 17 days"),
        ("GUESTBOOK_KEEP_FAILED_DAYS", "or 17 days if they could not be delivered"),
    ],
)
def test_the_times_are_those_of_the_settings(environ: dict[str, str], setting: str, sentence: str) -> None:
    with running(environ | {setting: "17"}) as app:
        assert sentence in words(Visitor(app))


def test_what_it_says_of_the_cookie_is_what_signing_sets(visitor: Visitor, later: Later) -> None:
    said = words(visitor)
    cookie = visitor.sign().headers["Set-Cookie"]
    days = int(cookie.split("Max-Age=")[1].split(";")[0]) // 86400
    assert f"the cookie {cookie.split('=')[0]} for {days} days" in said
    minutes = int(said.split("your comment for ")[1].split()[0])
    edit = attributes(visitor.page("/?signed=" + stored()[-1].id), ".//*[@id='thanks']//p[2]/a")
    later(minutes * 60 - 30)
    assert visitor.get(edit["href"]).status_code == 200
    later(60)
    assert visitor.get(edit["href"]).status_code == 403


def test_the_owners_contact_is_a_link(visitor: Visitor) -> None:
    assert "How to reach the owner" not in words(visitor)
    for contact, address in {"ada@book.example": "mailto:ada@book.example", PAGE: PAGE}.items():
        set_(contact=contact)
        assert words(visitor).count(f"How to reach the owner: {contact}") == 1
        assert address in hrefs(visitor.page("/privacy"))


def test_no_table_has_the_address_of_a_visitor(app: Flask, visitor: Visitor) -> None:
    address = "203.0.113.77"
    form = visitor.form() | {"name": "Ada", "message": "Hello"}
    assert visitor.send(form, environ={"REMOTE_ADDR": address}).status_code == 303
    with app.app_context():
        assert set(inspect(db.engine).get_table_names()) - {"alembic_version"} <= set(db.metadata.tables)
    rows = [str(row) for rows in factories.everything().values() for row in rows]
    assert any("Hello" in row for row in rows)
    assert not [row for row in rows if address in row]
