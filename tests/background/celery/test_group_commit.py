"""Threads that submit together get their own results, and no thread waits for ever."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from guestbook.background.celery.group_commit import GroupCommit

SECONDS = 20  # for what takes less than one


def halves(numbers: Sequence[int]) -> list[int | Exception]:
    return [number // 2 if number % 2 == 0 else ValueError(str(number)) for number in numbers]


def all_of(work: Callable[[int], object], count: int) -> list[object]:
    """What the calls give or raise, each in a thread of its own."""

    def safely(number: int) -> object:
        try:
            return work(number)
        except Exception as error:
            return error

    with ThreadPoolExecutor(count) as pool:
        return [future.result(SECONDS) for future in [pool.submit(safely, number) for number in range(count)]]


def test_each_gets_its_own_result_or_error() -> None:
    commits: GroupCommit[int, int] = GroupCommit(halves)
    answers = all_of(commits.submit, 40)
    assert answers[::2] == list(range(20))
    assert [str(error) for error in answers[1::2]] == [str(number) for number in range(1, 40, 2)]
    assert all(isinstance(error, ValueError) for error in answers[1::2])


def test_requests_that_come_during_a_commit_share_the_next_one() -> None:
    first, go_on, sizes = threading.Event(), threading.Event(), []

    def do(numbers: Sequence[int]) -> list[int]:
        sizes.append(len(numbers))
        first.set()
        assert go_on.wait(SECONDS)
        return list(numbers)

    commits: GroupCommit[int, int] = GroupCommit(do)
    with ThreadPoolExecutor(9) as pool:
        one = pool.submit(commits.submit, 0)
        assert first.wait(SECONDS)
        others = [pool.submit(commits.submit, number) for number in range(1, 9)]
        while commits.waiting() < 8:
            time.sleep(0.001)
        go_on.set()
        assert [future.result(SECONDS) for future in [one, *others]] == list(range(9))
    assert sizes == [1, 8]


def test_an_error_of_the_commit_reaches_all_and_the_next_commit_works() -> None:
    broken = True

    def do(numbers: Sequence[int]) -> list[int]:
        if broken:
            raise OSError("away")
        return list(numbers)

    commits: GroupCommit[int, int] = GroupCommit(do)
    assert all(isinstance(answer, OSError) for answer in all_of(commits.submit, 20))
    broken = False
    assert all_of(commits.submit, 20) == list(range(20))


def test_many_rounds_of_many_threads_end() -> None:
    commits: GroupCommit[int, int] = GroupCommit(list)

    def often(number: int) -> int:
        for turn in range(20):
            assert commits.submit(100 * number + turn) == 100 * number + turn
        return number

    assert all_of(often, 16) == list(range(16))
