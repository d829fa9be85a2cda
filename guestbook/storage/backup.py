"""A backup: the book, from whatever database, as one SQLite file that was read again and compared."""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Column, Connection, Integer, MetaData, String, Table, Text, create_engine
from sqlalchemy.pool import NullPool

from guestbook.lib.errors import Refused
from guestbook.settings import Settings
from guestbook.storage import engine_setup
from guestbook.storage.copy import checksum, table_reader
from guestbook.storage.copy.checksum import Checksum
from guestbook.storage.copy.table_reader import PlainTable
from guestbook.storage.copy.target import insert_rows

MOST_PAGES = 2000  # of SQLite, 4 KiB each, that are copied between two moves of the progress bar
UNFINISHED = ".unfinished"  # ends the name of a file that is being written

Advance = Callable[[int], None]
ShowProgress = Callable[[str, int], AbstractContextManager[Advance]]  # given what is done, and how much


@dataclass(frozen=True, slots=True)
class BackupReport:
    """The file, and how many rows each table has in it."""

    path: Path
    rows: dict[str, int]


@contextmanager
def in_silence(_label: str, _length: int) -> Iterator[Advance]:
    """Show no progress."""
    yield lambda _number: None


def write(settings: Settings, path: Path, *, progress: ShowProgress = in_silence) -> BackupReport:
    """Write the book of the settings to a new file, which appears at its path when it is whole and verified.

    It works on a book of any version, while the book is in use: the file has the rows of one moment. Raises
    Refused, also where there is no room, and what the book's database raises.
    """
    if path.exists():
        raise Refused(f"{path} is there already.")
    unfinished = path.with_name(path.name + UNFINISHED)
    try:
        rows = _write(settings, unfinished, progress)
        _keep(unfinished, path)
    except (sqlite3.Error, OSError) as error:
        raise Refused(f"The backup cannot be written to {path} ({error}). Nothing was changed.") from error
    finally:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
    return BackupReport(path, rows)


def _write(settings: Settings, path: Path, progress: ShowProgress) -> dict[str, int]:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.touch(0o600, exist_ok=False)  # it has the secrets of the webhooks
    with engine_setup.opened(settings) as engine, table_reader.snapshot(engine) as book:
        rows = (_copy_file if settings.on_sqlite else _copy_tables)(book, path, progress)
    _verify(path, rows)
    return rows


def _copy_file(book: Connection, path: Path, progress: ShowProgress) -> dict[str, int]:
    """Copy SQLite's pages as they are in the snapshot; return the number of rows of each table."""
    raw: Any = book.connection.dbapi_connection
    tables = book.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'table'").scalars().all()
    rows = {name: _count(raw, name) for name in tables}
    pages = int(book.exec_driver_sql("PRAGMA page_count").scalar_one())
    with progress("Backing up", pages) as step, closing(sqlite3.connect(path)) as copy:
        copy.execute("PRAGMA synchronous = OFF")  # `_keep` waits for the disk
        done = 0

        def show(_status: int, remaining: int, total: int) -> None:
            nonlocal done
            step(total - remaining - done)
            done = total - remaining

        raw.backup(copy, pages=MOST_PAGES, progress=show, sleep=0)
        copy.execute("PRAGMA journal_mode = DELETE")  # or the copy would come with a write-ahead log
    return rows


def _copy_tables(book: Connection, path: Path, progress: ShowProgress) -> dict[str, int]:
    """Copy the tables of a server as they are in the snapshot, and compare each row.

    The file has columns and primary keys, and nothing else that guards or finds rows.
    """
    reflected = MetaData()
    reflected.reflect(book)
    plains = [table_reader.plain(table) for table in reflected.sorted_tables]
    total = sum(table_reader.count(book, table) for table in plains)
    engine = create_engine(f"sqlite:///{path}", poolclass=NullPool)
    _like(reflected).create_all(engine)
    rows = {}
    with progress("Backing up", 2 * total) as step:
        for table in plains:
            written = Checksum()
            with engine.begin() as copy:
                for some in checksum.chunks(book, table, written):
                    insert_rows(copy, table, some)
                    step(len(some))
            with engine.connect() as copy:
                _compare(copy, table, written, step)
            rows[table.name] = written.rows
    return rows


def _like(reflected: MetaData) -> MetaData:
    """Return the tables with types that SQLite has."""
    plain = MetaData()
    for table in reflected.sorted_tables:
        columns = [
            Column(one.name, _type(one), primary_key=one.primary_key, nullable=one.nullable)
            for one in table.columns
        ]
        Table(table.name, plain, *columns)
    return plain


def _type(column: Column[Any]) -> Integer | String:
    if isinstance(column.type, Integer):
        return Integer()
    length = getattr(column.type, "length", None)
    return Text() if isinstance(column.type, Text) else String(length)


def _compare(copy: Connection, table: PlainTable, written: Checksum, step: Advance) -> None:
    """Read the copy again; raises Refused where it differs."""
    again = Checksum()
    for some in checksum.chunks(copy, table, again):
        step(len(some))
    if again != written:
        raise Refused(f"The backup differs from the book in {table.name}. Nothing was changed.")


def _verify(path: Path, rows: dict[str, int]) -> None:
    """Read the whole file; raises Refused if it is damaged or rows are missing."""
    with closing(sqlite3.connect(path)) as copy:
        said = copy.execute("PRAGMA integrity_check").fetchone()[0]
        if said != "ok" or any(_count(copy, name) != count for name, count in rows.items()):
            raise Refused(f"The backup {path} cannot be read again ({said}). Nothing was changed.")


def _count(connection: sqlite3.Connection, table: str) -> int:
    return int(connection.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0])


def _keep(unfinished: Path, path: Path) -> None:
    """Give the file its name once it is on the disk."""
    for place in (unfinished, path.parent):
        descriptor = os.open(place, os.O_RDONLY)
        os.fsync(descriptor)
        if place is unfinished:
            unfinished.rename(path)
        os.close(descriptor)
