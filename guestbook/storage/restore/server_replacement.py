"""Replaces a book on PostgreSQL or MariaDB, in one transaction that keeps all others from writing."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, delete
from sqlalchemy.pool import NullPool

from guestbook.lib.errors import Refused
from guestbook.lib.progress import Progress
from guestbook.settings import database_url
from guestbook.storage import database, database_errors, version_check
from guestbook.storage.copy import checksum, table_reader
from guestbook.storage.copy.checksum import Checksum
from guestbook.storage.copy.table_reader import PlainTable
from guestbook.storage.copy.target import REFUSALS, insert_rows
from guestbook.storage.database import Base
from guestbook.storage.database_errors import Fault, WrongVersion
from guestbook.storage.restore import staging
from guestbook.storage.restore.staging import StagedBook

NEWER_BOOK = (
    "The database holds a book of a newer program. Update the program, or name an empty database in "
    "GUESTBOOK_DATABASE_URL."
)


def replace(
    engine: Engine,
    staged_book: StagedBook,
    keep: Callable[[], Path],
    progress: Progress,
) -> dict[str, int]:
    """Let the tables have the rows of the staged book; return how many rows each has.

    `keep` makes the backup of what is there, if there are rows. Raises Refused, WrongVersion for a book that
    is older than the program, and what SQLAlchemy raises.
    """
    _make_tables(engine)
    plains = [table_reader.plain(table) for table in Base.metadata.sorted_tables]
    if engine.dialect.name != "postgresql":  # so that DELETE locks the gaps between rows, too
        engine = engine.execution_options(isolation_level="REPEATABLE READ")
    copy = create_engine(database_url.of_file(staged_book.path), poolclass=NullPool)
    with database.write(engine) as connection, database.alone(connection):
        if _emptied(connection, plains):
            present = keep()  # on another connection, which sees what was there before
            with closing(sqlite3.connect(staged_book.path, isolation_level=None)) as book:
                book.execute("ATTACH ? AS present", (str(present),))
                staging.continue_sequences(book, "main", "present")
        with progress("Restoring", 2 * sum(staged_book.rows.values())) as step, copy.connect() as source:
            return {plain.name: _fill(source, connection, plain, step) for plain in plains}


def _make_tables(engine: Engine) -> None:
    try:
        database.create_tables(engine)
    except WrongVersion as error:
        if error.fault is Fault.NEW_TABLES:
            raise Refused(NEWER_BOOK) from None
        raise
    version_check.require(engine)


def _emptied(connection: Connection, plains: list[PlainTable]) -> bool:
    """Delete all rows, so that nobody can insert any; say whether there were some."""
    if connection.dialect.name == "postgresql":
        names = ", ".join(plain.name for plain in plains)
        # A weaker lock would let others lock rows, and then both sides would wait.
        connection.exec_driver_sql(f"LOCK TABLE {names} IN EXCLUSIVE MODE")
    return sum([connection.execute(delete(plain.clause)).rowcount for plain in reversed(plains)]) > 0


def _fill(source: Connection, connection: Connection, table: PlainTable, step: Callable[[int], None]) -> int:
    """Copy a table's rows, read them again and compare; return how many there are."""
    written, again = Checksum(), Checksum()
    for rows in checksum.chunks(source, table, written):
        try:
            insert_rows(connection, table, rows)
        except REFUSALS as error:
            why = f"{table.name}: {database_errors.words(error)}"
            raise Refused(f"The database refuses a row of {why}. Nothing was changed.") from error
        step(len(rows))
    for rows in checksum.chunks(connection, table, again):
        step(len(rows))
    if again != written:
        raise Refused(f"The restored book differs from the backup in {table.name}. Nothing was changed.")
    return again.rows
