"""Short reads beside the session: they see what is committed, stay open for nobody, and fail as others do."""

import pytest
from flask import Flask
from sqlalchemy import update
from sqlalchemy.exc import DBAPIError

from guestbook.storage import database_errors, short_read
from guestbook.storage.database import db, writing
from guestbook.storage.database_errors import Fault
from guestbook.storage.models import Comment
from tests.support import factories

NAMES = "SELECT name FROM comments WHERE id = :comment_id"


@pytest.fixture(autouse=True)
def _context(each_app: Flask) -> None:
    """The app's context is around each test, on each database."""
    assert each_app


def rename(comment_id: str, name: str) -> None:
    with writing() as session:
        session.execute(update(Comment).where(Comment.id == comment_id).values(name=name))


def test_each_select_alone_sees_what_was_committed_last() -> None:
    comment_id = factories.sign()
    select = short_read.each_alone(db.session())
    before = list(select(NAMES, comment_id=comment_id))
    db.session.rollback()
    rename(comment_id, "Grace")  # no read is left open, which would stop the commit in a rollback journal
    assert before != list(select(NAMES, comment_id=comment_id)) == [("Grace",)]


def test_inside_a_transaction_the_session_selects() -> None:
    comment_id = factories.sign()
    with writing() as session:
        session.execute(update(Comment).where(Comment.id == comment_id).values(name="Grace"))
        with short_read.together(session) as select:
            assert list(select(NAMES, comment_id=comment_id)) == [("Grace",)]


def test_an_error_is_the_sessions_own() -> None:
    select = short_read.each_alone(db.session())
    with pytest.raises(DBAPIError) as caught:
        select("SELECT 1 FROM nothing_of_ours")
    assert database_errors.fault_of(caught.value) is Fault.NO_TABLES
    db.session.rollback()
    assert list(select("SELECT 1")) == [(1,)]
