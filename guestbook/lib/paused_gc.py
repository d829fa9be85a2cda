"""Python's garbage collector, paused while the program starts."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def paused_gc() -> Iterator[None]:
    """Collect no garbage meanwhile: a start leaves almost none, and the search takes an eighth of its time.

    Objects that the first start of a process makes stay to the end, so later searches pass them by.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        if not gc.get_freeze_count():
            gc.freeze()
        gc.enable()
