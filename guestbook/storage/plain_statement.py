"""Statements as text for a transaction of SQLAlchemy, which takes ten times as long as SQLite to run them.

On SQLite they go through its own connection. There a SELECT needs no FOR_UPDATE: it has one writer at a time.
"""

import sqlite3
from collections.abc import Sequence
from typing import Any, cast

from sqlalchemy import Connection

from guestbook.storage import database_errors, plain_select

FOR_UPDATE = " FOR UPDATE"  # the end of a SELECT that locks its rows


def run(connection: Connection, sql: str, **parameters: object) -> Sequence[tuple[Any, ...]]:
    """Run a statement, and return its rows, which an UPDATE has none of; raises the errors of SQLAlchemy."""
    if connection.dialect.name == "sqlite":
        raw = cast(sqlite3.Connection, connection.connection.dbapi_connection)
        try:
            return raw.execute(sql.removesuffix(FOR_UPDATE), parameters).fetchall()
        except sqlite3.Error as error:
            raise database_errors.from_sqlite(error) from error
    done = connection.execute(plain_select.statement(sql), parameters)
    return [tuple(row) for row in done] if done.returns_rows else ()
