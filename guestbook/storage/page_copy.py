"""Copies SQLite's pages with its online backup, https://www.sqlite.org/backup.html, while others write."""

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from typing import cast

from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from guestbook.lib.progress import Progress

STEP_PAGES = 250  # of 4 KiB each; a commit in rollback-journal mode waits for one step
STEP_PAUSE = 0.002  # seconds between two steps, for writers
MOST_RESTARTS = 3  # a commit of another process makes SQLite begin again
LOCK_PATIENCE = 20.0  # seconds without a page, because somebody keeps the lock


class TooManyRestarts(Exception):
    """Others write so often that the steps never finish."""


class StepWatch:
    """Looks at each step: moves the progress bar, and ends what does not get on."""

    def __init__(self, advance: Callable[[int], None]) -> None:
        self._advance = advance
        self._done = self._restarts = 0
        self._stuck_at = time.monotonic() + LOCK_PATIENCE

    def __call__(self, status: int, remaining: int, total: int) -> None:
        """Take what SQLite says after a step; raises TooManyRestarts, or OperationalError for a held lock."""
        done, before = total - remaining, self._done
        self._advance(done - before)
        self._done = done
        if done <= before and status == sqlite3.SQLITE_OK:
            self._restarts += 1
        if done != before:
            self._stuck_at = time.monotonic() + LOCK_PATIENCE
        if self._restarts > MOST_RESTARTS:
            raise TooManyRestarts
        if time.monotonic() > self._stuck_at:
            locked = sqlite3.OperationalError("database is locked")
            locked.sqlite_errorcode = sqlite3.SQLITE_BUSY
            raise OperationalError("backup", None, locked)
        time.sleep(STEP_PAUSE)


def write(
    engine: Engine,
    copy: sqlite3.Connection,
    progress: Progress,
) -> None:
    """Copy the book to an empty file as it is at one moment, with all tables that are there."""
    with closing(engine.raw_connection()) as pooled:
        book = cast(sqlite3.Connection, pooled.dbapi_connection)
        (pages,) = book.execute("PRAGMA page_count").fetchone()
        (mode,) = book.execute("PRAGMA journal_mode").fetchone()
        with progress("Backing up", pages) as advance:
            if mode == "wal" or not _in_steps(book, copy, advance):
                _in_one_transaction(book, copy, advance)
    copy.execute("PRAGMA journal_mode = DELETE")  # or the copy would come with a write-ahead log


def _in_steps(book: sqlite3.Connection, copy: sqlite3.Connection, advance: Callable[[int], None]) -> bool:
    """Copy some pages at a time, and let others write in between; say whether that came to an end."""
    (wait,) = book.execute("PRAGMA busy_timeout").fetchone()
    book.execute("PRAGMA busy_timeout = 0")  # a step that waits would keep the watch from looking
    try:
        book.backup(copy, pages=STEP_PAGES, progress=StepWatch(advance), sleep=STEP_PAUSE)
    except TooManyRestarts:
        return False
    finally:
        book.execute(f"PRAGMA busy_timeout = {wait}")
    return True


def _in_one_transaction(
    book: sqlite3.Connection, copy: sqlite3.Connection, advance: Callable[[int], None]
) -> None:
    """Copy what one transaction sees. With a write-ahead log nobody waits; without it, writers do."""
    book.execute("BEGIN")
    try:
        book.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchall()
        book.backup(copy, pages=STEP_PAGES, progress=StepWatch(advance), sleep=STEP_PAUSE)
    finally:
        book.execute("ROLLBACK")
