"""The few seconds of a pass inside a web request, and which webhooks get them.

An attempt that is cut at their end counts as one that failed. So nothing more may go to a receiver that needs
longer: it would get everything several times.
"""

import math
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Row

LEAST_TIME = 0.2  # seconds: with less left, no attempt begins


@dataclass(frozen=True, slots=True)
class TimeLimit:
    """When a pass must be over, and which webhooks are known to be slow."""

    until: float = math.inf  # on the monotonic clock; an attempt that still runs then is cut
    slow: frozenset[str] = frozenset()  # ids of webhooks whose attempts were cut lately
    skips_slow: bool = False  # nothing is sent to those
    cut: set[str] = field(default_factory=set)  # ids of webhooks whose attempts this pass has cut

    @property
    def is_short(self) -> bool:
        """Whether there is a limit at all."""
        return self.until < math.inf

    @property
    def skipped(self) -> frozenset[str]:
        """Return the webhooks that get nothing."""
        return self.slow if self.skips_slow else frozenset()

    def left(self, most: float) -> float:
        """Return how many seconds an attempt may take that could take `most`; 0 if it must not begin."""
        seconds = min(most, self.until - time.monotonic())
        return seconds if seconds >= min(most, LEAST_TIME) else 0.0

    def choose(self, webhooks: Sequence[Row[Any]]) -> Sequence[Row[Any]]:
        """Return those to send to now: healthy ones, and the others once nothing is due for these."""
        if not self.is_short:
            return webhooks
        open_ = [row for row in webhooks if row.id not in self.skipped]
        healthy = [row for row in open_ if not row.unreachable_in_a_row and row.id not in self.slow]
        chosen = healthy or open_
        return random.sample(chosen, len(chosen))


NO_LIMIT = TimeLimit()
