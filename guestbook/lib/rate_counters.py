"""Counting against limits: a sliding log, a counter in memory, the wait after wrong tries. Pure."""

import math
import re
import threading
from datetime import timedelta
from typing import NamedTuple, Self

WINDOWS = {"s": 1, "m": 60}  # seconds
MOST_PER_WINDOW = 10_000
BEGIN_WITHIN = 10.0  # seconds from the claim, within which an attempt begins or is given back
STATEMENT_SKEW = 1.0  # seconds by which two statements of one moment may differ
# Seconds until a full log has room again.
LONGEST_ROOM_WAIT = max(WINDOWS.values()) + BEGIN_WITHIN + 2 * STATEMENT_SKEW
SHORT_SLOT_WAIT = 5.0  # seconds that a pass waits for room although it would end
WRITTEN = re.compile(r"([0-9]{1,5}) ?/ ?([sm])")
ENTRY = re.compile(r"([0-9]{1,16}):([0-9]{1,9})")


class RateLimit(NamedTuple):
    """So many attempts in any window of so many seconds."""

    number: int
    seconds: int

    @classmethod
    def read(cls, written: str) -> Self:
        """Read `30/m` or `5/s`; raises ValueError with a sentence."""
        found = WRITTEN.fullmatch(written.strip().lower())
        if not found or not 1 <= int(found[1]) <= MOST_PER_WINDOW:
            raise ValueError(
                f"The rate must be a number from 1 to {MOST_PER_WINDOW:,} per second or per minute, "
                "such as 5/s or 30/m."
            )
        return cls(int(found[1]), WINDOWS[found[2]])

    @classmethod
    def stored(cls, written: str) -> Self:
        """Read a stored limit; one that was garbled by hand is the strictest, for it must not stop a pass."""
        try:
            return cls.read(written)
        except ValueError:
            return cls(1, max(WINDOWS.values()))

    def __str__(self) -> str:
        """Return it as it is typed."""
        return f"{self.number}/{'m' if self.seconds == WINDOWS['m'] else 's'}"


class SlidingLog:
    """The moments that count at the time `now`, in seconds since 1970, as text of `milliseconds:number`.

    Moments are rounded up, so that a window needs at most some hundred entries.
    """

    def __init__(self, limit: RateLimit, text: str, now: float) -> None:
        self._limit = limit
        self._now = now
        self._step = max(50, limit.seconds * 1000 // 120)  # milliseconds
        self._counts: dict[int, int] = {}
        latest = self._rounded(now + BEGIN_WITHIN + STATEMENT_SKEW)  # a later one is from before a clock jump
        for moment, number in ENTRY.findall(text):
            if int(moment) + 1000 * limit.seconds > 1000 * now:
                self._add(min(int(moment), latest), int(number))

    @property
    def room(self) -> int:
        """Return how many attempts may begin now."""
        return max(0, self._limit.number - sum(self._counts.values()))

    @property
    def opens_in(self) -> float:
        """Return in how many seconds there is room again; 0 when there is now."""
        left = sum(self._counts.values())
        if left < self._limit.number:
            return 0.0
        for moment in sorted(self._counts):
            left -= self._counts[moment]
            if left < self._limit.number:
                return max(0.0, moment / 1000 + self._limit.seconds - self._now)
        raise AssertionError("a limit is at least 1")

    @property
    def text(self) -> str:
        """Return it as it is stored."""
        return " ".join(f"{moment}:{self._counts[moment]}" for moment in sorted(self._counts))

    def enter(self, moment: float, number: int = 1) -> int:
        """Count so many attempts that begin at that moment at the latest; return their entry."""
        entry = self._rounded(moment)
        self._add(entry, number)
        return entry

    def move(self, entry: int, begun: float | None) -> None:
        """Count one attempt of an entry at the moment at which it started; with None not at all."""
        if entry not in self._counts:
            return  # it does not count any more
        self._counts[entry] -= 1
        if not self._counts[entry]:
            del self._counts[entry]
        if begun is not None and self._rounded(begun) + 1000 * self._limit.seconds > 1000 * self._now:
            self.enter(begun)

    def _add(self, entry: int, number: int) -> None:
        self._counts[entry] = self._counts.get(entry, 0) + number

    def _rounded(self, moment: float) -> int:
        """Round up to a step; the extra millisecond is what clocks cut off."""
        return math.ceil((1000 * moment + 1) / self._step) * self._step


MOST_NAMES = 1000  # then those go whose stretch is over


class WindowCount(NamedTuple):
    """What is left after one was counted."""

    left: int  # -1 if there was nothing left
    seconds: float  # until the stretch ends


class WindowCounter:
    """At most so many of each name in so many seconds from the first one. Threads may share it."""

    def __init__(self, most: int, seconds: float) -> None:
        self.most = most
        self.seconds = seconds
        self._counts: dict[str, tuple[float, int]] = {}  # name → when its stretch began, and how often since
        self._lock = threading.Lock()

    def take(self, name: str, now: float) -> WindowCount:
        """Count one, if there is one left; `now` is of the monotonic clock."""
        with self._lock:
            began, count = self._counts.get(name, (now, 0))
            if now - began >= self.seconds:
                began, count = now, 0
            left = self.most - count - 1
            self._counts[name] = (began, min(count + 1, self.most))
            if len(self._counts) > MOST_NAMES:
                self._forget(now)
        return WindowCount(max(-1, left), began + self.seconds - now)

    def _forget(self, now: float) -> None:
        self._counts = {
            name: (began, count)
            for name, (began, count) in self._counts.items()
            if now - began < self.seconds
        }


FORGET_TRIES_AFTER = timedelta(days=1)  # time without any try
FIRST_TRY_WAIT = 1.0  # seconds after the first try that was not free; it doubles with each further one
LONGEST_TRY_WAIT = 900.0  # seconds


def wait_after_tries(tries: int, free: int) -> float:
    """Return the seconds until the next try may come."""
    return 0.0 if tries < free else min(FIRST_TRY_WAIT * 2.0 ** min(tries - free, 20), LONGEST_TRY_WAIT)
