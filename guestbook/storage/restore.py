"""Put a backup in the place of the book, in one transaction, after a backup of the present one.

The backup is staged first: verified, upgraded, and made a book of. Then it can be compared with the present
book. On SQLite it goes into the book's file, which web servers may have open; on a server, into the tables.
"""

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import Connection, Engine, column, create_engine, delete, event, func, inspect, select, table
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from guestbook.lib import clock, pass_lock
from guestbook.lib.errors import Refused
from guestbook.lib.own_process import Progress
from guestbook.settings import Settings, database_url
from guestbook.storage import (
    SCHEMA,
    backup,
    backup_file,
    database,
    database_errors,
    engine_setup,
    schema_version,
    stored_secrets,
    table_copy,
)
from guestbook.storage.backup import BackupReport
from guestbook.storage.backup_file import BackupLabel, quoted
from guestbook.storage.database import VERSION_TABLE
from guestbook.storage.database_errors import Fault, WrongVersion
from guestbook.storage.schema_version import Age
from guestbook.storage.table_copy import Checksum, PlainTable, RefusedRow

COPY_ADVICE = (
    "If it is a copy of a book's database, make a backup of that folder first: the page on backups says how."
)
TOO_OLD = (
    "{} is of version {}, and this program restores backups of version {} and later only: the page on "
    "upgrades says what to do."
)
STAGING_FOLDER = "restore.unfinished"  # a name in the data folder
COPY, BOOK = "backup.db", "book.db"  # the files in that folder


@dataclass(frozen=True, slots=True)
class StagedBook:
    """A book that is ready to be put in place, and the label of its backup."""

    path: Path
    label: BackupLabel

    @property
    def rows(self) -> dict[str, int]:
        """Return how many rows each table has in the backup."""
        return {name: one.rows for name, one in self.label.tables.items()}


@contextmanager
def staged(settings: Settings, file: Path) -> Iterator[StagedBook]:
    """Verify a backup and make a book of it, which is gone at the end; raises Refused."""
    folder = settings.data_dir / STAGING_FOLDER
    with pass_lock.taken(settings.data_dir / pass_lock.RESTORE) as is_alone:
        if not is_alone:
            raise Refused("Another restore is at work.")
        try:
            label = _copied(file, folder)
            _build(settings, folder, label)
            yield StagedBook(folder / BOOK, label)
        except OSError as error:
            raise Refused(f"{file} cannot be restored: {error.strerror}. Nothing was changed.") from None
        finally:
            with suppress(OSError):
                _remove(folder)


def hold(staged_book: StagedBook) -> int:
    """Disable all webhooks before the book is put in place; return how many were enabled."""
    with closing(sqlite3.connect(staged_book.path)) as book, book:
        change = "UPDATE webhooks SET disabled_at = ?, disabled_reason = 'by_hand' WHERE disabled_at IS NULL"
        return book.execute(change, (clock.to_text(clock.now()),)).rowcount


def continue_sequences(book: sqlite3.Connection, staged: str, present: str) -> None:
    """Let the staged book count the events about each comment on from where the present one is.

    A receiver may ignore a number that it has seen. Both are names of databases on the connection.
    """
    last = f"SELECT last_sequence FROM {present}.comments AS now WHERE now.id = comments.id"
    book.execute(
        f"UPDATE {staged}.comments SET last_sequence = ({last})"
        f" WHERE EXISTS ({last} AND now.last_sequence > comments.last_sequence)"
    )


def _copied(file: Path, folder: Path) -> BackupLabel:
    """Copy the file, and verify the copy: nobody changes that afterwards."""
    if not file.is_file():
        raise Refused(f"There is no file {file}.")
    if not backup_file.is_backup(file):
        advice = f" {COPY_ADVICE}" if backup_file.is_database(file) else ""
        raise Refused(f"{file} is not a backup of a guestbook.{advice}")
    if folder.exists():
        _remove(folder)  # a killed run has left it
    folder.mkdir(mode=0o700)
    copy = folder / COPY
    shutil.copyfile(file, copy)
    label = backup_file.verify(copy, file)
    age = schema_version.age([label.schema])
    if age is Age.TOO_OLD:
        raise Refused(TOO_OLD.format(file, label.schema, schema_version.known()[0]))
    if age is Age.NEWER:
        raise Refused(f"{file} is from a newer version of the program ({label.program}). Update it first.")
    return label


def _remove(folder: Path) -> None:
    """Remove the folder with what a restore puts there, and no other file; raises OSError for a link."""
    for name in () if folder.is_symlink() else (COPY, BOOK):
        backup.remove(folder / name)
    folder.rmdir()


def _build(settings: Settings, folder: Path, label: BackupLabel) -> None:
    """Bring the copy to the program's version, and make a book with new tables of its rows."""
    copy, book = (
        replace(settings, database_url=f"{database_url.of_file(folder / name)}?journal_mode=delete")
        for name in (COPY, BOOK)
    )
    try:
        if label.schema != schema_version.head():
            from guestbook.storage import upgrade  # imported here, because Alembic makes a start slower

            upgrade.migrate(copy, label.schema)
        _fill_staged(book, folder / COPY)
    except DBAPIError as error:
        raise Refused(f"The backup cannot be restored: {database_errors.words(error)}.") from error


def _fill_staged(book: Settings, copy: Path) -> None:
    """Copy all rows of the tables that both have to new tables."""

    def attach(raw: sqlite3.Connection, _record: object) -> None:
        raw.execute("PRAGMA foreign_keys = OFF")
        raw.execute("ATTACH ? AS backup", (str(copy),))

    with engine_setup.opened(book) as engine:
        database.create_tables(engine)
        engine.dispose()
        event.listen(engine, "connect", attach)
        with database.write(engine) as connection:
            seen = inspect(connection)
            there = set(seen.get_table_names(schema="backup"))
            for table in sorted((set(seen.get_table_names()) & there) - {VERSION_TABLE}):
                old = {one["name"] for one in seen.get_columns(table, schema="backup")}
                names = quoted([one["name"] for one in seen.get_columns(table) if one["name"] in old])
                connection.exec_driver_sql(
                    f'INSERT INTO main."{table}" ({names}) SELECT {names} FROM backup."{table}"'
                )


TABLES_OF = (
    "SELECT name FROM {}.sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
)


def replace_on_sqlite(
    engine: Engine,
    staged_book: StagedBook,
    keep: Callable[[], object],
    progress: Progress,
) -> dict[str, int]:
    """Let the file have the tables and rows of the staged book; return how many rows each table has.

    `keep` makes the backup of what is there, if there are rows. Raises Refused, and what SQLAlchemy raises.
    """

    def attach(raw: sqlite3.Connection, _record: object) -> None:
        raw.execute("PRAGMA foreign_keys = OFF")
        raw.execute("ATTACH ? AS staged", (str(staged_book.path),))

    event.listen(engine, "connect", attach)
    try:
        with database.write(engine) as connection:
            if _has_rows(connection):
                keep()
                continue_sequences(engine_setup.sqlite_connection(connection), "staged", "main")
            _make_anew(connection)
            names = _tables(connection, "staged")
            with progress("Restoring", sum(staged_book.rows.values())) as step:
                return {name: _fill(connection, name, step) for name in names}
    finally:
        event.remove(engine, "connect", attach)
        engine.dispose()


def _tables(connection: Connection, of: str) -> list[str]:
    return list(connection.exec_driver_sql(TABLES_OF.format(of)).scalars())


def _has_rows(connection: Connection) -> bool:
    names = set(_tables(connection, "main")) - {VERSION_TABLE}
    return any(connection.exec_driver_sql(f'SELECT 1 FROM main."{name}" LIMIT 1').first() for name in names)


def _make_anew(connection: Connection) -> None:
    """Replace all tables: those of another version, and of a backup that was put here by hand, may differ."""
    for name in _tables(connection, "main"):
        connection.exec_driver_sql(f'DROP TABLE IF EXISTS main."{name}"')
    connection.exec_driver_sql("PRAGMA main.application_id = 0")
    for statement in database.statements(SCHEMA.read_text()):
        connection.exec_driver_sql(statement)


def _fill(connection: Connection, name: str, step: Callable[[int], None]) -> int:
    """Copy a table's rows, and compare; return how many there are."""
    raw = engine_setup.sqlite_connection(connection)
    columns = [row[1] for row in raw.execute(f'PRAGMA main.table_info("{name}")')]
    if name != VERSION_TABLE:  # schema.sql has filled it
        names = quoted(columns)
        connection.exec_driver_sql(f'INSERT INTO main."{name}" ({names}) SELECT {names} FROM staged."{name}"')
    found = backup_file.table_sum(raw, name, columns)
    if found != backup_file.table_sum(raw, name, columns, of="staged"):
        raise Refused(f"The restored book differs from the backup in {name}. Nothing was changed.")
    step(found.rows)
    return found.rows


IDS_AT_ONCE = 500
COMMENTS = table("comments", column("id"))
QUEUE = table("deliveries", column("id"), column("status"))


@dataclass(slots=True)
class Comparison:
    """The present book beside a backup; numbers of rows."""

    comments: int = 0  # comments in the present book
    comments_gone: int = 0  # those of them that the backup does not have
    comments_back: int = 0  # comments of the backup that the present book has no more
    waiting: int = 0  # deliveries that the backup has to send
    finished_since: int = 0  # those of them that the present book has processed or given up
    unknown: int = 0  # those of them that the present book does not have
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
    place = replace_on_sqlite if settings.on_sqlite else _replace_on_server
    with (
        pass_lock.without_passes(settings.data_dir, waiting, "A pass or an upgrade"),
        engine_setup.opened(settings) as engine,
    ):
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
        """Make the backup, in place of the one of an earlier try, and return where it is."""
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
    plains = table_copy.of_book()
    if engine.dialect.name != "postgresql":  # DELETE must lock the gaps between rows, too
        engine = engine.execution_options(isolation_level="REPEATABLE READ")
    copy = create_engine(database_url.of_file(staged_book.path), poolclass=NullPool)
    with database.write(engine) as connection, database.alone(connection):
        if _emptied(connection, plains):
            present = keep()  # another connection sees what was there before
            with closing(sqlite3.connect(staged_book.path, isolation_level=None)) as book:
                book.execute("ATTACH ? AS present", (str(present),))
                continue_sequences(book, "main", "present")
        with progress("Restoring", 2 * sum(staged_book.rows.values())) as step, copy.connect() as source:
            return {plain.name: _refill(source, connection, plain, step) for plain in plains}


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


def _refill(
    source: Connection, connection: Connection, plain: PlainTable, step: Callable[[int], None]
) -> int:
    """Copy a table's rows, read them again and compare; return how many there are."""
    written = Checksum()
    try:
        again = table_copy.fill(connection, plain, table_copy.chunks(source, plain, written), step)
    except RefusedRow as error:
        why = f"{plain.name}: {error.words}"
        raise Refused(f"The database refuses a row of {why}. Nothing was changed.") from error
    if again != written:
        raise Refused(f"The restored book differs from the backup in {plain.name}. Nothing was changed.")
    return again.rows
