"""Databases of each kind for tests: empty ones, and such that have the tables of a book.

To make twenty tables takes a server a second, so its databases with tables go from one test to the next,
emptied. A file of SQLite is a copy of one that was made once.
"""

import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from sqlalchemy import Connection, Engine, Table, create_engine, make_url, select, text, union_all
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

import guestbook
from guestbook.storage import database
from guestbook.storage.database import db

QUICK = "GUESTBOOK_TEST_QUICK" in os.environ  # skips all that needs more than SQLite and one process
MODES = ("sqlite-wal",) if QUICK else ("sqlite-wal", "sqlite-journal", "postgresql", "mariadb")
KINDS = tuple(mode for mode in MODES if mode != "sqlite-journal")  # another journal changes no SQL
PORTS = {"postgresql": 5432, "mariadb": 3306}  # where a URL names none
WITHOUT_TLS = {  # PyMySQL reads all certificates of the system for each connection, the servers sign with RSA
    "postgresql": {"sslmode": "disable"},
    "mariadb": {"ssl_disabled": "true"},
}
SERVERS = {
    "postgresql": os.getenv("GUESTBOOK_TEST_POSTGRESQL", "postgresql+psycopg://postgres@127.0.0.1/postgres"),
    "mariadb": os.environ.get("GUESTBOOK_TEST_MARIADB", "mysql+pymysql://root@127.0.0.1:3306/mysql"),
}

END_OTHERS = """SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()"""
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
    "postgresql": END_OTHERS,
    "mariadb": """SELECT id FROM information_schema.processlist
        WHERE db = DATABASE() AND id <> CONNECTION_ID()""",
}


def default_mode() -> str:
    """The mode that GUESTBOOK_TEST_DATABASE_URL asks the whole suite to run on."""
    driver = os.environ.get("GUESTBOOK_TEST_DATABASE_URL", "sqlite").partition(":")[0]
    return {"postgresql+psycopg": "postgresql", "mysql+pymysql": "mariadb"}.get(driver, "sqlite-wal")


def no_process() -> None:
    """Skip the test in a quick run, which starts no process."""
    if QUICK:
        pytest.skip("a quick run starts no processes")


@cache
def is_up(mode: str) -> bool:
    """Whether the server answers at its port."""
    url = make_url(server(mode))
    try:
        socket.create_connection((url.host, url.port or PORTS[mode]), timeout=2).close()
    except OSError:
        return False
    return True


def server(mode: str) -> str:
    """The URL of a database from which others can be made."""
    configured = os.environ.get("GUESTBOOK_TEST_DATABASE_URL")
    return configured if configured and default_mode() == mode else SERVERS[mode]


@contextmanager
def fresh(mode: str, folder: Path, how: str = "") -> Iterator[str]:
    """Give the URL of an empty database of that mode; `how` is for CREATE DATABASE."""
    if mode.startswith("sqlite"):
        query = "?journal_mode=delete" if mode == "sqlite-journal" else ""
        yield f"sqlite:///{folder / 'guestbook.db'}{query}"
        return
    name = create(mode, how)
    try:
        yield url_of(mode, name)
    finally:
        drop(mode, name)


def drop_all() -> None:
    """Take those that wait for a next test off their server."""
    for one in chain(*_ready.values()):
        one.drop()


def create(mode: str, how: str = "") -> str:
    """Make an empty database on a server, and return its name."""
    name = f"guestbook_{secrets.token_hex(6)}"
    with _admin(mode).connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name} {how}"))
        if mode == "postgresql":  # no test pulls the plug
            connection.execute(text(f"ALTER DATABASE {name} SET synchronous_commit = off"))
    return name


def drop(mode: str, name: str) -> None:
    """Take a database off its server, whoever still uses it."""
    force = " WITH (FORCE)" if mode == "postgresql" else ""
    with _admin(mode).connect() as connection:
        connection.execute(text(f"DROP DATABASE {name}{force}"))


def end_connections(engine: Engine) -> None:
    """End all connections to a server's database, as a restart does."""
    name = {"name": engine.url.database}
    if engine.dialect.name == "postgresql":
        with _admin("postgresql").connect() as connection:
            ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"
            connection.execute(text(ended), name)
        return
    with _admin("mariadb").connect() as connection:
        theirs = text("SELECT id FROM information_schema.processlist WHERE db = :name")
        for number in connection.scalars(theirs, name).all():
            with suppress(OperationalError):  # It has ended by itself.
                connection.execute(text(f"KILL {number}"))


@contextmanager
def letting_nobody_in(engine: Engine) -> Iterator[None]:
    """Let a database of PostgreSQL refuse everybody until the block ends, as while its server restarts."""
    allow = f"ALTER DATABASE {engine.url.database} ALLOW_CONNECTIONS"
    with _admin("postgresql").connect() as connection:
        connection.execute(text(f"{allow} false"))
        end_connections(engine)
        try:
            yield
        finally:
            connection.execute(text(f"{allow} true"))
            engine.dispose()


def url_of(mode: str, name: str) -> str:
    """Return the URL of a database on a server; unless the server's URL says so, nothing is encrypted."""
    url = make_url(server(mode)).set(database=name)
    return url.set(query={**WITHOUT_TLS[mode], **url.query}).render_as_string(hide_password=False)


@cache
def _admin(mode: str) -> Engine:
    url = url_of(mode, make_url(server(mode)).database or "")
    return create_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool)


# --- databases with tables


@contextmanager
def with_tables(mode: str, folder: Path) -> Iterator[str]:
    """Give the URL of a database whose tables are empty; on SQLite `make_tables` makes them."""
    if mode.startswith("sqlite"):
        with fresh(mode, folder) as url:
            yield url
        return
    free = _ready.setdefault(mode, [])
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
        self._name = create(mode)
        self.url = url_of(mode, self._name)
        # One connection serves all tests, and another one when a test has ended it.
        options = {"isolation_level": "AUTOCOMMIT", "pool_size": 1, "max_overflow": 0, "pool_pre_ping": True}
        self._engine = create_engine(self.url, **options)
        with TemporaryDirectory() as folder:
            _create_tables(folder, self.url)
        with self._engine.connect() as connection:
            self._columns = self._read_columns(connection)
        _with_tables.add(self.url)

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
        _with_tables.discard(self.url)
        self._engine.dispose()
        drop(self._mode, self._name)

    def _read_columns(self, connection: Connection) -> list[object]:
        return list(connection.exec_driver_sql(COLUMNS[self._mode]).all())


def _filled(connection: Connection) -> list[Table]:
    """Return the tables that have rows, those that others refer to first."""
    tables = database.Base.metadata.sorted_tables
    questions = (
        select(text(str(place))).where(select(text("1")).select_from(table).exists())
        for place, table in enumerate(tables)
    )
    places = connection.execute(union_all(*questions)).scalars()
    return [tables[place] for place in sorted(places)]


_ready: dict[str, list[ServerDatabase]] = {}  # by their mode
_with_tables: set[str] = set()  # URLs of databases on servers


def make_tables(engine: Engine, url: str) -> None:
    """Make the tables of a book where there are none yet."""
    if url in _with_tables:
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
