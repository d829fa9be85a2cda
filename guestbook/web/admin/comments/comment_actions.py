"""The actions on comments, with their labels and sentences."""

from collections.abc import Mapping, Sequence

from sqlalchemy.orm import Session

from guestbook.comments import comment_mark, moderation_actions
from guestbook.comments.moderation_actions import BULK_LIMIT, STATUS_AFTER
from guestbook.lib.text import counted
from guestbook.storage.models import Comment
from guestbook.web import current
from guestbook.web.admin import undo

ACTION_LABELS = {"publish": "Publish", "hold": "Hold", "spam": "Spam", "trash": "Trash", "restore": "Restore"}
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


def run_many(session: Session, comments: Sequence[Comment], action: str, back: str) -> str | None:
    """Do it to each comment; return the undo's id, None where nothing can be undone."""
    statuses = {comment.id: comment.status for comment in comments}
    for comment in comments:
        moderation_actions.run(session, comment, action, current.settings())
    if action == "delete":
        return None
    changes = [(comment.id, statuses[comment.id], comment.status) for comment in comments]
    return undo.of_comments(session, changes, back)


def changed_since(comments: Sequence[Comment], form: Mapping[str, str], action: str = "") -> list[Comment]:
    """Return those that are not as the page of the form showed them.

    One that is already where the action leads is not among them: that is the second click of a double click.
    A form without marks names ids alone, as programs do.
    """
    marks = {comment.id: comment_mark.of(comment) for comment in comments}
    return [
        comment
        for comment in comments
        if form.get(f"mark-{comment.id}", marks[comment.id]) != marks[comment.id]
        and not _is_done(comment, action)
    ]


def changed_sentence(comments: Sequence[Comment]) -> str | None:
    """Say which comments have changed since the page showed them, if any."""
    if not comments:
        return None
    names = ", ".join(comment.name for comment in comments)
    if len(comments) == 1:
        return f"The comment by {names} has changed since you opened this page, so it stays. Read it again."
    return f"The comments by {names} have changed since you opened this page, so they stay. Read them again."


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


def _is_done(comment: Comment, action: str) -> bool:
    return comment.is_known if action == "restore" else comment.status == STATUS_AFTER.get(action)
