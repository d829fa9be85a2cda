"""Writing rows to a target's table, in the caller's write transaction."""

from collections.abc import Collection, Iterable
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, bindparam
from sqlalchemy import delete as delete_from
from sqlalchemy import insert as insert_into
from sqlalchemy import update as change_in

from guestbook.storage.copy import table_reader
from guestbook.storage.copy.table_reader import Key, PlainTable, Row

SET = "new_"  # before the name of a bound value: SQLAlchemy has its own use for the bare name


def insert(connection: Connection, table: PlainTable, rows: Collection[Row]) -> None:
    """Add rows."""
    if rows:
        bound = [dict(zip(table.names, row, strict=True)) for row in rows]
        connection.execute(insert_into(table.clause), bound)


def update(connection: Connection, table: PlainTable, rows: Collection[Row]) -> None:
    """Give the rows with the keys of these their values."""
    if rows:
        others = [name for name in table.names if name not in table.key]
        values: dict[str, Any] = {name: bindparam(SET + name) for name in others}
        change = change_in(table.clause).where(_is_bound(table)).values(values)
        connection.execute(change, _bound(table.names, rows))


def remove(connection: Connection, table: PlainTable, keys: Collection[Key]) -> None:
    """Remove the rows with these keys, and what hangs on them."""
    if keys:
        connection.execute(delete_from(table.clause).where(_is_bound(table)), _bound(table.key, keys))


def in_the_way(connection: Connection, table: PlainTable, rows: Collection[Row]) -> list[Key]:
    """Return the keys of rows that have what one of these must have alone."""
    keys = []
    for rule in table.unique:
        places = [table.names.index(name) for name in rule]
        owners = {_picked(row, places): table.key_of(row) for row in rows}
        held = [
            table.clause.c[name].in_({row[place] for row in rows})
            for name, place in zip(rule, places, strict=True)
        ]
        for row in table_reader.stream(connection, table, and_(*held)):
            key = table.key_of(row)
            if owners.get(_picked(row, places), key) != key:
                keys.append(key)
    return keys


def _is_bound(table: PlainTable) -> ColumnElement[bool]:
    return and_(*(table.clause.c[name] == bindparam(SET + name) for name in table.key))


def _bound(names: Collection[str], rows: Collection[Row]) -> list[dict[str, object]]:
    return [{SET + name: value for name, value in zip(names, row, strict=True)} for row in rows]


def _picked(row: Row, places: Iterable[int]) -> Row:
    return tuple(row[place] for place in places)
