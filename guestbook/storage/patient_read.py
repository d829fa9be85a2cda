"""Reads of a pass that stays: on a server they outlast a restart, as its writes do."""

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection, Engine

from guestbook.storage import database

T = TypeVar("T")


def read(engine: Engine, do: Callable[[Connection], T]) -> T:
    """Do something that only reads, and on a server retry it as a write. SQLite has no connection to lose."""

    def once() -> T:
        with database.read(engine) as connection:
            return do(connection)

    return once() if engine.dialect.name == "sqlite" else database.retry(once)
