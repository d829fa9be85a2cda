"""The status of cron, in words."""

from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy.orm import Session

from guestbook.lib import clock
from guestbook.queries import health
from guestbook.storage import cron_token
from guestbook.storage.models import Pass

GOOD_WORDS = ("well", "running")  # of a status of cron that sends the deliveries
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
    has_line: bool = True  # the advice goes with a line for the crontab


def read(session: Session, now: datetime, *, after_requests: bool = False) -> CronStatus:
    """Say in plain words whether cron runs, and what its last pass did.

    With `after_requests` the ends of web requests do its work, and need not come while nothing is due.
    """
    found = _of_passes(session, now)
    if found.advice is None:
        return found
    if after_requests:
        if health.read(session, now).is_well:
            did_so_far = "Nothing has been due yet." if found.word == "never" else found.sentence
            return CronStatus("well", f"The ends of requests do the work of cron. {did_so_far}")
        late = "Deliveries are due, and nobody has come for a quarter of an hour."
        words = f"{late} The next request sends them."
        return CronStatus("late", words, ADVICE_WITHOUT_CRON["requests"], has_line=False)
    if cron_token.read(session) is None:
        return found
    return replace(found, advice=ADVICE_WITHOUT_CRON["pinger"], has_line=False)


def _of_passes(session: Session, now: datetime) -> CronStatus:
    ended, running = health.last_pass(session, Pass.finished_at <= now), _running(session, now)
    if ended is None and running is None:
        return CronStatus("never", "Cron has never come, so nothing is sent.", ADVICE["never"])
    said = [_at_work(running, now)] if running else []
    said += [_what_it_did(ended)] if ended else []
    words = " ".join(said)
    state = health.read(session, now)
    if not state.is_well:
        late = "Deliveries are due, and no pass of cron has come to its end for a quarter of an hour."
        return CronStatus("late", f"{late} {words}", ADVICE["late"])
    if ended and ended.finished_at and not running and now - ended.finished_at >= health.CRON_OVERDUE_AFTER:
        waits = "Nothing has had to wait so far." if state.oldest_due_age is None else "Deliveries are due."
        return CronStatus("late", f"{words} {waits}", ADVICE["late"])
    return CronStatus("running" if running else "well", words)


def did(one: Pass) -> str:
    """Say what a pass did."""
    counts = ((one.processed, "delivered"), (one.retried, "to be retried"), (one.failed, "given up"))
    return ", ".join(f"{count:,} {what}" for count, what in counts if count) or "nothing was due"


def _running(session: Session, now: datetime) -> Pass | None:
    """Return the last pass if it has not ended: it is at work, or was killed."""
    last = health.last_pass(session, Pass.started_at <= now)
    return last if last and last.finished_at is None else None


def _at_work(running: Pass, now: datetime) -> str:
    since = clock.ago(running.started_at)
    if now - running.started_at >= health.CRON_OVERDUE_AFTER:
        return f"A pass began {since} and has not come to its end: it is still at work, or it was killed."
    return f"A pass is at work; it began {since}."


def _what_it_did(ended: Pass) -> str:
    assert ended.finished_at
    seconds = (ended.finished_at - ended.started_at).total_seconds()
    took = f"{seconds:.1f} seconds" if seconds < 10 else f"{seconds:,.0f} seconds"
    return f"A pass ended {clock.ago(ended.finished_at)} after {took}: {did(ended)}."
