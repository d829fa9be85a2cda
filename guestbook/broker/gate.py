"""The gate: how many requests to one webhook a worker lets be under way, once they turn out to be slow."""

import threading
import time
from collections import defaultdict

SLOW = 1.0  # seconds after which a request counts as one that occupies a thread


class Gate:
    """Counts for all threads of a worker. A slow webhook gets a quarter of them, a quick one what it can."""

    def __init__(self, threads: int) -> None:
        self._most = max(1, threads // 4)
        self._lock = threading.Lock()
        self._begun: defaultdict[str, dict[str, float]] = defaultdict(dict)  # by webhook, then by delivery

    def is_full(self, webhook_id: str) -> bool:
        """Whether a quarter of the threads hang on this webhook."""
        with self._lock:
            old = time.monotonic() - SLOW
            return sum(begun < old for begun in self._begun[webhook_id].values()) >= self._most

    def enter(self, webhook_id: str, delivery_id: str) -> None:
        """Note that a request begins."""
        with self._lock:
            self._begun[webhook_id][delivery_id] = time.monotonic()

    def leave(self, webhook_id: str, delivery_id: str) -> None:
        """Note that it has ended."""
        with self._lock:
            self._begun[webhook_id].pop(delivery_id, None)
