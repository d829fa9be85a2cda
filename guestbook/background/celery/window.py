"""How many rows of one webhook or source may be at the broker or with a worker at once.

    due rows ── claim ──▶ [ in flight, at most `size` rows ] ── message ──▶ broker ──▶ worker

`size` starts small, grows by one for each row that gets done, and drops to 2 when the webhook fails, or to 1
when it is unreachable. So a receiver that hangs cannot occupy all workers, and the backlog stays in the
table.
"""

from dataclasses import dataclass, field

from guestbook.lib import retry_policy

FIRST_SIZE = 8  # rows
LARGEST_SIZE = 512
SIZE_WHEN_FAILING = 2
SIZE_WHEN_UNREACHABLE = 1


@dataclass(slots=True)
class Window:
    """The rows of one webhook or source that are in flight."""

    size: int = FIRST_SIZE
    in_flight: set[str] = field(default_factory=set)

    def keep(self, still: set[str]) -> None:
        """Forget the rows that are not in flight any more, and grow by as many."""
        done = len(self.in_flight - still)
        self.in_flight &= still
        self.size = min(self.size + done, LARGEST_SIZE)

    def room(self, failures: int) -> int:
        """Return how many more rows may be published; `failures` is how often it failed in a row."""
        if failures:
            unreachable = failures >= retry_policy.PAUSE_AFTER
            self.size = SIZE_WHEN_UNREACHABLE if unreachable else SIZE_WHEN_FAILING
        return max(0, self.size - len(self.in_flight))
