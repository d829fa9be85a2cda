"""The sender threads and the lanes they take work from: one lane per webhook, under one lock.

The threads touch no database. They take tasks straight from the lanes, without a hand-off
through the main thread, and leave what came of them in one list that the main thread collects.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

from guestbook.lib import resource_limits
from guestbook.lib.retry_policy import PAUSE_AFTER
from guestbook.outbound.lane import START_CAP, START_DEPTH, Lane, Result

MOST_QUEUED = 1536  # rows claimed ahead for all webhooks
FIRST_THREADS = 8  # started at once; then twice as many at each look, as long as they help
LOOK = 0.01  # seconds between two looks
FULL = 0.85  # of a core that this process uses, from which on more threads only hand the GIL around
MOST_UNSAVED = 384  # sent and not yet recorded: what a kill can make us send twice


E = TypeVar("E")
R = TypeVar("R", bound=Result)


class WorkerPool(Generic[E, R]):
    """Up to `size` daemon threads that do `work`; at most a quarter of them for one webhook."""

    def __init__(self, work: Callable[[E], R], size: int) -> None:
        self._work = work
        self._wished = size
        self._size = size  # what the host allows of it
        self._lanes: dict[str, Lane[E]] = {}
        self._ready: deque[Lane[E]] = deque()
        self._results: list[R] = []
        self._lock = threading.Lock()
        self._wanted = threading.Condition(self._lock)
        self._finished = threading.Condition(self._lock)
        self._threads = 0
        self._seen = (time.monotonic(), time.process_time())  # when we last looked, and what was used by then
        self._idle = 0
        self._in_flight = 0
        self._queued = 0
        self._still = False
        self._held_back = False
        self._refused = False

    def limit(self, size: int) -> None:
        """Use no more threads than so many."""
        with self._lock:
            self._size = min(self._size, size)
            self._wanted.notify(self._threads)  # those that are too many end

    def shrink(self) -> None:
        """Use half as many threads as now, but one."""
        self.limit(max(1, self._threads // 2))
        with self._lock:
            self._held_back = True

    def load(self, key: str, tasks: Iterable[E], *, unreachable: int) -> None:
        """Put claimed work into a lane; one that had to be paused is probed with a single request."""
        with self._lock:
            lane = self._lanes.get(key) or self._open(key, unreachable)
            if lane.held and lane.told:  # its pause is over: one request probes it
                lane.held, lane.cap, lane.unreachable = False, 1, min(unreachable, PAUSE_AFTER - 1)
            before = len(lane.tasks)
            lane.tasks.extend(tasks)
            self._queued += len(lane.tasks) - before
            self._offer(lane)
            self._call_threads()
            self._wanted.notify(min(self._queued, self._size))

    def rooms(self, keys: Iterable[str]) -> dict[str, int]:
        """Return for each lane how many rows to claim; new lanes start small."""
        with self._lock:
            spare = MOST_QUEUED - self._queued
            rooms = {}
            for key in keys:
                lane = self._lanes.get(key)
                rooms[key] = min(lane.room() if lane else START_DEPTH, max(spare, 0))
                spare -= rooms[key]
            return rooms

    @contextmanager
    def still(self) -> Iterator[None]:
        """Start nothing meanwhile: a transaction among busy threads waits for the GIL, holding its lock."""
        with self._lock:
            self._still = True
        try:
            yield
        finally:
            with self._lock:
                self._still = False
                self._wanted.notify(min(self._queued, self._size))

    def collect(self) -> list[R]:
        """Take the results so far."""
        with self._lock:
            results, self._results = self._results, []
            for lane in self._lanes.values():
                lane.told = lane.held
            if len(results) + self._in_flight >= MOST_UNSAVED:
                self._wanted.notify(self._size)
            self._call_threads()
            return results

    def hold_all_but(self, keys: Iterable[str]) -> None:
        """Start nothing more for other lanes: the database knows why, they are disabled, paused or gone."""
        kept = set(keys)
        with self._lock:
            for key, lane in self._lanes.items():
                if key not in kept:
                    lane.held = lane.told = True

    def change(self, key: str, renew: Callable[[E], E]) -> None:
        """Renew what waits in a lane: its webhook has another URL, secret or header now."""
        with self._lock:
            if lane := self._lanes.get(key):
                lane.tasks = deque(map(renew, lane.tasks))

    def take_back(self, *, held_only: bool, only: Callable[[E], bool] = lambda _task: True) -> list[E]:
        """Take out what no thread has started: of the lanes on hold, or of all, and `only` some of it."""
        with self._lock:
            back: list[E] = []
            for lane in self._lanes.values():
                if lane.held or not held_only:
                    back.extend(filter(only, lane.tasks))
                    lane.tasks = deque(task for task in lane.tasks if not only(task))
            self._queued -= len(back)
            return back

    def wait(self, seconds: float) -> None:
        """Wait until there is a result to collect, so many seconds at the most."""
        with self._lock:
            if not self._results:
                self._finished.wait(seconds)

    @property
    def size(self) -> int:
        """How many threads the host allows, of those that were wished for; without any nothing is done."""
        with self._lock:
            return self._size

    @property
    def held_back(self) -> bool:
        """Whether work had to wait for threads that the host does not allow."""
        with self._lock:
            return self._held_back

    @property
    def refused(self) -> bool:
        """Whether a thread could not be started."""
        with self._lock:
            return self._refused

    @property
    def busy(self) -> bool:
        """Whether anything waits, is under way, or is to be collected."""
        with self._lock:
            return bool(self._queued or self._in_flight or self._results)

    @property
    def under_way(self) -> bool:
        """Whether a request is under way or a result is to be collected."""
        with self._lock:
            return bool(self._in_flight or self._results)

    def _open(self, key: str, unreachable: int) -> Lane[E]:
        cap = 1 if unreachable else min(START_CAP, self._most())
        lane = self._lanes[key] = Lane(cap=cap, unreachable=min(unreachable, PAUSE_AFTER - 1))
        return lane

    def _most(self) -> int:
        """Return how many threads one webhook may have at once."""
        return max(1, self._size // 4)

    def _offer(self, lane: Lane[E]) -> None:
        if not lane.ready and lane.may_go():
            lane.ready = True
            self._ready.append(lane)

    def _call_threads(self) -> None:
        """Start some, and more of them while work waits for a thread and not for the processor."""
        missing = self._queued - self._idle
        at_once = FIRST_THREADS - self._threads
        if at_once <= 0:
            at_once = self._threads if missing > 0 and self._may_help() else 0
        wanted = min(missing, at_once, self._wished - self._threads)
        self._held_back |= wanted > self._size - self._threads
        for _ in range(min(wanted, self._size - self._threads)):
            if not resource_limits.start(self._run, f"sender-{self._threads + 1}"):
                self._size = self._threads  # the host allows no more: fewer do the work too
                self._refused = self._held_back = True
                break
            self._threads += 1

    def _may_help(self) -> bool:
        """Whether this process has left something of its core since the last look."""
        now, used = time.monotonic(), time.process_time()
        then, before = self._seen
        if now - then < LOOK:
            return False
        self._seen = (now, used)
        return used - before < FULL * (now - then)

    def _run(self) -> None:
        taken = self._next()
        while taken is not None:
            lane, task = taken
            taken = self._next(lane, self._work(task))

    def _next(self, lane: Lane[E] | None = None, result: R | None = None) -> tuple[Lane[E], E] | None:
        """Hand in a result and take the next task, under the lock once; None ends the thread."""
        with self._lock:
            if lane is not None and result is not None:
                self._hand_in(lane, result)
            while self._threads <= self._size:
                taken = self._take()
                if taken is not None:
                    return taken
                self._idle += 1
                self._wanted.wait()
                self._idle -= 1
            self._threads -= 1
            self._wanted.notify()  # what woke this one may have been meant for work
            return None

    def _hand_in(self, lane: Lane[E], result: R) -> None:
        self._results.append(result)
        lane.note(result, self._most())
        self._in_flight -= 1
        if result.limit:  # one request fewer at once: what was not sent is tried again with that
            self._size = min(self._size, self._threads) - 1
            self._held_back = True
        if len(self._results) == 1:
            self._finished.notify()
        self._offer(lane)

    def _take(self) -> tuple[Lane[E], E] | None:
        if self._still or self._in_flight + len(self._results) >= MOST_UNSAVED:
            return None
        while self._ready:
            lane = self._ready.popleft()
            lane.ready = False
            if lane.may_go():
                task = lane.tasks.popleft()
                lane.in_flight += 1
                self._in_flight += 1
                self._queued -= 1
                self._offer(lane)
                if self._ready and self._idle:
                    self._wanted.notify()  # one wakes the next, as long as there is work
                return lane, task
        return None
