"""The tables as they are stored: each value raw, whatever the models make of it."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Engine,
    Integer,
    Select,
    Table,
    TableClause,
    Text,
    UniqueConstraint,
    column,
    func,
    select,
    table,
    true,
)

from guestbook.storage import engine_setup
from guestbook.storage.column_types import LONG_TEXT
from guestbook.storage.models import Setting

MARKER = "copied_from"  # the row in `settings` that says whose copy this is; it is never copied along
AT_ONCE = 1000  # rows that are read or written together
LONG_AT_ONCE = 16  # the same where a row may have megabytes
CREATION_COLUMNS = ("created_at", "started_at", "received_at")  # when a row was made; they never change

Row = tuple[Any, ...]
Key = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class PlainTable:
    """A table without the types of the models. Keys are the values of its primary key."""

    name: str
    clause: TableClause
    key: tuple[str, ...]
    places: tuple[int, ...]  # of the key's values in a row
    integers: tuple[int, ...]  # the places of the values that are whole numbers
    unique: tuple[tuple[str, ...], ...]
    at_once: int

    @property
    def names(self) -> list[str]:
        """Return the columns, in the order of a row's values."""
        return list(self.clause.c.keys())

    @property
    def all(self) -> ColumnElement[bool]:
        """Return the condition for the rows that make the book."""
        return self.clause.c.name != MARKER if self.name == Setting.__tablename__ else true()

    @property
    def born(self) -> ColumnElement[Any] | None:
        """Return the column that says when a row was made, where there is one."""
        return next((self.clause.c[name] for name in CREATION_COLUMNS if name in self.clause.c), None)

    def key_of(self, row: Row) -> Key:
        """Return the values of a row's primary key."""
        return tuple(row[place] for place in self.places)

    def among(self, keys: Collection[Key]) -> ColumnElement[bool]:
        """Return a condition for these rows, and some more where the key has several columns."""
        return self.clause.c[self.key[0]].in_({key[0] for key in keys})


def plain(model: Table) -> PlainTable:
    """Return a model's table as it is stored."""
    names = [one.name for one in model.c]
    numbers = [place for place, one in enumerate(model.c) if isinstance(one.type, Integer)]
    columns = [column(name, BigInteger if place in numbers else Text) for place, name in enumerate(names)]
    key = tuple(one.name for one in model.primary_key)
    rules = [one for one in model.constraints if isinstance(one, UniqueConstraint)]
    return PlainTable(
        name=model.name,
        clause=table(model.name, *columns),
        key=key,
        places=tuple(names.index(name) for name in key),
        integers=tuple(numbers),
        unique=tuple(tuple(one.name for one in rule.columns) for rule in rules),
        at_once=LONG_AT_ONCE if any(one.type is LONG_TEXT for one in model.c) else AT_ONCE,
    )


@contextmanager
def snapshot(engine: Engine) -> Iterator[Connection]:
    """Give a connection that sees the database as it was at its first read, whatever is written meanwhile."""
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            raw = engine_setup.sqlite_connection(connection)
            # By itself SQLite would not say in which row it found bytes that are not UTF-8.
            raw.text_factory = lambda stored: stored.decode(errors="surrogateescape")
        else:
            connection.execution_options(isolation_level="REPEATABLE READ")
        yield connection


def stream(
    connection: Connection, table: PlainTable, where: ColumnElement[bool] | None = None
) -> Iterator[Row]:
    """Read the rows, or those, a few at a time."""
    query = select(table.clause).where(table.all if where is None else where)
    for row in connection.execute(query, execution_options={"yield_per": table.at_once}):
        yield tuple(row)


def count(connection: Connection, table: PlainTable) -> int:
    """Return how many rows there are."""
    return connection.scalar(select(func.count()).select_from(table.clause).where(table.all)) or 0


def absent(connection: Connection, table: PlainTable, keys: Collection[Key]) -> list[Key]:
    """Return those of the keys that no row has here."""
    here = {tuple(row) for row in connection.execute(select_keys(table, table.among(keys)))}
    return [key for key in keys if key not in here]


def select_keys(table: PlainTable, where: ColumnElement[bool]) -> Select[Any]:
    """Return the query for the keys of these rows."""
    return select(*(table.clause.c[name] for name in table.key)).where(where)
