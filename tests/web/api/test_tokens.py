"""What a token may do, until when, and when it was used last."""

import re
import sqlite3
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import insert, select, update

from guestbook import settings
from guestbook.auth import api_tokens
from guestbook.lib import clock
from guestbook.storage import database, engine_setup, row_changes
from guestbook.storage.database import db, writing
from guestbook.storage.models import Token
from guestbook.storage.models.owner import SCOPES
from guestbook.web.api import document
from tests.support.api_client import NOBODY, ApiClient


def program(app: Flask, **how: Any) -> ApiClient:
    with app.app_context(), writing() as session:
        return ApiClient(app, api_tokens.add(session, "a program", **how)[1])


def set_token(app: Flask, **values: Any) -> None:
    with app.app_context(), writing() as session:
        session.execute(update(Token).values(**values))


def last_used(app: Flask) -> Any:
    with app.app_context():
        return db.session.query(Token).one().last_used_at


def calls() -> list[tuple[str, str, str]]:
    """Method, path and scope of every call that takes a token."""
    return [
        (method, path, role["token"][0])
        for path, methods in document.paths().items()
        for method in methods.keys() - {"parameters"}
        for role in methods[method]["security"]
        if role
    ]


@pytest.mark.parametrize("scope", SCOPES)
def test_a_token_may_do_what_its_scope_says_and_no_more(app: Flask, scope: str) -> None:
    one = program(app, scope=scope)
    assert {needed for *_, needed in calls()} == set(SCOPES)
    for method, path, needed in calls():
        answer = one.ask(method, re.sub("{.*?}", NOBODY, path))
        refused = SCOPES.index(needed) > SCOPES.index(scope)
        assert (answer.status_code == 403) == refused, (method, path, answer.text)
        if refused:
            error = answer.get_json()["error"]
            assert error["code"] == "insufficient_scope"
            assert error["message"] == f"This needs a token with the scope {needed}; yours has {scope}."
            challenge = f'Bearer realm="guestbook", error="insufficient_scope", scope="{needed}"'
            assert answer.headers["WWW-Authenticate"] == challenge


def test_every_get_needs_read_and_comments_need_moderate() -> None:
    needed = {(method, path): scope for method, path, scope in calls()}
    assert needed.pop(("get", "/webhooks/{webhook_id}/pending")) == "manage", "it leases what it returns"
    assert {scope for (method, _), scope in needed.items() if method == "get"} == {"read"}
    assert (
        needed["patch", "/comments/{comment_id}"] == needed["delete", "/comments/{comment_id}"] == "moderate"
    )
    assert needed["post", "/webhooks"] == needed["delete", "/webhooks/{webhook_id}"] == "manage"


def test_a_token_that_has_expired_opens_nothing_and_says_so(app: Flask) -> None:
    one = program(app, expires="90d")
    one.get("/webhooks")
    set_token(app, expires_at=clock.from_text("2026-01-31"))
    for path in ("/webhooks", "/comments"):
        answer = one.ask("GET", path)
        assert answer.status_code == 401
        assert answer.get_json()["error"]["message"] == (
            "This token expired on 2026-01-31. The owner can make another."
        )
        assert answer.headers["WWW-Authenticate"] == 'Bearer realm="guestbook", error="invalid_token"'


@pytest.mark.parametrize(
    ("sent", "challenge"),
    [
        ({}, 'Bearer realm="guestbook"'),
        ({"Authorization": "Basic x"}, 'Bearer realm="guestbook"'),
        ({"Authorization": "Bearer wrong"}, 'Bearer realm="guestbook", error="invalid_token"'),
    ],
)
def test_a_401_says_how_to_come_in(app: Flask, sent: dict[str, str], challenge: str) -> None:
    for path in ("/webhooks", "/comments?status=held"):
        answer = ApiClient(app).ask("GET", path, headers=sent)
        assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, challenge)


def test_a_wrong_token_is_said_to_be_unknown_and_not_missing(app: Flask) -> None:
    sentence = "This token is not known: it is mistyped, belongs to another book, or was revoked."
    for path in ("/webhooks", "/comments"):
        answer = ApiClient(app, "gbk_wrong").ask("GET", path)
        assert (answer.status_code, answer.get_json()["error"]["message"]) == (401, sentence)
        assert answer.headers["WWW-Authenticate"].endswith('error="invalid_token"')


def test_the_last_use_is_noted_once_an_hour(app: Flask) -> None:
    one = program(app, scope="read")
    assert last_used(app) is None
    one.get("/webhooks")
    first = last_used(app)
    assert clock.now() - first < timedelta(minutes=1)
    one.get("/webhooks")
    assert last_used(app) == first
    set_token(app, last_used_at=first - timedelta(minutes=61))
    one.get("/webhooks")
    assert last_used(app) >= first


@pytest.mark.parametrize("kind", ["locked", "being read", "read only", "gone"])
def test_noting_a_use_neither_waits_nor_fails(tmp_path: Path, kind: str) -> None:
    url = f"sqlite:///{tmp_path}/book.db?journal_mode=delete"
    at = {"GUESTBOOK_DATA_DIR": str(tmp_path), "GUESTBOOK_DATABASE_URL": url}
    row = {"id": NOBODY, "name": "One", "hash": "x", "created_at": clock.now()}
    with engine_setup.opened(settings.load(at)) as engine:
        database.create_tables(engine)
        with database.write(engine) as connection:
            connection.execute(insert(Token).values(row))
        other = sqlite3.connect(tmp_path / "book.db", isolation_level=None)
        if kind == "read only":
            with engine.connect() as connection:
                connection.exec_driver_sql("PRAGMA query_only = ON")
        for statement in {
            "locked": ["BEGIN IMMEDIATE"],
            "being read": ["BEGIN", "SELECT * FROM tokens"],
            "gone": ["DROP TABLE tokens"],
        }.get(kind, []):
            other.execute(statement)
        began = time.monotonic()
        row_changes.note_use(engine, Token, NOBODY, clock.now())
        assert time.monotonic() - began < 10  # a pass would wait for twenty seconds
        other.close()
        with engine.connect() as connection:
            wait = connection.exec_driver_sql("PRAGMA busy_timeout").scalar()
            assert wait == engine_setup.FOR_PASSES.read * 1000
            if kind != "gone":
                assert connection.scalar(select(Token.last_used_at)) is None
