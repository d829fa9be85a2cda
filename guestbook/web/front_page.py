"""The front page for readers without a cookie: it is kept as it was sent, until a row behind it changes.

A kept page is answered before Flask, in a twentieth of the time. Its form gets a new token each time. Once a
minute the page is made again, so that all that looks at requests sees some.
"""

import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

from flask import Flask
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.http import parse_etags

from guestbook.lib import clock
from guestbook.lib.gzip_parts import GzipParts
from guestbook.queries import front_page_rows
from guestbook.queries.front_page_rows import FrontPageRows
from guestbook.settings import Settings
from guestbook.storage import engine_setup
from guestbook.storage.database import db
from guestbook.web import response_headers, visitor_form
from guestbook.web.public_pages import ETAG_SECONDS, FAILED, MADE, MadePage

KEEP_SECONDS = 60.0
MOST_KEPT = 64
# What a kept page, or the notes about the way that its request came, may depend on.
DIFFERING = (
    *("SCRIPT_NAME", "HTTP_ACCEPT_LANGUAGE", "HTTP_ACCEPT_ENCODING"),
    *("HTTP_HOST", "HTTP_X_FORWARDED_HOST", "wsgi.url_scheme", "HTTP_X_FORWARDED_PROTO"),
)
UNUSUAL_HEADERS = (
    "HTTP_COOKIE",
    "HTTP_RANGE",
    "HTTP_IF_MATCH",
    "HTTP_IF_UNMODIFIED_SINCE",
    "HTTP_IF_MODIFIED_SINCE",
)
OF_BODY = ("content-length", "content-type", "content-encoding")  # RFC 9110, 15.4.5: a 304 has none of these

Environ = dict[str, Any]
Start = Callable[..., Any]
Key = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class KeptPage:
    """An answer without what is new each time, and what it was made of."""

    rows: FrontPageRows
    made_at: float  # seconds since 1970
    headers: list[tuple[str, str]]
    tag: str  # the ETag without its quotes
    body: Callable[[bytes], bytes]  # of the token


class FrontPages:
    """The application, behind the pages that are kept."""

    def __init__(self, app: Flask, engine: Engine) -> None:
        self._app, self._config = app.wsgi_app, app.config
        settings: Settings = app.config["GUESTBOOK"]
        self._token = partial(visitor_form.signed, settings.signing_keys)
        self._engine = engine
        self._kept: dict[Key, KeptPage] = {}

    def __call__(self, environ: Environ, start: Start) -> Iterable[bytes]:
        """Answer one request."""
        if not _is_usual(environ) or (rows := self._read(environ)) is None:
            return self._app(environ, start)
        key = *(environ.get(name, "") for name in DIFFERING), "HTTP_X_FORWARDED_FOR" in environ
        kept = self._kept.get(key)
        if kept and kept.rows == rows and _is_fresh(kept):
            return self._answer(kept, environ, start)
        made = environ[MADE] = MadePage(rows)
        said: list[tuple[str, list[tuple[str, str]]]] = []

        def note(status: str, headers: list[tuple[str, str]], *error: Any) -> Any:
            said.append((status, headers))
            return start(status, headers, *error)

        body = self._app(environ, note)
        if said and said[-1][0].startswith("200 "):
            self._keep(key, made, said[-1][1])
        return body

    def _read(self, environ: Environ) -> FrontPageRows | None:
        """Return the rows; None where that fails: the usual way reads again, or answers the error."""
        try:
            with engine_setup.waiting(self._config["WAITS"]):  # a new connection waits as in a request
                return front_page_rows.read(self._engine)
        except sqlite3.Error:
            return None
        except SQLAlchemyError as error:
            if not getattr(error, "connection_invalidated", False):  # else a new connection may work
                environ[FAILED] = error  # a visitor must not wait twice for a server that does not answer
            return None

    def _keep(self, key: Key, made: MadePage, headers: list[tuple[str, str]]) -> None:
        named = {name.lower(): value for name, value in headers}
        if made.parts is None or "set-cookie" in named or "etag" not in named:
            return
        before, after = made.parts
        if named.get("content-encoding") == response_headers.GZIP:
            body = GzipParts(before, after, response_headers.PAGE_LEVEL).around
        else:
            body = partial(_around, before, after)
        lasting = [one for one in headers if one[0].lower() not in ("content-length", "date")]
        tag = named["etag"].removeprefix("W/").strip('"')
        if key not in self._kept and len(self._kept) >= MOST_KEPT:
            # The one that was kept first. The copy is made at once, while no other thread adds one.
            self._kept.pop(next(iter(tuple(self._kept))), None)
        self._kept[key] = KeptPage(made.rows, clock.now().timestamp(), lasting, tag, body)

    def _answer(self, kept: KeptPage, environ: Environ, start: Start) -> Iterable[bytes]:
        if parse_etags(environ.get("HTTP_IF_NONE_MATCH")).contains_weak(kept.tag):
            start("304 NOT MODIFIED", [one for one in kept.headers if one[0].lower() not in OF_BODY])
            return []
        body = kept.body(self._token().encode())
        start("200 OK", [*kept.headers, ("Content-Length", str(len(body)))])
        return [body]


def init_app(app: Flask) -> None:
    """Keep the front page of an app that has a database."""
    with app.app_context():
        app.wsgi_app = FrontPages(app, db.engine)  # type: ignore[method-assign,assignment]  # Flask's documented way


def _is_fresh(kept: KeptPage) -> bool:
    """Whether it may still be sent; its ETag changes with the hours."""
    now = clock.now().timestamp()
    is_same_time = now // ETAG_SECONDS == kept.made_at // ETAG_SECONDS
    return is_same_time and 0 <= now - kept.made_at < KEEP_SECONDS


def _around(before: bytes, after: bytes, token: bytes) -> bytes:
    return b"".join((before, token, after))


def _is_usual(environ: Environ) -> bool:
    is_page = environ["REQUEST_METHOD"] == "GET" and environ.get("PATH_INFO") == "/"
    return (
        is_page and not environ.get("QUERY_STRING") and not any(name in environ for name in UNUSUAL_HEADERS)
    )
