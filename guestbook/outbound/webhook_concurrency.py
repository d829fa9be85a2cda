"""A lane: the tasks that wait for one webhook, and how many of them may be under way at once."""

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import Generic, Optional, Protocol, TypeVar

from guestbook.lib.retry_policy import PAUSE_AFTER

START_CAP = 2  # requests at once to a webhook without a success yet; each success allows one more
START_WINDOW = 16  # rows claimed ahead for such a webhook
MAX_WINDOW = 384  # rows


class Result(Protocol):
    """What a lane needs to know of an attempt."""

    unreachable: bool
    host_limit: str | None  # the limit of this host that stopped the request

    @property
    def ok(self) -> bool:
        """Whether the receiver has the delivery."""

    @property
    def answered(self) -> bool:
        """Whether the receiver answered, with success or without."""

    @property
    def holds_lane(self) -> bool:
        """Whether the webhook's other tasks must wait."""


T = TypeVar("T")


@dataclass(slots=True, eq=False)
class Lane(Generic[T]):
    """The tasks that wait for one webhook, and how many of them may be under way at once."""

    tasks: deque[T] = field(default_factory=deque)
    cap: int = START_CAP  # requests at once
    in_flight: int = 0
    unreachable: int = 0  # requests in a row that failed to connect or timed out
    answered_before: bool = False  # an attempt was answered in an earlier pass
    proven: bool = False  # the last attempt was answered in this pass, so the next will probably not hang
    on_hold: bool = False  # nothing is started
    hold_is_stored: bool = False  # the database has the reason too, so that claims respect it
    listed_in: Optional["Lanes[T]"] = field(default=None, repr=False)  # the list of `ready_lanes`
    finished: int = 0  # since the last claim
    window: int = START_WINDOW  # rows claimed ahead

    @classmethod
    def opened(cls, cap_limit: int, unreachable: int, answered_before: bool) -> "Lane[T]":
        """Return a new lane. It sends little until the first success, or a single probe if unreachable."""
        cap = 1 if unreachable else min(START_CAP, cap_limit)
        return cls(cap=cap, unreachable=min(unreachable, PAUSE_AFTER - 1), answered_before=answered_before)

    @property
    def unproven_in_flight(self) -> int:
        """How many requests are under way that may take a whole time-out."""
        return 0 if self.proven else self.in_flight

    def may_start(self) -> bool:
        """Whether a thread may take a task from here now."""
        return bool(self.tasks) and self.in_flight < self.cap and not self.on_hold

    def note(self, result: Result, cap_limit: int) -> None:
        """Learn from a result before the database does: a bad webhook must not cost a second time-out."""
        self.in_flight -= 1
        if result.host_limit:
            return  # this host stopped the request, which says nothing about the webhook
        self.finished += 1
        self.cap = min(self.cap + 1, cap_limit) if result.ok else 1
        if result.answered:
            self.proven, self.unreachable = True, 0
        elif result.unreachable:
            self.proven, self.unreachable = False, self.unreachable + 1
        if result.holds_lane or self.unreachable >= PAUSE_AFTER:
            self.on_hold, self.hold_is_stored = True, False

    def reopen(self, unreachable: int) -> None:
        """End the hold. A single request probes the webhook, which so many could not reach in a row."""
        self.on_hold, self.cap = False, 1
        self.unreachable = min(unreachable, PAUSE_AFTER - 1)
        self.proven = self.proven and not unreachable

    def room(self) -> int:
        """Return how many more rows to claim for this webhook.

        The window follows the webhook's speed: twice what it finished since the last claim, plus twice its
        cap. So a fast webhook does not run dry between two claims, and a slow one keeps few rows leased. The
        window shrinks by half at most, and is filled when half empty, so that each claim is worth its cost.

            finished 100, cap 8:  window 216   |##### 90 wait #####|........ room 126 ........|  claim 126
                                               |########### 150 wait ###########|..room 66....|  claim none
        """
        if self.on_hold and not self.hold_is_stored:
            return 0  # a claim would still find rows: the database does not know of the hold yet
        self.window = min(max(2 * self.finished + 2 * self.cap, self.window // 2), MAX_WINDOW)
        self.finished = 0
        room = self.window - len(self.tasks)
        return room if room >= self.window // 2 else 0


Lanes = OrderedDict[Lane[T], None]  # in the order of their turns; any of them leaves in constant time
