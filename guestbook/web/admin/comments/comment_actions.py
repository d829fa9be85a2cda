"""The actions on comments, with their labels and sentences."""

from collections.abc import Sequence

from sqlalchemy.orm import Session

from guestbook.comments import book
from guestbook.lib.text import counted
from guestbook.storage.models import Comment
from guestbook.web import current
from guestbook.web.admin import undo

BULK_LIMIT = 200  # comments in one request

ACTION_LABELS = {"publish": "Publish", "hold": "Hold", "spam": "Spam", "trash": "Trash", "restore": "Restore"}
STATUS_AFTER = {"publish": "published", "hold": "held", "spam": "spam", "trash": "trash"}
ACTIONS_BY_STATUS = {  # the other actions would change nothing
    "published": ("hold", "spam", "trash"),
    "held": ("publish", "spam", "trash"),
    "spam": ("publish", "restore", "trash"),
    "trash": ("restore",),
    "all": tuple(ACTION_LABELS),
}
PAST_TENSE = {
    "publish": "Published",
    "hold": "Held",
    "spam": "Marked as spam:",
    "trash": "Moved to the trash:",
    "restore": "Restored",
    "delete": "Deleted",
}
STATUS_SENTENCES = {
    "published": "is published",
    "held": "is held until you decide",
    "spam": "is marked as spam",
    "trash": "is in the trash",
}


def run(session: Session, comment: Comment, action: str) -> None:
    """Do it to one comment."""
    if action == "delete":
        book.delete(session, comment, current.settings())
    elif action == "restore":
        book.restore(session, comment, current.settings())
    else:
        book.decide(session, comment, STATUS_AFTER[action], current.settings())


def run_many(session: Session, comments: Sequence[Comment], action: str, back: str) -> str | None:
    """Do it to each comment; return the undo's id, None where nothing can be undone."""
    statuses = {comment.id: comment.status for comment in comments}
    for comment in comments:
        run(session, comment, action)
    if action == "delete":
        return None
    changes = [(comment.id, statuses[comment.id], comment.status) for comment in comments]
    return undo.of_comments(session, changes, back)


def objection(row_ids: Sequence[str], action: str) -> str | None:
    """Say why a bulk action cannot run."""
    if action not in PAST_TENSE:
        return "Nothing was changed. Choose what to do with the selected comments."
    if not row_ids:
        return "Nothing was changed. Select the comments first."
    if len(row_ids) > BULK_LIMIT:
        return f"Nothing was changed. Select at most {BULK_LIMIT} comments at a time, not {len(row_ids):,}."
    return None


def result(action: str, count: int, requested: int) -> str:
    """Say how many comments it was, and how many no longer existed."""
    sentence = f"{PAST_TENSE[action]} {counted(count, 'comment')}."
    gone = requested - count
    return f"{sentence} {gone} no longer {'exists' if gone == 1 else 'exist'}." if gone else sentence
