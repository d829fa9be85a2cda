"""A backup: the book, from whatever database, as one SQLite file with the rows of one moment.

First comes the file itself. It has the tables of a book, and one that says what is in them. The number in
its header tells a backup from other files, also from a book on SQLite. Then come `write`, and which older
backups go.
"""

import hashlib
import json
import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from sqlite3 import SQLITE_CORRUPT
from typing import cast

from sqlalchemy import Engine, MetaData
from sqlalchemy.exc import DBAPIError

from guestbook.lib import VERSION, clock, encryption, files, locks
from guestbook.lib.current_process import Progress, in_silence
from guestbook.lib.errors import Refused
from guestbook.lib.text import counted
from guestbook.settings import Settings, database_url
from guestbook.storage import database, database_errors, engines, schema_version, sqlite_file, table_copy
from guestbook.storage.database import VERSION_TABLE, Base
from guestbook.storage.database_errors import WrongVersion
from guestbook.storage.schema_version import Age
from guestbook.storage.table_copy import Checksum

APPLICATION_ID = 0x47426B70  # "GBkp"; https://www.sqlite.org/fileformat.html#application_id
SQLITE_HEAD = b"SQLite format 3\0"
FILE_HEADER = 100  # bytes; four of them have the number
ID_PLACE = slice(68, 72)
LABEL_TABLE = "backup"
LABEL_FORMAT = 2  # the first one had the secret key itself
OWN_TABLES = """
    SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
    AND name <> 'backup' AND sql NOT LIKE 'CREATE VIRTUAL%' ORDER BY name
"""


class DamagedFile(Refused):
    """SQLite cannot read all of a backup; `words` say why."""

    def __init__(self, name: Path, words: str) -> None:
        super().__init__(f"{name} is a damaged backup: {words}.")
        self.words = words


@dataclass(frozen=True, slots=True)
class BackupLabel:
    """What a backup says of itself. `kind` is the database that the book was on.

    `key_id` names the secret key that encrypts its secrets.
    """

    made_at: datetime
    schema: str
    program: str
    kind: str
    key_id: str
    tables: dict[str, Checksum]

    @property
    def rows(self) -> dict[str, int]:
        """Return how many rows each table has."""
        return {name: one.rows for name, one in self.tables.items()}


def is_backup(path: Path) -> bool:
    """Whether the file calls itself a backup of a guestbook; raises OSError."""
    with path.open("rb") as file:
        head = file.read(FILE_HEADER)
    return head.startswith(SQLITE_HEAD) and head[ID_PLACE] == APPLICATION_ID.to_bytes(4, "big")


def verify(path: Path, name: Path) -> BackupLabel:
    """Read a whole backup and return its label; raises Refused, with this name of the file."""
    try:
        # Nobody writes to it, and the disk may be read-only.
        with closing(sqlite3.connect(sqlite_file.uri_of_fixed(path), uri=True)) as connection:
            found = str(connection.execute("PRAGMA integrity_check(1)").fetchone()[0])
            if found != "ok":
                raise ValueError(found.splitlines()[-1])
            label = _label(connection)
            now = _sums(connection)
    except (sqlite3.Error, ValueError, KeyError, TypeError) as error:
        raise DamagedFile(name, str(error)) from None
    wrong = sorted(table for table in label.tables.keys() | now if label.tables.get(table) != now.get(table))
    if wrong:
        raise Refused(f"{name} was changed or damaged after it was made, in {', '.join(wrong)}.")
    return label


def table_sum(
    connection: sqlite3.Connection, table: str, columns: Sequence[str] = (), *, of: str = "main"
) -> Checksum:
    """Read all rows of a table, or of those of the database attached by that name."""
    factory, connection.text_factory = connection.text_factory, bytes  # not all text need be UTF-8
    found = Checksum()
    try:
        for row in connection.execute(f'SELECT {quoted(columns)} FROM {of}."{table}"'):
            found.add(repr(row).encode())
    finally:
        connection.text_factory = factory
    return found


def quoted(columns: Sequence[str]) -> str:
    """Return the columns as SQL wants them; all of them when none is named."""
    return ", ".join(f'"{name}"' for name in columns) or "*"


def _sums(connection: sqlite3.Connection) -> dict[str, Checksum]:
    """Read all rows of all tables but the label's."""
    return {name: table_sum(connection, name) for (name,) in connection.execute(OWN_TABLES).fetchall()}


def _label(connection: sqlite3.Connection) -> BackupLabel:
    """Read the label; raises ValueError, KeyError or TypeError."""
    rows = connection.execute(f"SELECT label, checksum FROM {LABEL_TABLE}").fetchall()
    if len(rows) != 1 or _sha256(str(rows[0][0])) != rows[0][1]:
        raise ValueError("its label was changed")
    found = json.loads(rows[0][0])
    if found.pop("format") > LABEL_FORMAT:
        raise ValueError("a newer program made it")
    if key := found.pop("secret_key", None):
        found["key_id"] = encryption.key_id_of(key)
    found["made_at"] = clock.from_text(found["made_at"])
    sums = {name: Checksum(one["rows"], int(one["checksum"], 16)) for name, one in found["tables"].items()}
    return BackupLabel(**found | {"tables": sums})


def _add_label(copy: sqlite3.Connection, made_at: datetime, kind: str, key_id: str) -> None:
    """Make a backup of a copy of the tables, in the caller's transaction."""
    (schema,) = copy.execute(schema_version.QUERY).fetchone()
    sums = {name: {"rows": one.rows, "checksum": str(one)} for name, one in _sums(copy).items()}
    label = {"format": LABEL_FORMAT, "made_at": clock.to_text(made_at), "schema": schema, "program": VERSION}
    text = json.dumps({**label, "kind": kind, "key_id": key_id, "tables": sums})
    copy.execute(f"DROP TABLE IF EXISTS {LABEL_TABLE}")  # a backup that was put in place as a book has one
    copy.execute(f"CREATE TABLE {LABEL_TABLE} (label TEXT NOT NULL, checksum TEXT NOT NULL)")
    copy.execute(f"INSERT INTO {LABEL_TABLE} VALUES (?, ?)", (text, _sha256(text)))
    copy.execute(f"PRAGMA application_id = {APPLICATION_ID}")


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


OWN_FOLDER = "backups"  # the folder of backups from before an upgrade or a restore
NOTHING = "Nothing was changed."
WAITING = "SELECT count(*) FROM deliveries WHERE status = 'new'"
UNFINISHED = ".unfinished"  # the end of the name of a file that is being written
JOURNALS = ("", "-journal", "-wal", "-shm")  # SQLite may have put these beside it
BACKUP_WAIT = 60.0  # seconds for another backup of the same book
STEP_PAGES = 250  # pages of 4 KiB, after which the progress bar moves


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
    with locks.taken(settings.data_dir / locks.BACKUP, patience=BACKUP_WAIT) as is_alone:
        if not is_alone:
            raise Refused("Another backup of this book is at work. Run this again when it is done.")
        with _in_one_sentence(path):
            _refuse_other_files(settings, path)
            try:
                with _damage_of_book(settings):
                    label = _written(settings, unfinished, progress)
                _refuse_other_files(settings, path)
                files.sync(unfinished)
                unfinished.replace(path)
                files.sync_folder(path.parent)
            finally:
                remove(unfinished)
    return BackupReport(path, label.rows)


@dataclass(frozen=True, slots=True)
class FoundBackup:
    """A file in the data folder that calls itself a backup. Without a label it cannot be restored.

    `waiting` is how many deliveries it has to send.
    """

    size: int
    label: BackupLabel | None = None
    waiting: int = 0

    @property
    def contents(self) -> str:
        """Return how many rows it has, in words."""
        return contents(self.label.rows) if self.label else ""


def find(settings: Settings) -> dict[str, FoundBackup]:
    """Return the backups that lie in the data folder by their paths from there, the newest first."""
    data_dir, found = settings.data_dir, dict[str, FoundBackup]()
    for path in [*data_dir.glob("*.db"), *(data_dir / OWN_FOLDER).glob("*.db")]:
        # The book is not opened: closing it again would let go of the locks that this process holds on it.
        if not path.is_symlink() and path.is_file() and not _is_book(settings, path) and is_backup(path):
            found[path.relative_to(data_dir).as_posix()] = _found(path)
    moments = {name: one.label.made_at if one.label else clock.LONG_AGO for name, one in found.items()}
    return dict(sorted(found.items(), key=lambda item: moments[item[0]], reverse=True))


def _found(path: Path) -> FoundBackup:
    """Read the label alone; `verify` reads all."""
    size = path.stat().st_size
    try:
        with closing(sqlite3.connect(sqlite_file.uri_of_fixed(path), uri=True)) as connection:
            label = _label(connection)
            (waiting,) = connection.execute(WAITING).fetchone()
    except (sqlite3.Error, ValueError, KeyError, TypeError):
        return FoundBackup(size)
    return FoundBackup(size, label, waiting)


def contents(rows: dict[str, int]) -> str:
    """Return how many rows a book has, in words."""
    nouns = (("comment", "comments"), ("webhook", "webhooks"), ("delivery", "deliveries"))
    parts = [counted(rows.get(many, 0), one, many) for one, many in nouns]
    return f"{', '.join(parts)}, {counted(sum(rows.values()), 'row')} in all"


def own_path(settings: Settings, name: str) -> Path:
    """Return a path in the data folder, backups/NAME-20260131T235959.123Z.db; raises Refused."""
    folder = settings.data_dir / OWN_FOLDER
    moment = clock.to_text(clock.now()).replace("-", "").replace(":", "")
    path = folder / f"{name}-{moment}.db"
    with _in_one_sentence(path):
        folder.mkdir(mode=0o700, exist_ok=True)
        files.sync_folder(folder.parent)
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
    except (OSError, sqlite3.Error) as error:
        why = getattr(error, "strerror", None) or error
        raise Refused(f"The backup cannot be written to {path} ({why}). {NOTHING}") from error


@contextmanager
def _damage_of_book(settings: Settings) -> Iterator[None]:
    """Raise what is damaged in the copy of SQLite's pages as the error of the book, which had it first."""
    try:
        yield
    except (DamagedFile, sqlite3.DatabaseError) as error:
        code = SQLITE_CORRUPT if isinstance(error, DamagedFile) else sqlite_file.primary_code(error)
        if not settings.on_sqlite or code not in database_errors.SQLITE_DAMAGED:
            raise
        fault = sqlite3.DatabaseError(getattr(error, "words", str(error)))
        fault.sqlite_errorcode = SQLITE_CORRUPT
        raise database_errors.from_sqlite(fault) from error


def _refuse_other_files(settings: Settings, path: Path) -> None:
    """Refuse to overwrite what is no backup, and the book itself."""
    files.refuse_link(path)
    if path.exists() and (_is_book(settings, path) or not path.is_file() or not is_backup(path)):
        raise Refused(f"{path} is there already, and is not a backup of a guestbook. Name another file.")


def _is_book(settings: Settings, path: Path) -> bool:
    book = database_url.plain_path(settings.database_url)
    return book is not None and path.resolve() == (settings.data_dir / book).resolve()


def _written(settings: Settings, unfinished: Path, progress: Progress) -> BackupLabel:
    """Write the file, read all of it again, and return what it says of itself."""
    remove(unfinished)  # a killed run has left it
    made_at = clock.now()
    with engines.opened(settings) as engine:
        kind = engine.dialect.name
        age = schema_version.age(database.stored_version(engine))  # raises an error where there is no book
        if age is Age.TOO_OLD or (age is Age.NEWER and kind != "sqlite"):  # its tables are not all known
            raise WrongVersion(database.VERSION_FAULTS[age])
        unfinished.touch(0o600, exist_ok=False)  # it has the secrets of the book
        if settings.on_sqlite:
            copy_pages(engine, unfinished, progress)
        else:
            there = replace(settings, database_url=f"{database_url.of_file(unfinished)}?journal_mode=delete")
            _copy_tables(engine, there, progress)
    with closing(sqlite3.connect(unfinished)) as copy, copy:
        _add_label(copy, made_at, kind, encryption.key_id_of(settings.secret_key))
    return verify(unfinished, unfinished)


def copy_pages(engine: Engine, unfinished: Path, progress: Progress) -> None:
    """Copy the book to an empty file as it is at one moment, with all tables that are there.

    With a write-ahead log nobody waits; without it, writers do.
    """
    with closing(engine.raw_connection()) as pooled, closing(sqlite3.connect(unfinished)) as copy:
        copy.execute("PRAGMA synchronous = OFF")  # `write` waits for the disk, once
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


def _copy_tables(engine: Engine, there: Settings, progress: Progress) -> None:
    """Copy a book of any version from a server to an empty file, as it is at one moment.

    The file has columns and primary keys, and nothing else that guards or finds rows. The server's database
    may have other tables beside the book's.
    """
    found, known = MetaData(), {*Base.metadata.tables, VERSION_TABLE}
    try:
        with table_copy.snapshot(engine) as book, engines.opened(there) as file, database.write(file) as copy:
            found.reflect(book, only=lambda name, _metadata: name in known)
            tables = [table_copy.plain(table) for table in found.sorted_tables]
            with progress("Backing up", 2 * sum(table_copy.count(book, table) for table in tables)) as step:
                for table in tables:
                    columns = [
                        f'"{name}" {"INTEGER" if place in table.integers else "TEXT"}'
                        for place, name in enumerate(table.names)
                    ]
                    key = quoted([table.names[place] for place in table.key])
                    create = f'CREATE TABLE "{table.name}" ({", ".join(columns)}, PRIMARY KEY ({key}))'
                    copy.exec_driver_sql(create)
                    table_copy.copy(book, copy, table, step)
    except DBAPIError as error:
        if isinstance(error.orig, sqlite3.Error):  # of the file, not of the book
            raise error.orig from error
        raise


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
    try:
        files = sorted(path for path in newest.parent.iterdir() if alike.fullmatch(path.name))
        ours = [path for path in files if path.is_file() and not path.is_symlink() and is_backup(path)]
        removed = [path for path in ours[:-keep] if not _is_book(settings, path)]
        for path in removed:
            path.unlink()
        for path in newest.parent.glob(f"*{UNFINISHED}"):  # of backups that were killed
            if alike.fullmatch(path.name.removesuffix(UNFINISHED)):
                remove(path)
    except OSError as error:
        raise Refused(f"Older backups in {newest.parent} cannot be removed: {error.strerror}.") from None
    return removed
