"""The learned score's counts: read, changed by the owner's decisions, forgotten.

A word is stored as a keyed hash, so the table holds nothing that a visitor wrote.
"""

import hashlib
from collections.abc import Collection, Sequence
from functools import lru_cache

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from guestbook.comments.comment_form import DRAFT_FIELDS, Draft
from guestbook.comments.spam import word_score
from guestbook.comments.spam.word_score import Count, Score
from guestbook.lib import clock
from guestbook.storage import audit_log, plain_sql, row_changes
from guestbook.storage.models import Comment, LearnedWord
from guestbook.storage.plain_sql import Select

WORDS_KEPT = 20_000  # rows, a megabyte or two
FORGOTTEN_AT_ONCE = 2_000  # the rarest and oldest, when there are more
LEFT_IN_BOOK = 3  # published comments that count as good with each that is marked as spam
LEFT_SEARCHED = 100  # of the newest ones
SUMS = ""  # in place of a word: the numbers of comments
COUNTS = "SELECT hash, good, spam FROM learned_words WHERE hash IN "


def score(select: Select, secret_key: str, draft: Draft) -> Score | None:
    """Return the score of a draft, or None while the owner has decided too little."""
    sums = decisions(select, secret_key)
    if min(sums) < word_score.FEWEST_DECISIONS:
        return None
    words = {_hash(secret_key, word): word for word in word_score.features_of(draft)}
    counts = {words[name]: count for name, count in _counts(select, words).items()}
    return word_score.of(words.values(), counts, sums)


def decisions(select: Select, secret_key: str) -> Count:
    """Return how many comments the score has learned from."""
    name = _hash(secret_key, SUMS)
    return _counts(select, [name]).get(name, Count(0, 0))


def learn(session: Session, secret_key: str, comment: Comment, kind: str) -> None:
    """Count a comment's words as `good` or `spam`, in the transaction of the owner's decision.

    With each spam some comments that the owner left in the book count as good, so that the score knows what
    is usual here.
    """
    if comment.learned_as == kind:
        return
    _count_as(session, secret_key, comment, kind)
    for other in _left_in_book(session, comment.id) if kind == "spam" else ():
        _count_as(session, secret_key, other, "good")
    _forget_rarest(session, secret_key)


def unlearn(session: Session, secret_key: str, comment: Comment) -> None:
    """Take back what was learned: the owner changed the decision, or deletes the comment for good."""
    if comment.learned_as:
        _add(session, secret_key, comment, comment.learned_as, -1)
        comment.learned_as = None
        session.flush()


def forget_all(session: Session, secret_key: str) -> int:
    """Erase everything that was learned; return of how many words."""
    _lock_sums(session, secret_key)
    count = session.scalar(select(func.count()).select_from(LearnedWord)) or 0
    connection = session.connection()
    connection.execute(delete(LearnedWord))
    connection.execute(update(Comment).where(Comment.learned_as.is_not(None)).values(learned_as=None))
    audit_log.record(session, "cleared", "learned_words")
    return max(0, count - 1)  # without the sums


def _counts(select: Select, names: Collection[str]) -> dict[str, Count]:
    text, named = plain_sql.listed(names)
    rows = select(COUNTS + text, **named) if names else ()
    return {name: Count(good, spam) for name, good, spam in rows}


def _count_as(session: Session, secret_key: str, comment: Comment, kind: str) -> None:
    unlearn(session, secret_key, comment)
    _add(session, secret_key, comment, kind, 1)
    comment.learned_as = kind
    session.flush()


def _add(session: Session, secret_key: str, comment: Comment, kind: str, step: int) -> None:
    """Change the counts of a comment's words by one, and delete words that are in no comment any more."""
    draft = Draft(errors={}, **{name: getattr(comment, name) for name in DRAFT_FIELDS})
    _lock_sums(session, secret_key)
    hashes = [_hash(secret_key, word) for word in (SUMS, *word_score.features_of(draft))]
    rows = {row.hash: row for row in _lock(session, hashes)}
    now = clock.now()
    for name in hashes:
        row = rows.get(name)
        if row is None:
            if step < 0:
                continue  # it was forgotten
            row = LearnedWord(hash=name, good=0, spam=0)
            session.add(row)
        setattr(row, kind, max(0, getattr(row, kind) + step))
        row.changed_at = now
        if not row.good and not row.spam:
            session.delete(row)
    session.flush()


def _lock_sums(session: Session, secret_key: str) -> None:
    """Lock the sums, which are in every decision, so that two decisions wait here for each other."""
    name = _hash(secret_key, SUMS)
    while not _lock(session, [name]):
        row = {"hash": name, "good": 0, "spam": 0, "changed_at": clock.now()}
        row_changes.insert_missing(session.connection(), LearnedWord, **row)


def _lock(session: Session, hashes: Sequence[str]) -> Sequence[LearnedWord]:
    query = select(LearnedWord).where(LearnedWord.hash.in_(hashes)).order_by(LearnedWord.hash)
    return session.scalars(query.with_for_update(), execution_options={"populate_existing": True}).all()


def _left_in_book(session: Session, but: str) -> Sequence[Comment]:
    """Return some of the newest published comments that were not counted yet.

    One that another decision has locked is left out: that decision waits for the sums, which are locked here.
    """
    query = select(Comment.id).where(Comment.status == "published").order_by(Comment.id.desc())
    newest = session.scalars(query.limit(LEFT_SEARCHED)).all()
    fresh = select(Comment).where(Comment.id.in_(newest), Comment.learned_as.is_(None), Comment.id != but)
    fresh = fresh.order_by(Comment.id.desc()).limit(LEFT_IN_BOOK)
    return session.scalars(fresh.with_for_update(skip_locked=True)).all()


def _forget_rarest(session: Session, secret_key: str) -> None:
    """Keep the table small: forget words that were in few comments, the oldest first."""
    count = session.scalar(select(func.count()).select_from(LearnedWord)) or 0
    if count <= WORDS_KEPT:
        return
    rows = select(LearnedWord.hash).where(LearnedWord.hash != _hash(secret_key, SUMS))
    rarest = rows.order_by(LearnedWord.good + LearnedWord.spam, LearnedWord.changed_at).limit(
        FORGOTTEN_AT_ONCE
    )
    names = session.scalars(rarest).all()
    session.connection().execute(delete(LearnedWord).where(LearnedWord.hash.in_(names)))


def _hash(secret_key: str, word: str) -> str:
    return hashlib.blake2b(word.encode(), key=_key(secret_key), digest_size=8).hexdigest()


@lru_cache(maxsize=2)
def _key(secret_key: str) -> bytes:
    return hashlib.sha256(f"learned words {secret_key}".encode()).digest()
