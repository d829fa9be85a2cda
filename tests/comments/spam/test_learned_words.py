"""The learned score: counts follow the owner's decisions, explain themselves, and can be forgotten."""

import pytest
from sqlalchemy import func, select

from guestbook.comments import comment_actions
from guestbook.comments.comment_form import Draft
from guestbook.comments.spam import learned_words
from guestbook.comments.spam.learned_words import SUSPICIOUS_SUM, Count, Score
from guestbook.storage import plain_sql
from guestbook.storage.database import db, writing
from guestbook.storage.models import Comment, LearnedWord
from tests.support import factories

LANTERNS = "Wonderful lanterns for every garden, order lanterns today from our lantern house"
GREETING = "We met at the harbour and talked about herring until the ferry came"

pytestmark = pytest.mark.usefixtures("app")


def key() -> str:
    return factories.settings().secret_key


def decisions() -> Count:
    return learned_words.decisions(plain_sql.through(db.session()), key())


def rows() -> dict[str, Count]:
    query = select(LearnedWord.hash, LearnedWord.good, LearnedWord.spam)
    return {row.hash: Count(row.good, row.spam) for row in db.session.execute(query)}


def score(message: str) -> Score | None:
    return learned_words.score(plain_sql.through(db.session()), key(), Draft("Eve", None, message, {}))


def teach(times: int = learned_words.FEWEST_DECISIONS) -> None:
    for number in range(times):
        factories.change(factories.sign(f"{LANTERNS} {number}"), comment_actions.decide, "spam")
        factories.change(factories.sign(f"{GREETING} {number}"), comment_actions.decide, "published")


def test_a_decision_counts_each_word_once_and_no_word_is_stored() -> None:
    comment_id = factories.sign("Lantern lantern boat")
    factories.change(comment_id, comment_actions.decide, "spam")
    words = learned_words.features_of(Draft("Ada", None, "Lantern lantern boat", {}))
    assert decisions() == (0, 1)
    assert list(rows().values()) == [Count(0, 1)] * (len(words) + 1)
    assert not [name for name in rows() if "lantern" in name]
    assert db.session.get_one(Comment, comment_id).learned_as == "spam"


def test_another_decision_takes_back_the_one_before() -> None:
    comment_id = factories.sign(LANTERNS)
    factories.change(comment_id, comment_actions.decide, "spam")
    factories.change(comment_id, comment_actions.decide, "spam")
    assert decisions() == (0, 1)
    factories.change(comment_id, comment_actions.decide, "published")
    assert decisions() == (1, 0)
    assert set(rows().values()) == {Count(1, 0)}
    for status in ("held", "trash"):
        factories.change(comment_id, comment_actions.decide, "published")
        factories.change(comment_id, comment_actions.decide, status)
        assert rows() == {}
        assert db.session.get_one(Comment, comment_id, populate_existing=True).learned_as is None


def test_restoring_and_deleting_take_it_back_too() -> None:
    for undo in (comment_actions.delete, comment_actions.restore):
        comment_id = factories.sign(LANTERNS)
        factories.change(comment_id, comment_actions.decide, "spam")
        factories.change(comment_id, undo)
        assert rows() == {}


def test_a_correction_moves_the_counts_to_the_new_words() -> None:
    comment_id = factories.sign(LANTERNS)
    factories.change(comment_id, comment_actions.decide, "spam")
    draft = Draft("Ada", None, "Short", {})
    factories.change(comment_id, comment_actions.edit, draft)
    assert decisions() == (0, 1)
    assert len(rows()) == len(learned_words.features_of(draft)) + 1


def test_what_the_owner_left_in_the_book_counts_as_good() -> None:
    standing = [factories.sign(f"{GREETING} {number}") for number in range(4)]
    factories.change(factories.sign(LANTERNS), comment_actions.decide, "spam")
    assert decisions() == (3, 1)
    kinds = [db.session.get_one(Comment, one, populate_existing=True).learned_as for one in standing]
    assert kinds == [None, "good", "good", "good"]


def test_it_knows_what_resembles_spam_and_says_which_words() -> None:
    teach()
    found = score("A lanterns offer from the lantern house, order for your garden today")
    assert found.weight >= SUSPICIOUS_SUM
    assert {("lanterns", 30), ("lantern", 30), ("order", 30)} & set(found.evidence)
    other = score("The herring in the harbour was as good as ever")
    assert other.weight < SUSPICIOUS_SUM


def test_forgetting_leaves_nothing_and_later_decisions_begin_anew() -> None:
    teach()
    with writing() as session:
        assert learned_words.forget_all(session, key()) > 10
    assert rows() == {}
    assert db.session.scalar(select(func.count()).where(Comment.learned_as.is_not(None))) == 0
    comment_id = factories.sign(LANTERNS)
    factories.change(comment_id, comment_actions.decide, "spam")
    factories.change(comment_id, comment_actions.decide, "trash")
    assert min(decisions()) >= 0


def test_the_table_stays_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learned_words, "WORDS_KEPT", 60)
    monkeypatch.setattr(learned_words, "FORGOTTEN_AT_ONCE", 30)
    for number in range(12):
        words = " ".join(f"word{number}x{place}" for place in range(8))
        factories.change(factories.sign(f"lantern {words}"), comment_actions.decide, "spam")
        assert len(rows()) <= 61
    assert decisions().spam == 12  # the sums stay
