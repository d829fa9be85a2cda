"""The lock that keeps passes apart: a file of the data folder. The kernel frees it on any death.

It only saves work or time: the leases make sure that no delivery is sent twice.
"""

import fcntl
import logging
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from guestbook.lib import files
from guestbook.lib.errors import Refused

PASS, RELAY = "pass.lock", "relay.lock"  # names in the data folder
BACKUP, RESTORE = "backup.lock", "restore.lock"
RETRY_EVERY = 0.1  # seconds
PASS_WAIT = 60.0  # seconds for the pass that is at work; one of crontab's ends within 50
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
    """Wait for the pass of this machine, then keep passes away; raises Refused if it does not end."""
    with taken(data_dir / PASS, patience=PASS_WAIT, waiting=waiting) as is_quiet:
        if not is_quiet:
            raise Refused(f"{others} is still at work. Stop cron, and run this again.")
        yield


def _opened(path: Path) -> tuple[int | None, str]:
    """Return the open file, or None and why it cannot be opened."""
    try:
        return _open(path), ""
    except PermissionError:
        return _replaced(path)
    except OSError as error:
        return None, f"{path} cannot be opened ({error.strerror})."


def _replaced(path: Path) -> tuple[int | None, str]:
    """Replace another user's file with our own, or say what helps."""
    why = files.why_not(path)
    try:
        path.unlink()
        descriptor = _open(path)
    except OSError:
        return None, why or f"{path} cannot be opened."
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
