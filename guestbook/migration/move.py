"""Copy a book to another database, so that a run that was killed is resumed by the next one, and check it."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace

from sqlalchemy import Connection

from guestbook import engines, locks
from guestbook.database import Base
from guestbook.migration import safety, tables
from guestbook.migration.tables import Checksum, Key, Plain
from guestbook.migration.target import Target
from guestbook.refusal import Refused
from guestbook.settings import Settings

PATIENCE = 60.0  # seconds for the pass that is at work; one of crontab's ends within 50

Step = Callable[[int], None]  # told of so many rows more
Progress = Callable[[str, int], AbstractContextManager[Step]]  # given what is done, and to how many rows


@dataclass(slots=True)
class Moved:
    """What was done to a table, and what both sides hold when they are read afresh."""

    table: Plain
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
        """Whether nobody has written to the book meanwhile."""
        return self.book_after == self.book


@dataclass(frozen=True, slots=True)
class Report:
    """What a run has done; `place` is the target without its password."""

    place: str
    moved: list[Moved]


def run(settings: Settings, url: str, *, progress: Progress, waiting: Callable[[], None]) -> Report:
    """Copy the book of the settings to the database of a URL, and check it.

    Raises Refused, TargetAway, and what SQLAlchemy raises for the book's own database.
    """
    there = replace(settings, database_url=url)
    with (
        locks.taken(settings.data_dir / locks.PASS, patience=PATIENCE, waiting=waiting) as is_quiet,
        engines.opened(settings) as book,
        engines.opened(there) as engine,
    ):
        if not is_quiet:
            raise Refused("A pass is still at work. Stop cron, and run this again.")
        plains, target = [tables.plain(table) for table in Base.metadata.sorted_tables], Target(engine)
        with tables.snapshot(book) as source:
            rows = sum(tables.count(source, table) for table in plains)
            safety.prepare(source, target, plains)
            with progress("Copying", rows) as step:
                moved = [_copy(source, target, table, step) for table in plains]
        with progress("Checking", 2 * rows) as step:
            with target.reading() as connection:
                for one in moved:
                    _read(connection, one.table, one.target, step)
            with tables.snapshot(book) as source:
                for one in moved:
                    _read(source, one.table, one.book_after, step)
        return Report(safety.place(engine), moved)


def _copy(source: Connection, target: Target, table: Plain, step: Step) -> Moved:
    """Let the target's table hold the book's rows and no others; what is there already is only compared."""
    moved = Moved(table)
    is_empty = target.count(table) == 0
    if not is_empty:
        target.learn(table)
    for rows in tables.chunks(source, table, moved.book):
        moved.copied += target.put(table, rows, is_empty=is_empty)
        step(len(rows))
    if moved.copied:
        target.learn(table)  # for the passes too
    if target.count(table) > moved.book.rows:
        gone: list[Key] = []
        for keys in target.keys(table):
            gone += tables.absent(source, table, keys)
        target.remove(table, gone)
        moved.removed = len(gone)
    return moved


def _read(connection: Connection, table: Plain, checksum: Checksum, step: Step) -> None:
    for row in tables.stream(connection, table):
        checksum.add(tables.pack(table, row))
        if checksum.rows % tables.AT_ONCE == 0:
            step(tables.AT_ONCE)
    step(checksum.rows % tables.AT_ONCE)
