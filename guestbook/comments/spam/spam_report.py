"""What the owner should know about spam: refusals at the form, a flood, and what the score has learned.

Refusals are counted by day and reason, so the owner sees why visitors gave up. A flood holds all comments.
"""

import logging
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, func, or_, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from guestbook.auth import rate_limit
from guestbook.comments.spam import learned_words
from guestbook.lib import clock, ids
from guestbook.lib.text import counted
from guestbook.queries import statistics
from guestbook.storage import audit_log, database, plain_sql, row_changes
from guestbook.storage.comment_fields import COMMENT_FIELDS
from guestbook.storage.database import db
from guestbook.storage.models import BookState, Comment, LearnedWord, Refusal

log = logging.getLogger(__name__)

REFUSAL_REASONS = {  # reason → words for the owner
    "unknown": "The form was not ours, or incomplete",
    "expired": "The form was open for more than a day",
    "closed": "The book is closed",
    "rate": "Too many comments from one network",
    "website": "The form was on another website",
    "answer": "The answer to your question was wrong",
    "email": "The e-mail address was wrong",
    **{name: field.refused for name, field in COMMENT_FIELDS.items()},
}
COUNT_WAIT = 0.5  # seconds
SHOWN_DAYS = 30


class RefusalCount(NamedTuple):
    """A reason, how often it was given in the last 30 days, and today."""

    reason: str
    sentence: str
    number: int
    today: int


def count_refusal(*reasons: str) -> None:
    """Count a refused comment under the first reason that has a name.

    Visitors get their answer even if that fails: the log then has a line.
    """
    reason = next((one for one in reasons if one in REFUSAL_REASONS), None)
    if reason is None:
        return
    database.end(db.session())  # A reader would keep SQLite's rollback journal from being written.
    try:
        with database.write(db.engine, lock_wait=COUNT_WAIT) as connection:
            day = clock.to_text(clock.now())[:10]
            row = {"id": f"{day} {reason}", "day": day, "reason": reason, "number": 0}
            row_changes.insert_missing(connection, Refusal, **row)
            one = update(Refusal).where(Refusal.id == row["id"])
            connection.execute(one.values(number=Refusal.number + 1))
    except SQLAlchemyError as error:
        log.info("A refusal (%s) was not counted: %s", reason, type(error).__name__)


def refused_lately(session: Session, now: datetime) -> Sequence[RefusalCount]:
    """Return the reasons of the last 30 days, the most frequent first."""
    today, since = clock.to_text(now)[:10], clock.to_text(now - timedelta(days=SHOWN_DAYS))[:10]
    query = select(Refusal.reason, Refusal.day, func.sum(Refusal.number).label("number"))
    rows = session.execute(query.where(Refusal.day > since).group_by(Refusal.reason, Refusal.day)).all()
    sums, todays = Counter[str](), Counter[str]()
    for reason, day, number in rows:
        sums[reason] += int(number)
        todays[reason] += int(number) if day == today else 0
    return [
        RefusalCount(reason, REFUSAL_REASONS.get(reason, reason), number, todays[reason])
        for reason, number in sums.most_common()
    ]


LOOKED_AT = "spam_looked_at"  # When the owner last opened the list of spam, in the book's state.
LAST_EDIT = timedelta(hours=1)  # Before then, a comment can no longer become spam by its visitor's edit.
BY_RULES = ("%spam rules", "%spam rules\n%edited visitor")  # the ends of a comment's decisions


def count_not_looked_at(session: Session) -> int:
    """Return how many comments the rules marked as spam since the owner last opened the list of spam."""
    marked = (Comment.status == "spam") & or_(*map(Comment.decisions.like, BY_RULES))
    if row := session.get(BookState, LOOKED_AT):
        looked_at = clock.stored(row.value)
        marked &= (Comment.id >= ids.first_of(looked_at - LAST_EDIT)) & (Comment.spam_since > looked_at)
    return statistics.count_some(session, marked, Comment)


def note_look(now: datetime) -> None:
    """Note that the owner opens the list of spam. It opens also where the database cannot be written."""
    database.end(db.session())  # A reader would keep SQLite's rollback journal from being written.
    try:
        with database.write(db.engine, lock_wait=COUNT_WAIT) as connection:
            row_changes.insert_missing(connection, BookState, name=LOOKED_AT, value="")
            row = update(BookState).where(BookState.name == LOOKED_AT)
            connection.execute(row.values(value=clock.to_text(now)))
    except SQLAlchemyError as error:
        log.info("The look at the spam was not noted: %s", type(error).__name__)


FLOOD_WINDOW = timedelta(minutes=1)
HOLD_FOR = timedelta(hours=1)
FLOOD, FLOOD_HOLD = "flood", "flood hold"  # what is counted


def pass_one(connection: Connection, secret_key: str, now: datetime, most: int) -> datetime | None:
    """Count a comment that would be published; return until when all are held, None while there is no flood.

    The caller's transaction must write.
    """
    if ends := held_until(connection, secret_key, now):
        return ends
    count, hold = rate_limit.who(secret_key, FLOOD), rate_limit.who(secret_key, FLOOD_HOLD)
    if not rate_limit.take(connection, count, now, most, FLOOD_WINDOW):
        return None
    rate_limit.take(connection, hold, now, 1, HOLD_FOR)
    log.warning(
        "More than %s comments came within a minute, so new ones are held for an hour. Look at them under "
        "Comments, and at the page Spam.",
        f"{most:,}",
    )
    return now + HOLD_FOR


def held_until(connection: Connection, secret_key: str, now: datetime) -> datetime | None:
    """Return until when comments are held because of a flood, None while there is none."""
    hold = rate_limit.counted(connection, rate_limit.who(secret_key, FLOOD_HOLD), now, HOLD_FOR)
    return hold.since + HOLD_FOR if hold else None


def end_flood(connection: Connection, secret_key: str) -> None:
    """Stop holding comments, and count from zero again."""
    audit_log.record(connection, "ended", "flood")
    # In the order of pass_one, so that the two cannot wait for each other.
    rate_limit.forget(connection, rate_limit.who(secret_key, FLOOD))
    rate_limit.forget(connection, rate_limit.who(secret_key, FLOOD_HOLD))


class SpamReport(NamedTuple):
    """The state of the spam rules."""

    refused: Sequence[RefusalCount]
    held_until: datetime | None  # the end of a flood
    good: int  # comments from which the score learned what belongs in the book
    spam: int  # comments from which it learned what does not
    words: int  # words that it knows

    def shape(self) -> dict[str, Any]:
        """Return the state as JSON, for the API and the command."""
        return {
            "refused": [one._asdict() for one in self.refused],
            "held_until": self.held_until and clock.to_text(self.held_until),
            "learned_good": self.good,
            "learned_spam": self.spam,
            "learned_words": self.words,
        }

    @property
    def score_sentence(self) -> str:
        """Say what the score knows, and whether it is enough."""
        if not self.words:
            return "The score has learned nothing yet."
        learned = (
            f"The score has learned {counted(self.words, 'word')} from {counted(self.spam, 'comment')} "
            f"of spam and {counted(self.good, 'other comment')}."
        )
        if min(self.good, self.spam) >= learned_words.FEWEST_DECISIONS:
            return learned
        return f"{learned} It holds comments once it knows {learned_words.FEWEST_DECISIONS} of each kind."


def read(session: Session, secret_key: str, now: datetime) -> SpamReport:
    """Return the state of the spam rules."""
    learned = learned_words.decisions(plain_sql.through(session), secret_key)
    words = session.scalar(select(func.count()).select_from(LearnedWord)) or 0
    return SpamReport(
        refused_lately(session, now),
        held_until(session.connection(), secret_key, now),
        learned.good,
        learned.spam,
        max(0, words - 1),  # The row of sums is no word.
    )
