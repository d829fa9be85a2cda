"""Passes as crontab runs them: a new one each minute, even if the one before still runs."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from flask import Flask

from scripts.benchmarks.support import temp_book
from scripts.benchmarks.support.processes import FLASK, Process
from scripts.benchmarks.support.repeating import repeating

STAY = 55 / 60  # of the time until the next pass


class Crontab:
    """Starts a pass every so many seconds, and kills passes on request."""

    def __init__(self, app: Flask, seconds: float) -> None:
        self._environ = temp_book.environ_of(app)
        self._seconds = seconds
        self._passes: list[Process] = []
        self._output = Path(self._environ["GUESTBOOK_DATA_DIR"], "output-of-cron")
        self.started = self.kills = 0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Start passes until the block ends; then let the last ones finish."""
        try:
            with repeating(self._start, lambda: self._seconds):
                yield
        finally:
            for one in self._passes:
                one.terminate()
            for one in self._passes:
                one.wait()

    @contextmanager
    def killing(self, seconds: float, after: Callable[[], object]) -> Iterator[None]:
        """Kill the passes every so many seconds until the block ends; 0 is never."""

        def kill() -> None:
            for one in list(self._passes):
                if one.poll() is None:
                    one.kill()
                    one.wait()
                    self.kills += 1
            after()

        with repeating(kill, lambda: seconds) if seconds else nullcontext():
            yield

    def alive(self) -> list[int]:
        """Return the process ids of the passes."""
        return [one.pid for one in list(self._passes) if one.poll() is None]

    def output(self) -> str:
        """Return the output that cron would have mailed to the owner."""
        return self._output.read_text()

    def _start(self) -> None:
        command = (*FLASK, "cron", "--stay", "--max-seconds", f"{self._seconds * STAY:.2f}")
        self._passes = [one for one in self._passes if one.poll() is None]
        with self._output.open("ab") as output:
            self._passes.append(subprocess.Popen(command, env=self._environ, stdout=output, stderr=output))
        self.started += 1
