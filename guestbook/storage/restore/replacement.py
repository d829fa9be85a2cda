"""Puts a staged book in the place of the present one, in one transaction, after a backup of that one."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from guestbook.lib import pass_lock
from guestbook.lib.errors import Refused
from guestbook.lib.progress import Progress
from guestbook.settings import Settings
from guestbook.storage import backup, database_errors, engine_setup, stored_secrets, transaction_retry
from guestbook.storage.backup import BackupReport
from guestbook.storage.copy.book_copy import PASS_WAIT
from guestbook.storage.database_errors import Fault
from guestbook.storage.restore import key_file, server_replacement, sqlite_replacement
from guestbook.storage.restore.key_file import KeyFate
from guestbook.storage.restore.staging import StagedBook


@dataclass(frozen=True, slots=True)
class RestoreReport:
    """The backup of the book that was replaced, if it had rows, the rows of each table now, and the key.

    `unreadable` is how many webhooks, sources and settings have secrets that this host cannot decrypt.
    """

    before: BackupReport | None
    rows: dict[str, int]
    key: KeyFate
    unreadable: int


def run(
    settings: Settings, staged_book: StagedBook, *, progress: Progress, waiting: Callable[[], None]
) -> RestoreReport:
    """Replace the book of the settings, while no pass of this machine and no upgrade is at work.

    Until the transaction commits the old book is there. Nobody can write to it: the backup has all of it.
    A conflict with visitors begins it again.
    Raises Refused, WrongVersion for an older book on a server, and what SQLAlchemy raises.
    """
    place = sqlite_replacement.replace if settings.on_sqlite else server_replacement.replace
    with (
        pass_lock.taken(settings.data_dir / pass_lock.PASS, patience=PASS_WAIT, waiting=waiting) as is_quiet,
        engine_setup.opened(settings) as engine,
    ):
        if not is_quiet:
            raise Refused("A pass or an upgrade is still at work. Stop cron, and run this again.")
        keeper = _Keeper(settings, progress)
        try:
            rows = transaction_retry.repeat(
                lambda: place(engine, staged_book, keeper.keep, progress), only_conflicts=True
            )
        except DBAPIError as error:
            if settings.on_sqlite and database_errors.fault_of(error) is Fault.DAMAGED:
                raise Refused(damaged(engine)) from error
            raise
        engine_setup.clear_wal(engine)
        with engine.connect() as connection:
            locked = stored_secrets.look(connection, settings.keyring).unreadable
    return RestoreReport(keeper.report, rows, key_file.place(settings, staged_book.label), len(locked))


class _Keeper:
    """Makes the backup of the present book, when nobody can write to it any more."""

    def __init__(self, settings: Settings, progress: Progress) -> None:
        self._settings, self._progress = settings, progress
        self.report: BackupReport | None = None

    def keep(self) -> Path:
        """Make it, and return where it is."""
        path = backup.own_path(self._settings, "before-restore")
        self.report = backup.write(self._settings, path, progress=self._progress)
        return self.report.path


def damaged(engine: Engine) -> str:
    """Return what helps if SQLite cannot read the present book."""
    file = engine.url.database
    return (
        f"The present book is damaged. Stop the web server and cron, move {file}, {file}-wal and {file}-shm "
        "to another folder, and run this again."
    )
