"""Compare a backup with the present book, and put it in its place, in one transaction, after a backup."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, Engine, column, create_engine, delete, func, inspect, select, table
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from guestbook.lib import pass_lock
from guestbook.lib.errors import Refused
from guestbook.lib.progress import Progress
from guestbook.settings import Settings, database_url
from guestbook.storage import backup, database, database_errors, engine_setup, stored_secrets
from guestbook.storage.backup import BackupReport
from guestbook.storage.copy import checksum, table_reader
from guestbook.storage.copy.book_copy import PASS_WAIT
from guestbook.storage.copy.checksum import Checksum
from guestbook.storage.copy.table_reader import PlainTable
from guestbook.storage.copy.target import REFUSALS, insert_rows
from guestbook.storage.database import Base
from guestbook.storage.database_errors import Fault, WrongVersion
from guestbook.storage.restore import sqlite_replacement
from guestbook.storage.restore.sqlite_replacement import StagedBook

IDS_AT_ONCE = 500
COMMENTS = table("comments", column("id"))
QUEUE = table("deliveries", column("id"), column("status"))


@dataclass(slots=True)
class Comparison:
    """The present book beside a backup; numbers of rows."""

    comments: int = 0  # in the present book
    comments_gone: int = 0  # of these, not in the backup
    comments_back: int = 0  # in the backup, and no more in the present book
    waiting: int = 0  # deliveries that the backup has to send
    finished_since: int = 0  # of these, processed or given up in the present book
    unknown: int = 0  # of these, not in the present book
    inbound: int = 0  # inbound events that the backup has to process


def compare(engine: Engine, staged_book: StagedBook) -> Comparison:
    """Compare the book with the backup; a database without tables is an empty book."""
    found = Comparison()
    with closing(sqlite3.connect(staged_book.path)) as copy, engine.connect() as connection:
        has_book = {"comments", "deliveries"} <= set(inspect(connection).get_table_names())
        waiting = "SELECT count(*) FROM inbound_events WHERE status = 'new'"
        (found.inbound,) = copy.execute(waiting).fetchone()
        for ids in _ids(copy, "SELECT id FROM deliveries WHERE status = 'new'"):
            found.waiting += len(ids)
            statuses = _statuses(connection, ids) if has_book else []
            found.unknown += len(ids) - len(statuses)
            found.finished_since += len([one for one in statuses if one != "new"])
        _compare_comments(copy, connection if has_book else None, found)
    return found


def _compare_comments(copy: sqlite3.Connection, connection: Connection | None, found: Comparison) -> None:
    in_both = 0
    for ids in _ids(copy, "SELECT id FROM comments"):
        both = _count(connection, ids) if connection else 0
        in_both += both
        found.comments_back += len(ids) - both
    if connection:
        found.comments = connection.scalar(select(func.count()).select_from(COMMENTS)) or 0
        found.comments_gone = found.comments - in_both


def _ids(copy: sqlite3.Connection, query: str) -> Iterator[list[str]]:
    rows = copy.execute(query)
    while ids := [one for (one,) in rows.fetchmany(IDS_AT_ONCE)]:
        yield ids


def _statuses(connection: Connection, ids: list[str]) -> list[str]:
    return list(connection.scalars(select(QUEUE.c.status).where(QUEUE.c.id.in_(ids))))


def _count(connection: Connection, ids: list[str]) -> int:
    there = select(func.count()).select_from(COMMENTS).where(COMMENTS.c.id.in_(ids))
    return connection.scalar(there) or 0


NEWER_BOOK = (
    "The database holds a book of a newer program. Update the program, or name an empty database in "
    "GUESTBOOK_DATABASE_URL."
)
DAMAGED = (
    "The present book is damaged. Stop the web server and cron, move {file}, {file}-wal and {file}-shm to "
    "another folder, and run this again."
)


@dataclass(frozen=True, slots=True)
class RestoreReport:
    """The backup of the book that was replaced, if it had rows, and the rows of each table now.

    `has_key` is whether this host has the secret key of the restored book, in use or among the older ones.
    `unreadable` is how many webhooks, sources and settings have secrets that this host cannot decrypt.
    """

    before: BackupReport | None
    rows: dict[str, int]
    has_key: bool
    unreadable: int


def run(
    settings: Settings, staged_book: StagedBook, *, progress: Progress, waiting: Callable[[], None]
) -> RestoreReport:
    """Replace the book of the settings, while no pass of this machine and no upgrade is at work.

    Until the transaction commits the old book is there. Nobody can write to it: the backup has all of it.
    A conflict with visitors begins it again.
    Raises Refused, WrongVersion for an older book on a server, and what SQLAlchemy raises.
    """
    place = sqlite_replacement.replace_on_sqlite if settings.on_sqlite else _replace_on_server
    with (
        pass_lock.taken(settings.data_dir / pass_lock.PASS, patience=PASS_WAIT, waiting=waiting) as is_quiet,
        engine_setup.opened(settings) as engine,
    ):
        if not is_quiet:
            raise Refused("A pass or an upgrade is still at work. Stop cron, and run this again.")
        keeper = _Keeper(settings, progress)
        with readable(engine):
            rows = database.repeat(
                lambda: place(engine, staged_book, keeper.keep, progress), only_conflicts=True
            )
        engine_setup.clear_wal(engine)
        with engine.connect() as connection:
            locked = stored_secrets.look(connection, settings.keyring).unreadable
    return RestoreReport(keeper.report, rows, settings.keyring.has(staged_book.label.key_id), len(locked))


class _Keeper:
    """Makes the backup of the present book, when nobody can write to it any more."""

    def __init__(self, settings: Settings, progress: Progress) -> None:
        self._settings, self._progress = settings, progress
        self.report: BackupReport | None = None

    def keep(self) -> Path:
        """Make it in place of the one of an earlier try, and return where it is."""
        if self.report:
            self.report.path.unlink(missing_ok=True)
        path = backup.own_path(self._settings, "before-restore")
        self.report = backup.write(self._settings, path, progress=self._progress)
        return self.report.path


@contextmanager
def readable(engine: Engine) -> Iterator[None]:
    """Say what helps if SQLite cannot read the present book."""
    try:
        yield
    except DBAPIError as error:
        if engine.dialect.name == "sqlite" and database_errors.fault_of(error) is Fault.DAMAGED:
            raise Refused(DAMAGED.format(file=engine.url.database)) from error
        raise


def _replace_on_server(
    engine: Engine,
    staged_book: StagedBook,
    keep: Callable[[], Path],
    progress: Progress,
) -> dict[str, int]:
    """Let the tables have the rows of the staged book; return how many rows each has.

    `keep` makes the backup of what is there, if there are rows. Raises Refused, WrongVersion for a book that
    is older than the program, and what SQLAlchemy raises.
    """
    _make_tables(engine)
    plains = [table_reader.plain(table) for table in Base.metadata.sorted_tables]
    if engine.dialect.name != "postgresql":  # so that DELETE locks the gaps between rows, too
        engine = engine.execution_options(isolation_level="REPEATABLE READ")
    copy = create_engine(database_url.of_file(staged_book.path), poolclass=NullPool)
    with database.write(engine) as connection, database.alone(connection):
        if _emptied(connection, plains):
            present = keep()  # on another connection, which sees what was there before
            with closing(sqlite3.connect(staged_book.path, isolation_level=None)) as book:
                book.execute("ATTACH ? AS present", (str(present),))
                sqlite_replacement.continue_sequences(book, "main", "present")
        with progress("Restoring", 2 * sum(staged_book.rows.values())) as step, copy.connect() as source:
            return {plain.name: _fill(source, connection, plain, step) for plain in plains}


def _make_tables(engine: Engine) -> None:
    try:
        database.create_tables(engine)
    except WrongVersion as error:
        if error.fault is Fault.NEW_TABLES:
            raise Refused(NEWER_BOOK) from None
        raise
    database.require_version(engine)


def _emptied(connection: Connection, plains: list[PlainTable]) -> bool:
    """Delete all rows, so that nobody can insert any; say whether there were some."""
    if connection.dialect.name == "postgresql":
        names = ", ".join(plain.name for plain in plains)
        # A weaker lock would let others lock rows, and then both sides would wait.
        connection.exec_driver_sql(f"LOCK TABLE {names} IN EXCLUSIVE MODE")
    return sum([connection.execute(delete(plain.clause)).rowcount for plain in reversed(plains)]) > 0


def _fill(source: Connection, connection: Connection, table: PlainTable, step: Callable[[int], None]) -> int:
    """Copy a table's rows, read them again and compare; return how many there are."""
    written, again = Checksum(), Checksum()
    for rows in checksum.chunks(source, table, written):
        try:
            insert_rows(connection, table, rows)
        except REFUSALS as error:
            why = f"{table.name}: {database_errors.words(error)}"
            raise Refused(f"The database refuses a row of {why}. Nothing was changed.") from error
        step(len(rows))
    for rows in checksum.chunks(connection, table, again):
        step(len(rows))
    if again != written:
        raise Refused(f"The restored book differs from the backup in {table.name}. Nothing was changed.")
    return again.rows
