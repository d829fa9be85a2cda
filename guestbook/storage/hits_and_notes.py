"""What requests and passes note in files of the data folder: hits, and observations for `doctor`.

Files, because `doctor` must work without the database, and visitors must not wait for a write of it.
"""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from guestbook.lib import clock, files
from guestbook.lib.errors import Refused
from guestbook.storage import hosts_sharing_sqlite, sqlite_file
from guestbook.storage.plain_sql import Select

if TYPE_CHECKING:
    from sqlalchemy import Connection

PENDING_FILE = "hits"  # a file in the data folder; its length is the number of views
HITS_NAME = "hits"  # the name of its row in the book's state
HITS_BATCH = 20  # views
SAVE_WAIT = 0.2  # seconds for another writer: the views can wait for the next batch

HITS_QUERY = f"SELECT value FROM book_state WHERE name = '{HITS_NAME}'"
ADD_ON_SQLITE = (
    f"INSERT INTO book_state (name, value) VALUES ('{HITS_NAME}', :number)"
    " ON CONFLICT (name) DO UPDATE SET value = CAST(value AS INTEGER) + :number"
)


def saved_hits(select: Select) -> int:
    """Return the number in the database; 0 for one that was garbled by hand."""
    [(value,)] = select(HITS_QUERY) or [("0",)]
    return _number(value)


def note_hits(data_dir: Path, number: int = 1) -> int:
    """Add views to the file, and return how many it has. Raises OSError where it cannot be written."""
    with _opened(data_dir, fcntl.LOCK_SH) as descriptor:
        os.write(descriptor, b"." * number)
        return os.fstat(descriptor).st_size


def pending_hits(data_dir: Path) -> int:
    """Return how many views the file has."""
    with suppress(OSError):
        return (data_dir / PENDING_FILE).stat().st_size
    return 0


def take_hits(data_dir: Path) -> int:
    """Empty the file, and return how many views it had: they go to the database. Raises OSError."""
    with _opened(data_dir, fcntl.LOCK_EX) as descriptor:  # nobody adds one between the look and the cut
        size = os.fstat(descriptor).st_size
        if size < HITS_BATCH:  # another process was here first
            return 0
        os.ftruncate(descriptor, 0)
        return size


def add_hits(connection: "Connection", number: int) -> None:
    """Add views to the number in the database, in the caller's transaction."""
    from sqlalchemy import select, update  # imported here, because a page by CGI needs none of it

    from guestbook.storage import row_changes
    from guestbook.storage.models import BookState

    row_changes.insert_missing(connection, BookState, name=HITS_NAME, value="0")
    row = BookState.name == HITS_NAME
    before = connection.scalars(select(BookState.value).where(row).with_for_update()).one()
    connection.execute(update(BookState).where(row).values(value=str(_number(before) + number)))


def add_hits_to_file(path: Path, number: int) -> None:
    """Add them to a book on SQLite, without SQLAlchemy. Raises sqlite3.Error or Refused."""
    if host := hosts_sharing_sqlite.first(path, clock.now()):
        raise Refused(hosts_sharing_sqlite.why_second(path, host))
    with sqlite_file.opened_plain(path, SAVE_WAIT) as (connection, _):
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


OBSERVATIONS_FILE = "seen.json"  # a name in the data folder
SAME_HOST = "same address"  # a request carried the host of the base URL
OTHER_HOST = "other address"  # a request carried another one, which is the text
HTTPS = "https"  # a request came over HTTPS, at least to the proxy
PLAIN_HTTP = "http"
BY_PROXY = "forwarded"  # a request carried X-Forwarded-For
ADDRESSES = "forwarded addresses: "  # the number of addresses follows
NO_PROXY = "direct"  # a request carried none
HOST_LIMIT = "host limit"  # a pass ran into a limit of the host; the text says which
DAMAGE = "damage"  # a request found the database damaged; the text has the database's words
DAMAGE_COUNTS_FOR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Observation:
    """What was seen, and when last."""

    text: str
    at: datetime


def note_observations(data_dir: Path, observations: Mapping[str, str]) -> None:
    """Add observations to the file; where it cannot be written, they are lost."""
    moment = clock.to_text(clock.now())
    kept = {name: [one.text, clock.to_text(one.at)] for name, one in read_observations(data_dir).items()}
    kept |= {name: [text, moment] for name, text in observations.items()}
    with suppress(OSError):
        files.replace_file(data_dir / OBSERVATIONS_FILE, json.dumps(kept))


def read_observations(data_dir: Path, within: timedelta | None = None) -> dict[str, Observation]:
    """Return all observations by name, or those of the time before now; none from a damaged file."""
    with suppress(OSError, ValueError, TypeError, AttributeError):
        stored = json.loads((data_dir / OBSERVATIONS_FILE).read_text())
        found = {name: Observation(str(text), clock.from_text(at)) for name, (text, at) in stored.items()}
        since = clock.now() - within if within else None
        return {name: one for name, one in found.items() if since is None or one.at >= since}
    return {}


def note_damage(data_dir: Path, words: str) -> None:
    """Note that the database is damaged, or with an empty text that it is whole again."""
    if words or DAMAGE in read_observations(data_dir):
        note_observations(data_dir, {DAMAGE: words})


def damage(data_dir: Path) -> str:
    """Return the database's words where a request has found it damaged lately; else an empty text."""
    seen = read_observations(data_dir, DAMAGE_COUNTS_FOR).get(DAMAGE)
    return seen.text if seen else ""
