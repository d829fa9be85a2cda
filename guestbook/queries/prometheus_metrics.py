"""The figures for Prometheus, cheap on a large book: https://prometheus.io/docs/practices/naming/.

Gauges count rows, which are deleted some day. Counters and the histogram are of `attempt_counts`, to which
passes add in the transaction that records their attempts. So they are right whatever was killed or pruned.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from guestbook.lib import VERSION
from guestbook.queries import cron_status, webhook_status
from guestbook.queries.statistics import COUNT_LIMIT, M, count_some
from guestbook.storage.models import AttemptCount, Comment, Delivery, InboundEvent, Pass, Webhook
from guestbook.storage.models.comment import COMMENT_STATUSES
from guestbook.storage.models.delivery import QUEUE_STATUSES, TIME_BOUNDS

PREFIX = "guestbook_"
Labels = tuple[tuple[str, str], ...]
STATES = ("well", "failing", "paused", "disabled")  # A webhook is in one of these.
OUTCOMES = ("processed", "retried", "failed")  # An attempt has one of these for its delivery.
COUNTING_ENDS = f"Counting stops at {COUNT_LIMIT + 1}."


@dataclass(frozen=True, slots=True)
class Metric:
    """A gauge, a counter or a histogram; its samples are the end of a name with labels → number."""

    name: str
    meaning: str
    samples: Mapping[tuple[str, Labels], float]
    kind: str = "gauge"


def read(session: Session, now: datetime) -> list[Metric]:
    """Return all figures. Those of the last pass are missing before the first one."""
    open_now = select(Webhook.id).where(Webhook.open_at(now))
    due = Delivery.webhook_id.in_(open_now) & (Delivery.due_at <= now)
    oldest = cron_status.read(session, now).oldest_due_age or 0
    webhooks = session.scalars(select(Webhook).order_by(Webhook.id)).all()
    words = [webhook_status.word(row, now) for row in webhooks]
    return [
        _gauge("info", "The version of the program.", {(("version", VERSION),): 1}),
        _by_status(session, "comments", Comment, COMMENT_STATUSES),
        _by_status(session, "deliveries", Delivery, QUEUE_STATUSES),
        _by_status(session, "inbound_events", InboundEvent, QUEUE_STATUSES),
        _gauge("webhooks", "Webhooks by state.", {(("state", one),): words.count(one) for one in STATES}),
        _gauge(
            "deliveries_due",
            f"Deliveries that the next pass sends. {COUNTING_ENDS}",
            {(): count_some(session, due, Delivery)},
        ),
        _gauge(
            "oldest_due_age_seconds",
            "How long the oldest due delivery has waited; 0 without one.",
            {(): oldest},
        ),
        *_last_pass(session, now),
        *_attempts(session, webhooks),
    ]


def _gauge(name: str, meaning: str, values: Mapping[Labels, float]) -> Metric:
    return Metric(PREFIX + name, meaning, {("", labels): value for labels, value in values.items()})


def _by_status(session: Session, name: str, model: type[M], statuses: Iterable[str]) -> Metric:
    counts: dict[Labels, float] = {
        (("status", one),): count_some(session, model.status == one, model) for one in statuses
    }
    return _gauge(name, f"Rows by status. {COUNTING_ENDS}", counts)


def _last_pass(session: Session, now: datetime) -> list[Metric]:
    """Return how the last pass went that came to its end."""
    last = cron_status.last_pass(session, Pass.finished_at <= now)
    if last is None or last.finished_at is None:
        return []
    age = (now - last.finished_at).total_seconds()
    seconds = (last.finished_at - last.started_at).total_seconds()
    outcomes: dict[Labels, float] = {(("outcome", one),): getattr(last, one) for one in OUTCOMES}
    return [
        _gauge("last_pass_age_seconds", "Since the end of the last pass.", {(): age}),
        _gauge("last_pass_duration_seconds", "How long the last pass took.", {(): max(0.0, seconds)}),
        _gauge("last_pass_deliveries", "Deliveries of the last pass by outcome.", outcomes),
    ]


def _attempts(session: Session, webhooks: Sequence[Webhook]) -> list[Metric]:
    """Return the counters of each webhook. Two may have one name, so the id stands beside it."""
    outcomes, bounds, times = Counter[tuple[str, str]](), Counter[tuple[str, int]](), Counter[str]()
    for row in session.scalars(select(AttemptCount)):
        outcomes[row.webhook_id, row.outcome] += row.number
        bounds[row.webhook_id, row.bound] += row.number
        times[row.webhook_id] += row.milliseconds
    made: dict[tuple[str, Labels], float] = {}
    took: dict[tuple[str, Labels], float] = {}
    for webhook in webhooks:
        labels: Labels = (("webhook", webhook.name), ("webhook_id", webhook.id))
        made |= {("", (*labels, ("outcome", one))): outcomes[webhook.id, one] for one in OUTCOMES}
        number = 0
        for bound in (*TIME_BOUNDS, 0):
            number += bounds[webhook.id, bound]
            took["_bucket", (*labels, ("le", str(bound / 1000) if bound else "+Inf"))] = number
        took |= {("_count", labels): number, ("_sum", labels): times[webhook.id] / 1000}
    return [
        Metric(
            f"{PREFIX}attempts_total",
            "Attempts by what became of the delivery: processed, retried or failed.",
            made,
            "counter",
        ),
        Metric(f"{PREFIX}attempt_duration_seconds", "How long attempts took.", took, "histogram"),
    ]
