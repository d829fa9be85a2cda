"""Almost the same text again, under another name: found with small changes, and never by chance."""

import pytest
from sqlalchemy import Engine

from guestbook.comments.spam import text_marks
from guestbook.comments.spam.text_marks import Repeated
from guestbook.lib import clock
from guestbook.storage import plain_sql
from guestbook.storage.database import db, writing
from guestbook.storage.models import Comment
from tests.support import factories, spam_corpus

TEXT = (
    "Our family has run the mill for two hundred years, and whoever comes by on a Sunday gets bread that is "
    "still warm. See the pictures at http://mill.example/1"
)
CHANGED = TEXT.replace("two hundred", "300").replace("/1", "/22").replace("Sunday", "SUNDAY!!!")

pytestmark = pytest.mark.usefixtures("app")


def find(message: str, name: str = "Bob") -> Repeated | None:
    return text_marks.find_repeated(plain_sql.through(db.session()), name, message)


@pytest.mark.parametrize("message", [TEXT, TEXT.upper(), CHANGED, f"{TEXT} Bye!"])
def test_a_text_that_was_changed_a_little_is_found(message: str) -> None:
    factories.sign(TEXT)
    assert find(message) == Repeated(same_name=False, status="published")


def test_the_same_name_is_told_from_another() -> None:
    factories.sign(TEXT)
    found = find(TEXT, "Ada")
    assert found.same_name


def test_one_that_is_spam_counts_before_others() -> None:
    ids = [factories.sign(TEXT) for _ in range(3)]
    factories.written(lambda session: session.get_one(Comment, ids[1]).set_status("spam", clock.now()))
    assert find(TEXT) == Repeated(same_name=False, status="spam")


def test_other_texts_are_other_texts() -> None:
    drafts = [*spam_corpus.read("good")[:60], *spam_corpus.read("spam")[:60]]
    for draft in drafts:
        factories.sign(draft.message)
    parts = [text_marks.parts(draft.message) for draft in drafts]
    pairs = [(one, other) for one in range(len(parts)) for other in range(one)]
    assert not [pair for pair in pairs if text_marks.is_almost_same(parts[pair[0]], parts[pair[1]])]
    assert not [draft.message for draft in spam_corpus.read("good")[60:] if find(draft.message)]


def test_a_corrected_comment_is_found_by_its_new_text_alone() -> None:
    comment_id = factories.sign(TEXT)
    with writing() as session:
        comment = session.get_one(Comment, comment_id)
        comment.message = "Something else that is long enough to be looked at by this rule, I hope."
        session.flush()
        text_marks.remember_text(session, comment)
    assert find(TEXT) is None
    assert find("Something else that is long enough to be looked at by this rule, I hope!")


def test_a_lookup_in_a_large_book_goes_through_the_indexes_and_stops(engine: Engine) -> None:
    if engine.dialect.name != "sqlite":
        pytest.skip("the plan is SQLite's")
    for _ in range(20):
        factories.sign(TEXT)
    assert find(TEXT)
    for statement in text_marks.WITH_MARK:
        assert "LIMIT" in statement
        with engine.connect() as connection:
            found = plain_sql.run(connection, f"EXPLAIN QUERY PLAN {statement}", mark="x")
        plan = " ".join(row[-1] for row in found)
        assert "SEARCH text_marks USING COVERING INDEX text_marks_by_" in plan
        assert "TEMP B-TREE" not in plan
