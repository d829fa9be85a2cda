"""New rows without a flush: they are in the table, and belong to the session."""

import pytest
from flask import Flask
from sqlalchemy import event
from sqlalchemy.exc import IntegrityError

from guestbook.lib import clock, ids
from guestbook.storage import plain_insert
from guestbook.storage.database import db, writing
from guestbook.storage.models import Comment, Origin


@pytest.fixture(autouse=True)
def _context(app: Flask) -> None:
    """The app's context is around each test."""
    assert app


def comment() -> Comment:
    fields = {"name": "Ada", "message": "Hello", "status": "published", "created_at": clock.now()}
    return Comment(id=ids.new(), last_sequence=0, reply=None, origin=None, **fields)


def test_a_row_is_asked_for_nothing_and_its_changes_are_stored() -> None:
    row, asked = comment(), list[str]()
    with writing() as session:
        plain_insert.store(session, row)
        event.listen(db.engine, "before_cursor_execute", lambda *values: asked.append(values[2]))
        assert session.get(Comment, row.id) is row
        assert (row.edited_at, row.website, row.reply, row.origin) == (None, None, None, None)
        assert asked == []
        row.name = "Grace"
    db.session.remove()
    stored = db.session.get_one(Comment, row.id)
    assert (stored.name, stored.message, stored.created_at) == ("Grace", "Hello", row.created_at)


def test_a_row_that_refers_to_the_first_one_follows_it() -> None:
    row = comment()
    row.origin = Origin(comment_id=row.id, name="Another book", url="https://a.example/1")
    with writing() as session:
        plain_insert.store(session, row, row.origin)
    db.session.remove()
    stored = db.session.get_one(Comment, row.id)
    assert stored.origin
    assert stored.origin.public() == {"name": "Another book", "url": "https://a.example/1"}


def test_the_databases_refusal_leaves_nothing() -> None:
    row = comment()
    with writing() as session:
        plain_insert.store(session, row)
    again = comment()
    again.id = row.id
    with pytest.raises(IntegrityError), writing() as session:
        plain_insert.store(session, again)
    assert db.session.get_one(Comment, row.id) is not again


def test_rows_are_stored_as_sqlalchemy_would_and_its_errors_are_raised() -> None:
    now = clock.now()
    same = {"name": "Ada", "message": "Hello", "status": "published", "created_at": now, "edited_at": None}
    rows = [{"id": ids.new(), "number": number, **same} for number in (1, 2)]
    with writing() as session:
        plain_insert.store_values(session.connection(), Comment.__table__, rows)
    for row in rows:
        stored = db.session.get_one(Comment, row["id"])
        assert (stored.number, stored.created_at, stored.edited_at) == (row["number"], now, None)
        assert stored.last_sequence == 0  # the table's own default
    with pytest.raises(IntegrityError), writing() as session:
        plain_insert.store_values(session.connection(), Comment.__table__, rows[:1])
