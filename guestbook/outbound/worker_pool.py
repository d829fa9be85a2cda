"""The sender threads, and the lanes of tasks that they work on: one lane per webhook, all under one lock.

    load ──▶ lane of webhook A  ■ ■ ■ ■  3 of 8 in flight ──┐
             lane of webhook B  ■ ■      1 of 1 in flight ──┼──▶ threads: work(task) ──▶ results ──▶ collect
             lane of webhook C  ■ ■ ■    on hold            ×

The main thread loads and collects. The sender threads touch no database. They take tasks straight from the
lanes, in turn, without a hand-off through the main thread. `SingleWorker` does without threads.
First comes one lane, then all lanes that are ready, then the pool.
"""

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Generic, Optional, TypeVar

from guestbook.lib import current_process
from guestbook.lib.retry_policy import PAUSE_AFTER

START_CAP = 2  # requests at once to a webhook without a success yet; each success allows one more
START_WINDOW = 16  # rows claimed ahead for such a webhook
MAX_WINDOW = 384  # rows
MAX_QUEUED = 1536  # rows claimed ahead for all webhooks
KEPT_FOR_PROVEN = MAX_QUEUED // 4  # Lanes that hang leave so much room for the others.
MAX_UNRECORDED = 384  # A kill can make us send so many a second time.
MEASURE_INTERVAL = 0.01  # seconds between two measurements of the core, at least
CORE_IS_FULL = 0.85  # Beyond that share of a core, more threads only wait for Python's global lock.
FIRST_THREADS = 8

T = TypeVar("T")  # a task
R = TypeVar("R")  # its result: an Outcome, or what has the properties that `Lane.note` reads


@dataclass(slots=True, eq=False)
class Lane:
    """The tasks that wait for one webhook, and how many of them may be under way at once."""

    tasks: deque[Any] = field(default_factory=deque)
    cap: int = START_CAP  # requests at once
    in_flight: int = 0
    unreachable: int = 0  # requests in a row that failed to connect or timed out
    answered_before: bool = False  # An attempt was answered in an earlier pass.
    proven: bool = False  # The last attempt in this pass was answered.
    on_hold: bool = False  # Nothing is started.
    hold_is_stored: bool = False  # The database has the reason too, so claims respect it.
    listed_in: Optional["Lanes"] = field(default=None, repr=False)  # the list of `ReadyLanes`
    finished: int = 0  # So many ended since the last claim.
    window: int = START_WINDOW  # rows claimed ahead

    @property
    def unproven_in_flight(self) -> int:
        """How many requests are under way that may take a whole time-out."""
        return 0 if self.proven else self.in_flight

    def may_start(self) -> bool:
        """Whether a thread may take a task from here now."""
        return bool(self.tasks) and self.in_flight < self.cap and not self.on_hold

    def note(self, result: Any, cap_limit: int) -> None:
        """Learn from a result before the database does: a bad webhook must not cost a second time-out."""
        self.in_flight -= 1
        if result.host_limit:
            return  # That says nothing about the webhook.
        self.finished += 1
        self.cap = min(self.cap + 1, cap_limit) if result.ok else 1
        if result.answered:
            self.proven, self.unreachable = True, 0
        elif result.unreachable:
            self.proven, self.unreachable = False, self.unreachable + 1
        if result.holds_lane or self.unreachable >= PAUSE_AFTER:
            self.on_hold, self.hold_is_stored = True, False

    def room(self) -> int:
        """Return how many more rows to claim for this webhook.

        The window follows the webhook's speed: twice what it finished since the last claim, plus twice its
        cap. So a fast webhook does not run dry between two claims, and a slow one keeps few rows leased. The
        window shrinks by half at most, and is filled when half empty, so that each claim is worth its cost.

            finished 100, cap 8:  window 216   |##### 90 wait #####|........ room 126 ........|  claim 126
                                               |########### 150 wait ###########|..room 66....|  claim none
        """
        if self.on_hold and not self.hold_is_stored:
            return 0  # The database does not know of the hold yet.
        self.window = min(max(2 * self.finished + 2 * self.cap, self.window // 2), MAX_WINDOW)
        self.finished = 0
        room = self.window - len(self.tasks)
        return room if room >= self.window // 2 else 0


Lanes = OrderedDict[Lane, None]  # In the order of their turns; any leaves in constant time.


class ReadyLanes:
    """The ready lanes of a worker pool, used under its lock. To start or end a task takes constant time."""

    def __init__(self) -> None:
        self._answered_before: Lanes = OrderedDict()
        self._untried: Lanes = OrderedDict()
        self._in_doubt: Lanes = OrderedDict()
        self._proven: Lanes = OrderedDict()
        self._unproven = 0  # requests under way to unproven lanes
        # With a single thread, on the monotonic clock:
        self._unproven_since: float | None = None
        self._proven_until = 0.0

    def place(self, lane: Lane) -> None:
        """Put a lane last in the list of its kind, unless it is there; in none if it may start nothing."""
        lanes = None
        if lane.may_start():
            first = self._answered_before if lane.answered_before else self._untried
            lanes = self._in_doubt if lane.unreachable or lane.in_flight else first
            lanes = self._proven if lane.proven else lanes
        if lanes is not lane.listed_in:
            if lane.listed_in is not None:
                del lane.listed_in[lane]
            if lanes is not None:
                lanes[lane] = None
            lane.listed_in = lanes

    def start(self, threads: int) -> tuple[Lane, Any] | None:
        """Take a task from the lane whose turn it is, and put the lane behind the others.

        The newest untried lane comes first, so that it does not wait for all that hang before it.
        None when nothing waits, or all that waits has its share of so many threads.
        """
        while (turn := self.turn(threads)) is not None:
            lane, _ = turn.popitem(last=turn is self._untried)
            lane.listed_in = None
            if lane.may_start():  # Else it was held, or its tasks were taken back.
                task = lane.tasks.popleft()
                lane.in_flight += 1
                self._unproven += not lane.proven
                self._unproven_since = time.monotonic() if threads == 1 and not lane.proven else None
                self.place(lane)
                return lane, task
        return None

    def any_may_start(self) -> bool:
        """Whether a lane has a task that may start once there is a thread."""
        lists = self._answered_before, self._untried, self._in_doubt, self._proven
        return any(lane.may_start() for lanes in lists for lane in lanes)

    def note(self, lane: Lane, result: Any, cap_limit: int) -> None:
        """Note a result in its lane. While the lane is unproven, all that is under way to it counts."""
        before = lane.unproven_in_flight
        lane.note(result, cap_limit)
        self._unproven += lane.unproven_in_flight - before
        if self._unproven_since is not None and not lane.proven:
            self._proven_until = 2 * time.monotonic() - self._unproven_since
        self.place(lane)

    def reopen(self, lane: Lane, unreachable: int) -> None:
        """End a hold. A single request probes the webhook, which so many could not reach in a row."""
        before = lane.unproven_in_flight
        lane.on_hold, lane.cap = False, 1
        lane.unreachable = min(unreachable, PAUSE_AFTER - 1)
        lane.proven = lane.proven and not unreachable
        self._unproven += lane.unproven_in_flight - before
        self.place(lane)

    def turn(self, threads: int) -> Lanes | None:
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


class WorkerPool(Generic[T, R]):
    """Up to `size` daemon threads that do `work`; at most a quarter of them for one webhook.

    `ReadyLanes` tells how many of them are for all webhooks together that may hang.
    """

    def __init__(self, work: Callable[[T], R], size: int, unrecorded: int = MAX_UNRECORDED) -> None:
        self._work = work
        self._most_unrecorded = self._full_at = unrecorded
        self.most_claimed = MAX_QUEUED
        self._wished = self.size = size  # `size` may become less: the host allows so many.
        self.threads = 0  # So many run.
        self.was_short = False  # Tasks had to wait for threads that the host does not allow.
        self.was_refused = False  # The host refused to start a thread.
        self._lanes: dict[str, Lane] = {}
        self._ready = ReadyLanes()  # They have a task to start.
        self._results: list[R] = []
        self._lock = threading.Lock()
        self._has_work = threading.Condition(self._lock)
        self._has_results = threading.Condition(self._lock)
        self._measured = time.monotonic(), time.process_time()
        self._idle = self._in_flight = self._queued = 0
        self._is_still = False

    def limit(self, size: int) -> None:
        """Use no more threads than that."""
        with self._lock:
            self.size = min(self.size, size)
            self._has_work.notify(self.threads)  # Surplus threads end.

    def limit_ticks(self, rows: int | None) -> None:
        """Let a tick record and claim so many rows at most; None: as many as there may be."""
        with self._lock:
            self.most_claimed, before = rows or MAX_QUEUED, self._full_at
            # With as few as there are threads, each answer would make a tick.
            self._full_at = min(max(self.most_claimed, 2 * self.threads), self._most_unrecorded)
            if self._full_at > before:
                self._has_work.notify(self.size)

    def load(self, key: str, tasks: Iterable[T], unreachable: int = 0, answered_before: bool = False) -> None:
        """Put claimed tasks into a lane. The rest is what the database knows of its webhook."""
        with self._lock:
            lane = self._lanes.get(key)
            if lane is None:
                # It sends little until the first success, or a single probe if unreachable.
                cap = 1 if unreachable else min(START_CAP, self._cap_limit())
                lane = Lane(cap=cap, unreachable=min(unreachable, PAUSE_AFTER - 1))
                lane.answered_before, self._lanes[key] = answered_before, lane
            if lane.on_hold and lane.hold_is_stored:  # Tasks were claimed, so the pause is over.
                self._ready.reopen(lane, unreachable)
            before = len(lane.tasks)
            lane.tasks.extend(tasks)
            self._queued += len(lane.tasks) - before
            self._ready.place(lane)
            self._start_threads()
            self._has_work.notify(min(self._queued, self.size))

    def rooms(self, keys: Iterable[str]) -> dict[str, int]:
        """Return how many rows to claim for each lane (`Lane.room`); a new lane starts small.

        Unproven lanes share what KEPT_FOR_PROVEN leaves. One without a task may have a row all the same.
        """
        with self._lock:
            lanes = {key: self._lanes.get(key) for key in keys}
            spare, rooms = max(0, MAX_QUEUED - self._queued), {}
            share = max(0, spare - KEPT_FOR_PROVEN) // max(1, len(lanes))
            for key, lane in lanes.items():
                room = lane.room() if lane else START_WINDOW
                if not (lane and lane.proven):
                    room = min(room, share if lane and lane.tasks else max(1, share))
                rooms[key] = min(room, spare)
                spare -= rooms[key]
            return rooms

    def startable(self, key: str) -> int:
        """Return how many more tasks of a lane a thread could start at once."""
        with self._lock:
            lane = self._lanes.get(key, Lane(cap=min(START_CAP, self._cap_limit())))
            return max(0, lane.cap - lane.in_flight - len(lane.tasks))

    @contextmanager
    def still(self) -> Iterator[None]:
        """Start nothing meanwhile: beside busy threads a transaction would wait for Python's global lock."""
        with self._lock:
            self._is_still = True
        try:
            yield
        finally:
            with self._lock:
                self._is_still = False
                self._has_work.notify(min(self._queued, self.size))

    def collect(self) -> list[R]:
        """Take the results so far, to store them. A hold that they ask for is stored with them."""
        with self._lock:
            if self._is_full():
                self._has_work.notify(self.size)  # They may go on.
            results, self._results = self._results, []
            for lane in self._lanes.values():
                lane.hold_is_stored = lane.on_hold
            self._start_threads()
            return results

    def hold_all_but(self, keys: Iterable[str]) -> None:
        """Start nothing more in other lanes: the database has them as disabled, paused or deleted."""
        with self._lock:
            for key in self._lanes.keys() - keys:
                self._lanes[key].on_hold = self._lanes[key].hold_is_stored = True

    def change(self, key: str, renew: Callable[[T], T]) -> None:
        """Renew the tasks that wait in a lane: its webhook has another URL, secret or header now."""
        with self._lock:
            if lane := self._lanes.get(key):
                lane.tasks = deque(map(renew, lane.tasks))

    def take_back(
        self, only: Callable[[T], bool] = lambda _task: True, *, on_hold_only: bool = False
    ) -> list[T]:
        """Remove and return tasks that no thread has started."""
        with self._lock:
            back: list[T] = []
            for lane in self._lanes.values():
                if lane.on_hold or not on_hold_only:
                    back.extend(filter(only, lane.tasks))
                    lane.tasks = deque(task for task in lane.tasks if not only(task))
            self._queued -= len(back)
            return back

    def wait(self, seconds: float) -> None:
        """Wait for a result to collect, for so many seconds at most."""
        with self._lock:
            self._has_results.wait_for(lambda: self._results, seconds)

    def wait_while_sending(self, seconds: float) -> None:
        """Wait for so many seconds, but no longer than the threads can send without another tick."""
        with self._lock:
            self._has_results.wait_for(
                lambda: self._is_full() or not (self._in_flight or self._ready.any_may_start()), seconds
            )

    @property
    def busy(self) -> bool:
        """Whether anything waits, is under way, or is to be collected."""
        with self._lock:
            return bool(self._queued or self._in_flight or self._results)

    @property
    def waiting(self) -> int:
        """Return how many tasks no thread has started."""
        return self._queued  # One number, which is old at once in any case.

    @property
    def under_way(self) -> bool:
        """Whether a request is under way or a result is to be collected."""
        with self._lock:
            return bool(self._in_flight or self._results)

    def _is_full(self) -> bool:  # Outcomes must be recorded before more may start.
        return self._in_flight + len(self._results) >= self._full_at

    def _cap_limit(self) -> int:
        return max(1, self.size // 4)  # One webhook may have so many threads at once.

    def _start_threads(self) -> None:
        """Start the first threads, then twice as many at each look while that helps and the host allows it.

        It helps while tasks wait for a thread and the process does not fill its core. Receivers that answer
        at once keep 8 threads busy; slow ones get all threads within some hundredths of a second.

            threads:  8 ──▶ 16 ──▶ 32 ──▶ …      at each arrow: do tasks wait, and is the core below 85 %?
        """
        missing, wanted = self._queued - self._idle, FIRST_THREADS - self.threads
        if wanted <= 0:
            wanted = self.threads if missing > 0 and self._core_has_room() else 0
        wanted = min(wanted, missing, self._wished - self.threads)
        self.was_short |= wanted > self.size - self.threads
        for _ in range(min(wanted, self.size - self.threads)):
            if not current_process.start_thread(self._run, f"sender-{self.threads + 1}"):
                self.size = self.threads  # Fewer threads do the work too.
                self.was_refused = self.was_short = True
                break
            self.threads += 1

    def _core_has_room(self) -> bool:
        """Whether the process left some of its core unused since the last measurement."""
        now, used = time.monotonic(), time.process_time()
        measured_at, used_then = self._measured
        if now - measured_at < MEASURE_INTERVAL:
            return False  # It is too soon to say.
        self._measured = now, used
        return used - used_then < CORE_IS_FULL * (now - measured_at)

    def _run(self) -> None:
        taken = self._next()
        while taken is not None:
            lane, task = taken
            taken = self._next(lane, self._work(task))

    def _next(self, lane: Lane | None = None, result: R | None = None) -> tuple[Lane, Any] | None:
        """Hand in a result and take the next task, with one use of the lock; None ends the thread."""
        with self._lock:
            if lane is not None and result is not None:
                self._hand_in(lane, result)
            while self.threads <= self.size:
                taken = self._take()
                if taken is not None:
                    return taken
                self._idle += 1
                self._has_work.wait()
                self._idle -= 1
            self.threads -= 1
            self._has_work.notify()  # This thread may have been woken for a task.
            return None  # The host allows fewer threads than run.

    def _hand_in(self, lane: Lane, result: Any) -> None:
        self._results.append(result)
        self._ready.note(lane, result, self._cap_limit())
        self._in_flight -= 1
        if result.host_limit:  # One thread fewer tries it again.
            self.size = min(self.size, self.threads) - 1
            self.was_short = True
        if len(self._results) == 1 or not self._in_flight or self._is_full():
            self._has_results.notify()

    def _take(self) -> tuple[Lane, Any] | None:
        """Take the next task, if one may start."""
        if self._is_still or self._is_full():
            return None  # A transaction is under way, or comes first.
        taken = self._ready.start(self.size)
        if taken is not None:
            self._in_flight += 1
            self._queued -= 1
            if self._idle and self._ready.turn(self.size):
                self._has_work.notify()  # One thread wakes the next while there is work.
            if self._is_full():
                self._has_results.notify()
        return taken


class SingleWorker(WorkerPool[T, R]):
    """Does one task after the other in the thread that calls `wait`."""

    def __init__(self, work: Callable[[T], R]) -> None:
        super().__init__(work, 1)
        self.threads = 1  # It is the caller's.

    def wait(self, seconds: float) -> None:
        """Do a task if there is one, and begin others for so many seconds."""
        end = time.monotonic() + seconds
        with self._lock:
            taken = self._take()
        while taken:
            lane, task = taken
            result = self._work(task)
            with self._lock:
                self._hand_in(lane, result)
                taken = self._take() if self.size and time.monotonic() < end else None

    @property
    def under_way(self) -> bool:
        """Whether a result is to be collected. A task that an exception ended is not waited for."""
        return bool(self._results)

    def wait_while_sending(self, seconds: float) -> None:
        """Begin tasks for so many seconds: nobody else sends them."""
        self.wait(seconds)

    def _start_threads(self) -> None:
        """Start none."""
