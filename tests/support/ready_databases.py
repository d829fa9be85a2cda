"""Databases that have the tables of a book already.

To make twenty tables takes a server a second, so its databases go from one test to the next, emptied. A file
of SQLite is a copy of one that was made once.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import Connection, Engine, Table, literal_column, make_url, select, union_all
from sqlalchemy.exc import OperationalError

import guestbook
from guestbook.storage import database
from guestbook.storage.database import db
from tests.support import databases, emptied

MANY_ROWS = 5000  # after so many a new database is quicker than an old one
COLUMNS = {
    "postgresql": """SELECT relname, attname, atttypid, attnotnull FROM pg_attribute
        JOIN pg_class ON attrelid = pg_class.oid
        WHERE relnamespace = 'public'::regnamespace AND attnum > 0 ORDER BY relname, attnum""",
    "mariadb": """SELECT table_name, column_name, column_type, is_nullable, column_default
        FROM information_schema.columns
        WHERE table_schema = DATABASE() ORDER BY table_name, ordinal_position""",
}
CONNECTIONS = {  # PostgreSQL ends them with the query
    "postgresql": emptied.END_OTHERS,
    "mariadb": """SELECT id FROM information_schema.processlist
        WHERE db = DATABASE() AND id <> CONNECTION_ID()""",
}


@contextmanager
def with_tables(mode: str, folder: Path) -> Iterator[str]:
    """Give the URL of a database whose tables are empty; on SQLite `make_tables` makes them."""
    if mode.startswith("sqlite"):
        with databases.fresh(mode, folder) as url:
            yield url
        return
    free = _free.setdefault(mode, [])
    one = free.pop() if free else ServerDatabase(mode)
    yield one.url
    if one.is_emptied():
        free.append(one)
    else:
        one.drop()


class ServerDatabase:
    """A database with tables on a server."""

    def __init__(self, mode: str) -> None:
        self._mode = mode
        self._name = databases.create(mode)
        self.url = databases.url_of(mode, self._name)
        self._engine = emptied.lasting_engine(self.url)
        with TemporaryDirectory() as folder:
            _create_tables(folder, self.url)
        with self._engine.connect() as connection:
            self._columns = self._read_columns(connection)
        _ready.add(self.url)

    def is_emptied(self) -> bool:
        """Delete all rows; say whether it is as good as new."""
        with self._engine.connect() as connection:
            had_others = self._end_others(connection)
            if self._read_columns(connection) != self._columns:
                return False
            # One of the others may still be writing: a DELETE waits for its rows, a SELECT does not.
            tables = database.Base.metadata.sorted_tables if had_others else _filled(connection)
            return sum(connection.execute(table.delete()).rowcount for table in reversed(tables)) < MANY_ROWS

    def _end_others(self, connection: Connection) -> bool:
        """End the other connections; say whether there were any."""
        others = connection.exec_driver_sql(CONNECTIONS[self._mode]).scalars().all()
        if self._mode == "mariadb":
            for other in others:
                with suppress(OperationalError):  # it has ended
                    connection.exec_driver_sql(f"KILL {other}")
        return bool(others)

    def drop(self) -> None:
        """Take it off the server."""
        _ready.discard(self.url)
        self._engine.dispose()
        databases.drop(self._mode, self._name)

    def _read_columns(self, connection: Connection) -> list[object]:
        return list(connection.exec_driver_sql(COLUMNS[self._mode]).all())


def _filled(connection: Connection) -> list[Table]:
    """Return the tables that have rows, those that others refer to first."""
    tables = database.Base.metadata.sorted_tables
    questions = (
        select(literal_column(str(place))).where(select(literal_column("1")).select_from(table).exists())
        for place, table in enumerate(tables)
    )
    places = connection.execute(union_all(*questions)).scalars()
    return [tables[place] for place in sorted(places)]


_free: dict[str, list[ServerDatabase]] = {}
_ready: set[str] = set()  # URLs of databases that have their tables


def drop_all() -> None:
    """Take those that wait for a next test off their servers."""
    for free in _free.values():
        while free:
            free.pop().drop()


def make_tables(engine: Engine, url: str) -> None:
    """Make the tables of a book where there are none yet."""
    if url in _ready:
        return
    path = Path(make_url(url).database or "")
    if engine.dialect.name != "sqlite" or path.exists():
        database.create_tables(engine)
        return
    path.touch(0o600)
    path.write_bytes(_file_with_tables("delete" if "journal_mode=delete" in url else "wal"))


@cache
def _file_with_tables(journal_mode: str) -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "guestbook.db"
        _create_tables(folder, f"sqlite:///{path}?journal_mode={journal_mode}")
        return path.read_bytes()


def _create_tables(folder: str, url: str) -> None:
    app = guestbook.create_app({"GUESTBOOK_DATA_DIR": folder, "GUESTBOOK_DATABASE_URL": url})
    with app.app_context():
        database.create_tables(db.engine)
        db.engine.dispose()
