"""What the spam rules know of a comment, and when it is a flood: asked of the database here alone."""

import logging
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import Connection

from guestbook.auth import rate_limit
from guestbook.comments.spam import learned_words, texts
from guestbook.comments.spam.spam_rules import CommentFacts
from guestbook.lib import ids
from guestbook.storage import audit_log
from guestbook.storage.plain_sql import Select
from guestbook.storage.preferences import Preferences

COMPARED_COMMENTS = 60  # The newest ones say which writing systems a book uses.
COMPARED_LETTERS = 80  # letters of each
FEWEST_COMMENTS = 20  # In a younger book any writing system may be the first.
FIRST_LOOK = 3  # Nearly always these use all writing systems of a new comment.
STATUS_OF = "SELECT status FROM comments WHERE id = :comment_id"
NEWEST_TEXTS = (
    f"SELECT substr(message, 1, {COMPARED_LETTERS}) FROM comments WHERE status = 'published'"
    " ORDER BY id DESC LIMIT :most"
)


def gather(
    select: Select, sent: CommentFacts, book: Preferences, secret_key: str, own_id: str | None = None
) -> CommentFacts:
    """Return the facts of a comment beside those that its form says. One that is changed has an id."""
    if book.moderation == "off":  # No rule needs the other facts then.
        return replace(sent, is_known_visitor=None)
    draft, text = sent.draft, sent.draft.all_words.casefold()
    lines = filter(None, map(str.strip, book.words.casefold().splitlines()))
    return replace(
        sent,
        listed_word=next((line for line in lines if texts.beginning_of(line).search(text)), None),
        foreign_script=_foreign_script(select, draft.message),
        repeated=texts.find_repeated(select, draft.name, draft.message, own_id),
        score=learned_words.score(select, secret_key, draft) if book.score else None,
    )


def is_known_visitor(select: Select, earlier_id: str | None) -> bool:
    """Whether the earlier comment of a browser stands in the book."""
    if earlier_id is None or not ids.ID.fullmatch(earlier_id):
        return False
    return list(select(STATUS_OF, comment_id=earlier_id)) == [("published",)]


def _foreign_script(select: Select, message: str) -> str | None:
    """Return a writing system of the text that none of the newest comments uses."""
    foreign, newest = texts.scripts(message), []
    for most in (FIRST_LOOK, COMPARED_COMMENTS):
        newest = [text for (text,) in select(NEWEST_TEXTS, most=most)] if foreign else []
        foreign -= texts.used_scripts(newest)
    return min(foreign) if foreign and len(newest) >= FEWEST_COMMENTS else None


FLOOD_WINDOW = timedelta(minutes=1)
HOLD_FOR = timedelta(hours=1)
FLOOD, FLOOD_HOLD = "flood", "flood hold"  # what is counted

log = logging.getLogger(__name__)


def pass_one(connection: Connection, secret_key: str, now: datetime, most: int) -> datetime | None:
    """Count a comment that would be published; return until when all are held, None while there is no flood.

    The caller's transaction must write.
    """
    if ends := held_until(connection, secret_key, now):
        return ends
    count, hold = rate_limit.who(secret_key, FLOOD), rate_limit.who(secret_key, FLOOD_HOLD)
    if not rate_limit.take(connection, count, now, most, FLOOD_WINDOW):
        return None
    rate_limit.take(connection, hold, now, 1, HOLD_FOR)
    log.warning(
        "More than %s comments came within a minute, so new ones are held for an hour. Look at them under "
        "Comments, and at the page Spam.",
        f"{most:,}",
    )
    return now + HOLD_FOR


def held_until(connection: Connection, secret_key: str, now: datetime) -> datetime | None:
    """Return until when comments are held because of a flood, None while there is none."""
    return rate_limit.ends_at(connection, rate_limit.who(secret_key, FLOOD_HOLD), now, HOLD_FOR)


def end_flood(connection: Connection, secret_key: str) -> None:
    """Stop holding comments, and count from zero again."""
    audit_log.record(connection, "ended", "flood")
    # In the order of pass_one, so that the two cannot wait for each other.
    rate_limit.forget(connection, rate_limit.who(secret_key, FLOOD))
    rate_limit.forget(connection, rate_limit.who(secret_key, FLOOD_HOLD))
