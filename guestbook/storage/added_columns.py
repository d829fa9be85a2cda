"""Columns that schema.sql has and an older book does not: `init-db` adds them."""

import re
from collections.abc import Iterator, Sequence

from sqlalchemy import Connection, inspect

from guestbook.lib.errors import Refused

TABLE = re.compile(r"CREATE TABLE IF NOT EXISTS (\w+) \(\n(.*)\n\)", re.DOTALL)
COLUMN = re.compile(r"(?m)^ +([a-z_]+) (.+?),?$")  # constraints begin with a capital letter
NOT_NULL, DEFAULT = "NOT NULL", "DEFAULT"


def statements(connection: Connection, created: Sequence[str]) -> Iterator[str]:
    """Yield an ALTER TABLE for each missing column of those CREATE TABLE statements; raises Refused.

    The statements have run, so every table is there. A column comes last in its table, whatever its place in
    schema.sql.
    """
    seen = inspect(connection)
    for table, columns in (found.groups() for found in map(TABLE.match, created) if found):
        there = {column["name"] for column in seen.get_columns(table)}
        for name, definition in COLUMN.findall(columns):
            if name not in there:
                yield _added(table, name, definition)


def _added(table: str, name: str, definition: str) -> str:
    if NOT_NULL in definition and DEFAULT not in definition:
        raise Refused(f"The table {table} of this book lacks the column {name}, which cannot be added.")
    return f"ALTER TABLE {table} ADD COLUMN {name} {definition}"
