"""A counter of a stretch of time lets so many through, and forgets."""

from guestbook.lib import rate_counters
from guestbook.lib.rate_counters import WindowCounter


def test_so_many_are_let_through_and_then_none_until_the_stretch_ends() -> None:
    counter = WindowCounter(2, 60)
    assert counter.take("one", 100) == (1, 60)
    assert counter.take("one", 110) == (0, 50)
    assert counter.take("one", 120) == (-1, 40)
    assert counter.take("one", 159.5) == (-1, 0.5)
    assert counter.take("one", 160) == (1, 60)


def test_names_are_counted_apart_and_forgotten_when_there_are_many() -> None:
    counter = WindowCounter(1, 60)
    assert counter.take("one", 0).left == counter.take("two", 0).left == 0
    for number in range(rate_counters.MOST_NAMES):
        counter.take(str(number), 100)
    assert len(counter._counts) == rate_counters.MOST_NAMES
    assert counter.take("0", 101).left == -1
