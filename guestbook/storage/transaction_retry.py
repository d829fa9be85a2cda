"""Do a transaction again after what may pass: a conflict with another, a lost connection, a restart."""

import random
import time
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from guestbook.lib import unit_of_work
from guestbook.storage import database, database_errors
from guestbook.storage.database_errors import Fault

PERMANENT_FAULTS = (Fault.NO_TABLES, Fault.OLD_TABLES, Fault.DAMAGED)  # no retry helps against these
RETRY_FOR = 10.0  # seconds for a transaction whose connection broke
RETRY_CONFLICTS_FOR = 60.0  # seconds; MariaDB lets a pass wait 50 for a single lock

T = TypeVar("T")


def write(engine: Engine, do: Callable[[Connection], T]) -> T:
    """Do something in a write transaction, and retry it after a conflict or a lost connection.

    A commit that the server made but could not confirm is repeated too, so the work must be safe to repeat.
    """

    def once() -> T:
        with database.write(engine) as connection:
            return do(connection)

    return repeat(lambda: unit_of_work.complete(once))


def read(engine: Engine, do: Callable[[Connection], T]) -> T:
    """Do something that only reads, and on a server retry it as a write. SQLite has no connection to lose."""

    def once() -> T:
        with database.read(engine) as connection:
            return do(connection)

    return once() if engine.dialect.name == "sqlite" else repeat(once)


def complete(do: Callable[[], T]) -> T:
    """Run a unit of work with the session: a request, a command or a part of it. Retry it after a conflict.

    Where it has several transactions, each is a unit of its own or may be repeated.
    """

    def once() -> T:
        try:
            return unit_of_work.complete(do)
        except DBAPIError as error:
            if database_errors.is_conflict(error):
                database.end(database.db.session())
            raise

    return repeat(once, only_conflicts=True)


def repeat(do: Callable[[], T], *, only_conflicts: bool = False) -> T:
    """Do something, and again as long as another try may help.

    Gives up after ten seconds, after a minute of conflicts, and inside a web request sooner. If the database
    refuses a value or a statement, a single retry tells whether another transaction was in the way.
    """
    began, wait, most = time.monotonic(), 0.02, database.present_waits().retry
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
            time.sleep(min(left, random.uniform(wait / 2, wait)))  # so that the two do not meet again
            wait = min(2 * wait, 1.0)
