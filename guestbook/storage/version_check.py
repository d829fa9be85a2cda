"""Whether the book's tables have the version that this program needs."""

import re
from collections.abc import Iterator, Sequence

from sqlalchemy import Connection, Engine, inspect
from sqlalchemy.exc import DBAPIError

from guestbook.storage import SCHEMA, database_errors, schema_version
from guestbook.storage.database_errors import Fault, WrongVersion
from guestbook.storage.schema_version import Age

VERSION_TABLE = "alembic_version"
CREATE_TABLE = re.compile(r"(?ms)^CREATE TABLE IF NOT EXISTS (\w+) \(\n(.*?)\n\)")
COLUMN = re.compile(r"(?m)^ +([a-z_]+) ")  # constraints begin with a capital letter
FAULTS = {Age.OLDER: Fault.OLD_TABLES, Age.TOO_OLD: Fault.TOO_OLD, Age.NEWER: Fault.NEW_TABLES}


def require(engine: Engine) -> None:
    """Return when the version is right; raises WrongVersion, and the database's error without any tables."""
    if fault := FAULTS.get(schema_version.age(read(engine))):
        raise WrongVersion(fault)


def is_complete(connection: Connection, schema: str) -> bool:
    """Whether the tables of schema.sql are there. If not, its text may be run.

    Raises WrongVersion for a book of another version.
    """
    tables = set(inspect(connection).get_table_names())
    stored = read_from(connection) if VERSION_TABLE in tables else ()
    if not stored and _are_new(connection, schema):
        return False
    if fault := FAULTS.get(schema_version.age(stored)):
        raise WrongVersion(fault)
    return tables >= dict(_columns(schema)).keys()


def read(engine: Engine) -> Sequence[str]:
    """Return the rows of `alembic_version`, none for a book from before it, and for another program's tables.

    Raises the database's error, also for a database without the tables of a book.
    """
    try:
        with engine.connect() as connection:
            return read_from(connection)
    except DBAPIError as error:
        if database_errors.fault_of(error) is not Fault.NO_TABLES:
            raise
        with engine.connect() as connection:
            if _are_new(connection, SCHEMA.read_text()):
                raise
    return ()


def read_from(connection: Connection) -> Sequence[str]:
    """Return the rows of `alembic_version`; raises the database's error where it is missing."""
    return connection.exec_driver_sql(schema_version.QUERY).scalars().all()


def _columns(schema: str) -> Iterator[tuple[str, set[str]]]:
    """Yield each table of schema.sql with the names of its columns."""
    for found in CREATE_TABLE.finditer(schema):
        yield found[1], set(COLUMN.findall(found[2]))


def _are_new(connection: Connection, schema: str) -> bool:
    """Whether nothing is there yet, or MariaDB was interrupted when it made the tables."""
    tables = set(inspect(connection).get_table_names())
    return all(_is_as_new(connection, *one) for one in _columns(schema) if one[0] in tables)


def _is_as_new(connection: Connection, table: str, columns: set[str]) -> bool:
    there = {column["name"] for column in inspect(connection).get_columns(table)}
    return columns <= there and not connection.exec_driver_sql(f"SELECT 1 FROM {table} LIMIT 1").all()
