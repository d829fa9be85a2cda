"""Replaces a book on SQLite in its file, which web servers may have open."""

import sqlite3
from collections.abc import Callable

from sqlalchemy import Connection, Engine, event

from guestbook.lib.errors import Refused
from guestbook.lib.progress import Progress
from guestbook.storage import SCHEMA, backup_file, database, plain_statement
from guestbook.storage.backup_file import quoted
from guestbook.storage.restore import staging
from guestbook.storage.restore.staging import StagedBook
from guestbook.storage.version_check import VERSION_TABLE

TABLES_OF = (
    "SELECT name FROM {}.sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
)


def replace(
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
                staging.continue_sequences(plain_statement.raw(connection), "staged", "main")
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
    raw = plain_statement.raw(connection)
    columns = [row[1] for row in raw.execute(f'PRAGMA main.table_info("{name}")')]
    if name != VERSION_TABLE:  # schema.sql has filled it
        names = quoted(columns)
        connection.exec_driver_sql(f'INSERT INTO main."{name}" ({names}) SELECT {names} FROM staged."{name}"')
    found = backup_file.table_sum(raw, name, columns)
    if found != backup_file.table_sum(raw, name, columns, of="staged"):
        raise Refused(f"The restored book differs from the backup in {name}. Nothing was changed.")
    step(found.rows)
    return found.rows
