"""What a signal may do at any moment: set a flag that says that the process should end, or interrupt it."""

import signal
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread
from types import FrameType


class StopFlag:
    """Set without a lock: that of threading.Event may be held by the code that the handler interrupted."""

    def __init__(self) -> None:
        self._wished = False

    def set(self) -> None:
        """Ask for the end."""
        self._wished = True

    def is_set(self) -> bool:
        """Whether to stop."""
        return self._wished

    def wait(self, seconds: float) -> bool:
        """Sleep so long (a signal does not cut it short, so keep it short); return `is_set`."""
        if not self._wished:
            time.sleep(seconds)
        return self._wished


@contextmanager
def set_by(signals: Iterable[int], *, second_ends: bool) -> Iterator[StopFlag]:
    """Yield a flag that these signals set; with `second_ends` the next one does what it does by default.

    Only the main thread can have handlers. In any other one nothing sets the flag.
    """
    stop = StopFlag()

    def set_flag(number: int, _frame: FrameType | None) -> None:
        if second_ends:
            signal.signal(number, signal.SIG_DFL)
        stop.set()

    with _handled(signals if current_thread() is main_thread() else (), set_flag):
        yield stop


@contextmanager
def interrupted_by(signals: Iterable[int]) -> Iterator[None]:
    """Raise KeyboardInterrupt for each of these signals; one that nohup ignores stays ignored."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    with _handled([one for one in signals if signal.getsignal(one) is not signal.SIG_IGN], interrupt):
        yield


@contextmanager
def _handled(signals: Iterable[int], handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    before = {number: signal.signal(number, handler) for number in signals}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)
