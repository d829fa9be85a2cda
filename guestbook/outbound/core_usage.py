"""How much of one processor core this process uses."""

import time

MEASURE_INTERVAL = 0.01  # seconds between two measurements, at least
CORE_IS_FULL = 0.85  # of a core; beyond that, more threads only pass Python's global lock around


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
