"""The demo's processes, the server and the pass, and the patience to wait for what they do."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TypeVar

from guestbook.cli.demo.workspace import HOST, Place
from guestbook.lib.errors import Refused
from guestbook.lib.stop_flag import StopFlag

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
POLL = 0.05  # seconds between two looks
GRACE = 5.0  # seconds for a process to end when asked
LAST_WORDS = 200  # characters
A_DAY = "86400"  # seconds, the longest pass there is

T = TypeVar("T")


class Stopped(Exception):
    """Somebody has asked for the end, by Ctrl-C or by another signal."""


@contextmanager
def noticed() -> Iterator[StopFlag]:
    """Give a wish that Ctrl-C, SIGTERM and the end of the terminal set.

    It is looked at while waiting. A handler that raised could hit the moment between the start of a process
    and the note that it has to be ended.
    """
    stop = StopFlag()

    def ask(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    # What nohup has silenced stays so.
    heard = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, ask) for number in heard}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Processes:
    """What runs for the demo. Use it as a context manager: at its end nothing runs any more."""

    def __init__(self, place: Place, stop: StopFlag) -> None:
        self._place, self._stop = place, stop
        self._environ = place.environ()
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> "Processes":
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._running.values():
            process.terminate()
        give_up = time.monotonic() + GRACE
        for process in self._running.values():
            _end(process, give_up)

    def start_server(self) -> None:
        """Serve the book as scripts/run does."""
        listen = f"{HOST}:{self._place.port}"
        self.start("server", "flask", "--app", "guestbook", "serve", "--listen", listen)

    def start_pass(self) -> None:
        """Do cron's work, in one pass that stays."""
        self.start("pass", "flask", "--app", "guestbook", "cron", "--stay", "--max-seconds", A_DAY)

    def start(self, name: str, *module: str) -> None:
        """Run a module in a session of its own, for Ctrl-C is our business; the log tells what it says."""
        with self._log(name).open("wb") as log:
            self._running[name] = subprocess.Popen(
                [sys.executable, "-m", *module],
                cwd=self._place.folder,
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def wait_for(self, look: Callable[[], T | None], seconds: float, otherwise: str) -> T:
        """Look until there is something, and return it.

        Raises Stopped, and Refused when a process has ended or it takes longer than so many seconds; then
        `otherwise` is the start of the sentence, as `The server did not answer`.
        """
        give_up = time.monotonic() + seconds
        while (found := look()) is None:
            self._check()
            if time.monotonic() > give_up:
                raise Refused(f"{otherwise} within {seconds:g} seconds.{self._said()}")
            self.rest()
        return found

    def wait_for_ever(self) -> None:
        """Wait until Stopped is raised, or Refused because a process has ended."""
        while True:
            self._check()
            self.rest()

    def rest(self) -> None:
        """Sleep for a moment; raises Stopped."""
        if self._stop.wait(POLL) or self._stop.is_set():
            raise Stopped

    def _check(self) -> None:
        for name, process in self._running.items():
            if process.poll() is not None:
                raise Refused(f"The demo's {name} has ended by itself.{self._said(name)}")

    def _said(self, *names: str) -> str:
        """Return the last line that the process, or any of them, has printed."""
        for name in names or self._running:
            lines = self._log(name).read_text(errors="replace").split("\n")
            if last := next((line.strip() for line in reversed(lines) if line.strip()), ""):
                return f" The {name} said last: {last[:LAST_WORDS]}"
        return ""

    def _log(self, name: str) -> Path:
        return self._place.folder / f"{name}.log"


def _end(process: "subprocess.Popen[bytes]", give_up: float) -> None:
    try:
        process.wait(max(0.0, give_up - time.monotonic()))
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
