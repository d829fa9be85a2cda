"""The writers of one process queue."""

import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from guestbook.lib import locks
from guestbook.lib.locks import FairLock
from tests.support.processes import wait_for


def test_whoever_came_first_is_served_first() -> None:
    lock, served = FairLock(), []

    def write(number: int) -> None:
        lock.acquire(10)
        served.append(number)
        lock.release()

    def has_more_than(count: int) -> bool:
        return len(lock._waiting) > count

    lock.acquire(1)
    threads = [threading.Thread(target=write, args=(number,)) for number in range(20)]
    for number, thread in enumerate(threads):
        thread.start()
        wait_for(partial(has_more_than, number))
    lock.release()
    for thread in threads:
        thread.join(10)
    assert served == list(range(20))


def test_a_turn_that_does_not_come_ends_in_a_timeout_and_leaves_the_queue() -> None:
    lock = FairLock()
    lock.acquire(1)
    with pytest.raises(TimeoutError):
        lock.acquire(0.01)
    lock.release()
    lock.acquire(0.01)  # nobody is ahead
    lock.release()


def test_two_never_have_the_turn_at_once() -> None:
    lock, inside, most = FairLock(), [0], [0]

    def write() -> None:
        for _ in range(300):
            lock.acquire(10)
            inside[0] += 1
            most[0] = max(most[0], inside[0])
            inside[0] -= 1
            lock.release()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: write(), range(8)))
    assert most == [1]
    assert inside == [0]


def test_only_so_many_wait_at_once_while_the_turn_is_stuck(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "BRIEF", 0.05)
    one, left = FairLock(), []

    def write() -> None:
        try:
            one.acquire(10, at_once=4)
            one.release()
        except TimeoutError:
            left.append(1)

    one.acquire(1)
    threads = [threading.Thread(target=write) for _ in range(8)]
    for thread in threads:
        thread.start()
    wait_for(lambda: len(left) == 5)  # of four, one has the lock and three wait for it
    assert len(one._waiting) == 3
    with pytest.raises(TimeoutError):
        one.acquire(10, at_once=4)  # the holder is stuck by now, so nobody waits in vain
    one.release(in_vain=True)
    for thread in threads:
        thread.join(10)
    assert len(left) == 5
