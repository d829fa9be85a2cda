"""The concurrency limit: no webhook gets more than a quarter of a worker's threads, as in a pass."""

import threading
import time
from dataclasses import dataclass, field

SLOW_AFTER = 1.0  # seconds that a thread waits for a slot; a request that takes longer counts as hanging


@dataclass(slots=True)
class _Slots:
    freed: threading.Condition
    started: dict[str, float] = field(default_factory=dict)  # by delivery, on the monotonic clock


class ConcurrencyLimit:
    """Counts the requests to each webhook for all threads of a worker."""

    def __init__(self, threads: int) -> None:
        self._limit = max(1, threads // 4)
        self._lock = threading.Lock()
        self._webhooks: dict[str, _Slots] = {}

    def is_stuck(self, webhook_id: str) -> bool:
        """Whether slow requests hold all slots of this webhook, so that waiting is not worth while."""
        with self._lock:
            started = self._slots(webhook_id).started.values()
            return len(started) >= self._limit and min(started) < time.monotonic() - SLOW_AFTER

    def acquire(self, webhook_id: str, delivery_id: str) -> bool:
        """Take a slot as soon as there is one; False when there was none in time."""
        with self._lock:
            slots = self._slots(webhook_id)
            if not slots.freed.wait_for(lambda: len(slots.started) < self._limit, SLOW_AFTER):
                return False
            slots.started[delivery_id] = time.monotonic()
            return True

    def release(self, webhook_id: str, delivery_id: str) -> None:
        """Free the slot for the next delivery."""
        with self._lock:
            slots = self._slots(webhook_id)
            del slots.started[delivery_id]
            slots.freed.notify()

    def _slots(self, webhook_id: str) -> _Slots:
        return self._webhooks.setdefault(webhook_id, _Slots(threading.Condition(self._lock)))
