"""The past events that a webhook has not had, found a few comments at a time.

    comments since then ──▶ comment.created ──▶ comment.published ──▶ comment.replied
                            published or held    published alone       with the answer that stands there

A webhook gets of these what it wants and has no delivery of.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Row, func, or_, select
from sqlalchemy.orm import Session

from guestbook.lib import clock
from guestbook.outbound import formats
from guestbook.outbound.outbox import PastEvent
from guestbook.queue import erasure, leases
from guestbook.settings import Settings
from guestbook.storage.models import BY_COMMENT, Comment, Delivery, Origin, Reply
from guestbook.storage.models.comment import KNOWN_STATUSES

BACKFILLED_EVENTS = ("comment.created", "comment.published", "comment.replied")  # in this order
READ_TOGETHER = 10_000  # comments of the book, of which few may have events since then


class PastComment(NamedTuple):
    """What decides which past events a comment has: far less than the comment."""

    id: str
    status: str
    announced_at: datetime
    replied_at: datetime | None
    website: str | None
    has_origin: bool


class MissingEvent(NamedTuple):
    """An event that the webhook has not had."""

    comment_id: str
    event: str
    past: PastEvent


@dataclass(frozen=True, slots=True)
class BackfillRules:
    """Which past events, and what to call meanwhile."""

    since: datetime
    settings: Settings
    pruned_too: bool = False  # also those whose delivery to this webhook may have been pruned
    after_look: Callable[[int], None] = lambda _comments: None  # with the number of comments that it read

    @property
    def pruned_until(self) -> datetime:
        """Return until when deliveries may have been pruned."""
        days = min(self.settings.keep_processed_days, self.settings.keep_failed_days)
        return clock.now() - timedelta(days=days)


@dataclass(slots=True)
class BackfillReport:
    """What a backfill has sent, or would send."""

    events: Counter[str] = field(default_factory=Counter)  # deliveries by event
    comments: int = 0  # that these are about
    present: int = 0  # events of which the webhook has a delivery
    pruned: int = 0  # events that were left out because their delivery may have been pruned
    seen: int = 0  # comments with events since then
    next_after: str | None = None  # it ended after the comment with this id; None at the end of the book

    @property
    def deliveries(self) -> int:
        """Return the number of deliveries."""
        return self.events.total()

    def add(self, missing: Sequence[MissingEvent]) -> None:
        """Count missing events, those of a comment together."""
        self.events.update(one.event for one in missing)
        self.comments += len({one.comment_id for one in missing})


def wanted(webhook: Any) -> list[str]:
    """Return the events that a webhook can be sent later, in order."""
    return [event for event in BACKFILLED_EVENTS if event in webhook.events.split()]


def next_comments(session: Session, after: str) -> tuple[str | None, int]:
    """Return the last id of the comments that the next look reads, and their number; (None, 0) at the end."""
    some = select(Comment.id).where(Comment.id > after).order_by(Comment.id).limit(READ_TOGETHER).subquery()
    last, number = session.execute(select(func.max(some.c.id), func.count())).one()
    return last, number


def with_events(session: Session, since: datetime, *which: ColumnElement[bool]) -> list[PastComment]:
    """Return those of the comments that have events since then, by id."""
    announced_at = func.coalesce(Comment.announced_at, Comment.created_at, type_=Comment.created_at.type)
    columns = Comment.id, Comment.status, announced_at, Reply.created_at, Comment.website
    query = select(*columns, Origin.comment_id.is_not(None)).outerjoin(Origin).outerjoin(Reply)
    happened = or_(announced_at >= since, Reply.created_at >= since)
    goes_out = or_(Origin.comment_id.is_(None), Origin.told_at.is_not(None))  # as Comment.goes_to_webhooks
    query = query.where(*which, Comment.status.in_(KNOWN_STATUSES), goes_out, happened)
    return [PastComment(*row) for row in session.execute(query.order_by(Comment.id))]


def missing(
    session: Session,
    webhook: Any,
    comments: Sequence[PastComment],
    rules: BackfillRules,
    report: BackfillReport,
    *,
    with_ids: bool = False,
) -> Iterator[list[MissingEvent]]:
    """Give, for each comment, the events that the webhook wants and has not had; count all the others.

    `with_ids` also finds the ids that the events have in deliveries to other webhooks.
    """
    stored = _deliveries(session, comments, None if with_ids else webhook.id)
    pruned_until = rules.pruned_until
    for comment in comments:
        report.seen += 1
        found = []
        for event, at in _events_of(comment, webhook, rules.since):
            rows = [row for row in stored[comment.id, event] if _is_of(row, event, at)]
            mine = [row for row in rows if row.webhook_id == webhook.id]
            if any(row.last_error != erasure.SUPERSEDED for row in mine):
                report.present += 1
            elif not rules.pruned_too and webhook.created_at <= at <= pruned_until:
                report.pruned += 1
            else:
                found.append(MissingEvent(comment.id, event, PastEvent(at, _event_id(rows, webhook.id))))
        yield found


def _events_of(comment: PastComment, webhook: Any, since: datetime) -> Iterator[tuple[str, datetime]]:
    """Give each event of the comment since then that the webhook wants, and when it happened."""
    times = {
        "comment.created": comment.announced_at,
        "comment.published": comment.announced_at if comment.status == "published" else None,
        "comment.replied": comment.replied_at,
    }
    data = {"comment": {"website": comment.website, "origin": comment.has_origin}}
    for event in wanted(webhook):
        at = times[event]
        if at and at >= since and formats.concerns(webhook.format, event, data):
            yield event, at


def _deliveries(
    session: Session, comments: Sequence[PastComment], webhook_id: str | None
) -> defaultdict[tuple[str, str], list[Row[Any]]]:
    """Return the deliveries about the comments, to one webhook or to all, by comment and event.

    They have no order: SQLite would read all deliveries of the webhook to give one.
    """
    columns = Delivery.id, Delivery.comment_id, Delivery.event, Delivery.webhook_id, Delivery.event_id
    query: Any = select(*columns, Delivery.created_at, Delivery.last_error, Delivery.erased_at)
    about = Delivery.comment_id.in_([comment.id for comment in comments])
    query = query.where(about, Delivery.event.in_(BACKFILLED_EVENTS))
    if webhook_id:
        query = query.where(Delivery.webhook_id == webhook_id)
    found: defaultdict[tuple[str, str], list[Row[Any]]] = defaultdict(list)
    for row in session.execute(leases.use_index(query, Delivery, BY_COMMENT)) if comments else ():
        found[row.comment_id, row.event].append(row)
    return found


def _is_of(row: Row[Any], event: str, at: datetime) -> bool:
    """Whether a delivery is of this event: an earlier answer was another event."""
    return event != "comment.replied" or row.created_at >= at


def _event_id(rows: Sequence[Row[Any]], webhook_id: str) -> str | None:
    """Return the id that the event has in the newest delivery to another webhook."""
    others = [row for row in rows if row.webhook_id != webhook_id and row.erased_at is None]
    return max(others, key=attrgetter("id")).event_id if others else None
