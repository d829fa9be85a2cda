"""A score from the words that the owner has judged before: naive Bayes over the telling words. Pure."""

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from guestbook.comments.spam import word_features

FEWEST_DECISIONS = 5  # of each kind, before the score says anything
SMOOTHING = 0.5  # added to each count, so that none is zero
DOUBT = 3.0  # a word counts in full only after many sights: after three by half
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
    in_spam = (count.spam + SMOOTHING) / (decisions.spam + 2 * SMOOTHING)
    in_good = (count.good + SMOOTHING) / (decisions.good + 2 * SMOOTHING)
    seen = count.good + count.spam
    weight = math.log(in_spam / in_good) * seen / (seen + DOUBT)
    limit = STRONGEST_SIGN if word in word_features.SIGNS else STRONGEST
    return max(-limit, min(limit, weight))
