"""Statements as text. On SQLite they run without SQLAlchemy, which would take longer than SQLite itself.

An idle pass, the kept front page and a page by CGI must start without SQLAlchemy, so they select with these.
The few statements that each comment needs are made of them too; on a server they go through SQLAlchemy.
"""

import sqlite3
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from guestbook.lib import clock

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from sqlalchemy.orm import Session

Select = Callable[..., Sequence[tuple[Any, ...]]]  # takes the text, and its parameters `:name` by name
FOR_UPDATE = " FOR UPDATE"  # the end of a SELECT that locks its rows

# A row of book_state named so says that the files of the comment in its value are to be written again.
CHANGE, ALL_CHANGED = "page:", "all"
NEW_CHANGE = "INSERT INTO book_state (name, value) VALUES (:name, :value)"
CHANGES = f"SELECT name, value FROM book_state WHERE name LIKE '{CHANGE}_%' ORDER BY name"

# Whether no earlier delivery about the same comment is on its way to the same webhook. It is a scalar
# subquery, because databases turn NOT EXISTS into a join that may read the whole table. The first two
# conditions spare most rows the look. If they stood before an OR, PostgreSQL without statistics would think
# that hardly a row passes, and read all rows of a webhook to find the first. Only MariaDB reads the hint;
# without it, it may read the whole table.
IS_NEXT_SQL = """(
    CASE WHEN deliveries.sequence IS NULL OR deliveries.sequence = 1 THEN TRUE ELSE (
        SELECT earlier.id FROM deliveries AS earlier /*! FORCE INDEX (deliveries_by_comment) */
        WHERE earlier.comment_id = deliveries.comment_id AND earlier.webhook_id = deliveries.webhook_id
        AND earlier.sequence < deliveries.sequence AND earlier.due_at IS NOT NULL LIMIT 1
    ) IS NULL END)"""


def of_sqlite(connection: sqlite3.Connection) -> Select:
    """Return what selects through a connection of SQLite's own module."""
    return lambda sql, **parameters: connection.execute(sql, parameters).fetchall()


def through(source: "Session | Connection") -> Select:
    """Return what selects in a transaction of SQLAlchemy. A session in none does not begin one for it."""
    from sqlalchemy.orm import Session

    from guestbook.storage import database

    def select(sql: str, **parameters: object) -> Sequence[tuple[Any, ...]]:
        if not isinstance(source, Session) or source.in_transaction():
            return run(source.connection() if isinstance(source, Session) else source, sql, **parameters)
        with database.read(source.get_bind().engine) as connection:
            return run(connection, sql, **parameters)

    return select


def run(connection: "Connection", sql: str, **parameters: object) -> Sequence[tuple[Any, ...]]:
    """Run a statement in a transaction of SQLAlchemy, whose errors it raises; return the rows."""
    if connection.dialect.name != "sqlite":
        from sqlalchemy import text

        done = connection.execute(text(sql), parameters)
        return [tuple(row) for row in done] if done.returns_rows else ()
    try:
        # SQLite has one writer at a time, so it locks no rows.
        return sqlite_connection(connection).execute(sql.removesuffix(FOR_UPDATE), parameters).fetchall()
    except sqlite3.Error as error:
        from guestbook.storage import database_errors

        raise database_errors.from_sqlite(error) from error


def sqlite_connection(connection: "Connection") -> sqlite3.Connection:
    """Return the connection of SQLite's own module that SQLAlchemy's uses."""
    return cast(sqlite3.Connection, connection.connection.dbapi_connection)


def insertion(table: str, names: Collection[str]) -> str:
    """Return the INSERT of a row that has these columns, each from the parameter of its name."""
    return f"INSERT INTO {table} ({', '.join(names)}) VALUES (:{', :'.join(names)})"


def stored(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a row as the tables have them: a datetime is text."""
    return {name: clock.to_text(one) if isinstance(one, datetime) else one for name, one in row.items()}


def listed(values: Collection[str]) -> tuple[str, dict[str, str]]:
    """Return `(:value0, :value1)` and so on, to follow IN, and the parameters for it; there must be one."""
    named = {f"value{number}": value for number, value in enumerate(values)}
    return f"({', '.join(f':{name}' for name in named)})", named
