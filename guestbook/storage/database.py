"""The database: its transactions, what is tried again, its tables from schema.sql and their version."""

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from flask import Flask, current_app, has_request_context
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import Connection, Engine, Table, inspect, make_url
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError
from sqlalchemy.orm import DeclarativeBase, Session, registry

from guestbook.lib import wakeup_socket
from guestbook.lib.locks import FairLock
from guestbook.settings import Settings
from guestbook.storage import SCHEMA, database_errors, engines, plain_sql, schema_version, sqlite_file
from guestbook.storage.column_types import Json, UtcTime
from guestbook.storage.database_errors import Fault, WrongVersion
from guestbook.storage.engines import Waits
from guestbook.storage.schema_version import Age
from guestbook.storage.sqlite_file import FileReplaced

# Every claim and every end leaves a dead entry at the front of the index that the next claim reads; by itself
# PostgreSQL would wait until they are a fifth of the table, which in a large one are a million.
AUTOVACUUM = (
    "autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000, vacuum_index_cleanup = on"
)
AUTOVACUUM_STATEMENTS = [f"ALTER TABLE {one} SET ({AUTOVACUUM})" for one in ("deliveries", "inbound_events")]
TABLES_WAIT = 50  # seconds for another process that makes the tables just now


class Base(DeclarativeBase):
    """The base of all models."""

    registry = registry(type_annotation_map={datetime: UtcTime, dict[str, str]: Json})
    __table__: ClassVar[Table]  # SQLAlchemy types it more widely


_write_lock = FairLock()
# A request may still read its own rows when the connection is lost after the commit.
db = SQLAlchemy(model_class=Base, disable_autonaming=True, session_options={"expire_on_commit": False})


def init_app(app: Flask, settings: Settings) -> None:
    """Give the app its engine, set up for the database that the settings name."""
    url = make_url(settings.database_url)
    app.config["SQLALCHEMY_DATABASE_URI"] = url.difference_update_query(["journal_mode"])
    app.config["WAITS"] = engines.FOR_REQUESTS
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = engines.options(settings)
    db.init_app(app)
    app.teardown_appcontext(_close_session)  # before Flask-SQLAlchemy's own, which has no answer to an error
    with app.app_context():
        engines.set_up(db.engine, settings, waits=present_waits)


@contextmanager
def writing(session: Session | None = None) -> Iterator[Session]:
    """Give a session whose transaction writes; commit at the end, roll back on an error."""
    session = session or db.session()
    end(session)  # a read before this may have opened a transaction that cannot be upgraded
    with _holding_write_lock(session.get_bind().dialect.name) as options:
        try:
            info = session.connection(execution_options=options).info
            _forget_notes(info)
            yield session
            info = dict(info)  # with the commit the connection goes back, and another thread may take it
            session.commit()
            _check_file(info)
        except BaseException:
            end(session)
            raise
    _announce(session.get_bind(), info)  # others may write meanwhile


@contextmanager
def write(engine: Engine, *, lock_wait: float | None = None) -> Iterator[Connection]:
    """Give a connection whose transaction writes; commit at the end, roll back on an error.

    On SQLite it waits so many seconds for other writers, or the usual time, and then raises OperationalError.
    """
    with (
        _holding_write_lock(engine.dialect.name, lock_wait) as options,
        engine.connect().execution_options(**options) as connection,
    ):
        _forget_notes(connection.info)
        with connection.begin():
            yield connection
        _check_file(connection.info)
        info = dict(connection.info)  # another thread may take the connection
    _announce(engine, info)


@contextmanager
def read(engine: Engine) -> Iterator[Connection]:
    """Give a connection that only reads. On PostgreSQL each statement stands for itself.

    There a transaction would cost two round trips, and at a rollback psycopg drops all prepared statements.
    """
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            connection.execution_options(isolation_level="AUTOCOMMIT")
        elif engine.dialect.name == "sqlite":  # A writer may have had the connection, and waited longer.
            sqlite_file.set_busy_timeout(plain_sql.sqlite_connection(connection), present_waits().read)
        yield connection


def create_tables(engine: Engine) -> None:
    """Run schema.sql, which may be run again.

    Raises WrongVersion for a book of another version, and changes nothing of it.
    """
    with write(engine) as connection, alone(connection):
        if _has_all_tables(connection):
            return  # even a statement that changes nothing takes locks, on which visitors would wait
        for statement in statements(SCHEMA.read_text()):
            connection.exec_driver_sql(statement)
        if engine.dialect.name == "postgresql":
            for statement in AUTOVACUUM_STATEMENTS:
                connection.exec_driver_sql(statement)


@contextmanager
def alone(connection: Connection) -> Iterator[None]:
    """Let one process at a time make or change tables: on a server, two that make the same one would fail."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(hashtext('guestbook tables'))")
    if connection.dialect.name not in ("mysql", "mariadb"):
        yield
        return
    name = "MD5(CONCAT('guestbook tables ', DATABASE()))"  # names are for all databases of a server
    if not connection.exec_driver_sql(f"SELECT GET_LOCK({name}, {TABLES_WAIT})").scalar():
        late = TimeoutError("another process is making the tables")
        raise OperationalError("GET_LOCK", None, late)
    try:
        yield
    finally:
        if not connection.invalidated:  # a server frees the lock of a lost connection
            connection.exec_driver_sql(f"SELECT RELEASE_LOCK({name})")


def statements(sql: str) -> list[str]:
    """Split schema.sql into its statements; comments are left out, for psycopg refuses lone ones."""
    bare = "\n".join(line.partition("--")[0].rstrip() for line in sql.splitlines())
    return [part.strip() for part in bare.split(";") if part.strip()]


def is_away(error: SQLAlchemyError) -> bool:
    """Whether the database cannot be used now, and trying again later helps."""
    return database_errors.fault_of(error) is Fault.AWAY


def end(session: Session) -> None:
    """End the session's transaction, even if its connection is lost; the next use takes another."""
    try:
        session.rollback()
    except SQLAlchemyError:  # the transaction ended with the connection
        session.invalidate()


def _close_session(_error: BaseException | None) -> None:
    """End the request's session. A connection that was lost meanwhile changes nothing of the answer."""
    try:
        db.session.remove()
    except SQLAlchemyError:
        db.session().invalidate()
        db.session.remove()


def _check_file(info: dict[Any, Any]) -> None:
    """Check that the commit went to the file at the path; raises OperationalError."""
    try:
        sqlite_file.check(info)
    except FileReplaced as error:
        raise OperationalError("COMMIT", None, error) from error


def present_waits() -> Waits:
    """Return how long to wait for others: a visitor waits less than a command or a pass."""
    usual: Waits = current_app.config["WAITS"] if has_request_context() else engines.FOR_PASSES
    return engines.chosen_waits.get() or usual


@contextmanager
def _holding_write_lock(dialect: str, lock_wait: float | None = None) -> Iterator[dict[str, float]]:
    """Hold the lock of this process's writers, and give the transaction's options; servers have queues."""
    waits = present_waits()
    if lock_wait is not None:
        waits = replace(waits, write=lock_wait, read=min(lock_wait, waits.read))
    options = {"write_until": time.monotonic() + waits.write, "commit_wait": waits.read}
    if dialect != "sqlite":
        yield options
        return
    try:
        _write_lock.acquire(waits.write, at_once=waits.at_once)
    except TimeoutError as error:
        raise OperationalError(sqlite_file.TAKE_TURN, None, error) from error
    in_vain = False
    try:
        yield options
    except OperationalError:  # another process has the lock, or the disk is full
        in_vain = True
        raise
    finally:
        _write_lock.release(in_vain=in_vain)


CHANNEL = "guestbook_new_work"  # the channel of LISTEN and NOTIFY
NOTED = "has_new_work"  # a key in the `info` of a connection
LOOKED = "has_looked_who_waits"  # another: the NOTIFY is sent, if there must be one


def note_new_work(connection: Connection) -> None:
    """Note that this transaction stores something that may be due at once, so that a waiting pass starts it.

        transaction: store a delivery, note it ── commit ──▶ sockets in the data folder
                              └─ PostgreSQL, if nobody waits on this host ──▶ NOTIFY, sent by the commit

    A pass that hears nothing looks by itself now and then, so nothing depends on this.
    """
    connection.info[NOTED] = True
    if connection.dialect.name != "postgresql" or LOOKED in connection.info:
        return
    if not connection.in_nested_transaction():  # with a savepoint its NOTIFY may be rolled back
        connection.info[LOOKED] = True
    folder = wakeup_folder(connection)
    # A NOTIFY makes commits wait for each other, so it is kept for passes on other hosts.
    if folder is None or not wakeup_socket.somebody_waits(folder):
        connection.exec_driver_sql(f"NOTIFY {CHANNEL}")


def wakeup_folder(bind: Engine | Connection) -> Path | None:
    """Return the data folder in which passes wait; None if the engine has none."""
    folder: Path | None = bind.get_execution_options().get(engines.WAKEUP_FOLDER)
    return folder


def _forget_notes(info: dict[Any, Any]) -> None:
    """Forget what an earlier transaction of the connection noted and did not commit."""
    info.pop(NOTED, None)
    info.pop(LOOKED, None)


def _announce(bind: Engine | Connection, info: dict[Any, Any]) -> None:
    """Wake the passes of this host if the transaction, which is committed, has noted new work."""
    folder = wakeup_folder(bind)
    if info.pop(NOTED, False) and folder is not None:
        wakeup_socket.send(folder)


PERMANENT_FAULTS = (Fault.NO_TABLES, Fault.OLD_TABLES, Fault.DAMAGED)  # no retry helps against these
RETRY_FOR = 10.0  # seconds for a transaction whose connection broke
RETRY_CONFLICTS_FOR = 60.0  # seconds, twice as long as a pass waits for a lock

T = TypeVar("T")


def write_with_retry(engine: Engine, do: Callable[[Connection], T]) -> T:
    """Do something in a write transaction, and retry it after a conflict or a lost connection.

    A commit that the server made but could not confirm is repeated too, so the work must be safe to repeat.
    """

    def once() -> T:
        with write(engine) as connection:
            return do(connection)

    return repeat(once)


def read_with_retry(engine: Engine, do: Callable[[Connection], T]) -> T:
    """Do something that only reads, and on a server retry it as a write. SQLite has no connection to lose."""

    def once() -> T:
        with read(engine) as connection:
            return do(connection)

    return once() if engine.dialect.name == "sqlite" else repeat(once)


def retry_conflicts(do: Callable[[], T]) -> T:
    """Do a request, a command or a part of it with the session, and again after a conflict.

    Where it has several transactions, each may be repeated.
    """

    def once() -> T:
        try:
            return do()
        except DBAPIError as error:
            if database_errors.is_conflict(error):
                end(db.session())
            raise

    return repeat(once, only_conflicts=True)


def repeat(do: Callable[[], T], *, only_conflicts: bool = False) -> T:
    """Do something, and again as long as another try may help.

    Gives up after ten seconds, after a minute of conflicts, and inside a web request sooner. If the database
    refuses a value or a statement, a single retry tells whether another transaction was in the way.
    """
    began, wait, most = time.monotonic(), 0.02, present_waits().retry
    was_refused = False
    while True:
        try:
            return do()
        except DBAPIError as error:
            fault, is_conflict = database_errors.fault_of(error), database_errors.is_conflict(error)
            limit = min(most, RETRY_CONFLICTS_FOR if is_conflict else RETRY_FOR)
            left = began + limit - time.monotonic()
            is_vain = fault in PERMANENT_FAULTS or (was_refused and fault.is_of_one_row)
            if left <= 0 or is_vain or (only_conflicts and not is_conflict):
                raise  # where one repeat is inside another, this is too late for both
            was_refused = fault.is_of_one_row
            time.sleep(min(left, random.uniform(wait / 2, wait)))  # the two must not meet again
            wait = min(2 * wait, 1.0)


VERSION_TABLE = "alembic_version"
VERSION_FAULTS = {Age.OLDER: Fault.OLD_TABLES, Age.TOO_OLD: Fault.TOO_OLD, Age.NEWER: Fault.NEW_TABLES}


def require_version(engine: Engine) -> None:
    """Return when the version is right; raises WrongVersion, and the database's error without any tables."""
    if fault := VERSION_FAULTS.get(schema_version.age(stored_version(engine))):
        raise WrongVersion(fault)


def stored_version(engine: Engine) -> Sequence[str]:
    """Return the rows of `alembic_version`, none for a book from before it, and for another program's tables.

    Raises the database's error, also for a database without the tables of a book.
    """
    try:
        with engine.connect() as connection:
            return _version_on(connection)
    except DBAPIError as error:
        if database_errors.fault_of(error) is not Fault.NO_TABLES:
            raise
        with engine.connect() as connection:
            if _are_new(connection):
                raise
    return ()


def _has_all_tables(connection: Connection) -> bool:
    """Whether the tables of schema.sql are there. If not, its text may be run.

    Raises WrongVersion for a book of another version.
    """
    tables = set(inspect(connection).get_table_names())
    stored = _version_on(connection) if VERSION_TABLE in tables else ()
    if not stored and _are_new(connection):
        return False
    if fault := VERSION_FAULTS.get(schema_version.age(stored)):
        raise WrongVersion(fault)
    return tables >= _models().keys()


def _version_on(connection: Connection) -> Sequence[str]:
    """Return the rows of `alembic_version`; raises the database's error where it is missing."""
    return connection.exec_driver_sql(schema_version.QUERY).scalars().all()


def _are_new(connection: Connection) -> bool:
    """Whether nothing is there yet, or MariaDB was interrupted when it made the tables."""
    seen = inspect(connection)
    there = set(seen.get_table_names())
    return all(
        {*model.c.keys()} <= {column["name"] for column in seen.get_columns(name)}
        and not connection.exec_driver_sql(f"SELECT 1 FROM {name} LIMIT 1").all()
        for name, model in _models().items()
        if name in there
    )


def _models() -> Mapping[str, Table]:
    """Return the tables of all models. They are imported here, because they need the Base above."""
    import guestbook.storage.models  # noqa: F401  it adds its tables to the metadata

    return Base.metadata.tables
