"""Earlier comments of the book with almost the same text. Two indexes find them among a million."""

from sqlalchemy import Connection, delete
from sqlalchemy.orm import Session

from guestbook.comments.spam import similar_text
from guestbook.comments.spam.similar_text import Repeated
from guestbook.storage import plain_insert, plain_select
from guestbook.storage.models import Comment, TextMark
from guestbook.storage.plain_select import Select

COMPARED = 5  # comments for each mark, the newest ones
WITH_MARK = [
    "SELECT comment_id FROM text_marks"
    f" WHERE text_marks.{column} = :mark ORDER BY comment_id DESC LIMIT {COMPARED}"
    for column in ("first", "second")
]
COMPARED_COLUMNS = "SELECT name, status, message FROM comments WHERE id IN "


def find(select: Select, name: str, message: str, own_id: str | None = None) -> Repeated | None:
    """Return another comment with almost the same text, rather one that is spam; None without one."""
    marks = similar_text.marks_of(message)
    if marks is None:
        return None
    looks = zip(WITH_MARK, marks, strict=True)
    near = {comment_id for query, mark in looks for (comment_id,) in select(query, mark=mark)}
    near.discard(own_id or "")
    if not near:
        return None
    mine, (ids, named) = similar_text.parts(message), plain_select.listed(near)
    found = [
        Repeated(its_name == name, status)
        for its_name, status, text in select(COMPARED_COLUMNS + ids, **named)
        if similar_text.is_almost_same(mine, similar_text.parts(text))
    ]
    return min(found, key=lambda one: one.status != "spam", default=None)


def remember_new(connection: Connection, comment: Comment) -> None:
    """Store the marks of a comment that has none, in the caller's transaction."""
    if marks := similar_text.marks_of(comment.message):
        values = {"comment_id": comment.id, "first": marks[0], "second": marks[1]}
        plain_insert.store_values(connection, TextMark.__table__, [values])


def remember(session: Session, comment: Comment) -> None:
    """Store the marks of a comment that is new or has another text, in the caller's transaction."""
    forget(session, comment)
    remember_new(session.connection(), comment)


def forget(session: Session, comment: Comment) -> None:
    """Remove the marks of a comment."""
    session.execute(delete(TextMark).where(TextMark.comment_id == comment.id))
