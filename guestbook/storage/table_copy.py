"""Copy tables from one database to another: each value as it is stored, with a checksum of all rows.

`backup` and `restore` read and write rows with these. `migrate-to` is at the end.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sqlalchemy import (
    BigInteger,
    Connection,
    Engine,
    Integer,
    Table,
    TableClause,
    Text,
    column,
    event,
    exc,
    func,
    insert,
    inspect,
    select,
    table,
)
from sqlalchemy.exc import DBAPIError

from guestbook.lib import locks
from guestbook.lib.current_process import Progress, Step
from guestbook.lib.errors import Refused
from guestbook.settings import Settings
from guestbook.storage import database, database_errors, engines, plain_sql
from guestbook.storage.column_types import LONG_TEXT
from guestbook.storage.database import Base
from guestbook.storage.database_errors import WrongVersion

AT_ONCE = 1000  # rows that are read or written together
LONG_AT_ONCE = 16  # the same where a row may have megabytes
CHUNK_BYTES = 4_000_000  # bytes, after which a chunk ends before it has so many rows
INTEGERS = (int, type(None))
FIX_ROW = "Fix or remove that row in the book, and run this again."
WRONG_VALUE = "The row {} has a wrong value: text must be UTF-8, and numbers must be whole. " + FIX_ROW
# What a row's values may cause; anything else is about the database as a whole.
REFUSALS = (exc.DataError, exc.IntegrityError, exc.InternalError, exc.NotSupportedError, exc.ProgrammingError)

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class PlainTable:
    """A table without the types of the models."""

    name: str
    clause: TableClause
    key: tuple[int, ...]  # the places of the primary key's values in a row
    integers: tuple[int, ...]  # the places of the values that are whole numbers
    at_once: int

    @property
    def names(self) -> list[str]:
        """Return the columns, in the order of a row's values."""
        return list(self.clause.c.keys())

    def describe(self, row: Row) -> str:
        """Name a row for people: `1 of comments`."""
        return f"{' '.join(str(row[place]) for place in self.key)} of {self.name}"


@dataclass(slots=True)
class Checksum:
    """Counts rows and adds up the SHA-256 of each, so that the order in which they come does not matter."""

    rows: int = 0
    total: int = 0

    def add(self, packed: bytes) -> None:
        """Count a row, of which these bytes have all."""
        self.rows += 1
        self.total = (self.total + int.from_bytes(hashlib.sha256(packed).digest(), "big")) % 2**256

    def __str__(self) -> str:
        return f"{self.total:064x}"


def plain(known: Table) -> PlainTable:
    """Return a table as it is stored. It is of the models, or was found in a book of another version."""
    names = [one.name for one in known.c]
    numbers = [place for place, one in enumerate(known.c) if isinstance(one.type, Integer)]
    columns = [column(name, BigInteger if place in numbers else Text) for place, name in enumerate(names)]
    is_long = any(one.type is LONG_TEXT for one in Base.metadata.tables.get(known.name, known).c)
    return PlainTable(
        name=known.name,
        clause=table(known.name, *columns),
        key=tuple(names.index(one.name) for one in known.primary_key),
        integers=tuple(numbers),
        at_once=LONG_AT_ONCE if is_long else AT_ONCE,
    )


def of_book() -> list[PlainTable]:
    """Return the tables of a book; those that others refer to come first."""
    return [plain(model) for model in Base.metadata.sorted_tables]


@contextmanager
def snapshot(engine: Engine) -> Iterator[Connection]:
    """Give a connection that sees the database as it was at its first read, whatever is written meanwhile."""
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            raw = plain_sql.sqlite_connection(connection)
            # By itself SQLite would not say in which row it found bytes that are not UTF-8.
            raw.text_factory = lambda stored: stored.decode(errors="surrogateescape")
        else:
            connection.execution_options(isolation_level="REPEATABLE READ")
        yield connection


def count(connection: Connection, table: PlainTable) -> int:
    """Return how many rows there are."""
    return connection.scalar(select(func.count()).select_from(table.clause)) or 0


def copy(
    source: Connection, target: Connection, table: PlainTable, step: Step, advice: str = FIX_ROW
) -> Checksum:
    """Insert a table's rows in the caller's transaction, read them again and compare.

    Raises Refused, with the advice, for a row that the target does not take. The transaction cannot be used
    after it.
    """
    written = Checksum()
    for rows in _chunks(source, table, written):
        _insert(target, table, rows, advice)
        step(len(rows))
    # Without it passes would read the whole table to find a few rows.
    if target.dialect.name == "postgresql":
        target.exec_driver_sql(f"ANALYZE {table.name}")
    if read(target, table, step) != written:
        raise Refused(f"The copy of {table.name} differs from what was read. Nothing was changed.")
    return written


def read(connection: Connection, table: PlainTable, step: Step) -> Checksum:
    """Return the checksum of all rows; raises Refused for what not every database can keep."""
    found = Checksum()
    for rows in _chunks(connection, table, found):
        step(len(rows))
    return found


def _chunks(connection: Connection, table: PlainTable, checksum: Checksum) -> Iterator[list[Row]]:
    """Read all rows in portions that fit into little memory, and add them to the checksum."""
    rows: list[Row] = []
    size = 0
    some = {"yield_per": table.at_once}
    with connection.execute(select(table.clause), execution_options=some) as result:
        for found in result:
            row = tuple(found)
            packed = _pack(table, row)
            checksum.add(packed)
            rows.append(row)
            size += len(packed)
            if len(rows) == AT_ONCE or size >= CHUNK_BYTES:
                yield rows
                rows, size = [], 0
    if rows:
        yield rows


def _pack(table: PlainTable, row: Row) -> bytes:
    """Return the bytes that only this row has."""
    try:
        if all(isinstance(row[place], INTEGERS) for place in table.integers):
            return json.dumps(row, ensure_ascii=False).encode()
    except (TypeError, UnicodeEncodeError):  # bytes, or no UTF-8
        pass
    raise Refused(WRONG_VALUE.format(table.describe(row)))


def _insert(connection: Connection, table: PlainTable, rows: list[Row], advice: str) -> None:
    """Insert rows; where one is refused, insert them one by one to find it."""
    values = [dict(zip(table.names, row, strict=True)) for row in rows]
    savepoint = connection.begin_nested()
    try:
        connection.execute(insert(table.clause), values)
    except REFUSALS:  # after others SQLite may have no savepoint any more
        savepoint.rollback()
        for row, one in zip(rows, values, strict=True):
            try:
                connection.execute(insert(table.clause), one)
            except REFUSALS as error:
                why = f"{table.describe(row)} is refused by the target: {database_errors.words(error)}"
                raise Refused(f"The row {why}. {advice}") from error
    else:
        savepoint.commit()


PORTS = {"postgresql": 5432, "mysql": 3306}  # the ports where a URL names none
# The options of a URL that say where the database is.
PLACE_OPTIONS = ("dbname", "host", "hostaddr", "options", "port", "service", "unix_socket")
NAMED_TABLES = 3  # tables that a sentence names
NAME_AN_EMPTY_ONE = "Name an empty database, or a file that is not there yet."
CHANGED = (
    "The book has changed meanwhile in {}. Stop the web server, cron and workers everywhere, and run this "
    "again. Nothing was copied."
)


class TargetAway(Exception):
    """The target cannot be used now; the text says why, without a password."""


@dataclass(frozen=True, slots=True)
class MoveReport:
    """Where the book is now, without its password, and the checksum of each table."""

    place: str
    tables: dict[str, Checksum]


def move_book(settings: Settings, url: str, *, progress: Progress, waiting: Callable[[], None]) -> MoveReport:
    """Copy the book of the settings to the database of a URL, which must be empty: each row is compared.

    All rows are in one transaction, so a run that was killed or refused can be repeated.

    Raises Refused, TargetAway, and what SQLAlchemy raises for the book's own database.
    """
    of_book: list[BaseException | None] = []  # the book's own errors, which are not the target's
    with (
        locks.without_passes(settings.data_dir, waiting),
        engines.opened(settings) as book,
        engines.opened(replace(settings, database_url=url)) as target,
    ):
        if place(book) == place(target):
            raise Refused(f"The book is in {place(target)} already.")
        event.listen(book, "handle_error", lambda context: of_book.append(context.sqlalchemy_exception))
        try:
            with snapshot(book) as source:
                return MoveReport(place(target), _move(book, source, target, progress))
        except DBAPIError as error:
            if error in of_book:
                raise
            raise TargetAway(database_errors.words(error)) from error


def place(engine: Engine) -> str:
    """Return where a database is, without user and password, the same however its URL was typed."""
    url = engine.url
    backend = engine.dialect.name.replace("mariadb", "mysql")  # two names for one
    if backend == "sqlite":
        return f"sqlite:///{Path(url.database or '').resolve()}"
    more = "&".join(f"{name}={url.query[name]}" for name in PLACE_OPTIONS if name in url.query)
    end = f"?{more}" if more else ""
    return f"{backend}://{url.host or ''}:{url.port or PORTS[backend]}/{url.database or ''}{end}"


def _move(book: Engine, source: Connection, target: Engine, progress: Progress) -> dict[str, Checksum]:
    """Copy all rows, then read the book again: it must not have changed meanwhile."""
    tables = of_book()
    rows = sum(count(source, table) for table in tables)
    _make_tables(target)
    with (
        progress("Copying", 2 * rows) as step,
        database.write(target) as connection,
        database.alone(connection),
    ):
        if filled := [table.name for table in tables if count(connection, table)]:
            some = ", ".join(filled[:NAMED_TABLES]) + (" and more" if len(filled) > NAMED_TABLES else "")
            raise Refused(f"{place(target)} holds a book already, in {some}. {NAME_AN_EMPTY_ONE}")
        copied = {table.name: copy(source, connection, table, step) for table in tables}
        with progress("Checking", rows) as step, snapshot(book) as again:
            changed = [one.name for one in tables if read(again, one, step) != copied[one.name]]
        if changed:
            raise Refused(CHANGED.format(", ".join(changed)))
    return copied


def _make_tables(target: Engine) -> None:
    """Make the tables; raises Refused where there are others of the same names."""
    with target.connect() as connection:
        seen = inspect(connection)
        there = set(seen.get_table_names())
        for name, model in Base.metadata.tables.items():
            if name in there and {one["name"] for one in seen.get_columns(name)} != {*model.c.keys()}:
                why = f"The target has a table {name} that is not of this guestbook."
                raise Refused(f"{why} {NAME_AN_EMPTY_ONE}")
    try:
        database.create_tables(target)
    except WrongVersion:
        raise Refused(f"{place(target)} holds a book of another version. {NAME_AN_EMPTY_ONE}") from None
