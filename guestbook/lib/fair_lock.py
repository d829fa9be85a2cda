"""A lock for the writers of one process: first come, first served.

SQLite has one writer at a time and no queue. Threads that each poll for its lock waste the time of the
writer, and by chance some of them wait ten times as long as others.
"""

import threading
import time
from collections import deque

BRIEF = 2.0  # seconds; a holder that keeps the lock longer is stuck; a busy host may need half of that


class FairLock:
    """A lock that goes to the thread that has waited longest."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_held = False
        self._useful_since = 0.0  # when the lock was taken, or last released after a success
        self._waiting: deque[threading.Lock] = deque()

    @property
    def waiting(self) -> int:
        """Return how many threads wait."""
        return len(self._waiting)

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
                self._leave(called)
                return  # called in the very moment of leaving

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

    def _leave(self, called: threading.Lock) -> None:
        with self._lock:
            if called in self._waiting:
                self._waiting.remove(called)
                raise TimeoutError("other writers of this process took too long")
