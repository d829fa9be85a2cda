"""Something that happens over and over while the bench does other things."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager


@contextmanager
def repeating(action: Callable[[], object], pause: Callable[[], float]) -> Iterator[None]:
    """Repeat the action in a thread until the block ends; `pause` returns the seconds until the next one."""
    is_over = threading.Event()

    def repeat() -> None:
        action()
        while not is_over.wait(pause()):
            action()

    with ThreadPoolExecutor(1) as thread:
        future = thread.submit(repeat)
        try:
            yield
        finally:
            is_over.set()
        future.result()  # raises what the action raised
