"""How many threads help. Only one of them runs Python at a time, so more than fill a core do not help."""

import time

MEASURE_INTERVAL = 0.01  # seconds between two measurements, at least
CORE_IS_FULL = 0.85  # of a core; beyond that, more threads only pass Python's global lock around
FIRST_THREADS = 8


class CoreUsage:
    """Tells whether more threads would help, by the time that passed and the processor time that was used."""

    def __init__(self) -> None:
        self._measured = time.monotonic(), time.process_time()

    def has_room(self) -> bool:
        """Whether the process left some of its core unused since the last measurement."""
        now, used = time.monotonic(), time.process_time()
        measured_at, used_then = self._measured
        if now - measured_at < MEASURE_INTERVAL:
            return False  # too soon to say
        self._measured = now, used
        return used - used_then < CORE_IS_FULL * (now - measured_at)

    def threads_to_start(self, running: int, missing: int) -> int:
        """Return how many threads to start: the first ones, then twice as many at each look while that helps.

        It helps while tasks wait for a thread and the process does not fill its core. Receivers that answer
        at once keep 8 threads busy; slow ones get all threads within some hundredths of a second.

            threads:  8 ──▶ 16 ──▶ 32 ──▶ …      at each arrow: do tasks wait, and is the core below 85 %?
        """
        at_once = FIRST_THREADS - running
        if at_once <= 0:
            at_once = running if missing > 0 and self.has_room() else 0
        return min(missing, at_once)
