"""What became of a run: whether all that was accepted has arrived once, and how the memory grew."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Engine, func, select

from guestbook.lib import clock
from guestbook.outbound.worker_pool import MAX_UNRECORDED
from guestbook.storage.models import DELIVERIES, INBOUND, Delivery
from scripts.benchmarks.support.process_usage import memory
from scripts.benchmarks.support.receivers import Behaviour, Memory
from scripts.benchmarks.support.traffic import Log

Receiver = tuple[Behaviour, Memory]


@dataclass(frozen=True, slots=True)
class Account:
    """How many of each; nothing but `explained` may be above zero."""

    lost: Mapping[str, int]  # comments that a healthy receiver never accepted, by its name
    unrecorded: int  # requests without an attempt on record: they were sent twice, or will be
    explained: int  # how many of those may come from kills
    unprocessed: int  # inbound events that were accepted and are not processed


def account(engine: Engine, log: Log, receivers: Mapping[str, Receiver], explained: int) -> Account:
    """Compare; `receivers` are by the webhook's id."""
    comments, unprocessed = _from_inbox(engine, log.events)
    comments |= set(log.comments)
    healthy = [(behaviour, memory) for behaviour, memory in receivers.values() if behaviour.is_healthy]
    return Account(
        lost={behaviour.name: len(comments - memory.accepted.keys()) for behaviour, memory in healthy},
        unrecorded=sum(_unrecorded(engine, webhook, memory) for webhook, (_, memory) in receivers.items()),
        explained=explained,
        unprocessed=unprocessed,
    )


def under_way(engine: Engine) -> int:
    """Return how many deliveries a pass that was killed just now may have sent without recording them."""
    query = select(func.count()).select_from(Delivery).where(Delivery.leased_at(clock.now()))
    with engine.connect() as connection:
        return min(connection.scalar(query) or 0, MAX_UNRECORDED)


def is_empty(engine: Engine, hanging: Sequence[str]) -> bool:
    """Whether nothing waits any more except for the webhooks that hang."""
    deliveries = select(DELIVERIES.c.id).where(
        DELIVERIES.c.status == "new", DELIVERIES.c.webhook_id.not_in(hanging)
    )
    events = select(INBOUND.c.id).where(INBOUND.c.status == "new")
    with engine.connect() as connection:
        return not any(connection.scalar(query.limit(1)) for query in (deliveries, events))


def _from_inbox(engine: Engine, accepted: Sequence[str]) -> tuple[set[str], int]:
    """Return the comments made from these inbound events, and how many events made none."""
    query = select(INBOUND.c.id, INBOUND.c.comment_id).where(INBOUND.c.comment_id.is_not(None))
    with engine.connect() as connection:
        comments = {row.id: row.comment_id for row in connection.execute(query)}
    made = [comments[one] for one in accepted if one in comments]
    return set(made), len(accepted) - len(made)


def _unrecorded(engine: Engine, webhook: str, memory: Memory) -> int:
    query = select(DELIVERIES.c.event_id, DELIVERIES.c.attempts).where(DELIVERIES.c.webhook_id == webhook)
    with engine.connect() as connection:
        attempts = {row.event_id: row.attempts for row in connection.execute(query)}
    return sum(max(0, count - attempts.get(event, 0)) for event, count in memory.requests.items())


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
        """Take a sample."""
        second = time.monotonic() - self._start
        web, cron = memory(self._web), sum(map(memory, self._passes()))
        with self._engine.connect() as connection:
            waiting = connection.scalar(self._waiting) or 0
        self.samples.append(Sample(second, web, cron, waiting))


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
