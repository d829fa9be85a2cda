"""The figures of a pass over the outbox."""

from collections import Counter
from dataclasses import dataclass, field

from guestbook.outbound.tasks import Outcome


@dataclass(slots=True)
class Tally:
    """What a pass has done, and what its owner must read."""

    processed: int = 0
    retried: int = 0
    late: int = 0  # outcomes that came after another pass had taken over the lease
    given_up: Counter[tuple[str, str]] = field(default_factory=Counter)  # by the webhook's name and id
    disabled: list[str] = field(default_factory=list)
    local_error: str | None = None  # of our machine or proxy; it ended the pass
    host_limit: str | None = None  # of this host; at the end a sentence, if it only made the pass slower
    recorded: list[tuple[Outcome, str]] = field(default_factory=list)  # of a tick, with the result in words
    # Of a tick, by webhook, outcome and bound, as in the table `attempt_counts`.
    attempts: Counter[tuple[str, str, int]] = field(default_factory=Counter)
    milliseconds: Counter[tuple[str, str, int]] = field(default_factory=Counter)

    @property
    def failed(self) -> int:
        """Return how many deliveries were given up."""
        return self.given_up.total()

    def add(self, other: "Tally") -> None:
        """Add the figures of a tick."""
        self.processed += other.processed
        self.retried += other.retried
        self.late += other.late
        self.given_up += other.given_up
        self.disabled += other.disabled
        self.local_error = self.local_error or other.local_error
        self.host_limit = self.host_limit or other.host_limit
