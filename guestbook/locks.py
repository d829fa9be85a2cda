"""A lock of the data folder. The kernel lets go of it on any death, so it is never stale.

It only saves work, or waiting: that no delivery is sent twice rests on the leases.
"""

import fcntl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

PASS, RELAY = "pass.lock", "relay.lock"  # names in the data folder
POLL = 0.1  # seconds


@contextmanager
def taken(
    path: Path, *, patience: float = 0.0, waiting: Callable[[], None] = lambda: None
) -> Iterator[bool]:
    """Say whether we alone hold the file, after so many seconds of patience, of which `waiting` is told."""
    with path.open("a") as file:
        give_up, is_ours = time.monotonic() + patience, _is_ours(file)
        if not is_ours and patience:
            waiting()
        while not is_ours and time.monotonic() < give_up:
            time.sleep(POLL)
            is_ours = _is_ours(file)
        yield is_ours


def _is_ours(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # some network drives have no locks
        pass
    return True
