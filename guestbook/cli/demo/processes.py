"""The demo's processes, the server and the pass, and waiting for what they do."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import TypeVar

from guestbook.cli.demo.workspace import Workspace
from guestbook.lib import own_process
from guestbook.lib.errors import Refused
from guestbook.lib.own_process import StopFlag

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
LOOK_INTERVAL = 0.05  # seconds
END_TIMEOUT = 5.0  # seconds that a process may take to end
LAST_LINE_LIMIT = 200  # characters
T = TypeVar("T")


class Stopped(Exception):
    """Ctrl-C or another signal has ended the demo."""


def noticed() -> AbstractContextManager[StopFlag]:
    """Return a context with a flag that Ctrl-C, SIGTERM and the end of the terminal set.

    We look at it while we wait. A handler that raised could do so between the start of a process and the
    note that we must end it.
    """
    # A signal that nohup ignores stays ignored.
    caught = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    return own_process.flag_set_by(caught, second_ends=False)


class Processes:
    """The processes of the demo. Use it as a context manager: at its end none of them runs."""

    def __init__(self, place: Workspace, stop: StopFlag) -> None:
        self._place, self._stop = place, stop
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> "Processes":
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._running.values():
            process.terminate()
        give_up = time.monotonic() + END_TIMEOUT
        for process in self._running.values():
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, give_up - time.monotonic()))
            process.kill()  # does nothing to one that has ended
            process.wait()

    def start(self, name: str, *module: str) -> None:
        """Run a module in a session of its own, so that Ctrl-C reaches only us; its output goes to a log."""
        with self._log(name).open("wb") as log:
            self._running[name] = subprocess.Popen(
                [sys.executable, "-m", *module],
                cwd=self._place.folder,
                env=self._place.environ(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def wait_for(self, look: Callable[[], T | None], seconds: float, otherwise: str) -> T:
        """Call `look` until it returns something, and return that.

        Raises Stopped, and Refused when a process has ended or the time is over. `otherwise` begins the
        sentence for that, such as `The server did not answer`.
        """
        give_up = time.monotonic() + seconds
        while (found := look()) is None:
            for name, process in self._running.items():
                if process.poll() is not None:
                    raise Refused(f"The demo's {name} has ended by itself.{self._last_line(name)}")
            if time.monotonic() > give_up:
                raise Refused(f"{otherwise} within {seconds:g} seconds.{self._last_line()}")
            if self._stop.wait(LOOK_INTERVAL):
                raise Stopped
        return found

    def _last_line(self, *names: str) -> str:
        """Return the last line that one of these processes has printed, or any process."""
        for name in names or self._running:
            lines = self._log(name).read_text(errors="replace").split("\n")
            if last := next((line.strip() for line in reversed(lines) if line.strip()), ""):
                return f" The {name} printed last: {last[:LAST_LINE_LIMIT]}"
        return ""

    def _log(self, name: str) -> Path:
        return self._place.folder / f"{name}.log"
