"""SELECTs as text, which run through SQLite's own connection or through SQLAlchemy's.

The pages for readers are made of these. So they need no SQLAlchemy on SQLite, which by CGI takes longer to
import than the rest of a page.
"""

import sqlite3
from collections.abc import Callable, Collection, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlalchemy import Connection, TextClause
    from sqlalchemy.orm import Session

Select = Callable[..., Sequence[tuple[Any, ...]]]  # takes the text, and its parameters `:name` by name


def of_sqlite(connection: sqlite3.Connection) -> Select:
    """Return what selects through a connection of SQLite's own module."""

    def select(sql: str, **parameters: object) -> Sequence[tuple[Any, ...]]:
        return connection.execute(sql, parameters).fetchall()

    return select


def through(source: "Session | Connection") -> Select:
    """Return what selects through SQLAlchemy."""

    def select(sql: str, **parameters: object) -> Sequence[tuple[Any, ...]]:
        return [tuple(row) for row in source.execute(statement(sql), parameters)]

    return select


def listed(values: Collection[str]) -> tuple[str, dict[str, str]]:
    """Return `(:value0, :value1)` and so on, to follow IN, and the parameters for it; there must be one."""
    named = {f"value{number}": value for number, value in enumerate(values)}
    return f"({', '.join(f':{name}' for name in named)})", named


@cache
def statement(sql: str) -> "TextClause":
    """Return a text as SQLAlchemy takes it, made once."""
    from sqlalchemy import text

    return text(sql)
