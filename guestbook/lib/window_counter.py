"""Count how often each name occurs in a stretch of time, in this process's memory."""

import threading
from typing import NamedTuple

MOST_NAMES = 1000  # then those go whose stretch is over


class WindowCount(NamedTuple):
    """What is left after one was counted."""

    left: int  # -1 if there was nothing left
    seconds: float  # until the stretch ends


class WindowCounter:
    """At most so many of each name in so many seconds from the first one. Threads may share it."""

    def __init__(self, most: int, seconds: float) -> None:
        self.most = most
        self.seconds = seconds
        self._counts: dict[str, tuple[float, int]] = {}  # name → when its stretch began, and how often since
        self._lock = threading.Lock()

    def take(self, name: str, now: float) -> WindowCount:
        """Count one, if there is one left; `now` is of the monotonic clock."""
        with self._lock:
            began, count = self._counts.get(name, (now, 0))
            if now - began >= self.seconds:
                began, count = now, 0
            left = self.most - count - 1
            self._counts[name] = (began, min(count + 1, self.most))
            if len(self._counts) > MOST_NAMES:
                self._forget(now)
        return WindowCount(max(-1, left), began + self.seconds - now)

    def _forget(self, now: float) -> None:
        self._counts = {
            name: (began, count)
            for name, (began, count) in self._counts.items()
            if now - began < self.seconds
        }
