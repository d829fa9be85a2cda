"""The database: whether it can be reached, read and written, and whether it fits the program."""

import time
from collections.abc import Iterator

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError

from guestbook.background.doctor import database_advice, file_system
from guestbook.background.doctor.examined_book import PATIENCE, ExaminedBook
from guestbook.background.doctor.finding import DoctorFinding, ok, problem, warning
from guestbook.lib import file_access
from guestbook.settings import database_url, installation
from guestbook.storage import database, engine_setup, plain_statement, schema_version, version_check, writable
from guestbook.storage.database_errors import FILE_DAMAGED, Fault
from guestbook.storage.schema_version import Age

CLOSED_ADVICE = "Let the user that runs the guestbook enter the folder, or keep the database in another one."
STEPS = 10_000  # of SQLite's machine between two looks at the clock
JOURNAL_ADVICE = (
    "Put this line in .env in the data folder and restart the web server. Better still, use PostgreSQL or "
    "MariaDB, or a folder on a local disk."
)


def check_connection(book: ExaminedBook) -> Iterator[DoctorFinding]:
    """Look whether the database can be reached."""
    where = book.engine.url.render_as_string(hide_password=True)
    if book.file and (folder := file_access.closed_folder(book.file)):
        sentence = f"This user may not enter {folder}, where {book.file} lies."
        yield problem("database", sentence, CLOSED_ADVICE, file_access.opening(folder))
        return
    if book.file and not book.file.exists():
        yield problem(
            "database",
            f"There is no file {book.file}.",
            database_advice.EMPTY,
            installation.typed("init-db"),
        )
        return
    try:
        with book.engine.connect() as connection:
            connection.exec_driver_sql("SELECT 1")
    except SQLAlchemyError as error:
        yield database_advice.of("database", error, book)
    else:
        yield ok("database", f"{where} can be reached.")


def check_writing(book: ExaminedBook) -> Iterator[DoctorFinding]:
    """Write a little and roll it back."""
    try:
        if reason := writable.error(book.engine):
            raise reason
        with database.write(book.engine, lock_wait=PATIENCE):
            pass
    except OperationalError as error:
        if writable.is_busy(error):
            yield warning(
                "writing",
                f"Another program has kept the database locked for {PATIENCE} seconds or longer.",
                "Run doctor again. If it stays so, look for a program that has the file open, such as "
                "sqlite3 or a backup, and end it. Until then comments are refused. Nothing stored is lost.",
            )
            return
        yield database_advice.of("writing", error, book)
    except DBAPIError as error:
        yield database_advice.of("writing", error, book)
    else:
        yield ok("writing", "The database can be written.")


def check_damage(book: ExaminedBook) -> Iterator[DoctorFinding]:
    """Let SQLite look at its pages, for two seconds at most; a server looks after its own."""
    if not book.file:
        return
    until = time.monotonic() + PATIENCE
    with book.engine.connect() as connection:
        raw = plain_statement.raw(connection)
        raw.set_progress_handler(lambda: time.monotonic() > until, STEPS)
        try:
            said = str(connection.execute(text("PRAGMA quick_check(1)")).scalar())
        except OperationalError:
            if time.monotonic() <= until:
                raise
            yield ok("damage", f"No damage was found within {PATIENCE} seconds, in which not all was read.")
            return
        finally:
            raw.set_progress_handler(None, 0)
    if said == "ok":
        yield ok("damage", "SQLite finds no damage in the file.")
    else:
        yield problem("damage", f"{Fault.DAMAGED.value}: {said.splitlines()[-1]}.", FILE_DAMAGED)


def check_version(book: ExaminedBook) -> Iterator[DoctorFinding]:
    """Compare the tables with the program."""
    age, head = schema_version.age(version_check.read(book.engine)), schema_version.head()
    if age is Age.OLDER:
        command = installation.typed("upgrade")
        yield problem("tables", f"{Fault.OLD_TABLES.value}.", "Upgrade the book; it makes a backup.", command)
    elif age is Age.TOO_OLD:
        advice = "Upgrade the book with an earlier program first: the page on upgrades says how."
        yield problem("tables", f"{Fault.TOO_OLD.value}.", advice)
    elif age is Age.NEWER:
        advice = "Update the program, or restore a backup from before."
        yield problem("tables", f"{Fault.NEW_TABLES.value}.", advice)
    else:
        yield ok("tables", f"The tables have the version that the program needs, {head}.")


def check_journal(book: ExaminedBook) -> Iterator[DoctorFinding]:
    """Look whether the journal mode suits the file system."""
    if not book.file:
        return
    kind, mode = file_system.type_of(book.file.parent), engine_setup.journal_mode(book.engine)
    if not file_system.is_network(kind):
        yield ok("journal mode", f"The journal mode is {mode}, on the file system {kind or '(unknown)'}.")
    elif mode == "wal":
        line = f"GUESTBOOK_DATABASE_URL={database_url.of_file(book.file)}?journal_mode=delete"
        yield problem(
            "journal mode",
            f"The database lies on a network drive ({kind}), and its journal mode is wal. SQLite's WAL is "
            "not safe there.",
            JOURNAL_ADVICE,
            line,
        )
    else:
        yield ok("journal mode", f"The journal mode is {mode}, which works on a network drive ({kind}).")
