"""An app for one reader by CGI: the public pages of a book on SQLite, which it reads without SQLAlchemy.

Importing SQLAlchemy takes longer than all the rest of such a page. Anything unusual or broken is left to the
whole app, which answers the same request from its beginning.
"""

import os
import re
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from functools import cache, partial
from pathlib import Path
from typing import Any

from flask import Flask, g

from guestbook import web
from guestbook.settings import Settings, database_url
from guestbook.storage import app_factory, hits_and_notes, plain_sql, schema_version, sqlite_file
from guestbook.storage.app_factory import Given
from guestbook.storage.schema_version import Age
from guestbook.web import public_pages, request_context, send_after_requests

# They only read, and are all public.
FOR_READERS = re.compile(
    r"/|/comments/[^/.]+|/favicon\.ico|/button\.svg|/own\.css|/privacy|/\.well-known/security\.txt"
    r"|/(?:static|pictures)/.+"
)


def is_for_readers(path: str) -> bool:
    """Whether this CGI process, which has that path, is asked for a page for readers."""
    return os.environ.get("REQUEST_METHOD") in ("GET", "HEAD") and FOR_READERS.fullmatch(path) is not None


READER_WAIT = 1.0  # seconds for another process's commit


class OtherVersion(Exception):
    """The tables have another version than the program, about which the whole app has a sentence."""


def make(given: Given, whole: Callable[[Given], Flask]) -> Flask:
    """Return the app for a reader; the whole one where the book is no plain SQLite file."""
    app = app_factory.without_database(Flask, given, for_key_page=given is None)
    settings: Settings = app.config["GUESTBOOK"]
    file = database_url.plain_path(settings.database_url)
    if file is None or not (path := settings.data_dir / file).is_file():
        return whole(given)
    app.config["PROPAGATE_EXCEPTIONS"] = True  # The whole app answers errors.
    app.before_request(partial(_select_from, path))
    app.teardown_appcontext(lambda _error: g.opened.close() if "opened" in g else None)
    web.register_public(app, _require_version)
    send_after_requests.init_app(app)
    public_pages.init_app(app, partial(hits_and_notes.add_hits_to_file, path))
    reading = app.wsgi_app

    def answer(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        try:
            return reading(dict(environ), start_response)
        except Exception:  # The whole app says what is wrong.
            return whole(given).wsgi_app(environ, start_response)

    app.wsgi_app = answer  # type: ignore[method-assign]  # Flask's documented way
    return app


def _select_from(path: Path) -> None:
    """Let this request select from the file; it is opened when that is first done."""
    opened = g.opened = ExitStack()

    @cache
    def connection() -> sqlite3.Connection:
        fresh, _ = opened.enter_context(sqlite_file.opened_plain(path, READER_WAIT))
        fresh.execute("BEGIN")  # The page shows the book at one moment.
        return fresh

    g.select = lambda sql, **parameters: plain_sql.of_sqlite(connection())(sql, **parameters)


def _require_version() -> None:
    stored = [version for (version,) in request_context.select()(schema_version.QUERY)]
    if schema_version.age(stored) is not Age.CURRENT:
        raise OtherVersion
