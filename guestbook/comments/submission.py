"""Take a comment from the form, the API or the inbox: check it for spam, count it, store it, or refuse it.

A visitor's comment is counted for its network and stored in one transaction. Refusals are counted by day and
reason, so the owner sees why visitors gave up.
"""

import logging
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple

from sqlalchemy import Connection, func, select, update
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.orm import Session

from guestbook.auth.rate_limit import NetworkLimit
from guestbook.comments import book, comment_form
from guestbook.comments.comment_form import Draft
from guestbook.comments.spam import comment_facts, spam_rules
from guestbook.comments.spam.spam_rules import Classification, CommentFacts
from guestbook.lib import clock
from guestbook.lib.errors import Refused, Translatable
from guestbook.settings import Settings
from guestbook.storage import database, plain_sql, row_changes
from guestbook.storage.comment_fields import COMMENT_FIELDS
from guestbook.storage.database import db, writing
from guestbook.storage.models import Comment, Refusal
from guestbook.storage.plain_sql import Select
from guestbook.storage.preferences import Preferences

log = logging.getLogger(__name__)
Also = Callable[[Session, Comment], object]

RATE_WINDOW = timedelta(minutes=10)  # The owner sets how many comments a network may write.


def waiting_time(seconds: int) -> Translatable:
    """Return the words for a time to wait, which follow the word "in"."""
    if seconds < 90:
        return Translatable.plural("%(count)s second", "%(count)s seconds", seconds)
    return Translatable.plural("%(count)s minute", "%(count)s minutes", math.ceil(seconds / 60))


class TooManyComments(Refused):
    """This network has reached the rate limit and must wait for `seconds`."""

    def __init__(self, seconds: float) -> None:
        self.seconds = math.ceil(seconds)
        super().__init__(
            Translatable(
                "You have written many comments in a short time. Please try again in %(wait)s.",
                wait=waiting_time(self.seconds),
            )
        )


class CommentChanged(Refused):
    """Somebody has changed the comment since its form was opened."""


CHANGED_MEANWHILE = Translatable(
    "Your comment was changed after you opened this page, so nothing was saved. Your text is still here. "
    "Save it again to replace the comment."
)


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who sends a comment, to which book, and when; and what a form tells beside the words."""

    settings: Settings
    book: Preferences
    address: str
    now: datetime
    trap: str = ""  # the hidden field's content
    age: float | None = None  # seconds since the form was opened
    earlier_id: str | None = None  # the comment that the browser's cookie names

    def left_of_limit(self, connection: Connection) -> tuple[int, float]:
        """Return how many comments are left to the network, and the seconds until it may write all again."""
        return self._limit.left_by_day(connection, self.now)

    def count(self, connection: Connection) -> None:
        """Count a comment for the network; raises TooManyComments."""
        if wait := self._limit.take_by_day(connection, self.now):
            raise TooManyComments(wait)

    @property
    def _limit(self) -> NetworkLimit:
        return NetworkLimit(self.settings.secret_key, "comment", self.address, self.book.rate, RATE_WINDOW)


def classified(
    select: Select, draft: Draft, book: Preferences, secret_key: str, own_id: str | None = None
) -> Classification:
    """Classify a comment that no visitor has typed; one that changes a stored comment has its id."""
    facts = comment_facts.gather(select, CommentFacts(draft), book, secret_key, own_id)
    return spam_rules.classify(facts, book.moderation)


def submit(draft: Draft, visitor: Visitor, form_key: str | None = None, then: Also | None = None) -> Comment:
    """Store a comment, or give back the one that this form and this text have made.

    `then` runs in the same transaction. Raises TooManyComments.
    """
    database.end(db.session())  # A request that held two connections could wait for itself.
    with database.read(db.engine) as connection:
        select = partial(plain_sql.run, connection)
        known = comment_facts.is_known_visitor(select, visitor.earlier_id)
        sent = CommentFacts(draft, visitor.trap, visitor.age, known)
        facts = comment_facts.gather(select, sent, visitor.book, visitor.settings.secret_key)
    try:
        return _store(facts, visitor, form_key, then)
    except IntegrityError:
        # The key is unique: this is a double click. Or the owner has just deleted a webhook.
        return _stored_before(form_key) or _store(facts, visitor, form_key, then)
    except TooManyComments:
        # The first click of a double click may have used up the limit.
        if comment := _stored_before(form_key):
            return comment
        raise


def revise(comment: Comment, draft: Draft, visitor: Visitor, mark: str | None = None) -> Comment | None:
    """Change a visitor's own comment under the same rules and limits; None if the owner has just removed it.

    `mark` is that of the words that the form began with; a form of an older version has none. Raises
    TooManyComments or Refused, and CommentChanged if the words are others by now.
    """
    known = spam_rules.KNOWN_VISITOR in comment.all_reasons  # A comment is not known for its own sake.
    select, sent = plain_sql.through(db.session()), CommentFacts(draft, visitor.trap, visitor.age, known)
    facts = comment_facts.gather(select, sent, visitor.book, visitor.settings.secret_key, comment.id)
    verdict = spam_rules.classify(facts, visitor.book.moderation)
    with writing() as session:
        visitor.count(session.connection())
        for locked in book.lock(session, [comment.id]):
            if locked.status != "trash":
                now = comment_form.draft_of(locked)
                if mark and mark != comment_form.mark_of(locked, words_alone=True) and draft != now:
                    raise CommentChanged(CHANGED_MEANWHILE)
                book.revise(session, locked, draft, verdict, visitor.settings)
                return locked
    return None


def _store(facts: CommentFacts, visitor: Visitor, form_key: str | None, then: Also | None) -> Comment:
    """Store a comment, and count it for the network; one that would be published also for the flood."""
    found = spam_rules.classify(facts, visitor.book.moderation)  # Others may write meanwhile.
    with writing() as session:
        connection = session.connection()
        visitor.count(connection)
        if found.status == "published":
            secret_key, most = visitor.settings.secret_key, visitor.book.flood
            if ends := comment_facts.pass_one(connection, secret_key, visitor.now, most):
                facts = replace(facts, flood_ends=f"{ends:%H:%M} UTC")
                found = spam_rules.classify(facts, visitor.book.moderation)
        comment = book.sign(session, facts.draft, found, form_key=form_key, settings=visitor.settings)
        if then:
            then(session, comment)
        return comment


def _stored_before(form_key: str | None) -> Comment | None:
    """Return the comment that this form has already made, whatever its status."""
    made = select(Comment).where(Comment.form_key == form_key)
    return db.session.scalars(made).one_or_none() if form_key else None


REFUSAL_REASONS = {  # reason → words for the owner
    "unknown": "The form was not ours, or incomplete",
    "expired": "The form was open for more than a day",
    "closed": "The book is closed",
    "rate": "Too many comments from one network",
    "answer": "The answer to your question was wrong",
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
