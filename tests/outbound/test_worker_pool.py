"""The worker pool: a cap for each lane, fairness among lanes, and nothing starts in a lane on hold."""

import random
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import pytest

from guestbook.outbound.worker_pool import (
    FIRST_THREADS,
    KEPT_FOR_PROVEN,
    MAX_QUEUED,
    MAX_UNRECORDED,
    MEASURE_INTERVAL,
    START_CAP,
    START_WINDOW,
    Lane,
    ReadyLanes,
    SingleWorker,
    WorkerPool,
)
from tests.support.processes import wait_for

SIZE = 32
MOST = SIZE // 4


@dataclass
class Result:
    """The result of a task."""

    task: str
    ok: bool = True
    holds_lane: bool = False
    unreachable: bool = False
    host_limit: str | None = None
    is_sent: bool = True

    @property
    def answered(self) -> bool:
        """Whether the receiver answered."""
        return self.is_sent and not self.unreachable


OK = Result("")
FAILED = Result("", ok=False)
HOLD = Result("", ok=False, holds_lane=True)
UNREACHABLE = Result("", ok=False, unreachable=True)
NOT_SENT = Result("", ok=False, is_sent=False)


@dataclass
class Work:
    """Tasks are names; those that begin with `slow` wait for `go`, those with `first` for `first`."""

    started: list[str] = field(default_factory=list)
    under_way: Counter[str] = field(default_factory=Counter)
    most: Counter[str] = field(default_factory=Counter)
    results: dict[str, Result] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    go: threading.Event = field(default_factory=threading.Event)
    first: threading.Event = field(default_factory=threading.Event)

    def __call__(self, task: str) -> Result:
        lane = task.rpartition("-")[0]
        with self.lock:
            self.started.append(task)
            self.under_way[lane] += 1
            self.most[lane] = max(self.most[lane], self.under_way[lane])
        if task.startswith(("slow", "first")):
            (self.go if task.startswith("slow") else self.first).wait(20)
        with self.lock:
            self.under_way[lane] -= 1
        return replace(self.results.get(lane, OK), task=task)


@pytest.fixture
def work() -> Iterator[Work]:
    work = Work()
    yield work
    work.go.set()
    work.first.set()


@pytest.fixture
def pool(work: Work) -> WorkerPool[str, Result]:
    return WorkerPool(work, SIZE)


def names(lane: str, count: int) -> list[str]:
    return [f"{lane}-{number}" for number in range(count)]


def collect(pool: WorkerPool[str, Result], count: int) -> list[Result]:
    """Collect until there are so many results."""
    results: list[Result] = []

    def enough() -> bool:
        pool.wait(0.05)
        results.extend(pool.collect())
        return len(results) >= count

    wait_for(enough)
    return results


def stays(count: Callable[[], int], value: int) -> None:
    """Assert that a number reaches this value and stays there."""
    wait_for(lambda: count() >= value)
    time.sleep(0.05)
    assert count() == value


def test_a_new_lane_starts_with_two_at_once(pool: WorkerPool[str, Result], work: Work) -> None:
    pool.load("slow", names("slow", 10))
    stays(lambda: work.under_way["slow"], START_CAP)


def test_a_short_lane_is_not_kept_waiting_by_a_long_one(work: Work) -> None:
    pool = WorkerPool(work, 1)  # one thread, so that the order is certain
    with pool.still():
        pool.load("long", names("long", 300))
        pool.load("short", names("short", 5))
    collect(pool, 305)
    assert sorted(work.started[:2]) == ["long-0", "short-0"]  # what nobody has tried yet comes first
    assert sorted(work.started[2:4]) == ["long-1", "short-1"]
    assert max(index for index, task in enumerate(work.started) if task.startswith("short")) < 10


# --- many lanes that hang


def test_a_new_lane_need_not_wait_for_all_that_hang_before_it(work: Work) -> None:
    pool: WorkerPool[str, Result] = WorkerPool(work, 4)
    for number in range(3):
        pool.load(f"first{number}", [f"first{number}-0"])
    wait_for(lambda: len(work.started) == 3)
    for number in range(SIZE):
        pool.load(f"slow{number}", [f"slow{number}-0"])
    pool.load("new", ["new-0"])
    stays(lambda: len(work.started), 3)
    work.first.set()
    assert "new-0" in {result.task for result in collect(pool, 4)}


def test_one_thread_gives_the_others_as_much_time_as_what_hung(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    ready: ReadyLanes = ReadyLanes()
    hangs = [Lane(deque(names(f"hangs{number}", 9)), cap=1, unreachable=1) for number in range(2)]
    answers = Lane(deque(names("answers", 9)), proven=True)
    for lane in (*hangs, answers):
        ready.place(lane)

    def send(seconds: float, result: Result) -> str:
        nonlocal now
        started = ready.start(threads=1)
        assert started
        now += seconds
        ready.note(started[0], result, cap_limit=1)
        return started[1]

    assert send(15, UNREACHABLE) == "hangs0-0"
    assert [send(5, OK) for _ in range(3)] == names("answers", 3)
    assert send(10, UNREACHABLE) == "hangs1-0"
    assert [send(9, OK) for _ in range(2)] == names("answers", 5)[3:]
    assert send(15, UNREACHABLE) == "hangs0-1"
    answers.tasks.clear()
    assert send(15, UNREACHABLE) == "hangs1-1", "nobody else needs the time"


def test_what_was_not_sent_says_nothing_about_a_webhook() -> None:
    lane: Lane = Lane(unreachable=3)
    lane.note(NOT_SENT, MOST)
    assert (lane.proven, lane.unreachable) == (False, 3)
    lane.note(FAILED, MOST)
    assert (lane.proven, lane.unreachable) == (True, 0)
    lane.note(NOT_SENT, MOST)
    assert lane.proven
    lane.note(UNREACHABLE, MOST)
    assert (lane.proven, lane.unreachable) == (False, 1)


def test_lanes_that_hang_leave_room_for_rows_of_the_others(pool: WorkerPool[str, Result]) -> None:
    pool.load("a", names("a", 50))
    collect(pool, 50)
    rooms = pool.rooms([f"slow{number}" for number in range(100)])
    assert sum(rooms.values()) <= MAX_QUEUED - KEPT_FOR_PROVEN
    assert len(set(rooms.values())) == 1, "an equal share for each"
    with pool.still():
        for lane, room in rooms.items():
            pool.load(lane, names(lane, room))
        for number in range(KEPT_FOR_PROVEN // 2):
            pool.load(f"more{number}", ["more"])
        rooms = pool.rooms(["slow0", "new", "a"])
    assert (rooms["slow0"], rooms["new"]) == (0, 1)
    assert rooms["a"] > START_WINDOW


# --- holds


def test_what_waits_for_a_lane_on_hold_is_given_back(pool: WorkerPool[str, Result], work: Work) -> None:
    work.results["bad"] = HOLD
    pool.load("bad", names("bad", 10))
    wait_for(lambda: work.started != [] and not work.under_way["bad"])
    back: list[str] = []

    def all_back() -> bool:
        back.extend(pool.take_back(on_hold_only=True))
        return len(back) >= 10 - START_CAP

    wait_for(all_back)
    assert sorted(back + work.started) == names("bad", 10)


def test_a_hold_that_the_database_cannot_know_of_yet_is_not_undone_by_the_next_load(
    pool: WorkerPool[str, Result], work: Work
) -> None:
    work.results["slow"] = HOLD
    pool.load("slow", ["slow-0"])
    wait_for(lambda: work.under_way["slow"] == 1)
    assert pool.collect() == []  # a tick begins, and claims …
    work.go.set()
    wait_for(lambda: pool.under_way and not work.under_way["slow"])
    pool.wait(5)  # … and while its transaction runs the lane is put on hold
    pool.load("slow", ["slow-1", "slow-2"])
    stays(lambda: len(work.started), 1)
    assert pool.rooms(["slow"]) == {"slow": 0}
    assert len(pool.collect()) == 1
    assert pool.take_back(on_hold_only=True) == ["slow-1", "slow-2"]
    pool.load("slow", ["slow-3", "slow-4"])  # its pause is over
    stays(lambda: len(work.started), 2)


def test_nothing_starts_while_a_tick_wants_stillness(pool: WorkerPool[str, Result], work: Work) -> None:
    with pool.still():
        pool.load("a", names("a", 5))
        stays(lambda: len(work.started), 0)
    collect(pool, 5)


def test_what_is_sent_and_not_collected_is_bounded(pool: WorkerPool[str, Result], work: Work) -> None:
    pool.load("a", names("a", 2 * MAX_UNRECORDED))
    stays(lambda: len(work.started), MAX_UNRECORDED)
    assert len(collect(pool, 2 * MAX_UNRECORDED)) == 2 * MAX_UNRECORDED


def test_rooms_are_small_at_first_grow_and_end_at_the_limit(pool: WorkerPool[str, Result]) -> None:
    assert pool.rooms(["a"]) == {"a": START_WINDOW}
    pool.load("a", names("a", 100))
    collect(pool, 100)
    assert pool.rooms(["a"])["a"] >= 2 * 100
    pool.load("slow", names("slow", MAX_QUEUED))
    assert sum(pool.rooms(["a", "b", "slow"]).values()) <= START_CAP


@pytest.mark.parametrize(("of_a_core", "threads"), [(0.1, SIZE), (0.99, FIRST_THREADS)])
def test_threads_are_added_as_long_as_the_processor_is_not_full(
    of_a_core: float, threads: int, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "process_time", lambda: of_a_core * time.monotonic())
    pool: WorkerPool[str, Result] = WorkerPool(work, SIZE)
    for number in range(SIZE):
        pool.load(f"slow{number}", names(f"slow{number}", 2))
    for _ in range(20):
        time.sleep(MEASURE_INTERVAL)
        pool.collect()
    assert pool.threads == threads
    work.go.set()
    while pool.busy:
        pool.wait(1)
        pool.collect()


def test_sixty_four_threads_and_a_restless_main_thread_never_lock_each_other_up() -> None:
    luck = random.Random(5)

    def work(task: str) -> Result:
        fate = luck.random()
        time.sleep(fate / 2000)
        return Result(task, ok=fate > 0.3, holds_lane=fate < 0.02, unreachable=fate < 0.2)

    pool = WorkerPool(work, 64)
    waiting = {f"lane{number}": names(f"lane{number}", 400) for number in range(40)}
    done: Counter[str] = Counter()
    deadline = time.monotonic() + 30
    while sum(map(len, waiting.values())) or pool.busy:
        assert time.monotonic() < deadline, f"{done.total()} of 16000"
        # As a tick does; now and then everything is taken back.
        done.update(result.task for result in pool.collect())
        for task in pool.take_back(on_hold_only=luck.random() < 0.9):
            waiting[task.rpartition("-")[0]].append(task)
        with pool.still():
            for lane, room in pool.rooms([lane for lane, tasks in waiting.items() if tasks]).items():
                pool.load(lane, waiting[lane][:room], unreachable=luck.randrange(7))
                del waiting[lane][:room]
        pool.wait(0.01)
    assert done == Counter(task for number in range(40) for task in names(f"lane{number}", 400))


def test_a_web_server_may_end_its_process_in_the_middle_of_a_request_and_nobody_waits_for_that() -> None:
    def end(_task: str) -> Result:
        raise SystemExit

    pool = SingleWorker[str, Result](end)
    pool.load("a", ["1", "2"])
    with pytest.raises(SystemExit):
        pool.wait(1)
    assert not pool.under_way
    assert pool.take_back() == ["2"]
