"""The clock of the talk's book: the clock of this machine, set some hours on."""

import time
from datetime import timedelta
from pathlib import Path

from guestbook.lib import clock

FILE = "hours"  # in the data folder; as many bytes as the clock is hours ahead, so a reader never sees half
_time, _now = time.time, clock.now


def ahead(folder: Path) -> timedelta:
    """Return how far the clock is ahead."""
    return timedelta(hours=(folder / FILE).stat().st_size)


def set_on(folder: Path) -> None:
    """Set the clock one hour on; with the first call begin with this machine's time."""
    with (folder / FILE).open("a") as file:
        file.write("h")


def follow() -> None:
    """Let this process, which works in the data folder, go by that clock from now on."""
    setattr(clock, "now", lambda: _now() + ahead(Path()))  # noqa: B010  mypy allows no other way
    setattr(time, "time", lambda: _time() + ahead(Path()).total_seconds())  # noqa: B010
