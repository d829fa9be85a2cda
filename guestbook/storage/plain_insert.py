"""INSERTs of new rows, without the ORM's unit of work: a flush takes ten times as long.

On SQLite they go through its own connection, as in plain_statement.
"""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from functools import cache, lru_cache
from typing import Any

from sqlalchemy import Connection, Dialect, Insert, Table, insert
from sqlalchemy.orm import Session, make_transient_to_detached
from sqlalchemy.orm.attributes import set_committed_value

from guestbook.storage import database_errors, plain_statement
from guestbook.storage.database import Base

Process = Callable[[Any], Any]  # makes of a value in Python what the table has


def store(session: Session, *rows: Base) -> None:
    """Insert these new rows in this order, and let them belong to the session as after a flush.

    The caller has set their foreign keys. A column without a value is null.
    """
    connection = session.connection()
    for row in rows:
        there = vars(row)
        values = {column.key: there.get(column.key) for column in row.__table__.columns}
        store_values(connection, row.__table__, [values])
        for name in values.keys() - there.keys():  # else it would be read when it is next asked for
            set_committed_value(row, name, None)
    for row in rows:
        make_transient_to_detached(row)
    session.add_all(rows)


def store_values(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows that are given by the names of their columns, each with the same ones.

    Raises the errors of SQLAlchemy.
    """
    if connection.dialect.name != "sqlite":
        connection.execute(_statement(table), rows)
        return
    sql, columns = _of_sqlite(table, tuple(rows[0]), connection.dialect)
    values = [[process(row[name]) if process else row[name] for name, process in columns] for row in rows]
    try:
        plain_statement.raw(connection).executemany(sql, values)
    except sqlite3.Error as error:
        raise database_errors.from_sqlite(error) from error


@cache
def _statement(table: Table) -> Insert:
    return insert(table)


@lru_cache(maxsize=64)  # tests have many dialects, each with the keys of its engine
def _of_sqlite(
    table: Table, names: tuple[str, ...], dialect: Dialect
) -> tuple[str, Sequence[tuple[str, Process | None]]]:
    """Return the INSERT for these columns, and what SQLAlchemy makes of their values."""
    places = ", ".join("?" for _ in names)
    types = ((name, table.c[name].type.dialect_impl(dialect)) for name in names)
    columns = [(name, type_.bind_processor(dialect)) for name, type_ in types]
    return f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({places})", columns
