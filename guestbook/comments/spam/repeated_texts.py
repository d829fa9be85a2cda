"""Earlier comments of the book with almost the same text. Two indexes find them among a million."""

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from guestbook.comments.spam import similar_text
from guestbook.comments.spam.similar_text import Repeated
from guestbook.storage.models import Comment, TextMark

COMPARED = 5  # comments for each mark, the newest ones


def find(session: Session, name: str, message: str, own_id: str | None = None) -> Repeated | None:
    """Return another comment with almost the same text, rather one that is spam; None without one."""
    mine = similar_text.parts(message)
    marks = similar_text.marks(mine)
    if marks is None:
        return None
    near: set[str] = set()
    for column, mark in zip((TextMark.first, TextMark.second), marks, strict=True):
        query = select(TextMark.comment_id).where(column == mark)
        near.update(session.scalars(query.order_by(TextMark.comment_id.desc()).limit(COMPARED)))
    near.discard(own_id or "")
    columns = select(Comment.name, Comment.status, Comment.message).where(Comment.id.in_(near))
    found = [
        Repeated(row.name == name, row.status)
        for row in (session.execute(columns) if near else ())
        if similar_text.is_almost_same(mine, similar_text.parts(row.message))
    ]
    return min(found, key=lambda one: one.status != "spam", default=None)


def remember(session: Session, comment: Comment) -> None:
    """Store the marks of a comment that is new or has another text, in the caller's transaction."""
    forget(session, comment)
    if marks := similar_text.marks(similar_text.parts(comment.message)):
        session.add(TextMark(comment_id=comment.id, first=marks[0], second=marks[1]))
        session.flush()


def forget(session: Session, comment: Comment) -> None:
    """Remove the marks of a comment."""
    session.execute(delete(TextMark).where(TextMark.comment_id == comment.id))
