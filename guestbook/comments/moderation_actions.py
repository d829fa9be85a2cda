"""What the owner may do with comments: on the pages, by the API, and on the page of a moderation link."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from guestbook.comments import book
from guestbook.comments.moderation_link import SignedLink
from guestbook.lib.errors import Refused
from guestbook.lib.text import clean_text
from guestbook.settings import Settings
from guestbook.storage.models import Comment, Hold

STATUS_AFTER = {"publish": "published", "hold": "held", "spam": "spam", "trash": "trash"}
MODERATION_ACTIONS = (*STATUS_AFTER, "restore", "delete")
BULK_LIMIT = 200  # comments in one request
STATUS_AFTER_LINK = {"publish": "published", "reply": "published", "spam": "spam", "trash": "trash"}


def run(session: Session, comment: Comment, action: str, settings: Settings) -> None:
    """Do it to one comment, which the caller has locked."""
    if action == "delete":
        book.delete(session, comment, settings)
    elif action == "restore":
        book.restore(session, comment, settings)
    else:
        book.decide(session, comment, STATUS_AFTER[action], settings)


@dataclass(frozen=True, slots=True)
class LinkedComment:
    """The comment that a link is about, and why the link does nothing any more, if so.

    `gone` is `expired`, `deleted`, `decided` or `older`; the last one is of an earlier hold.
    """

    comment: Comment | None
    hold: Hold | None
    gone: str | None


def find(session: Session, link: SignedLink, now: datetime) -> LinkedComment:
    """Return what the link leads to; it only reads."""
    return _state(link, session.get(Comment, link.comment_id), session.get(Hold, link.comment_id), now)


def find_locked(session: Session, link: SignedLink, now: datetime) -> LinkedComment:
    """The same under a lock, so that the second of two clicks finds the link used."""
    found = book.lock(session, [link.comment_id])
    hold = session.get(Hold, link.comment_id, populate_existing=True)
    return _state(link, found[0] if found else None, hold, now)


def decide(session: Session, comment: Comment, action: str, reply: str, settings: Settings) -> None:
    """Publish the comment, also with a reply, or mark it as spam or trash it; raises Refused.

    A reply that was typed is kept whichever of the two buttons publishes the comment.
    """
    reply = clean_text(reply)
    if action == "reply" and not reply:
        raise Refused("Write your reply first, or publish the comment without one.", field="reply")
    publishes = STATUS_AFTER_LINK[action] == "published"
    done = "reply" if publishes and reply else action
    book.decide(session, comment, STATUS_AFTER_LINK[action], settings)
    session.get_one(Hold, comment.id).action = done
    if publishes and reply:
        book.reply(session, comment, reply, settings)


def _state(link: SignedLink, comment: Comment | None, hold: Hold | None, now: datetime) -> LinkedComment:
    gone = None
    if link.expires_at <= now:
        gone = "expired"
    elif comment is None:
        gone = "deleted"
    elif hold is None or hold.held_at != link.held_at:
        gone = "older"
    elif hold.decided_at is not None or comment.status != "held":
        gone = "decided"
    return LinkedComment(comment, hold, gone)
