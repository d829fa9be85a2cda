"""Passes as crontab runs them: each minute a new one, whatever has become of the one before."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from flask import Flask

from scripts.benchmarks.support import served_book

STAY = 55 / 60  # of the time until the next pass


class Crontab:
    """Starts a pass every so many seconds, and kills them if it is asked to."""

    def __init__(self, app: Flask, seconds: float) -> None:
        self._environ = served_book.environ_of(app)
        self._seconds = seconds
        self._over, self._spared = threading.Event(), threading.Event()
        self._passes: list[subprocess.Popen[bytes]] = []
        self._said = Path(app.config["ENVIRON"]["GUESTBOOK_DATA_DIR"], "said-by-cron")
        self.started = self.kills = 0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Start passes until the end of the block; then let the last ones come to their end."""
        with self._beside(self._start, self._over):
            yield
        for one in self._passes:
            one.terminate()
        for one in self._passes:
            one.wait()

    @contextmanager
    def killing(self, every: float, after: Callable[[], None]) -> Iterator[None]:
        """Kill the pass at work every so many seconds until the end of the block; 0 is never."""
        with self._beside(lambda: self._kill(every, after), self._spared) if every else nullcontext():
            yield

    @staticmethod
    @contextmanager
    def _beside(do: Callable[[], None], over: threading.Event) -> Iterator[None]:
        thread = threading.Thread(target=do)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def alive(self) -> list[int]:
        """Return the numbers of the processes of passes."""
        return [one.pid for one in list(self._passes) if one.poll() is None]

    def said(self) -> str:
        """Return what cron would have mailed to the owner."""
        return self._said.read_text()

    def _start(self) -> None:
        command = [sys.executable, "-m", "flask", "--app", "guestbook", "cron", "--stay"]
        command += ["--max-seconds", f"{self._seconds * STAY:.2f}"]
        with self._said.open("ab") as said:
            while not self._over.is_set():
                self._passes = [one for one in self._passes if one.poll() is None]
                self._passes.append(subprocess.Popen(command, env=self._environ, stdout=said, stderr=said))
                self.started += 1
                self._over.wait(self._seconds)

    def _kill(self, every: float, after: Callable[[], None]) -> None:
        while not self._spared.wait(every):
            for one in list(self._passes):
                if one.poll() is None:
                    os.kill(one.pid, signal.SIGKILL)
                    one.wait()
                    self.kills += 1
            after()
