"""Stage the book of a backup, and put it in the file of a book on SQLite, which web servers may have open."""

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import Connection, Engine, event, inspect
from sqlalchemy.exc import DBAPIError

from guestbook.lib import clock, pass_lock
from guestbook.lib.errors import Refused
from guestbook.lib.progress import Progress
from guestbook.settings import Settings, database_url
from guestbook.storage import (
    SCHEMA,
    backup,
    backup_file,
    database,
    database_errors,
    engine_setup,
    schema_version,
)
from guestbook.storage.backup_file import BackupLabel, quoted
from guestbook.storage.copy.table_reader import MARKER
from guestbook.storage.database import VERSION_TABLE
from guestbook.storage.schema_version import Age

COPY_ADVICE = (
    "If it is a copy of a book's database, make a backup of that folder first: the page on backups says how."
)
TOO_OLD = (
    "{} is of version {}, and this program restores backups of version {} and later only: the page on "
    "upgrades says what to do."
)
STAGING_FOLDER = "restore.unfinished"  # in the data folder
COPY, BOOK = "backup.db", "book.db"  # in that one


@dataclass(frozen=True, slots=True)
class StagedBook:
    """A book that is ready to be put in place, and the label of its backup."""

    path: Path
    label: BackupLabel

    @property
    def rows(self) -> dict[str, int]:
        """Return how many rows each table has in the backup."""
        return {name: one.rows for name, one in self.label.tables.items()}


@contextmanager
def staged(settings: Settings, file: Path) -> Iterator[StagedBook]:
    """Verify a backup and make a book of it, which is gone at the end; raises Refused."""
    folder = settings.data_dir / STAGING_FOLDER
    with pass_lock.taken(settings.data_dir / pass_lock.RESTORE) as is_alone:
        if not is_alone:
            raise Refused("Another restore is at work.")
        try:
            label = _copied(file, folder)
            _build(settings, folder, label)
            with closing(sqlite3.connect(folder / BOOK)) as raw, raw:
                raw.execute("DELETE FROM settings WHERE name = ?", (MARKER,))  # it is a book, and no copy
            yield StagedBook(folder / BOOK, label)
        except OSError as error:
            raise Refused(f"{file} cannot be restored: {error.strerror}. Nothing was changed.") from None
        finally:
            with suppress(OSError):
                _remove(folder)


def hold(staged_book: StagedBook) -> int:
    """Disable all webhooks before the book is put in place; return how many were enabled."""
    with closing(sqlite3.connect(staged_book.path)) as book, book:
        change = "UPDATE webhooks SET disabled_at = ?, disabled_reason = 'by_hand' WHERE disabled_at IS NULL"
        return book.execute(change, (clock.to_text(clock.now()),)).rowcount


def continue_sequences(book: sqlite3.Connection, staged: str, present: str) -> None:
    """Let the staged book count the events about each comment on from where the present one is.

    A receiver may ignore a number that it has seen. Both are names of databases on the connection.
    """
    last = f"SELECT last_sequence FROM {present}.comments AS now WHERE now.id = comments.id"
    book.execute(
        f"UPDATE {staged}.comments SET last_sequence = ({last})"
        f" WHERE EXISTS ({last} AND now.last_sequence > comments.last_sequence)"
    )


def _copied(file: Path, folder: Path) -> BackupLabel:
    """Copy the file, and verify the copy: nobody changes that afterwards."""
    if not file.is_file():
        raise Refused(f"There is no file {file}.")
    if not backup_file.is_backup(file):
        advice = f" {COPY_ADVICE}" if backup_file.is_database(file) else ""
        raise Refused(f"{file} is not a backup of a guestbook.{advice}")
    if folder.exists():
        _remove(folder)  # of a run that was killed
    folder.mkdir(mode=0o700)
    copy = folder / COPY
    shutil.copyfile(file, copy)
    label = backup_file.verify(copy, file)
    age = schema_version.age([label.schema])
    if age is Age.TOO_OLD:
        raise Refused(TOO_OLD.format(file, label.schema, schema_version.known()[0]))
    if age is Age.NEWER:
        raise Refused(f"{file} is from a newer version of the program ({label.program}). Update it first.")
    return label


def _remove(folder: Path) -> None:
    """Remove the folder with what a restore puts there, and no other file; raises OSError for a link."""
    for name in () if folder.is_symlink() else (COPY, BOOK):
        backup.remove(folder / name)
    folder.rmdir()


def _build(settings: Settings, folder: Path, label: BackupLabel) -> None:
    """Bring the copy to the program's version, and make a book with new tables of its rows."""
    copy, book = (
        replace(settings, database_url=f"{database_url.of_file(folder / name)}?journal_mode=delete")
        for name in (COPY, BOOK)
    )
    try:
        if label.schema != schema_version.head():
            from guestbook.storage import upgrade  # here: Alembic makes a start slower

            upgrade.migrate(copy, label.schema)
        _fill_staged(book, folder / COPY)
    except DBAPIError as error:
        raise Refused(f"The backup cannot be restored: {database_errors.words(error)}.") from error


def _fill_staged(book: Settings, copy: Path) -> None:
    """Copy all rows of the tables that both have to new tables."""

    def attach(raw: sqlite3.Connection, _record: object) -> None:
        raw.execute("PRAGMA foreign_keys = OFF")
        raw.execute("ATTACH ? AS backup", (str(copy),))

    with engine_setup.opened(book) as engine:
        database.create_tables(engine)
        engine.dispose()
        event.listen(engine, "connect", attach)
        with database.write(engine) as connection:
            seen = inspect(connection)
            there = set(seen.get_table_names(schema="backup"))
            for table in sorted((set(seen.get_table_names()) & there) - {VERSION_TABLE}):
                old = {one["name"] for one in seen.get_columns(table, schema="backup")}
                names = quoted([one["name"] for one in seen.get_columns(table) if one["name"] in old])
                connection.exec_driver_sql(
                    f'INSERT INTO main."{table}" ({names}) SELECT {names} FROM backup."{table}"'
                )


TABLES_OF = (
    "SELECT name FROM {}.sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
)


def replace_on_sqlite(
    engine: Engine,
    staged_book: StagedBook,
    keep: Callable[[], object],
    progress: Progress,
) -> dict[str, int]:
    """Let the file have the tables and rows of the staged book; return how many rows each table has.

    `keep` makes the backup of what is there, if there are rows. Raises Refused, and what SQLAlchemy raises.
    """

    def attach(raw: sqlite3.Connection, _record: object) -> None:
        raw.execute("PRAGMA foreign_keys = OFF")
        raw.execute("ATTACH ? AS staged", (str(staged_book.path),))

    event.listen(engine, "connect", attach)
    try:
        with database.write(engine) as connection:
            if _has_rows(connection):
                keep()
                continue_sequences(engine_setup.sqlite_connection(connection), "staged", "main")
            _make_anew(connection)
            names = _tables(connection, "staged")
            with progress("Restoring", sum(staged_book.rows.values())) as step:
                return {name: _fill(connection, name, step) for name in names}
    finally:
        event.remove(engine, "connect", attach)
        engine.dispose()


def _tables(connection: Connection, of: str) -> list[str]:
    return list(connection.exec_driver_sql(TABLES_OF.format(of)).scalars())


def _has_rows(connection: Connection) -> bool:
    names = set(_tables(connection, "main")) - {VERSION_TABLE}
    return any(connection.exec_driver_sql(f'SELECT 1 FROM main."{name}" LIMIT 1').first() for name in names)


def _make_anew(connection: Connection) -> None:
    """Replace all tables: those of another version, and of a backup that was put here by hand, may differ."""
    for name in _tables(connection, "main"):
        connection.exec_driver_sql(f'DROP TABLE IF EXISTS main."{name}"')
    connection.exec_driver_sql("PRAGMA main.application_id = 0")
    for statement in database.statements(SCHEMA.read_text()):
        connection.exec_driver_sql(statement)


def _fill(connection: Connection, name: str, step: Callable[[int], None]) -> int:
    """Copy a table's rows, and compare; return how many there are."""
    raw = engine_setup.sqlite_connection(connection)
    columns = [row[1] for row in raw.execute(f'PRAGMA main.table_info("{name}")')]
    if name != VERSION_TABLE:  # schema.sql has filled it
        names = quoted(columns)
        connection.exec_driver_sql(f'INSERT INTO main."{name}" ({names}) SELECT {names} FROM staged."{name}"')
    found = backup_file.table_sum(raw, name, columns)
    if found != backup_file.table_sum(raw, name, columns, of="staged"):
        raise Refused(f"The restored book differs from the backup in {name}. Nothing was changed.")
    step(found.rows)
    return found.rows
