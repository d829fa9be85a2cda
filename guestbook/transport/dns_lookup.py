"""Look-ups of names that an attempt can stop waiting for: getaddrinfo itself takes no time-out.

Where name servers are dead it blocks for as long as the system's resolver likes. So a few threads of their
own ask, each name once at a time, however many attempts want it.
"""

import socket
import threading
import time
from collections import deque
from typing import Any

from guestbook.lib import resource_limits

THREADS = 8  # that look names up at once; as many can hang
STUCK = 5.0  # seconds in which no thread began or ended a look-up: then no more names wait for one
LOOK = 0.5  # seconds between two looks at that

Key = tuple[str, int | None]  # host and port


class _Asked:
    """A look-up, waiting for a thread or under way."""

    def __init__(self, key: Key) -> None:
        self.key = key
        self.done = threading.Event()
        self.began: float | None = None  # on the monotonic clock
        self.answers: list[Any] = []
        self.error: Exception | None = None


class Lookups:
    """Looks names up for all threads of a process."""

    def __init__(self, most: int = THREADS) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._asked: dict[Key, _Asked] = {}
        self._waiting: deque[_Asked] = deque()
        self._threads = 0
        self._moved = 0.0  # when a thread was last started, or began or ended a look-up

    def limit(self, most: int) -> None:
        """Use no more threads than so many."""
        self._most = min(self._most, most)

    def find(self, host: str, port: int | None, seconds: float) -> list[Any]:
        """Return what getaddrinfo finds; raises what it raises, or TimeoutError."""
        until = time.monotonic() + seconds
        asked = self._ask((host, port))
        while not asked.done.wait(min(LOOK, max(0.0, until - time.monotonic()))):
            if time.monotonic() >= until or self._is_hopeless(asked, seconds):
                raise TimeoutError
        if asked.error:
            raise asked.error
        return asked.answers

    def _ask(self, key: Key) -> _Asked:
        with self._lock:
            if key in self._asked:
                return self._asked[key]
            self._asked[key] = asked = _Asked(key)
            self._waiting.append(asked)
            alone = not self._call_thread()
        if alone:  # the host allows no thread: who wants the name looks it up
            self._work()
        return asked

    def _call_thread(self) -> bool:
        """Start a thread if there may be one more; return whether any is there."""
        if self._threads < self._most and resource_limits.start(self._run, f"lookup-{self._threads + 1}"):
            self._threads += 1
            self._moved = time.monotonic()  # on a busy host it may be a while until it begins
        return self._threads > 0

    def _is_hopeless(self, asked: _Asked, seconds: float) -> bool:
        """Whether all threads hang, or this look-up has for longer than anybody would wait."""
        with self._lock:
            now = time.monotonic()
            return now - self._moved > STUCK if asked.began is None else now - asked.began > seconds

    def _run(self) -> None:
        self._work(is_thread=True)

    def _work(self, *, is_thread: bool = False) -> None:
        """Look up what waits; a thread ends when nothing does."""
        while True:
            with self._lock:
                self._moved = time.monotonic()
                if not self._waiting:
                    self._threads -= is_thread
                    return
                asked = self._waiting.popleft()
                asked.began = self._moved
            _look_up(asked)
            with self._lock:
                del self._asked[asked.key]
            asked.done.set()


def _look_up(asked: _Asked) -> None:
    try:
        asked.answers = socket.getaddrinfo(*asked.key, type=socket.SOCK_STREAM)
    except Exception as error:  # whatever it is, it is for those who wait
        asked.error = error


shared = Lookups()
