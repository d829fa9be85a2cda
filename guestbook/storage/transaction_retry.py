"""Do a transaction again after what may pass: a deadlock, a lost connection, a restart of the server."""

import random
import time
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from guestbook.lib import unit_of_work
from guestbook.storage import database, database_errors
from guestbook.storage.database_errors import Fault

DEADLOCK_RETRIES = 3
PERMANENT_FAULTS = (Fault.NO_TABLES, Fault.OLD_TABLES, Fault.DAMAGED)  # no retry helps against these
RETRY_FOR = 10.0  # seconds for a transaction that lost against another, or whose connection broke

T = TypeVar("T")


def write(engine: Engine, do: Callable[[Connection], T]) -> T:
    """Do something in a write transaction, and retry it after a deadlock or a lost connection.

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


def repeat(do: Callable[[], T]) -> T:
    """Do something, and again as long as another try may help.

    Gives up after ten seconds, inside a web request sooner. If the database refuses a value or a statement,
    a single retry tells whether another transaction was in the way.
    """
    give_up, wait = time.monotonic() + min(RETRY_FOR, database.present_waits().retry), 0.02
    was_refused = False
    while True:
        try:
            return do()
        except DBAPIError as error:
            fault, late = database_errors.fault_of(error), time.monotonic() + wait > give_up
            if late or fault in PERMANENT_FAULTS or (was_refused and fault.is_of_one_row):
                raise
            was_refused = fault.is_of_one_row
            time.sleep(wait)
            wait = min(2 * wait, 1.0)


def after_deadlock(do: Callable[[], T]) -> T:
    """Do something with the session, and retry it after a deadlock, three times at most."""
    for _ in range(DEADLOCK_RETRIES):
        try:
            return unit_of_work.complete(do)
        except SQLAlchemyError as error:
            if not database_errors.was_deadlock(error):
                raise
            database.end(database.db.session())
            time.sleep(random.uniform(0.01, 0.1))  # so that the two do not meet again
    return unit_of_work.complete(do)
