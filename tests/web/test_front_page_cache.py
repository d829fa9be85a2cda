"""The front page that is kept: it changes at once with what it shows, and its form is new each time."""

import gzip
import re
from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import create_engine, event, text
from sqlalchemy.exc import OperationalError

from guestbook.comments import comment_actions
from guestbook.storage import preferences
from guestbook.storage.database import db
from guestbook.storage.models import Comment
from tests.support import factories
from tests.support.visitor import GREETING, Visitor, add, fields, messages, parse
from tests.web.conftest import Later

GZIP = {"Accept-Encoding": "gzip"}


@pytest.fixture
def made(app: Flask) -> list[str]:
    """The templates that were rendered since; a kept page needs none."""
    return templates_of(app)


def templates_of(app: Flask) -> list[str]:
    names: list[str] = []
    find = app.jinja_env.get_or_select_template

    def note(name: str, *more: object) -> object:
        names.append(name)
        return find(name, *more)  # type: ignore[arg-type]  # passed on

    app.jinja_env.get_or_select_template = note  # type: ignore[assignment,method-assign]  # in this app alone
    return names


CHANGES: dict[str, Callable[..., object]] = {
    "a comment": lambda session, _: session.add(Comment(name="Eve", message="New", status="published")),
    "a held comment is published": lambda session, _: session.execute(
        text("UPDATE comments SET status = 'published' WHERE status = 'held'")
    ),
    "a correction": lambda _, comment: setattr(comment, "message", "Corrected"),
    "a deletion": lambda session, comment: session.delete(comment),
    "a reply": lambda session, comment: comment_actions.reply(
        session, comment, "Thanks", factories.settings()
    ),
    "a title": lambda session, _: preferences.save(session, {"title": "Another"}),
    "a look": lambda session, _: preferences.save(session, {"look": "terminal"}),
    "it is closed": lambda session, _: preferences.save(session, {"closed": "yes"}),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_changes_is_seen_at_once(each_app: Flask, name: str) -> None:
    visitor, made = Visitor(each_app), templates_of(each_app)
    add(["Hello"])
    add(["Held"], status="held")
    before = visitor.get("/")
    assert made.pop() == "book.html"
    assert visitor.get("/", headers={"If-None-Match": before.headers["ETag"]}).status_code == 304
    assert made == [], "it was kept"
    first = factories.comments()[0].id
    factories.written(lambda session: CHANGES[name](session, session.get_one(Comment, first)))
    after = visitor.get("/", headers={"If-None-Match": before.headers["ETag"]})
    assert after.status_code == 200
    assert made == ["book.html"]
    assert after.headers["ETag"] != before.headers["ETag"]


def test_another_program_s_change_is_seen_at_once(each_app: Flask) -> None:
    app, visitor = each_app, Visitor(each_app)
    add(["Hello"])
    assert messages(visitor.page()) == ["Hello"]
    with app.app_context():
        other = create_engine(db.engine.url)
    with other.begin() as connection:
        connection.execute(text("UPDATE comments SET message = 'Changed'"))
    other.dispose()
    assert messages(visitor.page()) == ["Changed"]


def test_a_kept_form_has_a_new_token_each_time_that_signs(visitor: Visitor, made: list[str]) -> None:
    visitor.get("/")
    made.clear()
    forms = [fields(parse(visitor.get("/"))) for _ in range(3)]
    assert made == []
    assert len({form["token"] for form in forms}) == 3
    for number, form in enumerate(forms):
        assert visitor.send(form | GREETING | {"message": f"Hello {number}"}).status_code == 303
    assert len(messages(visitor.page("/?all"))) == 3


@pytest.mark.parametrize("headers", [{}, GZIP], ids=["plain", "compressed"])
def test_a_kept_page_is_the_first_one(visitor: Visitor, made: list[str], headers: dict[str, str]) -> None:
    add(["Grüße", "Hello"])
    first, kept = (visitor.get("/", headers=headers) for _ in range(2))
    assert made == ["book.html"]
    said = [dict(one.headers) for one in (first, kept)]
    length = int(said[1].pop("Content-Length"))
    assert length == len(kept.data)
    for varying in ("Content-Length", "Date"):
        said[0].pop(varying, None)
    assert said[0] == said[1]
    pages = [gzip.decompress(one.data) if headers else one.data for one in (first, kept)]
    tokens = [re.findall(rb'name="token" value="([^"]+)"', page)[0] for page in pages]
    assert tokens[0] != tokens[1]
    assert pages[0].replace(tokens[0], b"") == pages[1].replace(tokens[1], b"")


def test_a_304_has_the_headers_of_one_that_is_made(visitor: Visitor) -> None:
    tag = visitor.get("/").headers["ETag"]
    kept = visitor.get("/", headers={"If-None-Match": tag})
    made = visitor.get("/?x", headers={"If-None-Match": tag})
    assert (kept.status_code, made.status_code) == (304, 304)
    assert kept.data == b""
    assert {**kept.headers, "Date": ""} == {**made.headers, "Date": ""}


@pytest.mark.parametrize(
    "form", ["*", "{}", 'W/"{}"', '"x", "{}"', '""{}"', '"{}"x', '"x"', ""], ids=lambda form: form or "none"
)
def test_if_none_match_means_the_same_for_a_kept_page(visitor: Visitor, made: list[str], form: str) -> None:
    tag = visitor.get("/").headers["ETag"].removeprefix("W/").strip('"')
    headers = {"If-None-Match": form.format(tag)}
    made.clear()
    kept = visitor.get("/", headers=headers)
    assert made == []
    assert kept.status_code == visitor.get("/?x", headers=headers).status_code


def test_languages_are_kept_apart(visitor: Visitor, made: list[str]) -> None:
    for _ in range(2):
        for language in ("en", "de", "fr"):
            page = visitor.get("/", headers={"Accept-Language": language})
            assert f'<html lang="{language}"'.encode() in page.data
    assert len(made) == 3


@pytest.mark.parametrize("name", ["a cookie", "a range"])
def test_what_is_unusual_is_made_each_time(visitor: Visitor, made: list[str], name: str) -> None:
    if name == "a cookie":
        visitor.client.set_cookie("guestbook_look", "terminal")
    headers = {"Range": "bytes=0-9"} if name == "a range" else {}
    for _ in range(2):
        assert visitor.get("/", headers=headers).status_code == 200
    assert len(made) == 2


def test_once_a_minute_it_is_made_anew(visitor: Visitor, made: list[str], later: Later) -> None:
    for seconds, number in ((0, 1), (30, 1), (31, 2), (-3600, 3), (6 * 3600, 4)):
        later(seconds)
        visitor.get("/")
        assert len(made) == number, seconds


def test_without_its_database_the_book_says_so(visitor: Visitor) -> None:
    visitor.get("/")
    tries = []

    def fail(*_: object) -> None:
        tries.append("a connection")
        raise OperationalError("SELECT", None, Exception("the database is away"))

    engine = factories.read(lambda session: session.get_bind())
    event.listen(engine, "checkout", fail)
    assert visitor.get("/").status_code in (500, 503)
    assert len(tries) == 1, "it was waited for once"
    event.remove(engine, "checkout", fail)
    assert visitor.get("/").status_code == 200


def test_a_book_behind_two_paths_has_the_links_of_each(visitor: Visitor, made: list[str]) -> None:
    for _ in range(2):
        for path in ("", "/book"):
            page = visitor.client.get("/", environ_overrides={"SCRIPT_NAME": path})
            assert f'action="{path}/comments"' in page.text
    assert len(made) == 2
