"""A score from the words that the owner has judged before: naive Bayes over the telling words. Pure."""

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from guestbook.comments.spam import word_features

FEWEST_DECISIONS = 30  # of each kind, before the score says anything: chance rules in fewer
TIMES_AS_OFTEN = 3  # in one kind as in the other, or a word tells nothing: "with" and "your" are in both
CERTAINTY = 0.6  # standard errors that are taken off a weight, so that a word seen once says little
CERTAINTY_IN_BOTH = 1.5  # the same for a word that was in both kinds, as most common words are
SMOOTHING = 0.5  # added to each count, so that none is zero
TELLING_WORDS = 40  # of a comment that count: the strongest
STRONGEST = 3.5  # weight of one word, so that none decides alone
STRONGEST_SIGN = 2.0  # weight of a sign, such as a website, which many good comments have too
SUSPICIOUS = 5.6  # a sum of weights; e^5.6: about 270 to 1
EXPLAINED = 3  # words in a reason


class Count(NamedTuple):
    """In how many comments that the owner published, and marked as spam, a word was."""

    good: int
    spam: int


class Score(NamedTuple):
    """The sum of the words' weights, and the words that speak most for spam with their counts."""

    weight: float
    evidence: tuple[tuple[str, int], ...]

    @property
    def is_suspicious(self) -> bool:
        """Whether the comment looks like those that the owner marked as spam."""
        return self.weight >= SUSPICIOUS


def of(words: Iterable[str], counts: Mapping[str, Count], decisions: Count) -> Score | None:
    """Weigh the words of a comment; None while there are too few decisions."""
    if min(decisions) < FEWEST_DECISIONS:
        return None
    weighed = [(_weight(word, counts[word], decisions), word) for word in words if word in counts]
    telling = sorted(weighed, key=lambda one: -abs(one[0]))[:TELLING_WORDS]
    speaking = [(word, counts[word].spam) for weight, word in telling if weight > 0]
    speaking.sort(key=lambda one: one[0] in word_features.SIGNS)  # words say more to a person
    return Score(sum(weight for weight, _ in telling), tuple(speaking[:EXPLAINED]))


def _weight(word: str, count: Count, decisions: Count) -> float:
    """Return the logarithm of how much likelier the word is in spam than in other comments."""
    shares = count.good / decisions.good, count.spam / decisions.spam
    if max(shares) < TIMES_AS_OFTEN * min(shares):
        return 0.0
    good, spam = count.good + SMOOTHING, count.spam + SMOOTHING
    all_good, all_spam = decisions.good + 2 * SMOOTHING, decisions.spam + 2 * SMOOTHING
    likelier = math.log(spam / all_spam * all_good / good)
    error = math.sqrt(max(0.0, 1 / spam - 1 / all_spam + 1 / good - 1 / all_good))  # of such a logarithm
    doubt = error * (CERTAINTY_IN_BOTH if min(shares) else CERTAINTY)
    limit = STRONGEST_SIGN if word in word_features.SIGNS else STRONGEST
    return math.copysign(min(limit, max(0.0, abs(likelier) - doubt)), likelier)
