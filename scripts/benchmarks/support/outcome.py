"""What a soak has shown: whether something was lost or sent twice, and whether the memory grew."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import ColumnElement, Engine, func, select

from guestbook.storage.models import DELIVERIES, INBOUND
from scripts.benchmarks.support.receivers import Behaviour, Memory
from scripts.benchmarks.support.traffic import Log

Receiver = tuple[Behaviour, Memory]


class Account(NamedTuple):
    """How many of each; none may be above zero."""

    lost: Mapping[str, int]  # comments that a healthy receiver never accepted, by its name
    unrecorded: int  # requests without an attempt on record: they were sent twice, or will be
    unprocessed: int  # inbound events that were accepted and are not processed


def account(engine: Engine, log: Log, receivers: Mapping[str, Receiver]) -> Account:
    """Compare; `receivers` are by the webhook's id."""
    query = select(INBOUND.c.id, INBOUND.c.comment_id).where(INBOUND.c.comment_id.is_not(None))
    with engine.connect() as connection:
        comment_of = {row.id: row.comment_id for row in connection.execute(query)}
    made = [comment_of[one] for one in log.events if one in comment_of]
    comments = {*made, *log.comments}
    healthy = [(behaviour, memory) for behaviour, memory in receivers.values() if behaviour.is_healthy]
    return Account(
        lost={behaviour.name: len(comments - memory.accepted.keys()) for behaviour, memory in healthy},
        unrecorded=sum(_unrecorded(engine, webhook, memory) for webhook, (_, memory) in receivers.items()),
        unprocessed=len(log.events) - len(made),
    )


def _unrecorded(engine: Engine, webhook: str, memory: Memory) -> int:
    query = select(DELIVERIES.c.event_id, DELIVERIES.c.attempts).where(DELIVERIES.c.webhook_id == webhook)
    with engine.connect() as connection:
        attempts = {row.event_id: row.attempts for row in connection.execute(query)}
    return sum(max(0, count - attempts.get(event, 0)) for event, count in memory.requests.items())


def waiting(engine: Engine, hanging: Sequence[str]) -> tuple[int, int]:
    """Return how many deliveries wait, but for the webhooks that hang, and how many inbound events."""
    others = DELIVERIES.c.webhook_id.not_in(hanging)
    return _count(engine, DELIVERIES.c.status == "new", others), _count(engine, INBOUND.c.status == "new")


def _count(engine: Engine, *conditions: ColumnElement[bool]) -> int:
    with engine.connect() as connection:
        return connection.scalar(select(func.count()).where(*conditions)) or 0


class Sample(NamedTuple):
    """The figures at that second of the run."""

    second: float
    web: float  # MB in memory, as the next
    cron: float  # of the passes together; 0 between two
    waiting: int  # deliveries to healthy receivers that are not final


class Growth(NamedTuple):
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
