"""Send a webhook the past events that it has not had, made from the comments that the book has now.

    comment since then ──▶ comment.created ──▶ comment.published ──▶ comment.replied
                           published or held    published alone       with the answer that stands there

A webhook gets of these what it wants and has no delivery of. They have the comment's present words, so
nothing that was deleted or corrected goes out, and nothing is left out because old deliveries were pruned.
An event that another webhook's delivery still has keeps its id. Each takes the comment's next sequence.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, Row, func, or_, select
from sqlalchemy.orm import Session

from guestbook.comments import announcements, book
from guestbook.lib import clock
from guestbook.lib.errors import Refused
from guestbook.outbound import formats
from guestbook.outbound.outbox import PastEvent
from guestbook.queue import erasure
from guestbook.settings import Settings
from guestbook.storage import audit_log, database
from guestbook.storage.models import Comment, Delivery, Origin, Reply, Webhook
from guestbook.storage.models.comment import KNOWN_STATUSES

BACKFILLED_EVENTS = ("comment.created", "comment.published", "comment.replied")  # in this order
COUNTED_TOGETHER = 500  # comments that are read at once
STORED_TOGETHER = 50  # comments of one transaction: a visitor waits for no more than that


@dataclass(frozen=True, slots=True)
class BackfillRules:
    """Which past events, and what to call meanwhile."""

    since: datetime
    settings: Settings
    pruned_too: bool = False  # also those whose delivery to this webhook may have been pruned
    after_chunk: Callable[[int], None] = lambda _comments: None


@dataclass(slots=True)
class BackfillReport:
    """What a backfill has sent, or would send."""

    events: Counter[str] = field(default_factory=Counter)  # deliveries by event
    comments: int = 0  # that these are about
    present: int = 0  # events of which the webhook has a delivery
    pruned: int = 0  # events that were left out because their delivery may have been pruned
    seen: int = 0  # comments that were looked at

    @property
    def deliveries(self) -> int:
        """Return the number of deliveries."""
        return self.events.total()


@dataclass(frozen=True, slots=True)
class _Missing:
    """An event that the webhook has not had."""

    comment: Comment
    event: str
    past: PastEvent

    @property
    def more(self) -> dict[str, Any]:
        """Return its data beside the comment."""
        reply = self.comment.reply
        return {"reply": reply.public()} if self.event == "comment.replied" and reply else {}


def forecast(session: Session, webhook: Webhook, rules: BackfillRules) -> BackfillReport:
    """Count what `run` would send; raises Refused where the webhook wants none of these events."""
    _refuse_other_events(webhook)
    report, last = BackfillReport(), ""
    while row_ids := _next(session, rules.since, last, COUNTED_TOGETHER):
        last = row_ids[-1]
        report.seen += len(row_ids)
        query = select(Comment).where(Comment.id.in_(row_ids)).order_by(Comment.id)
        _count(_missing(session, webhook, session.scalars(query).all(), rules, report), report)
    return report


def run(webhook_id: str, rules: BackfillRules, *, most: int | None = None) -> BackfillReport:
    """Store the deliveries, some comments in a transaction. It may be killed at any time and run again.

    It stops after about `most` deliveries. Raises Refused if the webhook is deleted or changed meanwhile.
    """
    report, last = BackfillReport(), ""
    while most is None or report.deliveries < most:
        row_ids, stored = database.retry_on_deadlock(partial(_store, webhook_id, rules, last))
        if not row_ids:
            break
        last = row_ids[-1]
        report.events += stored.events
        report.comments += stored.comments
        report.seen += len(row_ids)
        rules.after_chunk(len(row_ids))
    return report


def _store(webhook_id: str, rules: BackfillRules, after: str) -> tuple[Sequence[str], BackfillReport]:
    """Store the deliveries about the next comments; return these and what was stored."""
    report = BackfillReport()
    with database.writing() as session:
        webhook = session.get(Webhook, webhook_id, populate_existing=True)
        if webhook is None:
            raise Refused("The webhook was deleted meanwhile.")
        _refuse_other_events(webhook)
        row_ids = _next(session, rules.since, after, STORED_TOGETHER)
        missing = _missing(session, webhook, book.lock(session, row_ids), rules, report)
        for one in missing:
            announcements.tell(
                session, one.event, one.comment, rules.settings, only={webhook_id}, past=one.past, **one.more
            )
        _count(missing, report)
        if not after:  # one entry, however many transactions follow
            since = f"since {clock.to_text(rules.since)}"
            audit_log.record_row(session, "backfilled", webhook, since)
    return row_ids, report


def _refuse_other_events(webhook: Webhook) -> None:
    if not _wanted(webhook):
        known = ", ".join(BACKFILLED_EVENTS)
        raise Refused(f"This webhook gets {webhook.events.replace(' ', ', ')}. Past events are {known}.")


def _wanted(webhook: Webhook) -> list[str]:
    return [event for event in BACKFILLED_EVENTS if event in webhook.events.split()]


def _next(session: Session, since: datetime, after: str, limit: int) -> Sequence[str]:
    """Return the ids of the next comments that may have events since then."""
    query = select(Comment.id).outerjoin(Origin).outerjoin(Reply)
    happened = or_(_announced_at() >= since, Reply.created_at >= since)
    goes_out = or_(Origin.comment_id.is_(None), Origin.told_at.is_not(None))  # as Comment.goes_to_webhooks
    query = query.where(_is_known(), goes_out, happened, Comment.id > after)
    return session.scalars(query.order_by(Comment.id).limit(limit)).all()


def _announced_at() -> ColumnElement[Any]:
    return func.coalesce(Comment.announced_at, Comment.created_at, type_=Comment.created_at.type)


def _is_known() -> ColumnElement[bool]:
    return Comment.status.in_(KNOWN_STATUSES)


def _missing(
    session: Session,
    webhook: Webhook,
    comments: Sequence[Comment],
    rules: BackfillRules,
    report: BackfillReport,
) -> list[_Missing]:
    """Return the events that the webhook wants and has not had, in order; count the others."""
    stored, found = _deliveries(session, comments), []
    now = clock.now()
    kept = timedelta(days=min(rules.settings.keep_processed_days, rules.settings.keep_failed_days))
    for comment in comments:
        for event, at in _events_of(comment, webhook, rules):
            rows = [row for row in stored[comment.id, event] if _is_of(row, event, at)]
            mine = [row for row in rows if row.webhook_id == webhook.id]
            if any(row.last_error != erasure.SUPERSEDED for row in mine):
                report.present += 1
            elif not rules.pruned_too and webhook.created_at <= at <= now - kept:
                report.pruned += 1
            else:
                found.append(_Missing(comment, event, PastEvent(at, _event_id(rows, webhook.id))))
    return found


def _events_of(comment: Comment, webhook: Webhook, rules: BackfillRules) -> Iterator[tuple[str, datetime]]:
    """Give each event of the comment since then that the webhook wants, and when it happened."""
    if not comment.is_known or not comment.goes_to_webhooks:
        return  # it was moved since it was found
    announced_at = comment.announced_at or comment.created_at
    times = {
        "comment.created": announced_at,
        "comment.published": announced_at if comment.status == "published" else None,
        "comment.replied": comment.reply.created_at if comment.reply else None,
    }
    data = {"comment": comment.public(rules.settings.base_url)}
    for event in _wanted(webhook):
        at = times[event]
        if at and at >= rules.since and formats.concerns(webhook.format, event, data):
            yield event, at


def _deliveries(
    session: Session, comments: Sequence[Comment]
) -> defaultdict[tuple[str, str], list[Row[Any]]]:
    """Return the deliveries about the comments, by comment and event, the oldest first."""
    columns = Delivery.comment_id, Delivery.event, Delivery.webhook_id, Delivery.event_id
    query: Any = select(*columns, Delivery.created_at, Delivery.last_error, Delivery.erased_at)
    about = Delivery.comment_id.in_([comment.id for comment in comments])
    query = query.where(about, Delivery.event.in_(BACKFILLED_EVENTS)).order_by(Delivery.id)
    found: defaultdict[tuple[str, str], list[Row[Any]]] = defaultdict(list)
    for row in session.execute(query) if comments else ():
        found[row.comment_id, row.event].append(row)
    return found


def _is_of(row: Row[Any], event: str, at: datetime) -> bool:
    """Whether a delivery is of this event: an earlier answer was another event."""
    return event != "comment.replied" or row.created_at >= at


def _event_id(rows: Sequence[Row[Any]], webhook_id: str) -> str | None:
    """Return the id that the event has in the newest delivery to another webhook."""
    others = [row.event_id for row in rows if row.webhook_id != webhook_id and row.erased_at is None]
    return others[-1] if others else None


def _count(missing: Sequence[_Missing], report: BackfillReport) -> None:
    report.events.update(one.event for one in missing)
    report.comments += len({one.comment.id for one in missing})
