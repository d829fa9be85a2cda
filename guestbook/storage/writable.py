"""Whether anything can be stored. With a full or read-only disk, all pages can still be read."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from guestbook.lib import ids
from guestbook.storage import database, database_errors, plain_statement, sqlite_setup

TEST_ROW = text("INSERT INTO settings (name, value) VALUES (:name, :value)")
TEST_BYTES = 100_000  # with a cache of one page SQLite must write most of it before a commit
CACHE_KIB = -2000  # KiB, SQLite's default


def why_not(engine: Engine) -> str | None:
    """Write a little and roll it back; return the database's words when that fails."""
    failure = error(engine)
    return database_errors.words(failure) if failure else None


def error(engine: Engine, size: int = TEST_BYTES) -> DBAPIError | None:
    """Return the error of a trial to write so many bytes, which a server is spared.

    Another writer at work is no problem; this does not wait for it.
    """
    try:
        with database.write(engine, lock_wait=0.0) as connection:
            value = "x" * (size if engine.dialect.name == "sqlite" else 1)
            with _small_cache(connection):
                connection.execute(TEST_ROW, {"name": f"try {ids.new()}", "value": value})
                connection.rollback()
    except DBAPIError as failure:
        return None if is_busy(failure) else failure
    return None


def is_busy(failure: DBAPIError) -> bool:
    """Whether another process has SQLite's write lock, or another thread of ours."""
    said = failure.orig
    if isinstance(said, sqlite3.Error):
        return sqlite_setup.is_locked(said)
    return isinstance(said, TimeoutError)


@contextmanager
def _small_cache(connection: Connection) -> Iterator[None]:
    if connection.engine.dialect.name != "sqlite":
        yield
        return
    raw = plain_statement.raw(connection)
    raw.execute("PRAGMA cache_size = 1")
    try:
        yield
    finally:
        raw.execute(f"PRAGMA cache_size = {CACHE_KIB}")
