"""The figures of the first admin page: what waits, what failed, each webhook, the latest comments."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median

from sqlalchemy import ColumnElement, Row, case, func, select
from sqlalchemy.orm import Session

from guestbook.queries import bounded_counts, lists, outcomes, waiting_comments
from guestbook.queries.outcomes import Bar
from guestbook.storage.models import Attempt, Comment, Delivery, InboundEvent, Source, Webhook

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
    by_hour = outcomes.hours(session, now)
    published = select(Comment).where(Comment.status == "published")
    return Overview(
        hours=by_hour,
        days=outcomes.days(session, now, by_hour),
        webhooks=[_activity(session, webhook, now) for webhook in webhooks[:SHOWN_WEBHOOKS]],
        has_more=len(webhooks) > SHOWN_WEBHOOKS,
        waiting=bounded_counts.count_some(session, Delivery.status == "new", Delivery),
        failed=bounded_counts.count_some(session, Delivery.status == "failed", Delivery),
        held=bounded_counts.count_some(session, Comment.status == "held", Comment),
        held_since=waiting_comments.oldest(session),
        comments=list(session.scalars(published.order_by(Comment.id.desc()).limit(LATEST_ROWS))),
        given_up=lists.with_webhook_names(
            session, Delivery.status == "failed", LATEST_ROWS, last=Delivery.finished_at
        ),
        has_comments=session.scalar(select(Comment.id).limit(1)) is not None,
        has_sources=session.scalar(select(Source.id).limit(1)) is not None,
        came_in=bounded_counts.count_some(session, InboundEvent.status == "new", InboundEvent),
        came_in_vain=bounded_counts.count_some(session, InboundEvent.status == "failed", InboundEvent),
    )


def _activity(session: Session, webhook: Webhook, now: datetime) -> WebhookActivity:
    mine = Delivery.webhook_id == webhook.id
    waiting = select(Delivery.due_at).where(mine, Delivery.due_at.is_not(None)).order_by(Delivery.due_at)
    some = waiting.limit(bounded_counts.COUNT_LIMIT + 1).subquery()
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
