"""How webhooks are doing: their status in words, and the figures of their latest attempts."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session, defer

from guestbook.lib import clock, ids, retry_policy
from guestbook.lib.text import counted
from guestbook.queries import health
from guestbook.queries.overview import DAY, DAYS, HOUR, HOURS, Bar
from guestbook.storage.models import FIRST_DUE, Attempt, Delivery, Webhook

UNREADABLE_WEBHOOK = "Its secrets cannot be decrypted with this secret key"


@dataclass(frozen=True, slots=True)
class WebhookStatus:
    """The status of a webhook. Counts end at COUNT_LIMIT and one, which means more than that."""

    webhook: Webhook
    word: str  # well, failing, paused or disabled
    sentence: str
    waiting: int


def all_of(session: Session, now: datetime) -> list[WebhookStatus]:
    """Return the status of all webhooks, the oldest first."""
    rows = session.execute(select(Webhook, FIRST_DUE).order_by(Webhook.id))
    return [_status(session, webhook, now, first_due) for webhook, first_due in rows]


def of(session: Session, webhook: Webhook, now: datetime) -> WebhookStatus:
    """Return the status of one webhook."""
    first_due = session.scalar(select(FIRST_DUE).where(Webhook.id == webhook.id))
    return _status(session, webhook, now, first_due)


def word(webhook: Webhook, now: datetime) -> str:
    """Return its status in one word: well, failing, paused or disabled."""
    if webhook.disabled_at:
        return "disabled"
    if webhook.is_unreadable(now) or webhook.is_paused(now):
        return "paused"
    return "failing" if webhook.failing_since else "well"


def in_short(webhook: Webhook, now: datetime) -> str:
    """Return its status in a few words."""
    if webhook.disabled_at:
        return {
            "by_hand": "disabled by hand",
            "failing": "disabled: no success for days",
            "gone": "disabled: the receiver said it is gone",
        }[webhook.disabled_reason or "by_hand"]
    if webhook.is_unreadable(now):
        return "paused: wrong secret key"
    if webhook.is_paused(now):
        return f"paused until {clock.to_text(webhook.paused_until or now)}"
    if webhook.failing_since:
        return f"failing since {clock.to_text(webhook.failing_since)}"
    return "well"


def hindrance(webhook: Webhook, now: datetime, what: str = "ping") -> str | None:
    """Say why a ping, or what it is, has to wait, and for how long; None if it is sent now."""
    if webhook.disabled_at:
        return f"The webhook is disabled: the {what} waits until it is enabled."
    if webhook.is_unreadable(now):
        return f"{UNREADABLE_WEBHOOK}. The {what} waits for the right one."
    if webhook.is_paused(now):
        return f"The webhook is paused: the {what} waits until {_clock_time(webhook.paused_until)}."
    return f"The {what} waits until its receiver fetches it." if webhook.is_pulled else None


def _status(session: Session, webhook: Webhook, now: datetime, first_due: datetime | None) -> WebhookStatus:
    mine = (Delivery.webhook_id == webhook.id) & Delivery.due_at.is_not(None)
    waiting = health.count_some(session, mine, Delivery)
    if webhook.disabled_at:
        return WebhookStatus(webhook, "disabled", _why_disabled(webhook, waiting), waiting)
    if webhook.is_unreadable(now):
        waits = f": {_wait(waiting, 'for the right secret key')}" if waiting else ", and nothing waits"
        return WebhookStatus(webhook, "paused", f"{UNREADABLE_WEBHOOK}{waits}.", waiting)
    if webhook.is_paused(now):
        return WebhookStatus(webhook, "paused", _why_paused(webhook, waiting), waiting)
    if webhook.failing_since:
        return WebhookStatus(webhook, "failing", _why_failing(webhook, now, first_due), waiting)
    if webhook.is_pulled:
        waits = f"and {_wait(waiting, 'to be fetched')}" if waiting else "and nothing waits"
        return WebhookStatus(webhook, "well", f"Its receiver fetches the deliveries, {waits}.", waiting)
    waits = "nothing waits for it" if not waiting else _wait(waiting, "to be sent")
    return WebhookStatus(webhook, "well", f"Nothing is wrong, and {waits}.", waiting)


def _why_disabled(webhook: Webhook, waiting: int) -> str:
    how, why = {
        "by_hand": (" by hand", ""),
        "failing": ("", " because it had no success for five days"),
        "gone": ("", " because its receiver said that it is gone"),
    }[webhook.disabled_reason or "by_hand"]
    since = clock.ago(webhook.disabled_at) if webhook.disabled_at else ""
    waits = "Nothing waits for it" if not waiting else f"Its {_wait(waiting, 'until it is enabled')}"
    return f"Disabled{how} {since}{why}. {waits}."


def _why_paused(webhook: Webhook, waiting: int) -> str:
    until = _clock_time(webhook.paused_until)
    waits = f" Its {_wait(waiting, 'until then')}." if waiting else ""
    if webhook.was_paused_as_unreadable:
        return f"Paused until {until}, because its secrets could not be decrypted. Now they can.{waits}"
    if webhook.unreachable_in_a_row < retry_policy.PAUSE_AFTER:
        return f"Paused until {until}, as the receiver requested.{waits}"
    times = f"{webhook.unreachable_in_a_row} times in a row"
    return (
        f"{_failing(webhook)}. Paused until {until}, because the receiver could not be reached {times}; "
        f"next probe then.{waits}"
    )


def _why_failing(webhook: Webhook, now: datetime, first_due: datetime | None) -> str:
    count = webhook.failures_in_a_row
    failures = f"{_failing(webhook)} ({counted(count, 'failure')} in a row)"
    if first_due is None:
        return f"{failures}; nothing waits, so the next event is the next probe."
    probe = "its receiver may fetch the next one" if webhook.is_pulled else "next probe"
    return f"{failures}; {probe} {clock.ago(first_due) if first_due > now else 'now'}."


def _failing(webhook: Webhook) -> str:
    if not webhook.failing_since:
        return "Failing"
    age = clock.ago(webhook.failing_since)
    return f"Failing for {age.removesuffix(' ago')}" if age.endswith(" ago") else "Failing since just now"


def _wait(waiting: int, for_what: str) -> str:
    return health.waiting_words(waiting, "delivery", "deliveries", for_what)


def _clock_time(moment: datetime | None) -> str:
    return f"{moment:%H:%M} UTC ({clock.ago(moment)})" if moment else ""


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


def attempts_of(session: Session, webhook_id: str, now: datetime) -> WebhookAttempts:
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


def coming_deliveries(session: Session, webhook_id: str) -> Sequence[Delivery]:
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
