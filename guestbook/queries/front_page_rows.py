"""The rows behind the front page as the database gives them: the same tuples show that nothing has changed.

On SQLite the file is asked first whether anybody has changed it since; that takes a twentieth of reading.
"""

from contextlib import closing
from typing import Any, NamedTuple

from sqlalchemy import Engine
from sqlalchemy.pool import PoolProxiedConnection

from guestbook.queries import public_comments
from guestbook.storage import plain_sql, preferences, sqlite_setup
from guestbook.storage.plain_sql import Select

Rows = tuple[tuple[Any, ...], ...]
READ_BEFORE = "front page"  # under this key a connection of SQLite keeps what it has read, and when


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
    sqlite_setup.set_busy_timeout(raw, 0)
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
