"""A fresh database of each kind for a test, gone at its end, or empty for the next one."""

import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, make_url, text
from sqlalchemy.pool import NullPool

from tests.support.emptied import Emptied

QUICK = "GUESTBOOK_TEST_QUICK" in os.environ  # skips all that needs more than SQLite and one process
MODES = ("sqlite-wal",) if QUICK else ("sqlite-wal", "sqlite-journal", "postgresql", "mariadb")
KINDS = tuple(mode for mode in MODES if mode != "sqlite-journal")  # another journal changes no SQL
PORTS = {"postgresql": 5432, "mariadb": 3306}  # where a URL names none
WITHOUT_TLS = {  # PyMySQL reads all certificates of the system for each connection, the servers sign with RSA
    "postgresql": {"sslmode": "disable"},
    "mariadb": {"ssl_disabled": "true"},
}
SERVERS = {
    "postgresql": os.environ.get(
        "GUESTBOOK_TEST_POSTGRESQL", "postgresql+psycopg://postgres@127.0.0.1:5432/postgres"
    ),
    "mariadb": os.environ.get("GUESTBOOK_TEST_MARIADB", "mysql+pymysql://root@127.0.0.1:3306/mysql"),
}

_free: dict[str, list[Emptied]] = {}  # by how they were made


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
    elif mode == "postgresql":
        yield from _emptied(how)
    else:
        name = create(mode, how)
        try:
            yield url_of(mode, name)
        finally:
            drop(mode, name)


def _emptied(how: str) -> Iterator[str]:
    """Give the URL of an empty database on PostgreSQL, and keep it for the next test if that can be."""
    free = _free.setdefault(how, [])
    if free:
        one = free.pop()
    else:
        name = create("postgresql", how)
        one = Emptied(name, url_of("postgresql", name))
    try:
        yield one.url
    finally:
        if one.is_as_new():
            free.append(one)
        else:
            _drop_emptied(one)


def _drop_emptied(one: Emptied) -> None:
    one.close()
    drop("postgresql", one.name)


def drop_all() -> None:
    """Take those that wait for a next test off their server."""
    for free in _free.values():
        while free:
            _drop_emptied(free.pop())


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
            connection.execute(text(f"KILL {number}"))


def url_of(mode: str, name: str) -> str:
    """Return the URL of a database on a server; unless the server's URL says so, nothing is encrypted."""
    url = make_url(server(mode)).set(database=name)
    return url.set(query={**WITHOUT_TLS[mode], **url.query}).render_as_string(hide_password=False)


@cache
def _admin(mode: str) -> Engine:
    url = url_of(mode, make_url(server(mode)).database or "")
    return create_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
