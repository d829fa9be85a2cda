"""The attempts of one webhook: their success and times, by hour and by day, and what is sent next.

A page looks at a bounded number of the latest deliveries, so it takes as long in a book of years.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session, defer

from guestbook.lib import ids
from guestbook.queries.outcomes import DAY, DAYS, HOUR, HOURS, Bar
from guestbook.storage.models import Attempt, Delivery

COUNTED_ATTEMPTS = 5000  # of the latest deliveries, and of their latest attempts
LAST_ATTEMPTS = 100
NEXT_DELIVERIES = 10


@dataclass(frozen=True, slots=True)
class AttemptTimes:
    """How the attempts of some time went. Times are milliseconds, None without any attempt."""

    attempts: int
    successes: int
    median: int | None
    percentile95: int | None

    @property
    def rate(self) -> int | None:
        """Return how many of a hundred succeeded; 100 only if all did."""
        return self.successes * 100 // self.attempts if self.attempts else None


@dataclass(frozen=True, slots=True)
class MadeAttempt:
    """An attempt of the last ones."""

    delivery_id: str
    started_at: datetime
    milliseconds: int
    status_code: int | None
    succeeded: bool


@dataclass(frozen=True, slots=True)
class WebhookAttempts:
    """The figures of one webhook. Its deliveries of the last 30 days count."""

    day: AttemptTimes
    month: AttemptTimes
    hours: list[Bar]  # of attempts, the oldest first; the last one is not over yet
    days: list[Bar]
    last: list[MadeAttempt]  # the oldest first
    counted_from: datetime | None  # where the figures begin, if 30 days have too many attempts to count


def of(session: Session, webhook_id: str, now: datetime) -> WebhookAttempts:
    """Return the figures of a webhook."""
    first_day = now.replace(hour=0, minute=0, second=0, microsecond=0) - (DAYS - 1) * DAY
    first_hour = now.replace(minute=0, second=0, microsecond=0) - (HOURS - 1) * HOUR
    made, counted_from = _made(session, webhook_id, first_day)
    return WebhookAttempts(
        day=_times([one for one in made if one.started_at >= now - DAY]),
        month=_times(made),
        hours=_bars(made, first_hour, HOUR, HOURS),
        days=_bars(made, first_day, DAY, DAYS),
        last=made[-LAST_ATTEMPTS:],
        counted_from=counted_from,
    )


def coming(session: Session, webhook_id: str) -> Sequence[Delivery]:
    """Return the deliveries that are sent next, the first one first, without their payloads."""
    waiting = select(Delivery).where(Delivery.webhook_id == webhook_id, Delivery.due_at.is_not(None))
    waiting = waiting.options(defer(Delivery.payload)).order_by(Delivery.due_at, Delivery.id)
    return session.scalars(waiting.limit(NEXT_DELIVERIES)).all()


def _made(session: Session, webhook_id: str, since: datetime) -> tuple[list[MadeAttempt], datetime | None]:
    """Return the attempts since then, the oldest first, and where they begin if there were too many."""
    newest = select(Delivery.id).where(Delivery.webhook_id == webhook_id, Delivery.id >= ids.first_of(since))
    newest = newest.order_by(Delivery.id.desc())
    some = newest.limit(COUNTED_ATTEMPTS).subquery()
    columns = Attempt.delivery_id, Attempt.started_at, Attempt.milliseconds, Attempt.status_code
    query = select(*columns, Attempt.succeeded).join(some, Attempt.delivery_id == some.c.id)
    query = query.order_by(Attempt.started_at.desc())
    made = [MadeAttempt(*row) for row in session.execute(query.limit(COUNTED_ATTEMPTS))][::-1]
    if not made:
        return [], None
    oldest = session.scalar(newest.offset(COUNTED_ATTEMPTS - 1).limit(1))  # in the index alone
    starts = [ids.moment_of(oldest)] if oldest else []
    starts += [made[0].started_at] if len(made) == COUNTED_ATTEMPTS else []
    return made, max(starts, default=None)


def _times(made: Sequence[MadeAttempt]) -> AttemptTimes:
    times = sorted(one.milliseconds for one in made)
    return AttemptTimes(
        len(times), sum(one.succeeded for one in made), _percentile(times, 50), _percentile(times, 95)
    )


def _percentile(times: Sequence[int], percent: int) -> int | None:
    """Return the nearest rank: the smallest of the sorted times that so many percent do not exceed."""
    return times[-(-len(times) * percent // 100) - 1] if times else None


def _bars(made: Iterable[MadeAttempt], first: datetime, step: timedelta, count: int) -> list[Bar]:
    numbers = [[0, 0] for _ in range(count)]
    for one in made:
        place = (one.started_at - first) // step
        if 0 <= place < count:
            numbers[place][one.succeeded] += 1
    return [
        Bar(first + place * step, processed=good, failed=bad) for place, (bad, good) in enumerate(numbers)
    ]
