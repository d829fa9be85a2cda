"""Figures: what waits, each hour and day, and how the attempts of webhooks went."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache, partial
from operator import attrgetter
from statistics import median
from typing import Any, TypeVar

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Connection,
    Engine,
    Integer,
    Row,
    String,
    and_,
    bindparam,
    case,
    func,
    literal_column,
    select,
    union_all,
)
from sqlalchemy.orm import Session

from guestbook.lib import ids
from guestbook.queries import filtered_lists
from guestbook.queries.filtered_lists import INBOUND_WORDS, QueueFilter
from guestbook.storage import database, row_changes
from guestbook.storage.models import Attempt, Comment, Day, Delivery, InboundEvent, Source, Webhook
from guestbook.storage.models.delivery import QUEUE_STATUSES

COUNT_LIMIT = 10_000  # Beyond so many rows, the count says "more than".
RECENT = timedelta(days=7)  # Failed ones of this time are counted by webhook or source.
FAILED_LIMIT = 500  # No index says whose they are, so each is looked up.

M = TypeVar("M", Comment, Delivery, InboundEvent)


@dataclass(frozen=True, slots=True)
class Lately:
    """How many rows failed in the last days, by the id of their webhook or source."""

    counts: dict[str, int]
    cut_at: int | None = None  # More were too many to count: only the newest are.


def count_some(session: Session, condition: ColumnElement[bool], model: type[M]) -> int:
    """Return how many rows those are, at most COUNT_LIMIT and one: by an index it takes a millisecond."""
    some = select(model.id).where(condition).limit(COUNT_LIMIT + 1).subquery()
    return session.scalar(select(func.count()).select_from(some)) or 0


WAITING_OR_RETRYING = "waiting or retrying"
FILTERED_AS = {WAITING_OR_RETRYING: "new", "given up": "given-up"}


def undelivered(session: Session, *among: ColumnElement[bool]) -> dict[str, int]:
    """Count those of these deliveries that wait and those that are retried.

    No index tells them apart. If they are more than COUNT_LIMIT, they have one number.
    """
    is_new = (Delivery.status == "new") & Delivery.due_at.is_not(None)
    some = select(Delivery.attempts).where(is_new, *among).limit(COUNT_LIMIT + 1).subquery()
    tried = func.count(case((some.c.attempts > 0, 1)))
    total, retrying = session.execute(select(func.count(), tried).select_from(some)).one()
    if total > COUNT_LIMIT:
        return {WAITING_OR_RETRYING: total}
    return {"waiting": total - retrying, "retrying": retrying}


def by_word(session: Session, model: type[Any], *among: ColumnElement[bool]) -> dict[str, int]:
    """Count these rows by the word for their status, and leave out words that none has."""
    ended = {"delivered": "processed", "given up": "failed"} if model is Delivery else INBOUND_WORDS
    counts = undelivered(session, *among) if model is Delivery else {}
    for word, status in ended.items():
        counts[word] = count_some(session, and_(model.status == status, *among), model)
    return {word: count for word, count in counts.items() if count}


def instead_of(session: Session, wanted: QueueFilter) -> tuple[QueueFilter, dict[str, int]]:
    """Return what is there where a filter finds nothing: a wider filter, and counts by its `status`.

    It has the same time and owner; if these have no rows either, it is a filter for all.
    """
    for wider in (wanted.without_search(), type(wanted)()):
        if found := by_word(session, wider.model, wider.condition()):
            break
    return wider, {FILTERED_AS.get(word, word): count for word, count in found.items()}


def waiting_words(count: int, one: str, many: str, for_what: str) -> str:
    """Say how many rows wait for what, as counted by `count_some`: `one delivery waits until then`."""
    if count == 1:
        return f"one {one} waits {for_what}"
    number = f"{count:,}" if count <= COUNT_LIMIT else f"more than {COUNT_LIMIT:,}"
    return f"{number} {many} wait {for_what}"


def failed_lately(session: Session, model: type[Delivery] | type[InboundEvent], now: datetime) -> Lately:
    """Count the failed rows of the last days by whose they are, with one look at a bounded number of them."""
    owner = model.webhook_id if issubclass(model, Delivery) else model.source_id
    lately = (model.status == "failed") & (model.id >= ids.first_of(now - RECENT))
    newest = select(owner.label("owner")).where(lately).order_by(model.id.desc())
    some = newest.limit(FAILED_LIMIT + 1).subquery()
    rows = session.execute(select(some.c.owner, func.count().label("many")).group_by(some.c.owner))
    counts = {row.owner: row.many for row in rows}
    return Lately(counts, cut_at=FAILED_LIMIT if sum(counts.values()) > FAILED_LIMIT else None)


HOUR, DAY = timedelta(hours=1), timedelta(days=1)
HOURS = 24  # The last bar is the hour that is not over yet.
DAYS = 30  # The last bar is today.
RECORDED_DAYS = 31  # So many finished days are recorded.
RECORD_AFTER = timedelta(days=5)  # The retries of a day end by then, unless the webhook is disabled.
KEEP_DAYS = timedelta(days=400)

Span = tuple[datetime, datetime]  # From the first moment to before the second.


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
    first = _first_hour(now)
    return _count(session, [(first + number * HOUR, first + (number + 1) * HOUR) for number in range(HOURS)])


def days(session: Session, now: datetime, by_hour: Sequence[Bar]) -> list[Bar]:
    """Return the last 30 days in UTC, oldest first: those that are kept, and the others counted now.

    Today is the sum of its hours, of which `by_hour` are the last 24.
    """
    *midnights, today = [_midnight(now) - number * DAY for number in reversed(range(DAYS))]
    kept, counted = _kept_and_counted(session, midnights)
    over = sorted((*kept, *counted), key=attrgetter("since"))
    bars = [bar for bar in by_hour if bar.since >= today]
    sums = {status: sum(getattr(bar, status) for bar in bars) for status in QUEUE_STATUSES}
    return [*over, Bar(today, **sums)]


def record_days(engine: Engine, keep_processed_days: int, now: datetime) -> None:
    """Keep the figures of days that are over, so that no page counts them again; forget those of long ago.

    A day is recorded once none of its deliveries waits, or after five days. A later redelivery changes no
    row: the chart shows how the day went, and the list of deliveries how things are now.
    """
    midnights = [_midnight(now) - number * DAY for number in range(RECORDED_DAYS, 0, -1)]
    with engine.connect() as connection:  # It takes no write lock: mostly nothing is to be recorded.
        _, bars = _kept_and_counted(connection, midnights)
    record_after = min(RECORD_AFTER, timedelta(days=keep_processed_days))  # Then retention takes its rows.
    for bar in bars:
        if not bar.new or now - (bar.since + DAY) >= record_after:
            # Another pass may have just done it.
            counts: dict[str, Any] = {"processed": bar.processed, "failed": bar.failed}
            record = partial(row_changes.insert_missing, model=Day, day=_name(bar.since), **counts)
            database.write_with_retry(engine, record)
    row_changes.delete_batch(engine, Day.__table__, Day.day < _name(now - KEEP_DAYS))


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


@cache  # Making the statement takes longest.
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


def _first_hour(now: datetime) -> datetime:
    return now.replace(minute=0, second=0, microsecond=0) - (HOURS - 1) * HOUR


def _midnight(now: datetime) -> datetime:
    return now.replace(hour=0, minute=0, second=0, microsecond=0)


def _name(midnight: datetime) -> str:
    return f"{midnight:%Y-%m-%d}"


RATED_ATTEMPTS = 100
SHOWN_WEBHOOKS = 50
LATEST_ROWS = 5  # So many comments, and deliveries given up, are shown.


@dataclass(frozen=True, slots=True)
class WebhookActivity:
    """How a webhook did in its last attempts, and what waits for it: at most COUNT_LIMIT and one."""

    webhook: Webhook
    attempts: int
    successes: int
    median_milliseconds: int | None  # None without any attempt.
    waiting: int
    due: int


@dataclass(frozen=True, slots=True)
class Overview:
    """The figures of the first admin page. Counts end at COUNT_LIMIT and one, which means more than that."""

    hours: list[Bar]
    days: list[Bar]
    webhooks: list[WebhookActivity]  # the oldest first
    has_more: bool  # There are more webhooks than those.
    deliveries_waiting: int
    undelivered: dict[str, int]  # those that wait and those that are retried, or their sum
    deliveries_failed: int
    held: int
    held_since: datetime | None  # Since then one waits longest.
    comments: list[Comment]  # published, the newest first
    given_up: list[tuple[Delivery, str]]  # the latest first, with the webhook's name
    has_comments: bool  # Their status does not matter.
    has_sources: bool
    inbound_events_waiting: int
    inbound_events_failed: int


def overview(session: Session, now: datetime) -> Overview:
    """Return all of it."""
    webhooks = session.scalars(select(Webhook).order_by(Webhook.id).limit(SHOWN_WEBHOOKS + 1)).all()
    by_hour, not_delivered = hours(session, now), undelivered(session)
    published = select(Comment).where(Comment.status == "published")
    return Overview(
        hours=by_hour,
        days=days(session, now, by_hour),
        webhooks=[_activity(session, webhook, now) for webhook in webhooks[:SHOWN_WEBHOOKS]],
        has_more=len(webhooks) > SHOWN_WEBHOOKS,
        deliveries_waiting=sum(not_delivered.values()),
        undelivered=not_delivered,
        deliveries_failed=count_some(session, Delivery.status == "failed", Delivery),
        held=count_some(session, Comment.status == "held", Comment),
        held_since=filtered_lists.oldest_waiting_comment(session),
        comments=list(session.scalars(published.order_by(Comment.id.desc()).limit(LATEST_ROWS))),
        given_up=filtered_lists.with_webhook_names(
            session, Delivery.status == "failed", LATEST_ROWS, last=Delivery.finished_at
        ),
        has_comments=session.scalar(select(Comment.id).limit(1)) is not None,
        has_sources=session.scalar(select(Source.id).limit(1)) is not None,
        inbound_events_waiting=count_some(session, InboundEvent.status == "new", InboundEvent),
        inbound_events_failed=count_some(session, InboundEvent.status == "failed", InboundEvent),
    )


def _activity(session: Session, webhook: Webhook, now: datetime) -> WebhookActivity:
    mine = Delivery.webhook_id == webhook.id
    waiting = select(Delivery.due_at).where(mine, Delivery.due_at.is_not(None)).order_by(Delivery.due_at)
    some = waiting.limit(COUNT_LIMIT + 1).subquery()
    row = session.execute(select(func.count(), func.count(case((some.c.due_at <= now, 1))))).one()
    # Where nothing but untried ones came lately, as for a disabled webhook, those before them tell.
    last = _attempts(session, mine) or _attempts(session, mine & Delivery.due_at.is_(None))
    times = [attempt.milliseconds for attempt in last]
    successes = sum(attempt.succeeded for attempt in last)
    return WebhookActivity(webhook, len(last), successes, round(median(times)) if times else None, *row)


def _attempts(session: Session, condition: ColumnElement[bool]) -> Sequence[Row[int, bool]]:
    """Return the last attempts among those made for the newest of these deliveries."""
    newest = select(Delivery.id).where(condition).order_by(Delivery.id.desc())
    some = newest.limit(RATED_ATTEMPTS).subquery()
    query = select(Attempt.milliseconds, Attempt.succeeded).join(some, Attempt.delivery_id == some.c.id)
    return session.execute(query.order_by(Attempt.started_at.desc()).limit(RATED_ATTEMPTS)).all()


COUNTED_ATTEMPTS = 5000  # So many of the latest deliveries and attempts count.
LAST_ATTEMPTS = 100


@dataclass(frozen=True, slots=True)
class AttemptTimes:
    """How the attempts of some time went. Times are milliseconds, None without any attempt."""

    attempts: int
    successes: int
    median_milliseconds: int | None
    percentile_95_milliseconds: int | None

    @property
    def rate(self) -> int | None:
        """Return how many of a hundred succeeded; 100 only if all did."""
        return self.successes * 100 // self.attempts if self.attempts else None


@dataclass(frozen=True, slots=True)
class WebhookAttempts:
    """The figures of one webhook. Its deliveries of the last 30 days count."""

    day: AttemptTimes
    month: AttemptTimes
    hours: list[Bar]  # The oldest first; the last one is not over yet.
    days: list[Bar]
    last: Sequence[Row[Any]]  # the oldest first, with the columns of `_made`
    counted_from: datetime | None  # Figures begin there, if 30 days have too many attempts.


def attempts_of(session: Session, webhook_id: str, now: datetime) -> WebhookAttempts:
    """Return the figures of a webhook."""
    first_day = _midnight(now) - (DAYS - 1) * DAY
    made, counted_from = _made(session, webhook_id, first_day)
    return WebhookAttempts(
        day=_times([one for one in made if one.started_at >= now - DAY]),
        month=_times(made),
        hours=_bars(made, _first_hour(now), HOUR, HOURS),
        days=_bars(made, first_day, DAY, DAYS),
        last=made[-LAST_ATTEMPTS:],
        counted_from=counted_from,
    )


def _made(session: Session, webhook_id: str, since: datetime) -> tuple[Sequence[Any], datetime | None]:
    """Return the attempts since then, the oldest first, and where they begin if there were too many."""
    newest = select(Delivery.id).where(Delivery.webhook_id == webhook_id, Delivery.id >= ids.first_of(since))
    newest = newest.order_by(Delivery.id.desc())
    some = newest.limit(COUNTED_ATTEMPTS).subquery()
    columns = Attempt.delivery_id, Attempt.started_at, Attempt.milliseconds, Attempt.status_code
    query = select(*columns, Attempt.succeeded).join(some, Attempt.delivery_id == some.c.id)
    query = query.order_by(Attempt.started_at.desc())
    made = session.execute(query.limit(COUNTED_ATTEMPTS)).all()[::-1]
    if not made:
        return [], None
    oldest = session.scalar(newest.offset(COUNTED_ATTEMPTS - 1).limit(1))  # The index alone answers.
    starts = [ids.moment_of(oldest)] if oldest else []
    starts += [made[0].started_at] if len(made) == COUNTED_ATTEMPTS else []
    return made, max(starts, default=None)


def _times(made: Sequence[Row[Any]]) -> AttemptTimes:
    times, successes = sorted(one.milliseconds for one in made), sum(one.succeeded for one in made)
    return AttemptTimes(len(times), successes, _percentile(times, 50), _percentile(times, 95))


def _percentile(times: Sequence[int], percent: int) -> int | None:
    """Return the nearest rank: the smallest of the sorted times that so many percent do not exceed."""
    return times[-(-len(times) * percent // 100) - 1] if times else None


def _bars(made: Iterable[Row[Any]], first: datetime, step: timedelta, count: int) -> list[Bar]:
    numbers = [[0, 0] for _ in range(count)]
    for one in made:
        place = (one.started_at - first) // step
        if 0 <= place < count:
            numbers[place][one.succeeded] += 1
    return [Bar(first + at * step, processed=good, failed=bad) for at, (bad, good) in enumerate(numbers)]
