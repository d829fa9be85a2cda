"""Gather what the spam rules need to know of a comment: the one place that asks the database for them."""

import re
from functools import lru_cache

from guestbook.comments.comment_form import Draft
from guestbook.comments.spam import advertising_words, learned_words, repeated_texts, text_facts
from guestbook.comments.spam.spam_rules import CommentFacts
from guestbook.lib import ids
from guestbook.storage.plain_select import Select
from guestbook.storage.preferences import Preferences

COMPARED_COMMENTS = 60  # the newest ones say which writing systems a book uses
COMPARED_LETTERS = 80  # of each
FEWEST_COMMENTS = 20  # in a younger book every writing system may be the first
FIRST_LOOK = 3  # of these comments: nearly always they use all writing systems of a new one
STATUS_OF = "SELECT status FROM comments WHERE id = :comment_id"
NEWEST_TEXTS = (
    f"SELECT substr(message, 1, {COMPARED_LETTERS}) FROM comments WHERE status = 'published'"
    " ORDER BY id DESC LIMIT :most"
)


def gather(
    select: Select,
    draft: Draft,
    book: Preferences,
    secret_key: str,
    *,
    trap: str = "",
    age: float | None = None,
    is_known_visitor: bool | None = None,
    own_id: str | None = None,
) -> CommentFacts:
    """Return the facts of a comment that a visitor or a source wants to store, or change if it has an id."""
    if book.moderation == "off":  # then no rule needs the others
        return CommentFacts(draft, trap=trap, age=age)
    return CommentFacts(
        draft,
        trap=trap,
        age=age,
        is_known_visitor=is_known_visitor,
        listed_word=_listed_word(draft, book.words),
        foreign_script=_foreign_script(select, draft.message),
        repeated=repeated_texts.find(select, draft.name, draft.message, own_id),
        score=learned_words.score(select, secret_key, draft) if book.score else None,
    )


def is_known_visitor(select: Select, earlier_id: str | None) -> bool:
    """Whether the earlier comment of a browser stands in the book."""
    if earlier_id is None or not ids.ID.fullmatch(earlier_id):
        return False
    return list(select(STATUS_OF, comment_id=earlier_id)) == [("published",)]


def _listed_word(draft: Draft, words: str) -> str | None:
    text = draft.all_words.casefold()
    patterns = _patterns(words)
    return next((word for word, pattern in patterns if pattern.search(text)), None)


@lru_cache(maxsize=2)  # the list changes seldom
def _patterns(words: str) -> tuple[tuple[str, re.Pattern[str]], ...]:
    """Return a pattern for each line of the owner's list: it finds the beginnings of words."""
    lines = dict.fromkeys(line.strip() for line in words.casefold().splitlines())
    return tuple((line, advertising_words.beginning_of(line)) for line in lines if line)


def _foreign_script(select: Select, message: str) -> str | None:
    """Return a writing system of the text that none of the newest comments uses."""
    mine = text_facts.scripts(message)
    if not mine:
        return None
    for most in (FIRST_LOOK, COMPARED_COMMENTS):
        texts = [text for (text,) in select(NEWEST_TEXTS, most=most)]
        foreign = mine - text_facts.used_scripts(texts)
        if not foreign:
            return None
    return min(foreign) if len(texts) >= FEWEST_COMMENTS else None
