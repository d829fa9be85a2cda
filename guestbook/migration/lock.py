"""The lock of the passes, so that none of this host sends while its book moves."""

import fcntl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from guestbook.refusal import Refused

WAIT = 60.0  # seconds for the pass that is at work; one of crontab's ends within 50
POLL = 0.1  # seconds


@contextmanager
def held(data_dir: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold the lock; call `waiting` once when a pass has it. Raises Refused when that one does not end."""
    with (data_dir / "pass.lock").open("a") as file:
        give_up = time.monotonic() + WAIT
        if not _is_ours(file):
            waiting()
            while not _is_ours(file):
                if time.monotonic() > give_up:
                    raise Refused("A pass is still at work. Stop cron, and run this again.")
                time.sleep(POLL)
        yield


def _is_ours(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # some network drives have no locks; that the book was written to is seen at the end
        pass
    return True
