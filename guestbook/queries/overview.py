"""The figures of the first admin page: each hour and day, what waits, webhooks, the latest comments."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache, partial
from operator import attrgetter
from statistics import median

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Connection,
    Engine,
    Integer,
    Row,
    String,
    bindparam,
    case,
    func,
    literal_column,
    select,
    union_all,
)
from sqlalchemy.orm import Session

from guestbook.lib import ids
from guestbook.queries import health, lists
from guestbook.storage import batch_delete, database, upsert
from guestbook.storage.models import Attempt, Comment, Day, Delivery, InboundEvent, Source, Webhook
from guestbook.storage.models.delivery import QUEUE_STATUSES

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
            database.write_with_retry(engine, partial(_record, row))
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


RATED_ATTEMPTS = 100  # of a webhook
SHOWN_WEBHOOKS = 50
LATEST_ROWS = 5  # comments, and deliveries given up


@dataclass(frozen=True, slots=True)
class WebhookActivity:
    """How a webhook did in its last attempts, and what waits for it: at most COUNT_LIMIT and one."""

    webhook: Webhook
    attempts: int
    successes: int
    milliseconds: int | None  # the median; None without any attempt
    waiting: int
    due: int


@dataclass(frozen=True, slots=True)
class Overview:
    """The figures of the first admin page. Counts end at COUNT_LIMIT and one, which means more than that."""

    hours: list[Bar]
    days: list[Bar]
    webhooks: list[WebhookActivity]  # the oldest first
    has_more: bool  # webhooks than those
    waiting: int
    failed: int
    held: int
    held_since: datetime | None  # the one that has waited longest
    comments: list[Comment]  # published, the newest first
    given_up: list[tuple[Delivery, str]]  # the latest first, with the webhook's name
    has_comments: bool  # of whatever status
    has_sources: bool
    came_in: int  # and waits for a pass
    came_in_vain: int  # and failed


def overview(session: Session, now: datetime) -> Overview:
    """Return all of it."""
    webhooks = session.scalars(select(Webhook).order_by(Webhook.id).limit(SHOWN_WEBHOOKS + 1)).all()
    by_hour = hours(session, now)
    published = select(Comment).where(Comment.status == "published")
    return Overview(
        hours=by_hour,
        days=days(session, now, by_hour),
        webhooks=[_activity(session, webhook, now) for webhook in webhooks[:SHOWN_WEBHOOKS]],
        has_more=len(webhooks) > SHOWN_WEBHOOKS,
        waiting=health.count_some(session, Delivery.status == "new", Delivery),
        failed=health.count_some(session, Delivery.status == "failed", Delivery),
        held=health.count_some(session, Comment.status == "held", Comment),
        held_since=lists.oldest_waiting_comment(session),
        comments=list(session.scalars(published.order_by(Comment.id.desc()).limit(LATEST_ROWS))),
        given_up=lists.with_webhook_names(
            session, Delivery.status == "failed", LATEST_ROWS, last=Delivery.finished_at
        ),
        has_comments=session.scalar(select(Comment.id).limit(1)) is not None,
        has_sources=session.scalar(select(Source.id).limit(1)) is not None,
        came_in=health.count_some(session, InboundEvent.status == "new", InboundEvent),
        came_in_vain=health.count_some(session, InboundEvent.status == "failed", InboundEvent),
    )


def _activity(session: Session, webhook: Webhook, now: datetime) -> WebhookActivity:
    mine = Delivery.webhook_id == webhook.id
    waiting = select(Delivery.due_at).where(mine, Delivery.due_at.is_not(None)).order_by(Delivery.due_at)
    some = waiting.limit(health.COUNT_LIMIT + 1).subquery()
    row = session.execute(select(func.count(), func.count(case((some.c.due_at <= now, 1))))).one()
    # Where nothing but untried ones came lately, as for a disabled webhook, those before them tell.
    last = _attempts(session, mine) or _attempts(session, mine & Delivery.due_at.is_(None))
    times = [attempt.milliseconds for attempt in last]
    successes = sum(attempt.succeeded for attempt in last)
    return WebhookActivity(webhook, len(last), successes, round(median(times)) if times else None, *row)


def _attempts(session: Session, condition: ColumnElement[bool]) -> Sequence[Row[int, bool]]:
    """Return the last attempts among those made for the newest of these deliveries."""
    newest = (
        select(Delivery.id).where(condition).order_by(Delivery.id.desc()).limit(RATED_ATTEMPTS).subquery()
    )
    query = select(Attempt.milliseconds, Attempt.succeeded).join(newest, Attempt.delivery_id == newest.c.id)
    return session.execute(query.order_by(Attempt.started_at.desc()).limit(RATED_ATTEMPTS)).all()
