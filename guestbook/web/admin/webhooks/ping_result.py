"""A ping as the page of its webhook shows it."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from guestbook.lib import clock, ids, text
from guestbook.outbound import webhooks
from guestbook.queries import cron_status, health, webhook_status
from guestbook.storage.database import db
from guestbook.storage.models import Attempt, Delivery, Webhook
from guestbook.storage.models.delivery import REFUSED_WITH
from guestbook.web import current

ANSWER_EXCERPT = 500  # characters
CRON_IS_LATE = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class PingResult:
    """A ping that waits or has an answer."""

    delivery: Delivery
    attempt: Attempt | None  # the latest one
    answer: str  # its beginning
    wait: str  # why it waits, or when it is sent
    error: str | None  # what the status code does not say


def of(webhook: Webhook, delivery_id: str, now: datetime) -> PingResult | None:
    """Return the ping whose delivery has that id."""
    session = db.session()
    delivery = session.get(Delivery, delivery_id) if ids.ID.fullmatch(delivery_id) else None
    if delivery is None or delivery.webhook_id != webhook.id:
        return None
    attempt = webhooks.last_attempt(session, delivery)
    answer = text.clean_text(attempt.response_body or "")[:ANSWER_EXCERPT] if attempt else ""
    return PingResult(delivery, attempt, answer, _wait(webhook, delivery, now), _error(delivery, attempt))


def _error(delivery: Delivery, attempt: Attempt | None) -> str | None:
    says_the_code_alone = attempt and delivery.last_error == f"{REFUSED_WITH}{attempt.status_code}."
    return None if says_the_code_alone else delivery.last_error


def _wait(webhook: Webhook, delivery: Delivery, now: datetime) -> str:
    if hindrance := webhook_status.hindrance(webhook, now):
        return hindrance
    settings = current.settings()
    cron = cron_status.read(db.session(), now, after_requests=settings.send_after_requests)
    last = health.last_end(db.session(), now)
    if cron.word == "never":
        return "Cron has never run, so nothing is sent yet. The Overview says what to do."
    if last and cron.word != "running" and not settings.send_after_requests and now - last > CRON_IS_LATE:
        return f"Cron last ran {clock.ago(last)}. The ping goes out when it runs again."
    if delivery.attempts and delivery.due_at:
        return f"The next attempt is due {clock.ago(delivery.due_at)}."
    if settings.send_after_requests:
        return "It goes out at the end of a request, at most once a minute."
    return "It goes out with the next pass of cron, usually within a minute."
