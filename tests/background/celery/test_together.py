"""Threads that ask together get their own answers, and no thread waits for ever."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from guestbook.background.celery.group_commit import Together

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


def test_each_gets_its_own_answer_or_error() -> None:
    together: Together[int, int] = Together(halves)
    answers = all_of(together.ask, 40)
    assert answers[::2] == list(range(20))
    assert [str(error) for error in answers[1::2]] == [str(number) for number in range(1, 40, 2)]
    assert all(isinstance(error, ValueError) for error in answers[1::2])


def test_those_who_come_while_one_is_served_are_served_at_once_and_together() -> None:
    first, go_on, sizes = threading.Event(), threading.Event(), []

    def do(numbers: Sequence[int]) -> list[int]:
        sizes.append(len(numbers))
        first.set()
        assert go_on.wait(SECONDS)
        return list(numbers)

    together: Together[int, int] = Together(do)
    with ThreadPoolExecutor(9) as pool:
        one = pool.submit(together.ask, 0)
        assert first.wait(SECONDS)
        others = [pool.submit(together.ask, number) for number in range(1, 9)]
        while len(together._waiting) < 8:
            pass
        go_on.set()
        assert [future.result(SECONDS) for future in [one, *others]] == list(range(9))
    assert sizes == [1, 8]


def test_what_breaks_all_is_told_to_all_and_the_next_are_served_again() -> None:
    broken = True

    def do(numbers: Sequence[int]) -> list[int]:
        if broken:
            raise OSError("away")
        return list(numbers)

    together: Together[int, int] = Together(do)
    assert all(isinstance(answer, OSError) for answer in all_of(together.ask, 20))
    broken = False
    assert all_of(together.ask, 20) == list(range(20))


def test_many_rounds_of_many_threads_end() -> None:
    together: Together[int, int] = Together(list)

    def often(number: int) -> int:
        for turn in range(20):
            assert together.ask(100 * number + turn) == 100 * number + turn
        return number

    assert all_of(often, 16) == list(range(16))


@pytest.mark.parametrize("count", [1, 3])
def test_nobody_leads_when_nobody_waits(count: int) -> None:
    together: Together[int, int] = Together(list)
    all_of(together.ask, count)
    assert not together._is_led
    assert together._waiting == []
