"""The file of a book on SQLite: whether the open one is still at its path, and which hosts use it.

A restore puts another file there. Writes to a file that has gone from its path are lost with the last
connection.
"""

import fcntl
import hashlib
import json
import os
import sqlite3
import threading
import time
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

from guestbook.lib import clock, files, ids
from guestbook.lib.errors import Refused
from guestbook.settings import Settings, database_url, installation

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
        # A deleted file's WAL, kept open so that no other gets its inode.
        self._stale: IO[bytes] | None = None

    def prepare(self, info: dict[Any, Any]) -> str | None:
        """Look at the file before a connection opens it; raises FileReplaced.

        Return the URI to open on a read-only disk, where SQLite cannot make files beside it.
        """
        with self._lock:
            if self._main is None:
                _make_private(self.path)
            elif self._main != _identity(self.path):
                self._take_over()
            is_read_only = files.is_read_only(self.path)
            fixed = _written(self.path) if is_read_only and self.is_whole() else None
            info["file"] = Opened(self, _identity(self.path), None, is_read_only, fixed)
            return _uri_of_fixed(self.path) if fixed else None

    def note(self, info: dict[Any, Any]) -> None:
        """Remember what a connection has opened; raises FileReplaced."""
        with self._lock:
            check(info)
            self._main, self._wal = info["file"].main, _identity(self.wal)
            info["file"] = replace(info["file"], main=self._main, wal=self._wal)

    def is_whole(self) -> bool:
        """Whether nothing beside the file belongs to it, such as the log of a host that lost its power."""
        journal = self.path.with_name(f"{self.path.name}-journal")
        return not any(_written(one)[0] for one in (self.wal, journal))

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
    was_read_only: bool  # the disk was, so this connection can never write
    fixed: tuple[int, int] | None  # what was written when SQLite was told that nobody writes, if it was

    @property
    def is_current(self) -> bool:
        """Whether these are the files at the path, no fixed one was written, and the disk is as it was."""
        path = self.file.path
        if _identity(path) != self.main or (self.was_read_only and not files.is_read_only(path)):
            return False
        if self.fixed and not (self.fixed == _written(path) and self.file.is_whole()):
            return False  # another host or container writes
        return self.wal is None or _identity(self.file.wal) == self.wal


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


def _written(path: Path) -> tuple[int, int]:
    """Return what changes when somebody writes a file: its size and time."""
    with suppress(OSError):
        found = path.stat()
        return found.st_size, found.st_mtime_ns
    return 0, 0


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


ACTIVE_FOR = timedelta(minutes=15)  # a host counts for so long after its last note
NOTE_EVERY = 300.0  # seconds between two notes of one process
LOOK_EVERY = 5.0  # seconds between two looks of one process for other hosts
GONE_AFTER = timedelta(days=2)  # a host that has gone
JUST_AFTER = timedelta(milliseconds=1)
WEB, PASS, TAKE_OVER = "web server", "passes", "take-over"  # what a host does; the last is a command
TWO_HOSTS = (
    "Two hosts use one SQLite file, {file}. {name} ({does}) was last active {ago}, and this host is {here}. "
    "That can destroy the book, because SQLite's locks do not work between hosts. "
)
CAME_SECOND = "{name} came first, so this host only reads until {until:%H:%M} UTC or later. "
CAME_FIRST = "This host came first, so the other one only reads. "
TWO_HOSTS_ADVICE = (
    "Run the web server and cron on one host, or use PostgreSQL or MariaDB. If you have moved the book, stop "
    f"it on the old host: {ACTIVE_FOR.seconds // 60} minutes after a host was last active it does not count "
    "any more."
)
GO_ON = " To go on here at once, run this here:"


@dataclass(frozen=True, slots=True)
class ActiveHost:
    """A host, and when it last did something with the file."""

    name: str
    boot_id: str | None
    seen: dict[str, datetime]  # by WEB, PASS or TAKE_OVER
    since: datetime  # it has never been quiet for ACTIVE_FOR

    @property
    def last_at(self) -> datetime:
        """When it was last active: not a moment to come, which is of a clock that ran ahead."""
        return max((at for at in self.seen.values() if at <= clock.now()), default=min(self.seen.values()))

    @property
    def rank(self) -> tuple[datetime, str]:
        """What sorts first the host that came first."""
        return self.since, self.name

    def is_active(self, now: datetime) -> bool:
        """Whether that was lately; a time far in the future is from before a clock was set right."""
        return any(abs(now - at) <= ACTIVE_FOR for at in self.seen.values())

    def is_this_one(self) -> bool:
        """Whether it is this host: containers share the kernel's id, a restart keeps the host's name."""
        has_same_kernel = self.boot_id is not None and self.boot_id == ids.boot_id()
        return has_same_kernel or self.name == ids.host_name()


class FirstHost:
    """Says whether another host came first to an SQLite file. It looks at the folder every five seconds."""

    def __init__(self, file: Path | None) -> None:
        self.file = file
        self._next = 0.0

    def other(self) -> ActiveHost | None:
        """Return the other host; None while this one may write."""
        if self.file is None or time.monotonic() < self._next:
            return None
        if host := first(self.file, clock.now()):
            return host  # the next caller looks again, for this host may have taken over
        self._next = time.monotonic() + LOOK_EVERY
        return None


class HostNote:
    """What a process does with its book's file. On PostgreSQL and MariaDB it has nothing to note."""

    def __init__(self, settings: Settings, does: str) -> None:
        self.file = database_url.sqlite_file(settings.data_dir, settings.database_url)
        self._does = does
        self._next = 0.0
        self._first = FirstHost(self.file)

    def renew(self) -> None:
        """Note that this host is active, every five minutes; a full disk keeps nobody from working."""
        if self.file is None or time.monotonic() < self._next:
            return
        self._next = time.monotonic() + NOTE_EVERY
        with suppress(OSError):
            _write(self.file, self._does, clock.now())

    def keep(self) -> None:
        """Note that this host is active; raises Refused while another one that came first uses the file."""
        if self.file and (host := self._first.other()):
            raise Refused(why_second(self.file, host))
        self.renew()


def first(file: Path, now: datetime) -> ActiveHost | None:
    """Return the host that came first to a file, if that is another one."""
    ours, others = _active(file, now)
    earlier = [host for host in others if not ours or host.rank < min(one.rank for one in ours)]
    return min(earlier, key=lambda host: host.rank, default=None)


def why_second(file: Path, host: ActiveHost) -> str:
    """Say why this host may not write, until when, and what to do."""
    return f"{_two_hosts(file, host, CAME_SECOND)}{TWO_HOSTS_ADVICE}{GO_ON} {installation.typed(TAKE_OVER)}"


def two_hosts(file: Path, now: datetime) -> str | None:
    """Say which other host uses the file, if one does, and which of the two came first."""
    if host := first(file, now):
        return _two_hosts(file, host, CAME_SECOND)
    _, others = _active(file, now)
    return _two_hosts(file, others[0], CAME_FIRST) if others else None


def take_over(file: Path) -> list[ActiveHost]:
    """Make this host the first one, and return those that were active. One that goes on comes after it."""
    now = clock.now()
    _, others = _active(file, now)
    for path in _notes(file):
        if (host := _read(path)) and not host.is_this_one():
            path.unlink(missing_ok=True)
    _write(file, TAKE_OVER, now)
    return others


def hosts(file: Path) -> list[ActiveHost]:
    """Return all hosts that have used the file, the latest first."""
    found = [host for path in _notes(file) if (host := _read(path))]
    return sorted(found, key=lambda host: host.last_at, reverse=True)


def _active(file: Path, now: datetime) -> tuple[list[ActiveHost], list[ActiveHost]]:
    """Return the notes of this host and of others that were active lately."""
    active = [host for host in hosts(file) if host.is_active(now)]
    ours = [host for host in active if host.is_this_one()]
    return ours, [host for host in active if host not in ours]


def _two_hosts(file: Path, host: ActiveHost, came: str) -> str:
    here, does = ids.host_name(), " and ".join(sorted(host.seen, reverse=True))
    ago, until = clock.ago(host.last_at), host.last_at + ACTIVE_FOR
    return (TWO_HOSTS + came).format(file=file, name=host.name, does=does, ago=ago, here=here, until=until)


def _notes(file: Path) -> list[Path]:
    prefix = f"{file.name}-host-"
    with suppress(OSError):
        return [path for path in file.parent.iterdir() if path.name.startswith(prefix)]
    return []


def _read(path: Path) -> ActiveHost | None:
    """Return the host of a note; None for one that is damaged."""
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        noted: dict[str, Any] = json.loads(path.read_text())
        seen = {str(does): clock.from_text(text) for does, text in noted["seen"].items()}
        # One without the moment is of an older program, which would go on writing.
        since = clock.from_text(noted["since"]) if "since" in noted else clock.LONG_AGO
        if seen:
            return ActiveHost(str(noted["name"]), noted["boot_id"], seen, since)
    return None


def _write(file: Path, does: str, now: datetime) -> None:
    """Write this host's note in one step, and remove those of hosts that have gone."""
    name, boot_id = ids.host_name(), ids.boot_id()
    path = file.with_name(f"{file.name}-host-{hashlib.sha256((boot_id or name).encode()).hexdigest()[:12]}")
    before = _read(path)
    seen = before.seen if before and before.name == name else {}
    if does in seen and abs(now - seen[does]) < timedelta(seconds=NOTE_EVERY):
        return  # another process has just noted it
    seen = {**(before.seen if before else {}), does: now}
    ours, others = _active(file, now)
    since = min(
        (host.since for host in ours), default=max([now, *(host.since + JUST_AFTER for host in others)])
    )
    texts = {what: clock.to_text(moment) for what, moment in seen.items()}
    noted = {"name": name, "boot_id": boot_id, "seen": texts, "since": clock.to_text(since)}
    files.replace_file(path, json.dumps(noted))
    for other in _notes(file):
        if (host := _read(other)) and now - host.last_at > GONE_AFTER:
            other.unlink(missing_ok=True)
