"""Bring an older book to the version of the program: back it up, then run one migration after the other.

A run that is killed is resumed by the next one. On SQLite and PostgreSQL each migration is one transaction.
On MariaDB, which commits each change of a table, each step looks what is done already.
"""

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import DBAPIError

from guestbook.lib import locks
from guestbook.lib.current_process import Progress, in_silence
from guestbook.settings import Settings, installation
from guestbook.storage import backup, database, engines, hosts_sharing_sqlite, schema_version
from guestbook.storage.backup import BackupReport
from guestbook.storage.database_errors import WrongVersion
from guestbook.storage.hosts_sharing_sqlite import HostNote
from guestbook.storage.schema_version import Age

GAVE_UP = "{}: the step to {} did not come to its end. Run this again: {}"


@dataclass(frozen=True, slots=True)
class Migration:
    """One that was run: its version, what it is about, and the seconds that it took."""

    version: str
    title: str
    seconds: float


@dataclass(slots=True)
class UpgradeReport:
    """The versions before and after; they are equal, and there is no backup, if nothing was to be done."""

    before: str
    after: str
    backup: BackupReport | None = None
    migrations: list[Migration] = field(default_factory=list)


def run(settings: Settings, *, progress: Progress, waiting: Callable[[], None]) -> UpgradeReport:
    """Upgrade the book of the settings, while no pass of this machine and no other upgrade is at work.

    Raises Refused, WrongVersion for a book that is newer than the program or too old for it, and what
    SQLAlchemy raises.
    """
    with (
        locks.without_passes(settings.data_dir, waiting, "A pass or another upgrade"),
        engines.opened(settings) as engine,
    ):
        _suspend_foreign_keys(engine)
        with ExitStack() as stack:
            if not settings.on_sqlite:  # other machines may share the book
                stack.enter_context(database.alone(stack.enter_context(engine.begin())))
            stored = database.stored_version(engine)
            age = schema_version.age(stored)
            if age is Age.CURRENT:
                return UpgradeReport(schema_version.head(), schema_version.head())
            if age is not Age.OLDER:
                raise WrongVersion(database.VERSION_FAULTS[age])
            # A second host would fail after a useless backup.
            host = HostNote(settings, hosts_sharing_sqlite.PASS)
            host.keep()
            report = UpgradeReport(stored[0], schema_version.head())
            path = backup.own_path(settings, f"guestbook-{report.before}")
            report.backup = backup.write(settings, path, progress=progress)
            _migrate(engine, report, progress)
            host.leave()
            return report


def migrate(settings: Settings, before: str) -> None:
    """Run the migrations after that version, on a file of SQLite that nobody else uses."""
    with engines.opened(settings) as engine:
        _suspend_foreign_keys(engine)
        _migrate(engine, UpgradeReport(before, schema_version.head()), in_silence)


def _suspend_foreign_keys(engine: Engine) -> None:
    """Where SQLite copies a table and drops the old one, rows that refer to it would go along."""
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", lambda raw, _record: raw.execute("PRAGMA foreign_keys = OFF"))


def _migrate(engine: Engine, report: UpgradeReport, progress: Progress) -> None:
    """Run what the book has not had."""
    config = Config()
    config.set_main_option("script_location", str(schema_version.VERSIONS.parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    scripts = ScriptDirectory.from_config(config)
    pending = [one for one in scripts.walk_revisions() if one.revision > report.before]
    with progress("Upgrading", len(pending)) as step:
        for script in reversed(pending):
            began = time.monotonic()
            try:
                database.write_with_retry(engine, partial(_run, config, scripts, script.revision))
            except DBAPIError as error:
                is_half = report.migrations or engine.dialect.name not in ("sqlite", "postgresql")
                state = "The book is half upgraded" if is_half else "Nothing was changed"
                error.add_note(GAVE_UP.format(state, script.revision, installation.typed("upgrade")))
                raise
            report.migrations.append(Migration(script.revision, script.doc, time.monotonic() - began))
            step(1)


def _run(config: Config, scripts: ScriptDirectory, version: str, connection: Connection) -> None:
    """Migrate to a version as Alembic's `upgrade` does, which would load all files again for each."""

    def way(stored: Any, _context: object) -> Any:
        return scripts._upgrade_revs(version, stored)  # Alembic has no public name for it

    with EnvironmentContext(config, scripts, fn=way, destination_rev=version) as environment:
        environment.configure(connection=connection, transactional_ddl=True)
        environment.run_migrations()
