"""Several people decide at the same moment: nothing is counted twice, forgotten, or ends in an error."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import pytest
from flask import Flask
from sqlalchemy import func, select

from guestbook.comments import comment_actions
from guestbook.comments.spam import learned_words, spam_report
from guestbook.lib import clock
from guestbook.storage import database, plain_sql
from guestbook.storage.database import db, writing
from guestbook.storage.models import Comment, LearnedWord
from tests.conftest import running
from tests.support import factories
from tests.support.at_once import at_once

AT_ONCE = 8


@pytest.fixture
def app(each_environ: dict[str, str]) -> Iterator[Flask]:
    """An app without a context around the test: each thread has a session of its own."""
    with running(each_environ) as app:
        yield app


def all_at_once(app: Flask, actions: Sequence[Callable[[], object]]) -> None:
    at_once(app, len(actions), lambda number: actions[number]())


def signed(app: Flask, count: int) -> list[str]:
    with app.app_context():
        return [factories.sign(f"Comment {n} about lantern{n} and boat{n}") for n in range(count)]


def decision(comment_id: str, status: str) -> Callable[[], object]:
    return lambda: factories.change(comment_id, comment_actions.decide, status)


def forget() -> object:
    key = factories.settings().secret_key
    once = partial(factories.written, lambda session: learned_words.forget_all(session, key))
    return database.retry_conflicts(once)


def assert_counts_fit(app: Flask) -> None:
    with app.app_context():
        kinds = Counter(db.session.scalars(select(Comment.learned_as)))
        counts = learned_words.decisions(plain_sql.through(db.session()), factories.settings().secret_key)
        assert (counts.good, counts.spam) == (kinds["good"], kinds["spam"])


def test_the_first_decisions_wait_for_each_other(app: Flask) -> None:
    ids = signed(app, AT_ONCE)
    all_at_once(app, [decision(one, "spam" if place % 2 else "published") for place, one in enumerate(ids)])
    assert_counts_fit(app)
    with app.app_context():
        assert db.session.scalar(select(func.count()).where(Comment.learned_as.is_not(None))) == AT_ONCE


def test_no_two_wait_for_each_others_comments(app: Flask) -> None:
    ids = signed(app, 3 * AT_ONCE)
    all_at_once(app, [decision(one, "spam") for one in ids[:AT_ONCE]])
    assert_counts_fit(app)


def test_forgetting_meanwhile_leaves_no_word_without_its_comment(app: Flask) -> None:
    ids = signed(app, 2 * AT_ONCE)
    actions = [decision(one, "spam") for one in ids[:AT_ONCE]]
    all_at_once(app, [*(lambda do=do: database.retry_conflicts(do) for do in actions), forget])
    assert_counts_fit(app)
    with app.app_context():
        forget()
        assert db.session.scalar(select(func.count()).select_from(LearnedWord)) == 0


def test_a_flood_can_be_ended_while_comments_come(app: Flask) -> None:
    def pass_one() -> None:
        with writing() as session:
            spam_report.pass_one(session.connection(), factories.settings().secret_key, clock.now(), 2)

    def end() -> None:
        with writing() as session:
            spam_report.end_flood(session.connection(), factories.settings().secret_key)

    for _ in range(3):
        all_at_once(app, [*[pass_one] * AT_ONCE, end, end, end])
