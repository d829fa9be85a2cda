"""This process: what a signal does, when it ends with its parent, its core, its garbage collector."""

import gc
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
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
def flag_set_by(signals: Iterable[int], *, second_ends: bool) -> Iterator[StopFlag]:
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


def end_with_parent() -> None:
    """Send this process SIGTERM when its standard input ends, and only then: until then it is blocked."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    threading.Thread(target=_end_with_stdin, name="parent-watch", daemon=True).start()


def _end_with_stdin() -> None:
    while os.read(sys.stdin.fileno(), 1):
        pass
    # One that the parent or a service manager has sent is still pending. The kernel makes one of them.
    os.kill(os.getpid(), signal.SIGTERM)
    for how in (signal.SIG_UNBLOCK, signal.SIG_BLOCK):
        signal.pthread_sigmask(how, {signal.SIGTERM})


@contextmanager
def one_core() -> Iterator[None]:
    """Keep this thread and those that it starts on one core, if the system can: one that is free."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    with ExitStack() as stack:
        with suppress(OSError):  # some hosts forbid it
            cores = sorted(os.sched_getaffinity(0))
            name = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
            os.sched_setaffinity(0, {_taken(name, cores)})
            stack.callback(_set, cores)
        yield


def _set(cores: list[int]) -> None:
    with suppress(OSError):
        os.sched_setaffinity(0, cores)


def _taken(name: socket.socket, cores: list[int]) -> int:
    """Take a core by binding a name, which the kernel gives to one process at a time and frees when it dies.

    If all are taken, or the system has no such names (unix(7), "abstract"), chance decides.
    """
    first = os.getpid() % len(cores)
    order = cores[first:] + cores[:first]
    return next((core for core in order if _is_free(name, core)), order[0])


def _is_free(name: socket.socket, core: int) -> bool:
    try:
        name.bind(f"\0guestbook.core.{core}")
    except OSError:
        return False
    return True


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
        _freeze_once()
        gc.enable()


@cache
def _freeze_once() -> None:
    gc.freeze()  # asking Python whether that was done takes longer
