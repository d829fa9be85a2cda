"""One core for each pass or worker: handing the GIL between cores costs 30 to 40 %."""

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress


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
