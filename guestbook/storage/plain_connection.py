"""A connection to the book's SQLite file without SQLAlchemy, set up as the application's are."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from guestbook.storage import sqlite_setup
from guestbook.storage.file_identity import OpenFile


@contextmanager
def opened(path: Path, wait: float) -> Iterator[tuple[sqlite3.Connection, dict[str, Any]]]:
    """Open a file that is there, and close it at the end; statements wait so many seconds for others.

    With it comes what `file_identity.check` looks at. Raises sqlite3.Error.
    """
    file, info = OpenFile(str(path)), dict[str, Any]()
    uri = file.prepare(info)
    raw = sqlite3.connect(uri or path, timeout=wait, isolation_level=None, uri=bool(uri))
    with closing(raw) as connection:
        sqlite_setup.set_pragmas(connection, "wal", wait)
        file.note(info)
        yield connection, info
