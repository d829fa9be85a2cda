"""The set-up of engines: how their connections begin, how long they wait, which file they use."""

import io
import logging
import math
import socket
import sqlite3
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import InvalidatePoolError, OperationalError

from guestbook.lib import clock
from guestbook.lib.json_log import RAISING_LOGGERS
from guestbook.settings import Settings
from guestbook.storage import column_types, database_errors, hosts_sharing_sqlite, plain_sql, sqlite_file
from guestbook.storage.database_errors import SecondHost
from guestbook.storage.hosts_sharing_sqlite import FirstHost
from guestbook.storage.sqlite_file import Opened, OpenFile

WAKEUP_FOLDER = "guestbook_data_dir"  # a key among the execution options of an engine
CONNECT_WAIT = 10  # seconds for a new connection
CONNECT_TRIES = 3  # until a server counts as frozen in the middle of a statement that may take hours
# A server's own clock, in seconds since 1970, whatever the clocks of its clients say.
SECONDS_BY_SERVER = {
    "postgresql": "extract(epoch FROM clock_timestamp())",
    "mysql": "unix_timestamp(sysdate(6))",
    "mariadb": "unix_timestamp(sysdate(6))",
}
# Since MariaDB 11.6.2 a row that changed while a statement waited for it is error 1020. We read it then: all
# that must not change is locked. Older servers see a comment here.
READ_NEWEST = "/*M!110602 , innodb_snapshot_isolation = OFF */"
RENEW_AFTER = 300  # seconds; after a failover an old connection may lead to a server that only reads
NO_ANSWER = "the server did not answer for {:g} seconds"
SILENCE = 30  # seconds without a sign of life, after which each side takes the other for lost


def options(settings: Settings, connect_wait: int = 0) -> dict[str, Any]:
    """Return the keywords of `create_engine` for the database of the settings."""
    if settings.on_sqlite:
        # The connection that wrote last has the pages at hand; all others must read them again.
        connect_args = {"isolation_level": None, "timeout": FOR_PASSES.read}
        return {"connect_args": connect_args, "pool_use_lifo": True}
    # MariaDB's default takes gap locks, under which even an empty claim blocks the visitor's INSERT.
    kept = {"isolation_level": "READ COMMITTED", "pool_pre_ping": True, "pool_recycle": RENEW_AFTER}
    wait = connect_wait or CONNECT_WAIT
    if settings.database_url.partition(":")[0].endswith("pymysql"):  # It reads to the end of the greeting.
        limits = {f"{step}_timeout": wait for step in ("connect", "read", "write")}
        return {**kept, "connect_args": {**limits, "charset": "utf8mb4"}}
    # libpq's words for what _notice_silence does
    keepalives = {f"keepalives_{name}": value for name, value in _probes().items()}
    connect_args = {"connect_timeout": wait, "tcp_user_timeout": SILENCE * 1000, **keepalives}
    # With hstore each process would look for a type that no column has.
    return {**kept, "connect_args": connect_args, "use_native_hstore": False}


def _connected(connect: Callable[[], Any], waits: "Waits", *, may_idle: bool) -> Any:
    """Return a new connection with the limits that no URL can set.

    The server ends idle transactions, which frees their locks, and statements that wait too long for a lock.
    In the middle of a statement PostgreSQL waits for the rest of it, but not for a host that TCP finds gone.
    """
    raw = connect()
    may_last = partial(_answers_others, connect) if waits.may_take_hours else _gives_up
    limit_silence(raw, waits.answer, may_last)
    idle, lock_wait = 0 if may_idle else SILENCE, waits.on_server
    if hasattr(raw, "pgconn"):  # PostgreSQL's
        values = {"idle_in_transaction_session_timeout": f"{idle}s", "lock_timeout": f"{lock_wait}s"}
        values |= {f"tcp_keepalives_{name}": str(value) for name, value in _probes().items()}
        values |= {"statement_timeout": f"{waits.statement}s"} if waits.statement else {}
        calls = (f"set_config('{name}', '{value}', false)" for name, value in values.items())
        limits = f"SELECT {', '.join(calls)}"
    else:  # net_read_timeout is 30 by default.
        locks = f", innodb_lock_wait_timeout = {lock_wait}, lock_wait_timeout = {lock_wait}"
        statement = f", max_statement_time = {waits.statement}" if waits.statement else ""
        limits = f"SET idle_transaction_timeout = {idle}{locks if lock_wait else ''}{statement}{READ_NEWEST}"
    with closing(raw.cursor()) as cursor:
        cursor.execute(limits)
    raw.commit()
    if isinstance(own := getattr(raw, "_sock", None), socket.socket):  # PyMySQL's
        _notice_silence(own)
    return raw


def _probes() -> dict[str, int]:
    """Return after how many seconds TCP probes a silent peer, how often, and how many seconds apart."""
    return {"idle": SILENCE // 3, "count": 4, "interval": max(1, SILENCE // 6)}


def _notice_silence(own: socket.socket) -> None:
    """Let TCP end a connection over which nothing comes back; else a host that is cut off waits for ever."""
    names = {"idle": "TCP_KEEPIDLE", "interval": "TCP_KEEPINTVL", "count": "TCP_KEEPCNT"}
    options = {names[name]: value for name, value in _probes().items()}
    with suppress(OSError):  # a Unix socket has no such options
        own.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in {**options, "TCP_USER_TIMEOUT": SILENCE * 1000}.items():
            if hasattr(socket, name):  # they are Linux's; others have some of them
                own.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _gives_up() -> bool:
    return False


def _answers_others(connect: Callable[[], Any]) -> bool:
    """Whether the server answers one of a few new connections in time, if only by refusing it."""
    return any(_is_answered(connect) for _ in range(CONNECT_TRIES))


def _is_answered(connect: Callable[[], Any]) -> bool:
    began = time.monotonic()
    with suppress(Exception):  # Each driver has other classes for a refusal.
        connect().close()
    return time.monotonic() - began < CONNECT_WAIT


def limit_silence(raw: Any, seconds: float, may_last: Callable[[], bool]) -> None:
    """Give up a connection whose server is silent for so long while we wait: TCP notices no frozen one.

    `may_last` is asked first. While it says yes, we wait for so long again.
    """
    if hasattr(raw, "pgconn"):  # libpq has no such limit, but psycopg does all its waiting in this method.
        wait = raw.wait
        raw.wait = lambda steps, *how, **named: wait(_within(seconds, raw, steps, may_last), *how, **named)
    else:  # PyMySQL looks at these before it reads and writes.
        raw._read_timeout = raw._write_timeout = seconds
        raw._rfile.close()
        raw._rfile = io.BufferedReader(_PatientReader(raw._sock, may_last))


def _within(seconds: float, raw: Any, steps: Any, may_last: Callable[[], bool]) -> Generator[Any, Any, Any]:
    """Pass on psycopg's steps, each of which waits for the socket; it looks several times a second."""
    until, is_ready = time.monotonic() + seconds, None
    while True:
        try:
            step = steps.send(is_ready)
        except StopIteration as end:
            return end.value
        if time.monotonic() >= until:
            if not may_last():
                raw.close()
                raise raw.OperationalError(NO_ANSWER.format(seconds))
            until = time.monotonic() + seconds
        is_ready = yield step


class _PatientReader(io.RawIOBase):
    """What PyMySQL reads from. Python's own file of a socket cannot be read again after a time-out."""

    def __init__(self, own: socket.socket, may_last: Callable[[], bool]) -> None:
        self._own, self._may_last = own, may_last

    def readable(self) -> bool:
        """Whether it can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read what is there, or wait for it."""
        while True:
            try:
                return self._own.recv_into(buffer)
            except TimeoutError:
                if not self._may_last():
                    raise TimeoutError(NO_ANSWER.format(self._own.gettimeout())) from None


@dataclass(frozen=True, slots=True)
class Waits:
    """How long a transaction waits for others, in seconds."""

    write: float  # seconds for its turn and for the lock on SQLite together
    read: float  # seconds for another's commit on SQLite, and of a commit for readers
    on_server: int  # seconds for a lock of a server; 0 leaves it to the server
    at_once: int  # writers of a process that may wait; others give up at once
    retry: float = math.inf  # seconds in which a failed transaction is repeated
    answer: float = 60.0  # seconds for an answer of a server, more than a pass waits for a lock
    may_take_hours: bool = False  # A statement may, while the server answers others.
    statement: int = 0  # seconds for a statement of a server, and for a connection to it; 0 for the usual


FOR_PASSES = Waits(write=20.0, read=10.0, on_server=30, at_once=1_000_000)
# Half of the README's threads may wait. A request waits only once for a lock on a server.
FOR_REQUESTS = Waits(write=5.0, read=1.0, on_server=5, at_once=4, retry=5.0, answer=15.0)
FOR_SHORT_PASSES = replace(FOR_REQUESTS, write=0.5, read=0.5, on_server=1, retry=0.5)  # inside a request
# One statement of `restore` or `upgrade` may take hours.
FOR_LONG_WORK = replace(FOR_PASSES, on_server=600, may_take_hours=True)
chosen_waits: ContextVar[Waits | None] = ContextVar("waits", default=None)  # how long this thread waits now


@contextmanager
def waiting(waits: Waits) -> Iterator[None]:
    """Let all transactions of this thread wait so long meanwhile, whoever makes them."""
    token = chosen_waits.set(waits)
    try:
        yield
    finally:
        chosen_waits.reset(token)


@contextmanager
def opened(settings: Settings, waits: Waits = FOR_LONG_WORK) -> Iterator[Engine]:
    """Give an engine of its own for the settings' database, set up as the app's, and close it at the end."""
    url = make_url(settings.database_url)
    if settings.on_sqlite and "uri" not in url.query:  # as for the app, a path begins in the data folder
        url = url.set(database=str(settings.data_dir / (url.database or "")))
    url = url.difference_update_query(["journal_mode"])
    engine = create_engine(url, **options(settings, waits.statement))
    # It idles while the other side is read.
    set_up(engine, settings, may_idle=True, waits=lambda: chosen_waits.get() or waits)
    try:
        yield engine
    finally:
        engine.dispose()


def set_up(engine: Engine, settings: Settings, *, waits: Callable[[], Waits], may_idle: bool = False) -> None:
    """Set up the connections that an engine makes: they encrypt secrets, and wake passes in the data folder.

    If they `may_idle`, transactions that do nothing last for as long as they like. `waits` says how long one
    that begins now may wait; on a server, one of a connection that is made now.
    """
    column_types.use_keyring(engine, settings.keyring)
    engine.update_execution_options(**{WAKEUP_FOLDER: settings.data_dir})
    if settings.on_sqlite:
        journal = str(make_url(settings.database_url).query.get("journal_mode", "wal"))
        event.listen(engine, "connect", lambda raw, _: sqlite_file.set_pragmas(raw, journal, waits().read))
        first = FirstHost(_watch_file(engine))
        event.listen(engine, "begin", lambda connection: _begin(connection, waits(), first))
        return
    for logger in map(logging.getLogger, RAISING_LOGGERS):  # They would log tracebacks of lost connections.
        if logger.level == logging.NOTSET:  # Nobody has chosen one.
            logger.setLevel(logging.CRITICAL)

    def connect(dialect: Any, _record: Any, names: Any, options: Any) -> Any:
        """Connect before SQLAlchemy's own first statements."""
        return _connected(partial(dialect.connect, *names, **options), waits(), may_idle=may_idle)

    event.listen(engine, "do_connect", connect)
    event.listen(engine, "handle_error", database_errors.correct_disconnect)


def journal_mode(engine: Engine) -> str | None:
    """Return SQLite's journal mode in force (`wal` is not to be had on some network drives), else None."""
    if engine.dialect.name != "sqlite":
        return None
    with engine.connect() as connection:
        return str(connection.exec_driver_sql("PRAGMA journal_mode").scalar())


def clear_wal(engine: Engine) -> None:
    """Empty SQLite's write-ahead log, which still has what was deleted, unless others read it."""
    if engine.dialect.name == "sqlite":
        with engine.connect() as connection:
            sqlite_file.clear_wal(plain_sql.sqlite_connection(connection))


def _watch_file(engine: Engine) -> Path | None:
    """Let no connection be used if its file is no longer at its path; return the path, if it has one."""
    name = engine.url.database or ""
    if "uri" in engine.url.query or not name or name == ":memory:":
        return None
    files: dict[str, OpenFile] = {}

    def prepare(dialect: Any, record: Any, names: Any, options: Any) -> Any:
        file = files.setdefault(names[0], OpenFile(names[0]))
        with file.staying():
            uri = file.prepare(record.info)
            raw = dialect.connect(uri, **options, uri=True) if uri else dialect.connect(*names, **options)
            sqlite_file.open_log(raw)
        return raw

    def see(_raw: Any, record: Any, _proxy: Any) -> None:
        opened: Opened = record.info["file"]
        if not opened.is_current:
            if opened.was_read_only:  # SQLite lets a process's connections share what it knows of the disk
                engine.pool.dispose()
            opened.file.prepare_anew(opened)
            raise InvalidatePoolError

    event.listen(engine, "do_connect", prepare)
    event.listen(engine, "connect", lambda _raw, record: record.info["file"].file.note(record.info))
    event.listen(engine, "checkout", see)
    return Path(name)


def _begin(connection: Connection, waits: Waits, first: FirstHost) -> None:
    """Start a transaction: writers take the lock at once, readers never do.

    A reader that turns writer fails with SQLITE_BUSY_SNAPSHOT, and no waiting helps it. Raises SecondHost.
    """
    raw, options = plain_sql.sqlite_connection(connection), connection.get_execution_options()
    if "write_until" not in options:
        sqlite_file.set_busy_timeout(raw, waits.read)
        connection.exec_driver_sql("BEGIN")
        return
    deadline: float = options["write_until"]
    if first.file and (host := first.other()):
        seconds = math.ceil((host.last_at + hosts_sharing_sqlite.ACTIVE_FOR - clock.now()).total_seconds())
        raise SecondHost(hosts_sharing_sqlite.why_second(first.file, host), max(1, seconds))
    try:
        sqlite_file.begin_immediate(raw, deadline)
    except sqlite3.OperationalError as error:
        if "file" in connection.info and sqlite_file.primary_code(error) == sqlite3.SQLITE_READONLY:
            # It lasts as long as other connections of the process have the file open.
            connection.info["file"] = replace(connection.info["file"], was_read_only=True)
        raise OperationalError(sqlite_file.TAKE_TURN, None, error) from error
    finally:
        sqlite_file.set_busy_timeout(raw, max(options["commit_wait"], deadline - time.monotonic()))
