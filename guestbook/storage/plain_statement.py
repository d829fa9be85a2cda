"""Statements as text for a transaction of SQLAlchemy, which takes ten times as long as SQLite to run them.

On SQLite they go through its own connection. There a SELECT locks no rows: it has one writer at a time.
"""

import sqlite3
from collections.abc import Sequence
from functools import cache
from typing import Any, cast

from sqlalchemy import Connection

from guestbook.storage import database_errors, plain_select

FOR_UPDATE = " FOR UPDATE"  # the end of a SELECT that locks its rows
FOR_KEY_SHARE = " FOR KEY SHARE"  # of one that lets nobody delete them; on MariaDB also nobody change them
MARIADB_SHARE = " LOCK IN SHARE MODE"


def run(connection: Connection, sql: str, **parameters: object) -> Sequence[tuple[Any, ...]]:
    """Run a statement, and return its rows, which an UPDATE has none of; raises the errors of SQLAlchemy."""
    sql = _with_lock_of(connection.dialect.name, sql)
    if connection.dialect.name == "sqlite":
        try:
            return raw(connection).execute(sql, parameters).fetchall()
        except sqlite3.Error as error:
            raise database_errors.from_sqlite(error) from error
    done = connection.execute(plain_select.statement(sql), parameters)
    return [tuple(row) for row in done] if done.returns_rows else ()


def raw(connection: Connection) -> sqlite3.Connection:
    """Return the connection of SQLite's own module that SQLAlchemy's uses."""
    return cast(sqlite3.Connection, connection.connection.dbapi_connection)


@cache
def _with_lock_of(dialect: str, sql: str) -> str:
    """Return the statement with the lock at its end as this database writes it."""
    if dialect == "sqlite":
        return sql.removesuffix(FOR_UPDATE).removesuffix(FOR_KEY_SHARE)
    if dialect in ("mysql", "mariadb") and sql.endswith(FOR_KEY_SHARE):
        return sql.removesuffix(FOR_KEY_SHARE) + MARIADB_SHARE
    return sql
