"""Take a comment from the form, the API or the inbox: check it for spam, count it, store it, or refuse it.

A visitor's comment is counted for its network and stored in one transaction.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import Connection, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from guestbook.auth.rate_limit import NetworkLimit
from guestbook.comments import comment_actions, comment_form
from guestbook.comments.comment_form import Draft
from guestbook.comments.spam import spam_report, spam_rules
from guestbook.comments.spam.spam_rules import Classification, CommentFacts
from guestbook.lib.errors import Refused, Translatable
from guestbook.settings import Settings
from guestbook.storage import database, plain_sql
from guestbook.storage.database import db, writing
from guestbook.storage.models import Comment
from guestbook.storage.plain_sql import Select
from guestbook.storage.preferences import Preferences

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
    is_website_unknown: bool = False  # whether the form may have been on any website
    page: str | None = None  # the address of the page that the comment is about

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
    facts = spam_rules.gather(select, CommentFacts(draft), book, secret_key, own_id)
    return spam_rules.classify(facts, book.moderation)


def submit(draft: Draft, visitor: Visitor, form_key: str | None = None, then: Also | None = None) -> Comment:
    """Store a comment, or give back the one that this form and this text have made.

    `then` runs in the same transaction. Raises TooManyComments.
    """
    database.end(db.session())  # A request that held two connections could wait for itself.
    with database.read(db.engine) as connection:
        select = partial(plain_sql.run, connection)
        known = spam_rules.is_known_visitor(select, visitor.earlier_id)
        sent = CommentFacts(draft, visitor.trap, visitor.age, known, visitor.is_website_unknown)
        facts = spam_rules.gather(select, sent, visitor.book, visitor.settings.secret_key)
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
    facts = spam_rules.gather(select, sent, visitor.book, visitor.settings.secret_key, comment.id)
    verdict = spam_rules.classify(facts, visitor.book.moderation)
    with writing() as session:
        visitor.count(session.connection())
        for locked in comment_actions.lock(session, [comment.id]):
            if locked.status != "trash":
                now = comment_form.draft_of(locked)
                if mark and mark != comment_form.mark_of(locked, words_alone=True) and draft != now:
                    raise CommentChanged(CHANGED_MEANWHILE)
                comment_actions.revise(session, locked, draft, verdict, visitor.settings)
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
            if ends := spam_report.pass_one(connection, secret_key, visitor.now, most):
                facts = replace(facts, flood_ends=f"{ends:%H:%M} UTC")
                found = spam_rules.classify(facts, visitor.book.moderation)
        comment = comment_actions.sign(
            session, facts.draft, found, form_key=form_key, settings=visitor.settings, page=visitor.page
        )
        if then:
            then(session, comment)
        return comment


def _stored_before(form_key: str | None) -> Comment | None:
    """Return the comment that this form has already made, whatever its status."""
    made = select(Comment).where(Comment.form_key == form_key)
    return db.session.scalars(made).one_or_none() if form_key else None
