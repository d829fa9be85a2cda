"""Is the open SQLite file still the one at its path? A restore puts another file there.

Writes to a file that has gone from its path are lost with the last connection.
"""

import fcntl
import os
import sqlite3
import threading
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

from guestbook.lib import file_access

REQUIRED_TABLES = {"comments", "webhooks", "deliveries"}  # every book has them
OPEN_FILES = Path("/proc/self/fd")  # Linux's; elsewhere a replaced file has to wait for a restart

Identity = tuple[int, int]  # device and inode


class FileReplaced(sqlite3.OperationalError):
    """The file at the path is another one, or none, and cannot be used now."""

    sqlite_errorcode = sqlite3.SQLITE_CANTOPEN


class OpenFile:
    """The file of an engine. Its connections keep what they have open in `info`."""

    def __init__(self, path: str) -> None:
        self.path = Path(path).absolute()
        self.wal, self.shm = (self.path.with_name(self.path.name + end) for end in ("-wal", "-shm"))
        self._lock = threading.Lock()
        self._main: Identity | None = None
        self._wal: Identity | None = None
        self._stale: IO[bytes] | None = None  # a deleted file's WAL: no other gets its inode

    def prepare(self, info: dict[Any, Any]) -> str | None:
        """Look at the file before a connection opens it; raises FileReplaced.

        Return the URI to open on a read-only disk, where SQLite cannot make files beside it.
        """
        with self._lock:
            if self._main is None:
                _make_private(self.path)
            elif self._main != _identity(self.path):
                self._take_over()
            is_read_only = file_access.is_read_only(self.path)
            info["file"] = Opened(self, _identity(self.path), None, is_read_only)
            return _uri_of_fixed(self.path) if is_read_only and self._is_whole() else None

    def note(self, info: dict[Any, Any]) -> None:
        """Remember what a connection has opened; raises FileReplaced."""
        with self._lock:
            check(info)
            self._main, self._wal = info["file"].main, _identity(self.wal)
            info["file"] = replace(info["file"], main=self._main, wal=self._wal)

    def _is_whole(self) -> bool:
        """Whether nothing beside the file belongs to it, such as the log of a host that lost its power."""
        journal = self.path.with_name(f"{self.path.name}-journal")
        return not any(one.exists() and one.stat().st_size for one in (self.wal, journal))

    def prepare_anew(self, opened: "Opened") -> None:
        """See that the next connection can open the new file; raises FileReplaced."""
        with self._lock:
            if self._main == opened.main != _identity(self.path):
                self._take_over()

    def _take_over(self) -> None:
        """Use the new file from now on, when it is whole and SQLite cannot mix it with the old one's WAL."""
        now = _identity(self.path)
        self._look_at_wal()
        _check_whole(self.path)
        self._remove_wal()
        if _identity(self.path) != now:
            raise FileReplaced(f"{self.path} is being replaced")
        self._main, self._wal = now, None

    def _look_at_wal(self) -> None:
        """Open the old file's WAL while a connection shows that the file is deleted: later nothing would."""
        if self._stale is None and self._wal is not None and _is_deleted(self._main):
            with suppress(OSError):
                self._stale = self.wal.open("rb")

    def _remove_wal(self) -> None:
        """Remove the old file's WAL, which is useless once the file is deleted."""
        if self._stale:
            with self._stale as stale:
                fcntl.flock(stale, fcntl.LOCK_EX)  # another process may be doing the same
                if _identity(self.wal) == self._wal == _of(os.fstat(stale.fileno())):
                    self.wal.unlink()
                    self.shm.unlink(missing_ok=True)
            self._stale = None
        elif self._wal is not None and _identity(self.wal) == self._wal:
            raise FileReplaced(
                f"{self.path} was replaced, but not what belongs to it: stop the web server and cron, "
                f"remove {self.wal} and {self.shm}, start them again"
            )


@dataclass(frozen=True, slots=True)
class Opened:
    """The files that a connection has open. Another process may have removed its WAL."""

    file: OpenFile
    main: Identity | None
    wal: Identity | None
    was_read_only: bool  # the disk, so that this connection can never write

    @property
    def is_current(self) -> bool:
        """Whether these are the files at the path, and the disk has not become writable."""
        is_main = _identity(self.file.path) == self.main
        if self.was_read_only and not file_access.is_read_only(self.file.path):
            return False
        return is_main and (self.wal is None or _identity(self.file.wal) == self.wal)


def check(info: dict[Any, Any]) -> None:
    """Raise FileReplaced when a connection's file is no longer at its path."""
    if "file" in info and not info["file"].is_current:
        raise FileReplaced(f"{info['file'].file.path} was replaced by another file")


def note_error(info: dict[Any, Any], error: sqlite3.Error) -> None:
    """Remember that a connection cannot write, which lasts as long as others of the process have that."""
    if "file" in info and getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_READONLY:
        info["file"] = replace(info["file"], was_read_only=True)


def _uri_of_fixed(path: Path) -> str:
    return f"file:{quote(str(path))}?mode=ro&immutable=1"


def _identity(path: Path) -> Identity | None:
    try:
        return _of(path.stat())
    except OSError:
        return None


def _of(found: os.stat_result) -> Identity:
    return found.st_dev, found.st_ino


def _is_deleted(identity: Identity | None) -> bool:
    """Whether this process has a file open that has no name any more."""
    for descriptor in OPEN_FILES.glob("*"):
        with suppress(OSError):
            found = descriptor.stat()
            if _of(found) == identity:
                return found.st_nlink == 0
    return False


def _check_whole(path: Path) -> None:
    """Raise FileReplaced for a file that is missing, still being copied, or no guestbook."""
    try:
        # SQLite opens it, for closing a descriptor of our own would let go of the locks on it.
        with closing(sqlite3.connect(_uri_of_fixed(path), uri=True)) as connection:
            (pages,), (size,) = (
                connection.execute(f"PRAGMA {name}").fetchone() for name in ("page_count", "page_size")
            )
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    except sqlite3.Error as error:
        raise FileReplaced(f"{path} was replaced: {error}") from error
    if pages * size > path.stat().st_size or not tables >= REQUIRED_TABLES:
        raise FileReplaced(f"{path} was replaced by a file that is no whole guestbook")


def _make_private(path: Path) -> None:
    """Make a new file before SQLite would, for its owner alone: it will hold the webhooks' secrets.

    The files that SQLite puts beside it get the same mode. One that is there is not opened: closing it again
    would let go of the locks that this process holds on it.
    """
    with suppress(OSError):  # it is there, or cannot be made, which SQLite says better
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
