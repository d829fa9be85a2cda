"""Move a book to another database, which must be empty: all rows in one transaction, each compared.

Until the commit the target has no row, so a run that was killed or refused can be repeated.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import Connection, Engine, inspect
from sqlalchemy.exc import DBAPIError

from guestbook.lib import pass_lock
from guestbook.lib.errors import Refused
from guestbook.lib.own_process import Progress, Step
from guestbook.settings import Settings
from guestbook.storage import database, database_errors, engine_setup, table_copy
from guestbook.storage.database_errors import WrongVersion
from guestbook.storage.table_copy import Checksum, PlainTable, RefusedRow, Row

PORTS = {"postgresql": 5432, "mysql": 3306}  # the ports where a URL names none
BACKENDS = {"mariadb": "mysql"}  # two names for one
# The options of a URL that say where the database is.
PLACE_OPTIONS = ("dbname", "host", "hostaddr", "options", "port", "service", "unix_socket")
NAMED_TABLES = 3  # tables that a sentence names
NAME_AN_EMPTY_ONE = "Name an empty database, or a file that is not there yet."
CHANGED = (
    "The book has changed meanwhile in {}. Stop the web server, cron and workers everywhere, and run this "
    "again. Nothing was copied."
)


class TargetAway(Exception):
    """The target cannot be used now; the text says why, without a password."""


class _BookFailed(Exception):
    """The book's own database failed, not the target: the cause says how."""


@dataclass(frozen=True, slots=True)
class MoveReport:
    """Where the book is now, without its password, and the checksum of each table."""

    place: str
    tables: dict[str, Checksum]


def run(settings: Settings, url: str, *, progress: Progress, waiting: Callable[[], None]) -> MoveReport:
    """Copy the book of the settings to the database of a URL, and check it.

    Raises Refused, TargetAway, and what SQLAlchemy raises for the book's own database.
    """
    there = replace(settings, database_url=url)
    with (
        pass_lock.without_passes(settings.data_dir, waiting),
        engine_setup.opened(settings) as book,
        engine_setup.opened(there) as target,
    ):
        if place(book) == place(target):
            raise Refused(f"The book is in {place(target)} already.")
        with table_copy.snapshot(book) as source:
            tables = table_copy.of_book()
            rows = sum(table_copy.count(source, table) for table in tables)
            with _reached():
                _prepare(target, tables)
                with (
                    progress("Copying", 2 * rows) as step,
                    database.write(target) as connection,
                    database.alone(connection),
                ):
                    _refuse_filled(connection, tables)
                    copied = {table.name: _copy(source, connection, table, step) for table in tables}
                    with progress("Checking", rows) as step:
                        _refuse_changes(book, tables, copied, step)
        return MoveReport(place(target), copied)


def place(engine: Engine) -> str:
    """Return where a database is, without user and password, the same however its URL was typed."""
    url = engine.url
    backend = BACKENDS.get(engine.dialect.name, engine.dialect.name)
    if backend == "sqlite":
        return f"sqlite:///{Path(url.database or '').resolve()}"
    more = "&".join(f"{name}={url.query[name]}" for name in PLACE_OPTIONS if name in url.query)
    end = f"?{more}" if more else ""
    return f"{backend}://{url.host or ''}:{url.port or PORTS[backend]}/{url.database or ''}{end}"


def _prepare(target: Engine, tables: list[PlainTable]) -> None:
    """Make the tables; raises Refused where there are others of the same names."""
    with target.connect() as connection:
        seen = inspect(connection)
        there = set(seen.get_table_names())
        for table in tables:
            columns = {one["name"] for one in seen.get_columns(table.name)} if table.name in there else None
            if columns and columns != set(table.names):
                raise Refused(
                    f"The target has a table {table.name} that is not of this guestbook. {NAME_AN_EMPTY_ONE}"
                )
    try:
        database.create_tables(target)
    except WrongVersion:
        raise Refused(f"{place(target)} holds a book of another version. {NAME_AN_EMPTY_ONE}") from None


def _refuse_filled(connection: Connection, tables: list[PlainTable]) -> None:
    filled = [table.name for table in tables if table_copy.count(connection, table)]
    if filled:
        some = ", ".join(filled[:NAMED_TABLES]) + (" and more" if len(filled) > NAMED_TABLES else "")
        raise Refused(f"{place(connection.engine)} holds a book already, in {some}. {NAME_AN_EMPTY_ONE}")


def _copy(source: Connection, connection: Connection, table: PlainTable, step: Step) -> Checksum:
    """Copy the rows of a table, and compare; raises Refused."""
    written = Checksum()
    try:
        found = table_copy.fill(connection, table, _of_book(source, table, written), step)
    except RefusedRow as error:
        raise Refused(
            f"The row {table.describe(error.row)} is refused by the target: {error.words}. "
            "Fix or remove that row in the book, and run this again."
        ) from error
    if found != written:
        raise Refused(f"The copy differs from the book in {table.name}. Nothing was copied.")
    return written


def _refuse_changes(book: Engine, tables: list[PlainTable], copied: dict[str, Checksum], step: Step) -> None:
    """Read the book again; raises Refused where it has changed since it was copied."""
    changed = []
    with table_copy.snapshot(book) as source:
        for table in tables:
            now = Checksum()
            for rows in _of_book(source, table, now):
                step(len(rows))
            if now != copied[table.name]:
                changed.append(table.name)
    if changed:
        raise Refused(CHANGED.format(", ".join(changed)))


def _of_book(source: Connection, table: PlainTable, checksum: Checksum) -> Iterator[list[Row]]:
    """Read the book's rows, and tell an error of the book from one of the target."""
    try:
        yield from table_copy.chunks(source, table, checksum)
    except DBAPIError as error:
        raise _BookFailed from error


@contextmanager
def _reached() -> Iterator[None]:
    """Raise an error of the target as TargetAway, and one of the book as it is."""
    try:
        yield
    except _BookFailed as error:
        raise error.__cause__ or error from None
    except DBAPIError as error:
        raise TargetAway(database_errors.words(error)) from error
