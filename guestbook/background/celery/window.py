"""How many rows of one webhook or source may be at the broker or with a worker at once.

    due rows ── claim ──▶ [ in flight, at most `size` rows ] ── message ──▶ broker ──▶ worker

`size` starts small and grows with each row that gets done. It halves when workers give rows back because they
cannot begin them soon, and grows slowly after that. It drops to 2 when the webhook fails, or to 1 when it is
unreachable. So a receiver that hangs cannot occupy all workers, and the backlog stays in the table.
"""

import time
from collections.abc import Set
from dataclasses import dataclass, field

from guestbook.lib import retry_policy

FIRST_SIZE = 8  # rows
LARGEST_SIZE = 512
SIZE_WHEN_FAILING = 2
SIZE_WHEN_UNREACHABLE = 1
SLOW_GROWTH = 1 / 8  # of a row, for each that is done, once rows have come back from such a size
REFILL_WITHIN = 0.5  # seconds
HALVE_INTERVAL = 2.0  # seconds at least between two times that the size is halved


@dataclass(slots=True)
class Window:
    """The rows of one webhook or source that are in flight."""

    size: float = FIRST_SIZE
    in_flight: set[str] = field(default_factory=set)
    refill_at: float = 0.0  # on the monotonic clock; before that only a half-empty one is filled
    _too_large: float = LARGEST_SIZE  # from such a size rows have come back
    _halve_at: float = 0.0  # on the monotonic clock

    def keep(self, still: Set[str], given_back: Set[str] = frozenset()) -> None:
        """Forget the rows that are not in flight any more, and learn from them how many there may be."""
        done = len(self.in_flight - still - given_back)
        if given_back & self.in_flight and time.monotonic() >= self._halve_at:
            self._halve_at = time.monotonic() + HALVE_INTERVAL
            self.size = self._too_large = max(FIRST_SIZE, self.size / 2)
        self.in_flight &= still
        growth = done if self.size < self._too_large else done * SLOW_GROWTH
        self.size = min(self.size + growth, LARGEST_SIZE)

    def room(self, failures: int) -> int:
        """Return how many more rows may be published; `failures` is how often it failed in a row.

        While more wait than fit, it is filled when it is half empty, so that messages have many rows, but
        not late: rows of a worker that died may stay in flight for minutes.
        """
        if failures:
            unreachable = failures >= retry_policy.PAUSE_AFTER
            self.size = SIZE_WHEN_UNREACHABLE if unreachable else SIZE_WHEN_FAILING
        room = max(0, int(self.size) - len(self.in_flight))
        return 0 if room < self.size // 2 and time.monotonic() < self.refill_at else room

    def note_claim(self, *, is_full: bool) -> None:
        """Note whether a claim has found as many rows as it asked for."""
        self.refill_at = time.monotonic() + REFILL_WITHIN if is_full else 0.0
