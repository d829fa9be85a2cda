"""The lanes that have a task to start, and whose turn it is. Webhooks that hang cannot take all threads.

A lane is proven while the last attempt for its webhook was answered in this pass, with success or without. A
request to any other may take a whole time-out. So requests to unproven lanes start on a part of the threads:

    threads   |########## unreachable ##########|
              |################# never tried ##################|
              |################## answered in an earlier pass ##################|
              |############################## proven ###############################|
              0                                1/2              3/4            15/16 all

A second request to an unproven lane, beside its first one, may use no more threads than unreachable ones do.

A single thread cannot be shared, so its time is: after a request without an answer, the others have as long.
"""

import time
from collections import deque
from typing import Generic

from guestbook.outbound.webhook_concurrency import Lane, Result, T


class ReadyLanes(Generic[T]):
    """The ready lanes of a worker pool, used under its lock. To start or end a task takes constant time."""

    def __init__(self) -> None:
        self._unproven = 0  # requests under way to unproven lanes
        # With a single thread, on the monotonic clock:
        self._unproven_since: float | None = None
        self._others_until = 0.0
        # Unproven lanes with nothing under way:
        self._answered_before: deque[Lane[T]] = deque()
        self._untried: deque[Lane[T]] = deque()
        self._unreachable: deque[Lane[T]] = deque()
        self._others: deque[Lane[T]] = deque()

    def add(self, lane: Lane[T]) -> None:
        """List a lane, if it may start a task and is not listed."""
        if not lane.is_listed and lane.may_start():
            lane.is_listed = True
            if lane.proven or lane.in_flight:
                self._others.append(lane)
            elif lane.unreachable:
                self._unreachable.append(lane)
            elif lane.answered_before:
                self._answered_before.append(lane)
            else:
                self._untried.append(lane)

    def start(self, threads: int) -> tuple[Lane[T], T] | None:
        """Take a task from the lane whose turn it is, and put the lane behind the others.

        The newest untried lane comes first, so that it does not wait for all that hang before it.
        None when nothing waits, or all that waits has its share of so many threads.
        """
        while (turn := self._turn(threads)) is not None:
            lane = turn.pop() if turn is self._untried else turn.popleft()
            lane.is_listed = False
            if turn is self._others and not lane.proven:
                if not lane.in_flight:
                    self.add(lane)  # to the list where it belongs by now
                    continue
                if self._unproven >= most_unreachable(threads):
                    continue  # its next result lists it again
            if lane.may_start():
                task = lane.tasks.popleft()
                lane.in_flight += 1
                self._unproven += not lane.proven
                self._unproven_since = time.monotonic() if threads == 1 and not lane.proven else None
                self.add(lane)
                return lane, task
        return None

    def has_turn(self, threads: int) -> bool:
        """Whether a thread would probably find a task."""
        return self._turn(threads) is not None

    def any_may_start(self) -> bool:
        """Whether a lane has a task that may start once there is a thread."""
        return any(lane.may_start() for lanes in self._lists for lane in lanes)

    def note(self, lane: Lane[T], result: Result, cap_limit: int) -> None:
        """Note a result in its lane. While the lane is unproven, all that is under way to it counts."""
        self._unproven -= 0 if lane.proven else lane.in_flight
        lane.note(result, cap_limit)
        self._unproven += 0 if lane.proven else lane.in_flight
        if self._unproven_since is not None and not lane.proven:
            self._others_until = 2 * time.monotonic() - self._unproven_since
        self.add(lane)

    def reopen(self, lane: Lane[T], unreachable: int) -> None:
        """End the hold of a lane."""
        self._unproven -= 0 if lane.proven else lane.in_flight
        lane.reopen(unreachable)
        self._unproven += 0 if lane.proven else lane.in_flight

    @property
    def _lists(self) -> tuple[deque[Lane[T]], ...]:
        return self._answered_before, self._untried, self._unreachable, self._others

    def _turn(self, threads: int) -> deque[Lane[T]] | None:
        """Return the list to take the next lane from. Unproven ones come first, on their threads."""
        if threads == 1 and self._others and time.monotonic() < self._others_until:
            return self._others
        if self._answered_before and self._unproven < most_unproven(threads):
            return self._answered_before
        if self._untried and self._unproven < most_untried(threads):
            return self._untried
        if self._unreachable and self._unproven < most_unreachable(threads):
            return self._unreachable
        return self._others or None


def most_unproven(threads: int) -> int:
    """Return on how many of the threads requests to unproven lanes may start."""
    return max(1, threads - threads // 16)


def most_untried(threads: int) -> int:
    """Return how many threads may be so used when the first request to a webhook starts."""
    return max(1, threads - max(1, threads // 4))


def most_unreachable(threads: int) -> int:
    """Return how many threads may be so used when a request to an unreachable webhook starts."""
    return max(1, threads // 2)
