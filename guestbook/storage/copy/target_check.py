"""Refuse to overwrite a book: a target must be empty, or an unused copy of this same book."""

from contextlib import closing
from pathlib import Path

from sqlalchemy import Connection, Engine, delete, insert, inspect, select

from guestbook.lib import clock
from guestbook.lib.errors import Refused
from guestbook.storage import database
from guestbook.storage.copy import table_reader
from guestbook.storage.copy.table_reader import MARKER, PlainTable
from guestbook.storage.copy.target import CopyTarget, reached
from guestbook.storage.database_errors import WrongVersion
from guestbook.storage.models import Setting

PORTS = {"postgresql": 5432, "mysql": 3306}  # where a URL names none
BACKENDS = {"mariadb": "mysql"}  # two names for one
# The options of a URL that say where the database is.
PLACE_OPTIONS = ("dbname", "host", "hostaddr", "options", "port", "service", "unix_socket")
NAMED_TABLES = 3  # tables that a sentence names
NAME_AN_EMPTY_ONE = "Name an empty database, or a file that is not there yet."


def place(engine: Engine) -> str:
    """Return where a database is, without user and password, the same however its URL was typed."""
    url = engine.url
    backend = BACKENDS.get(engine.dialect.name, engine.dialect.name)
    if backend == "sqlite":
        return f"sqlite:///{Path(url.database or '').resolve()}"
    more = "&".join(f"{name}={url.query[name]}" for name in PLACE_OPTIONS if name in url.query)
    end = f"?{more}" if more else ""
    return f"{backend}://{url.host or ''}:{url.port or PORTS[backend]}/{url.database or ''}{end}"


def prepare(source: Connection, target: CopyTarget, plains: list[PlainTable]) -> None:
    """Make the target's tables and mark it as this book's; raises Refused for one that must not be touched.

    The source's snapshot has started before.
    """
    home, there = place(source.engine), place(target.engine)
    if home == there:
        raise Refused(f"The book is in {there} already.")
    with target.reading() as connection:
        _refuse_strangers(connection, plains)
    try:
        with reached():
            database.create_tables(target.engine)
    except WrongVersion:
        raise Refused(f"{there} holds a book of another version. {NAME_AN_EMPTY_ONE}") from None
    with target.reading() as connection:
        filled = [table.name for table in plains if table_reader.count(connection, table)]
        whose, since = _marker(connection)
    if filled and whose != home:
        what = f"a copy of {whose}" if whose else "a book"
        some = ", ".join(filled[:NAMED_TABLES]) + (" and more" if len(filled) > NAMED_TABLES else "")
        raise Refused(f"{there} holds {what} already, in {some}. {NAME_AN_EMPTY_ONE}")
    if filled:
        _refuse_used(source, target, plains, since)
    _mark(target, home)


def _refuse_strangers(connection: Connection, plains: list[PlainTable]) -> None:
    """Refuse a table that has the name of one of ours and is not."""
    seen = inspect(connection)
    there = set(seen.get_table_names())
    for table in plains:
        if table.name in there and {one["name"] for one in seen.get_columns(table.name)} != set(table.names):
            raise Refused(
                f"The target has a table {table.name} that is not of this guestbook. {NAME_AN_EMPTY_ONE}"
            )


def _refuse_used(source: Connection, target: CopyTarget, plains: list[PlainTable], since: str) -> None:
    """Refuse a copy in which something was made that the book does not have."""
    for table in plains:
        if table.born is None:
            continue
        with closing(target.keys(table, table.born > since)) as later:
            if any(table_reader.absent(source, table, keys) for keys in later):
                raise Refused(
                    f"{place(target.engine)} was in use since it was copied: "
                    f"its {table.name} have what this book has not. {NAME_AN_EMPTY_ONE}"
                )


def _marker(connection: Connection) -> tuple[str, str]:
    """Return whose copy it is and since when, in the text of the tables; two empty ones where it is none."""
    value = connection.scalar(select(Setting.value).where(Setting.name == MARKER))
    since, _, whose = str(value).partition(" ")
    try:
        return whose, clock.to_text(clock.from_text(since))
    except ValueError:  # there is none, or it was garbled by hand
        return "", ""


def _mark(target: CopyTarget, home: str) -> None:
    with target.writing() as connection:
        connection.execute(delete(Setting).where(Setting.name == MARKER))
        connection.execute(insert(Setting).values(name=MARKER, value=f"{clock.to_text(clock.now())} {home}"))
