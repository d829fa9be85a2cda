"""The front page for readers without a cookie: it is kept as it was sent, until a row behind it changes.

A kept page is answered before Flask, in a twentieth of the time. Its form gets a new token each time. Once a
minute the page is made again, so that all that looks at requests sees some.

First come the rows behind the page: the same tuples show that nothing has changed. On SQLite the file is
asked first whether anybody has changed it since; that takes a twentieth of reading. Then comes a compressed
text of which only the middle changes (RFC 1951, RFC 1952), then the pages.
"""

import sqlite3
import struct
import zlib
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from flask import Flask
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import PoolProxiedConnection
from werkzeug.http import parse_etags

from guestbook.lib import clock
from guestbook.queries import public_comments
from guestbook.settings import Settings
from guestbook.storage import engines, plain_sql, preferences, sqlite_file
from guestbook.storage.database import db
from guestbook.storage.plain_sql import Select
from guestbook.web import response_headers, visitor_tokens
from guestbook.web.public_pages import ETAG_SECONDS, FAILED, MADE, MadePage

Rows = tuple[tuple[Any, ...], ...]
READ_BEFORE = "front page"  # A connection keeps here what it has read, and when.


class FrontPageRows(NamedTuple):
    """The owner's settings, and the newest comments with one more than the page shows."""

    settings: Rows
    comments: Rows


def read(engine: Engine) -> FrontPageRows:
    """Return the rows; on SQLite all are as they are at one moment.

    Raises the errors of SQLAlchemy, and on SQLite those of sqlite3.
    """
    if engine.dialect.name == "sqlite":
        with closing(engine.raw_connection()) as connection:
            return _of_sqlite(connection)
    with engine.connect() as connection:
        return _through(plain_sql.through(connection))


def _of_sqlite(connection: PoolProxiedConnection) -> FrontPageRows:
    raw: Any = connection.dbapi_connection
    # Behind a commit without a WAL the usual way waits, and has an answer.
    sqlite_file.set_busy_timeout(raw, 0)
    # The first number tells of commits by other connections, the second of those by this one.
    version = raw.execute("PRAGMA data_version").fetchone()[0], raw.total_changes
    known_version, known = connection.info.get(READ_BEFORE, (None, None))
    if known and known_version == version:
        return known  # type: ignore[no-any-return]  # info holds anything
    raw.execute("BEGIN")
    try:
        rows = _through(plain_sql.of_sqlite(raw))
    finally:
        raw.execute("ROLLBACK")
    connection.info[READ_BEFORE] = version, rows
    return rows


def _through(select: Select) -> FrontPageRows:
    settings = tuple(select(preferences.STORED))
    limit = preferences.from_rows(settings).per_page
    return FrontPageRows(settings, tuple(select(public_comments.NEWEST_PUBLISHED, most=limit + 1)))


GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"  # no name, no time, no system


class GzipParts:
    """The compressed beginning and end. No part refers back into another, so each stands on its own."""

    def __init__(self, beginning: bytes, end: bytes, level: int) -> None:
        self._level = level
        self._end, self._checksum, self._size = end, zlib.crc32(beginning), len(beginning) + len(end)
        self._small_beginning = self._compress(beginning, zlib.Z_FULL_FLUSH)
        self._small_end = self._compress(end, zlib.Z_FINISH)

    def around(self, middle: bytes) -> bytes:
        """Return the whole text, compressed."""
        checksum = zlib.crc32(self._end, zlib.crc32(middle, self._checksum))
        size = (self._size + len(middle)) & 0xFFFFFFFF
        small_middle = self._compress(middle, zlib.Z_FULL_FLUSH)
        trailer = struct.pack("<LL", checksum, size)
        return b"".join((GZIP_HEADER, self._small_beginning, small_middle, self._small_end, trailer))

    def _compress(self, part: bytes, ending: int) -> bytes:
        compressor = zlib.compressobj(self._level, zlib.DEFLATED, -zlib.MAX_WBITS)
        return compressor.compress(part) + compressor.flush(ending)


KEEP_SECONDS = 60.0
MOST_KEPT = 64
# What a kept page, or the notes about the way that its request came, may depend on.
DIFFERING = (
    *("SCRIPT_NAME", "HTTP_ACCEPT_LANGUAGE", "HTTP_ACCEPT_ENCODING"),
    *("HTTP_HOST", "HTTP_X_FORWARDED_HOST", "wsgi.url_scheme", "HTTP_X_FORWARDED_PROTO"),
)
UNUSUAL_HEADERS = (
    *("HTTP_COOKIE", "HTTP_RANGE"),
    *("HTTP_IF_MATCH", "HTTP_IF_UNMODIFIED_SINCE", "HTTP_IF_MODIFIED_SINCE"),
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
    until: float
    headers: list[tuple[str, str]]
    tag: str  # the ETag without its quotes
    body: Callable[[bytes], bytes]  # It takes the token.


class FrontPages:
    """The application, behind the pages that are kept."""

    def __init__(self, app: Flask, engine: Engine) -> None:
        self._app, self._config = app.wsgi_app, app.config
        settings: Settings = app.config["GUESTBOOK"]
        self._token = partial(visitor_tokens.signed, settings.signing_keys)
        self._engine = engine
        self._kept: dict[Key, KeptPage] = {}

    def __call__(self, environ: Environ, start: Start) -> Iterable[bytes]:
        """Answer one request."""
        is_page = environ["REQUEST_METHOD"] == "GET" and environ.get("PATH_INFO") == "/"
        is_usual = is_page and not environ.get("QUERY_STRING") and environ.keys().isdisjoint(UNUSUAL_HEADERS)
        if not is_usual or (rows := self._read(environ)) is None:
            return self._app(environ, start)
        key = *(environ.get(name, "") for name in DIFFERING), "HTTP_X_FORWARDED_FOR" in environ
        kept, now = self._kept.get(key), clock.now().timestamp()
        if kept and kept.rows == rows and kept.made_at <= now < kept.until:
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
            with engines.waiting(self._config["WAITS"]):  # A new connection waits as in a request.
                return read(self._engine)
        except sqlite3.Error:
            return None
        except SQLAlchemyError as error:
            if not getattr(error, "connection_invalidated", False):  # Else a new connection may work.
                environ[FAILED] = error  # A visitor must not wait twice.
            return None

    def _keep(self, key: Key, made: MadePage, headers: list[tuple[str, str]]) -> None:
        named = {name.lower(): value for name, value in headers}
        if made.parts is None or "set-cookie" in named or "etag" not in named:
            return
        before, after = made.parts
        is_packed = named.get("content-encoding") == response_headers.GZIP
        packed = GzipParts(before, after, response_headers.PAGE_LEVEL) if is_packed else None
        body = packed.around if packed else lambda middle: b"".join((before, middle, after))
        lasting = [one for one in headers if one[0].lower() not in ("content-length", "date")]
        tag = named["etag"].removeprefix("W/").strip('"')
        if key not in self._kept and len(self._kept) >= MOST_KEPT:
            # The one that was kept first. The copy is made at once, while no other thread adds one.
            self._kept.pop(next(iter(tuple(self._kept))), None)
        now = clock.now().timestamp()
        until = min(now + KEEP_SECONDS, (now // ETAG_SECONDS + 1) * ETAG_SECONDS)  # Then the ETag changes.
        self._kept[key] = KeptPage(made.rows, now, until, lasting, tag, body)

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
