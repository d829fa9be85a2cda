"""Visitors who come over HTTP all the time, each for one thing, and remember what they were promised."""

import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from threading import Event, Thread

import html5lib

from tests.support import processes, visitor

PAUSE = 1.0  # seconds between two requests of one visitor
PATHS = ("/", "/healthz", "/admin/login")
STATUSES = (200, 202, 303, 503)


class Visitors:
    """They open pages, sign the book and send webhooks to the source `tok`."""

    def __init__(self, address: str, most_wait: float) -> None:
        self._address, self._most_wait = address, most_wait
        self._stop = Event()
        self.statuses: Counter[int] = Counter()
        self.slowest = 0.0  # seconds
        self.signed: list[str] = []  # messages that the book has taken
        self.hooks: list[str] = []  # likewise
        self.complaints: list[str] = []
        self._threads: list[Thread] = []

    def start(self, *others: Callable[[], object]) -> None:
        """Let them come, and do other things over and over beside them."""
        gets = [partial(self._fetch, path) for path in PATHS]
        work = [*gets, self._sign, self._send_webhook, *others]
        self._threads = [Thread(target=self._repeat, args=(one,), daemon=True) for one in work]
        for one in self._threads:
            one.start()

    def end(self) -> None:
        """Let them go."""
        self._stop.set()
        for one in self._threads:
            one.join(2 * self._most_wait)
            assert not one.is_alive()

    def _repeat(self, do: Callable[[], object]) -> None:
        while not self._stop.wait(PAUSE):
            do()

    def _fetch(self, path: str, form: dict[str, str] | None = None) -> tuple[int, str]:
        """Open a page, which must work or say 503, and in time."""
        began = time.monotonic()
        try:
            status, said = processes.fetch(self._address + path, form, seconds=self._most_wait + 10)
        except OSError as error:  # URLError and TimeoutError too
            status, said = 0, repr(error)
        took = time.monotonic() - began
        self.statuses[status] += 1
        self.slowest = max(self.slowest, took)
        if status not in STATUSES or took > self._most_wait:
            self.complaints.append(f"{path} answers {status} after {took:.1f} s: {said[:200]}")
        return status, said

    def _sign(self) -> None:
        """Sign the book, with the same form until that works."""
        status, said = self._fetch("/")
        if status != 200:
            return
        form = visitor.fields(html5lib.parse(said, namespaceHTMLElements=False)) | visitor.GREETING
        form["message"] = f"comment {time.monotonic()}"
        while (status := self._fetch("/comments", form)[0]) == 503:
            if self._stop.wait(PAUSE):
                return
        if status == 303:
            self.signed.append(form["message"])

    def _send_webhook(self) -> None:
        text = f"hook {time.monotonic()}"
        if self._fetch("/hooks/tok", {"text": text})[0] == 202:
            self.hooks.append(text)
