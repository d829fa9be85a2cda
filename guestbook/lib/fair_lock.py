"""Turns: the writers of one process queue, first come, first served.

SQLite has one writer at a time and no queue. Threads that each poll for its lock burn the time of the
one that has it, and chance makes some of them wait ten times as long as others.
"""

import threading
import time
from collections import deque

BRIEF = 0.5  # seconds without a change, after which the turn is stuck
TOO_LONG = "other writers of this process took too long"


class FairLock:
    """A lock that goes to whoever has waited longest."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken = False
        self._since = 0.0  # when the present one got it, or the last one that had use of it passed it on
        self._waiting: deque[threading.Lock] = deque()

    def take(self, seconds: float, *, at_once: int = 1_000_000) -> None:
        """Wait for the turn, so long at the most; raises TimeoutError. Whoever has it must call `pass_on`.

        `at_once` may wait as long, the one that has the turn included; one too many waits only while the
        turn comes round.
        """
        give_up = time.monotonic() + seconds
        with self._lock:
            if not self._taken:
                self._taken, self._since = True, time.monotonic()
                return
            called = threading.Lock()
            called.acquire()
            self._waiting.append(called)
        while not called.acquire(timeout=self._patience(called, give_up, at_once)):
            if self._patience(called, give_up, at_once) == 0:
                self._leave(called)
                return

    def _patience(self, called: threading.Lock, give_up: float, at_once: int) -> float:
        """Return for how many seconds one may wait before it asks again."""
        with self._lock:
            now = time.monotonic()
            left = max(0.0, give_up - now)
            if called not in self._waiting or self._waiting.index(called) + 1 < at_once:
                return left
            return min(left, max(0.0, self._since + BRIEF - now))

    def pass_on(self, *, in_vain: bool = False) -> None:
        """Let the next one go; `in_vain` if nothing could be done with it, as it may be for that one."""
        with self._lock:
            if not in_vain:
                self._since = time.monotonic()
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._taken = False

    def _leave(self, called: threading.Lock) -> None:
        with self._lock:
            if called in self._waiting:  # else its turn came in this very moment
                self._waiting.remove(called)
                raise TimeoutError(TOO_LONG)
