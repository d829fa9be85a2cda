"""The limits of this host: how many threads and connections a process can have beside its database."""

import ctypes
import errno
import mmap
import os
import resource
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

FILE_LIMIT = "open files (ulimit -n)"
MEMORY_LIMIT = "memory (ulimit -v)"
THREAD_LIMIT = "threads (ulimit -u)"

MIB = 1024 * 1024  # bytes
RESERVED_FILES = 6  # a journal and its folder, temporary files, certificates, a new connection to a server
FILES_PER_THREAD = 3  # a request's socket, what a look-up opens, a connection that waits for its next request
RESERVED_MEMORY = 24 * MIB  # beside the Reserve: rows claimed ahead, SQLite's pages, certificates
MEMORY_PER_THREAD = 3 * MIB
STACK = MIB  # of a thread; the usual 8 MiB are too many where memory is limited
ARENAS = 2  # of glibc's malloc, each 64 MiB of address space; by default there are eight for each core
M_ARENA_MAX = -8  # malloc.h
UNLIMITED = 10**9

_starting = threading.Lock()


class Room(NamedTuple):
    """How much fits, and the limit that allows no more, if there is one."""

    threads: int
    connections: int  # that may be kept open between two requests
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
    opened: list[int] = []
    try:
        for _ in range(2):
            opened.append(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        return error.errno in (errno.EMFILE, errno.ENFILE)
    finally:
        for descriptor in opened:
            os.close(descriptor)
    return False


def why_no_thread() -> str:
    """Return the limit for which a thread could not be started just now."""
    return THREAD_LIMIT if _spare_memory() > 0 else MEMORY_LIMIT


class Reserve:
    """Some memory to give up when there is none left, so that outcomes can still be recorded."""

    def __init__(self, size: int = 16 * MIB) -> None:
        self._memory: mmap.mmap | None = None
        with suppress(OSError):
            self._memory = mmap.mmap(-1, size)  # address space; nothing of it is in use

    def give_up(self) -> None:
        """Let others have it."""
        if self._memory is not None:
            self._memory.close()


def start(work: Callable[[], None], name: str) -> bool:
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
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, ARENAS)


def _spare_files() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return UNLIMITED
    return soft - _open_files() - RESERVED_FILES


def _open_files() -> int:
    for folder in ("/proc/self/fd", "/dev/fd"):
        with suppress(OSError):
            return len(list(Path(folder).iterdir()))
    return 16  # what a pass on SQLite has open


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
