"""How long a pass sends between two ticks, and how much a tick does.

On SQLite a tick keeps everybody else from writing, so it depends on who else writes to the file:

    nobody      the threads send for 20 ms, but no longer than they have something to send
    anybody     they go on for twice as long as the last tick held the lock, with the same end
    visitors    and ticks are small, so that nobody waits long for the lock
"""

import time
from typing import Any

from guestbook.lib.stop_flag import StopFlag
from guestbook.outbound.worker_pool import WorkerPool
from guestbook.queue.poller import Poller

TICK_PAUSE = 0.02  # seconds between two ticks
LEAST_PAUSE = 0.01  # seconds between two ticks, even if there is nothing to send: others want to write, too
STEP_BACK = 2.0  # if others write to the same file: send on this many times as long as a tick held the lock
SMALL_TICK = 128  # rows that a tick records or claims while visitors write
SMALL_FOR = 0.2  # seconds after a visitor has written


class TickPace:
    """The pace of one pass."""

    def __init__(self, poller: Poller, pool: WorkerPool[Any, Any]) -> None:
        self._poller = poller
        self._pool = pool
        self._newest = poller.newest_from_visitors()
        self._small_until = 0.0  # on the monotonic clock

    def let_threads_send(self, stop: StopFlag, *, owed: float, outcome_wait: float, tick_took: float) -> None:
        """Wait until the next tick.

        The threads may send for the usual time, or longer if our work is `owed` so many seconds. Then an
        outcome is waited for, for `outcome_wait` seconds at most.
        """
        self._poller.mark()
        self._fit_ticks()
        stop.wait(LEAST_PAUSE)
        self._pool.wait_while_sending(max(TICK_PAUSE, owed) - LEAST_PAUSE)
        if self._poller.others_wrote() and not stop.is_set():
            self._pool.wait_while_sending(STEP_BACK * tick_took)
        if not stop.is_set():
            self._pool.wait(outcome_wait)

    def _fit_ticks(self) -> None:
        newest, now = self._poller.newest_from_visitors(), time.monotonic()
        if newest != self._newest:
            self._newest, self._small_until = newest, now + SMALL_FOR
        self._pool.limit_ticks(SMALL_TICK if now < self._small_until else None)
