"""A worker pool without threads: the main thread does the work itself, while it would wait for results."""

import time
from collections.abc import Callable

from guestbook.outbound.webhook_concurrency import T
from guestbook.outbound.worker_pool import R, WorkerPool


class SingleWorker(WorkerPool[T, R]):
    """Does one task after the other in the thread that calls `wait`."""

    def __init__(self, work: Callable[[T], R]) -> None:
        super().__init__(work, 1)
        self.threads = 1  # the caller's

    def wait(self, seconds: float) -> None:
        """Do a task if there is one, and begin others for so many seconds."""
        end = time.monotonic() + seconds
        with self._lock:
            taken = self._take()
        while taken:
            lane, task = taken
            result = self._work(task)
            with self._lock:
                self._hand_in(lane, result)
                taken = self._take() if self.size and time.monotonic() < end else None

    def wait_while_sending(self, seconds: float) -> None:
        """Begin tasks for so many seconds: nobody else sends them."""
        self.wait(seconds)

    def _start_threads(self) -> None:
        """Start none."""
