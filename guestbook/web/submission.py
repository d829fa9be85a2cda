"""A visitor's comment, from the page or the API: checked for spam, counted and stored in one transaction."""

import math
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from flask import request
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from guestbook.auth import rate_limit
from guestbook.comments import book, comment_form, comment_mark, moderation_policy, refusals
from guestbook.comments.comment_form import Draft
from guestbook.comments.moderation_policy import Classification
from guestbook.comments.spam import comment_facts
from guestbook.comments.spam.spam_rules import CommentFacts
from guestbook.lib import clock
from guestbook.lib.errors import Refused, Translatable
from guestbook.storage import database, plain_sql
from guestbook.storage.database import db, writing
from guestbook.storage.models import Comment
from guestbook.web import request_context
from guestbook.web.error_pages import NotYours, waiting_time

Also = Callable[[Session, Comment], object]

RATE_WINDOW = timedelta(minutes=10)  # the owner sets how many comments one network may write in it


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

    def __init__(self) -> None:
        super().__init__(
            Translatable(
                "Your comment was changed after you opened this page, so nothing was saved. Your text is "
                "still here. Save it again to replace the comment."
            )
        )


def submit(
    entry: Draft,
    *,
    trap: str,
    age: float | None,
    form_key: str | None,
    earlier_id: str | None = None,
    then: Also | None = None,
) -> Comment:
    """Store a comment, or give back the one that this form and this text have made.

    `earlier_id` is the comment that the browser's cookie names; `then` runs in the same transaction. Raises
    TooManyComments.
    """
    facts = _facts(entry, trap, age, earlier_id)
    try:
        return _store(facts, form_key, then)
    except IntegrityError:
        # The key is unique: this is a double click. Or the owner has just deleted a webhook.
        return _stored_before(form_key) or _store(facts, form_key, then)
    except TooManyComments:
        # The first click of a double click may have used up the limit.
        if comment := _stored_before(form_key):
            return comment
        raise


def revise(
    comment: Comment, entry: Draft, *, trap: str, age: float | None, mark: str | None = None
) -> Comment:
    """Change a visitor's own comment under the same rules and limits.

    `mark` is that of the words that the form began with; a form of an older version has none. Raises
    TooManyComments or Refused, CommentChanged if the words are others by now, and NotYours if the owner has
    just thrown it away.
    """
    preferences, key = request_context.preferences(), request_context.settings().secret_key
    known = moderation_policy.KNOWN_VISITOR in comment.all_reasons  # for its own sake a comment is not known
    select = plain_sql.through(db.session())
    facts = comment_facts.gather(
        select, entry, preferences, key, trap=trap, age=age, is_known_visitor=known, own_id=comment.id
    )
    verdict = moderation_policy.classify(facts, preferences.moderation)
    with writing() as session:
        _count(session.connection())
        for locked in book.lock(session, [comment.id]):
            if locked.status != "trash":
                if mark and mark != comment_mark.mark_of_words(locked) and entry.values != book.typed(locked):
                    raise CommentChanged
                book.revise(session, locked, entry, verdict, request_context.settings())
                return locked
    raise NotYours


def left_of_limit() -> tuple[int, int, float]:
    """Return how many comments one network may write, how many are left to this one, and for how long."""
    key, address, most = (
        request_context.settings().secret_key,
        request.remote_addr or "",
        request_context.preferences().rate,
    )
    found = rate_limit.left_of_network(
        db.session().connection(), key, "comment", address, clock.now(), most=most, within=RATE_WINDOW
    )
    return most, *found


def answers_question(answer: str) -> bool:
    """Whether it answers the owner's question, if there is one."""
    book = request_context.preferences()
    return not book.question or comment_form.is_right_answer(answer, book.answers)


def count_refusal(*reasons: str) -> None:
    """Count a refused comment for the owner, under the first of the reasons that has a name."""
    known = [reason for reason in reasons if reason in refusals.REFUSAL_REASONS]
    if known:
        database.end(db.session())  # a reader would keep SQLite's rollback journal from being written
        refusals.count(db.engine, known[0])


def _facts(entry: Draft, trap: str, age: float | None, earlier_id: str | None) -> CommentFacts:
    """Gather what the rules need, before the transaction that writes."""
    preferences, key = request_context.preferences(), request_context.settings().secret_key
    select = plain_sql.through(db.session())
    known = comment_facts.is_known_visitor(select, earlier_id)
    return comment_facts.gather(select, entry, preferences, key, trap=trap, age=age, is_known_visitor=known)


def _store(facts: CommentFacts, form_key: str | None, then: Also | None) -> Comment:
    found = moderation_policy.classify(
        facts, request_context.preferences().moderation
    )  # while others may write
    with writing() as session:
        connection = session.connection()
        _count(connection)
        verdict = _after_flood(connection, facts, found, clock.now())
        comment = book.sign(
            session, facts.draft, verdict, form_key=form_key, settings=request_context.settings()
        )
        if then:
            then(session, comment)
        return comment


def _count(connection: Connection) -> None:
    """Count this comment for its network; raises TooManyComments."""
    key, address, most = (
        request_context.settings().secret_key,
        request.remote_addr or "",
        request_context.preferences().rate,
    )
    if wait := rate_limit.take_of_network(
        connection, key, "comment", address, clock.now(), most=most, within=RATE_WINDOW
    ):
        raise TooManyComments(wait)


def _after_flood(
    connection: Connection, facts: CommentFacts, found: Classification, now: datetime
) -> Classification:
    """Count a comment that would be published for the flood, and hold it in one."""
    book = request_context.preferences()
    if found.status != "published":
        return found
    ends = comment_facts.pass_one(connection, request_context.settings().secret_key, now, book.flood)
    if ends is None:
        return found
    return moderation_policy.classify(replace(facts, flood_ends=f"{ends:%H:%M} UTC"), book.moderation)


def _stored_before(form_key: str | None) -> Comment | None:
    return book.signed_with(db.session(), form_key) if form_key else None
