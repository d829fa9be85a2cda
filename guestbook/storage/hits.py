"""How often the book was opened: a number among the settings, and the views that it lacks yet, in a file.

A view adds one byte to the file, and a full batch goes to the database. So a view writes no row, it counts
right whatever the number of processes, and a kill costs one batch at most.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from guestbook.lib import clock
from guestbook.lib.errors import Refused
from guestbook.storage import active_hosts, plain_connection
from guestbook.storage.plain_select import Select

if TYPE_CHECKING:
    from sqlalchemy import Connection

PENDING_FILE = "hits"  # in the data folder; its length is the number of views
HITS_NAME = "hits"  # of the row among the settings
HITS_BATCH = 20  # views
SAVE_WAIT = 0.2  # seconds for another writer: the views can wait for the next batch

HITS_QUERY = f"SELECT value FROM settings WHERE name = '{HITS_NAME}'"
ADD_ON_SQLITE = (
    f"INSERT INTO settings (name, value) VALUES ('{HITS_NAME}', :number)"
    " ON CONFLICT (name) DO UPDATE SET value = CAST(value AS INTEGER) + :number"
)


def saved(select: Select) -> int:
    """Return the number in the database; 0 for one that was garbled by hand."""
    [(value,)] = select(HITS_QUERY) or [("0",)]
    return _number(value)


def note(data_dir: Path) -> int:
    """Add a view to the file, and return how many it has. Raises OSError where it cannot be written."""
    with _opened(data_dir, fcntl.LOCK_SH) as descriptor:
        os.write(descriptor, b".")
        return os.fstat(descriptor).st_size


def pending(data_dir: Path) -> int:
    """Return how many views the file has."""
    with suppress(OSError):
        return (data_dir / PENDING_FILE).stat().st_size
    return 0


def take(data_dir: Path) -> int:
    """Empty the file, and return how many views it had: they go to the database. Raises OSError."""
    with _opened(data_dir, fcntl.LOCK_EX) as descriptor:  # nobody adds one between the look and the cut
        size = os.fstat(descriptor).st_size
        if size < HITS_BATCH:  # another process was here first
            return 0
        os.ftruncate(descriptor, 0)
        return size


def give_back(data_dir: Path, number: int) -> None:
    """Put views back that the database did not take. Raises OSError."""
    with _opened(data_dir, fcntl.LOCK_SH) as descriptor:
        os.write(descriptor, b"." * number)


def add(connection: "Connection", number: int) -> None:
    """Add views to the number in the database, in the caller's transaction."""
    from sqlalchemy import insert, select, update  # here: a page by CGI imports none of it

    from guestbook.storage.models import Setting

    row = Setting.name == HITS_NAME
    before = connection.scalar(select(Setting.value).where(row).with_for_update())
    if before is None:
        connection.execute(insert(Setting).values(name=HITS_NAME, value=str(number)))
    else:
        connection.execute(update(Setting).where(row).values(value=str(_number(before) + number)))


def add_to_file(path: Path, number: int) -> None:
    """Add them to a book on SQLite, without SQLAlchemy. Raises sqlite3.Error or Refused."""
    if host := active_hosts.first(path, clock.now()):
        raise Refused(active_hosts.why_second(path, host))
    with plain_connection.opened(path, SAVE_WAIT) as (connection, _):
        connection.execute(ADD_ON_SQLITE, {"number": number})


def _number(value: str) -> int:
    return int(value) if value.isascii() and value.isdigit() and len(value) < 16 else 0


@contextmanager
def _opened(data_dir: Path, lock: int) -> Iterator[int]:
    """Open the file and lock it, which some network drives cannot. Each holder needs microseconds."""
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
    descriptor = os.open(data_dir / PENDING_FILE, flags, 0o600)
    try:
        with suppress(OSError):
            fcntl.flock(descriptor, lock)
        yield descriptor
    finally:
        os.close(descriptor)
