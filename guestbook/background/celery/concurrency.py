"""The gate: no webhook gets more than a quarter of a worker's threads, as in a pass."""

import threading
import time
from dataclasses import dataclass, field

SLOW = 1.0  # seconds that a thread waits for a place; also after which a request counts as one that hangs


@dataclass(slots=True)
class _Places:
    freed: threading.Condition
    begun: dict[str, float] = field(default_factory=dict)  # by delivery, on the monotonic clock


class Gate:
    """Counts for all threads of a worker."""

    def __init__(self, threads: int) -> None:
        self._most = max(1, threads // 4)
        self._lock = threading.Lock()
        self._webhooks: dict[str, _Places] = {}

    def is_stuck(self, webhook_id: str) -> bool:
        """Whether all places of this webhook are taken and it is not worth while to wait for one."""
        with self._lock:
            begun = self._of(webhook_id).begun.values()
            return len(begun) >= self._most and min(begun) < time.monotonic() - SLOW

    def enter(self, webhook_id: str, delivery_id: str) -> bool:
        """Take a place as soon as there is one; False when there was none in time."""
        with self._lock:
            places = self._of(webhook_id)
            if not places.freed.wait_for(lambda: len(places.begun) < self._most, SLOW):
                return False
            places.begun[delivery_id] = time.monotonic()
            return True

    def leave(self, webhook_id: str, delivery_id: str) -> None:
        """Give the place to the next one."""
        with self._lock:
            places = self._of(webhook_id)
            del places.begun[delivery_id]
            places.freed.notify()

    def _of(self, webhook_id: str) -> _Places:
        return self._webhooks.setdefault(webhook_id, _Places(threading.Condition(self._lock)))
