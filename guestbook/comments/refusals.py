"""Comments refused at the form, counted by day and reason: the owner sees why visitors gave up."""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Engine, func, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from guestbook.lib import clock
from guestbook.storage import database, row_changes
from guestbook.storage.models import Refusal

REFUSAL_REASONS = {  # in the words of the owner's page
    "unknown": "The form was not ours, or incomplete",
    "expired": "The form was open for more than a day",
    "closed": "The book is closed",
    "rate": "Too many comments from one network",
    "answer": "The answer to your question was wrong",
    "name": "The name was missing or too long",
    "place": "The place was too long",
    "website": "The website was not an address",
    "message": "The message was empty or too long",
    "note": "The note to you was too long",
}
COUNT_WAIT = 0.5  # seconds: a count is not worth more of a visitor's time
SHOWN_DAYS = 30

log = logging.getLogger(__name__)


class RefusalCount(NamedTuple):
    """A reason, how often it was given in the last 30 days, and today."""

    reason: str
    sentence: str
    number: int
    today: int


def count(engine: Engine, reason: str) -> None:
    """Count a refusal. Visitors get their answer even if that fails: the log then has a line."""
    try:
        with database.write(engine, lock_wait=COUNT_WAIT) as connection:
            day = clock.to_text(clock.now())[:10]
            row = {"id": f"{day} {reason}", "day": day, "reason": reason, "number": 0}
            row_changes.insert_missing(connection, Refusal, **row)
            one = update(Refusal).where(Refusal.id == row["id"])
            connection.execute(one.values(number=Refusal.number + 1))
    except SQLAlchemyError as error:
        log.info("A refusal (%s) was not counted: %s", reason, type(error).__name__)


def lately(session: Session, now: datetime) -> Sequence[RefusalCount]:
    """Return the reasons of the last 30 days, the most frequent first."""
    today, since = clock.to_text(now)[:10], clock.to_text(now - timedelta(days=SHOWN_DAYS))[:10]
    query = select(Refusal.reason, Refusal.day, func.sum(Refusal.number).label("number"))
    rows = session.execute(query.where(Refusal.day > since).group_by(Refusal.reason, Refusal.day)).all()
    sums = {row.reason: 0 for row in rows}
    for row in rows:
        sums[row.reason] += int(row.number)
    todays = {row.reason: int(row.number) for row in rows if row.day == today}
    return [
        RefusalCount(reason, REFUSAL_REASONS.get(reason, reason), number, todays.get(reason, 0))
        for reason, number in sorted(sums.items(), key=lambda item: -item[1])
    ]
