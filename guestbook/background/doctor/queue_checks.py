"""Whether cron runs, what waits, and whether the owner can log in."""

from collections.abc import Iterator

from sqlalchemy import select
from sqlalchemy.orm import Session

from guestbook.auth import login
from guestbook.background.doctor.examined_book import ExaminedBook
from guestbook.background.doctor.finding import DoctorFinding, State, ok, warning
from guestbook.lib import clock
from guestbook.lib.pull_url import PULL_URL
from guestbook.queries import bounded_counts, cron_status, health
from guestbook.settings import crontab_line, installation
from guestbook.storage.models import Delivery, InboundEvent, Webhook

CRON_ADVICE = "{} Settings that cron needs belong in .env in the data folder."


def check_password(book: ExaminedBook) -> Iterator[DoctorFinding]:
    """Look whether the owner has a password."""
    with Session(book.engine) as session:
        if login.has_password(session):
            yield ok("password", "The password for the admin pages is set.")
        else:
            command = installation.typed("admin set-password")
            yield warning("password", "Nobody can log in: no password is set.", "Set one.", command)


def check_cron(book: ExaminedBook) -> Iterator[DoctorFinding]:
    """Look whether passes come."""
    with Session(book.engine) as session:
        status = cron_status.read(session, book.now, after_requests=book.settings.send_after_requests)
        has_work = session.scalar(select(Webhook.id).where(Webhook.url != PULL_URL).limit(1)) is not None
        came_in = select(InboundEvent.id).where(InboundEvent.due_at <= book.now).limit(1)
        waits = health.oldest_due(session, book.now) is not None or session.scalar(came_in) is not None
    if status.advice is None:
        yield ok("cron", status.sentence)
        return
    is_grave = waits or (has_work and status.word == "never")
    state = State.PROBLEM if is_grave else State.WARNING
    advice = CRON_ADVICE.format(status.advice) if status.has_line else status.advice
    line = crontab_line.of(book.settings) if status.has_line else None
    yield DoctorFinding("cron", state, status.sentence, advice, line)


def check_backlog(book: ExaminedBook) -> Iterator[DoctorFinding]:
    """Look how much waits, and for how long it has been due."""
    with Session(book.engine) as session:
        oldest = health.oldest_due(session, book.now)
        pulled = Delivery.webhook_id.in_(select(Webhook.id).where(Webhook.url == PULL_URL))
        new = Delivery.status == "new"
        waiting = bounded_counts.count_some(session, new & ~pulled, Delivery)
        to_fetch = bounded_counts.count_some(session, new & pulled, Delivery)
        came_in = bounded_counts.count_some(session, InboundEvent.status == "new", InboundEvent)
    waits = []
    if waiting:
        waits.append(bounded_counts.waiting_words(waiting, "delivery", "deliveries", "to be sent"))
    if to_fetch:
        waits.append(bounded_counts.waiting_words(to_fetch, "delivery", "deliveries", "to be fetched"))
    if came_in:
        waits.append(
            bounded_counts.waiting_words(came_in, "inbound event", "inbound events", "to be processed")
        )
    words = ", and ".join(waits)
    sentence = f"{words[:1].upper()}{words[1:]}."
    if not waits:
        yield ok("backlog", "Nothing waits.")
    elif oldest is None or book.now - oldest < health.CRON_OVERDUE_AFTER:
        yield ok("backlog", sentence)
    else:
        advice = "See the findings on cron and webhooks. If cron runs, it needs more time or threads."
        yield warning("backlog", f"{sentence} The oldest was due {clock.ago(oldest)}.", advice)
