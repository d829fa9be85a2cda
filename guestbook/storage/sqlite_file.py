"""A book on SQLite, without SQLAlchemy: is the open file still at its path, pragmas, write lock, its log.

A restore by hand puts another file there. Writes to a file that has gone from its path are lost with the last
connection.
"""

import fcntl
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

from guestbook.lib import files

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
        ends = ("-wal", "-shm", "-journal")
        self.wal, self.shm, self.journal = (self.path.with_name(self.path.name + end) for end in ends)
        self.exchange = self.path.with_name(f"{self.path.name}-exchange.lock")
        self._lock = threading.Lock()
        self._main: Identity | None = None
        self._wal: Identity | None = None
        # A deleted file's WAL, kept open so that no other gets its inode.
        self._stale: IO[bytes] | None = None

    @contextmanager
    def staying(self) -> Iterator[None]:
        """Keep the file at its path while a connection opens it; raises FileReplaced during `put_aside`."""
        try:
            lock = os.open(self.exchange, os.O_RDONLY)
        except OSError:  # The usual case: no restore is at work.
            yield
            return
        try:
            if not _is_locked(lock, fcntl.LOCK_SH | fcntl.LOCK_NB):
                raise FileReplaced(f"{self.path} is being replaced by a backup")
            yield
        finally:
            os.close(lock)

    def put_aside(self, fresh: Path, aside: Path) -> None:
        """Put a fresh file at the path in one step, and keep the file from there, with its log, as `aside`.

        No connection is opened meanwhile, and nobody writes. Those that are open find out before their next
        use. Raises OSError, and sqlite3.OperationalError where another writer does not end.
        """
        lock = os.open(self.exchange, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            _is_locked(lock, fcntl.LOCK_EX)
            time.sleep(OPENING_PAUSE)  # Connections that saw no lock file before come first.
            with _without_writers(self.path):
                _keep(self.path, aside)
                for file in (self.wal, self.journal):
                    if file.exists():
                        file.rename(aside.with_name(file.name.replace(self.path.name, aside.name, 1)))
                self.shm.unlink(missing_ok=True)  # SQLite makes it again of the log.
                fresh.replace(self.path)
            files.sync_folder(self.path.parent)
        finally:
            self.exchange.unlink(missing_ok=True)
            os.close(lock)

    def prepare(self, info: dict[Any, Any]) -> str | None:
        """Look at the file before a connection opens it; raises FileReplaced.

        Return the URI to open on a read-only disk, where SQLite cannot make files beside it.
        """
        with self._lock:
            if self._main is None:
                # A new file is made before SQLite would, for its owner alone: it will hold secrets. The files
                # that SQLite puts beside it get the same mode. One that is there is not opened: closing it
                # again would let go of the locks that this process holds on it.
                with suppress(OSError):  # it is there, or cannot be made, which SQLite says better
                    os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            elif self._main != _identity(self.path):
                self._take_over()
            is_read_only = files.is_read_only(self.path)
            fixed = files.state_of(self.path) if is_read_only and self.is_whole() else None
            info["file"] = Opened(self, _identity(self.path), None, is_read_only, fixed)
            return uri_of_fixed(self.path) if fixed else None

    def note(self, info: dict[Any, Any]) -> None:
        """Remember what a connection has opened; raises FileReplaced."""
        with self._lock:
            check(info)
            self._main, self._wal = info["file"].main, _identity(self.wal)
            info["file"] = replace(info["file"], main=self._main, wal=self._wal)

    def is_whole(self) -> bool:
        """Whether nothing beside the file belongs to it, such as the log of a host that lost its power."""
        return not any(found[1] for one in (self.wal, self.journal) if (found := files.state_of(one)))

    def prepare_anew(self, opened: "Opened") -> None:
        """See that the next connection can open the new file; raises FileReplaced."""
        with self._lock:
            if self._main == opened.main != _identity(self.path):
                self._take_over()

    def _take_over(self) -> None:
        """Use the new file from now on, when it is whole and SQLite cannot mix it with the old one's WAL."""
        now = _identity(self.path)
        # Open the old WAL while a connection shows that its file is deleted: later nothing would.
        if self._stale is None and self._wal is not None and _is_deleted(self._main):
            with suppress(OSError):
                self._stale = self.wal.open("rb")
        _check_whole(self.path)
        self._remove_wal()
        if _identity(self.path) != now:
            raise FileReplaced(f"{self.path} is being replaced")
        self._main, self._wal = now, None

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
    was_read_only: bool  # the disk was, so this connection can never write
    fixed: tuple[int, ...] | None  # what was written when SQLite was told that nobody writes, if it was

    @property
    def is_current(self) -> bool:
        """Whether these are the files at the path, no fixed one was written, and the disk is as it was."""
        path = self.file.path
        if _identity(path) != self.main or (self.was_read_only and not files.is_read_only(path)):
            return False
        if self.fixed and not (self.fixed == files.state_of(path) and self.file.is_whole()):
            return False  # another host or container writes
        return self.wal is None or _identity(self.file.wal) == self.wal


def check(info: dict[Any, Any]) -> None:
    """Raise FileReplaced when a connection's file is no longer at its path."""
    if "file" in info and not info["file"].is_current:
        raise FileReplaced(f"{info['file'].file.path} was replaced by another file")


def uri_of_fixed(path: Path) -> str:
    """Return the URI that opens a file to which nobody writes, with nothing made beside it."""
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


def _is_locked(lock: int, how: int) -> bool:
    """Lock an open file; return False where another process has it. Some network drives have no locks."""
    try:
        fcntl.flock(lock, how)
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True


@contextmanager
def _without_writers(path: Path) -> Iterator[None]:
    """Hold SQLite's write lock; a file that is too damaged for that has no writers."""
    with closing(sqlite3.connect(path, timeout=EXCHANGE_WAIT, isolation_level=None)) as connection:
        try:
            connection.execute(TAKE_TURN)
        except sqlite3.DatabaseError as error:
            if is_locked(error):
                raise
        yield


def _keep(path: Path, aside: Path) -> None:
    """Give the file a second name, or on a file system without hard links another one."""
    try:
        aside.hardlink_to(path)
    except FileExistsError:
        raise
    except OSError:
        path.rename(aside)


def _check_whole(path: Path) -> None:
    """Raise FileReplaced for a file that is missing, still being copied, or no guestbook.

    A damaged one that nobody copies any more is an error of its own kind: waiting does not repair it.
    """
    try:
        # SQLite opens it, for closing a descriptor of our own would let go of the locks on it.
        with closing(sqlite3.connect(uri_of_fixed(path), uri=True)) as connection:
            query = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"
            (size,) = connection.execute(query).fetchone()
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    except sqlite3.Error as error:
        replaced = FileReplaced(f"{path} was replaced: {error}")
        if (state := files.state_of(path)) and time.time_ns() - state[-1] > COPIED_AFTER * 10**9:
            replaced.sqlite_errorcode = primary_code(error)
        raise replaced from error
    if size > path.stat().st_size or not tables >= REQUIRED_TABLES:
        raise FileReplaced(f"{path} was replaced by a file that is no whole guestbook")


JOURNAL_LIMIT = 16 * 1024 * 1024  # bytes; a journal that has grown shrinks to it after a checkpoint
COPIED_AFTER = 60  # seconds after its last change, when a file counts as copied
OPENING_PAUSE = 0.5  # seconds, in which a connection that has begun to open the file does so
EXCHANGE_WAIT = 10.0  # seconds for a writer, before the file is replaced
TAKE_TURN = "BEGIN IMMEDIATE"  # the statement with which a writer waits for the write lock
LOCK_POLL = 0.0005  # seconds between two tries; SQLite's own handler sleeps up to 0.1


@contextmanager
def opened_plain(path: Path, wait: float) -> Iterator[tuple[sqlite3.Connection, dict[str, Any]]]:
    """Open a file that is there, and close it at the end; statements wait so many seconds for others.

    With it comes what `check` looks at. Raises sqlite3.Error.
    """
    file, info = OpenFile(str(path)), dict[str, Any]()
    with file.staying():
        uri = file.prepare(info)
        raw = sqlite3.connect(uri or path, timeout=wait, isolation_level=None, uri=bool(uri))
        open_log(raw)
    with closing(raw) as connection:
        set_pragmas(connection, "wal", wait)
        file.note(info)
        yield connection, info


def open_log(connection: sqlite3.Connection) -> None:
    """Let a new connection open the write-ahead log; its next statement says what is wrong with the file."""
    set_busy_timeout(connection, 0)  # A file without such a log may be locked. `set_pragmas` sets the usual.
    with suppress(sqlite3.Error):
        connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchall()


def set_pragmas(connection: sqlite3.Connection, journal: str, read_wait: float) -> None:
    """Set up a new connection; it waits so many seconds for another one's commit."""
    set_busy_timeout(connection, read_wait)
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = EXTRA")  # after FULL a deleted rollback journal can come back
    connection.execute(f"PRAGMA journal_size_limit = {JOURNAL_LIMIT}")
    connection.execute("PRAGMA secure_delete = ON")  # deleted data is overwritten, not just left unused
    if connection.execute("PRAGMA journal_mode").fetchone()[0] != journal:
        set_journal(connection, journal)
    connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchall()  # it opens the WAL, too


def set_journal(connection: sqlite3.Connection, journal: str) -> None:
    """Ask for a journal mode. On a file system without WAL, SQLite keeps its own, and both work."""
    with suppress(sqlite3.OperationalError):  # somebody is writing just now; the next connection asks again
        connection.execute(f"PRAGMA journal_mode = {'DELETE' if journal == 'delete' else 'WAL'}")


def set_busy_timeout(connection: sqlite3.Connection, seconds: float) -> None:
    """Let statements wait so long for others."""
    connection.execute(f"PRAGMA busy_timeout = {round(seconds * 1000)}")


def begin_immediate(connection: sqlite3.Connection, deadline: float) -> None:
    """Take the write lock; raise SQLite's error at that moment of the monotonic clock."""
    set_busy_timeout(connection, 0)
    while True:
        try:
            connection.execute(TAKE_TURN)
            return
        except sqlite3.OperationalError as error:
            if not is_locked(error) or time.monotonic() > deadline:
                raise
            time.sleep(LOCK_POLL)


def clear_wal(connection: sqlite3.Connection) -> None:
    """Empty the write-ahead log, which still holds deleted data, unless others read it."""
    set_busy_timeout(connection, 0)  # it must not wait for readers; each BEGIN sets its own
    with suppress(sqlite3.OperationalError):
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()


def is_locked(error: sqlite3.Error) -> bool:
    """Whether another connection has the lock."""
    return primary_code(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def primary_code(error: sqlite3.Error) -> int:
    """Return the code without its extension: https://www.sqlite.org/rescode.html."""
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
