"""The figures for Prometheus, cheap on a large book: https://prometheus.io/docs/practices/naming/."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from guestbook.lib.version import VERSION
from guestbook.queries import health, webhook_status
from guestbook.queries.bounded_counts import COUNT_LIMIT, M, count_some
from guestbook.storage.models import Comment, Delivery, InboundEvent, Pass, Webhook
from guestbook.storage.models.comment import COMMENT_STATUSES
from guestbook.storage.models.queue_row import QUEUE_STATUSES

PREFIX = "guestbook_"
Labels = tuple[tuple[str, str], ...]
STATES = ("well", "failing", "paused", "disabled")  # of a webhook
COUNTING_ENDS = f"Counting stops at {COUNT_LIMIT + 1}."


@dataclass(frozen=True, slots=True)
class Metric:
    """A gauge; its samples are labels with their values → number."""

    name: str
    meaning: str
    samples: Mapping[Labels, float]


def read(session: Session, now: datetime) -> list[Metric]:
    """Return all figures. Those of the last pass are missing before the first one."""
    open_now = select(Webhook.id).where(Webhook.open_at(now))
    due = Delivery.webhook_id.in_(open_now) & (Delivery.due_at <= now)
    oldest = health.read(session, now).oldest_due_age or 0
    return [
        Metric(f"{PREFIX}info", "The version of the program.", {(("version", VERSION),): 1}),
        _by_status(session, "comments", Comment, COMMENT_STATUSES),
        _by_status(session, "deliveries", Delivery, QUEUE_STATUSES),
        _by_status(session, "inbound_events", InboundEvent, QUEUE_STATUSES),
        _webhooks(session, now),
        _one(
            "deliveries_due",
            f"Deliveries that the next pass sends. {COUNTING_ENDS}",
            count_some(session, due, Delivery),
        ),
        _one("oldest_due_age_seconds", "How long the oldest due delivery has waited; 0 without one.", oldest),
        *_last_pass(session, now),
    ]


def _one(name: str, meaning: str, value: float) -> Metric:
    return Metric(PREFIX + name, meaning, {(): value})


def _by_status(session: Session, name: str, model: type[M], statuses: Iterable[str]) -> Metric:
    counts: dict[Labels, float] = {
        (("status", one),): count_some(session, model.status == one, model) for one in statuses
    }
    return Metric(PREFIX + name, f"Rows by status. {COUNTING_ENDS}", counts)


def _webhooks(session: Session, now: datetime) -> Metric:
    words = [webhook_status.word(row, now) for row in session.scalars(select(Webhook))]
    return Metric(
        f"{PREFIX}webhooks", "Webhooks by state.", {(("state", one),): words.count(one) for one in STATES}
    )


def _last_pass(session: Session, now: datetime) -> list[Metric]:
    """Return how the last pass went that came to its end."""
    last = health.last_pass(session, Pass.finished_at <= now)
    if last is None or last.finished_at is None:
        return []
    outcomes: dict[Labels, float] = {
        (("outcome", one),): getattr(last, one) for one in ("processed", "retried", "failed")
    }
    seconds = (last.finished_at - last.started_at).total_seconds()
    return [
        _one(
            "last_pass_age_seconds",
            "Since the end of the last pass.",
            (now - last.finished_at).total_seconds(),
        ),
        _one("last_pass_duration_seconds", "How long the last pass took.", max(0.0, seconds)),
        Metric(f"{PREFIX}last_pass_deliveries", "Deliveries of the last pass by outcome.", outcomes),
    ]
