"""The learned score: a comment's words, weighed by those that the owner judged before.

First comes the pure part (naive Bayes), then the counts: read, changed by decisions, forgotten. A word is
stored as a keyed hash, so the table holds nothing that a visitor wrote.
"""

import hashlib
import math
import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple
from urllib.parse import urlsplit

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from guestbook.comments import comment_form
from guestbook.comments.comment_form import Draft
from guestbook.comments.spam import text_marks
from guestbook.lib import clock
from guestbook.storage import audit_log, plain_sql, row_changes
from guestbook.storage.models import Comment, LearnedWord
from guestbook.storage.plain_sql import Select

FEATURE_LIMIT = 300  # A decision changes few rows.
TEXT_READ = 2000  # characters of a message
WORD_LIMIT = 30  # characters
ANY_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")
# Scripts that put no spaces between words: pairs of letters take their place.
UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+")
# An address with its host, also one without a scheme where the page makes a link of it.
URL = re.compile(rf"(?:https?://|\bwww\.|(?={text_marks.BARE_HOST}))([\w.-]{{1,200}})\S*", re.IGNORECASE)
IN_ADDRESS = "/"  # Words of hosts begin so: they are no words of the text.
NUMBER = re.compile(r"\d+")
ANY_NUMBER = "(a number)"
SIGNS: dict[str, Callable[[str], object]] = {  # A sign → what finds it in a text.
    "(a link)": text_marks.links,
    "(markup for links)": text_marks.link_markup,
    "(money or percent)": text_marks.MONEY.search,
    "(a contact)": text_marks.contact,
    "(an e-mail address)": text_marks.MAIL_LIKE.search,
    "(a word of advertising)": text_marks.sold,
    "(praise for any page)": text_marks.praise,
}
OWN_WEBSITE, OTHER_WEBSITE = "(a website with that name)", "(a website with another name)"
ALL_SIGNS = {OWN_WEBSITE, OTHER_WEBSITE, *SIGNS}
NAME_PART = 3  # letters of a name that a host has too
TOP_LEVEL = re.compile(r"\.[a-z]{2,10}(?=[:\s]|$)")  # It says little, and would be in every address.


def features_of(draft: Draft) -> list[str]:
    """Return the features, each once: words, pairs of words, words of hosts, and a few signs."""
    text = folded("\n".join(filter(None, (draft.message[:TEXT_READ], draft.note))))
    spoken = words(URL.sub(" ", text))
    pairs = [f"{one} {two}" for one, two in pairwise(spoken) if ANY_NUMBER not in (one, two)]
    names = words(folded(f"{draft.name} {draft.place or ''}"))
    host = host_of(draft.website)
    sold_there = host_words([*URL.findall(text), host])
    signs = [website_sign(draft.name, host)] if host else []
    signs += [sign for sign, find in SIGNS.items() if find(text)]
    found = [*signs, *sold_there, *names, *spoken, *pairs]
    return list(dict.fromkeys(found))[:FEATURE_LIMIT]


def host_of(website: str | None) -> str:
    """Return the host of a website's address, folded; "" without one."""
    return folded(urlsplit(website or "").hostname or "")


def host_words(hosts: Iterable[str]) -> list[str]:
    """Return the words of hosts, without the top-level domains. A path names a page, so it says nothing."""
    plain = re.sub(r"\bwww\.|[\d_-]+", " ", TOP_LEVEL.sub(" ", " ".join(hosts)))
    return [IN_ADDRESS + word[:WORD_LIMIT] for word in ANY_WORD.findall(plain) if len(word) > 2]


def website_sign(name: str, host: str) -> str:
    """Return whether a host has a part of the visitor's name, or the name has no Latin letters."""
    plain = unicodedata.normalize("NFKD", folded(name)).encode("ascii", "ignore").decode()
    parts = [word for word in words(plain) if len(word) >= NAME_PART]
    return OWN_WEBSITE if not parts or any(word in host for word in parts) else OTHER_WEBSITE


def folded(text: str) -> str:
    """Return a text in the form in which it is compared."""
    return unicodedata.normalize("NFKC", text).casefold()


def words(text: str) -> list[str]:
    """Return words of spaced scripts and pairs of letters of the others; a number counts as any number."""
    spaced = ANY_WORD.findall(UNSPACED.sub(" ", text))
    found = [ANY_NUMBER if NUMBER.fullmatch(word) else word[:WORD_LIMIT] for word in spaced]
    for run in UNSPACED.findall(text):
        found += [run[place : place + 2] for place in range(len(run) - 1)] or [run]
    return found


FEWEST_DECISIONS = 30  # decisions of each kind before the score says anything: chance rules in fewer
# A word tells something if it is so many times as often in one kind: "with" and "your" are in both.
TIMES_AS_OFTEN = 3
CERTAINTY = 0.6  # standard errors that are taken off a weight, so that a word seen once says little
CERTAINTY_IN_BOTH = 1.5  # the same for a word that was in both kinds, as most common words are
SMOOTHING = 0.5  # added to each count, so that none is zero
TELLING_WORDS = 40  # words of a comment that count: the strongest
STRONGEST = 3.5  # weight of one word, so that none decides alone
STRONGEST_SIGN = 2.0  # weight of a sign, such as a website, which many good comments have too
SUSPICIOUS_SUM = 5.6  # the weight of a comment that is held; e^5.6: about 270 to 1
TELLING_SUM = SUSPICIOUS_SUM / 2  # what it needs without the common words that speak for spam
EXPLAINED = 3  # words in a reason


class Count(NamedTuple):
    """In how many comments that the owner published, and marked as spam, a word was."""

    good: int
    spam: int


class Score(NamedTuple):
    """The sum of the words' weights, and the uncommon words that speak most for spam with their counts."""

    weight: float
    evidence: tuple[tuple[str, int], ...]
    telling: float  # the sum without the common words that speak for spam


def of(words: Iterable[str], counts: Mapping[str, Count], decisions: Count) -> Score | None:
    """Weigh the words of a comment; None while there are too few decisions."""
    if min(decisions) < FEWEST_DECISIONS:
        return None
    weighed = [(_weight(word, counts[word], decisions), word) for word in words if word in counts]
    strongest = sorted(weighed, key=lambda one: -abs(one[0]))[:TELLING_WORDS]
    total = sum(weight for weight, _ in strongest)
    common = sum(weight for weight, word in strongest if weight > 0 and _is_common(word))
    speaking = [word for weight, word in strongest if weight > 0 and not _is_common(word)]
    speaking.sort(key=ALL_SIGNS.__contains__)  # Words say more to a person.
    evidence = tuple((word, counts[word].spam) for word in speaking[:EXPLAINED])
    return Score(total, evidence, total - common)


def _is_common(word: str) -> bool:
    """Whether it is a common word, or a pair of two: those say nothing."""
    return text_marks.common_words().issuperset(word.split(" "))


def _weight(word: str, count: Count, decisions: Count) -> float:
    """Return the logarithm of how much likelier the word is in spam than in other comments."""
    shares = count.good / decisions.good, count.spam / decisions.spam
    if max(shares) < TIMES_AS_OFTEN * min(shares):
        return 0.0
    good, spam = count.good + SMOOTHING, count.spam + SMOOTHING
    all_good, all_spam = decisions.good + 2 * SMOOTHING, decisions.spam + 2 * SMOOTHING
    likelier = math.log(spam / all_spam * all_good / good)
    # the logarithm's standard error
    error = math.sqrt(max(0.0, 1 / spam - 1 / all_spam + 1 / good - 1 / all_good))
    doubt = error * (CERTAINTY_IN_BOTH if min(shares) else CERTAINTY)
    limit = STRONGEST_SIGN if word in ALL_SIGNS else STRONGEST
    return math.copysign(min(limit, max(0.0, abs(likelier) - doubt)), likelier)


WORDS_KEPT = 20_000  # rows, a megabyte or two
FORGOTTEN_AT_ONCE = 2_000  # the rarest and oldest words
LEFT_IN_BOOK = 3  # comments that count as good with each spam
LEFT_SEARCHED = 100  # newest comments
SUMS = ""  # The numbers of comments stand under this name.
COUNTS = "SELECT hash, good, spam FROM learned_words WHERE hash IN "


def score(select: Select, secret_key: str, draft: Draft) -> Score | None:
    """Return the score of a draft, or None while the owner has decided too little."""
    sums = decisions(select, secret_key)
    if min(sums) < FEWEST_DECISIONS:
        return None
    words = {_hash(secret_key, word): word for word in features_of(draft)}
    counts = {words[name]: count for name, count in _counts(select, words).items()}
    return of(words.values(), counts, sums)


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
    if kind == "spam":
        query = select(Comment.id).where(Comment.status == "published").order_by(Comment.id.desc())
        newest = session.scalars(query.limit(LEFT_SEARCHED)).all()
        fresh = Comment.id.in_(newest), Comment.learned_as.is_(None), Comment.id != comment.id
        left = select(Comment).where(*fresh).order_by(Comment.id.desc()).limit(LEFT_IN_BOOK)
        # One that another decision has locked is left out: it waits for the sums, which are locked here.
        for other in session.scalars(left.with_for_update(skip_locked=True)).all():
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
    return max(0, count - 1)  # The row of sums is no word.


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
    draft = comment_form.draft_of(comment)
    _lock_sums(session, secret_key)
    hashes = [_hash(secret_key, word) for word in (SUMS, *features_of(draft))]
    rows = {row.hash: row for row in _lock(session, hashes)}
    now = clock.now()
    for name in hashes:
        row = rows.get(name)
        if row is None and step < 0:
            continue  # It was forgotten.
        if row is None:
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


def _forget_rarest(session: Session, secret_key: str) -> None:
    """Keep the table small: forget words that were in few comments, the oldest first."""
    count = session.scalar(select(func.count()).select_from(LearnedWord)) or 0
    if count <= WORDS_KEPT:
        return
    rows = select(LearnedWord.hash).where(LearnedWord.hash != _hash(secret_key, SUMS))
    rarest = rows.order_by(LearnedWord.good + LearnedWord.spam, LearnedWord.changed_at)
    names = session.scalars(rarest.limit(FORGOTTEN_AT_ONCE)).all()
    session.connection().execute(delete(LearnedWord).where(LearnedWord.hash.in_(names)))


def _hash(secret_key: str, word: str) -> str:
    key = hashlib.sha256(f"learned words {secret_key}".encode()).digest()
    return hashlib.blake2b(word.encode(), key=key, digest_size=8).hexdigest()
