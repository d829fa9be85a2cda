"""The database that a book is copied to: its rows become those of the book, a portion in a transaction."""

from collections.abc import Collection, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, and_, bindparam, delete, exc, insert, update
from sqlalchemy.exc import DBAPIError

from guestbook.storage import database, database_errors
from guestbook.storage.copy import checksum, table_reader
from guestbook.storage.copy.table_reader import Key, PlainTable, Row

# What a row's values may cause; anything else is about the database as a whole.
REFUSALS = (exc.DataError, exc.IntegrityError, exc.InternalError, exc.NotSupportedError, exc.ProgrammingError)
BOUND = "new_"  # before the name of a bound value: SQLAlchemy has its own use for the bare name


class TargetAway(Exception):
    """The target cannot be used now; the text says why, without a password."""


class CopyTarget:
    """Every access to the target; raises TargetAway, and Refused for a row that it does not take."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Give a connection that sees the target as it is now."""
        with reached(), table_reader.snapshot(self.engine) as connection:
            yield connection

    @contextmanager
    def writing(self, *known: type[DBAPIError]) -> Iterator[Connection]:
        """Give a connection whose transaction writes; errors that the caller knows come as they are."""
        with reached(*known), database.write(self.engine) as connection:
            yield connection

    def put(self, table: PlainTable, rows: Sequence[Row], *, is_empty: bool = False) -> int:
        """Make these rows be here as they are given; return how many were not. `is_empty` saves a look."""
        new, changed = (rows, []) if is_empty else self._differing(table, rows)
        if not new and not changed:
            return 0
        try:
            with self.writing(*REFUSALS) as connection:
                _update(connection, table, changed)
                insert_rows(connection, table, new)
        except REFUSALS:
            self._make_room(table, rows)
            self._put_one_by_one(table, rows)
        return len(new) + len(changed)

    def count(self, table: PlainTable) -> int:
        """Return how many rows there are."""
        with self.reading() as connection:
            return table_reader.count(connection, table)

    def learn(self, table: PlainTable) -> None:
        """Let PostgreSQL see how much there is now, or it would read the whole table to find a few rows."""
        if self.engine.dialect.name == "postgresql":
            with self.writing() as connection:
                connection.exec_driver_sql(f"ANALYZE {table.name}")

    def keys(
        self, table: PlainTable, where: ColumnElement[bool] | None = None
    ) -> Generator[list[Key], None, None]:
        """Give the keys of all rows, or of those, some at a time."""
        query = table_reader.select_keys(table, table.all if where is None else where)
        with self.reading() as connection:
            found = connection.execute(query, execution_options={"yield_per": table_reader.AT_ONCE})
            for some in found.partitions():
                yield [tuple(row) for row in some]

    def remove(self, table: PlainTable, keys: Sequence[Key]) -> None:
        """Remove these rows, and what hangs on them."""
        for start in range(0, len(keys), table_reader.AT_ONCE):
            bound = _bound(table.key, keys[start : start + table_reader.AT_ONCE])
            with self.writing() as connection:
                connection.execute(delete(table.clause).where(_is_bound(table)), bound)

    def _differing(self, table: PlainTable, rows: Sequence[Row]) -> tuple[list[Row], list[Row]]:
        """Return those of the rows that are not here, and those that are here with other values."""
        wanted = {table.key_of(row): row for row in rows}
        changed = []
        with self.reading() as connection:
            for row in table_reader.stream(connection, table, table.among(wanted)):
                mine = wanted.pop(table.key_of(row), None)
                if mine is not None and mine != row:
                    changed.append(mine)
        return list(wanted.values()), changed

    def _make_room(self, table: PlainTable, rows: Sequence[Row]) -> None:
        """Remove the rows that have what must be unique in these; their own turn comes, or they are gone."""
        with self.reading() as connection:
            taken = _in_the_way(connection, table, rows)
        self.remove(table, taken)

    def _put_one_by_one(self, table: PlainTable, rows: Sequence[Row]) -> None:
        """Put all of them or none, and name the row that is refused."""
        new, changed = self._differing(table, rows)
        with self.writing() as connection:
            for put, some in ((_update, changed), (insert_rows, new)):
                for row in some:
                    try:
                        put(connection, table, [row])
                    except REFUSALS as error:
                        why = f"is refused by the target: {database_errors.words(error)}"
                        raise checksum.refusal(table, row, why) from error


@contextmanager
def reached(*known: type[DBAPIError]) -> Iterator[None]:
    """Tell an error of the target from one of the book; those that are known pass."""
    try:
        yield
    except known:
        raise
    except DBAPIError as error:
        raise TargetAway(database_errors.words(error)) from error


def insert_rows(connection: Connection, table: PlainTable, rows: Collection[Row]) -> None:
    """Insert rows in the caller's transaction."""
    if rows:
        values = [dict(zip(table.names, row, strict=True)) for row in rows]
        connection.execute(insert(table.clause), values)


def _update(connection: Connection, table: PlainTable, rows: Collection[Row]) -> None:
    """Give the rows with the keys of these their values."""
    if rows:
        others = [name for name in table.names if name not in table.key]
        values: dict[str, Any] = {name: bindparam(BOUND + name) for name in others}
        change = update(table.clause).where(_is_bound(table)).values(values)
        connection.execute(change, _bound(table.names, rows))


def _in_the_way(connection: Connection, table: PlainTable, rows: Collection[Row]) -> list[Key]:
    """Return the keys of rows that have what one of these must have alone."""
    keys = []
    for rule in table.unique:
        places = [table.names.index(name) for name in rule]
        owners = {_picked(row, places): table.key_of(row) for row in rows}
        columns = zip(rule, zip(*owners, strict=True), strict=True)
        held = (table.clause.c[name].in_(set(values)) for name, values in columns)
        for row in table_reader.stream(connection, table, and_(*held)):
            key = table.key_of(row)
            if owners.get(_picked(row, places), key) != key:
                keys.append(key)
    return keys


def _is_bound(table: PlainTable) -> ColumnElement[bool]:
    return and_(*(table.clause.c[name] == bindparam(BOUND + name) for name in table.key))


def _bound(names: Collection[str], rows: Collection[Row]) -> list[dict[str, object]]:
    return [{BOUND + name: value for name, value in zip(names, row, strict=True)} for row in rows]


def _picked(row: Row, places: Iterable[int]) -> Row:
    return tuple(row[place] for place in places)
