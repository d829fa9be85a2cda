"""Look-ups of names with a time-out, which getaddrinfo lacks: it blocks as long as dead name servers do.

So a few threads make the look-ups. Attempts that want the same name share one look-up. Where no thread may be
started, the attempt makes its own look-up, and only the resolver's own time-outs bound it.
"""

import socket
import threading
import time
from collections import deque
from concurrent import futures
from concurrent.futures import Future
from functools import partial
from typing import Any

from guestbook.lib import resource_limits

LOOKUP_THREADS = 8  # all of them can hang at once
STUCK_AFTER = 5.0  # seconds without a look-up that began or ended; then no name waits for a thread
POLL_EVERY = 0.5  # seconds between two checks of that

Key = tuple[str, int | None]  # host and port


class _Lookup(Future[list[Any]]):
    """A look-up, waiting for a thread or under way."""

    def __init__(self, key: Key) -> None:
        super().__init__()
        self.key = key
        self.began: float | None = None  # on the monotonic clock


class Lookups:
    """The look-ups of all threads of a process."""

    def __init__(self, most: int = LOOKUP_THREADS) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._lookups: dict[Key, _Lookup] = {}
        self._waiting: deque[_Lookup] = deque()
        self._threads = 0
        self._moved = 0.0  # when a thread was last started, or began or ended a look-up

    def limit(self, most: int) -> None:
        """Use at most so many threads."""
        self._most = min(self._most, most)

    def find(self, host: str, port: int | None, seconds: float) -> list[Any]:
        """Return what getaddrinfo finds; raises what it raises, or TimeoutError."""
        until = time.monotonic() + seconds
        lookup = self._join((host, port))
        while not futures.wait([lookup], min(POLL_EVERY, max(0.0, until - time.monotonic()))).done:
            if time.monotonic() >= until or self._is_hopeless(lookup, seconds):
                raise TimeoutError
        return lookup.result()

    def _join(self, key: Key) -> _Lookup:
        with self._lock:
            if key in self._lookups:
                return self._lookups[key]
            self._lookups[key] = lookup = _Lookup(key)
            self._waiting.append(lookup)
            alone = not self._call_thread()
        if alone:  # the host allows no thread, so this one does the work
            self._work()
        return lookup

    def _call_thread(self) -> bool:
        """Start a thread if there may be one more; return whether any is there."""
        work = partial(self._work, is_thread=True)
        if self._threads < self._most and resource_limits.start(work, f"lookup-{self._threads + 1}"):
            self._threads += 1
            self._moved = time.monotonic()  # on a busy host it may start late
        return self._threads > 0

    def _is_hopeless(self, lookup: _Lookup, seconds: float) -> bool:
        """Whether all threads hang, or this look-up has taken longer than an attempt may."""
        with self._lock:
            now = time.monotonic()
            return now - self._moved > STUCK_AFTER if lookup.began is None else now - lookup.began > seconds

    def _work(self, *, is_thread: bool = False) -> None:
        """Make the look-ups that wait; a thread ends when there are none."""
        while True:
            with self._lock:
                self._moved = time.monotonic()
                if not self._waiting:
                    self._threads -= is_thread
                    return
                lookup = self._waiting.popleft()
                lookup.began = self._moved
            try:
                answer = partial(lookup.set_result, socket.getaddrinfo(*lookup.key, type=socket.SOCK_STREAM))
            except Exception as error:  # the waiting threads raise it
                answer = partial(lookup.set_exception, error)
            with self._lock:
                del self._lookups[lookup.key]
            answer()


shared = Lookups()
without_threads = Lookups(most=0)
