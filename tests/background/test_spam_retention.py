"""Spam goes thirty days after it was marked, or when the owner says, and leaves no words behind."""

from dataclasses import replace
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import update

from guestbook.background import housekeeping
from guestbook.comments import book, submission
from guestbook.comments.spam.spam_rules import Classification
from guestbook.lib import clock, ids
from guestbook.storage.database import db, writing
from guestbook.storage.models import Comment, Refusal, TextMark
from tests.support import factories

DAY = timedelta(days=1)
LONG = "A text that is long enough to have marks of its own in the table of marks."


@pytest.fixture(autouse=True)
def _context(each_app: Flask) -> None:
    """The app's context is around each test."""
    assert each_app


def store(written: float, marked: float | None, status: str = "spam") -> str:
    """Store a comment so many days old, that became spam so many days ago."""
    now = clock.now()
    created, since = now - written * DAY, None if marked is None else now - marked * DAY
    with writing() as session:
        row = Comment(id=ids.first_of(created)[:20] + ids.new()[20:], name="Eve", message=LONG)
        row.status, row.created_at, row.spam_since = status, created, since
        session.add(row)
        session.flush()
        session.add(TextMark(comment_id=row.id, first="a", second="b"))
        return row.id


def left(days: int = 30) -> set[str]:
    settings = replace(factories.settings(), keep_spam_days=days)
    db.session.rollback()
    housekeeping.prune(db.engine, settings, until=float("inf"))
    return set(db.session.scalars(db.select(Comment.id)))


def test_it_goes_after_thirty_days_and_nothing_else_does() -> None:
    old = store(31, 31)
    young, marked_late, held = store(29, 29), store(400, 1), store(400, None, "held")
    trash, published = store(400, None, "trash"), store(400, None, "published")
    assert left() == {young, marked_late, held, trash, published}
    assert db.session.get(TextMark, old) is None


def test_the_owner_sets_for_how_long() -> None:
    ids_by_age = {days: store(days, days) for days in (1, 6, 8, 40)}
    assert left(7) == {ids_by_age[1], ids_by_age[6]}
    assert left(0) == set()


def test_one_that_webhooks_were_told_of_stays_as_long_as_its_deliveries() -> None:
    factories.webhook(events="comment.created comment.deleted")
    comment_id = factories.sign(LONG)
    with writing() as session:
        comment = session.get_one(Comment, comment_id)
        book.move(session, comment, "spam", factories.settings())
        old = clock.now() - 50 * DAY
        session.execute(update(Comment).values(spam_since=old))
    assert left(0) == {comment_id}
    with writing() as session:
        session.connection().exec_driver_sql("DELETE FROM deliveries")
    assert left(0) == set()


def test_leaving_the_spam_and_coming_back_begins_the_time_anew() -> None:
    comment_id = factories.sign(LONG, verdict=Classification("spam", ("x",)))
    with writing() as session:
        comment = session.get_one(Comment, comment_id)
        assert comment.spam_since == comment.created_at
        book.move(session, comment, "held", factories.settings())
        assert comment.spam_since is None
        book.move(session, comment, "spam", factories.settings())
        assert comment.spam_since is not None


def test_counts_of_refusals_go_after_ninety_days() -> None:
    submission.count_refusal("rate")
    with writing() as session:
        for age in (89, 92):
            day = clock.to_text(clock.now() - age * DAY)[:10]
            session.add(Refusal(id=f"{day} rate", day=day, reason="rate", number=1))
    left()
    assert len(db.session.scalars(db.select(Refusal)).all()) == 2
