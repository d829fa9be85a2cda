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
    engine = _free_engine(session)
    if engine is None:
        yield plain_select.through(session)
        return
    with _connected(engine) as raw:
        raw.execute("BEGIN")  # which the pool ends
        yield plain_select.of_sqlite(raw)


def each_alone(session: Session) -> Select:
    """Return what selects in the same way, but each time for itself: no read stays open."""

    def select(sql: str, **parameters: object) -> Sequence[tuple[Any, ...]]:
        engine = _free_engine(session)
        if engine is None:
            return plain_select.through(session)(sql, **parameters)
        with _connected(engine) as raw:
            return plain_select.of_sqlite(raw)(sql, **parameters)

    return select


def _free_engine(session: Session) -> Engine | None:
    """Return the engine of SQLite, unless the session is in a transaction."""
    engine = session.get_bind()
    if not isinstance(engine, Engine) or engine.dialect.name != "sqlite" or session.in_transaction():
        return None
    return engine


@contextmanager
def _connected(engine: Engine) -> Iterator[sqlite3.Connection]:
    try:
        with closing(engine.raw_connection()) as connection:
            raw = cast(sqlite3.Connection, connection.dbapi_connection)
            sqlite_setup.set_busy_timeout(raw, database.present_waits().read)
            yield raw
    except sqlite3.Error as error:
        raise database_errors.from_sqlite(error) from error
