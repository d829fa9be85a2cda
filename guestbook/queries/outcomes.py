"""Outcomes of deliveries by hour and day. Cron records each past day once, so that pages need not count it.

A count is a range of an index, so it takes the same time in a book of years.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache, partial
from operator import attrgetter

from sqlalchemy import (
    CompoundSelect,
    Connection,
    Engine,
    Integer,
    String,
    bindparam,
    func,
    literal_column,
    select,
    union_all,
)
from sqlalchemy.orm import Session

from guestbook.lib import ids
from guestbook.storage import batch_delete, transaction_retry, upsert
from guestbook.storage.models import Day, Delivery
from guestbook.storage.models.queue_row import QUEUE_STATUSES

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
HOURS = 24  # bars of the last day; the last one is the hour that is not over yet
DAYS = 30  # bars of the last month; the last one is today
RECORDED_DAYS = 31  # finished days that are recorded
RECORD_AFTER = timedelta(days=5)  # with a day's retries; later ones wait for a disabled webhook
KEEP_DAYS = timedelta(days=400)

Span = tuple[datetime, datetime]  # from the first moment to before the second


@dataclass(frozen=True, slots=True)
class Bar:
    """The outcomes of the deliveries that were made in an hour or a day."""

    since: datetime
    processed: int
    failed: int
    new: int = 0

    @property
    def total(self) -> int:
        """Return how many there were."""
        return self.processed + self.failed + self.new


def hours(session: Session, now: datetime) -> list[Bar]:
    """Return the last 24 hours by the clock of UTC, oldest first."""
    first = now.replace(minute=0, second=0, microsecond=0) - (HOURS - 1) * HOUR
    return _count(session, [(first + number * HOUR, first + (number + 1) * HOUR) for number in range(HOURS)])


def days(session: Session, now: datetime, by_hour: Sequence[Bar]) -> list[Bar]:
    """Return the last 30 days in UTC, oldest first: those that are kept, and the others counted now.

    Today is the sum of its hours, of which `by_hour` are the last 24.
    """
    *midnights, today = [_midnight(now) - number * DAY for number in reversed(range(DAYS))]
    kept, counted = _kept_and_counted(session, midnights)
    over = sorted((*kept, *counted), key=attrgetter("since"))
    return [*over, _sum(today, [bar for bar in by_hour if bar.since >= today])]


def record_days(engine: Engine, keep_processed_days: int, now: datetime) -> None:
    """Keep the figures of days that are over, so that no page counts them again; forget those of long ago.

    A day is recorded once none of its deliveries waits, or after five days. A later redelivery changes no
    row: the chart shows how the day went, and the list of deliveries how things are now.
    """
    midnights = [_midnight(now) - number * DAY for number in range(RECORDED_DAYS, 0, -1)]
    with engine.connect() as connection:  # this takes no write lock: mostly there is nothing to record
        _, bars = _kept_and_counted(connection, midnights)
    record_after = min(RECORD_AFTER, timedelta(days=keep_processed_days))  # then retention takes its rows
    for bar in bars:
        if not bar.new or now - (bar.since + DAY) >= record_after:
            row = {"day": _name(bar.since), "processed": bar.processed, "failed": bar.failed}
            transaction_retry.write(engine, partial(_record, row))
    batch_delete.delete_batch(engine, Day.__table__, Day.day < _name(now - KEEP_DAYS))


def _record(row: dict[str, object], connection: Connection) -> None:
    upsert.insert_missing(connection, Day, **row)  # another pass may have just done it


def _kept_and_counted(source: Session | Connection, midnights: list[datetime]) -> tuple[list[Bar], list[Bar]]:
    """Return the days that are recorded, and the others, counted now."""
    open_ = {_name(midnight): midnight for midnight in midnights}
    rows = source.execute(select(Day.day, Day.processed, Day.failed).where(Day.day.in_(open_)))
    kept = [Bar(open_.pop(row.day), row.processed, row.failed) for row in rows]
    return kept, _count(source, [(midnight, midnight + DAY) for midnight in open_.values()])


def _count(source: Session | Connection, spans: Sequence[Span]) -> list[Bar]:
    """Count what was made in each of the spans, in one query."""
    if not spans:
        return []
    edges: dict[str, str] = {}
    for place, (since, until) in enumerate(spans):
        edges |= {f"since{place}": ids.first_of(since), f"until{place}": ids.first_of(until)}
    found = {(row.place, row.status): row.many for row in source.execute(_counts(len(spans)), edges)}
    return [
        Bar(since, **{status: found[place, status] for status in QUEUE_STATUSES})
        for place, (since, _) in enumerate(spans)
    ]


@cache  # making the statement takes longest
def _counts(spans: int) -> CompoundSelect[int, str, int]:
    """Return the statement that counts by span and status: each of its parts is a range of an index.

    A GROUP BY over all spans would read the rows, 80 times as slow.
    """
    return union_all(
        *(
            select(
                literal_column(str(place), Integer).label("place"),
                literal_column(f"'{status}'", String).label("status"),
                func.count().label("many"),
            ).where(
                Delivery.status == status,
                Delivery.id >= bindparam(f"since{place}"),
                Delivery.id < bindparam(f"until{place}"),
            )
            for place in range(spans)
            for status in QUEUE_STATUSES
        )
    )


def _sum(since: datetime, bars: Sequence[Bar]) -> Bar:
    return Bar(since, **{status: sum(getattr(bar, status) for bar in bars) for status in QUEUE_STATUSES})


def _midnight(now: datetime) -> datetime:
    return now.replace(hour=0, minute=0, second=0, microsecond=0)


def _name(midnight: datetime) -> str:
    return f"{midnight:%Y-%m-%d}"
