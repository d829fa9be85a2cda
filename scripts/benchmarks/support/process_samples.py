"""The memory of the processes and the length of the queue over the time of a run, and how they grow."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import click
from sqlalchemy import Engine, func, select

from guestbook.storage.models import DELIVERIES
from scripts.benchmarks.support.process_usage import memory


@dataclass(frozen=True, slots=True)
class Sample:
    """The figures at that second of the run."""

    second: float
    web: float  # MB in memory, as the next
    cron: float  # of the passes together; 0 between two
    waiting: int  # deliveries to healthy receivers that are not final


class Sampler:
    """Takes samples when it is called."""

    def __init__(
        self, engine: Engine, web: int, passes: Callable[[], Sequence[int]], hanging: Sequence[str]
    ) -> None:
        self._engine, self._web, self._passes, self.hanging = engine, web, passes, hanging
        self._waiting = select(func.count()).where(
            DELIVERIES.c.status == "new", DELIVERIES.c.webhook_id.not_in(hanging)
        )
        self._start = time.monotonic()
        self.samples: list[Sample] = []

    def __call__(self) -> None:
        """Take a sample; print a line for each minute."""
        second = time.monotonic() - self._start
        web, cron = memory(self._web), sum(map(memory, self._passes()))
        with self._engine.connect() as connection:
            waiting = connection.scalar(self._waiting) or 0
        self.samples.append(Sample(second, web, cron, waiting))
        if len(self.samples) > 1 and second // 60 > self.samples[-2].second // 60:
            said = f"web {web:.0f} MB, passes {cron:.0f} MB, {waiting:,} deliveries wait"
            click.echo(f"minute {second // 60:.0f}: {said}", err=True)


@dataclass(frozen=True, slots=True)
class Growth:
    """A figure after the first minute and at the end."""

    first: float
    last: float

    @property
    def share(self) -> float:
        """Return the growth as a part of the first."""
        return self.last / self.first - 1 if self.first else 0.0


def growth(samples: Sequence[Sample], name: str, minutes: float) -> Growth:
    """Return the growth of one of the figures; passes come and go, so the most of each stretch counts."""
    warm = min(60.0, minutes * 60 / 4)
    first = [getattr(one, name) for one in samples if warm / 2 <= one.second <= warm * 1.5]
    last = [getattr(one, name) for one in samples if one.second >= minutes * 60 - warm]
    return Growth(max(first, default=0.0), max(last, default=0.0))
