"""The connections that wait for their next request: so many are kept for all hosts together, the newest."""

import threading
from typing import Any

MOST = 256  # connections, where nobody says how many this host allows


class Idle:
    """Closes the connection that has waited longest when there are too many; shared by all threads."""

    def __init__(self) -> None:
        self._most = MOST
        self._lock = threading.Lock()
        self._waiting: dict[Any, None] = {}  # oldest first

    def add(self, connection: Any) -> None:
        """Note that a connection waits; say so before anybody else can take it."""
        with self._lock:
            self._waiting[connection] = None
            self._close_oldest()

    def take(self, connection: Any) -> None:
        """Note that it waits no more; nobody closes it from now on."""
        with self._lock:
            self._waiting.pop(connection, None)

    def limit(self, most: int) -> None:
        """Keep no more than so many."""
        with self._lock:
            self._most = min(self._most, most)
            self._close_oldest()

    def halve(self) -> None:
        """Keep half as many from now on: the host allows no more."""
        self.limit(len(self._waiting) // 2)

    def _close_oldest(self) -> None:
        while len(self._waiting) > self._most:
            oldest = next(iter(self._waiting))
            del self._waiting[oldest]
            oldest.close()  # it stays in its pool, and is opened anew when its turn comes
