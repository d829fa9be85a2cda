"""Send a webhook the past events that it has not had, made from the comments that the book has now.

    look, by primary key ──▶ some comments with missing events ──▶ transaction: lock, look again, store
       ▲                                                                           │
       └───────────────────── go on after the last comment ◀───────────────────────┘

The events have the comment's present words, so nothing that was deleted or corrected goes out, and nothing is
left out because old deliveries were pruned. An event that another webhook's delivery still has keeps its id.
Each takes the comment's next sequence. First come `forecast` and `run`, then how they find what is missing.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from operator import attrgetter
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Row, func, or_, select
from sqlalchemy.orm import Session

from guestbook.comments import comment_actions, events_and_reminders
from guestbook.lib import clock
from guestbook.lib.errors import Refused
from guestbook.outbound import formats
from guestbook.outbound.event_publisher import PastEvent
from guestbook.queue import claims, deleted_comments
from guestbook.settings import Settings
from guestbook.storage import audit_log, database
from guestbook.storage.database import db
from guestbook.storage.models import BY_COMMENT, Comment, Delivery, Origin, Reply, Webhook
from guestbook.storage.models.comment import KNOWN_STATUSES

BACKFILLED_EVENTS = ("comment.created", "comment.published", "comment.replied")
READ_TOGETHER = 500  # comments
LOOKED_AT_ONCE = 100_000  # comments with events since then that one request looks at: it must end soon
STORED_TOGETHER = 50  # comments of one transaction: a visitor waits for no more than that


class MissingEvent(NamedTuple):
    """An event that the webhook has not had."""

    comment_id: str
    event: str
    past: PastEvent


@dataclass(slots=True)
class BackfillReport:
    """What a backfill has sent, or would send."""

    events: Counter[str] = field(default_factory=Counter)  # deliveries by event
    comments: int = 0
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


@dataclass(frozen=True, slots=True)
class BackfillRules:
    """Which past events, where in the book to begin and about where to end, and what to call meanwhile."""

    since: datetime
    settings: Settings
    pruned_too: bool = False  # Those whose delivery may have been pruned count too.
    after: str = ""  # the id of the last comment that is left out
    most_deliveries: float = math.inf
    most_comments: float = math.inf  # comments with events since then
    # It gets the number of comments that were read.
    after_look: Callable[[int], None] = lambda _comments: None

    def is_enough(self, report: BackfillReport) -> bool:
        """Whether to end here."""
        return report.deliveries >= self.most_deliveries or report.seen >= self.most_comments


def comments_in_book() -> int:
    """Return how many comments all looks of a backfill read."""
    count = db.session.scalar(select(func.count()).select_from(Comment)) or 0
    database.end(db.session())
    return count


def forecast(webhook_id: str, rules: BackfillRules) -> BackfillReport:
    """Count what `run` would send.

    No transaction is open between two looks and at the end. Raises Refused as `run` does.
    """
    report = BackfillReport()
    for missing, last, _ in _looks(webhook_id, rules, report):
        report.add(missing)
        if rules.is_enough(report):
            report.next_after = last
            break
    return report


def run(webhook_id: str, rules: BackfillRules) -> BackfillReport:
    """Store the deliveries, some comments in a transaction. It may be killed at any time and run again.

    Raises Refused if the webhook is deleted meanwhile, or wants none of these events.
    """
    report = BackfillReport()
    for missing, last, number in _looks(webhook_id, rules, report):
        comment_ids = list(dict.fromkeys(one.comment_id for one in missing))
        for start in range(0, len(comment_ids), STORED_TOGETHER):
            some = comment_ids[start : start + STORED_TOGETHER]
            is_first = not report.deliveries
            report.add(database.retry_conflicts(partial(_store, webhook_id, rules, some, is_first=is_first)))
            if report.deliveries >= rules.most_deliveries:
                report.next_after = some[-1]
                return report
        rules.after_look(number)
        if rules.is_enough(report):
            report.next_after = last
            break
    return report


def _looks(
    webhook_id: str, rules: BackfillRules, report: BackfillReport
) -> Iterator[tuple[list[MissingEvent], str, int]]:
    """Look through the book in the order of ids, so that each look is a range of the primary key.

    Yield what is missing, the last comment that was read, and how many were.
    """
    session, after = db.session(), rules.after
    while True:
        database.end(session)  # A reader would keep SQLite's rollback journal from being written.
        webhook = _webhook(session, webhook_id)
        last, number = next_comments(session, after)
        if last is None:
            database.end(session)
            return
        comments = with_events(session, rules.since, Comment.id > after, Comment.id <= last)
        missing = missing_events(session, webhook, comments, rules, report)
        database.end(session)
        yield missing, last, number
        after = last


def _store(
    webhook_id: str, rules: BackfillRules, comment_ids: Sequence[str], *, is_first: bool
) -> list[MissingEvent]:
    """Store what the webhook has not had of these comments, and return it.

    Others may have changed the comments or have stored the same since the look, so it looks again when it has
    the comments' locks. Two backfills never store the same event.
    """
    with database.writing() as session:
        webhook = _webhook(session, webhook_id)
        comments = {comment.id: comment for comment in comment_actions.lock(session, comment_ids)}
        still = with_events(session, rules.since, Comment.id.in_(comments))
        missing = missing_events(session, webhook, still, rules, BackfillReport(), with_ids=True)
        made = []  # A condition may leave out the others.
        for one in missing:
            comment = comments[one.comment_id]
            reply, only = comment.reply if one.event == "comment.replied" else None, {webhook_id}
            about = one.event, comment, rules.settings, reply
            if events_and_reminders.tell(session, *about, only=only, past=one.past):
                made.append(one)
        if made and is_first:  # There is one entry, however many transactions follow.
            since = f"since {clock.to_text(rules.since)}"
            audit_log.record(session, "backfilled", "webhook", webhook.id, webhook.name, detail=since)
    return made


def _webhook(session: Session, webhook_id: str) -> Any:
    """Return the parts of a webhook that count here; raises Refused."""
    columns = Webhook.id, Webhook.name, Webhook.format, Webhook.events, Webhook.created_at
    webhook = session.execute(select(*columns).where(Webhook.id == webhook_id)).one_or_none()
    if webhook is None:
        raise Refused("The webhook was deleted meanwhile.")
    if not set(BACKFILLED_EVENTS) & set(webhook.events.split()):
        known = ", ".join(BACKFILLED_EVENTS)
        raise Refused(f"This webhook gets {webhook.events.replace(' ', ', ')}. Past events are {known}.")
    return webhook


def next_comments(session: Session, after: str) -> tuple[str | None, int]:
    """Return the last id of the comments that the next look reads, and their number; (None, 0) at the end."""
    some = select(Comment.id).where(Comment.id > after).order_by(Comment.id).limit(READ_TOGETHER).subquery()
    last, number = session.execute(select(func.max(some.c.id), func.count())).one()
    return last, number


def with_events(session: Session, since: datetime, *which: ColumnElement[bool]) -> Sequence[Any]:
    """Return those of the comments that have events since then, by id, without their words."""
    announced_at = func.coalesce(Comment.announced_at, Comment.created_at, type_=Comment.created_at.type)
    columns = Comment.id, Comment.status, announced_at.label("announced_at"), Comment.website
    origin, replied_at = Origin.comment_id.is_not(None), Reply.created_at.label("replied_at")
    query = select(*columns, origin.label("has_origin"), replied_at).outerjoin(Origin).outerjoin(Reply)
    happened = or_(announced_at >= since, Reply.created_at >= since)
    # It says what Comment.goes_to_webhooks says.
    goes_out = or_(Origin.comment_id.is_(None), Origin.told_at.is_not(None))
    query = query.where(*which, Comment.status.in_(KNOWN_STATUSES), goes_out, happened)
    return session.execute(query.order_by(Comment.id)).all()


def missing_events(
    session: Session,
    webhook: Any,
    comments: Sequence[Any],
    rules: BackfillRules,
    report: BackfillReport,
    *,
    with_ids: bool = False,
) -> list[MissingEvent]:
    """Return the events that the webhook wants and has not had, and count all the others.

    `with_ids` also finds the ids that the events have in deliveries to other webhooks.
    """
    stored = _deliveries(session, comments, None if with_ids else webhook.id)
    kept_days = min(rules.settings.keep_processed_days, rules.settings.keep_failed_days)
    pruned_until = clock.now() - timedelta(days=kept_days)
    report.seen += len(comments)
    found = []
    for comment in comments:
        for event, at in _events_of(comment, webhook, rules.since):
            rows = stored[comment.id, event]
            if event == "comment.replied":  # An earlier answer was another event.
                rows = [row for row in rows if row.created_at >= at]
            had = (row for row in rows if row.webhook_id == webhook.id)
            if any(row.last_error != deleted_comments.SUPERSEDED for row in had):
                report.present += 1
            elif not rules.pruned_too and webhook.created_at <= at <= pruned_until:
                report.pruned += 1
            else:
                found.append(MissingEvent(comment.id, event, PastEvent(at, _event_id(rows, webhook.id))))
    return found


def _event_id(rows: Sequence[Row[Any]], webhook_id: str) -> str | None:
    """Return the id that the event has in the newest delivery to another webhook."""
    others = [row for row in rows if row.webhook_id != webhook_id and row.erased_at is None]
    return max(others, key=attrgetter("id")).event_id if others else None


def _events_of(comment: Any, webhook: Any, since: datetime) -> Iterator[tuple[str, datetime]]:
    """Give each event of the comment since then that the webhook wants, and when it happened."""
    times = {
        "comment.created": comment.announced_at,
        "comment.published": comment.announced_at if comment.status == "published" else None,
        "comment.replied": comment.replied_at,
    }
    data = {"comment": {"website": comment.website, "origin": comment.has_origin}}
    for event, at in times.items():
        wanted = event in webhook.events.split()
        if wanted and at and at >= since and formats.concerns(webhook.format, event, data):
            yield event, at


def _deliveries(
    session: Session, comments: Sequence[Any], webhook_id: str | None
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
    for row in session.execute(claims.use_index(query, Delivery, BY_COMMENT)) if comments else ():
        found[row.comment_id, row.event].append(row)
    return found
