"""What processes and the database hold, looked at every some seconds, and whether it has grown."""

import os
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine, func, select

from guestbook.lib import clock
from guestbook.storage.models import DELIVERIES, FIRST_DUE, INBOUND, Webhook
from scripts.benchmarks.support import bulk_insert

PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Sample:
    """What there was at that second of the run."""

    second: float
    web: float  # MB in memory, as the next
    cron: float  # of the passes together; 0 between two
    file: float  # MB on disk, with the WAL
    waiting: int  # deliveries that are not final, but for what waits for ailing receivers
    inbox: int  # inbound events that are not final
    due_age: float  # seconds since the oldest due time, ailing and paused receivers aside


class Sampler:
    """Takes samples in a thread."""

    def __init__(
        self, engine: Engine, web: int, passes: Callable[[], Sequence[int]], ailing: Sequence[str]
    ) -> None:
        self._engine = engine
        self._ailing = ailing
        self._web = web
        self._passes = passes
        self._over = threading.Event()
        self.samples: list[Sample] = []

    @contextmanager
    def every(self, seconds: float, tell: Callable[[Sample], None]) -> Iterator[None]:
        """Take one in the middle of every so many seconds until the end of the block, and tell of it."""
        thread = threading.Thread(target=self._look_on, args=(seconds, tell))
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()

    def _look_on(self, seconds: float, tell: Callable[[Sample], None]) -> None:
        start = time.monotonic()
        while not self._over.wait(max(0.0, start + (len(self.samples) + 0.5) * seconds - time.monotonic())):
            self.samples.append(self._take(time.monotonic() - start))
            tell(self.samples[-1])

    def _take(self, second: float) -> Sample:
        web, cron = _megabytes([self._web]), _megabytes(self._passes())
        now = clock.now()
        with self._engine.connect() as connection:
            well = DELIVERIES.c.webhook_id.not_in(self._ailing)
            deliveries = select(func.count()).where(DELIVERIES.c.status == "new", well)
            events = select(func.count()).where(INBOUND.c.status == "new")
            waiting, inbox = connection.scalar(deliveries) or 0, connection.scalar(events) or 0
            open_ = Webhook.open_at(now) & Webhook.id.not_in(self._ailing)
            due = connection.scalars(select(FIRST_DUE).where(open_, now >= FIRST_DUE)).all()
        age = max(((now - moment).total_seconds() for moment in due if moment), default=0.0)
        return Sample(second, web, cron, on_disk(self._engine), waiting, inbox, age)


@dataclass(frozen=True, slots=True)
class Growth:
    """How much there was after the first minute and at the end, and the slope between, a minute."""

    first: float
    last: float
    slope: float

    @property
    def share(self) -> float:
        """Return by what part of the first it has grown."""
        return self.last / self.first - 1 if self.first else 0.0


def growth(samples: Sequence[Sample], name: str, minutes: float) -> Growth:
    """Return how one of the figures has grown; of each stretch the most counts, for passes come and go."""
    warm = min(60.0, minutes * 60 / 4)
    after = [sample for sample in samples if sample.second >= warm / 2]
    first = [getattr(one, name) for one in after if one.second <= warm * 1.5]
    last = [getattr(one, name) for one in after if one.second >= minutes * 60 - warm]
    points = [
        (one.second / 60, getattr(one, name)) for one in after if one.second >= warm and getattr(one, name)
    ]
    slope = statistics.linear_regression(*zip(*points, strict=True)).slope if len(points) > 1 else 0.0
    return Growth(max(first, default=0.0), max(last, default=0.0), slope)


def on_disk(engine: Engine) -> float:
    """Return the MB of the database: of SQLite the file and those beside it."""
    if engine.dialect.name != "sqlite":
        return bulk_insert.size(engine) / 1e6
    path = Path(str(engine.url.database))
    return sum(one.stat().st_size for one in path.parent.glob(f"{path.name}*")) / 1e6


def _megabytes(pids: Sequence[int]) -> float:
    """Return what these processes hold in memory now (proc(5), statm)."""
    pages = 0
    for pid in pids:
        with suppress(OSError):  # it has just ended
            pages += int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * PAGE / 2**20
