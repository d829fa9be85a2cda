"""How connections are set up: SQLite's pragmas and kinds of BEGIN, and when a server counts as lost."""

import socket
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import InvalidatePoolError, OperationalError

from guestbook.settings import Settings
from guestbook.storage import database_errors
from guestbook.storage.file_identity import Opened, OpenFile

LOCK_POLL = 0.0005  # seconds between two looks; SQLite's own handler sleeps up to 0.1
JOURNAL_LIMIT = 16 * 1024 * 1024  # bytes; a journal of SQLite that has grown shrinks to it after a checkpoint
CONNECT_WAIT = 10  # seconds for a new connection to a server
SILENCE = 30  # seconds without a sign of life, after which a host takes the server for lost, and it the host


@dataclass(frozen=True, slots=True)
class Waits:
    """How long a transaction waits for others, in seconds."""

    write: float  # for its turn and the lock on SQLite, both together
    read: float  # for a commit of another on SQLite, and a commit for readers: in rollback-journal mode
    on_server: int  # for a lock of PostgreSQL or MariaDB; 0 leaves it to the server
    at_once: int  # so many writers of one process may wait as long, others give up at once


FOR_PASSES = Waits(write=20.0, read=10.0, on_server=0, at_once=1_000_000)
FOR_REQUESTS = Waits(write=5.0, read=1.0, on_server=5, at_once=4)  # half of the README's threads


@contextmanager
def opened(settings: Settings) -> Iterator[Engine]:
    """Give an engine of its own for the settings' database, set up as the app's, and close it at the end."""
    url = make_url(settings.database_url)
    if settings.on_sqlite and "uri" not in url.query:  # as for the app, a path begins in the data folder
        url = url.set(database=str(settings.data_dir / (url.database or "")))
    engine = create_engine(url.difference_update_query(["journal_mode"]), **options(settings))
    set_up(engine, str(url.query.get("journal_mode", "wal")), may_idle=True)  # while the other side is read
    try:
        yield engine
    finally:
        engine.dispose()


def options(settings: Settings) -> dict[str, Any]:
    """Return the keywords of `create_engine` for the database of the settings."""
    if settings.on_sqlite:
        return {"connect_args": {"isolation_level": None, "timeout": FOR_PASSES.read}}
    connect_args: dict[str, Any] = {"connect_timeout": CONNECT_WAIT}
    if settings.database_url.partition(":")[0].endswith("pymysql"):
        connect_args["charset"] = "utf8mb4"
    else:  # libpq's words for what _notice_silence does
        connect_args |= {f"keepalives_{name}": value for name, value in _probes().items()}
        connect_args["tcp_user_timeout"] = SILENCE * 1000
    # MariaDB's default takes gap locks, under which even an empty claim blocks the visitor's INSERT.
    return {"isolation_level": "READ COMMITTED", "pool_pre_ping": True, "connect_args": connect_args}


def set_up(
    engine: Engine,
    journal: str = "wal",
    *,
    may_idle: bool = False,
    waits: Callable[[], Waits] = lambda: FOR_PASSES,
) -> None:
    """Hang the pragmas and the kinds of BEGIN on an SQLite engine, and on others what ends lost connections.

    If they `may_idle`, transactions that do nothing last for as long as they like. `waits` says how long one
    that begins now may wait; on a server, one of a connection that is made now.
    """
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", lambda raw, _record: _set_pragmas(raw, journal, waits()))
        _watch_file(engine)
        event.listen(engine, "begin", lambda connection: _begin(connection, waits()))
    else:
        limits = partial(_limits, engine.dialect.name == "postgresql", 0 if may_idle else SILENCE)
        event.listen(engine, "connect", lambda raw, _record: _set_limits(raw, limits(waits().on_server)))


def journal_mode(engine: Engine) -> str | None:
    """Return SQLite's journal mode in force (`wal` is not to be had on some network drives), else None."""
    if engine.dialect.name != "sqlite":
        return None
    with engine.connect() as connection:
        return str(connection.exec_driver_sql("PRAGMA journal_mode").scalar())


def clear_wal(engine: Engine) -> bool:
    """Empty SQLite's write-ahead log, which still has what was deleted; False while others read it."""
    if engine.dialect.name != "sqlite":
        return True
    with engine.connect() as connection:
        raw = cast(sqlite3.Connection, connection.connection.dbapi_connection)
        _set_busy_timeout(raw, 0)  # or it would wait for readers, and writers for it; each BEGIN sets its own
        try:
            return bool(raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0)
        except sqlite3.OperationalError:
            return False


def _watch_file(engine: Engine) -> None:
    """Let no connection be used whose file is not at its path any more."""
    name = engine.url.database or ""
    if "uri" in engine.url.query or not name or name == ":memory:":
        return
    files: dict[str, OpenFile] = {}

    def prepare(_dialect: Any, record: Any, names: Any, _options: Any) -> None:
        files.setdefault(names[0], OpenFile(names[0])).prepare(record.info)

    def note(_raw: Any, record: Any) -> None:
        record.info["file"].file.note(record.info)

    def see(_raw: Any, record: Any, _proxy: Any) -> None:
        opened: Opened = record.info["file"]
        if not opened.is_current:
            opened.file.prepare_anew(opened)
            raise InvalidatePoolError

    event.listen(engine, "do_connect", prepare)
    event.listen(engine, "connect", note)
    event.listen(engine, "checkout", see)


def _set_pragmas(connection: sqlite3.Connection, journal: str, waits: Waits) -> None:
    _set_busy_timeout(connection, waits.read)
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = FULL")  # what is stored survives a power cut
    connection.execute(f"PRAGMA journal_size_limit = {JOURNAL_LIMIT}")
    connection.execute("PRAGMA secure_delete = ON")  # what is deleted is overwritten, not just left unused
    if connection.execute("PRAGMA journal_mode").fetchone()[0] != journal:
        _set_journal(connection, journal)
    connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchall()  # opens the WAL, too


def _set_journal(connection: sqlite3.Connection, journal: str) -> None:
    """Ask for a journal mode; where the file system has no WAL, SQLite keeps its own, and both work."""
    try:
        connection.execute(f"PRAGMA journal_mode = {'DELETE' if journal == 'delete' else 'WAL'}")
    except sqlite3.OperationalError:
        return  # somebody is writing just now; the next connection asks again


def _probes() -> dict[str, int]:
    """Return after how many seconds TCP asks a silent peer, how often, and how many seconds apart."""
    return {"idle": SILENCE // 3, "count": 4, "interval": max(1, SILENCE // 6)}


def _limits(is_postgresql: bool, idle: int, lock: int) -> str:
    """Return what lets a server end transactions that do nothing for so many seconds, and free their locks.

    And statements that wait for a lock for longer than `lock` seconds, where that is not 0. In the middle of
    a statement PostgreSQL waits for the rest of it whatever the first limit says, but not for a host that TCP
    finds gone.
    """
    if not is_postgresql:
        locks = f", innodb_lock_wait_timeout = {lock}, lock_wait_timeout = {lock}" if lock else ""
        return f"SET idle_transaction_timeout = {idle}{locks}"  # and net_read_timeout is 30 by default
    values = {"idle_in_transaction_session_timeout": f"{idle}s", "lock_timeout": f"{lock}s"}
    values |= {f"tcp_keepalives_{name}": str(value) for name, value in _probes().items()}
    return "SELECT " + ", ".join(f"set_config('{name}', '{value}', false)" for name, value in values.items())


def _set_limits(raw: Any, statement: str) -> None:
    """Set on a new connection to a server what no URL can."""
    with closing(raw.cursor()) as cursor:
        cursor.execute(statement)
    raw.commit()
    if isinstance(own := getattr(raw, "_sock", None), socket.socket):  # PyMySQL's
        _notice_silence(own)


def _notice_silence(own: socket.socket) -> None:
    """Let TCP end a connection over which nothing comes back, be it that we send or that we wait.

    Without this a host that is cut off waits a quarter of an hour, or for ever. PyMySQL's own time-out would
    end statements that take long too.
    """
    names = {"idle": "TCP_KEEPIDLE", "interval": "TCP_KEEPINTVL", "count": "TCP_KEEPCNT"}
    options = {names[name]: value for name, value in _probes().items()}
    with suppress(OSError):  # a socket of Unix has no such ends
        own.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in {**options, "TCP_USER_TIMEOUT": SILENCE * 1000}.items():
            if hasattr(socket, name):  # they are Linux's; others have some of them
                own.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _begin(connection: Connection, waits: Waits) -> None:
    """Start a transaction: writers take the lock at once, readers never do.

    A reader that turns writer fails with SQLITE_BUSY_SNAPSHOT, and no waiting helps it.
    """
    raw = cast(sqlite3.Connection, connection.connection.dbapi_connection)
    options = connection.get_execution_options()
    if "write_until" not in options:
        _set_busy_timeout(raw, waits.read)
        connection.exec_driver_sql("BEGIN")
        return
    deadline: float = options["write_until"]
    _set_busy_timeout(raw, 0)
    try:
        _begin_immediate(raw, deadline)
    finally:
        _set_busy_timeout(raw, max(options["commit_wait"], deadline - time.monotonic()))


def _begin_immediate(connection: sqlite3.Connection, deadline: float) -> None:
    while True:
        try:
            connection.execute("BEGIN IMMEDIATE")
            return
        except sqlite3.OperationalError as error:
            if not database_errors.is_locked(error) or time.monotonic() > deadline:
                raise OperationalError("BEGIN IMMEDIATE", None, error) from error
            time.sleep(LOCK_POLL)


def _set_busy_timeout(connection: sqlite3.Connection, seconds: float) -> None:
    connection.execute(f"PRAGMA busy_timeout = {round(seconds * 1000)}")
