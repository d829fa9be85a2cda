"""A lane: the work that waits for one webhook, and how much of it may be under way at once."""

from collections import deque
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from guestbook.lib.retry_policy import PAUSE_AFTER

START_CAP = 2  # requests at once to a webhook that has shown nothing yet; each success allows one more
START_DEPTH = 16  # rows claimed ahead for such a webhook
MOST_DEPTH = 384


class Result(Protocol):
    """What a lane has to know of an attempt."""

    unreachable: bool
    limit: str | None  # of this host, which was met

    @property
    def ok(self) -> bool:
        """Whether the receiver has it."""

    @property
    def hold(self) -> bool:
        """Whether the receiver asked to be left alone."""


E = TypeVar("E")


@dataclass(slots=True, eq=False)
class Lane(Generic[E]):
    """The work that waits for one webhook, and how much of it may be under way at once."""

    tasks: deque[E] = field(default_factory=deque)
    cap: int = START_CAP
    in_flight: int = 0
    unreachable: int = 0
    held: bool = False
    told: bool = False  # whether what put it on hold was collected, so that the database knows of it
    ready: bool = False
    done: int = 0  # since the last look at its depth
    depth: int = START_DEPTH

    def may_go(self) -> bool:
        """Whether a thread may take a task from here now."""
        return bool(self.tasks) and self.in_flight < self.cap and not self.held

    def note(self, result: Result, most: int) -> None:
        """Learn from a result before the database does: a bad lane must not cost a second time-out."""
        self.in_flight -= 1
        if result.limit:
            return
        self.done += 1
        if result.ok:
            self.cap, self.unreachable = min(self.cap + 1, most), 0
        else:
            self.cap = 1
            self.unreachable = self.unreachable + 1 if result.unreachable else 0
        if result.hold or self.unreachable >= PAUSE_AFTER:
            self.held, self.told = True, False

    def room(self) -> int:
        """Return how many more rows to claim for it: twice what it did since the last look."""
        if self.held and not self.told:
            return 0  # the database would still give some
        self.depth = min(max(2 * self.done + 2 * self.cap, self.depth // 2), MOST_DEPTH)
        self.done = 0
        room = self.depth - len(self.tasks)
        return room if room >= self.depth // 2 else 0
