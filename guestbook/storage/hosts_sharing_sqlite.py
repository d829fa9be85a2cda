"""Which hosts use a book on SQLite: each has a note beside the file. Only the one that came first writes.

The processes of a host share a lock beside its note. The last one that is stopped removes both.
"""

import fcntl
import hashlib
import json
import os
import time
import weakref
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from guestbook.lib import clock, files, ids
from guestbook.lib.errors import Refused
from guestbook.settings import Settings, database_url, installation

ACTIVE_FOR = timedelta(minutes=15)  # a host counts for so long after its last note
NOTE_EVERY = 300.0  # seconds between two notes of one process
LOOK_EVERY = 5.0  # seconds between two looks of one process for other hosts
LOCK_TRIES, LOCK_PAUSE = 100, 0.01  # the pause in seconds; a process that leaves holds the lock for a moment
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


class HostNote(FirstHost):
    """What a process does with its book's file. On PostgreSQL and MariaDB it has nothing to note.

    With `leaves` the end of the process calls `leave`, unless it is killed.
    """

    def __init__(self, settings: Settings, does: str, *, leaves: bool = False) -> None:
        super().__init__(database_url.sqlite_file(settings.data_dir, settings.database_url))
        self._does, self._next_note = does, 0.0
        self._leaves = leaves
        self._end: weakref.finalize[..., Any] | None = None

    def renew(self) -> None:
        """Note that this host is active, every five minutes; a full disk keeps nobody from working."""
        if self.file is None or time.monotonic() < self._next_note:
            return
        self._next_note = time.monotonic() + NOTE_EVERY
        if self._end is None and (lock := _shared_lock(self.file)) is not None:
            self._end = weakref.finalize(self, _let_go, self.file, lock, os.getpid(), self._leaves)
        with suppress(OSError):
            _write(self.file, self._does, clock.now())

    def leave(self) -> None:
        """Remove the note, so that another host may write at once, unless a process of this host goes on."""
        if self._end and (found := self._end.detach()):
            file, lock, process, _ = found[2]
            _let_go(file, lock, process, True)

    def keep(self) -> None:
        """Note that this host is active; raises Refused while another one that came first uses the file."""
        if self.file and (host := self.other()):
            raise Refused(why_second(self.file, host))
        self.renew()


def _shared_lock(file: Path) -> int | None:
    """Return the descriptor of the lock of this host's processes, or None where there can be no lock."""
    path = _lock_path(_note_path(file))
    with suppress(OSError):
        for _ in range(LOCK_TRIES):
            # A file that is open for writing would keep the disk from becoming read-only.
            descriptor = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
                if os.path.samestat(os.fstat(descriptor), path.stat()):
                    return descriptor
            except (BlockingIOError, FileNotFoundError):  # A process leaves just now, and removes the file.
                pass
            except OSError:  # Some network drives have no locks.
                os.close(descriptor)
                raise
            os.close(descriptor)
            time.sleep(LOCK_PAUSE)
    return None


def _let_go(file: Path, lock: int, process: int, leaves: bool) -> None:
    """Give up the lock. The last process of this host, if it leaves, removes the note first."""
    os.close(lock)
    if not leaves or os.getpid() != process:  # A forked one may go on, and shares the lock.
        return
    note = _note_path(file)
    with suppress(OSError), _lock_path(note).open("r+b") as last:
        fcntl.flock(last, fcntl.LOCK_EX | fcntl.LOCK_NB)  # It fails if another process has the lock.
        # Otherwise a process that started meanwhile has made both files.
        if os.path.samestat(os.fstat(last.fileno()), _lock_path(note).stat()):
            _remove(note)


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
    for path, host in _notes(file).items():
        if not host.is_this_one():
            _remove(path)
    _write(file, TAKE_OVER, now)
    return others


def hosts(file: Path) -> list[ActiveHost]:
    """Return all hosts that have used the file, the latest first."""
    return sorted(_notes(file).values(), key=lambda host: host.last_at, reverse=True)


def _active(file: Path, now: datetime) -> tuple[list[ActiveHost], list[ActiveHost]]:
    """Return the notes of this host and of others that were active lately."""
    # A time far in the future is from before a clock was set right.
    active = [host for host in hosts(file) if any(abs(now - at) <= ACTIVE_FOR for at in host.seen.values())]
    ours = [host for host in active if host.is_this_one()]
    return ours, [host for host in active if host not in ours]


def _two_hosts(file: Path, host: ActiveHost, came: str) -> str:
    here, does = ids.host_name(), " and ".join(sorted(host.seen, reverse=True))
    ago, until = clock.ago(host.last_at), host.last_at + ACTIVE_FOR
    return (TWO_HOSTS + came).format(file=file, name=host.name, does=does, ago=ago, here=here, until=until)


def _note_path(file: Path) -> Path:
    """Return where this host's note is. Containers on one kernel share it."""
    known_by = ids.boot_id() or ids.host_name()
    return file.with_name(f"{file.name}-host-{hashlib.sha256(known_by.encode()).hexdigest()[:12]}")


def _lock_path(note: Path) -> Path:
    file, _, number = note.name.rpartition("-host-")
    return note.with_name(f"{file}-lock-{number}")


def _remove(note: Path) -> None:
    """Remove a note with its lock."""
    note.unlink(missing_ok=True)
    _lock_path(note).unlink(missing_ok=True)


def _notes(file: Path) -> dict[Path, ActiveHost]:
    with suppress(OSError):
        paths = [path for path in file.parent.iterdir() if path.name.startswith(f"{file.name}-host-")]
        return {path: host for path in paths if (host := _read(path))}
    return {}


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
    name, boot_id, path = ids.host_name(), ids.boot_id(), _note_path(file)
    before = _read(path)
    seen = before.seen if before and before.name == name else {}
    if does in seen and abs(now - seen[does]) < timedelta(seconds=NOTE_EVERY):
        return  # another process has just noted it
    seen = {**(before.seen if before else {}), does: now}
    ours, others = _active(file, now)
    last = max([now, *(host.since + JUST_AFTER for host in others)])
    since = min((host.since for host in ours), default=last)
    texts = {what: clock.to_text(moment) for what, moment in seen.items()}
    noted = {"name": name, "boot_id": boot_id, "seen": texts, "since": clock.to_text(since)}
    files.replace_file(path, json.dumps(noted))
    for other, host in _notes(file).items():
        if now - host.last_at > GONE_AFTER:
            _remove(other)
