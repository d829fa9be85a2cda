"""Earlier comments of the book with almost the same text. Two indexes find them among a million."""

from sqlalchemy import bindparam, delete, insert, select
from sqlalchemy.orm import Session

from guestbook.comments.spam import similar_text
from guestbook.comments.spam.similar_text import Repeated
from guestbook.storage.models import Comment, TextMark

COMPARED = 5  # comments for each mark, the newest ones
MARK_COLUMNS = TextMark.__table__.c
# Made once, because each comment runs them.
_WITH_MARK = [
    select(MARK_COLUMNS.comment_id)
    .where(column == bindparam("mark"))
    .order_by(MARK_COLUMNS.comment_id.desc())
    .limit(COMPARED)
    for column in (MARK_COLUMNS.first, MARK_COLUMNS.second)
]
_INSERT_MARKS = insert(TextMark.__table__)


def find(session: Session, name: str, message: str, own_id: str | None = None) -> Repeated | None:
    """Return another comment with almost the same text, rather one that is spam; None without one."""
    marks = similar_text.marks_of(message)
    if marks is None:
        return None
    connection, near = session.connection(), set[str]()
    for query, mark in zip(_WITH_MARK, marks, strict=True):
        near.update(connection.scalars(query, {"mark": mark}))
    near.discard(own_id or "")
    if not near:
        return None
    mine = similar_text.parts(message)
    columns = select(Comment.name, Comment.status, Comment.message).where(Comment.id.in_(near))
    found = [
        Repeated(row.name == name, row.status)
        for row in session.execute(columns)
        if similar_text.is_almost_same(mine, similar_text.parts(row.message))
    ]
    return min(found, key=lambda one: one.status != "spam", default=None)


def remember_new(session: Session, comment: Comment) -> None:
    """Store the marks of a comment that has none, in the caller's transaction."""
    if marks := similar_text.marks_of(comment.message):
        values = {"comment_id": comment.id, "first": marks[0], "second": marks[1]}
        session.connection().execute(_INSERT_MARKS, values)


def remember(session: Session, comment: Comment) -> None:
    """Store the marks of a comment that is new or has another text, in the caller's transaction."""
    forget(session, comment)
    remember_new(session, comment)


def forget(session: Session, comment: Comment) -> None:
    """Remove the marks of a comment."""
    session.execute(delete(TextMark).where(TextMark.comment_id == comment.id))
