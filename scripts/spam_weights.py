"""The weights of the trained score: a logistic regression on the corpus of the spam tests.

Signs count in full, the pieces of words by the square root of their number, so that long texts do not decide
by their length. Only pieces of two comments or more count.
"""

import hashlib
import math
from collections import Counter
from collections.abc import Sequence

from guestbook.comments.spam import trained_score
from tests.support import spam_corpus

ROUNDS = 32
STEP = 0.5
SHRUNK_SIGNS, SHRUNK_PIECES = 0.5, 0.1  # how much large weights cost
FEWEST = 2  # comments with a piece
SMALLEST = 2  # hundredths

LISTED = (trained_score.ADVERTISING[:-1], trained_score.PRAISE[:-1], "(advertising in")

Row = tuple[dict[str, float], bool]  # features and their values; whether it is spam


def corpus_hash() -> str:
    """Return the hash of the files that the weights were learned from."""
    files = [spam_corpus.CORPUS / f"{kind}.txt" for kind in spam_corpus.KINDS]
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


def rows() -> list[Row]:
    """Return the features of all comments, in an order that mixes both kinds."""
    drafts = [(draft, kind == "spam") for kind in spam_corpus.KINDS for draft in spam_corpus.read(kind)]
    drafts.sort(key=lambda one: hashlib.sha256(one[0].message.encode()).digest())
    return [
        (values(trained_score.features_of(draft.name, draft.website or "", draft.texts)), is_spam)
        for draft, is_spam in drafts
    ]


def values(features: tuple[set[str], dict[str, set[str]]]) -> dict[str, float]:
    """Return the value of each feature of a comment."""
    signs, words = features
    pieces = set[str]().union(*words.values())
    share = 1 / math.sqrt(max(1, len(pieces)))
    return {
        trained_score.BIAS: 1.0,
        **dict.fromkeys(sorted(signs), 1.0),
        **dict.fromkeys(sorted(pieces), share),
    }


def train(taught: Sequence[Row]) -> dict[str, float]:
    """Return the weights: gradient descent with a step for each feature (Adagrad), one comment at a time."""
    counts = Counter(feature for features, _ in taught for feature in features)
    weights = dict.fromkeys((one for one, count in counts.items() if count >= FEWEST), 0.0)
    squares = dict.fromkeys(weights, 1e-6)
    for turn in range(ROUNDS):
        for features, is_spam in taught:
            # The lists of words know the corpus better than other texts, so every second round is without.
            known = [
                (one, value)
                for one, value in features.items()
                if one in weights and (turn % 2 or not one.startswith(LISTED))
            ]
            error = 1 / (1 + math.exp(-sum(weights[one] * value for one, value in known))) - is_spam
            for one, value in known:
                shrunk = SHRUNK_SIGNS if one.startswith("(") else SHRUNK_PIECES
                slope = error * value + shrunk * weights[one] / counts[one]
                squares[one] += slope * slope
                weights[one] -= STEP * slope / math.sqrt(squares[one])
    return weights


def main() -> None:
    """Write the file of weights."""
    rounded = {one: round(100 * weight) for one, weight in train(rows()).items()}
    lines = [f"{one}\t{weight}" for one, weight in sorted(rounded.items()) if abs(weight) >= SMALLEST]
    text = "\n".join([f"# corpus {corpus_hash()}", *lines, ""])
    trained_score.WEIGHTS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
