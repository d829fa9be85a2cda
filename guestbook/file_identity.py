"""Is the SQLite file that connections have open still the one at its path? A restore puts another there.

What is written to a file that has gone from its path is lost with the last connection.
"""

import os
import sqlite3
import threading
from contextlib import closing, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

TABLES = {"comments", "webhooks", "deliveries"}  # what a whole book has
DESCRIPTORS = Path("/proc/self/fd")  # Linux's; elsewhere a replaced file has to wait for a restart

Identity = tuple[int, int]  # device and inode


class FileReplaced(sqlite3.OperationalError):
    """The file at the path is another one, or none, and cannot be used now."""

    sqlite_errorcode = sqlite3.SQLITE_CANTOPEN


class OpenFile:
    """The file of an engine. Its connections keep what they have open in `info`."""

    def __init__(self, path: str) -> None:
        self.path = Path(path).absolute()
        self._lock = threading.Lock()
        self._main: Identity | None = None
        self._wal: Identity | None = None
        self._is_deleted = False

    def prepare(self, info: dict[Any, Any]) -> None:
        """Look at the file before a connection opens it; raises FileReplaced."""
        with self._lock:
            if self._main is None:
                _make_private(self.path)
            elif self._main != _identity(self.path):
                self._take_over()
            info["file"] = self, _identity(self.path)

    def note(self, info: dict[Any, Any]) -> None:
        """Remember what a connection has opened; raises FileReplaced."""
        with self._lock:
            self.check(info["file"][1])
            self._main = info["file"][1]
            self._wal = _identity(_beside(self.path, "-wal"))

    def check(self, opened: Identity | None) -> None:
        """Raise FileReplaced unless what is open is what is at the path."""
        if _identity(self.path) != opened:
            raise FileReplaced(f"{self.path} was replaced by another file")

    def is_current(self, opened: Identity | None) -> bool:
        """Whether a connection may be used; if not, see that the next one can open the new file."""
        if _identity(self.path) == opened:
            return True
        with self._lock:
            if self._main == opened:
                self._take_over()
        return False

    def _take_over(self) -> None:
        """Use the new file from now on, when it is whole and SQLite cannot mix it with the old one's WAL."""
        self._is_deleted = self._is_deleted or _is_deleted(self._main)
        now = _identity(self.path)
        _check_whole(self.path)
        self._remove_wal()
        self.check(now)
        self._main, self._wal, self._is_deleted = now, None, False

    def _remove_wal(self) -> None:
        """Remove the old file's WAL, which nobody can read any more once the file is deleted."""
        wal = _beside(self.path, "-wal")
        if self._wal is None or _identity(wal) != self._wal:
            return
        if not self._is_deleted:
            raise FileReplaced(
                f"{self.path} was replaced, but not what belongs to it: stop the web server and cron, "
                f"remove {wal} and {_beside(self.path, '-shm')}, start them again"
            )
        for path in (wal, _beside(self.path, "-shm")):
            path.unlink(missing_ok=True)


def check(info: dict[Any, Any]) -> None:
    """Raise FileReplaced when a connection's file is not at its path any more."""
    if "file" in info:
        file, opened = info["file"]
        file.check(opened)


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)


def _identity(path: Path) -> Identity | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _is_deleted(identity: Identity | None) -> bool:
    """Whether this process has a file open that has no name any more."""
    for descriptor in DESCRIPTORS.glob("*"):
        with suppress(OSError):
            found = descriptor.stat()
            if (found.st_dev, found.st_ino) == identity:
                return found.st_nlink == 0
    return False


def _check_whole(path: Path) -> None:
    """Raise FileReplaced for a file that is missing, still being copied, or no guestbook."""
    try:
        # SQLite opens it, for closing a descriptor of our own would let go of the locks on it.
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro&immutable=1", uri=True)) as connection:
            (pages,), (size,) = (
                connection.execute(f"PRAGMA {name}").fetchone() for name in ("page_count", "page_size")
            )
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    except sqlite3.Error as error:
        raise FileReplaced(f"{path} was replaced: {error}") from error
    if pages * size > path.stat().st_size or not tables >= TABLES:
        raise FileReplaced(f"{path} was replaced by a file that is no whole guestbook")


def _make_private(path: Path) -> None:
    """Make a new file before SQLite would, for its owner alone: it will hold the webhooks' secrets.

    What SQLite puts beside it gets the same mode. One that is there is not opened, for closing it again
    would let go of the locks that this process holds on it.
    """
    with suppress(OSError):  # it is there, or cannot be made, which SQLite says better
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
