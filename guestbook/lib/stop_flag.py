"""A flag that a signal handler may set at any moment: the process should end."""

import time


class StopFlag:
    """Set without a lock: that of threading.Event may be held by the code that the handler interrupted."""

    def __init__(self) -> None:
        self._wished = False

    def set(self) -> None:
        """Ask for the end."""
        self._wished = True

    def is_set(self) -> bool:
        """Whether to stop."""
        return self._wished

    def wait(self, seconds: float) -> bool:
        """Sleep so long (a signal does not cut it short, so keep it short); return `is_set`."""
        if not self._wished:
            time.sleep(seconds)
        return self._wished
