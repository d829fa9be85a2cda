"""Time in tests: a busy machine makes all of it longer, and nothing shorter."""

from collections.abc import Callable

TRIES = 5


def quickest(seconds: Callable[[], float], enough: float) -> float:
    """Measure until one is short enough, a few times at most; return the shortest."""
    shortest = seconds()
    for _ in range(TRIES - 1):
        if shortest < enough:
            break
        shortest = min(shortest, seconds())
    return shortest
