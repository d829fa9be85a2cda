"""Locks: one that keeps passes apart, and one of the threads of a process that write.

The first is a file of the data folder. The kernel frees it on any death. It only saves work or time: the
leases make sure that no delivery is sent twice.
"""

import fcntl
import logging
import os
import stat
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from guestbook.lib import files
from guestbook.lib.errors import Refused

PASS, RELAY = "pass.lock", "relay.lock"  # names in the data folder
PASS_TO_END = "pass-to-end.lock"  # held by a command that asks the pass to end
BACKUP, RESTORE = "backup.lock", "restore.lock"
RETRY_EVERY = 0.1  # seconds
PASS_WAIT = 60.0  # seconds for the pass that is at work; one that is asked to end finishes its requests
LOOK_WAIT = 1.0  # seconds; the pass holds the other lock for a moment whenever it looks
STILL_AT_WORK = (
    "{} is still at work after {:g} seconds. Stop what runs it (cron, cron --stay, run or a service), and "
    "run this again."
)
MODE = 0o600  # any user who can open the file can hold the lock for ever
log = logging.getLogger(__name__)


@contextmanager
def taken(path: Path, *, patience: float = 0.0, waiting: Callable[[], None] = lambda: None) -> Iterator[bool]:
    """Say whether we hold the lock, after waiting so many seconds; `waiting` is called when a wait begins.

    If the file cannot be opened, we go on as if we held it. The log says so after the work: when that fails
    too, as on a read-only disk, its error is enough.
    """
    descriptor, failure = _opened(path)
    if descriptor is None:
        yield True
        log.warning("Without a lock: %s", failure)
        return
    try:
        give_up, is_ours = time.monotonic() + patience, _is_ours(descriptor)
        if not is_ours and patience:
            waiting()
        while not is_ours and time.monotonic() < give_up:
            time.sleep(RETRY_EVERY)
            is_ours = _is_ours(descriptor)
        yield is_ours
    finally:
        os.close(descriptor)


@contextmanager
def without_passes(data_dir: Path, waiting: Callable[[], None], others: str = "A pass") -> Iterator[None]:
    """Ask the pass of this machine to end, then keep passes away; raises Refused if it does not end."""
    from guestbook.lib import wakeup_socket  # A pass that has nothing to do starts faster without it.

    with taken(data_dir / PASS_TO_END, patience=LOOK_WAIT):
        wakeup_socket.send(data_dir)
        with taken(data_dir / PASS, patience=PASS_WAIT, waiting=waiting) as is_quiet:
            if not is_quiet:
                raise Refused(STILL_AT_WORK.format(others, PASS_WAIT))
            yield


def must_pass_end(data_dir: Path) -> bool:
    """Whether a command asks the pass of this data folder to end; only the pass itself looks."""
    try:
        descriptor = os.open(data_dir / PASS_TO_END, os.O_RDWR | os.O_NOFOLLOW)
    except OSError:  # No command has asked yet.
        return False
    try:
        return not _is_ours(descriptor)
    finally:
        os.close(descriptor)


def _opened(path: Path) -> tuple[int | None, str]:
    """Return the open file, or None and why it cannot be opened. Another user's is replaced by our own."""
    try:
        return _open(path), ""
    except PermissionError:
        why = files.why_not(path) or f"{path} cannot be opened."
    except OSError as error:
        return None, f"{path} cannot be opened ({error.strerror})."
    try:
        path.unlink()
        descriptor = _open(path)
    except OSError:
        return None, why
    log.warning("%s belonged to another user and was made again. Run commands as one user.", path)
    return descriptor, ""


def _open(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, MODE)
    if stat.S_IMODE(os.fstat(descriptor).st_mode) != MODE:
        with suppress(OSError):  # not ours, or a file system without modes
            os.fchmod(descriptor, MODE)
    return descriptor


def _is_ours(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # some network drives have no locks
        pass
    return True


BRIEF = 2.0  # seconds; a holder that keeps the lock longer is stuck; a busy host may need half of that


class FairLock:
    """A lock that goes to the thread that has waited longest.

    SQLite has one writer at a time and no queue. Threads that each poll for its lock waste the time of the
    writer, and by chance some of them wait ten times as long as others.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_held = False
        self._useful_since = 0.0  # when the lock was taken, or last released after a success
        self._waiting: deque[threading.Lock] = deque()

    def acquire(self, seconds: float, *, at_once: int = 1_000_000) -> None:
        """Wait for the lock for so long at most; raises TimeoutError. The holder must call `release`.

        So many threads `at_once` may wait as long, the holder included. Further threads wait only while
        the holder is not stuck.
        """
        give_up = time.monotonic() + seconds
        with self._lock:
            if not self._is_held:
                self._is_held, self._useful_since = True, time.monotonic()
                return  # nobody has the lock
            called = threading.Lock()
            called.acquire()
            self._waiting.append(called)
        while not called.acquire(timeout=self._patience(called, give_up, at_once)):
            if self._patience(called, give_up, at_once) == 0:
                with self._lock:
                    if called not in self._waiting:
                        return  # called in this very moment
                    self._waiting.remove(called)
                    raise TimeoutError("other writers of this process took too long")

    def release(self, *, in_vain: bool = False) -> None:
        """Give the lock to the next thread. After a failure, say `in_vain`: the next may fail as well."""
        with self._lock:
            if not in_vain:
                self._useful_since = time.monotonic()
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._is_held = False

    def _patience(self, called: threading.Lock, give_up: float, at_once: int) -> float:
        """Return for how many seconds a thread may wait before it asks again."""
        with self._lock:
            now = time.monotonic()
            left = max(0.0, give_up - now)
            if called not in self._waiting or self._waiting.index(called) + 1 < at_once:
                return left
            return min(left, max(0.0, self._useful_since + BRIEF - now))
