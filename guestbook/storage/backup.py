"""A backup: the book, from whatever database, as one SQLite file with the rows of one moment.

First comes the copy of an SQLite file, then `write`, then which older backups go.
"""

import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import cast

from sqlalchemy import Engine, create_engine
from sqlalchemy.pool import NullPool

from guestbook.lib import VERSION, clock, encryption, files, pass_lock
from guestbook.lib.errors import Refused
from guestbook.lib.own_process import Progress, in_silence
from guestbook.settings import Settings, database_url
from guestbook.storage import (
    backup_file,
    database,
    database_errors,
    engine_setup,
    schema_version,
    sqlite_setup,
)
from guestbook.storage.backup_file import BackupLabel, DamagedFile
from guestbook.storage.database_errors import WrongVersion
from guestbook.storage.schema_version import Age

STEP_PAGES = 250  # pages of 4 KiB, after which the progress bar moves


def copy_pages(engine: Engine, copy: sqlite3.Connection, progress: Progress) -> None:
    """Copy the book to an empty file as it is at one moment, with all tables that are there.

    With a write-ahead log nobody waits; without it, writers do.
    """
    with closing(engine.raw_connection()) as pooled:
        book = cast(sqlite3.Connection, pooled.dbapi_connection)
        try:
            book.execute("BEGIN")
            (pages,) = book.execute("PRAGMA page_count").fetchone()
            book.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchall()
        except sqlite3.OperationalError as error:
            raise database_errors.from_sqlite(error) from error
        with progress("Backing up", pages) as advance:
            left = pages

            def step(_status: int, remaining: int, _total: int) -> None:
                nonlocal left
                advance(left - remaining)
                left = remaining

            try:
                book.backup(copy, pages=STEP_PAGES, progress=step)
            finally:
                book.execute("ROLLBACK")
    copy.execute("PRAGMA journal_mode = DELETE")  # the copy comes without a write-ahead log


OWN_FOLDER = "backups"  # the folder of backups from before an upgrade or a restore
NOTHING = "Nothing was changed."
UNFINISHED = ".unfinished"  # the end of the name of a file that is being written
JOURNALS = ("", "-journal", "-wal", "-shm")  # SQLite may have put these beside it
BACKUP_WAIT = 60.0  # seconds for another backup of the same book


@dataclass(frozen=True, slots=True)
class BackupReport:
    """The file, and how many rows each table has in it."""

    path: Path
    rows: dict[str, int]


def write(settings: Settings, path: Path, *, progress: Progress = in_silence) -> BackupReport:
    """Write the book of the settings to a file, which appears at its path when it is whole and verified.

    It works while the book is in use. An earlier backup at the path is replaced. Raises Refused, WrongVersion
    for a book that is too old, or on a server and newer than the program, and what SQLAlchemy raises for the
    book's database.
    """
    path = path.parent.resolve() / path.name
    unfinished = path.with_name(path.name + UNFINISHED)
    with pass_lock.taken(settings.data_dir / pass_lock.BACKUP, patience=BACKUP_WAIT) as is_alone:
        if not is_alone:
            raise Refused("Another backup of this book is at work. Run this again when it is done.")
        with _in_one_sentence(path):
            _refuse_other_files(settings, path)
            try:
                with _damage_of_book(settings):
                    label = _written(settings, unfinished, progress)
                _refuse_other_files(settings, path)
                _keep(unfinished, path)
            finally:
                remove(unfinished)
    return BackupReport(path, {name: one.rows for name, one in label.tables.items()})


def own_path(settings: Settings, name: str) -> Path:
    """Return a path in the data folder, backups/NAME-20260131T235959.123Z.db; raises Refused."""
    folder = settings.data_dir / OWN_FOLDER
    moment = clock.to_text(clock.now()).replace("-", "").replace(":", "")
    path = folder / f"{name}-{moment}.db"
    with _in_one_sentence(path):
        folder.mkdir(mode=0o700, exist_ok=True)
        for left in folder.glob(f"*.db{UNFINISHED}"):
            remove(left)  # a killed run has left it
    return path


def remove(unfinished: Path) -> None:
    """Remove what a backup or a restore was writing, with what SQLite put beside it."""
    for end in JOURNALS:
        unfinished.with_name(unfinished.name + end).unlink(missing_ok=True)


@contextmanager
def _in_one_sentence(path: Path) -> Iterator[None]:
    """Say why the file cannot be written; errors of the book's database come as SQLAlchemy's."""
    try:
        yield
    except OSError as error:
        raise Refused(f"The backup cannot be written to {path} ({error.strerror}). {NOTHING}") from error
    except sqlite3.Error as error:
        raise Refused(f"The backup cannot be written to {path} ({error}). {NOTHING}") from error


@contextmanager
def _damage_of_book(settings: Settings) -> Iterator[None]:
    """Raise what is damaged in the copy of SQLite's pages as the error of the book, which had it first."""
    try:
        yield
    except DamagedFile as error:
        if not settings.on_sqlite:
            raise
        raise database_errors.damage(error.words) from error
    except sqlite3.DatabaseError as error:
        if not settings.on_sqlite or sqlite_setup.primary_code(error) not in database_errors.SQLITE_DAMAGED:
            raise
        raise database_errors.damage(str(error)) from error


def _refuse_other_files(settings: Settings, path: Path) -> None:
    """Refuse to overwrite what is no backup, and the book itself."""
    files.refuse_link(path)
    if not path.exists():
        return
    book = database_url.plain_path(settings.database_url)
    is_book = book is not None and path == (settings.data_dir / book).resolve()
    if is_book or not path.is_file() or not backup_file.is_backup(path):
        raise Refused(f"{path} is there already, and is not a backup of a guestbook. Name another file.")


def _written(settings: Settings, unfinished: Path, progress: Progress) -> BackupLabel:
    """Write the file, read all of it again, and return what it says of itself."""
    remove(unfinished)  # a killed run has left it
    made_at, kind = clock.now(), "sqlite"
    with engine_setup.opened(settings) as engine:
        _require_book(engine)
        unfinished.touch(0o600, exist_ok=False)  # it has the secrets of the book
        with closing(sqlite3.connect(unfinished)) as copy:
            copy.execute("PRAGMA synchronous = OFF")  # _keep waits for the disk, once
            if settings.on_sqlite:
                copy_pages(engine, copy, progress)
            else:
                kind = backup_file.copy_tables(engine, copy, progress)
    schema = _version(unfinished)
    with closing(sqlite3.connect(unfinished)) as copy, copy:
        key_id = encryption.key_id_of(settings.secret_key)
        label = BackupLabel(made_at, schema, VERSION, kind, key_id, backup_file.sums(copy))
        backup_file.add_label(copy, label)
    return backup_file.verify(unfinished, unfinished)


def _require_book(engine: Engine) -> None:
    """Raise the database's error where there is no book, and WrongVersion if its tables are not all known."""
    age = schema_version.age(database.stored_version(engine))
    if age is Age.TOO_OLD or (age is Age.NEWER and engine.dialect.name != "sqlite"):
        raise WrongVersion(database.VERSION_FAULTS[age])


def _version(copy: Path) -> str:
    return database.stored_version(create_engine(database_url.of_file(copy), poolclass=NullPool))[0]


def _keep(unfinished: Path, path: Path) -> None:
    """Give the file its name once it is on the disk."""
    _wait_for_disk(unfinished)
    unfinished.replace(path)
    with suppress(OSError):  # not every file system can do it for folders
        _wait_for_disk(path.parent)


def _wait_for_disk(place: Path) -> None:
    descriptor = os.open(place, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


NAME_IN_FOLDER = "guestbook.db"  # the name of a backup for which only a folder was named
TIME_FORMAT = "%Y%m%dT%H%M%SZ"
TIME_IN_NAME = r"\d{8}T\d{6}Z"


def dated(path: Path, now: datetime) -> Path:
    """Add the time to a name: `book.db` becomes `book-20260131T235959Z.db`."""
    path = path / NAME_IN_FOLDER if path.is_dir() else path
    return path.with_name(f"{path.stem}-{now:{TIME_FORMAT}}{path.suffix}")


def remove_older(settings: Settings, newest: Path, keep: int) -> list[Path]:
    """Remove all but so many of the backups named like the newest one; return those that were removed.

    Files that are no backups stay, and so does the book. Raises Refused.
    """
    name = re.escape(newest.name)
    alike = re.compile(re.sub(TIME_IN_NAME, lambda _: TIME_IN_NAME, name))
    book = database_url.plain_path(settings.database_url)
    removed = []
    try:
        files = sorted(path for path in newest.parent.iterdir() if alike.fullmatch(path.name))
        plain = [path for path in files if path.is_file() and not path.is_symlink()]
        ours = [path for path in plain if backup_file.is_backup(path)]
        for path in ours[:-keep]:
            if book is None or path.resolve() != (settings.data_dir / book).resolve():
                path.unlink()
                removed.append(path)
        _remove_unfinished(newest, alike)
    except OSError as error:
        raise Refused(f"Older backups in {newest.parent} cannot be removed: {error.strerror}.") from None
    return removed


def _remove_unfinished(newest: Path, alike: re.Pattern[str]) -> None:
    """Remove what backups left that were killed."""
    for path in newest.parent.glob(f"*{UNFINISHED}"):
        if alike.fullmatch(path.name.removesuffix(UNFINISHED)):
            remove(path)
