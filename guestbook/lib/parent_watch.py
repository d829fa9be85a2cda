"""Let a process end with the one that started it, even when that is killed with SIGKILL.

The parent keeps one end of a pipe open, and the other is our standard input. It is at its end when the parent
closes its own end, or is gone. Linux's PR_SET_PDEATHSIG would do the same, but no other system has it.
"""

import os
import signal
import sys
import threading


def begin() -> None:
    """Send this process SIGTERM when its standard input ends, and only then: until then it is blocked."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    threading.Thread(target=_end_with_stdin, name="parent-watch", daemon=True).start()


def _end_with_stdin() -> None:
    while os.read(sys.stdin.fileno(), 1):
        pass
    # One that the parent or a service manager has sent is still pending. The kernel makes one of them.
    os.kill(os.getpid(), signal.SIGTERM)
    for how in (signal.SIG_UNBLOCK, signal.SIG_BLOCK):
        signal.pthread_sigmask(how, {signal.SIGTERM})
