"""Copies the tables of a server to an SQLite file, and compares each row."""

import sqlite3
from collections.abc import Callable
from dataclasses import replace

from sqlalchemy import Column, Connection, Engine, Integer, MetaData, String, Table, Text
from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateTable

from guestbook.lib.errors import Refused
from guestbook.lib.progress import Progress
from guestbook.storage.copy import checksum, table_reader
from guestbook.storage.copy.checksum import Checksum
from guestbook.storage.copy.table_reader import PlainTable
from guestbook.storage.database import Base
from guestbook.storage.version_check import VERSION_TABLE


def write(
    engine: Engine,
    copy: sqlite3.Connection,
    progress: Progress,
) -> str:
    """Copy a book of any version to an empty file, as it is at one moment; return the kind of its database.

    The file has columns and primary keys, and nothing else that guards or finds rows.
    """
    with table_reader.snapshot(engine) as book:
        tables = _reflected(book)
        plains = [_plain(table) for table in tables]
        total = sum(table_reader.count(book, table) for table in plains)
        with progress("Backing up", 2 * total) as step:
            for table, plain in zip(tables, plains, strict=True):
                copy.execute(str(CreateTable(_like(table)).compile(dialect=sqlite.dialect())))
                _copy(book, copy, plain, step)
    return engine.dialect.name


def _reflected(book: Connection) -> list[Table]:
    """Return the book's tables as they are there; a server's database may have others beside them."""
    found = MetaData()
    known = {*Base.metadata.tables, VERSION_TABLE}
    found.reflect(book, only=lambda name, _metadata: name in known)
    return found.sorted_tables


def _plain(reflected: Table) -> PlainTable:
    """Return how to read a table: a few rows at a time where one may have megabytes."""
    model = Base.metadata.tables.get(reflected.name)
    plain = table_reader.plain(reflected)
    return plain if model is None else replace(plain, at_once=table_reader.plain(model).at_once)


def _like(reflected: Table) -> Table:
    """Return the table with types that SQLite has."""
    columns = [
        Column(one.name, _type(one), primary_key=one.primary_key, nullable=one.nullable)
        for one in reflected.columns
    ]
    return Table(reflected.name, MetaData(), *columns)


def _type(column: "Column[object]") -> Integer | String:
    if isinstance(column.type, Integer):
        return Integer()
    length = getattr(column.type, "length", None)
    return Text() if isinstance(column.type, Text) else String(length)


def _copy(book: Connection, copy: sqlite3.Connection, table: PlainTable, step: Callable[[int], None]) -> None:
    """Copy the rows, and read the copy again; raises Refused where it differs."""
    written, again = Checksum(), Checksum()
    names = ", ".join(f'"{name}"' for name in table.names)
    places = ", ".join("?" * len(table.names))
    with copy:
        for rows in checksum.chunks(book, table, written):
            copy.executemany(f'INSERT INTO "{table.name}" ({names}) VALUES ({places})', rows)
            step(len(rows))
    for row in copy.execute(f'SELECT {names} FROM "{table.name}"'):
        again.add(checksum.pack(table, row))
    step(again.rows)
    if again != written:
        raise Refused(f"The backup differs from the book in {table.name}. Nothing was changed.")
