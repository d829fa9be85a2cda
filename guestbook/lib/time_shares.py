"""Share the main thread's time between the two halves of a pass, so that neither delays the other."""

import time
from datetime import datetime
from typing import Protocol

from guestbook.lib.own_process import StopFlag

LEAST_TURN = 0.05  # seconds that the other work gets at a time, even if ours takes less
MOST_TURN = 1.0  # seconds; the record of a sent delivery may wait so long
LEAST_PART = 1 / 4  # of the time, for each of the two


class OtherWork(Protocol):
    """Other work that the main thread does between two ticks."""

    def drain(self, *, until: float, stop: StopFlag) -> bool:
        """Do some work until that moment of the monotonic clock; return whether there may be more."""

    def next_due(self) -> datetime | None:
        """Return when some is due, or None when nothing waits."""


class TimeShares:
    """Gives other work, if there is any, turns as long as the time between them."""

    def __init__(self, beside: OtherWork | None) -> None:
        self._beside = beside
        self._ended = time.monotonic()
        self.owed = 0.0  # seconds that our work must get now, after the other's turn

    def share_time(self, until: float, stop: StopFlag) -> bool:
        """Let the other work have its turn, up to that moment; return whether there may be more of it."""
        if self._beside is None:
            return False
        began = time.monotonic()
        turn = min(max(began - self._ended, LEAST_TURN), MOST_TURN)
        more = self._beside.drain(until=min(until, began + turn), stop=stop)
        self._ended = time.monotonic()
        self.owed = (self._ended - began) * LEAST_PART / (1 - LEAST_PART)
        return more

    def next_due(self) -> datetime | None:
        """Return when other work is due, or None when nothing waits."""
        return self._beside.next_due() if self._beside else None
