"""What to do about an error of the database."""

import sqlite3

from sqlalchemy.exc import SQLAlchemyError

from guestbook.background.doctor.examined_book import ExaminedBook
from guestbook.background.doctor.finding import DoctorFinding, problem
from guestbook.settings import installation
from guestbook.storage import database_errors, sqlite_setup
from guestbook.storage.database_errors import Fault

ON_SERVER = (
    "See whether the database server runs, and whether GUESTBOOK_DATABASE_URL has the right host, port, "
    "user, password and name. The guestbook goes on by itself when the database is back."
)
EMPTY = "If there was a book, restore its backup. Otherwise create the tables."
GOES_ON = "The guestbook goes on by itself then, and nothing stored is lost."
BY_CODE = {  # https://www.sqlite.org/rescode.html
    sqlite3.SQLITE_FULL: f"The disk is full: make room, or ask your host for more. {GOES_ON}",
    sqlite3.SQLITE_READONLY: "Let the user that runs the guestbook write the file and its folder. If the "
    f"disk is mounted read-only, look for a fault of the disk. {GOES_ON}",
    sqlite3.SQLITE_CANTOPEN: "See whether the file and its folder are there, and whether this user may open "
    f"them. {GOES_ON}",
    sqlite3.SQLITE_IOERR: "The disk is full or broken, or its quota is used up: make room, or ask your host. "
    f"{GOES_ON}",
    sqlite3.SQLITE_BUSY: f"Look for a program that has the file open, such as sqlite3, and end it. {GOES_ON}",
}
ANY_SQLITE = f"Ask your host about this message. {GOES_ON}"


def of(subject: str, error: SQLAlchemyError, book: ExaminedBook) -> DoctorFinding:
    """Return the problem that an error means."""
    fault = database_errors.fault_of(error)
    sentence = f"{fault.value}: {database_errors.words(error)}."
    if fault.repair:
        advice = EMPTY if fault is Fault.NO_TABLES else "Run this command."
        return problem(subject, f"{fault.value}.", advice, installation.typed(fault.repair))
    if fault is Fault.DAMAGED:
        return problem(subject, sentence, database_errors.advice_on_damage(error))
    if fault is Fault.AWAY:
        return problem(subject, sentence, _when_away(error) if book.settings.on_sqlite else ON_SERVER)
    return problem(subject, sentence, "See the log of the web server, and report this fault.")


def _when_away(error: SQLAlchemyError) -> str:
    said = getattr(error, "orig", None)
    code = sqlite_setup.primary_code(said) if isinstance(said, sqlite3.Error) else -1
    return BY_CODE.get(code, ANY_SQLITE)
