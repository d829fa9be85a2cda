"""The book: sign it, read it, delete from it. A comment and its events share one transaction."""

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from guestbook import outbox
from guestbook.draft import Draft
from guestbook.models import Comment
from guestbook.settings import Settings
from guestbook.spam import Verdict


@dataclass(frozen=True, slots=True)
class Page:
    """Some comments, newest first, and the id before which older ones begin (None at the end)."""

    comments: list[Comment]
    older: str | None


def page(session: Session, before: str | None = None, limit: int = 20) -> Page:
    """Return the published comments before that id, by keyset: as fast at the end as at the start."""
    query = select(Comment).where(Comment.status == "published").order_by(Comment.id.desc())
    if before is not None:
        query = query.where(Comment.id < before)
    rows = list(session.scalars(query.limit(limit + 1)))
    return Page(rows[:limit], rows[limit - 1].id if len(rows) > limit else None)


def find(session: Session, comment_id: str) -> Comment | None:
    """Return the published comment with that id."""
    query = select(Comment).where(Comment.id == comment_id, Comment.status == "published")
    return session.scalars(query).one_or_none()


def signed_with(session: Session, form_key: str) -> Comment | None:
    """Return the comment that this very form has made before, whatever its status."""
    return session.scalars(select(Comment).where(Comment.form_key == form_key)).one_or_none()


def sign(
    session: Session, draft: Draft, verdict: Verdict, *, form_key: str | None, settings: Settings
) -> Comment:
    """Add a comment and the deliveries of its events; the caller's transaction commits both or neither."""
    comment = Comment(
        name=draft.name,
        website=draft.website,
        message=draft.message,
        status=verdict.status,
        reason=verdict.reason,
        form_key=form_key,
    )
    session.add(comment)
    session.flush()
    if comment.is_known:
        _tell(session, "comment.created", comment, settings)
    if comment.status == "published":
        _tell(session, "comment.published", comment, settings)
    return comment


def move(session: Session, comment: Comment, status: str, settings: Settings) -> None:
    """Publish a comment, hold it, throw it away or mark it as spam; receivers are told what changes for them.

    `comment.created` when it was taken for spam and nobody has heard of it, `comment.published` when it
    becomes visible, `comment.deleted` when it leaves the book for the trash or the spam.
    """
    was, was_known = comment.status, comment.is_known
    comment.status = status
    session.flush()
    if was == "spam" and comment.is_known:
        _tell(session, "comment.created", comment, settings)
    if status == "published" != was:
        _tell(session, "comment.published", comment, settings)
    if was_known and not comment.is_known:
        _tell(session, "comment.deleted", comment, settings)


def delete(session: Session, comment: Comment, settings: Settings) -> None:
    """Remove a comment for good; who was told of it and not yet of its end is told now."""
    if comment.is_known:
        _tell(session, "comment.deleted", comment, settings)
    session.delete(comment)
    session.flush()


def _tell(session: Session, event: str, comment: Comment, settings: Settings) -> None:
    data = {"comment": comment.public(settings.base_url)}
    outbox.publish(session.connection(), event, data, settings, comment_id=comment.id)
