"""Let a process end with the one that started it, even when that is killed with SIGKILL.

The parent keeps one end of a pipe open, and the other is our standard input. It is at its end when the parent
closes its own end, or is gone. Linux's PR_SET_PDEATHSIG would do the same, but no other system has it.
"""

import os
import signal
import sys
import threading


def begin() -> None:
    """Send this process SIGTERM when its standard input ends. Until then it may be blocked."""
    threading.Thread(target=_end_with_stdin, name="parent-watch", daemon=True).start()


def _end_with_stdin() -> None:
    while os.read(sys.stdin.fileno(), 1):
        pass
    # One that a service manager sent meanwhile is still pending. The kernel makes one of the two.
    os.kill(os.getpid(), signal.SIGTERM)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
