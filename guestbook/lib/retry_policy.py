"""When to try again: the retry schedule with its jitter, pauses, leases, and Retry-After. Pure."""

import math
import random
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

JITTER = 0.2  # a part of the delay, either way, so that retries do not all arrive at once
PASSING_STATUSES = (408, 425, 429)  # time-out, too early, too many requests
RETRY_AFTER_CAP = 24 * 3600.0  # seconds
PAUSE_AFTER = 5  # requests in a row that failed to connect or timed out
PAUSE_FIRST = 30.0  # seconds until the first probe of an unreachable webhook
PAUSE_CAP = 3600.0  # seconds
INBOX_LEASE = timedelta(seconds=60)  # a batch takes some milliseconds; a slow template half a second
RELAY_LEASE = timedelta(minutes=10)  # a message may wait so long in the broker's queue


def next_due(
    schedule: tuple[float, ...], made: int, now: datetime, *, at_least: float = 0, luck: float | None = None
) -> datetime | None:
    """Return when the attempt after `made` ones is due, or None when the schedule is used up.

    `at_least` is the receiver's Retry-After in seconds, a minimum that the jitter does not change.
    `luck` from -1 to 1 sets the jitter; by default it is random.
    """
    if made >= len(schedule):
        return None
    delay = max(_jittered(schedule[made], luck), min(at_least, RETRY_AFTER_CAP))
    return now + timedelta(seconds=delay)


def longest_wait(schedule: tuple[float, ...]) -> timedelta:
    """Return how far in the future an unclaimed row can be due."""
    return timedelta(seconds=max(RETRY_AFTER_CAP, max(schedule) * (1 + JITTER)))


def lease(timeout: float) -> timedelta:
    """Return how long a claim holds a row: time to wait for a thread, and for one request."""
    return timedelta(seconds=2 * timeout + 30)


def pause_until(now: datetime, pauses: int, luck: float | None = None) -> datetime:
    """Return when to probe a webhook that was paused `pauses` times in a row: waits double up to a cap."""
    wait = min(PAUSE_FIRST * 2.0 ** min(pauses, 20), PAUSE_CAP)
    return now + timedelta(seconds=_jittered(wait, luck))


def may_pass(status: int) -> bool:
    """Whether a server that answers with this status may answer with another one later.

    Proxies have more than those of the RFC from 500 on, such as 521.
    """
    return status in PASSING_STATUSES or status >= 500


def retry_after(text: str | None, now: datetime) -> float:
    """Return the seconds a `Retry-After` asks for (RFC 9110 section 10.2.3, or float seconds), else 0."""
    seconds = 0.0
    try:
        seconds = float(text or "")
    except ValueError:
        with suppress(ValueError, OverflowError, IndexError):  # it is no date either
            moment = parsedate_to_datetime(text or "")
            moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            seconds = moment.timestamp() - now.timestamp()
    return min(seconds, RETRY_AFTER_CAP) if seconds > 0 and not math.isnan(seconds) else 0.0


def _jittered(seconds: float, luck: float | None) -> float:
    return seconds * (1 + JITTER * (random.uniform(-1, 1) if luck is None else luck))
