"""Run `cron --stay` again and again in a process beside the web server's."""

import logging
import os
import signal
import subprocess
import sys
import threading
import time

REST = 1.0  # seconds between two passes
# One that ends early has failed, or has found the pass of another process at work. It must not use up a core.
EARLY = 10.0  # seconds
LONG_REST = 5.0  # seconds
# Ctrl-C signals all processes of a terminal, and a service manager all of a service. A pass takes a second
# signal as an order to end at once, so it gets one alone: SIGTERM, when we close the pipe.
SIGNALS_OF_TERMINAL = {signal.SIGINT, signal.SIGHUP}
SIGNALS_FOR_US = SIGNALS_OF_TERMINAL | {signal.SIGTERM}
# Without -P a file in the working directory could take the place of a package.
PASS_CODE = "from guestbook.lib import parent_watch; parent_watch.begin(); import guestbook; guestbook.main()"
PASS_COMMAND = (sys.executable, "-P", "-c", PASS_CODE, "cron", "--stay")

log = logging.getLogger(__name__)


class PassSupervisor:
    """Starts a pass, and another one when it has ended. Use it as a context manager: at its end none runs."""

    def __init__(self) -> None:
        self._read_end, self._write_end = os.pipe()  # the pass watches it: see parent_watch
        self._stopping = threading.Event()
        self._pass: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._run, name="passes", daemon=True)

    def __enter__(self) -> "PassSupervisor":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Let the pass finish and record what is under way. A second Ctrl-C ends it at once."""
        self._stopping.set()
        if self._pass:
            self._pass.terminate()  # at once if it has not begun; else it waits for the end of the pipe
        os.close(self._write_end)
        try:
            self._thread.join()
        except KeyboardInterrupt:
            if self._pass:
                self._pass.kill()
            self._thread.join()
        os.close(self._read_end)

    def _run(self) -> None:
        signal.pthread_sigmask(
            signal.SIG_BLOCK, SIGNALS_OF_TERMINAL
        )  # of this thread; its children inherit it
        rest = 0.0
        while not self._stopping.wait(rest):
            began = time.monotonic()
            self._run_pass()
            rest = REST if time.monotonic() - began >= EARLY else LONG_REST

    def _run_pass(self) -> None:
        try:
            self._pass = subprocess.Popen(PASS_COMMAND, stdin=self._read_end)
        except OSError as error:
            log.warning("no pass could be started, so what is due waits: %s.", error.strerror)
        else:
            self._pass.wait()
