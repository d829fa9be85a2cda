"""Counting against limits: a sliding log of moments, and a counter in memory. Pure."""

import math
import re
import threading
from collections import Counter
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
        self._counts: Counter[int] = Counter()
        latest = self._rounded(now + BEGIN_WITHIN + STATEMENT_SKEW)  # a later one is from before a clock jump
        for moment, number in ENTRY.findall(text):
            if int(moment) + 1000 * limit.seconds > 1000 * now:
                self._counts[min(int(moment), latest)] += int(number)

    @property
    def room(self) -> int:
        """Return how many attempts may begin now."""
        return max(0, self._limit.number - sum(self._counts.values()))

    @property
    def opens_in(self) -> float:
        """Return in how many seconds there is room again; 0 when there is now."""
        excess = sum(self._counts.values()) - self._limit.number + 1  # so many must leave the window
        opens_at = self._now
        for moment in sorted(self._counts):
            if excess > 0:
                opens_at = moment / 1000 + self._limit.seconds
            excess -= self._counts[moment]
        return max(0.0, opens_at - self._now)

    @property
    def text(self) -> str:
        """Return it as it is stored."""
        return " ".join(f"{moment}:{self._counts[moment]}" for moment in sorted(self._counts))

    def enter(self, moment: float, number: int = 1) -> int:
        """Count so many attempts that begin at that moment at the latest; return their entry."""
        entry = self._rounded(moment)
        self._counts[entry] += number
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

    def _rounded(self, moment: float) -> int:
        """Round up to a step; the extra millisecond is what clocks cut off."""
        return math.ceil((1000 * moment + 1) / self._step) * self._step


class WindowCounter:
    """At most so many of each name in each stretch of so many seconds. Threads may share it."""

    def __init__(self, most: int, seconds: float) -> None:
        self.most = most
        self.seconds = seconds
        self._window = 0.0
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def take(self, name: str, now: float) -> tuple[int, float]:
        """Count one; return how many are left, -1 for none, and the seconds until the stretch ends."""
        window, since = divmod(now, self.seconds)
        with self._lock:
            if window != self._window:
                self._window, self._counts = window, Counter()
            self._counts[name] += 1
            return max(-1, self.most - self._counts[name]), self.seconds - since


FORGET_TRIES_AFTER = timedelta(days=1)  # without a wrong try of a network, its tries are forgotten
