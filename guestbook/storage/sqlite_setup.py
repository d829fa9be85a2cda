"""A connection to SQLite, without SQLAlchemy: its pragmas, its write lock, its write-ahead log."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from guestbook.storage.book_file import OpenFile

JOURNAL_LIMIT = 16 * 1024 * 1024  # bytes; a journal that has grown shrinks to it after a checkpoint
TAKE_TURN = "BEGIN IMMEDIATE"  # the statement with which a writer waits for the write lock
LOCK_POLL = 0.0005  # seconds between two tries; SQLite's own handler sleeps up to 0.1


def set_pragmas(connection: sqlite3.Connection, journal: str, read_wait: float) -> None:
    """Set up a new connection; it waits so many seconds for another one's commit."""
    set_busy_timeout(connection, read_wait)
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = FULL")  # what is stored survives a power cut
    connection.execute(f"PRAGMA journal_size_limit = {JOURNAL_LIMIT}")
    connection.execute("PRAGMA secure_delete = ON")  # deleted data is overwritten, not just left unused
    if connection.execute("PRAGMA journal_mode").fetchone()[0] != journal:
        set_journal(connection, journal)
    connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchall()  # it opens the WAL, too


def set_journal(connection: sqlite3.Connection, journal: str) -> None:
    """Ask for a journal mode. On a file system without WAL, SQLite keeps its own, and both work."""
    try:
        connection.execute(f"PRAGMA journal_mode = {'DELETE' if journal == 'delete' else 'WAL'}")
    except sqlite3.OperationalError:
        return  # somebody is writing just now; the next connection asks again


def set_busy_timeout(connection: sqlite3.Connection, seconds: float) -> None:
    """Let statements wait so long for others."""
    connection.execute(f"PRAGMA busy_timeout = {round(seconds * 1000)}")


def begin_immediate(connection: sqlite3.Connection, deadline: float) -> None:
    """Take the write lock; raise SQLite's error at that moment of the monotonic clock."""
    set_busy_timeout(connection, 0)
    while True:
        try:
            connection.execute(TAKE_TURN)
            return
        except sqlite3.OperationalError as error:
            if not is_locked(error) or time.monotonic() > deadline:
                raise
            time.sleep(LOCK_POLL)


def clear_wal(connection: sqlite3.Connection) -> bool:
    """Empty the write-ahead log, which still holds deleted data; False while others read it."""
    set_busy_timeout(connection, 0)  # it must not wait for readers; each BEGIN sets its own
    try:
        return bool(connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0)
    except sqlite3.OperationalError:
        return False


def is_locked(error: sqlite3.Error) -> bool:
    """Whether another connection has the lock."""
    return primary_code(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def primary_code(error: sqlite3.Error) -> int:
    """Return the code without its extension: https://www.sqlite.org/rescode.html."""
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF


@contextmanager
def opened_plain(path: Path, wait: float) -> Iterator[tuple[sqlite3.Connection, dict[str, Any]]]:
    """Open a file that is there, and close it at the end; statements wait so many seconds for others.

    With it comes what `book_file.check` looks at. Raises sqlite3.Error.
    """
    file, info = OpenFile(str(path)), dict[str, Any]()
    uri = file.prepare(info)
    raw = sqlite3.connect(uri or path, timeout=wait, isolation_level=None, uri=bool(uri))
    with closing(raw) as connection:
        set_pragmas(connection, "wal", wait)
        file.note(info)
        yield connection, info
