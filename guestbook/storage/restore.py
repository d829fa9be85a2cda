"""Put a backup in the place of the book, in one transaction, after a backup of the present one.

A copy of the backup is staged first: verified, and brought to the program's version. Then it can be compared
with the present book. On SQLite it goes into the book's file, which web servers may have open; on a server,
into the tables.
"""

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2.filters import do_filesizeformat as size_in_words
from sqlalchemy import Column, Connection, Engine, create_engine, delete, event, func, inspect, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from guestbook.lib import clock, files, locks
from guestbook.lib.current_process import Progress
from guestbook.lib.errors import Refused
from guestbook.settings import Settings, database_url
from guestbook.storage import (
    SCHEMA,
    backup,
    database,
    database_errors,
    encrypted_columns,
    engines,
    hits_and_notes,
    hosts_sharing_sqlite,
    plain_sql,
    schema_version,
    table_copy,
)
from guestbook.storage.backup import SQLITE_HEAD, BackupLabel, BackupReport, quoted
from guestbook.storage.database import VERSION_TABLE
from guestbook.storage.database_errors import Fault, WrongVersion
from guestbook.storage.hosts_sharing_sqlite import HostNote
from guestbook.storage.models import DELIVERIES, Comment
from guestbook.storage.schema_version import Age
from guestbook.storage.sqlite_file import OpenFile

COPY_ADVICE = (
    "If it is a copy of a book's database, make a backup of that folder first: the page on backups says how."
)
TOO_OLD = (
    "{} is of version {}, and this program restores backups of version {} and later only: the page on "
    "upgrades says what to do."
)
NO_ROOM = (
    "The disk has no room to restore {}: that takes about {}, and the disk of {} has {} free. Free some room "
    "first. Nothing was changed."
)
# A copy is staged, the new book grows to about its size with indexes, and so does its log.
ROOM = 3
STAGING_FOLDER = "restore.unfinished"  # a name in the data folder
COPY = "backup.db"  # the file in that folder


@dataclass(frozen=True, slots=True)
class StagedBook:
    """A backup that is ready to be put in place, and its label."""

    path: Path
    label: BackupLabel

    @property
    def rows(self) -> dict[str, int]:
        """Return how many rows each table has in the backup."""
        return self.label.rows


@contextmanager
def staged(settings: Settings, file: Path) -> Iterator[StagedBook]:
    """Verify a copy of a backup and upgrade it; it is gone at the end. Raises Refused."""
    folder = settings.data_dir / STAGING_FOLDER
    with locks.taken(settings.data_dir / locks.RESTORE) as is_alone:
        if not is_alone:
            raise Refused("Another restore is at work.")
        try:
            _require_room(settings.data_dir, file)
            label = _copied(file, folder)
            if label.schema != schema_version.head():
                from guestbook.storage import upgrade  # imported here, because Alembic makes a start slower

                url = f"{database_url.of_file(folder / COPY)}?journal_mode=delete"
                with _fault_of_backup():
                    upgrade.migrate(replace(settings, database_url=url), label.schema)
            yield StagedBook(folder / COPY, label)
        except (OSError, sqlite3.Error) as error:  # the latter where the backup lacks a table
            why = getattr(error, "strerror", None) or error
            raise Refused(f"{file} cannot be restored: {why}. Nothing was changed.") from None
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

    A receiver may ignore a number that it has seen. Both are names of databases on the connection. No address
    comes back that was deleted or mailed since; books of earlier versions have none.
    """
    last = f"SELECT last_sequence FROM {present}.comments AS now WHERE now.id = comments.id"
    book.execute(
        f"UPDATE {staged}.comments SET last_sequence = ({last})"
        f" WHERE EXISTS ({last} AND now.last_sequence > comments.last_sequence)"
    )
    if book.execute(f"SELECT 1 FROM {present}.sqlite_master WHERE name = 'reply_addresses'").fetchone():
        kept = f"SELECT id FROM {present}.reply_addresses WHERE mailed_at IS NULL"
        book.execute(f"DELETE FROM {staged}.reply_addresses WHERE id NOT IN ({kept})")


def _require_room(folder: Path, file: Path) -> None:
    """Refuse a file that is not there, and one for which the disk has no room."""
    if not file.is_file():
        raise Refused(f"There is no file {file}.")
    needed, free = ROOM * file.stat().st_size, shutil.disk_usage(folder).free
    if free < needed:
        raise Refused(NO_ROOM.format(file, size_in_words(needed), folder, size_in_words(free)))


def _copied(file: Path, folder: Path) -> BackupLabel:
    """Copy the file, and verify the copy: nobody changes that afterwards."""
    if not backup.is_backup(file):
        with file.open("rb") as opened:
            advice = f" {COPY_ADVICE}" if opened.read(len(SQLITE_HEAD)) == SQLITE_HEAD else ""
        raise Refused(f"{file} is not a backup of a guestbook.{advice}")
    if folder.exists():
        _remove(folder)  # a killed run has left it
    folder.mkdir(mode=0o700)
    copy = folder / COPY
    shutil.copyfile(file, copy)
    label = backup.verify(copy, file)
    age = schema_version.age([label.schema])
    if age is Age.TOO_OLD:
        raise Refused(TOO_OLD.format(file, label.schema, schema_version.known()[0]))
    if age is Age.NEWER:
        raise Refused(f"{file} is from a newer version of the program ({label.program}). Update it first.")
    return label


@contextmanager
def _fault_of_backup() -> Iterator[None]:
    """Say that the backup is at fault for an error, unless the database cannot be used at all."""
    try:
        yield
    except DBAPIError as error:
        if database.is_away(error):
            raise
        raise Refused(f"The backup cannot be restored: {database_errors.words(error)}.") from error


def _remove(folder: Path) -> None:
    """Remove the folder with what a restore puts there, and no other file; raises OSError for a link."""
    for name in () if folder.is_symlink() else (COPY, "book.db"):  # the second is of earlier programs
        backup.remove(folder / name)
    folder.rmdir()


IDS_AT_ONCE = 500
COMMENTS = Comment.__table__


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
    found, in_both = Comparison(), 0
    with closing(sqlite3.connect(staged_book.path)) as copy, engine.connect() as connection:
        has_book = {"comments", "deliveries"} <= set(inspect(connection).get_table_names())

        def beside(wanted: Column[Any], query: str) -> Iterator[tuple[int, list[str]]]:
            """Yield how many ids of the backup are looked up, and the column of those that are there."""
            rows = copy.execute(query)
            while ids := [one for (one,) in rows.fetchmany(IDS_AT_ONCE)]:
                there = select(wanted).where(wanted.table.c.id.in_(ids))
                yield len(ids), list(connection.scalars(there)) if has_book else []

        for number, there in beside(COMMENTS.c.id, "SELECT id FROM comments"):
            in_both += len(there)
            found.comments_back += number - len(there)
        for number, statuses in beside(DELIVERIES.c.status, "SELECT id FROM deliveries WHERE status = 'new'"):
            found.waiting += number
            found.unknown += number - len(statuses)
            found.finished_since += len(statuses) - statuses.count("new")
        if has_book:
            found.comments = connection.scalar(select(func.count()).select_from(COMMENTS)) or 0
            found.comments_gone = found.comments - in_both
        waiting = "SELECT count(*) FROM inbound_events WHERE status = 'new'"
        (found.inbound,) = copy.execute(waiting).fetchone()
    return found


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

    `aside` is the file of a damaged book, which is kept as it is.
    `has_key` is whether this host has the secret key of the restored book, in use or among the older ones.
    `unreadable` is how many webhooks, sources and settings have secrets that this host cannot decrypt.
    """

    before: BackupReport | None
    rows: dict[str, int]
    has_key: bool
    unreadable: int
    aside: Path | None = None


OTHER_KEY = (
    "The book had another secret key than this host. Logins and links from before end, and inbound events "
    "that a token proves will fail. The page on backups says how to set the old key."
)


KEPT_DAMAGED = "-damaged-"  # It stands in the names of damaged books that were replaced.


class DamagedBook(Refused):
    """The present book is damaged, so it can be replaced only as a file."""


def run(
    settings: Settings, staged_book: StagedBook, *, progress: Progress, waiting: Callable[[], None]
) -> RestoreReport:
    """Replace the book of the settings, while no pass of this machine and no upgrade is at work.

    Until the transaction commits the old book is there. Nobody can write to it: the backup has all of it.
    A conflict with visitors begins it again.
    Raises Refused, WrongVersion for an older book on a server, and what SQLAlchemy raises.
    """
    place = _replace_on_sqlite if settings.on_sqlite else _replace_on_server
    before: BackupReport | None = None

    def keep() -> Path:
        """Make the backup of what is there, in place of the one of an earlier try; return where it is."""
        nonlocal before
        if before:
            before.path.unlink(missing_ok=True)
        before = backup.write(settings, backup.own_path(settings, "before-restore"), progress=progress)
        return before.path

    with (
        locks.without_passes(settings.data_dir, waiting, "A pass or an upgrade"),
        engines.opened(settings) as engine,
    ):
        with readable(engine):
            rows = database.repeat(lambda: place(engine, staged_book, keep, progress), only_conflicts=True)
        engines.clear_wal(engine)
        with engine.connect() as connection:
            locked = encrypted_columns.look(connection, settings.keyring).unreadable
    hits_and_notes.note_damage(settings.data_dir, "")
    return RestoreReport(before, rows, settings.keyring.has(staged_book.label.key_id), len(locked))


def replace_damaged(
    settings: Settings, staged_book: StagedBook, *, progress: Progress, waiting: Callable[[], None]
) -> RestoreReport:
    """Put a new file with the staged book in the place of a damaged one, which stays beside it.

    Web servers may have the damaged file open. If this is interrupted, that file stays. Raises Refused, and
    what SQLAlchemy raises.
    """
    path = database_url.sqlite_file(settings.data_dir, settings.database_url)
    if path is None:
        raise Refused("The book is on a database server.")
    fresh = path.with_name(path.name + backup.UNFINISHED)
    with locks.without_passes(settings.data_dir, waiting, "A pass or an upgrade"):
        HostNote(settings, hosts_sharing_sqlite.PASS).keep()
        try:
            backup.remove(fresh)  # A killed run has left it.
            url = f"{database_url.of_file(fresh)}?journal_mode=delete"
            with engines.opened(replace(settings, database_url=url)) as engine:
                rows = _replace_on_sqlite(engine, staged_book, lambda: path, progress)
                with engine.connect() as connection:
                    locked = encrypted_columns.look(connection, settings.keyring).unreadable
            _continue_from_damaged(path, fresh)
            aside = _exchange(path, fresh)
        finally:
            backup.remove(fresh)
    hits_and_notes.note_damage(settings.data_dir, "")
    return RestoreReport(None, rows, settings.keyring.has(staged_book.label.key_id), len(locked), aside)


def _exchange(path: Path, fresh: Path) -> Path:
    """Put the fresh file at the path, and return where the damaged one is now."""
    files.sync(fresh)
    aside = path.with_name(f"{path.stem}{KEPT_DAMAGED}{clock.now():{backup.TIME_FORMAT}}{path.suffix}")
    try:
        OpenFile(str(path)).put_aside(fresh, aside)
    except sqlite3.Error as error:
        raise database_errors.from_sqlite(error) from error
    return aside


def _continue_from_damaged(path: Path, fresh: Path) -> None:
    """Continue the sequences of the damaged book where SQLite finds nothing wrong with those tables."""
    with suppress(sqlite3.Error), closing(sqlite3.connect(fresh, uri=True)) as book:
        book.execute("ATTACH ? AS present", (f"file:{quote(str(path))}?mode=ro",))
        checks = [f"PRAGMA present.integrity_check({table})" for table in ("comments", "reply_addresses")]
        if [book.execute(check).fetchone() for check in checks] == [("ok",)] * len(checks):
            continue_sequences(book, "main", "present")
            book.commit()


@contextmanager
def readable(engine: Engine) -> Iterator[None]:
    """Say what helps if SQLite cannot read the present book."""
    try:
        yield
    except DBAPIError as error:
        if engine.dialect.name == "sqlite" and database_errors.fault_of(error) is Fault.DAMAGED:
            raise DamagedBook(DAMAGED.format(file=engine.url.database)) from error
        raise


TABLES_OF = (
    "SELECT name FROM {}.sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
)


def _replace_on_sqlite(
    engine: Engine, staged_book: StagedBook, keep: Callable[[], Path], progress: Progress
) -> dict[str, int]:
    """Let the file have new tables with the rows of the staged book; return how many rows each has.

    The tables of another version, and of a backup that was put here by hand, may differ.
    """

    def attach(raw: sqlite3.Connection, _record: object) -> None:
        raw.execute("PRAGMA foreign_keys = OFF")
        raw.execute("ATTACH ? AS staged", (str(staged_book.path),))

    event.listen(engine, "connect", attach)
    try:
        with database.write(engine) as connection:
            raw = plain_sql.sqlite_connection(connection)
            old = _tables(connection, "main")
            looks = (f'SELECT 1 FROM main."{name}" LIMIT 1' for name in old if name != VERSION_TABLE)
            if any(connection.exec_driver_sql(look).first() for look in looks):
                keep()
                continue_sequences(raw, "staged", "main")
            for name in old:
                connection.exec_driver_sql(f'DROP TABLE IF EXISTS main."{name}"')
            connection.exec_driver_sql("PRAGMA main.application_id = 0")
            for statement in database.statements(SCHEMA.read_text()):
                connection.exec_driver_sql(statement)
            names = sorted({*_tables(connection, "main")} & {*_tables(connection, "staged")})
            with progress("Restoring", sum(staged_book.rows.values())) as step, _fault_of_backup():
                return {name: _fill(connection, name, step) for name in names}
    finally:
        event.remove(engine, "connect", attach)
        engine.dispose()


def _tables(connection: Connection, of: str) -> list[str]:
    return list(connection.exec_driver_sql(TABLES_OF.format(of)).scalars())


def _fill(connection: Connection, name: str, step: Callable[[int], None]) -> int:
    """Copy a table's rows, and compare; return how many there are."""
    raw = plain_sql.sqlite_connection(connection)
    known, there = (
        [row[1] for row in raw.execute(f'PRAGMA {of}.table_info("{name}")')] for of in ("main", "staged")
    )
    columns = [one for one in known if one in there]  # SQLite would take the name of another for a text
    if name != VERSION_TABLE:  # schema.sql has filled it
        names = quoted(columns)
        connection.exec_driver_sql(f'INSERT INTO main."{name}" ({names}) SELECT {names} FROM staged."{name}"')
    found = backup.table_sum(raw, name, columns)
    if found != backup.table_sum(raw, name, columns, of="staged"):
        raise Refused(f"The restored book differs from the backup in {name}. Nothing was changed.")
    step(found.rows)
    return found.rows


def _replace_on_server(
    engine: Engine, staged_book: StagedBook, keep: Callable[[], Path], progress: Progress
) -> dict[str, int]:
    """Let the tables have the rows of the staged book; return how many rows each has."""
    try:
        database.create_tables(engine)
    except WrongVersion as error:
        raise Refused(NEWER_BOOK) if error.fault is Fault.NEW_TABLES else error from None
    database.require_version(engine)
    plains = table_copy.of_book()
    if engine.dialect.name != "postgresql":  # DELETE must lock the gaps between rows, too
        engine = engine.execution_options(isolation_level="REPEATABLE READ")
    copy = create_engine(database_url.of_file(staged_book.path), poolclass=NullPool)
    with database.write(engine) as connection, database.alone(connection):
        if connection.dialect.name == "postgresql":
            names = ", ".join(plain.name for plain in plains)
            # A weaker lock would let others lock rows, and then both sides would wait.
            connection.exec_driver_sql(f"LOCK TABLE {names} IN EXCLUSIVE MODE")
        # With the rows gone, nobody can insert any.
        if sum([connection.execute(delete(plain.clause)).rowcount for plain in reversed(plains)]):
            present = keep()  # another connection sees what was there before
            with closing(sqlite3.connect(staged_book.path, isolation_level=None)) as book:
                book.execute("ATTACH ? AS present", (str(present),))
                continue_sequences(book, "main", "present")
        total = 2 * sum(staged_book.rows.values())
        with progress("Restoring", total) as step, table_copy.snapshot(copy) as source, _fault_of_backup():
            copy_one = partial(table_copy.copy, source, connection, step=step, advice="Nothing was changed.")
            return {one.name: copy_one(one).rows for one in plains}
