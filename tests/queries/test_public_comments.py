"""What readers see: published comments alone, page by page, with replies and origins, on every database."""

import pytest

from guestbook.comments import comment_actions
from guestbook.comments.spam.spam_rules import Classification
from guestbook.lib import clock
from guestbook.queries import public_comments
from guestbook.storage import database, plain_sql
from guestbook.storage.database import db
from guestbook.storage.models import Comment, Origin
from guestbook.storage.plain_sql import Select
from tests.support import factories


def select() -> Select:
    db.session.rollback()
    return plain_sql.through(db.session())


@pytest.mark.usefixtures("each_app")
def test_a_page_is_the_newest_and_the_next_begins_where_it_ends() -> None:
    made = [factories.sign(str(number)) for number in range(9)]
    pages, before = [], None
    while True:
        page = public_comments.page(select(), before, 4)
        pages.append([row.id for row in page.rows])
        if page.older is None:
            break
        before = page.older
    assert [len(page) for page in pages] == [4, 4, 1]
    assert [row_id for page in pages for row_id in page] == made[::-1]


@pytest.mark.parametrize("status", ["held", "spam", "trash"])
def test_only_the_published_are_shown(status: str) -> None:
    hidden = factories.sign(verdict=Classification(status))
    shown = factories.sign()
    assert [row.id for row in public_comments.page(select(), None, 20).rows] == [shown]
    assert public_comments.find(select(), hidden) is None
    found = public_comments.find(select(), shown)
    assert found.id == shown


@pytest.mark.usefixtures("each_app")
def test_a_comment_comes_with_its_reply_and_its_origin() -> None:
    row_id = factories.sign("Hello", name="Ada")
    bare = public_comments.find(select(), row_id)
    assert (bare.reply, bare.replied_at, bare.origin, bare.origin_url) == (None,) * 4
    with database.writing() as session:
        comment = session.get_one(Comment, row_id)
        comment_actions.reply(session, comment, "Welcome", factories.settings())
        session.add(Origin(comment_id=row_id, name="elsewhere", url=None))
    stored = factories.the(Comment, row_id)
    for found in (public_comments.find(select(), row_id), *public_comments.page(select(), None, 1).rows):
        assert (found.name, found.website, found.message) == ("Ada", None, "Hello")
        assert (found.reply, found.origin, found.origin_url) == ("Welcome", "elsewhere", None)
        assert (found.created_at, found.replied_at) == (stored.created_at, stored.reply.created_at)


def test_a_time_that_was_garbled_by_hand_is_long_ago() -> None:
    row_id = factories.sign()
    with database.write(db.engine) as connection:
        connection.exec_driver_sql("UPDATE comments SET created_at = 'noon'")
    found = public_comments.find(select(), row_id)
    assert found.created_at == clock.LONG_AGO
