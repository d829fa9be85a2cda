"""Copy a book to another database, so that a run that was killed is resumed by the next one, and check it."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from sqlalchemy import Connection

from guestbook.lib import pass_lock
from guestbook.lib.errors import Refused
from guestbook.lib.progress import Progress, Step
from guestbook.settings import Settings
from guestbook.storage import engine_setup
from guestbook.storage.copy import checksum, table_reader, target_check
from guestbook.storage.copy.checksum import Checksum
from guestbook.storage.copy.table_reader import Key, PlainTable
from guestbook.storage.copy.target import CopyTarget
from guestbook.storage.database import Base

PASS_WAIT = 60.0  # seconds for the pass that is at work; one of crontab's ends within 50


@dataclass(slots=True)
class CopiedTable:
    """The rows copied to a table, and the rows of both sides when they are read again."""

    table: PlainTable
    book: Checksum = field(default_factory=Checksum)  # as it was copied
    copied: int = 0  # rows
    removed: int = 0  # rows that the book has no more
    book_after: Checksum = field(default_factory=Checksum)
    target: Checksum = field(default_factory=Checksum)

    @property
    def is_whole(self) -> bool:
        """Whether the target holds what was copied."""
        return self.target == self.book

    @property
    def is_still(self) -> bool:
        """Whether the book has not changed meanwhile."""
        return self.book_after == self.book


@dataclass(frozen=True, slots=True)
class CopyReport:
    """The result of a run; `place` is the target without its password."""

    place: str
    moved: list[CopiedTable]


def run(settings: Settings, url: str, *, progress: Progress, waiting: Callable[[], None]) -> CopyReport:
    """Copy the book of the settings to the database of a URL, and check it.

    Raises Refused, TargetAway, and what SQLAlchemy raises for the book's own database.
    """
    there = replace(settings, database_url=url)
    with (
        pass_lock.taken(settings.data_dir / pass_lock.PASS, patience=PASS_WAIT, waiting=waiting) as is_quiet,
        engine_setup.opened(settings) as book,
        engine_setup.opened(there) as engine,
    ):
        if not is_quiet:
            raise Refused("A pass is still at work. Stop cron, and run this again.")
        plains = [table_reader.plain(table) for table in Base.metadata.sorted_tables]
        target = CopyTarget(engine)
        with table_reader.snapshot(book) as source:
            rows = sum(table_reader.count(source, table) for table in plains)
            target_check.prepare(source, target, plains)
            with progress("Copying", rows) as step:
                moved = [_copy(source, target, table, step) for table in plains]
        with progress("Checking", 2 * rows) as step:
            with target.reading() as connection:
                for one in moved:
                    _read(connection, one.table, one.target, step)
            with table_reader.snapshot(book) as source:
                for one in moved:
                    _read(source, one.table, one.book_after, step)
        return CopyReport(target_check.place(engine), moved)


def _copy(source: Connection, target: CopyTarget, table: PlainTable, step: Step) -> CopiedTable:
    """Let the target's table hold the book's rows and no others. Rows already there are only compared."""
    moved = CopiedTable(table)
    is_empty = target.count(table) == 0
    if not is_empty:
        target.learn(table)
    for rows in checksum.chunks(source, table, moved.book):
        moved.copied += target.put(table, rows, is_empty=is_empty)
        step(len(rows))
    if moved.copied:
        target.learn(table)  # for the passes too
    if target.count(table) > moved.book.rows:
        gone: list[Key] = []
        for keys in target.keys(table):
            gone += table_reader.absent(source, table, keys)
        target.remove(table, gone)
        moved.removed = len(gone)
    return moved


def _read(connection: Connection, table: PlainTable, into: Checksum, step: Step) -> None:
    for rows in checksum.chunks(connection, table, into):
        step(len(rows))
