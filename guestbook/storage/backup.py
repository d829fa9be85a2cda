"""A backup: the book, from whatever database, as one SQLite file with the rows of one moment."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine, create_engine
from sqlalchemy.pool import NullPool

from guestbook.lib import clock, encryption, file_replacement, pass_lock
from guestbook.lib.errors import Refused
from guestbook.lib.progress import Progress, in_silence
from guestbook.lib.version import VERSION
from guestbook.settings import Settings, database_url
from guestbook.storage import (
    backup_file,
    database_errors,
    engine_setup,
    page_copy,
    reflected_copy,
    schema_version,
    sqlite_setup,
    version_check,
)
from guestbook.storage.backup_file import BackupLabel, DamagedFile
from guestbook.storage.database_errors import WrongVersion
from guestbook.storage.schema_version import Age

OWN_FOLDER = "backups"  # in the data folder: those from before an upgrade or a restore
NOTHING = "Nothing was changed."
UNFINISHED = ".unfinished"  # ends the name of a file that is being written
JOURNALS = ("", "-journal", "-wal", "-shm")  # what SQLite may have put beside it
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
            remove(left)  # of a run that was killed
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
    file_replacement.refuse_link(path)
    if not path.exists():
        return
    book = database_url.plain_path(settings.database_url)
    is_book = book is not None and path == (settings.data_dir / book).resolve()
    if is_book or not path.is_file() or not backup_file.is_backup(path):
        raise Refused(f"{path} is there already, and is not a backup of a guestbook. Name another file.")


def _written(settings: Settings, unfinished: Path, progress: Progress) -> BackupLabel:
    """Write the file, read all of it again, and return what it says of itself."""
    remove(unfinished)  # of a run that was killed
    made_at, kind = clock.now(), "sqlite"
    with engine_setup.opened(settings) as engine:
        _require_book(engine)
        unfinished.touch(0o600, exist_ok=False)  # it has the secrets of the book
        with closing(sqlite3.connect(unfinished)) as copy:
            copy.execute("PRAGMA synchronous = OFF")  # _keep waits for the disk, once
            if settings.on_sqlite:
                page_copy.write(engine, copy, progress)
            else:
                kind = reflected_copy.write(engine, copy, progress)
    schema = _version(unfinished)
    with closing(sqlite3.connect(unfinished)) as copy, copy:
        key_id = encryption.key_id_of(settings.secret_key)
        label = BackupLabel(made_at, schema, VERSION, kind, key_id, backup_file.sums(copy))
        backup_file.add_label(copy, label)
    return backup_file.verify(unfinished, unfinished)


def _require_book(engine: Engine) -> None:
    """Raise the database's error where there is no book, and WrongVersion if its tables are not all known."""
    age = schema_version.age(version_check.read(engine))
    if age is Age.TOO_OLD or (age is Age.NEWER and engine.dialect.name != "sqlite"):
        raise WrongVersion(version_check.FAULTS[age])


def _version(copy: Path) -> str:
    return version_check.read(create_engine(database_url.of_file(copy), poolclass=NullPool))[0]


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
