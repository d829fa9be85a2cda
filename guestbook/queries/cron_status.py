"""Whether cron runs and deliveries are sent in time: for `/healthz`, and in words for the owner."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, TextClause, bindparam, select, text
from sqlalchemy.orm import Session

from guestbook.lib import clock
from guestbook.storage import cron_token
from guestbook.storage.column_types import UtcTime
from guestbook.storage.models import FIRST_DUE, Comment, Pass, Webhook

# Made once: monitors ask every few seconds.
_LOOKED_AT: Any = bindparam("now", type_=UtcTime)
_ENDS = select(Pass.finished_at).where(Pass.finished_at <= _LOOKED_AT)
_LAST_END = _ENDS.order_by(Pass.started_at.desc()).limit(1)
_DUE = select(FIRST_DUE).where(Webhook.open_at(_LOOKED_AT), FIRST_DUE <= _LOOKED_AT)
CRON_OVERDUE_AFTER = timedelta(minutes=15)  # The slowest cron that hosts offer comes so often.


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


def read(session: Session, now: datetime) -> Health:
    """Look at the last pass that ended and at the oldest delivery that may be sent and is due."""
    return Health(_age(last_end(session, now), now), _age(oldest_due(session, now), now))


def require_columns(session: Session) -> None:
    """Name every column and read no row, so that a book that is too old raises the database's error."""
    session.execute(_every_column()).all()


@cache
def _every_column() -> TextClause:
    """Return one statement for all tables; a database looks for each column that a statement names."""
    looks = []
    for table in Comment.metadata.sorted_tables:
        named = " OR ".join(f"{column} IS NULL" for column in table.columns)
        looks.append(f"SELECT 1 FROM {table} WHERE 1 = 0 AND ({named})")
    return text(" UNION ALL ".join(looks))


def last_pass(session: Session, which: ColumnElement[bool]) -> Pass | None:
    """Return the pass among those that started last."""
    return session.scalars(select(Pass).where(which).order_by(Pass.started_at.desc()).limit(1)).first()


def last_end(session: Session, now: datetime) -> datetime | None:
    """Return when a pass last ended; an end in the future, from before a clock jump, does not count."""
    return session.scalar(_LAST_END, {"now": now})


def oldest_due(session: Session, now: datetime) -> datetime | None:
    """Return the due time of the delivery that has waited longest; disabled and paused webhooks aside."""
    moments = session.scalars(_DUE, {"now": now})
    return min((due for due in moments if due), default=None)


def _age(moment: datetime | None, now: datetime) -> float | None:
    return None if moment is None else max(0.0, (now - moment).total_seconds())


GOOD_WORDS = ("well", "running")  # With these, cron sends the deliveries.
ADVICE = {
    "never": "Give cron this line (crontab -e), and it comes every minute.",
    "late": "See whether your crontab has this line (crontab -l), and whether cron has sent you a mail.",
}
# Where the ends of requests do the work of cron, or a pinger does. No crontab line helps there.
ADVICE_WITHOUT_CRON = {
    "requests": "On a quiet book, let a pinger call the address that the account page makes for it.",
    "pinger": (
        "See whether your pinger calls the address for pingers, which the account page shows. "
        "If you use cron instead, remove that address there. Then you see the line for your crontab here."
    ),
}


@dataclass(frozen=True, slots=True)
class CronStatus:
    """Whether cron runs: a word, a sentence, and advice if there is something to do."""

    word: str  # well, running, late or never
    sentence: str
    advice: str | None = None
    has_line: bool = True  # The advice goes with a line for the crontab.


def in_words(session: Session, now: datetime, *, after_requests: bool = False) -> CronStatus:
    """Say in plain words whether cron runs, and what its last pass did.

    With `after_requests` the ends of web requests do its work, and need not come while nothing is due.
    """
    found = _of_passes(session, now)
    if found.advice is None:
        return found
    if after_requests:
        if read(session, now).is_well:
            did_so_far = "Nothing has been due yet." if found.word == "never" else found.sentence
            return CronStatus("well", f"The ends of requests do the work of cron. {did_so_far}")
        late = "Deliveries are due, and nobody has come for a quarter of an hour."
        words = f"{late} The next request sends them."
        return CronStatus("late", words, ADVICE_WITHOUT_CRON["requests"], has_line=False)
    if cron_token.read(session) is None:
        return found
    return replace(found, advice=ADVICE_WITHOUT_CRON["pinger"], has_line=False)


def _of_passes(session: Session, now: datetime) -> CronStatus:
    ended, last = last_pass(session, Pass.finished_at <= now), last_pass(session, Pass.started_at <= now)
    running = last if last and last.finished_at is None else None  # It is at work, or was killed.
    if ended is None and running is None:
        return CronStatus("never", "Cron has never come, so nothing is sent.", ADVICE["never"])
    said = _at_work(running, now) if running else "", _what_it_did(ended) if ended else ""
    words = " ".join(filter(None, said))
    state = read(session, now)
    if not state.is_well:
        late = "Deliveries are due, and no pass of cron has come to its end for a quarter of an hour."
        return CronStatus("late", f"{late} {words}", ADVICE["late"])
    if ended and ended.finished_at and not running and now - ended.finished_at >= CRON_OVERDUE_AFTER:
        waits = "Nothing has had to wait so far." if state.oldest_due_age is None else "Deliveries are due."
        return CronStatus("late", f"{words} {waits}", ADVICE["late"])
    return CronStatus("running" if running else "well", words)


def what_pass_did(one: Pass, now: datetime) -> str:
    """Say what a pass did, or for how long it is running. After a quarter of an hour it may be dead."""
    if one.finished_at:
        return _outcome(one)
    age = now - one.started_at
    seconds = max(0, int(age.total_seconds()))
    how_long = f"{seconds} s" if seconds < 60 else clock.ago(one.started_at).removesuffix(" ago")
    return f"running for {how_long}{', or killed' if age >= CRON_OVERDUE_AFTER else ''}"


def _outcome(one: Pass) -> str:
    counts = ((one.processed, "delivered"), (one.retried, "to be retried"), (one.failed, "given up"))
    return ", ".join(f"{count:,} {what}" for count, what in counts if count) or "nothing was due"


def _at_work(running: Pass, now: datetime) -> str:
    since = clock.ago(running.started_at)
    if now - running.started_at >= CRON_OVERDUE_AFTER:
        return f"A pass began {since} and has not come to its end: it is still at work, or it was killed."
    return f"A pass is at work; it began {since}."


def _what_it_did(ended: Pass) -> str:
    assert ended.finished_at
    seconds = (ended.finished_at - ended.started_at).total_seconds()
    took = f"{seconds:.1f} seconds" if seconds < 10 else f"{seconds:,.0f} seconds"
    return f"A pass ended {clock.ago(ended.finished_at)} after {took}: {_outcome(ended)}."
