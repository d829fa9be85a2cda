"""Whether anything can be stored. With a full or read-only disk, all pages can still be read."""

import secrets
import sqlite3

from sqlalchemy import Engine, func, insert, select, text
from sqlalchemy.exc import DBAPIError

from guestbook.lib import clock, ids
from guestbook.storage import database, database_errors, plain_sql, sqlite_file
from guestbook.storage.models import ATTEMPTS, DELIVERIES

TEST_ROW = text("INSERT INTO settings (name, value) VALUES (:name, :value)")
TEST_BYTES = 100_000  # bytes, most of which SQLite with a cache of one page writes before a commit
CACHE_KIB = -2000  # KiB, SQLite's default
ATTEMPT_BYTES = 16_384  # bytes of one with the longest answer
FIRST_NUMBER = 1_000_000  # the first number of a trial's attempts; no delivery has so many


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
            on_file = engine.dialect.name == "sqlite"
            raw = plain_sql.sqlite_connection(connection) if on_file else None
            if raw:
                raw.execute("PRAGMA cache_size = 1")
            try:
                row = {"name": f"try {ids.new()}", "value": "x" * (size if on_file else 1)}
                connection.execute(TEST_ROW, row)
                connection.rollback()
            finally:
                if raw:
                    raw.execute(f"PRAGMA cache_size = {CACHE_KIB}")
    except DBAPIError as failure:
        return None if is_busy(failure) else failure
    return None


def error_of_attempts(engine: Engine, size: int) -> DBAPIError | None:
    """Return the error of a trial to store attempts of so many bytes.

    A server's table keeps what it has taken from the disk, so only a trial in this table shows its room. The
    attempts are of the oldest delivery, which nobody has in hand. Their text cannot be compressed.
    """
    if engine.dialect.name == "sqlite":
        return error(engine, size)
    same = {"triggered_by": "schedule", "started_at": clock.now(), "milliseconds": 0, "request_headers": {}}
    try:
        with database.write(engine) as connection:
            if oldest := connection.scalar(select(func.min(DELIVERIES.c.id))):  # else nothing can be due
                same |= {"delivery_id": oldest}
                rows = [
                    {**same, "number": number, "response_body": secrets.token_hex(ATTEMPT_BYTES // 2)}
                    for number in range(FIRST_NUMBER, FIRST_NUMBER + size // ATTEMPT_BYTES)
                ]
                connection.execute(insert(ATTEMPTS), rows)
            connection.rollback()
    except DBAPIError as failure:
        return failure if database.is_away(failure) else None  # the delivery has just been pruned
    return None


def is_busy(failure: DBAPIError) -> bool:
    """Whether another process has SQLite's write lock, or another thread of ours."""
    said = failure.orig
    return sqlite_file.is_locked(said) if isinstance(said, sqlite3.Error) else isinstance(said, TimeoutError)
