"""The meaning of a database error: it cannot be used now, or something that waiting does not fix."""

import re
import sqlite3
from enum import Enum
from typing import Any

from sqlalchemy import ExceptionContext, exc
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from guestbook.storage import sqlite_file


class Fault(Enum):
    """The kinds of error, each with the sentence for the owner."""

    AWAY = "The database cannot be used now"  # connect, lock, disk or shutdown: trying again later helps
    NO_TABLES = "The tables are missing"
    OLD_TABLES = "The tables are older than the program"
    TOO_OLD = "The tables are from before version 0024, or another program's, so they cannot be upgraded"
    NEW_TABLES = "The tables are newer than the program"
    SECOND_HOST = "Another host uses the SQLite file, so nothing was changed"
    DAMAGED = "The database is damaged, or the file is no database"
    REFUSED = "The database refused a value, so nothing was changed"
    BROKEN = "The database refused a statement; this is a fault of the guestbook"

    @property
    def repair(self) -> str | None:
        """Return the command that repairs it, if there is one."""
        return {Fault.NO_TABLES: "init-db", Fault.OLD_TABLES: "upgrade"}.get(self)

    @property
    def is_of_one_row(self) -> bool:
        """Whether it is about the row to store, and says nothing about the database."""
        return self in (Fault.REFUSED, Fault.BROKEN)


class WrongVersion(SQLAlchemyError):
    """The tables have another version than the program needs; `fault` says in which direction."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.value)
        self.fault = fault


class SecondHost(SQLAlchemyError):
    """Another host came first to the SQLite file, and counts for so many seconds more at least."""

    fault = Fault.SECOND_HOST

    def __init__(self, sentence: str, seconds: int) -> None:
        super().__init__(sentence)
        self.seconds = seconds


FILE_DAMAGED = (
    "Open /admin/setup/ in a browser and restore a backup there: the damaged file is kept. Or stop the web "
    "server and cron, keep a copy of the file, and save what can be read with sqlite3's command .recover."
)
SERVER_DAMAGED = "Look at the log of the database server. Repair the tables, or restore your last backup."

# https://www.sqlite.org/rescode.html, the primary codes: the lowest eight bits.
SQLITE_AWAY = {
    *(sqlite3.SQLITE_BUSY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_FULL, sqlite3.SQLITE_INTERRUPT),
    *(sqlite3.SQLITE_IOERR, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_PERM),
    *(sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_READONLY),  # the last is also a disk after an error
}
SQLITE_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_FORMAT, sqlite3.SQLITE_NOTADB}

# https://www.postgresql.org/docs/current/errcodes-appendix.html: classes, and codes of other classes.
POSTGRESQL_FAULTS = {
    "08|28|3D|53|57|58": Fault.AWAY,  # connection, login, no such database, full, shutdown, the system
    "25006|25P0[34]": Fault.AWAY,  # a server that only reads, as after a failover; idle for too long
    "40001|40P01|55006|55P03": Fault.AWAY,  # locks
    "XX00[12]": Fault.DAMAGED,
    "42P01": Fault.NO_TABLES,
    "42703": Fault.OLD_TABLES,
}

# https://mariadb.com/docs/server/reference/error-codes: 2000 to 2999 are the client's.
MARIADB_AWAY = {
    *(0, 1927, 4031, *range(2000, 3000)),  # the connection is lost
    *(1040, 1042, 1043, 1047, 1129, 1130, 1135, 1203, 1226),  # no connection can be made
    *(1044, 1045, 1049, 1698),  # login, no such database
    *(1053, 1077, 1079, 1080, 1317),  # shutdown
    *range(1152, 1162),  # the network
    *(1020, 1205, 1213, 1412),  # locks, and a table that was changed
    *(1969, 3024),  # a statement took longer than the server allows
    *(1290, 1792, 1836),  # a server that only reads
    *(3, 28, 1021, 1026, 1030, 1037, 1038, 1041, 1114, 1180),  # disk and memory
}
MARIADB_DAMAGED = {126, 127, 134, 144, 145, 1034, 1035, 1194, 1195, 1712, 1877, 1932}
MARIADB_FAULTS = {
    **dict.fromkeys(MARIADB_AWAY, Fault.AWAY),
    **dict.fromkeys(MARIADB_DAMAGED, Fault.DAMAGED),
    **{1146: Fault.NO_TABLES, 1054: Fault.OLD_TABLES, 4025: Fault.REFUSED},
}

# Another transaction was in the way of this one. MariaDB's 1020 says that a row has changed since this one
# began to read, and 1412 that `upgrade` has changed a table since then.
CONFLICT_CODES = ("40001", "40P01", "55P03", 1020, 1205, 1213, 1412)
READ_ONLY_CODES = ("25006", 1290, 1792, 1836)


def fault_of(error: SQLAlchemyError) -> Fault:
    """Say what kind of error it is, by the code that the database gave it."""
    if isinstance(error, WrongVersion | SecondHost):
        return error.fault
    if isinstance(error, exc.TimeoutError):
        return Fault.AWAY
    if not isinstance(error, DBAPIError):
        return Fault.BROKEN
    if error.connection_invalidated:
        return Fault.AWAY
    if isinstance(error, exc.IntegrityError | exc.DataError):
        return Fault.REFUSED
    if isinstance(error.orig, sqlite3.Error):
        return _of_sqlite(sqlite_file.primary_code(error.orig), str(error.orig))
    code = _server_code(error.orig)
    if isinstance(code, int):
        return MARIADB_FAULTS.get(code, Fault.BROKEN)
    if code:
        found = (fault for codes, fault in POSTGRESQL_FAULTS.items() if re.match(codes, code))
        return next(found, Fault.BROKEN)
    # A driver's own errors have no code, and are mostly about the connection.
    return Fault.AWAY if isinstance(error, exc.OperationalError | exc.InterfaceError) else Fault.BROKEN


def _of_sqlite(code: int, said: str) -> Fault:
    if code in SQLITE_AWAY:
        return Fault.AWAY
    if code in SQLITE_DAMAGED:
        return Fault.DAMAGED
    if "no such table" in said:
        return Fault.NO_TABLES
    is_old = "no such column" in said or "has no column named" in said
    return Fault.OLD_TABLES if is_old else Fault.BROKEN


def is_refusal(error: SQLAlchemyError) -> bool:
    """Whether the database refused a value, so that the same transaction without it may be taken."""
    return fault_of(error) is Fault.REFUSED


def is_conflict(error: SQLAlchemyError) -> bool:
    """Whether another transaction was in the way of this one, so that a repeat helps.

    On SQLite a writer waits for its turn at its beginning. That wait is long, and is not repeated.
    """
    said = getattr(error, "orig", None)
    if isinstance(said, sqlite3.Error):
        return sqlite_file.is_locked(said) and getattr(error, "statement", "") != sqlite_file.TAKE_TURN
    return _server_code(said) in CONFLICT_CODES


def correct_disconnect(context: ExceptionContext) -> None:
    """After a failover leave the server that only reads; where no connection was made, none was lost."""
    if _server_code(context.original_exception) in READ_ONLY_CODES:
        context.is_disconnect = True
    elif context.connection is None and not context.is_pre_ping:  # A visitor must not wait twice.
        context.is_disconnect = False


def is_full_disk(error: SQLAlchemyError) -> bool:
    """Whether SQLite found no room for what it should store."""
    said = getattr(error, "orig", None)
    return isinstance(said, sqlite3.Error) and sqlite_file.primary_code(said) == sqlite3.SQLITE_FULL


def from_sqlite(error: sqlite3.Error) -> SQLAlchemyError:
    """Return the error that SQLAlchemy makes of one of SQLite's own connection."""
    return DBAPIError.instance(None, None, error, sqlite3.Error)


def words(error: SQLAlchemyError) -> str:
    """Return the first line of the driver's words; PyMySQL puts a number before them."""
    said = getattr(error, "orig", None) or error
    lines = str(said.args[-1] if said.args else "").strip().splitlines()
    return lines[0].rstrip(".") if lines else type(said).__name__


def advice_on_damage(error: SQLAlchemyError) -> str:
    """Return what to do about a damaged database."""
    return FILE_DAMAGED if isinstance(getattr(error, "orig", None), sqlite3.Error) else SERVER_DAMAGED


def _server_code(said: Any) -> int | str | None:
    """Return PyMySQL's number, whose `sqlstate` is often the same for different errors, or psycopg's code."""
    first = next(iter(getattr(said, "args", ())), None)
    return first if isinstance(first, int) else getattr(said, "sqlstate", None)
