"""Short reads of SQLite beside the session, which would take five times as long to begin and to end one."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any, cast

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from guestbook.storage import database, database_errors, plain_select, sqlite_setup
from guestbook.storage.plain_select import Select


@contextmanager
def together(session: Session) -> Iterator[Select]:
    """Give what selects from the book as it is at one moment; raises the errors of SQLAlchemy.

    Inside a transaction of the session, and on a server, the session selects.
    """
    engine = session.get_bind()
    if not isinstance(engine, Engine) or engine.dialect.name != "sqlite" or session.in_transaction():
        yield plain_select.through(session)
        return
    try:
        with closing(engine.raw_connection()) as connection:
            raw = cast(sqlite3.Connection, connection.dbapi_connection)
            sqlite_setup.set_busy_timeout(raw, database.present_waits().read)
            raw.execute("BEGIN")  # which the pool ends
            yield plain_select.of_sqlite(raw)
    except sqlite3.Error as error:
        raise database_errors.from_sqlite(error) from error


def each_alone(session: Session) -> Select:
    """Return what selects in the same way, but each time for itself: no read stays open."""

    def select(sql: str, **parameters: object) -> Sequence[tuple[Any, ...]]:
        with together(session) as once:
            return once(sql, **parameters)

    return select
