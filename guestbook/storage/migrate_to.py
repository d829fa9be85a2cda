"""Move a book to another database, which must be empty: all rows in one transaction, each compared.

Until the commit the target has no row, so a run that was killed or refused can be repeated.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import Connection, Engine, event, inspect
from sqlalchemy.exc import DBAPIError

from guestbook.lib import locks
from guestbook.lib.errors import Refused
from guestbook.lib.own_process import Progress
from guestbook.settings import Settings
from guestbook.storage import database, database_errors, engines, table_copy
from guestbook.storage.database_errors import WrongVersion
from guestbook.storage.table_copy import Checksum

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


@dataclass(frozen=True, slots=True)
class MoveReport:
    """Where the book is now, without its password, and the checksum of each table."""

    place: str
    tables: dict[str, Checksum]


def run(settings: Settings, url: str, *, progress: Progress, waiting: Callable[[], None]) -> MoveReport:
    """Copy the book of the settings to the database of a URL, and check it.

    Raises Refused, TargetAway, and what SQLAlchemy raises for the book's own database.
    """
    of_book: list[BaseException | None] = []  # the book's own errors, which are not the target's
    with (
        locks.without_passes(settings.data_dir, waiting),
        engines.opened(settings) as book,
        engines.opened(replace(settings, database_url=url)) as target,
    ):
        if place(book) == place(target):
            raise Refused(f"The book is in {place(target)} already.")
        event.listen(book, "handle_error", lambda context: of_book.append(context.sqlalchemy_exception))
        try:
            with table_copy.snapshot(book) as source:
                return MoveReport(place(target), _move(book, source, target, progress))
        except DBAPIError as error:
            if error in of_book:
                raise
            raise TargetAway(database_errors.words(error)) from error


def place(engine: Engine) -> str:
    """Return where a database is, without user and password, the same however its URL was typed."""
    url = engine.url
    backend = BACKENDS.get(engine.dialect.name, engine.dialect.name)
    if backend == "sqlite":
        return f"sqlite:///{Path(url.database or '').resolve()}"
    more = "&".join(f"{name}={url.query[name]}" for name in PLACE_OPTIONS if name in url.query)
    end = f"?{more}" if more else ""
    return f"{backend}://{url.host or ''}:{url.port or PORTS[backend]}/{url.database or ''}{end}"


def _move(book: Engine, source: Connection, target: Engine, progress: Progress) -> dict[str, Checksum]:
    """Copy all rows, then read the book again: it must not have changed meanwhile."""
    tables = table_copy.of_book()
    rows = sum(table_copy.count(source, table) for table in tables)
    _make_tables(target)
    with (
        progress("Copying", 2 * rows) as step,
        database.write(target) as connection,
        database.alone(connection),
    ):
        if filled := [table.name for table in tables if table_copy.count(connection, table)]:
            some = ", ".join(filled[:NAMED_TABLES]) + (" and more" if len(filled) > NAMED_TABLES else "")
            raise Refused(f"{place(target)} holds a book already, in {some}. {NAME_AN_EMPTY_ONE}")
        copied = {table.name: table_copy.copy(source, connection, table, step) for table in tables}
        with progress("Checking", rows) as step, table_copy.snapshot(book) as again:
            changed = [one.name for one in tables if table_copy.read(again, one, step) != copied[one.name]]
        if changed:
            raise Refused(CHANGED.format(", ".join(changed)))
    return copied


def _make_tables(target: Engine) -> None:
    """Make the tables; raises Refused where there are others of the same names."""
    with target.connect() as connection:
        seen = inspect(connection)
        there = set(seen.get_table_names())
        for name, model in database.Base.metadata.tables.items():
            if name in there and {one["name"] for one in seen.get_columns(name)} != {*model.c.keys()}:
                raise Refused(
                    f"The target has a table {name} that is not of this guestbook. {NAME_AN_EMPTY_ONE}"
                )
    try:
        database.create_tables(target)
    except WrongVersion:
        raise Refused(f"{place(target)} holds a book of another version. {NAME_AN_EMPTY_ONE}") from None
