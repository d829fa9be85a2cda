"""How long to wait after wrong tries, and when they are forgotten. Pure: an idle pass needs it too."""

from datetime import timedelta

FORGET_AFTER = timedelta(days=1)  # without any try
FIRST_WAIT = 1.0  # seconds after the first try that was not free; it doubles with each further one
LONGEST_WAIT = 900.0  # seconds


def wait(tries: int, free: int) -> float:
    """Return the seconds until the next try may come."""
    return 0.0 if tries < free else min(FIRST_WAIT * 2.0 ** min(tries - free, 20), LONGEST_WAIT)
