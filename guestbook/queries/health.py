"""Whether cron runs, and whether deliveries are overdue: for /healthz, `status` and the admin pages."""

import shlex
import sys
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import ColumnElement, false, select
from sqlalchemy.orm import Session

from guestbook.lib import clock
from guestbook.settings import CHECKOUT, Settings
from guestbook.storage.models import FIRST_DUE, Comment, Pass, Webhook

CRON_OVERDUE_AFTER = timedelta(minutes=15)  # the slowest cron that hosts offer
GOOD_WORDS = ("well", "running")  # of a Cron that sends the deliveries
ADVICE = {
    "never": "Give cron this line (crontab -e), and it comes every minute.",
    "late": "See whether your crontab has this line (crontab -l), and whether cron has sent you a mail.",
}


@dataclass(frozen=True, slots=True)
class Health:
    """Seconds since a pass last came to its end, and since the oldest due time; None without any."""

    last_pass_age: float | None
    oldest_due_age: float | None

    @property
    def is_well(self) -> bool:
        """False when something has been due, and no pass has ended, for a quarter of an hour.

        A start proves nothing: a pass that always crashes starts every minute.
        """
        if self.oldest_due_age is None or self.oldest_due_age < CRON_OVERDUE_AFTER.total_seconds():
            return True
        return self.last_pass_age is not None and self.last_pass_age < CRON_OVERDUE_AFTER.total_seconds()


@dataclass(frozen=True, slots=True)
class Cron:
    """Whether cron runs: a word, a sentence, and advice if there is something to do."""

    word: str  # well, running, late or never
    sentence: str
    advice: str | None = None


def read(session: Session, now: datetime) -> Health:
    """Look at the last pass that ended and at the oldest delivery that may be sent and is due."""
    return Health(_age(last_end(session, now), now), _age(oldest_due(session, now), now))


def require_columns(session: Session) -> None:
    """Name every column and read no row, so that a book that is too old raises the database's error."""
    for table in Comment.metadata.sorted_tables:
        session.execute(select(table).where(false()))


def cron(session: Session, now: datetime) -> Cron:
    """Say in plain words whether cron runs, and what its last pass did."""
    ended, running = _last(session, Pass.finished_at <= now), _running(session, now)
    if ended is None and running is None:
        return Cron("never", "Cron has never come, so nothing is sent.", ADVICE["never"])
    said = [_at_work(running, now)] if running else []
    said += [_what_it_did(ended)] if ended else []
    words = " ".join(said)
    if not read(session, now).is_well:
        late = "Deliveries are due, and no pass of cron has come to its end for a quarter of an hour."
        return Cron("late", f"{late} {words}", ADVICE["late"])
    if ended and ended.finished_at and not running and now - ended.finished_at >= CRON_OVERDUE_AFTER:
        return Cron("late", f"{words} Nothing has had to wait so far.", ADVICE["late"])
    return Cron("running" if running else "well", words)


def crontab_line(settings: Settings) -> str:
    """Return this installation's line for the crontab, in which % would end a command."""
    flask = shlex.quote(str(Path(sys.prefix, "bin", "flask")))
    place = settings.data_dir
    given = "" if place == CHECKOUT / "instance" else f"GUESTBOOK_DATA_DIR={shlex.quote(str(place))} "
    return f"* * * * * {given}{flask} --app guestbook cron".replace("%", "\\%")


def last_end(session: Session, now: datetime) -> datetime | None:
    """Return when a pass last ended; an end in the future, from before a clock jump, does not count."""
    ended = _last(session, Pass.finished_at <= now)
    return ended.finished_at if ended else None


def oldest_due(session: Session, now: datetime) -> datetime | None:
    """Return the due time of the delivery that has waited longest; disabled and paused webhooks aside."""
    moments = session.scalars(select(FIRST_DUE).where(Webhook.open_at(now), now >= FIRST_DUE))
    return min((due for due in moments if due), default=None)


def did(one: Pass) -> str:
    """Say what a pass did."""
    counts = ((one.processed, "delivered"), (one.retried, "to be retried"), (one.failed, "given up"))
    return ", ".join(f"{count:,} {what}" for count, what in counts if count) or "nothing was due"


def _running(session: Session, now: datetime) -> Pass | None:
    """Return the last pass if it has not ended: it is at work, or was killed."""
    last = _last(session, Pass.started_at <= now)
    return last if last and last.finished_at is None else None


def _last(session: Session, which: ColumnElement[bool]) -> Pass | None:
    return session.scalars(select(Pass).where(which).order_by(Pass.started_at.desc()).limit(1)).first()


def _at_work(running: Pass, now: datetime) -> str:
    since = clock.ago(running.started_at)
    if now - running.started_at >= CRON_OVERDUE_AFTER:
        return f"A pass began {since} and has not come to its end: it is still at work, or it was killed."
    return f"A pass is at work; it began {since}."


def _what_it_did(ended: Pass) -> str:
    assert ended.finished_at
    seconds = (ended.finished_at - ended.started_at).total_seconds()
    took = f"{seconds:.1f} seconds" if seconds < 10 else f"{seconds:,.0f} seconds"
    return f"A pass ended {clock.ago(ended.finished_at)} after {took}: {did(ended)}."


def _age(moment: datetime | None, now: datetime) -> float | None:
    return None if moment is None else max(0.0, (now - moment).total_seconds())
