"""The spam rules on hundreds of good and bad comments: what one half teaches holds in the other."""

import pytest

from guestbook.comments.spam import learned_words, trained_score
from guestbook.comments.spam.learned_words import Count
from scripts import spam_weights
from tests.support import spam_corpus

SPLITS = range(6)


def test_there_are_hundreds_of_each_and_each_is_there_once() -> None:
    for kind in ("good", "spam"):
        drafts = spam_corpus.read(kind)
        assert len(drafts) >= 300
        assert len({draft.message for draft in drafts}) == len(drafts)


@pytest.mark.parametrize("split", SPLITS)
def test_no_good_comment_is_spam_and_few_are_held(split: int) -> None:
    found = spam_corpus.verdicts("good", split)
    assert found.spam == []
    assert len(found.held) <= 0.01 * found.count, found.held


@pytest.mark.parametrize("split", SPLITS)
def test_hardly_any_spam_is_published(split: int) -> None:
    found = spam_corpus.verdicts("spam", split)
    assert len(found.published) <= 0.04 * found.count, found.published


def test_in_a_new_book_the_rules_alone_hold_most_spam_and_hardly_a_good_comment() -> None:
    good, bad = (spam_corpus.verdicts(kind, 0, learned=False) for kind in ("good", "spam"))
    assert len(good.held) <= 0.005 * good.count, good.held
    assert good.spam == []
    assert len(bad.published) <= 0.04 * bad.count
    assert len(bad.spam) >= 0.7 * bad.count


def test_a_new_book_publishes_all_good_comments_that_no_rule_was_made_for() -> None:
    found = spam_corpus.unseen_verdicts("good", learned=False)
    assert (found.held, found.spam) == ([], [])


@pytest.mark.parametrize(
    "path", ["about.html", "very/that/paragraph-to-visit.html", "best-online-shop-review"]
)
def test_a_link_alone_makes_hardly_a_good_comment_suspicious(path: str) -> None:
    found = spam_corpus.verdicts_with_link(f"https://blog.example.org/{path}")
    assert len(found.published) >= 0.95 * found.count, found.held
    assert len(found.spam) <= 0.002 * found.count, found.spam


def test_the_trained_weights_are_those_of_the_corpus() -> None:
    first = trained_score.WEIGHTS.read_text(encoding="utf-8").partition("\n")[0]
    assert first == f"# corpus {spam_weights.corpus_hash()}", "run scripts/train_spam_score"


def test_most_spam_that_no_rule_was_made_for_is_held() -> None:
    """One-line advertisements by another writer are harder than the rest of the corpus."""
    taught, new = (spam_corpus.unseen_verdicts("spam", learned=learned) for learned in (True, False))
    assert len(taught.published) <= 0.15 * taught.count
    assert len(new.published) <= 0.2 * new.count


@pytest.mark.parametrize("decisions", [10, 30])
def test_function_words_hold_hardly_a_good_comment(decisions: int) -> None:
    """Ten sets of decisions drawn from the corpus; the rest of it is judged by each."""
    for seed in range(10):
        found = spam_corpus.verdicts_after("good", decisions, seed)
        by_score = [one for one, verdict in found.held if "resembles" in str(verdict.text)]
        assert len(by_score) <= 1, by_score
        assert found.spam == []


def test_common_words_are_weighed_apart_and_are_no_evidence() -> None:
    counts = {"want": Count(0, 40), "want to": Count(0, 40), "lantern": Count(0, 4)}
    found = learned_words.of(counts, counts, Count(500, 500))
    assert found is not None
    assert found.evidence == (("lantern", 4),)
    alone = learned_words.of(["lantern"], counts, Count(500, 500))
    assert alone is not None
    assert found.telling == pytest.approx(alone.weight)
    assert found.weight > found.telling


def test_a_word_in_both_kinds_says_nothing_however_often_it_was_seen() -> None:
    counts = {"with": Count(200, 400), "lantern": Count(0, 4), "herring": Count(9, 1)}
    found = learned_words.of(counts, counts, Count(500, 500))
    assert found.evidence == (("lantern", 4),)
    alone = learned_words.of(["with"], counts, Count(500, 500))
    assert alone == (0.0, (), 0.0)
