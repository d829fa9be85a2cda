"""The connections that wait for their next request. The newest are kept, up to one limit for all hosts."""

import threading
from typing import Any

DEFAULT_LIMIT = 256  # connections, unless this host is known to allow fewer


class IdleConnections:
    """Closes the connection that has waited longest when there are too many; shared by all threads."""

    def __init__(self) -> None:
        self._most = DEFAULT_LIMIT
        self._lock = threading.Lock()
        self._waiting: dict[Any, None] = {}  # oldest first

    def add(self, connection: Any) -> None:
        """Note a waiting connection; call this before another thread can take it."""
        with self._lock:
            self._waiting[connection] = None
            self._close_oldest()

    def take(self, connection: Any) -> None:
        """Note that it waits no longer, so it is not closed from now on."""
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
            oldest.close()  # it stays in its pool, which opens it again
