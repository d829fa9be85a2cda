"""This process: what ends it, its core, its garbage, the limits of its host, its threads and their time."""

import errno
import gc
import mmap
import os
import resource
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from datetime import datetime
from functools import cache
from pathlib import Path
from threading import current_thread, main_thread
from types import FrameType
from typing import NamedTuple, Protocol


class StopFlag:
    """Set without a lock: that of threading.Event may be held by the code that the handler interrupted."""

    def __init__(self) -> None:
        self._wished = False
        self._other_reason: Callable[[], bool] = lambda: False
        self.wake: Callable[[], object] = lambda: None  # Called when the flag is set, to end a long wait.

    def set_when(self, reason: Callable[[], bool]) -> None:
        """Ask for the end as soon as this is true, too. It is called often."""
        self._other_reason = reason

    def set(self) -> None:
        """Ask for the end."""
        self._wished = True
        self.wake()

    def is_set(self) -> bool:
        """Whether to stop."""
        if not self._wished and self._other_reason():
            self._wished = True  # Never False here: a handler may have set it since it was read.
        return self._wished

    def wait(self, seconds: float) -> bool:
        """Sleep so long (a signal does not cut it short, so keep it short); return `is_set`."""
        if not self._wished:
            time.sleep(seconds)
        return self.is_set()


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
    caught = [one for one in signals if signal.getsignal(one) is not signal.SIG_IGN]
    with _handled(caught, signal.default_int_handler):
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
def batch_on_one_core() -> Iterator[None]:
    """Keep this thread and those that it starts on one core, if the system can: one that is free.

    As a batch job (SCHED_BATCH in sched(7)) a thread that wakes up does not interrupt one that holds Python's
    global lock, nor a web server.
    A core is taken by binding a name, which the kernel gives to one process at a time and frees when it dies
    (unix(7), "abstract"). If all are taken, or the system has no such names, chance decides.
    """
    with ExitStack() as stack:
        with suppress(OSError, AttributeError):  # some hosts forbid it, and some systems cannot do it
            name = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
            cores = sorted(os.sched_getaffinity(0))
            first = os.getpid() % len(cores)
            for core in cores[first:] + cores[:first]:
                with suppress(OSError):
                    name.bind(f"\0guestbook.core.{core}")
                    first = cores.index(core)
                    break
            os.sched_setaffinity(0, {cores[first]})
            stack.callback(os.sched_setaffinity, 0, cores)
            if os.sched_getscheduler(0) == os.SCHED_OTHER:
                os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
                stack.callback(_end_batch)
        yield


def _end_batch() -> None:
    if (
        os.sched_getscheduler(0) == os.SCHED_BATCH
    ):  # Else an administrator has chosen another policy meanwhile.
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


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


_freeze_once = cache(gc.freeze)  # `gc.get_freeze_count` would count them all at each start.

FILE_LIMIT = "open files (ulimit -n)"
MEMORY_LIMIT = "memory (ulimit -v)"
THREAD_LIMIT = "threads (ulimit -u)"

MIB = 1024 * 1024  # bytes
RESERVED_FILES = 6  # a journal and its folder, temporary files, certificates, a new connection to a server
FILES_PER_THREAD = 3  # a request's socket, what a look-up opens, a connection that waits for its next request
RESERVED_MEMORY = 24 * MIB  # bytes for rows claimed ahead, SQLite's pages and certificates
MEMORY_PER_THREAD = 3 * MIB
STACK = MIB  # bytes; the usual 8 MiB of a thread are too many where memory is limited
ARENAS = 2  # glibc's malloc has eight for each core by default, each 64 MiB of address space
M_ARENA_MAX = -8  # malloc.h
UNLIMITED = 10**9

_starting = threading.Lock()


class Room(NamedTuple):
    """How much fits, and the limit that allows no more, if there is one."""

    threads: int
    connections: int  # the most that may be kept open between two requests
    limit: str | None


def room(threads: int, *, files: int = 0) -> Room:
    """Return how many of these threads fit now, beside so many files that will still be opened."""
    files, memory = _spare_files() - files, _spare_memory()
    by_files, by_memory = files // FILES_PER_THREAD, memory // MEMORY_PER_THREAD
    allowed = max(0, min(threads, by_files, by_memory))
    limit = None if allowed == threads else FILE_LIMIT if by_files <= by_memory else MEMORY_LIMIT
    return Room(allowed, max(0, files - (FILES_PER_THREAD - 1) * allowed), limit)


def files_are_used_up() -> bool:
    """Whether this process can open no two files more."""
    try:
        with Path(os.devnull).open(), Path(os.devnull).open():
            return False
    except OSError as error:
        return error.errno in (errno.EMFILE, errno.ENFILE)


def why_no_thread() -> str:
    """Return the limit for which a thread could not be started just now."""
    return THREAD_LIMIT if _spare_memory() > 0 else MEMORY_LIMIT


def reserve_memory() -> Callable[[], None]:
    """Reserve some memory, so that outcomes can be recorded when there is none left; return what frees it."""
    with suppress(OSError):
        return mmap.mmap(-1, 16 * MIB).close  # address space; nothing of it is in use
    return lambda: None


def start_thread(work: Callable[[], None], name: str) -> bool:
    """Start a daemon thread with a small stack; False when the host allows none."""
    with _starting:
        before = threading.stack_size(STACK)
        try:
            threading.Thread(target=work, daemon=True, name=name).start()
        except (RuntimeError, MemoryError):
            return False
        finally:
            threading.stack_size(before)
    return True


def bound_arenas() -> None:
    """Keep malloc from reserving address space for each thread, where it is glibc's."""
    import ctypes  # here: most processes have no use for it

    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, ARENAS)


def _spare_files() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return UNLIMITED
    for folder in ("/proc/self/fd", "/dev/fd"):
        with suppress(OSError):
            return soft - len(list(Path(folder).iterdir())) - RESERVED_FILES
    return soft - 16 - RESERVED_FILES  # a pass on SQLite has so many open


def _spare_memory() -> int:
    """Return the bytes that both limits leave. Where a process cannot see its size, no limit counts."""
    try:
        pages = [int(word) for word in Path("/proc/self/statm").read_text().split()]
    except OSError:
        return UNLIMITED * MIB
    used = ((resource.RLIMIT_AS, pages[0]), (resource.RLIMIT_DATA, pages[5]))
    size, spare = resource.getpagesize(), UNLIMITED * MIB
    for kind, count in used:
        soft, _ = resource.getrlimit(kind)
        if soft != resource.RLIM_INFINITY:
            spare = min(spare, soft - count * size - RESERVED_MEMORY)
    return spare


LEAST_TURN = 0.05  # seconds that the other work gets at a time, even if ours takes less
MOST_TURN = 1.0  # seconds; the record of a sent delivery may wait so long


class OtherWork(Protocol):
    """Other work that the main thread does between two ticks."""

    def drain(self, *, until: float, stop: StopFlag) -> bool:
        """Do some work until that moment of the monotonic clock; return whether there may be more."""

    def next_due(self) -> datetime | None:
        """Return when some is due, or None when nothing waits."""


class TimeShares:
    """Gives other work, if there is any, turns as long as the time between them."""

    def __init__(self, beside: OtherWork | None) -> None:
        self._beside = beside
        self._ended = time.monotonic()
        self.owed = 0.0  # seconds that our work must get now, after the other's turn

    def share_time(self, until: float, stop: StopFlag) -> bool:
        """Let the other work have its turn, up to that moment; return whether there may be more of it."""
        if self._beside is None:
            return False
        began = time.monotonic()
        turn = min(max(began - self._ended, LEAST_TURN), MOST_TURN)
        more = self._beside.drain(until=min(until, began + turn), stop=stop)
        self._ended = time.monotonic()
        self.owed = (self._ended - began) / 3  # so each of the two gets a quarter of the time at least
        return more

    def next_due(self) -> datetime | None:
        """Return when other work is due, or None when nothing waits."""
        return self._beside.next_due() if self._beside else None


Step = Callable[[int], None]  # called with how much more is done
Progress = Callable[[str, int], AbstractContextManager[Step]]  # given what is done, and how much


@contextmanager
def in_silence(_label: str, _length: int) -> Iterator[Step]:
    """Show no progress."""
    yield lambda _number: None
