"""Good and bad comments, and how many of them the spam rules sort right after learning from one half.

Each line of a file is a comment: name | website | message. The halves are split by a hash, so that a change
of one line moves no other. Every comment is judged by what the other half taught, as its visitor's first.

The files `unseen_good` and `unseen_spam` were written without a look at the rules, and no rule was changed
for them. If you change a rule because of one of them, move them all to the others and write new ones.
"""

import hashlib
import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import chain
from pathlib import Path

from guestbook.comments import comment_form
from guestbook.comments.comment_form import Draft
from guestbook.comments.spam import learned_words, spam_rules, trained_score
from guestbook.comments.spam.learned_words import Count, Score
from guestbook.comments.spam.spam_rules import Classification, CommentFacts

CORPUS = Path(__file__).parents[1] / "comments" / "spam" / "corpus"


KINDS = ("good", "spam")
# Each split asks for the same comments; what their owner decided is not in it.
trained_score._of = cache(trained_score._of.__wrapped__)


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What became of the comments of one kind; the wrong ones have their reasons."""

    published: list[Draft]
    held: list[tuple[Draft, Classification]]
    spam: list[tuple[Draft, Classification]]

    @property
    def count(self) -> int:
        return len(self.published) + len(self.held) + len(self.spam)


@cache
def read(kind: str) -> tuple[Draft, ...]:
    """Return the comments of a file, in its order: `good`, `spam`, `unseen_good` or `unseen_spam`."""
    drafts = []
    for line in (CORPUS / f"{kind}.txt").read_text().splitlines():
        name, website, message = (part.strip() for part in line.split("|", 2))
        drafts.append(comment_form.read({"name": name, "website": website, "message": message}))
        assert not drafts[-1].errors, line
    return tuple(drafts)


def half(draft: Draft, split: int) -> int:
    """Return 0 or 1: the half in which the comment is in this split."""
    return hashlib.sha256(f"{split} {draft.name} {draft.message}".encode()).digest()[0] % 2


def verdicts(kind: str, split: int, *, learned: bool = True) -> Verdicts:
    """Judge all comments of a kind in a split, with or without the learned score."""
    return _judged(read(kind), lambda one: _score(one, 1 - half(one, split), split) if learned else None)


def unseen_verdicts(kind: str, *, learned: bool = True) -> Verdicts:
    """Judge the unseen comments of a kind, by what the whole corpus taught or by the rules alone."""
    return _judged(read(f"unseen_{kind}"), lambda draft: _score(draft, None) if learned else None)


def verdicts_with_link(address: str) -> Verdicts:
    """Judge the good comments that lead nowhere, with an address at their end, by the rules alone."""
    good = [one for one in (*read("good"), *read("unseen_good")) if not (one.website or "://" in one.message)]
    return _judged([replace(one, message=f"{one.message} {address}") for one in good], lambda _: None)


def verdicts_after(kind: str, decisions: int, seed: int) -> Verdicts:
    """Judge the comments of a kind that are not among so many decisions of each kind, drawn by the seed."""
    drawn = {one: random.Random(seed).sample(read(one), decisions) for one in ("good", "spam")}
    counts, sums = _counted(drawn)
    rest = [draft for draft in (*read(kind), *read(f"unseen_{kind}")) if draft not in drawn[kind]]
    return _judged(rest, lambda draft: learned_words.of(_words(draft), counts, sums))


def _judged(drafts: Iterable[Draft], score_of: Callable[[Draft], Score | None]) -> Verdicts:
    found = Verdicts([], [], [])
    for draft in drafts:
        facts = CommentFacts(draft, age=60, is_known_visitor=False, score=score_of(draft))
        verdict = spam_rules.classify(facts)
        if verdict.status == "published":
            found.published.append(draft)
        else:
            (found.held if verdict.status == "held" else found.spam).append((draft, verdict))
    return found


def _score(draft: Draft, side: int | None, split: int = 0) -> Score | None:
    counts, decisions = _learned(side, split)
    return learned_words.of(_words(draft), counts, decisions)


@cache
def _learned(side: int | None, split: int) -> tuple[dict[str, Count], Count]:
    """Count the words of one half, or of all without one."""
    good, spam = ([one for one in read(kind) if side in (None, half(one, split))] for kind in KINDS)
    return _counted({"good": good, "spam": spam})


def _counted(decided: Mapping[str, Sequence[Draft]]) -> tuple[dict[str, Count], Count]:
    """Count the words as the owner's decisions do in the table."""
    words = {kind: Counter(chain.from_iterable(map(_words, drafts))) for kind, drafts in decided.items()}
    known = words["good"].keys() | words["spam"].keys()
    counts = {word: Count(words["good"][word], words["spam"][word]) for word in known}
    return counts, Count(len(decided["good"]), len(decided["spam"]))


def _words(draft: Draft) -> list[str]:
    return _features(draft.name, draft.website, draft.message)


@cache
def _features(name: str, website: str | None, message: str) -> list[str]:
    """Return the words of a comment, which all splits ask for."""
    return list(learned_words.features_of(Draft(name, website, message, {})))
