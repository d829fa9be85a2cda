"""The lanes that have a task to start, and whose turn it is. Webhooks that hang cannot take all threads.

A lane is proven while the last attempt for its webhook was answered in this pass, with success or without. A
request to any other lane may take a whole time-out. So one starts only while fewer threads than these are at
unproven lanes:

    threads   |############ in doubt ############|        unreachable, or a request has no answer yet
              |################# never tried ##################|
              |################## answered in an earlier pass ##################|
              |############################## proven ###############################|
              0                                1/2              3/4            15/16 all

Each lane stands in the list of its kind. A free thread looks at unproven lanes first, the largest part first.
Proven lanes come last, because they may use each thread.

One thread cannot be shared, so its time is: after a request without an answer proven lanes have as long.
"""

import time
from collections import OrderedDict
from typing import Generic

from guestbook.outbound.webhook_concurrency import Lane, Lanes, Result, T


class ReadyLanes(Generic[T]):
    """The ready lanes of a worker pool, used under its lock. To start or end a task takes constant time."""

    def __init__(self) -> None:
        self._answered_before: Lanes[T] = OrderedDict()
        self._untried: Lanes[T] = OrderedDict()
        self._in_doubt: Lanes[T] = OrderedDict()
        self._proven: Lanes[T] = OrderedDict()
        self._unproven = 0  # requests under way to unproven lanes
        # With a single thread, on the monotonic clock:
        self._unproven_since: float | None = None
        self._proven_until = 0.0

    def place(self, lane: Lane[T]) -> None:
        """Put a lane last in the list of its kind, unless it is there; in none if it may start nothing."""
        lanes = self._kind_of(lane) if lane.may_start() else None
        if lanes is not lane.listed_in:
            if lane.listed_in is not None:
                del lane.listed_in[lane]
            if lanes is not None:
                lanes[lane] = None
            lane.listed_in = lanes

    def start(self, threads: int) -> tuple[Lane[T], T] | None:
        """Take a task from the lane whose turn it is, and put the lane behind the others.

        The newest untried lane comes first, so that it does not wait for all that hang before it.
        None when nothing waits, or all that waits has its share of so many threads.
        """
        while (turn := self._turn(threads)) is not None:
            lane, _ = turn.popitem(last=turn is self._untried)
            lane.listed_in = None
            if lane.may_start():  # else it was held, or its tasks were taken back
                task = lane.tasks.popleft()
                lane.in_flight += 1
                self._unproven += not lane.proven
                self._unproven_since = time.monotonic() if threads == 1 and not lane.proven else None
                self.place(lane)
                return lane, task
        return None

    def has_turn(self, threads: int) -> bool:
        """Whether a thread would probably find a task."""
        return self._turn(threads) is not None

    def any_may_start(self) -> bool:
        """Whether a lane has a task that may start once there is a thread."""
        lists = self._answered_before, self._untried, self._in_doubt, self._proven
        return any(lane.may_start() for lanes in lists for lane in lanes)

    def note(self, lane: Lane[T], result: Result, cap_limit: int) -> None:
        """Note a result in its lane. While the lane is unproven, all that is under way to it counts."""
        before = lane.unproven_in_flight
        lane.note(result, cap_limit)
        self._unproven += lane.unproven_in_flight - before
        if self._unproven_since is not None and not lane.proven:
            self._proven_until = 2 * time.monotonic() - self._unproven_since
        self.place(lane)

    def reopen(self, lane: Lane[T], unreachable: int) -> None:
        """End the hold of a lane."""
        before = lane.unproven_in_flight
        lane.reopen(unreachable)
        self._unproven += lane.unproven_in_flight - before
        self.place(lane)

    def _kind_of(self, lane: Lane[T]) -> Lanes[T]:
        if lane.proven:
            return self._proven
        if lane.unreachable or lane.in_flight:
            return self._in_doubt
        return self._answered_before if lane.answered_before else self._untried

    def _turn(self, threads: int) -> Lanes[T] | None:
        """Return the list to take the next lane from. Each kind may use one thread, however few there are."""
        if threads == 1 and self._proven and time.monotonic() < self._proven_until:
            return self._proven
        if self._answered_before and self._unproven < max(1, threads - threads // 16):
            return self._answered_before
        if self._untried and self._unproven < max(1, threads - max(1, threads // 4)):
            return self._untried
        if self._in_doubt and self._unproven < max(1, threads // 2):
            return self._in_doubt
        return self._proven or None
