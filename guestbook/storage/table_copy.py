"""Copy tables from one database to another: each value as it is stored, with a checksum of all rows.

`backup`, `restore` and `migrate-to` read and write rows with these.
"""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
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
    exc,
    func,
    insert,
    select,
    table,
)

from guestbook.lib.errors import Refused
from guestbook.lib.own_process import Step
from guestbook.storage import database_errors, engines
from guestbook.storage.column_types import LONG_TEXT
from guestbook.storage.database import Base

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
        """Count a row that `pack` has packed."""
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
            raw = engines.sqlite_connection(connection)
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
    for found in connection.execute(select(table.clause), execution_options={"yield_per": table.at_once}):
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
    try:
        with connection.begin_nested():
            connection.execute(insert(table.clause), values)
    except REFUSALS:
        for row, one in zip(rows, values, strict=True):
            try:
                connection.execute(insert(table.clause), one)
            except REFUSALS as error:
                why = f"{table.describe(row)} is refused by the target: {database_errors.words(error)}"
                raise Refused(f"The row {why}. {advice}") from error
