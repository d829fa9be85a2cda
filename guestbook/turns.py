"""Turns: the writers of one process queue, first come, first served.

SQLite has one writer at a time and no queue. Threads that each poll for its lock burn the time of the
one that has it, and chance makes some of them wait ten times as long as others.
"""

import threading
from collections import deque


class Turns:
    """A lock that goes to whoever has waited longest."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken = False
        self._waiting: deque[threading.Lock] = deque()

    def take(self, seconds: float) -> None:
        """Wait for the turn, so long at the most; raises TimeoutError. Whoever has it must call `pass_on`."""
        with self._lock:
            if not self._taken:
                self._taken = True
                return
            called = threading.Lock()
            called.acquire()
            self._waiting.append(called)
        if not called.acquire(timeout=seconds):
            self._leave(called)

    def pass_on(self) -> None:
        """Let the next one go."""
        with self._lock:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._taken = False

    def _leave(self, called: threading.Lock) -> None:
        with self._lock:
            if called in self._waiting:  # else its turn came in this very moment
                self._waiting.remove(called)
                raise TimeoutError("other writers of this process took too long")
